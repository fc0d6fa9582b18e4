use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::time::SimTime;
use crate::trace::{LinkId, Record};
use crate::wire::{Flags, Segment, Seq};
use std::num::NonZeroU64;

pub(super) const NAME: &str = "window";

/// No data beyond the right edge of any window that has reached the sender, but for a probe of one byte; and no end
/// moves the right edge of its own window to the left (RFC 9293 3.8.6, SHLD-14), in the order of its sending.
///
/// What a SYN-ACK offered may be taken back by less than a segment of either end: it may have been a SYN cookie, which keeps
/// no window.
/// An edge that is rounded to units of the window scale may fall back by less than one. What an end offers past its
/// peer's FIN, or after something happened to its host, is left alone.
#[derive(Default)]
pub struct Window {
    ends: Ends<Known>,
}

/// What an end knows of its peer's window, and what it has told of its own.
#[derive(Default)]
struct Known {
    own_shift: Shift,
    peer_shift: Shift,
    /// The window in the peer's first SYN, which acknowledges nothing.
    syn_window: Option<u16>,
    /// An acknowledgment has come: a SYN that comes now is an old one.
    is_past_syn: bool,
    /// The rightmost edge, and the packet that told it.
    edge: Option<Told>,
    has_exceeded: bool,
    /// The rightmost edge of its own, the packet that told it, and when.
    offered: Option<Told>,
    offered_at: SimTime,
    /// The greatest MSS in a SYN of its peer.
    peer_mss: u16,
    /// The edge that its own SYN-ACK told, and the MSS in it.
    syn_ack: Option<(Seq, u16)>,
    /// The number past the peer's FIN.
    fin: Option<Seq>,
    has_retracted: bool,
}

/// A right edge, and the packet that told it.
#[derive(Clone, Copy)]
struct Told {
    edge: Seq,
    link: LinkId,
    /// Packets of a link are counted from 1.
    n: NonZeroU64,
}

impl Told {
    fn by((link, n): (LinkId, u64), edge: Seq) -> Option<Told> {
        Some(Told { edge, link, n: NonZeroU64::new(n)? })
    }

    const fn packet(self) -> (LinkId, u64) {
        (self.link, self.n.get())
    }
}

const _: () = assert!(size_of::<Option<Known>>() <= 80, "there is one for each end in TIME-WAIT");

/// The window scale of an end's SYNs.
#[derive(Default)]
struct Shift {
    most: Option<u8>,
    seen: bool,
    /// Not all of its SYNs say the same.
    is_vague: bool,
}

impl Shift {
    fn tell(&mut self, syn: &Segment) {
        // RFC 7323 2.3: a shift above 14 counts as 14.
        let shift = syn.options.window_scale().map(|shift| shift.min(14));
        self.is_vague |= self.seen && shift != self.most;
        self.most = self.most.max(shift);
        self.seen = true;
    }
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

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        if segment.has(Flags::SYN) {
            self.ends.get_or_insert_with(sending.end, Known::default).own_shift.tell(segment);
        }
        if segment.has(Flags::RST) {
            return;
        }
        if segment.has(Flags::ACK) {
            self.offered(sending, seen);
        }
        // RFC 7413 4.2.1: data in a SYN goes ahead of any window.
        if !segment.has(Flags::SYN) && !segment.payload.is_empty() {
            self.filled(sending, seen);
        }
    }

    fn on_coming(&mut self, coming: &Coming<'_>, _seen: &mut Seen<'_>) {
        let segment = coming.segment;
        let is_syn = segment.has(Flags::SYN);
        if is_syn {
            self.ends.get_or_insert_with(coming.end, Known::default);
        }
        let Some(known) = self.ends.get_mut(&coming.end) else { return };
        if is_syn {
            known.peer_shift.tell(segment);
            known.peer_mss = known.peer_mss.max(segment.options.mss().unwrap_or(0));
            if !known.is_past_syn {
                known.syn_window = known.syn_window.max(Some(segment.window));
            }
        }
        known.is_past_syn |= segment.has(Flags::ACK);
        if segment.has(Flags::FIN) {
            known.fin = Some(segment.end());
        }
        // A SYN that came to another incarnation says nothing of this one's scale.
        if segment.has(Flags::ACK) && known.peer_shift.seen {
            let edge = right_edge(segment, &known.peer_shift, &known.own_shift).0;
            if known.edge.is_none_or(|told| edge.gt(told.edge)) {
                known.edge = Told::by(coming.packet, edge);
            }
        }
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, _seen: &mut Seen<'_>) {
        self.ends.discard(&end);
    }
}

impl Window {
    /// An end tells of its window.
    fn offered(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        let Some(known) = self.ends.get_mut(&sending.end) else { return };
        let (edge, unit) = right_edge(segment, &known.own_shift, &known.peer_shift);
        let fresh = (Told::by(sending.packet, edge), seen.now);
        if segment.has(Flags::SYN) {
            known.syn_ack = segment.options.mss().map(|mss| (edge, mss));
        }
        let Some(told) = known.offered.filter(|told| edge.lt(told.edge)) else {
            (known.offered, known.offered_at) = fresh;
            return;
        };
        let former = told.edge;
        let by = former.since(edge);
        // A SYN that counts for another incarnation says nothing of this one's scale.
        let is_vague = known.own_shift.is_vague || known.peer_shift.is_vague;
        let is_unsure = is_vague || !known.peer_shift.seen;
        let is_past_fin = known.fin.is_some_and(|fin| segment.ack.ge(fin));
        if seen.evidence.stirred_since(sending.node, known.offered_at) {
            (known.offered, known.offered_at) = fresh;
            return;
        }
        if by < unit || known.has_retracted || is_unsure || is_past_fin {
            return;
        }
        // Where the SYN-ACK was a cookie nobody remembers its window, and Linux rounds to segments anew.
        if known.syn_ack.is_some_and(|(edge, mss)| edge == former && by < mss.max(known.peer_mss).into()) {
            (known.offered, known.offered_at) = fresh;
            return;
        }
        known.has_retracted = true;
        sending.violates(self, seen, |seen| {
            let relative = |edge| sending.end.peer().relative(seen, edge);
            format!(
                "{} moved the right edge of its window from {} ({}) back to {} ({}), by {by} bytes",
                sending.end.describe(seen),
                relative(former),
                packet_name(seen, told.packet()),
                relative(edge),
                packet_name(seen, sending.packet),
            )
        });
    }

    /// An end sends data into its peer's window.
    fn filled(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        let Some(known) = self.ends.get_mut(&sending.end) else { return };
        let iss = seen.conns.get(sending.end.conn).and_then(|conn| conn.iss(sending.end.side));
        let first = known.syn_window.zip(iss).map(|(window, iss)| iss + 1 + u32::from(window));
        // Once left behind it must not come back when sequence numbers have gone half round.
        if let (Some(told), Some(first)) = (known.edge, first)
            && told.edge.ge(first)
        {
            known.syn_window = None;
        }
        let Some(edge) = (match (known.edge, first) {
            (Some(told), Some(first)) => Some(told.edge.max(first)),
            (Some(told), None) => Some(told.edge),
            // With no acknowledgment yet, the window of a Fast Open SYN is all there is.
            (None, first) => first,
        }) else {
            return;
        };
        let end = segment.seq + segment.payload.len();
        // RFC 9293 3.8.6.1: a probe of a closed window carries a byte of new data.
        let is_probe = segment.payload.len() == 1 && segment.seq == edge;
        if known.has_exceeded || !end.gt(edge) || is_probe {
            return;
        }
        known.has_exceeded = true;
        let told = known.edge.map_or_else(String::new, |told| format!(" by {}", packet_name(seen, told.packet())));
        sending.violates(self, seen, |seen| {
            format!(
                "{} sent data up to {} ({}), {} bytes beyond the right edge {} that it had been told{told}",
                sending.end.describe(seen),
                sending.end.relative(seen, end),
                packet_name(seen, sending.packet),
                end.since(edge),
                sending.end.relative(seen, edge),
            )
        });
    }
}

/// The right edge that `segment` tells, in units of how many bytes: `own` is the shift of its sender, `other` of its
/// receiver.
fn right_edge(segment: &Segment, own: &Shift, other: &Shift) -> (Seq, u32) {
    // RFC 7323 2.2: the window of a SYN is never scaled, and none is unless both SYNs have the option.
    let scaled = own.most.filter(|_| other.most.is_some());
    let shift = scaled.unwrap_or(0);
    let window = u32::from(segment.window) << if segment.has(Flags::SYN) { 0 } else { shift };
    (segment.ack + window, 1 << shift)
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, SERVER, ack, data, segment, syn, with_options};
    use super::*;
    use crate::endpoint::HostFault;
    use crate::trace::Disturbance;
    use crate::wire::TcpOption;

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
    fn a_window_that_closes_takes_nothing_back_and_may_be_probed() {
        let mut plant = open();
        plant.pass(Dir::Down, Segment { window: 0, ..ack(1, 1001) });
        plant.send(Dir::Up, data(1, 1, "in flight already"));
        plant.send(Dir::Up, data(1001, 1, "p"));
        plant.send(Dir::Up, data(0, 1, "k"));
        plant.holds();
        plant.send(Dir::Up, data(1002, 1, "q"));
        plant.breaks(&["2 bytes beyond"]);
    }

    #[test]
    fn an_end_that_takes_its_window_back_is_at_fault_and_not_its_peer() {
        let mut plant = open();
        plant.pass(Dir::Down, Segment { window: 400, ..ack(1, 601) });
        plant.holds();
        plant.pass(Dir::Down, Segment { window: 399, ..ack(1, 601) });
        plant.pass(Dir::Down, Segment { window: 0, ..ack(1, 601) });
        plant.send(Dir::Up, data(601, 1, &"x".repeat(400)));
        plant.breaks(&[
            "server:80 in c1",
            "from 1001 (server > client #2) back to 1000 (server > client #3), by 1 bytes",
        ]);
    }

    #[test]
    fn an_edge_is_rounded_to_units_of_its_scale() {
        let scale = [TcpOption::WindowScale(3)];
        for (acked, holds) in [(2, true), (1, false)] {
            let mut plant = Plant::new(Window::default());
            plant.pass(Dir::Up, with_options(syn(0), &scale));
            plant.pass(Dir::Down, with_options(segment(Flags::SYN | Flags::ACK, 0, 1, ""), &scale));
            plant.pass(Dir::Up, ack(1, 1));
            // 8001 at first; then 7994, or 7993.
            plant.pass(Dir::Down, ack(1, 1));
            plant.pass(Dir::Down, Segment { window: 999, ..ack(1, acked) });
            assert_eq!(plant.texts().is_empty(), holds);
        }
    }

    #[test]
    fn of_the_window_of_a_syn_ack_less_than_a_segment_may_be_taken_back() {
        for (window, holds) in [(8_541, true), (8_540, false)] {
            let mut plant = Plant::new(Window::default());
            let mss = [crate::wire::TcpOption::Mss(1_460)];
            plant.pass(Dir::Up, with_options(syn(0), &mss));
            let syn_ack = Segment { window: 10_000, ..segment(Flags::SYN | Flags::ACK, 0, 1, "") };
            plant.pass(Dir::Down, with_options(syn_ack, &mss));
            plant.pass(Dir::Up, ack(1, 1));
            plant.pass(Dir::Down, Segment { window, ..ack(1, 1) });
            assert_eq!(plant.texts().is_empty(), holds, "{window}");
        }
    }

    #[test]
    fn what_says_nothing_of_the_window_takes_nothing_back() {
        let mut plant = open();
        plant.send(Dir::Down, Segment { window: 0, ..segment(Flags::RST | Flags::ACK, 1, 1, "") });
        plant.inject(Dir::Down, Segment { window: 0, ..ack(1, 1) });
        plant.pass(Dir::Up, segment(Flags::FIN | Flags::ACK, 1, 1, ""));
        plant.send(Dir::Down, Segment { window: 0, ..ack(1, 2) });
        plant.holds();
        plant.send(Dir::Down, Segment { window: 0, ..ack(1, 1) });
        plant.breaks(&["server:80 in c1"]);
    }

    #[test]
    fn a_host_that_has_lost_its_state_owes_no_window() {
        let mut plant = open();
        plant.disturb(SERVER, Disturbance::Host(HostFault::Crash));
        plant.disturb(SERVER, Disturbance::Host(HostFault::Reboot { quiet: crate::time::Span::ZERO }));
        plant.send(Dir::Down, Segment { window: 0, ..ack(1, 1) });
        plant.holds();
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
