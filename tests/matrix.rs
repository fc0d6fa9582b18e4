//! The table of states and segments: what our host does, held against RFC 9293 3.10.7 and RFC 5961.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[cfg(feature = "cli")]
use std::process::Command;
use wirefate::endpoint::{Attach, ConnView, Cx, Endpoint, Errno, IfaceId, ListenView, Readiness, Sockets, State};
use wirefate::host::{Host, HostConfig, Profile, Teaching};
use wirefate::matrix::{Diagram, Diff, Kind, Matrix, NotReached, Outcome, SegAck, SegSeq};
use wirefate::tcp::Handshake;
use wirefate::time::HostTime;
use wirefate::wire::{Body, Flags, Packet, Segment};
use wirefate::{Link, Sim, ms};

const SYNCHRONIZED: [State; 7] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

const WINDOW: [SegSeq; 3] = [SegSeq::LeftEdge, SegSeq::Inside, SegSeq::RightEdge];
const OUTSIDE: [SegSeq; 2] = [SegSeq::OutsideLeft, SegSeq::OutsideRight];

fn host(config: HostConfig) -> impl Fn() -> Box<dyn Endpoint> {
    move || Box::new(Host::new(config.clone(), 1).unwrap())
}

fn subject() -> HostConfig {
    HostConfig::named("subject").profile(Profile::Rfc9293)
}

fn plain() -> Matrix {
    Matrix::of(host(subject()))
}

/// What the RFCs say of some experiments: `reply` and `next`.
struct Book(Matrix);

impl Book {
    fn outcome(&self, state: State, kind: Kind, seq: SegSeq, ack: SegAck) -> &Outcome {
        self.0.outcome(state, kind, seq, ack).unwrap_or_else(|| panic!("{state} was not reached"))
    }

    fn says(&self, state: State, kind: Kind, seqs: &[SegSeq], acks: &[SegAck], reply: &str, next: State) {
        for &seq in seqs {
            for &ack in acks {
                let outcome = self.outcome(state, kind, seq, ack);
                let replies: Vec<String> = outcome.replies.iter().map(ToString::to_string).collect();
                let place = format!("{kind} in {state}, SEG.SEQ {}, SEG.ACK {}", seq.name(), ack.name());
                assert_eq!((replies.join("; ").as_str(), outcome.state), (reply, Some(next)), "{place}");
            }
        }
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`.
    fn challenge(&self, state: State) -> String {
        let numbers = self.0.block(state).unwrap().start.as_ref().unwrap().numbers;
        let ((_, snd), (rcv, _)) = (numbers.snd.unwrap(), numbers.rcv.unwrap());
        format!(". {snd}:{snd}(0) ack {rcv}")
    }
}

#[test]
fn each_profile() {
    for profile in Profile::ALL {
        let matrix = Matrix::of(host(HostConfig::named("subject").profile(profile)));
        let text = |range: std::ops::Range<usize>| {
            matrix.blocks[range].iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        // In the order of the states, up to ESTABLISHED and from there; SYN-RECEIVED is there twice.
        for (half, range) in [("opening", 0..6), ("closing", 6..12)] {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_suffix(format!("{profile}-{half}"));
            settings.set_omit_expression(true);
            settings.bind(|| insta::assert_snapshot!("each_profile", text(range)));
        }
    }
}

#[test]
fn every_experiment_is_made_and_shown_once() {
    let matrix = plain();
    let states = matrix.blocks.iter().filter(|block| !block.crossed).map(|block| block.state);
    assert_eq!((states.collect::<Vec<_>>(), matrix.blocks.len()), (State::ALL.to_vec(), 12));
    for block in &matrix.blocks {
        assert_eq!(block.cells.len(), Kind::ALL.len() * SegSeq::ALL.len() * SegAck::ALL.len());
        for cell in &block.cells {
            let rows = block.rows();
            let of_it: Vec<_> = rows.iter().filter(|row| row.has(cell.kind, cell.seq, cell.ack)).collect();
            assert_eq!(of_it.len(), 1, "{} {cell:?}", block.state);
            assert_eq!(of_it[0].value, cell.outcome);
        }
    }
}

// RFC 9293 3.10.7.1.
#[test]
fn closed_resets_everything_but_resets() {
    let book = Book(plain());
    for (kind, reply) in [
        (Kind::Syn, "R. 0:0(0) ack 1"),
        (Kind::SynFin, "R. 0:0(0) ack 2"),
        (Kind::Fin, "R. 0:0(0) ack 1"),
        (Kind::SynAck, "R seg.ack"),
        (Kind::Ack, "R seg.ack"),
        (Kind::Data, "R seg.ack"),
        (Kind::Rst, ""),
        (Kind::RstAck, ""),
    ] {
        book.says(State::Closed, kind, &SegSeq::ALL, &SegAck::ALL, reply, State::Closed);
    }
}

// RFC 9293 3.10.7.2.
#[test]
fn listen_takes_a_syn_and_resets_what_acknowledges() {
    let book = Book(plain());
    let says = |kind, reply, next| book.says(State::Listen, kind, &SegSeq::ALL, &SegAck::ALL, reply, next);
    says(Kind::Rst, "", State::Listen);
    says(Kind::RstAck, "", State::Listen);
    says(Kind::Ack, "R seg.ack", State::Listen);
    says(Kind::SynAck, "R seg.ack", State::Listen);
    says(Kind::Syn, "S. 0:0(0) ack 1", State::SynReceived);
}

// RFC 9293 3.10.7.3.
#[test]
fn syn_sent_looks_at_the_acknowledgment_first() {
    let book = Book(plain());
    let says = |kind, acks: &[SegAck], reply, next| book.says(State::SynSent, kind, &SegSeq::ALL, acks, reply, next);
    let (good, bad) = ([SegAck::Acceptable], [SegAck::Old, SegAck::Beyond]);
    says(Kind::SynAck, &good, ". 1:1(0) ack 1", State::Established);
    says(Kind::SynAck, &bad, "R seg.ack", State::SynSent);
    says(Kind::Ack, &bad, "R seg.ack", State::SynSent);
    says(Kind::Ack, &good, "", State::SynSent);
    says(Kind::Rst, &SegAck::ALL, "", State::SynSent);
    says(Kind::RstAck, &bad, "", State::SynSent);
    says(Kind::RstAck, &good, "", State::Closed);
    says(Kind::Syn, &SegAck::ALL, "S. 0:0(0) ack 1", State::SynReceived);
    let refused = book.outcome(State::SynSent, Kind::RstAck, SegSeq::Inside, SegAck::Acceptable).view.unwrap();
    assert_eq!((refused.call, refused.result), ("connect", Err(Errno::ECONNREFUSED)));
    assert!(refused.readiness.contains(Readiness::ERROR | Readiness::HUP));
}

// RFC 9293 3.10.7.4 for SYN-RECEIVED after a passive open.
#[test]
fn syn_received_goes_back_to_listen_or_on() {
    let book = Book(plain());
    let says = |kind, seqs: &[SegSeq], acks: &[SegAck], reply, next| {
        book.says(State::SynReceived, kind, seqs, acks, reply, next);
    };
    says(Kind::Rst, &[SegSeq::LeftEdge], &SegAck::ALL, "", State::Listen);
    says(Kind::Rst, &OUTSIDE, &SegAck::ALL, "", State::SynReceived);
    says(Kind::SynAck, &WINDOW, &SegAck::ALL, "", State::Listen);
    says(Kind::Ack, &WINDOW, &[SegAck::Acceptable], "", State::Established);
    says(Kind::Ack, &WINDOW, &[SegAck::Old, SegAck::Beyond], "R seg.ack", State::SynReceived);
    says(Kind::Fin, &WINDOW, &SegAck::ALL, "", State::SynReceived);
    says(Kind::FinAck, &[SegSeq::LeftEdge], &[SegAck::Acceptable], ". 1:1(0) ack 2", State::CloseWait);
}

// RFC 9293 3.10.7.4, second, where the SYNs crossed: "the connection was refused ... signal the user".
#[test]
fn a_reset_after_crossing_syns_is_a_refusal() {
    let matrix = plain();
    let block = matrix.blocks.iter().find(|block| block.crossed).unwrap();
    let resets = |seq| block.cells.iter().filter(move |cell| cell.kind == Kind::Rst && cell.seq == seq);
    for cell in resets(SegSeq::LeftEdge) {
        assert_eq!((cell.outcome.state, &cell.outcome.replies[..]), (Some(State::Closed), &[][..]));
        assert_eq!(cell.outcome.view.unwrap().result, Err(Errno::ECONNREFUSED));
    }
    assert!(resets(SegSeq::Inside).all(|cell| cell.outcome.state == Some(State::SynReceived)));
    let acks = block.cells.iter().filter(|cell| (cell.kind, cell.seq) == (Kind::Ack, SegSeq::LeftEdge));
    let next: Vec<_> = acks.map(|cell| cell.outcome.state.unwrap()).collect();
    assert_eq!(next, [State::SynReceived, State::Established, State::SynReceived]);
}

// RFC 5961 3.2: exact resets, in the window challenges, outside it nothing.
#[test]
fn only_an_exact_reset_ends_a_connection() {
    let book = Book(plain());
    for state in SYNCHRONIZED {
        let challenge = book.challenge(state);
        for kind in [Kind::Rst, Kind::RstAck] {
            book.says(state, kind, &[SegSeq::LeftEdge], &SegAck::ALL, "", State::Closed);
            book.says(state, kind, &[SegSeq::Inside, SegSeq::RightEdge], &SegAck::ALL, &challenge, state);
            book.says(state, kind, &OUTSIDE, &SegAck::ALL, "", state);
        }
    }
    let reset = book.outcome(State::Established, Kind::Rst, SegSeq::LeftEdge, SegAck::Old).view.unwrap();
    assert_eq!((reset.call, reset.result), ("recv", Err(Errno::ECONNRESET)));
}

// RFC 5961 4.2: "irrespective of the sequence number, TCP MUST send a challenge ACK". TIME-WAIT may take a new one:
// RFC 9293 3.6.1, MAY-2.
#[test]
fn a_syn_is_challenged_wherever_it_lies() {
    let book = Book(plain());
    for state in SYNCHRONIZED {
        let challenge = book.challenge(state);
        book.says(state, Kind::SynAck, &SegSeq::ALL, &SegAck::ALL, &challenge, state);
        if state == State::TimeWait {
            let new = [SegSeq::Inside, SegSeq::RightEdge, SegSeq::OutsideRight];
            book.says(state, Kind::Syn, &new, &SegAck::ALL, "S. 0:0(0) ack 1", State::SynReceived);
            book.says(state, Kind::Syn, &[SegSeq::OutsideLeft], &SegAck::ALL, &challenge, state);
        } else {
            book.says(state, Kind::Syn, &SegSeq::ALL, &SegAck::ALL, &challenge, state);
        }
    }
}

// RFC 9293 3.10.7.4, first: "an acknowledgment should be sent in reply (unless the RST bit is set ...)".
#[test]
fn what_lies_outside_the_window_is_acknowledged_and_dropped() {
    let book = Book(plain());
    for state in SYNCHRONIZED {
        for kind in [Kind::Ack, Kind::Fin, Kind::FinAck, Kind::Data, Kind::Urg] {
            book.says(state, kind, &OUTSIDE, &SegAck::ALL, &book.challenge(state), state);
        }
    }
}

// Fifth to eighth.
#[test]
fn acknowledgments_and_fins_lead_on() {
    let book = Book(plain());
    let (edge, good, old) = ([SegSeq::LeftEdge], [SegAck::Acceptable], [SegAck::Old]);
    for state in SYNCHRONIZED {
        book.says(state, Kind::Fin, &WINDOW, &SegAck::ALL, "", state);
        book.says(state, Kind::Ack, &WINDOW, &[SegAck::Beyond], &book.challenge(state), state);
    }
    book.says(State::Established, Kind::FinAck, &edge, &good, ". 100:100(0) ack 101", State::CloseWait);
    book.says(State::FinWait1, Kind::Ack, &WINDOW, &good, "", State::FinWait2);
    book.says(State::FinWait1, Kind::FinAck, &edge, &good, ". 101:101(0) ack 101", State::TimeWait);
    book.says(State::FinWait1, Kind::FinAck, &edge, &old, ". 101:101(0) ack 101", State::Closing);
    book.says(State::FinWait2, Kind::FinAck, &edge, &good, ". 101:101(0) ack 101", State::TimeWait);
    book.says(State::Closing, Kind::Ack, &WINDOW, &good, "", State::TimeWait);
    book.says(State::LastAck, Kind::Ack, &WINDOW, &good, "", State::Closed);
    // Eighth, TIME-WAIT: "Acknowledge it, and restart the 2 MSL timeout."
    let again = book.outcome(State::TimeWait, Kind::FinAck, SegSeq::OutsideLeft, SegAck::Acceptable);
    assert!(again.restarts);
    let data = book.outcome(State::Established, Kind::Data, SegSeq::LeftEdge, SegAck::Acceptable);
    assert_eq!(data.view.unwrap().result, Ok(5));
    // RFC 9293 3.8.6.3, MUST-40: delayed by less than half a second.
    assert_eq!(data.replies[0].text, ". 100:100(0) ack 105");
    assert!(data.replies[0].after < ms(500));
}

#[test]
fn no_reset_answers_a_reset() {
    for block in plain().blocks {
        for cell in block.cells.iter().filter(|cell| cell.kind.flags().contains(Flags::RST)) {
            assert!(cell.outcome.replies.iter().all(|reply| !reply.flags.contains(Flags::RST)), "{cell:?}");
        }
    }
}

#[test]
fn a_setting_that_no_segment_sees_makes_no_difference() {
    let other = Matrix::of(host(subject().sysctl("net.ipv4.tcp_fin_timeout", 7)));
    let diff = Diff::of(("as it is", &plain()), ("shorter", &other));
    assert_eq!((diff.counts, diff.differences.len(), diff.missing.len()), ((0, 1800), 0, 0));
}

#[test]
fn a_handshake_of_two_segments_differs_where_a_syn_arrives() {
    let teaching = Teaching { handshake: Handshake::TwoWay, ..Teaching::default() };
    let other = Matrix::of(host(subject().teaching(teaching)));
    insta::assert_snapshot!(Diff::of(("three-way", &plain()), ("two-way", &other)));
}

#[test]
fn every_difference_between_two_profiles_has_its_rule() {
    let of = |profile| Matrix::of(host(HostConfig::named("subject").profile(profile)));
    let all = Profile::ALL.map(|profile| (profile, of(profile)));
    for (left, ours) in &all {
        for (right, theirs) in &all {
            let diff = Diff::of_profiles((*left, ours), (*right, theirs));
            assert_eq!(diff.differences.is_empty(), left == right, "{left} and {right}");
            for difference in &diff.differences {
                assert!(difference.rule.starts_with("RFC 9293 "), "{difference:?}");
                let sources = difference.sources.iter();
                assert!(sources.clone().all(|source| [*left, *right].contains(&source.profile)), "{difference:?}");
                assert!(sources.len() > 0, "{left} and {right}: no line of theirs says why: {difference:?}");
            }
        }
    }
}

#[test]
fn a_later_acknowledgment_is_cited() {
    let of = |profile| Matrix::of(host(HostConfig::named("subject").profile(profile)));
    let (ours, linux) = (of(Profile::Rfc9293), of(Profile::Linux));
    let diff = Diff::of_profiles((Profile::Rfc9293, &ours), (Profile::Linux, &linux));
    let data = diff.differences.iter().find(|it| it.state == State::Established && it.row.kinds == [Kind::Data]);
    let data = data.expect("the two delay differently");
    assert_eq!(data.rule, "RFC 9293 3.8.6.3 (SHLD-18, MUST-40)");
    let cited: Vec<_> = data.sources.iter().map(|source| (source.profile, source.behaviour.name)).collect();
    assert_eq!(cited, [(Profile::Rfc9293, "delayed ACK"), (Profile::Linux, "delayed ACK")]);
}

/// A TCP as it was before RFC 5961: a reset anywhere in the window ends the connection. Whether it shows its state is
/// a matter of taste.
struct Old {
    host: Host,
    shows: bool,
}

impl Endpoint for Old {
    fn on_attach(&mut self, cx: &mut Cx<'_>, attach: &Attach) {
        self.host.on_attach(cx, attach);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        let mut packet = packet.clone();
        if let Body::Tcp(segment) = &mut packet.body
            && segment.has(Flags::RST)
        {
            self.host.connections(&mut |view| {
                if let Some(rcv) = view.rcv.filter(|_| view.tuple.remote.port() == segment.src_port)
                    && segment.seq.within(rcv.nxt, rcv.wnd)
                {
                    segment.seq = rcv.nxt;
                }
            });
        }
        self.host.on_packet(cx, iface, &packet);
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        self.host.on_timeout(cx);
    }

    fn next_timeout(&self) -> Option<HostTime> {
        self.host.next_timeout()
    }

    fn sockets(&mut self) -> Option<&mut dyn Sockets> {
        self.host.sockets()
    }

    fn shows_state(&self) -> bool {
        self.shows
    }

    fn connections(&self, visit: &mut dyn FnMut(ConnView)) {
        self.host.connections(visit);
    }

    fn listeners(&self, visit: &mut dyn FnMut(ListenView)) {
        self.host.listeners(visit);
    }
}

fn old(shows: bool) -> Matrix {
    Matrix::of(move || Box::new(Old { host: Host::new(subject(), 1).unwrap(), shows }))
}

#[test]
fn a_foreign_stack_differs_where_it_is_old() {
    let diff = Diff::of(("rfc9293", &plain()), ("before RFC 5961", &old(true)));
    assert!(diff.counts.0 > 0);
    for difference in &diff.differences {
        let row = &difference.row;
        assert!(row.kinds.iter().all(|kind| kind.flags().contains(Flags::RST)), "{difference:?}");
        assert_eq!(row.seqs, [SegSeq::Inside, SegSeq::RightEdge]);
        assert!(row.value.1.replies.is_empty());
        assert!(difference.rule.contains("RFC 5961 3.2"));
    }
    let established = diff.differences.iter().find(|difference| difference.state == State::Established).unwrap();
    assert_eq!(established.row.value.1.state, Some(State::Closed));
}

#[test]
fn a_stack_that_shows_no_state_is_known_by_what_it_says() {
    let (blind, seeing) = (old(false), old(true));
    for (blind, seeing) in blind.blocks.iter().zip(&seeing.blocks) {
        assert!(blind.start.is_ok(), "{}: {:?}", blind.state, blind.start);
        for (blind, seeing) in blind.cells.iter().zip(&seeing.cells) {
            assert_eq!(blind.outcome.state, None);
            assert_eq!(blind.outcome.replies, seeing.outcome.replies);
            assert_eq!(blind.outcome.view, seeing.outcome.view);
        }
    }
    // What is not shown does not differ.
    assert_eq!(Diff::of(("blind", &blind), ("seeing", &seeing)).counts, (0, 1800));
    assert!(blind.to_string().contains("  ?  "), "{blind}");
}

/// It answers everything with a reset, and has no sockets.
struct Wall;

impl Endpoint for Wall {
    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        let Some(segment) = packet.segment() else { return };
        let (src_port, dst_port) = (segment.dst_port, segment.src_port);
        let reset = Segment { src_port, dst_port, flags: Flags::RST, seq: segment.ack, ..Segment::default() };
        cx.send(iface, Packet::new(packet.dst, packet.src, Body::Tcp(reset)));
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }
}

#[test]
fn an_endpoint_without_sockets_is_always_closed() {
    let matrix = Matrix::of(|| Box::new(Wall));
    for block in &matrix.blocks {
        match block.state {
            State::Closed => assert_eq!(block.cells.len(), 150),
            _ => assert_eq!(block.start, Err(NotReached::NoSockets)),
        }
    }
    let text = matrix.to_string();
    assert!(text.contains("LISTEN: not reached: the endpoint offers no sockets\n"), "{text}");
    let diff = Diff::of(("rfc9293", &plain()), ("wall", &matrix));
    assert_eq!((diff.missing.len(), diff.counts.1), (11, 150));
    assert_eq!(diff.missing[0], "LISTEN: wall: the endpoint offers no sockets");
    assert!(diff.differences.iter().any(|difference| difference.row.kinds.contains(&Kind::Rst)));
}

#[test]
fn the_diagram_has_the_ways_of_rfc_9293() {
    let diagram = Diagram::of(&plain());
    // RFC 9293 3.3.2, figure 5, and its note 2; SYN-RECEIVED -> FIN-WAIT-1 is a close before `accept` has given a
    // socket to close.
    use State::*;
    for (from, to) in [
        (Closed, Listen),
        (Closed, SynSent),
        (Listen, Closed),
        (Listen, SynReceived),
        (SynSent, Closed),
        (SynSent, SynReceived),
        (SynSent, Established),
        (SynReceived, Listen),
        (SynReceived, Established),
        (Established, FinWait1),
        (Established, CloseWait),
        (FinWait1, FinWait2),
        (FinWait1, Closing),
        (FinWait1, TimeWait),
        (FinWait2, TimeWait),
        (CloseWait, LastAck),
        (Closing, TimeWait),
        (LastAck, Closed),
        (TimeWait, Closed),
    ] {
        assert!(diagram.edges.iter().any(|edge| (edge.from, edge.to) == (from, to)), "{from} -> {to}:\n{diagram}");
    }
    insta::assert_snapshot!(diagram);
}

#[test]
fn the_ways_of_a_run_are_marked() {
    let mut sim = Sim::new(1);
    let [client, server] = sim.hosts(["client", "server"]);
    sim.link(client, server, Link::new().delay(ms(20)));
    sim.listen(server, 80);
    let conn = sim.connect(client, server, 80);
    sim.close(conn);
    sim.run();
    let mut diagram = Diagram::of(&plain());
    diagram.mark(&sim);
    let taken: Vec<(State, State, u32)> =
        diagram.edges.iter().filter(|edge| edge.taken > 0).map(|edge| (edge.from, edge.to, edge.taken)).collect();
    use State::*;
    assert_eq!(
        taken,
        [
            (Closed, SynSent, 1),
            (Listen, SynReceived, 1),
            (SynSent, Established, 1),
            (SynReceived, Established, 1),
            (Established, FinWait1, 1),
            (Established, CloseWait, 1),
            (FinWait1, FinWait2, 1),
            (FinWait2, TimeWait, 1),
            (CloseWait, LastAck, 1),
            (LastAck, Closed, 1),
            (TimeWait, Closed, 1),
        ]
    );
    let dot = diagram.dot("a \"run\"");
    assert!(dot.starts_with("digraph states {\n  label=\"a \\\"run\\\"\";\n") && dot.ends_with("}\n"));
    assert_eq!(dot.matches("penwidth=3").count(), taken.len());
    assert_eq!(dot.matches(" -> ").count(), diagram.edges.len());
}

#[test]
fn a_passive_open_that_fails_goes_back_to_listen() {
    let mut sim = Sim::new(1);
    let [client, server] = sim.hosts(["client", "server"]);
    sim.link(client, server, Link::new().delay(ms(20)));
    sim.listen(server, 80);
    sim.run_for(ms(1));
    let (from, to) = (sim.addr(client).unwrap(), sim.addr(server).unwrap());
    let syn = Segment { src_port: 5_000, dst_port: 80, flags: Flags::SYN, ..Segment::default() };
    // The client knows nothing of this SYN, and resets what answers it.
    sim.inject(client, server, Packet::new(from, to, Body::Tcp(syn)));
    sim.run();
    let mut diagram = Diagram::of(&plain());
    diagram.mark(&sim);
    let taken = diagram.edges.iter().filter(|edge| edge.taken > 0).map(|edge| (edge.from, edge.to));
    let ways = [(State::Listen, State::SynReceived), (State::SynReceived, State::Listen)];
    assert_eq!(taken.collect::<Vec<_>>(), ways);
}

#[cfg(feature = "cli")]
fn wirefate(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_wirefate")).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[cfg(feature = "cli")]
#[test]
fn the_commands_print_what_the_library_makes() {
    assert_eq!(wirefate(&["matrix", "--profile", "rfc9293"]), (Some(0), plain().to_string(), String::new()));
    let (code, text, _) = wirefate(&["matrix", "--diff", "rfc9293", "rfc9293"]);
    assert_eq!((code, text.as_str()), (Some(0), "rfc9293 and rfc9293: 0 of 1800 experiments differ, in 0 rows\n"));
    let (code, text, _) = wirefate(&["matrix", "--profile", "rfc9293", "--state", "time-wait"]);
    assert_eq!((code, text), (Some(0), plain().block(State::TimeWait).unwrap().to_string()));
    let (code, text, _) = wirefate(&["states", "--dot", "--run", "simultaneous-close"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("\"FIN-WAIT-1\" -> \"CLOSING\" [label=\"rcv FIN-ACK / .\\n2 times\", color=\"#1f5fa8\""),
        "{text}"
    );
}

#[cfg(feature = "cli")]
#[test]
fn the_ways_of_a_run_are_marked_in_the_diagram_of_any_profile() {
    for profile in Profile::ALL {
        let (code, text, _) =
            wirefate(&["states", "--profile", profile.name(), "--dot", "--run", "simultaneous-close"]);
        assert_eq!((code, text.matches("penwidth=3").count()), (Some(0), 8), "{profile}\n{text}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    for (args, name) in [
        (&["matrix", "--profile", "solaris"][..], "solaris"),
        (&["matrix", "--diff", "rfc9293", "solaris"], "solaris"),
        (&["states", "--profile", "solaris"], "solaris"),
        (&["matrix", "--state", "OPEN"], "OPEN"),
        (&["states", "--run", "no-such-story"], "no-such-story"),
    ] {
        let (code, out, error) = wirefate(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(error.contains(&format!("`{name}`")) && error.contains("help: "), "{error}");
    }
    let (_, _, error) = wirefate(&["matrix", "--profile", "solaris"]);
    for profile in Profile::ALL {
        assert!(error.contains(profile.name()), "{error}");
    }
}
