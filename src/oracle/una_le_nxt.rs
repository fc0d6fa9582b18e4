use super::ends::Ends;
use super::evidence::{Coming, End, Sending, Sight, ended, packet_name};
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
    end: Option<Seq>,
    is_reported: bool,
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

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        match seen.sight {
            Some(Sight::Sent(sending)) => self.sent(&sending, seen),
            Some(Sight::Came(coming)) => self.came(&coming, seen),
            None => {
                if let Some(end) = ended(record) {
                    self.receivers.remove(&end);
                }
            }
        }
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
    fn came(&mut self, coming: &Coming<'_>, seen: &Seen<'_>) {
        let segment = coming.segment;
        if segment.has(Flags::SYN) {
            let heard = || Heard { end: first_of_peer(coming.end, seen), is_reported: false };
            self.receivers.get_or_insert_with(coming.end, heard);
        }
        if let Some(heard) = self.receivers.get_mut(&coming.end) {
            // No window reaches further than 2^30 (RFC 7323 2.3): what a forger sends from beyond is never taken, and
            // would pass for the later one half of the time.
            let is_near = |end: Seq| segment.end().since(end) <= 1 << 30;
            match heard.end {
                None if coming.forged => {}
                Some(end) if coming.forged && !is_near(end) => {}
                end => heard.end = Some(end.map_or(segment.end(), |end| end.max(segment.end()))),
            }
        }
    }

    fn sent(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        if segment.has(Flags::SYN) {
            let heard = || Heard { end: first_of_peer(sending.end, seen), is_reported: false };
            self.receivers.get_or_insert_with(sending.end, heard);
        }
        if !segment.has(Flags::ACK) || segment.has(Flags::RST) {
            return;
        }
        let Some(heard) = self.receivers.get_mut(&sending.end) else { return };
        let Some(end) = heard.end.filter(|&end| segment.ack.gt(end) && !heard.is_reported) else { return };
        heard.is_reported = true;
        let text = format!(
            "{} acknowledged everything up to {} ({}), but only what lies below {} ever came",
            sending.end.describe(seen),
            sending.end.peer().relative(seen, segment.ack),
            packet_name(seen, sending.packet),
            sending.end.peer().relative(seen, end),
        );
        seen.violated(self, Some(sending.node), Some(sending.packet), text);
    }

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

/// What may be acknowledged in any case: the SYN of the other end, wherever it was counted.
fn first_of_peer(end: End, seen: &Seen<'_>) -> Option<Seq> {
    let iss = seen.conns.get(end.conn)?.iss(end.peer().side)?;
    Some(iss + 1)
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
