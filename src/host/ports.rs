use crate::endpoint::Errno;
use crate::map::Map;
use crate::rng::{Stream, below};
use std::hash::{Hash, Hasher};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Which local addresses a socket holds a port on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// Every IPv4 address.
    AnyV4,
    /// Every IPv6 address.
    AnyV6,
    /// Every address of both families: a dual-stack socket bound to `::`.
    Any,
    /// One address, by its number among the host's own.
    One {
        /// Its number.
        local: u16,
        /// Whether it is an IPv6 address.
        v6: bool,
    },
}

impl Scope {
    /// Whether an address lies in both.
    fn overlaps(self, other: Scope) -> bool {
        match (self, other) {
            (Scope::One { local: a, .. }, Scope::One { local: b, .. }) => a == b,
            _ => (self.has_v4() && other.has_v4()) || (self.has_v6() && other.has_v6()),
        }
    }

    fn is_one(self) -> bool {
        matches!(self, Scope::One { .. })
    }

    fn has_v4(self) -> bool {
        matches!(self, Scope::AnyV4 | Scope::Any | Scope::One { v6: false, .. })
    }

    fn has_v6(self) -> bool {
        matches!(self, Scope::AnyV6 | Scope::Any | Scope::One { v6: true, .. })
    }
}

/// How a port is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// `connect` chose it; other connections to other places may share it.
    Chosen,
    /// By `bind`, or by a connection that came in on a bound port.
    Bound,
    /// By `listen`.
    Listening,
    /// By what is left of a connection on a bound port: TIME-WAIT, or an orphan in FIN-WAIT-2.
    Left,
}

/// Holders of one port that do not differ.
#[derive(Clone, Copy, Debug)]
struct Holders {
    scope: Scope,
    hold: Hold,
    sharing: Sharing,
    count: u32,
}

/// The holders of one port: nearly always of one kind, which takes no allocation.
#[derive(Clone, Debug)]
struct Bucket {
    first: Holders,
    rest: Vec<Holders>,
}

impl Bucket {
    fn iter(&self) -> impl Iterator<Item = &Holders> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Holders> {
        std::iter::once(&mut self.first).chain(&mut self.rest)
    }
}

/// How an ephemeral port is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PortRule {
    /// The next free one.
    #[default]
    Next,
    /// `connect` takes ports with the parity of the range's first one before the others, and `bind` the others before
    /// those; each destination has a row of its own (`__inet_hash_connect()`, `inet_csk_find_open_port()`).
    Parity,
    /// A random one each time, or the next free one behind it (`in_pcb_lport()` of FreeBSD; RFC 6056 3.3.1).
    Random,
}

/// Who may bind a port that is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BindRule {
    /// Sharing takes `SO_REUSEADDR` on both sides, and nobody may listen; what is left of a connection gives its port to
    /// who has it.
    #[default]
    LeftYields,
    /// The same, but what is left of a connection is a socket like others (`inet_bind_conflict()`).
    LeftStays,
    /// What is left of a connection keeps nobody out, and the rest follows Microsoft's table for one user account
    /// ("Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE"): see [`Sharing::meets_as_windows`].
    Windows,
}

/// How a socket wants to share a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sharing {
    /// `SO_REUSEADDR`.
    pub(super) addr: bool,
    /// `SO_REUSEPORT`.
    pub(super) port: bool,
    /// `SO_EXCLUSIVEADDRUSE`.
    pub(super) exclusive: bool,
}

impl Sharing {
    /// Why the second of two sockets may not have the port of the first, where their scopes overlap: on the same address, or
    /// on the wildcard one, it takes `SO_REUSEADDR` on both. One address goes beside the wildcard one, the more special
    /// first or second, unless who has the wildcard address wants it alone.
    fn meets_as_windows(first: (Scope, Sharing), second: (Scope, Sharing)) -> Option<Errno> {
        match (first.0.is_one(), second.0.is_one()) {
            (false, true) => first.1.exclusive.then_some(Errno::EACCES),
            (true, false) => second.1.exclusive.then_some(Errno::EADDRINUSE),
            _ if second.1.addr => (!first.1.addr).then_some(Errno::EACCES),
            _ => Some(Errno::EADDRINUSE),
        }
    }
}

/// Who holds which port of one protocol, and which ephemeral port comes next.
#[derive(Debug)]
pub(super) struct Ports {
    buckets: Map<u16, Bucket>,
    rule: PortRule,
    binding: BindRule,
    range: (u16, u16),
    reserved: Vec<(u16, u16)>,
    cursor: u32,
    /// Key and number of the next random choice.
    draws: (u64, u64),
    /// `table_perturb`: how far the choices for a destination have gone, by a hash of it.
    gone: Map<u16, u32>,
    /// Ephemeral ports in use towards each destination: one bit a port, 64 ports a word.
    words: Map<(Destination, u16), u64>,
    counts: Map<Destination, u32>,
}

/// The rest of a 4-tuple without the local port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) local: u16,
    pub(super) remote: u32,
    pub(super) remote_port: u16,
}

impl Hash for Destination {
    /// One word is hashed faster than three fields.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (local, remote_port) = (u64::from(self.local), u64::from(self.remote_port));
        state.write_u64(u64::from(self.remote) << 32 | local << 16 | remote_port);
    }
}

impl Ports {
    /// No port in use; the first ephemeral one is drawn from `stream` (RFC 6056 3.3).
    pub(super) fn new((rule, binding): (PortRule, BindRule), range: (u16, u16), stream: &mut Stream) -> Ports {
        let (buckets, words, counts) = (Map::new(), Map::new(), Map::new());
        let key = stream.word();
        let (reserved, draws, gone) = (Vec::new(), (key, 0), Map::new());
        let mut ports = Ports { buckets, rule, binding, range, reserved, cursor: 0, draws, gone, words, counts };
        ports.cursor = u32::try_from(below(key, u64::from(ports.size()))).unwrap_or(0);
        ports
    }

    /// The search for a port begins.
    fn begin(&mut self) {
        if self.rule == PortRule::Random {
            self.cursor = self.draw(self.size());
        }
    }

    /// A random number below `bound`.
    fn draw(&mut self, bound: u32) -> u32 {
        let (key, n) = &mut self.draws;
        *n += 1;
        let word = xxh3_64_with_seed(&n.to_le_bytes(), *key);
        u32::try_from(below(word, bound.into())).unwrap_or(0)
    }

    /// Another range of ephemeral ports; `used` are the ends of all connections there are.
    pub(super) fn set_range(&mut self, range: (u16, u16), used: impl Iterator<Item = (Destination, u16)>) {
        self.range = range;
        self.cursor %= self.size();
        self.words.clear();
        self.counts.clear();
        used.for_each(|(to, port)| self.occupy(to, port));
    }

    /// These are given to nobody who has not asked for them.
    pub(super) fn reserve(&mut self, ranges: &[(u16, u16)]) {
        self.reserved = ranges.to_vec();
    }

    fn is_reserved(&self, port: u16) -> bool {
        self.reserved.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    fn size(&self) -> u32 {
        u32::from(self.range.1 - self.range.0) + 1
    }

    /// Why a new holder may not have a port, if it meets one that it cannot share with: sharing takes `SO_REUSEADDR` on both
    /// sides and nobody that listens, or `SO_REUSEPORT` on both, or what else the rule says.
    pub(super) fn conflict(&self, port: u16, scope: Scope, sharing: Sharing) -> Option<Errno> {
        let meets = |other: &Holders| {
            let by_addr = match (self.binding, other.hold) {
                _ if !other.scope.overlaps(scope) => return None,
                (BindRule::Windows, Hold::Left) => true,
                (BindRule::Windows, _) => {
                    return Sharing::meets_as_windows((other.scope, other.sharing), (scope, sharing));
                }
                (BindRule::LeftYields, Hold::Left) => sharing.addr,
                (_, Hold::Listening) => false,
                (_, Hold::Chosen | Hold::Bound | Hold::Left) => sharing.addr && other.sharing.addr,
            };
            (!(by_addr || sharing.port && other.sharing.port)).then_some(Errno::EADDRINUSE)
        };
        self.buckets.get(&port)?.iter().find_map(meets)
    }

    /// Whether a socket without options is not given a port: somebody has it, or it is reserved.
    fn is_held(&self, port: u16, scope: Scope) -> bool {
        if self.is_reserved(port) {
            return true;
        }
        let holds = |other: &Holders| other.hold != Hold::Left && other.scope.overlaps(scope);
        match self.binding {
            // What one may ask for by its number need not be what one is given.
            BindRule::Windows => self.buckets.get(&port).is_some_and(|bucket| bucket.iter().any(holds)),
            BindRule::LeftYields | BindRule::LeftStays => self.conflict(port, scope, Sharing::default()).is_some(),
        }
    }

    /// Why a socket that has its port may not listen on it; it is not among the holders meanwhile. On Linux it is as if it
    /// were bound once more, for what shares the port may have changed since (`inet_csk_listen_start()`: `get_port`); on
    /// others only those count that listen and do not share.
    pub(super) fn keeps_from_listening(&self, port: u16, scope: Scope, sharing: Sharing) -> Option<Errno> {
        let listens = |other: &Holders| {
            let shares = sharing.port && other.sharing.port;
            other.hold == Hold::Listening && other.scope.overlaps(scope) && !shares
        };
        match self.binding {
            BindRule::LeftStays => self.conflict(port, scope, sharing),
            BindRule::LeftYields => self.buckets.get(&port)?.iter().any(listens).then_some(Errno::EADDRINUSE),
            // Where bind() decides, listen() does not.
            BindRule::Windows => None,
        }
    }

    /// Adds a holder.
    pub(super) fn hold(&mut self, port: u16, scope: Scope, hold: Hold, sharing: Sharing) {
        let new = Holders { scope, hold, sharing, count: 1 };
        let Some(bucket) = self.buckets.get_mut(&port) else {
            self.buckets.insert(port, Bucket { first: new, rest: Vec::new() });
            return;
        };
        if let Some(old) = bucket.iter_mut().find(|old| old.is_like(&new)) {
            old.count += 1;
        } else {
            bucket.rest.push(new);
        }
    }

    /// Takes a holder away that was added with the same words.
    pub(super) fn release(&mut self, port: u16, scope: Scope, hold: Hold, sharing: Sharing) {
        let gone = Holders { scope, hold, sharing, count: 1 };
        let Some(bucket) = self.buckets.get_mut(&port) else { return };
        let Some(old) = bucket.iter_mut().find(|old| old.is_like(&gone)) else { return };
        old.count -= 1;
        if old.count > 0 {
            return;
        }
        if bucket.first.count == 0 {
            match bucket.rest.pop() {
                Some(last) => bucket.first = last,
                None => drop(self.buckets.remove(&port)),
            }
        } else {
            bucket.rest.retain(|holders| holders.count > 0);
        }
    }

    /// An ephemeral port for `bind`: the next that nobody holds in this scope.
    pub(super) fn next_unheld(&mut self, scope: Scope, sharing: Sharing) -> Option<u16> {
        self.begin();
        if self.rule == PortRule::Parity {
            return self.any_unheld(scope, sharing);
        }
        for step in 0..self.size() {
            let port = self.at(self.cursor + step);
            if !self.is_held(port, scope) {
                self.cursor = (self.cursor + step + 1) % self.size();
                return Some(port);
            }
        }
        None
    }

    /// The same from a random place on (`inet_csk_find_open_port()`): a socket that shares looks in the lower half first.
    fn any_unheld(&mut self, scope: Scope, sharing: Sharing) -> Option<u16> {
        let size = self.size();
        let half = size / 4 * 2;
        let parts = if sharing.addr && size >= 4 { vec![(0, half), (half, size - half)] } else { vec![(0, size)] };
        parts.into_iter().find_map(|(first, size)| {
            let start = self.draw(even(size));
            let mut ports = places(start, size, 1).map(|place| self.at(first + place));
            ports.find(|&port| !self.is_held(port, scope))
        })
    }

    /// One towards a destination, where `taken` says whether a connection that exists keeps its port. Each destination has
    /// a place of its own where the search begins, and goes on a little further than it has to (`__inet_hash_connect()`,
    /// RFC 6056 3.3.4).
    fn next_by_parity(&mut self, to: Destination, mut taken: impl FnMut(u16) -> bool) -> Option<u16> {
        let (size, key) = (self.size(), self.draws.0);
        let [a, b, c, d, e, f, g, h] = xxh3_64_with_seed(&to.bytes(), key).to_le_bytes();
        let (index, own) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([e, f, g, h]));
        let gone = self.gone.get(&index).copied().unwrap_or(u32::from_le_bytes([c, d, a, b]));
        let start = gone.wrapping_add(own) % even(size);
        let place = places(start, size, 0).find(|&place| {
            let port = self.at(place);
            let used = self.words.get(&(to, port / 64)).copied().unwrap_or(0) >> (port % 64) & 1 == 1;
            self.may_choose(port) && !(used && taken(port))
        })?;
        let passed = ((place & !1) + even(size) - (start & !1)) % even(size);
        let further = passed.max(self.draw(8) * 2) + 2;
        self.gone.insert(index, gone.wrapping_add(further));
        Some(self.at(place))
    }

    /// Whether nobody has bound the port, and it is not kept for who asks for it.
    fn may_choose(&self, port: u16) -> bool {
        if self.is_reserved(port) {
            return false;
        }
        let chosen = |bucket: &Bucket| bucket.iter().all(|holders| holders.hold == Hold::Chosen);
        self.buckets.get(&port).is_none_or(chosen)
    }

    /// An ephemeral port for `connect`: the next that has no connection to this destination and that nobody has bound.
    /// Full words are passed over 64 ports at a time, and a full range is known by its count. `taken` says of a port
    /// with such a connection whether that keeps it.
    pub(super) fn next_towards(&mut self, to: Destination, taken: impl FnMut(u16) -> bool) -> Option<u16> {
        self.begin();
        if self.rule == PortRule::Parity {
            return self.next_by_parity(to, taken);
        }
        let (size, mut step) = (self.size(), 0);
        if self.counts.get(&to).is_some_and(|&count| count >= size) {
            return None;
        }
        while step < size {
            let port = self.at(self.cursor + step);
            let used = self.words.get(&(to, port / 64)).copied().unwrap_or(0) >> (port % 64);
            if used & 1 == 1 {
                let run = (!used).trailing_zeros().min(64 - u32::from(port % 64));
                // The run may reach past the end of the range: never step over its start.
                step += run.min(u32::from(self.range.1 - port) + 1);
                continue;
            }
            if self.may_choose(port) {
                self.cursor = (self.cursor + step + 1) % size;
                return Some(port);
            }
            step += 1;
        }
        None
    }

    /// The port at a place of the range, which goes round.
    fn at(&self, place: u32) -> u16 {
        self.range.0 + u16::try_from(place % self.size()).unwrap_or(0)
    }

    /// A connection with this 4-tuple exists from now on.
    pub(super) fn occupy(&mut self, to: Destination, port: u16) {
        if self.is_ephemeral(port) {
            *self.words.get_or_insert_with((to, port / 64), || 0) |= 1 << (port % 64);
            *self.counts.get_or_insert_with(to, || 0) += 1;
        }
    }

    /// It does not exist any more.
    pub(super) fn vacate(&mut self, to: Destination, port: u16) {
        if !self.is_ephemeral(port) {
            return;
        }
        if let Some(word) = self.words.get_mut(&(to, port / 64)) {
            *word &= !(1 << (port % 64));
            if *word == 0 {
                self.words.remove(&(to, port / 64));
            }
        }
        if let Some(count) = self.counts.get_mut(&to) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&to);
            }
        }
    }

    fn is_ephemeral(&self, port: u16) -> bool {
        (self.range.0..=self.range.1).contains(&port)
    }

    /// Nobody holds anything any more; the next ephemeral port stays what it is.
    pub(super) fn clear(&mut self) {
        self.buckets.clear();
        self.words.clear();
        self.counts.clear();
    }
}

/// Of a range with an odd number of ports the last one is not used.
fn even(size: u32) -> u32 {
    if size > 1 { size & !1 } else { 1 }
}

/// The places of a range of `size` ports in the order in which they are tried: from `start` on and round, first those that are
/// `first` modulo 2.
fn places(start: u32, size: u32, first: u32) -> impl Iterator<Item = u32> {
    let (start, size) = (start & !1, even(size));
    let pass = move |parity: u32| (0..size / 2).map(move |n| (start + 2 * n + parity) % size);
    pass(first).chain(pass(1 - first)).chain((size == 1).then_some(0))
}

impl Destination {
    fn bytes(self) -> [u8; 8] {
        let ([a, b], [c, d, e, f], [g, h]) =
            (self.local.to_le_bytes(), self.remote.to_le_bytes(), self.remote_port.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

/// Ports and ranges of ports, as `proc_do_large_bitmap()` reads them.
pub(super) fn read_ranges(text: &str) -> Option<Vec<(u16, u16)>> {
    let read = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
        number(first).zip(number(last)).filter(|(first, last)| first <= last)
    };
    match text.trim() {
        "" => Some(Vec::new()),
        text => text.split(',').map(read).collect(),
    }
}

impl Holders {
    fn is_like(&self, other: &Holders) -> bool {
        (self.scope, self.hold, self.sharing) == (other.scope, other.hold, other.sharing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: Destination = Destination { local: 2, remote: 7, remote_port: 80 };

    fn ports(range: (u16, u16)) -> Ports {
        Ports::new((PortRule::Next, BindRule::LeftYields), range, &mut Stream::new(1, "client/ports"))
    }

    fn by_addr(addr: bool) -> Sharing {
        Sharing { addr, ..Sharing::default() }
    }

    #[test]
    fn ranges_of_ports_are_read_whole_or_not_at_all() {
        assert_eq!(read_ranges(" 8080,9000-9010 "), Some(vec![(8_080, 8_080), (9_000, 9_010)]));
        assert_eq!(read_ranges(""), Some(vec![]));
        for wrong in ["x", "1,", "1-", "-1", "2-1", "65536", "1,+2", "1 2"] {
            assert_eq!(read_ranges(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sharing_takes_reuse_on_both_sides_and_no_listener() {
        let one = Scope::One { local: 2, v6: false };
        let six = Scope::One { local: 3, v6: true };
        let cases = [
            (Scope::AnyV4, Hold::Bound, false, Scope::AnyV4, true, true),
            (Scope::AnyV4, Hold::Bound, true, Scope::AnyV4, true, false),
            (Scope::AnyV4, Hold::Listening, true, Scope::AnyV4, true, true),
            (Scope::AnyV4, Hold::Left, false, Scope::AnyV4, true, false),
            (Scope::AnyV4, Hold::Left, true, Scope::AnyV4, false, true),
            (Scope::AnyV4, Hold::Bound, false, one, false, true),
            (Scope::AnyV4, Hold::Bound, false, Scope::AnyV6, false, false),
            (Scope::Any, Hold::Bound, false, Scope::AnyV4, false, true),
            (Scope::Any, Hold::Bound, false, six, false, true),
            (one, Hold::Bound, false, six, false, false),
            (one, Hold::Bound, false, Scope::One { local: 4, v6: false }, false, false),
        ];
        for (held, hold, held_reuse, scope, reuse, conflict) in cases {
            let mut ports = ports((1, 9));
            ports.hold(80, held, hold, by_addr(held_reuse));
            assert_eq!(
                ports.conflict(80, scope, by_addr(reuse)).is_some(),
                conflict,
                "{held:?} {hold:?} {held_reuse} {scope:?} {reuse}"
            );
            ports.release(80, held, hold, by_addr(held_reuse));
            assert!(ports.conflict(80, scope, by_addr(reuse)).is_none() && ports.buckets.is_empty());
        }
    }

    #[test]
    fn a_range_is_used_up_to_its_last_port_and_no_further() {
        for range in [(50_000, 50_002), (49_152, 65_535), (63, 64), (65_535, 65_535)] {
            let mut ports = ports(range);
            let mut chosen: Vec<u16> = Vec::new();
            while let Some(port) = ports.next_towards(TO, |_| true) {
                ports.occupy(TO, port);
                chosen.push(port);
            }
            let elsewhere = Destination { remote_port: 81, ..TO };
            assert!(ports.next_towards(elsewhere, |_| true).is_some());
            let last = *chosen.last().unwrap();
            chosen.sort_unstable();
            assert_eq!(chosen, (range.0..=range.1).collect::<Vec<_>>());
            ports.vacate(TO, last);
            assert_eq!(ports.next_towards(TO, |_| true), Some(last));
            for port in chosen {
                ports.occupy(TO, port);
            }
        }
    }

    #[test]
    fn a_bound_port_is_not_chosen() {
        let mut ports = ports((50_000, 50_001));
        ports.hold(50_000, Scope::AnyV4, Hold::Bound, by_addr(true));
        assert_eq!(ports.next_towards(TO, |_| true), Some(50_001));
        ports.hold(50_001, Scope::AnyV4, Hold::Chosen, by_addr(false));
        assert_eq!(ports.next_towards(TO, |_| true), Some(50_001));
        assert_eq!(ports.next_unheld(Scope::AnyV4, Sharing::default()), None);
        assert_eq!(ports.next_unheld(Scope::AnyV6, Sharing::default()), Some(50_000));
    }
}
