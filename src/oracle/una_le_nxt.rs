use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, NodeView, Oracle, Seen};
use crate::endpoint::ConnView;
use crate::trace::{NodeId, Record};
use crate::wire::{Flags, Seq};

pub(super) const NAME: &str = "una-le-nxt";

/// Sequence variables keep their order: nobody acknowledges what never came, and `snd.una` does not pass `snd.nxt`.
#[derive(Default)]
pub struct UnaLeNxt {
    receivers: Ends<Heard>,
}

/// The highest sequence number that has reached an end, one past the last byte.
struct Heard {
    /// Of what the peer sent itself.
    genuine: Option<Seq>,
    /// Of that and what a forger sent.
    end: Option<Seq>,
    is_reported: bool,
}

impl Heard {
    /// Nothing yet; what may be acknowledged in any case is the SYN of the other end, wherever it was counted.
    fn nothing(end: End, seen: &Seen<'_>) -> Heard {
        let iss = seen.conns.get(end.conn).and_then(|conn| conn.iss(end.peer().side));
        let first = iss.map(|iss| iss + 1);
        Heard { genuine: first, end: first, is_reported: false }
    }

    fn take(&mut self, end: Seq, forged: bool) {
        let highest = |old: Option<Seq>| Some(old.map_or(end, |old| old.max(end)));
        if !forged {
            self.genuine = highest(self.genuine);
        } else if self.genuine.is_none_or(|genuine| end.since(genuine) > 1 << 30) {
            // No window reaches further than 2^30 (RFC 7323 2.3): what a forger sends from beyond is never taken, and
            // would pass for the later one half of the time. Nor does one forgery bring the next one nearer.
            return;
        }
        self.end = highest(self.end);
    }
}

impl Oracle for UnaLeNxt {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.4"
    }

    fn hears(&self) -> Hears {
        Hears::SEGMENTS | Hears::ENDED
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        if segment.has(Flags::SYN) {
            self.receivers.get_or_insert_with(sending.end, || Heard::nothing(sending.end, seen));
        }
        if !segment.has(Flags::ACK) || segment.has(Flags::RST) {
            return;
        }
        let Some(heard) = self.receivers.get_mut(&sending.end) else { return };
        let Some(end) = heard.end.filter(|&end| segment.ack.gt(end) && !heard.is_reported) else { return };
        heard.is_reported = true;
        sending.violates(self, seen, |seen| {
            format!(
                "{} acknowledged everything up to {} ({}), but only what lies below {} ever came",
                sending.end.describe(seen),
                sending.end.peer().relative(seen, segment.ack),
                packet_name(seen, sending.packet),
                sending.end.peer().relative(seen, end),
            )
        });
    }

    fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
        let segment = coming.segment;
        if segment.has(Flags::SYN) {
            self.receivers.get_or_insert_with(coming.end, || Heard::nothing(coming.end, seen));
        }
        if let Some(heard) = self.receivers.get_mut(&coming.end) {
            heard.take(segment.end(), coming.forged);
        }
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, _seen: &mut Seen<'_>) {
        self.receivers.discard(&end);
    }

    fn at_quiescence(&mut self, nodes: &[NodeView], seen: &mut Seen<'_>) {
        for view in nodes.iter().filter(|view| view.up) {
            for conn in &view.connections {
                self.check(view.node, conn, seen);
            }
        }
    }
}

impl UnaLeNxt {
    fn check(&self, node: NodeId, view: &ConnView, seen: &mut Seen<'_>) {
        let Some(snd) = view.snd.filter(|snd| snd.una.gt(snd.nxt)) else { return };
        let text = format!(
            "snd.una {} has passed snd.nxt {} at {} ({}, {})",
            snd.una.since(snd.iss),
            snd.nxt.since(snd.iss),
            seen.names.socket(view.tuple.local),
            seen.names.node(node),
            view.state,
        );
        seen.violated(self, Some(node), None, text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{CLIENT, Dir, Plant, SERVER, ack, data, tuple};
    use super::*;
    use crate::endpoint::{SndView, State};

    #[test]
    fn an_acknowledgment_covers_what_came() {
        let mut plant = Plant::new(UnaLeNxt::default());
        plant.handshake();
        let n = plant.send(Dir::Up, data(1, 1, "abcd"));
        plant.pass(Dir::Down, ack(1, 1));
        plant.holds();
        plant.arrive(Dir::Up, n);
        plant.send(Dir::Down, ack(1, 5));
        plant.holds();
        plant.send(Dir::Up, data(5, 1, "efgh"));
        plant.send(Dir::Down, ack(1, 9));
        plant.breaks(&["server:80 in c1", "up to 9", "server > client #4", "below 5"]);
    }

    #[test]
    fn forgeries_bring_each_other_no_nearer() {
        let mut plant = Plant::new(UnaLeNxt::default());
        plant.handshake();
        // Each lies within 2^30 of the one before, and the last is half the space away from what is acknowledged.
        for seq in [0x3000_0000, 0x6000_0000, 0x9000_0000] {
            let n = plant.inject(Dir::Up, data(seq, 1, "x"));
            plant.arrive(Dir::Up, n);
            plant.send(Dir::Down, ack(1, 1));
        }
        plant.holds();
    }

    #[test]
    fn a_copy_of_a_forgery_is_one_too() {
        let mut plant = Plant::new(UnaLeNxt::default());
        plant.handshake();
        // Taken for the peer's own, the two would lead past the place from where 1 lies ahead.
        let forged = [0x6000_0000, 0xC000_0000].map(|seq| plant.inject_twice(Dir::Up, data(seq, 1, "x")));
        for n in forged.into_iter().chain(forged) {
            plant.arrive(Dir::Up, n);
        }
        plant.send(Dir::Down, ack(1, 1));
        plant.holds();
    }

    #[test]
    fn views_keep_the_order() {
        for (una, nxt, holds) in [(1, 1, true), (u32::MAX, 3, true), (4, 3, false)] {
            let mut plant = Plant::new(UnaLeNxt::default());
            let snd = SndView { iss: Seq(0), una: Seq(una), nxt: Seq(nxt), wnd: 1, cwnd: 1, queued: 0 };
            let (tuple, state) = (tuple(CLIENT), State::Established);
            let conn = ConnView { tuple, state, socket: None, snd: Some(snd), rcv: None };
            plant.rest(&[NodeView { node: SERVER, up: true, connections: vec![conn], listeners: Vec::new() }]);
            assert_eq!(plant.texts().is_empty(), holds);
        }
    }
}
