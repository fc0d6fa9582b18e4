use super::ends::Ends;
use super::evidence::{Coming, Sending, Sight, ended, packet_name};
use super::{Hears, Oracle, Seen};
use crate::trace::{LinkId, Record};
use crate::wire::{Flags, Seq};

pub(super) const NAME: &str = "window";

/// No data beyond the right edge of any window that has reached the sender, but for a probe of one byte.
#[derive(Default)]
pub struct Window {
    senders: Ends<Sender>,
}

/// What a sender knows of its peer's window.
#[derive(Default)]
struct Sender {
    /// The shifts of the SYNs, ours and the peer's, where they carry the option.
    own_shift: Option<u8>,
    peer_shift: Option<u8>,
    /// The window in the peer's first SYN, which acknowledges nothing.
    syn_window: Option<u16>,
    /// The rightmost edge, and the packet that told it.
    edge: Option<(Seq, (LinkId, u64))>,
    is_reported: bool,
}

impl Oracle for Window {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.8.6"
    }

    fn hears(&self) -> Hears {
        Hears::SEGMENTS | Hears::ENDED
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        match seen.sight {
            Some(Sight::Sent(sending)) => self.sent(&sending, seen),
            Some(Sight::Came(coming)) => self.came(&coming),
            None => {
                if let Some(end) = ended(record) {
                    self.senders.remove(&end);
                }
            }
        }
    }
}

impl Window {
    fn came(&mut self, coming: &Coming<'_>) {
        let segment = coming.segment;
        let is_syn = segment.has(Flags::SYN);
        if is_syn {
            self.senders.get_or_insert_with(coming.end, Sender::default);
        }
        let Some(sender) = self.senders.get_mut(&coming.end) else { return };
        if is_syn {
            sender.peer_shift = sender.peer_shift.max(segment.options.window_scale());
            sender.syn_window = sender.syn_window.max(Some(segment.window));
        }
        if segment.has(Flags::ACK) {
            // RFC 7323 2.2: the window of a SYN is never scaled; 2.3: a shift above 14 counts as 14.
            let shift = match (sender.own_shift, sender.peer_shift) {
                (Some(_), Some(shift)) if !is_syn => shift.min(14),
                _ => 0,
            };
            let edge = segment.ack + (u32::from(segment.window) << shift);
            if sender.edge.is_none_or(|(known, _)| edge.gt(known)) {
                sender.edge = Some((edge, coming.packet));
            }
        }
    }

    fn sent(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        if segment.has(Flags::SYN) {
            let sender = self.senders.get_or_insert_with(sending.end, Sender::default);
            sender.own_shift = sender.own_shift.max(segment.options.window_scale());
            // RFC 7413 4.2.1: data in a SYN goes ahead of any window.
            return;
        }
        if segment.payload.is_empty() || segment.has(Flags::RST) {
            return;
        }
        let Some(sender) = self.senders.get_mut(&sending.end) else { return };
        let iss = seen.conns.get(sending.end.conn).and_then(|conn| conn.iss(sending.end.side));
        let first = sender.syn_window.zip(iss).map(|(window, iss)| iss + 1 + u32::from(window));
        // Once left behind it must not come back when sequence numbers have gone half round.
        if let (Some((edge, _)), Some(first)) = (sender.edge, first)
            && edge.ge(first)
        {
            sender.syn_window = None;
        }
        let Some(edge) = (match (sender.edge, first) {
            (Some((edge, _)), Some(first)) => Some(edge.max(first)),
            (Some((edge, _)), None) => Some(edge),
            // With no acknowledgment yet, the window of a Fast Open SYN is all there is.
            (None, first) => first,
        }) else {
            return;
        };
        let end = segment.seq + segment.payload.len();
        // RFC 9293 3.8.6.1: a probe of a closed window carries a byte of new data.
        let is_probe = segment.payload.len() == 1 && segment.seq == edge;
        if sender.is_reported || !end.gt(edge) || is_probe {
            return;
        }
        sender.is_reported = true;
        let told = sender.edge.map_or_else(String::new, |(_, packet)| format!(" by {}", packet_name(seen, packet)));
        let text = format!(
            "{} sent data up to {} ({}), {} bytes beyond the right edge {} that it had been told{told}",
            sending.end.describe(seen),
            sending.end.relative(seen, end),
            packet_name(seen, sending.packet),
            end.since(edge),
            sending.end.relative(seen, edge),
        );
        seen.violated(self, Some(sending.node), Some(sending.packet), text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, ack, data, segment, syn, with_options};
    use super::*;
    use crate::wire::{Segment, TcpOption};

    fn open() -> Plant<Window> {
        let mut plant = Plant::new(Window::default());
        plant.handshake();
        plant
    }

    #[test]
    fn data_fills_the_window_and_no_more() {
        let mut plant = open();
        plant.pass(Dir::Up, data(1, 1, &"x".repeat(1000)));
        plant.holds();
        plant.pass(Dir::Up, data(1001, 1, "yz"));
        plant.breaks(&["up to 1003", "client > server #4", "2 bytes beyond", "edge 1001", "server > client #1"]);
    }

    #[test]
    fn an_edge_counts_once_it_has_arrived() {
        let mut plant = open();
        let n = plant.send(Dir::Down, ack(1, 501));
        plant.wait(crate::time::ms(1));
        let mut early = open();
        early.send(Dir::Down, ack(1, 501));
        early.send(Dir::Up, data(1001, 1, &"x".repeat(500)));
        early.breaks(&["500 bytes beyond"]);
        plant.arrive(Dir::Down, n);
        plant.send(Dir::Up, data(1001, 1, &"x".repeat(500)));
        plant.holds();
    }

    #[test]
    fn a_window_that_shrinks_takes_nothing_back_and_may_be_probed() {
        let mut plant = open();
        plant.pass(Dir::Down, Segment { window: 0, ..ack(1, 1) });
        plant.send(Dir::Up, data(1, 1, "in flight already"));
        plant.send(Dir::Up, data(1001, 1, "p"));
        plant.send(Dir::Up, data(0, 1, "k"));
        plant.holds();
        plant.send(Dir::Up, data(1002, 1, "q"));
        plant.breaks(&["2 bytes beyond"]);
    }

    #[test]
    fn windows_are_scaled_where_both_syns_say_so() {
        let scale = [TcpOption::WindowScale(2)];
        for (ours, holds) in [(&scale[..], true), (&[], false)] {
            let mut plant = Plant::new(Window::default());
            plant.pass(Dir::Up, with_options(syn(0), ours));
            plant.pass(Dir::Down, with_options(segment(Flags::SYN | Flags::ACK, 0, 1, ""), &scale));
            plant.pass(Dir::Up, ack(1, 1));
            plant.pass(Dir::Down, ack(1, 1));
            plant.send(Dir::Up, data(3001, 1, &"x".repeat(1000)));
            assert_eq!(plant.texts().is_empty(), holds);
        }
    }

    #[test]
    fn the_window_of_a_syn_does_not_come_back_half_a_round_later() {
        let mut plant = Plant::new(Window::default());
        plant.handshake();
        for at in [0x4000_0000, 0x7000_0000, 0x9000_0000] {
            plant.pass(Dir::Down, ack(1, at));
            plant.send(Dir::Up, data(at, 1, "ab"));
        }
        plant.holds();
    }
}
