use crate::endpoint::{Attach, Cx, Endpoint, HostFault, IfaceId};
use crate::rng::below;
use crate::sim::{Prefix, Sim};
use crate::time::{HostTime, Span, ns};
use crate::trace::NodeId;
use crate::wire::{Body, Flags, Options, Packet, Segment, Seq, TcpOption};
use std::any::Any;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An endpoint without a stack: it sends the packets that it is told to, and answers nothing.
///
/// Everything leaves through its first interface that is not the loopback. Its counters are `Raw.Sent` and
/// `Raw.Received`. A crash takes what it had still to send; what a pause delays is dropped, but for one SYN a flood.
#[derive(Debug, Default)]
pub struct Raw {
    iface: Option<IfaceId>,
    /// Packets by their instants and the order in which they were given.
    packets: BTreeMap<(HostTime, usize), Packet>,
    given: usize,
    floods: Vec<Flooding>,
    sent: u64,
    received: u64,
}

/// SYNs from addresses and ports drawn at random, which no one answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynFlood {
    /// The first SYN.
    pub at: HostTime,
    /// So many SYNs in so long, evenly spaced.
    pub rate: (u64, Span),
    /// How many in all.
    pub count: u64,
    /// The range that source addresses are drawn from; of the target's family.
    pub from: Prefix,
    /// The target.
    pub to: SocketAddr,
}

#[derive(Clone, Copy, Debug)]
struct Flooding {
    flood: SynFlood,
    /// The next SYN, counted from 0.
    n: u64,
}

impl Raw {
    /// An endpoint that has nothing to send yet.
    pub fn new() -> Raw {
        Raw::default()
    }

    /// Sends `packet` at `at`.
    pub fn send(&mut self, at: HostTime, packet: Packet) {
        self.packets.insert((at, self.given), packet);
        self.given += 1;
    }

    /// Floods; several floods are sent side by side.
    ///
    /// # Panics
    /// If source and target are of different families.
    pub fn syn_flood(&mut self, flood: SynFlood) {
        let families = flood.from.addr.is_ipv4() == flood.to.is_ipv4();
        assert!(families, "no SYN goes from {}/{} to {}", flood.from.addr, flood.from.len, flood.to);
        self.floods.push(Flooding { flood, n: 0 });
    }

    fn emit(&mut self, cx: &mut Cx<'_>, packet: Packet) {
        if let Some(iface) = self.iface {
            cx.send(iface, packet);
            self.sent += 1;
        }
    }
}

impl Endpoint for Raw {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        if let Attach::Iface { iface, addrs, .. } = attach
            && self.iface.is_none()
            && !addrs.iter().all(IpAddr::is_loopback)
        {
            self.iface = Some(*iface);
        }
    }

    fn on_packet(&mut self, _cx: &mut Cx<'_>, _iface: IfaceId, _packet: &Packet) {
        self.received += 1;
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        while let Some(first) = self.packets.first_entry()
            && first.key().0 <= cx.now()
        {
            let packet = first.remove();
            self.emit(cx, packet);
        }
        for at in 0..self.floods.len() {
            let Flooding { flood, n } = self.floods[at];
            if self.floods[at].next().is_some_and(|next| next <= cx.now()) {
                let syn = flood.syn(cx, n);
                self.emit(cx, syn);
                self.floods[at].n = flood.first_after(cx.now()).max(n + 1);
            }
        }
    }

    fn next_timeout(&self) -> Option<HostTime> {
        let packet = self.packets.first_key_value().map(|(&(at, _), _)| at);
        self.floods.iter().filter_map(|flooding| flooding.next()).chain(packet).min()
    }

    fn on_fault(&mut self, cx: &mut Cx<'_>, fault: HostFault) {
        match fault {
            HostFault::Crash => {
                self.packets.clear();
                self.floods.clear();
            }
            HostFault::Resume => self.packets = self.packets.split_off(&(cx.now(), 0)),
            _ => {}
        }
    }

    fn counters(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        visit("Raw.Sent", self.sent);
        visit("Raw.Received", self.received);
    }
}

impl Sim {
    /// Tells the [`Raw`] endpoint `node` what to send.
    ///
    /// # Panics
    /// If `node` is another kind of endpoint.
    pub fn raw<R>(&mut self, node: NodeId, f: impl FnOnce(&mut Raw) -> R) -> R {
        self.with_endpoint(node, |endpoint, _| {
            let endpoint: &mut dyn Any = endpoint;
            f(endpoint.downcast_mut().expect("an endpoint without a stack"))
        })
    }
}

impl Flooding {
    /// When the next SYN is due, if there is one.
    fn next(&self) -> Option<HostTime> {
        let SynFlood { at, rate: (n, per), count, .. } = self.flood;
        let offset = (u128::from(self.n) * u128::from(per.as_nanos())).checked_div(u128::from(n))?;
        let offset = ns(u64::try_from(offset).ok()?);
        (self.n < count).then(|| at + offset)
    }
}

impl SynFlood {
    /// The first SYN that is due later than `now`.
    fn first_after(&self, now: HostTime) -> u64 {
        let elapsed = u128::from(now.since(self.at).as_nanos());
        let (n, per) = (u128::from(self.rate.0), u128::from(self.rate.1.as_nanos()));
        // SYN k is due at floor(k * per / n), which is past `elapsed` from k = ceil((elapsed + 1) * n / per) on.
        let first = (elapsed + 1).saturating_mul(n).div_ceil(per.max(1));
        u64::try_from(first).unwrap_or(u64::MAX)
    }

    /// SYN number `n`, such as Linux sends.
    fn syn(&self, cx: &mut Cx<'_>, n: u64) -> Packet {
        let random = cx.stream("flood");
        // Plain words, not choices: no search gains anything by trying other addresses.
        random.begin(n);
        let (host, port, seq) = (random.word(), random.word(), random.word());
        let mut options = Options::NONE;
        let mss = if self.to.is_ipv4() { 1_460 } else { 1_440 };
        let timestamps = TcpOption::Timestamps { val: low(seq >> 16), ecr: 0 };
        let list =
            [TcpOption::Mss(mss), TcpOption::SackPermitted, timestamps, TcpOption::Nop, TcpOption::WindowScale(7)];
        for option in list {
            options.push(option).expect("20 bytes of options fit");
        }
        let segment = Segment {
            src_port: u16::try_from(1_024 + below(port, 64_512)).expect("1024 to 65535"),
            dst_port: self.to.port(),
            seq: Seq(low(seq)),
            flags: Flags::SYN,
            window: 64_240,
            options,
            ..Segment::default()
        };
        Packet::new(address(self.from, host), self.to.ip(), Body::Tcp(segment))
    }
}

/// An address in `prefix`, the host part taken from `word`.
fn address(prefix: Prefix, word: u64) -> IpAddr {
    match prefix.addr {
        IpAddr::V4(addr) => {
            let mask = u32::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(addr.to_bits() & !mask | low(word) & mask))
        }
        IpAddr::V6(addr) => {
            let mask = u128::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(addr.to_bits() & !mask | u128::from(word) & mask))
        }
    }
}

fn low(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).expect("the low half of a word")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::MakerId;
    use crate::endpoint::{Effect, Streams};
    use crate::time::{ms, secs};

    fn prefix() -> Prefix {
        Prefix { addr: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), len: 24 }
    }

    fn drain(raw: &mut Raw) -> Vec<(HostTime, Packet)> {
        let mut streams = Streams::new(1, "attacker", MakerId(0));
        let mut effects = Vec::new();
        let attach = Attach::Iface { iface: IfaceId(1), addrs: vec![Ipv4Addr::new(10, 0, 0, 1).into()], mtu: 1_500 };
        raw.on_attach(&mut Cx::new(HostTime::ZERO, &mut effects, &mut streams, false), &attach);
        let mut sent = Vec::new();
        while let Some(now) = raw.next_timeout() {
            raw.on_timeout(&mut Cx::new(now, &mut effects, &mut streams, false));
            let packets = effects.drain(..).filter_map(|effect| match effect {
                Effect::Send(_, packet) => Some((now, *packet)),
                _ => None,
            });
            sent.extend(packets);
        }
        sent
    }

    #[test]
    fn a_flood_keeps_its_rate_and_its_range() {
        let to = SocketAddr::from(([10, 0, 0, 2], 80));
        let at = HostTime::ZERO + ms(5);
        let told = |flood| {
            let mut raw = Raw::new();
            raw.syn_flood(flood);
            drain(&mut raw)
        };
        for (rate, count) in [((3, secs(1)), 6), ((1_000, secs(1)), 50), ((1, ms(143)), 2), ((7, secs(1)), 1)] {
            let sent = told(SynFlood { at, rate, count, from: prefix(), to });
            assert_eq!(sent.len() as u64, count, "{} in {}", rate.0, rate.1);
            assert!(sent.iter().all(|(_, p)| prefix().contains(p.src) && p.segment().unwrap().flags == Flags::SYN));
            let due = |n| ns(n * rate.1.as_nanos() / rate.0);
            assert!(sent.iter().zip(0..).all(|((when, _), n)| when.since(at) == due(n)));
        }
        assert_eq!(told(SynFlood { at, rate: (0, secs(1)), count: 5, from: prefix(), to }).len(), 0);
        let sent = told(SynFlood { at, rate: (1_000, secs(1)), count: 1_000, from: prefix(), to });
        let sources: std::collections::BTreeSet<_> = sent.iter().map(|(_, p)| (p.src, p.ports())).collect();
        assert!(sources.len() > 990, "addresses and ports are drawn anew for each SYN");
    }

    #[test]
    fn packets_leave_in_the_order_given() {
        let packet = |port| {
            let segment = Segment { src_port: port, ..Segment::default() };
            Packet::new(Ipv4Addr::new(10, 0, 0, 1).into(), Ipv4Addr::new(10, 0, 0, 2).into(), Body::Tcp(segment))
        };
        let at = |n| HostTime::ZERO + ms(n);
        let mut raw = Raw::new();
        for (when, port) in [(2, 1), (1, 2), (1, 3)] {
            raw.send(at(when), packet(port));
        }
        let sent: Vec<_> = drain(&mut raw).into_iter().map(|(when, p)| (when, p.ports().unwrap().0)).collect();
        assert_eq!(sent, [(at(1), 2), (at(1), 3), (at(2), 1)]);
    }
}
