use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::endpoint::{Event, Shutdown, State};
use crate::few::Few;
use crate::map::Map;
use crate::time::SimTime;
use crate::trace::{Belongs, Call, CallKind, Called, ConnId, Done, LinkId, NodeId, Record, Seat, Side, StreamId, What};
use crate::wire::{Flags, Payload, Rope, Segment, Seq};

pub(super) const NAME: &str = "stream-integrity";

/// What an application reads is what the application at the other end wrote in the same incarnation, in order.
///
/// Checked where the applications of both ends are known by their socket calls. Urgent data, which leaves the stream,
/// and a 4-tuple whose next incarnation began before the former was accepted, end the check of that direction.
#[derive(Default)]
pub struct StreamIntegrity {
    /// By the writing end.
    flows: Ends<Flow>,
    /// The end that each named socket is, fixed when it is first seen.
    sockets: Map<StreamId, End>,
    /// The incarnation in which an accepting end last answered a SYN, by its seat.
    answered: Ends<ConnId, Seat>,
    /// Whether an application of a host has written on a socket that cannot be told apart.
    blind: Vec<bool>,
}

/// One direction of one incarnation.
#[derive(Default)]
struct Flow {
    /// Written and not read yet.
    ahead: Rope,
    written: u64,
    read: u64,
    /// The writing application's host, once it has made a call.
    writer: Option<NodeId>,
    has_reader: bool,
    /// The reader's socket is closed.
    is_closed: bool,
    /// It is checked no more.
    is_over: bool,
    /// The end of the stream may come early: an error, a reset, `SHUT_RD`.
    may_end_early: bool,
    /// The sequence number past the FIN, and whether the reader's end has acknowledged it.
    fin: Option<(Seq, bool)>,
    /// Data of other incarnations, or injected, that reached the reader; and the last data that did.
    strangers: Few<Brought>,
    latest: Few<Brought>,
}

/// A segment that brought data.
struct Brought {
    packet: (LinkId, u64),
    sent: SimTime,
    came: SimTime,
    /// The incarnation that it was sent in.
    conn: ConnId,
    forged: bool,
    seq: Seq,
    len: u32,
}

/// So many segments are remembered, to name the one that brought a wrong byte.
const REMEMBERED: usize = 8;

impl Oracle for StreamIntegrity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.8"
    }

    fn hears(&self) -> Hears {
        Hears::SENDINGS | Hears::TELLING | Hears::ENDED | Hears::CALLED
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        if let (What::Called(called), Some(node)) = (&record.what, record.node)
            && called.kind != CallKind::Blocking
        {
            self.called(node, called, seen);
        }
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        self.sent(sending, seen);
    }

    fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
        self.came(coming, seen.now);
    }

    fn on_done(&mut self, end: End, record: &Record<'_>, _seen: &mut Seen<'_>) {
        if let What::Noted { event: Event::Transition { to: State::Closed, error: Some(_), .. }, .. } = &record.what
            && let Some(flow) = self.flows.get_mut(&end.peer())
        {
            flow.may_end_early = true;
        }
    }
}

impl StreamIntegrity {
    fn sent(&mut self, sending: &Sending<'_>, seen: &Seen<'_>) {
        let (end, segment) = (sending.end, sending.segment);
        if segment.has(Flags::SYN | Flags::ACK) {
            self.answered(end, seen);
        }
        let (outgoing, incoming) = self.flows.both_mut(&end);
        if let Some(flow) = outgoing {
            flow.is_over |= segment.has(Flags::URG);
            flow.may_end_early |= segment.has(Flags::RST);
            if segment.has(Flags::FIN) && flow.fin.is_none() {
                flow.fin = Some((segment.end(), false));
            }
        }
        if let Some(flow) = incoming {
            flow.may_end_early |= segment.has(Flags::RST);
            if let Some((fin, is_acked)) = &mut flow.fin {
                *is_acked |= segment.has(Flags::ACK) && segment.ack.ge(*fin);
            }
        }
    }

    /// An end answers a SYN. Where nobody has accepted its former connection yet, nobody can tell which of the two
    /// an application is going to read.
    fn answered(&mut self, end: End, seen: &Seen<'_>) {
        let belongs = Belongs { conn: end.conn, from: end.side };
        let (Some(conn), Some(seat)) = (seen.conns.get(end.conn), seen.conns.seat(belongs)) else { return };
        let former = self.answered.insert(seat, end.conn).filter(|&former| former != end.conn);
        let Some(former) = former else { return };
        let local = if end.side == Side::Opener { conn.opener } else { conn.other };
        let Some(side) = seen.conns.get(former).map(|conn| conn.side_of(local)) else { return };
        // Where the flow is gone, both sockets are closed.
        let unread = self.flows.get(&End { conn: former, side: side.flipped() }).is_some_and(|flow| !flow.has_reader);
        if unread {
            for end in [end, end.peer()] {
                self.flow(end).is_over = true;
            }
        }
    }

    fn came(&mut self, coming: &Coming<'_>, now: SimTime) {
        let segment = coming.segment;
        let writer = coming.end.peer();
        if segment.has(Flags::RST) {
            for end in [coming.end, writer] {
                if let Some(flow) = self.flows.get_mut(&end) {
                    flow.may_end_early = true;
                }
            }
        }
        let is_stranger = coming.forged || coming.from != writer;
        if segment.payload.is_empty() && !segment.has(Flags::URG) {
            return;
        }
        if !is_stranger && !self.flows.contains(&writer) {
            return;
        }
        let flow = self.flow(writer);
        flow.is_over |= segment.has(Flags::URG);
        if segment.payload.is_empty() {
            return;
        }
        let seq = first_byte(segment);
        let brought = Brought {
            packet: coming.packet,
            sent: coming.sent,
            came: now,
            conn: coming.from.conn,
            forged: coming.forged,
            seq,
            len: segment.payload.len(),
        };
        let list = if is_stranger { &mut flow.strangers } else { &mut flow.latest };
        if list.len() == REMEMBERED {
            list.pop_front();
        }
        list.push_back(brought);
    }

    fn called(&mut self, node: NodeId, called: &Called, seen: &mut Seen<'_>) {
        let Some(result) = &called.result else { return };
        let Some(end) = self.end_of(called, seen) else {
            if let (Call::Send(_), Ok(Done::Count(1..)), None) = (&called.call, result, called.tuple) {
                self.make_blind(node);
            }
            return;
        };
        if called.tuple.is_some_and(|tuple| tuple.local == tuple.remote) || seen.evidence.is_clouded(end.conn) {
            return;
        }
        let (outgoing, incoming) = self.flows_of(end);
        outgoing.writer = Some(node);
        if let (Call::Send(data), Ok(Done::Count(n))) = (&called.call, result) {
            outgoing.wrote(data, *n);
        }
        incoming.has_reader = true;
        match (&called.call, result) {
            (Call::Recv { max: 0 }, _) => {}
            (Call::Recv { .. }, Ok(Done::Data(data))) if data.is_empty() => self.ended(node, end, seen),
            (Call::Recv { .. }, Ok(Done::Data(data))) => self.read(node, end, data, seen),
            (Call::Shutdown(Shutdown::Read | Shutdown::Both), Ok(_)) | (_, Err(_)) => incoming.may_end_early = true,
            (Call::Close | Call::Abort, Ok(_)) => self.closed(end, called.stream),
            _ => {}
        }
    }

    /// Which end makes this call.
    fn end_of(&mut self, called: &Called, seen: &Seen<'_>) -> Option<End> {
        let is_new = matches!(called.call, Call::Connect(_) | Call::Accept { .. });
        let bound = called.stream.filter(|_| !is_new).and_then(|stream| self.sockets.get(&stream).copied());
        if bound.is_some() {
            return bound;
        }
        let tuple = called.tuple?;
        let end = End::from(seen.conns.of(tuple.local, tuple.remote)?);
        if let Some(stream) = called.stream {
            self.sockets.insert(stream, end);
        }
        Some(end)
    }

    fn flow(&mut self, writer: End) -> &mut Flow {
        self.flows.get_or_insert_with(writer, Flow::default)
    }

    /// What an end writes, and what it reads.
    fn flows_of(&mut self, end: End) -> (&mut Flow, &mut Flow) {
        if !matches!(self.flows.both_mut(&end), (Some(_), Some(_))) {
            self.flow(end);
            self.flow(end.peer());
        }
        let (outgoing, incoming) = self.flows.both_mut(&end);
        (outgoing.expect("made above"), incoming.expect("made above"))
    }

    fn make_blind(&mut self, node: NodeId) {
        let index = node.0 as usize;
        if self.blind.len() <= index {
            self.blind.resize(index + 1, false);
        }
        self.blind[index] = true;
    }

    fn closed(&mut self, end: End, stream: Option<StreamId>) {
        if let Some(stream) = stream {
            self.sockets.remove(&stream);
        }
        let incoming = self.flow(end.peer());
        incoming.is_closed = true;
        incoming.ahead = Rope::new();
        if self.flow(end).is_closed {
            self.flows.discard(&end);
            self.flows.discard(&end.peer());
        }
    }

    fn read(&mut self, node: NodeId, end: End, data: &Payload, seen: &mut Seen<'_>) {
        let blind = &self.blind;
        let flow = self.flows.get_or_insert_with(end.peer(), Flow::default);
        if !flow.is_checked(blind) {
            // The places of later bytes are not known either.
            (flow.is_over, flow.ahead) = (true, Rope::new());
            return;
        }
        let start = flow.read;
        flow.read += u64::from(data.len());
        let Some((at, expected)) = flow.first_difference(data) else { return };
        flow.is_over = true;
        flow.ahead = Rope::new();
        let place = start + u64::from(at);
        let got = Payload::clone(data).slice(at..data.len());
        let expected = match expected {
            Some(expected) => format!("expected {}", excerpt(&expected)),
            None => format!("only {} bytes had been written", flow.written),
        };
        let brought = seen.conns.get(end.conn).and_then(|conn| conn.iss(end.peer().side)).and_then(|iss| {
            let offset = u32::try_from(place & u64::from(u32::MAX)).ok()?;
            flow.brought(iss + 1 + offset)
        });
        let packet = brought.map(|brought| brought.packet);
        let how = brought.map_or_else(String::new, |brought| brought.describe(end.conn, seen));
        let text = format!(
            "{} read {} at offset {place}, which the other end never wrote there in this connection: {expected}{how}",
            end.describe(seen),
            excerpt(&got),
        );
        seen.violated(self, Some(node), packet, text);
    }

    fn ended(&mut self, node: NodeId, end: End, seen: &mut Seen<'_>) {
        let Some(flow) = self.flows.get(&end.peer()) else { return };
        let is_final = flow.fin.is_some_and(|(_, is_acked)| is_acked) && !flow.may_end_early;
        if !is_final || flow.ahead.is_empty() || !flow.is_checked(&self.blind) {
            return;
        }
        let text = format!(
            "{} read the end of the stream after {} bytes, but the other end wrote {} and closed in order",
            end.describe(seen),
            flow.read,
            flow.written,
        );
        self.flow(end.peer()).is_over = true;
        seen.violated(self, Some(node), None, text);
    }
}

impl Flow {
    /// Whether what it carries can be checked, where the hosts in `blind` write unseen.
    fn is_checked(&self, blind: &[bool]) -> bool {
        let knows = |node: NodeId| !blind.get(node.0 as usize).is_some_and(|&blind| blind);
        !self.is_over && !self.is_closed && self.writer.is_some_and(knows)
    }

    fn wrote(&mut self, data: &Payload, n: u64) {
        let n = u32::try_from(n).unwrap_or(u32::MAX).min(data.len());
        self.written += u64::from(n);
        if !self.is_closed && !self.is_over {
            self.ahead.push(data.slice(0..n));
        }
    }

    /// Compares `data` with what comes next. Where they part: the place in `data`, and what should be there (nothing:
    /// more was read than written).
    fn first_difference(&mut self, data: &Payload) -> Option<(u32, Option<Payload>)> {
        let mut at = 0;
        while at < data.len() {
            let piece = self.ahead.take_piece((data.len() - at) as usize);
            if piece.is_empty() {
                return Some((at, None));
            }
            let same = data.slice(at..at + piece.len());
            if !same.same_bytes(&piece) {
                let offset = (0u32..).zip(same.iter().zip(piece.iter())).find(|(_, (a, b))| a != b)?.0;
                return Some((at + offset, Some(piece.slice(offset..piece.len()))));
            }
            at += piece.len();
        }
        None
    }

    /// The segment that brought the byte `seq`: a stranger if there is one.
    fn brought(&self, seq: Seq) -> Option<&Brought> {
        self.strangers.iter().chain(self.latest.iter().rev()).find(|brought| seq.within(brought.seq, brought.len))
    }
}

impl Brought {
    fn describe(&self, conn: ConnId, seen: &Seen<'_>) -> String {
        let packet = packet_name(seen, self.packet);
        let origin = match (self.forged, self.conn == conn) {
            (true, _) => "injected".to_owned(),
            (false, true) => "sent".to_owned(),
            (false, false) => format!("sent in {}", seen.conns.name(self.conn)),
        };
        format!("; it came with {packet}, {origin} at {}, arrived at {}", self.sent, self.came)
    }
}

/// The sequence number of the first byte of data.
fn first_byte(segment: &Segment) -> Seq {
    segment.seq + u32::from(segment.has(Flags::SYN))
}

/// The first bytes of `data`, quoted.
fn excerpt(data: &Payload) -> String {
    let head = &data[..data.len().min(16) as usize];
    format!("\"{}{}\"", head.escape_ascii(), if data.len() > 16 { "..." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::super::plant::{CLIENT, Dir, Plant, SERVER, ack, data, segment, syn};
    use super::*;
    use crate::endpoint::Errno;

    fn open() -> Plant<StreamIntegrity> {
        let mut plant = Plant::new(StreamIntegrity::default());
        connect(&mut plant);
        plant
    }

    fn connect(plant: &mut Plant<StreamIntegrity>) {
        plant.handshake();
        let known = Call::SetOption(crate::endpoint::SockOpt::NoDelay(true));
        plant.call(CLIENT, known.clone(), Ok(Done::Unit));
        plant.call(SERVER, known, Ok(Done::Unit));
    }

    #[test]
    fn what_is_read_is_what_was_written_in_other_pieces() {
        let mut plant = open();
        plant.write(CLIENT, "hello ");
        plant.write(CLIENT, "world");
        plant.read(SERVER, "hel");
        plant.read(SERVER, "lo wor");
        plant.write(SERVER, "yes");
        plant.read(CLIENT, "yes");
        plant.read(SERVER, "ld");
        plant.holds();
    }

    #[test]
    fn a_wrong_byte_is_named_with_the_segment_that_brought_it() {
        let mut plant = open();
        plant.write(CLIENT, "hello world");
        plant.pass(Dir::Up, data(1, 1, "hello w"));
        plant.pass(Dir::Up, data(8, 1, "orld"));
        plant.read(SERVER, "hello w");
        plant.read(SERVER, "orXd");
        plant.breaks(&[
            "server:80 in c1",
            "\"Xd\" at offset 9",
            "expected \"ld\"",
            "client > server #4, sent at 0.040000",
        ]);
        plant.read(SERVER, "more");
        plant.breaks(&["offset 9"]);
    }

    #[test]
    fn nothing_is_read_that_was_not_written() {
        let mut plant = open();
        plant.write(CLIENT, "ab");
        plant.read(SERVER, "abc");
        plant.breaks(&["\"c\" at offset 2", "only 2 bytes had been written"]);
    }

    #[test]
    fn an_old_segment_that_is_taken_in_a_new_incarnation_is_named() {
        let mut plant = Plant::new(StreamIntegrity::default());
        plant.handshake();
        let held = plant.send(Dir::Up, data(0x1_0001, 1, "old!"));
        plant.pass(Dir::Up, syn(0x1_0000));
        plant.pass(Dir::Down, segment(Flags::SYN | Flags::ACK, 0x2_0000, 0x1_0001, ""));
        plant.call(CLIENT, Call::Connect("10.0.0.2:80".parse().unwrap()), Ok(Done::Unit));
        plant.call(SERVER, Call::SetOption(crate::endpoint::SockOpt::NoDelay(true)), Ok(Done::Unit));
        plant.write(CLIENT, "new!");
        plant.arrive(Dir::Up, held);
        plant.read(SERVER, "old!");
        let came = "it came with client > server #3, sent in c1 at 0.030000, arrived at 0.050000";
        plant.breaks(&["server:80 in c2", "expected \"new!\"", came]);
    }

    #[test]
    fn the_stream_ends_after_its_last_byte() {
        let fin = |seq| segment(Flags::FIN | Flags::ACK, seq, 1, "");
        for (acked, read, holds) in [(8, "abcdef", true), (8, "abc", false), (7, "abc", true)] {
            let mut plant = open();
            plant.write(CLIENT, "abcdef");
            plant.pass(Dir::Up, data(1, 1, "abcdef"));
            plant.pass(Dir::Up, fin(7));
            plant.pass(Dir::Down, ack(1, acked));
            plant.read(SERVER, read);
            plant.read(SERVER, "");
            if holds { plant.holds() } else { plant.breaks(&["after 3 bytes", "wrote 6"]) }
        }
    }

    #[test]
    fn errors_and_shutdown_end_a_stream_early() {
        for cut in [
            (Call::Shutdown(Shutdown::Read), Ok(Done::Unit)),
            (Call::Send("x".into()), Err(Errno::EPIPE)),
            (Call::Recv { max: 9 }, Err(Errno::ECONNRESET)),
        ] {
            let mut plant = open();
            plant.write(CLIENT, "abcdef");
            plant.pass(Dir::Up, segment(Flags::FIN | Flags::ACK, 1, 1, "abcdef"));
            plant.pass(Dir::Down, ack(1, 8));
            plant.call(SERVER, cut.0, cut.1);
            plant.read(SERVER, "");
            plant.holds();
        }
        let mut plant = open();
        plant.write(CLIENT, "abcdef");
        plant.pass(Dir::Up, segment(Flags::FIN | Flags::ACK, 1, 1, "abcdef"));
        plant.pass(Dir::Down, ack(1, 8));
        plant.call(SERVER, Call::Recv { max: 0 }, Ok(Done::Data(Payload::EMPTY)));
        plant.pass(Dir::Up, segment(Flags::RST, 8, 0, ""));
        plant.read(SERVER, "");
        plant.holds();
    }

    #[test]
    fn an_unknown_writer_and_urgent_data_are_left_alone() {
        let mut plant = Plant::new(StreamIntegrity::default());
        plant.handshake();
        plant.read(SERVER, "from a stack without socket calls");
        plant.write(CLIENT, "too late");
        plant.read(SERVER, "too soon");
        plant.holds();
        let mut plant = open();
        plant.write(CLIENT, "abc");
        plant.pass(Dir::Up, segment(Flags::ACK | Flags::URG, 1, 1, "abc"));
        plant.read(SERVER, "ab");
        plant.write(CLIENT, "def");
        plant.read(SERVER, "def");
        plant.holds();
    }

    #[test]
    fn a_connection_that_nobody_accepted_before_the_next_began_is_left_alone() {
        let mut plant = Plant::new(StreamIntegrity::default());
        plant.handshake();
        plant.write(CLIENT, "first");
        plant.pass(Dir::Up, syn(0x1_0000));
        plant.pass(Dir::Down, segment(Flags::SYN | Flags::ACK, 0x2_0000, 0x1_0001, ""));
        plant.write(CLIENT, "second");
        plant.read(SERVER, "first");
        plant.holds();
    }
}
