//! Every state × every kind of segment × every place of its number × every acknowledgment, against the rules of
//! RFC 9293 3.10.7 with RFC 5961, written down once more and independently of the code under test.

use super::end::{End, Machine};
use super::script::{OURS, THEIRS, segment};
use wirefate::endpoint::State;
use wirefate::tcp::{Knobs, Setup};
use wirefate::time::{Span, ms};
use wirefate::wire::{Flags, Segment, Seq};

const WINDOW: u32 = 1_000;
const DATA: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Syn,
    SynAck,
    Ack,
    FinAck,
    Rst,
    RstAck,
    Data,
}

const KINDS: [Kind; 7] = [Kind::Syn, Kind::SynAck, Kind::Ack, Kind::FinAck, Kind::Rst, Kind::RstAck, Kind::Data];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    OutsideLeft,
    LeftEdge,
    Inside,
    RightEdge,
    OutsideRight,
}

const PLACES: [Place; 5] = [Place::OutsideLeft, Place::LeftEdge, Place::Inside, Place::RightEdge, Place::OutsideRight];

/// Where the acknowledgment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    /// SND.UNA: nothing new.
    Old,
    /// SND.NXT: everything.
    All,
    /// One past SND.NXT.
    Unsent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    SynSent,
    /// Passive.
    HalfOpen,
    /// Simultaneous.
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

const STARTS: [Start; 10] = [
    Start::SynSent,
    Start::HalfOpen,
    Start::SynReceived,
    Start::Established,
    Start::FinWait1,
    Start::FinWait2,
    Start::CloseWait,
    Start::Closing,
    Start::LastAck,
    Start::TimeWait,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    Ack,
    SynAck,
    Reset,
}

impl Kind {
    fn flags(self) -> Flags {
        match self {
            Kind::Syn => Flags::SYN,
            Kind::SynAck => Flags::SYN | Flags::ACK,
            Kind::Ack => Flags::ACK,
            Kind::FinAck => Flags::FIN | Flags::ACK,
            Kind::Rst => Flags::RST,
            Kind::RstAck => Flags::RST | Flags::ACK,
            Kind::Data => Flags::ACK | Flags::PSH,
        }
    }
}

impl Start {
    fn state(self) -> State {
        match self {
            Start::SynSent => State::SynSent,
            Start::HalfOpen | Start::SynReceived => State::SynReceived,
            Start::Established => State::Established,
            Start::FinWait1 => State::FinWait1,
            Start::FinWait2 => State::FinWait2,
            Start::CloseWait => State::CloseWait,
            Start::Closing => State::Closing,
            Start::LastAck => State::LastAck,
            Start::TimeWait => State::TimeWait,
        }
    }

    /// Octets of the peer's sequence space that have been taken: its SYN, its FIN.
    fn taken(self) -> u32 {
        match self {
            Start::SynSent => 0,
            Start::CloseWait | Start::Closing | Start::LastAck | Start::TimeWait => 2,
            _ => 1,
        }
    }

    /// `(SND.UNA, SND.NXT)`, relative.
    fn sent(self) -> (u32, u32) {
        match self {
            Start::SynSent | Start::HalfOpen | Start::SynReceived => (0, 1),
            Start::Established | Start::CloseWait => (1, 1),
            Start::FinWait1 | Start::Closing | Start::LastAck => (1, 2),
            Start::FinWait2 | Start::TimeWait => (2, 2),
        }
    }

    /// An end in this state, by the shortest way.
    fn reach(self) -> End {
        let setup = Setup { rcv_buf: WINDOW, ..Setup::default() };
        let mut end = End::new((1000, 80), OURS, Knobs { delayed_ack: Span::ZERO, ..Knobs::default() }, setup);
        let way: &[&str] = match self {
            Start::SynSent => &["open"],
            Start::HalfOpen => &["listen", "S 0:0(0)"],
            Start::SynReceived => &["open", "S 0:0(0)"],
            Start::Established => &["open", "S. 0:0(0) ack 1"],
            Start::FinWait1 => &["open", "S. 0:0(0) ack 1", "close"],
            Start::FinWait2 => &["open", "S. 0:0(0) ack 1", "close", ". 1:1(0) ack 2"],
            Start::CloseWait => &["open", "S. 0:0(0) ack 1", "F. 1:1(0) ack 1"],
            Start::Closing => &["open", "S. 0:0(0) ack 1", "close", "F. 1:1(0) ack 1"],
            Start::LastAck => &["open", "S. 0:0(0) ack 1", "F. 1:1(0) ack 1", "close"],
            Start::TimeWait => &["open", "S. 0:0(0) ack 1", "close", "F. 1:1(0) ack 2"],
        };
        for step in way {
            match *step {
                "open" => end.open(),
                "listen" => end.machine = Machine::Listen,
                "close" => end.verb(|conn, cx| conn.close(cx)),
                text => end.arrive(&segment(text)),
            }
        }
        assert_eq!(end.state(), self.state());
        end.out.clear();
        end
    }
}

/// What RFC 9293 3.10.7.3 and 3.10.7.4 say, with RFC 5961.
fn rule(start: Start, kind: Kind, place: Place, acks: Acks) -> (Answer, State) {
    let stay = start.state();
    let (has_ack, is_rst) = (kind.flags().contains(Flags::ACK), matches!(kind, Kind::Rst | Kind::RstAck));
    if start == Start::SynSent {
        return match (has_ack, acks, kind) {
            (true, Acks::Old | Acks::Unsent, Kind::RstAck) => (Answer::Nothing, stay),
            (true, Acks::Old | Acks::Unsent, _) => (Answer::Reset, stay),
            (_, _, Kind::RstAck) => (Answer::Nothing, State::Closed),
            (_, _, Kind::SynAck) => (Answer::Ack, State::Established),
            (_, _, Kind::Syn) => (Answer::SynAck, State::SynReceived),
            _ => (Answer::Nothing, stay),
        };
    }
    // First: the number. MAY-2 comes before it: TIME-WAIT takes a SYN beyond RCV.NXT for a new connection.
    let beyond = matches!(place, Place::Inside | Place::RightEdge | Place::OutsideRight);
    if start == Start::TimeWait && kind == Kind::Syn && beyond {
        return (Answer::SynAck, State::SynReceived);
    }
    // The first one; `empty_segments_outside_the_window_are_answered_twice_a_second` is about more of them.
    if matches!(place, Place::OutsideLeft | Place::OutsideRight) {
        return (if is_rst { Answer::Nothing } else { Answer::Ack }, stay);
    }
    // Second: RST.
    if is_rst {
        return match (place, start) {
            (Place::LeftEdge, Start::HalfOpen) => (Answer::Nothing, State::Listen),
            (Place::LeftEdge, _) => (Answer::Nothing, State::Closed),
            _ => (Answer::Ack, stay),
        };
    }
    // Fourth: SYN.
    if matches!(kind, Kind::Syn | Kind::SynAck) {
        return if start == Start::HalfOpen { (Answer::Nothing, State::Listen) } else { (Answer::Ack, stay) };
    }
    // Fifth: ACK.
    let (una, nxt) = start.sent();
    if matches!(start, Start::HalfOpen | Start::SynReceived) && acks != Acks::All {
        return (Answer::Reset, stay);
    }
    if acks == Acks::Unsent {
        return (Answer::Ack, stay);
    }
    let all = acks == Acks::All || una == nxt;
    let after = match (stay, all) {
        (State::SynReceived, _) => State::Established,
        (State::FinWait1, true) => State::FinWait2,
        (State::Closing, true) => return (Answer::Nothing, State::TimeWait),
        (State::LastAck, true) => return (Answer::Nothing, State::Closed),
        _ => stay,
    };
    // Seventh and eighth: text and FIN, in the states that still expect them.
    if !matches!(after, State::Established | State::FinWait1 | State::FinWait2) || kind == Kind::Ack {
        return (Answer::Nothing, after);
    }
    let next = match (kind, place, after) {
        (Kind::FinAck, Place::LeftEdge, State::Established) => State::CloseWait,
        (Kind::FinAck, Place::LeftEdge, State::FinWait1) => State::Closing,
        (Kind::FinAck, Place::LeftEdge, _) => State::TimeWait,
        _ => after,
    };
    (Answer::Ack, next)
}

fn built(start: Start, kind: Kind, place: Place, acks: Acks) -> Segment {
    let first = THEIRS + start.taken();
    let last = THEIRS + 1 + WINDOW - 1;
    let seq = match place {
        Place::OutsideLeft => first - 2 * DATA,
        Place::LeftEdge => first,
        Place::Inside => first + WINDOW / 2,
        Place::RightEdge => last,
        Place::OutsideRight => last + 1,
    };
    let (una, nxt) = start.sent();
    let ack = OURS + [una, nxt, nxt + 1][acks as usize];
    let payload = if kind == Kind::Data { vec![7; DATA as usize].into() } else { Default::default() };
    let ack = if kind.flags().contains(Flags::ACK) { ack } else { Seq(0) };
    Segment { src_port: 80, dst_port: 1000, seq, ack, flags: kind.flags(), window: 500, payload, ..Segment::default() }
}

fn answer_of(out: &[Segment], seg: &Segment) -> Answer {
    let Some(first) = out.first() else { return Answer::Nothing };
    assert_eq!(out.len(), 1, "one segment is answered by at most one: {out:?}");
    if first.has(Flags::RST) {
        assert_eq!((first.seq, first.flags), (seg.ack, Flags::RST), "<SEQ=SEG.ACK><CTL=RST>");
        return Answer::Reset;
    }
    if first.has(Flags::SYN) { Answer::SynAck } else { Answer::Ack }
}

#[test]
fn every_state_answers_every_segment_as_the_rules_say() {
    let mut cases = 0;
    for start in STARTS {
        for kind in KINDS {
            for place in PLACES {
                for acks in [Acks::Old, Acks::All, Acks::Unsent] {
                    let seg = built(start, kind, place, acks);
                    let mut end = start.reach();
                    end.arrive(&seg);
                    let got = (answer_of(&end.out, &seg), end.state());
                    assert_eq!(got, rule(start, kind, place, acks), "{start:?} × {kind:?} × {place:?} × {acks:?}");
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 10 * 7 * 5 * 3);
}

#[test]
fn challenge_acks_are_limited() {
    let mut end = Start::Established.reach();
    for n in 0..20 {
        end.arrive(&built(Start::Established, Kind::Rst, Place::Inside, Acks::All));
        assert_eq!(end.out.len(), (n + 1).min(10), "10 in 5 s, the default of the knob");
    }
    end.now += wirefate::secs(5);
    end.arrive(&built(Start::Established, Kind::Rst, Place::Inside, Acks::All));
    assert_eq!(end.out.len(), 11);
}

#[test]
fn empty_segments_outside_the_window_are_answered_twice_a_second() {
    for start in STARTS.into_iter().skip_while(|start| *start != Start::Established) {
        let mut end = start.reach();
        let mut arrive = |after, kind, place| {
            end.now += after;
            end.out.clear();
            end.arrive(&built(start, kind, place, Acks::Old));
            end.out.len()
        };
        assert_eq!(arrive(ms(0), Kind::Ack, Place::OutsideLeft), 1, "{start:?}");
        assert_eq!(arrive(ms(0), Kind::Ack, Place::OutsideRight), 0, "{start:?}");
        // What occupies sequence numbers may be a retransmission whose acknowledgment was lost.
        assert_eq!(arrive(ms(0), Kind::Data, Place::OutsideLeft), 1, "{start:?}");
        assert_eq!(arrive(ms(0), Kind::FinAck, Place::OutsideLeft), 1, "{start:?}");
        assert_eq!(arrive(ms(499), Kind::Ack, Place::OutsideLeft), 0, "{start:?}");
        assert_eq!(arrive(ms(1), Kind::Ack, Place::OutsideLeft), 1, "{start:?}");
        assert_eq!(arrive(ms(499), Kind::Ack, Place::OutsideRight), 0, "{start:?}");
    }
}

#[test]
fn without_the_limit_every_empty_segment_outside_the_window_is_answered() {
    for start in [Start::Established, Start::TimeWait] {
        let mut end = start.reach();
        end.knobs.empty_answers = Span::ZERO;
        for n in 1..=20 {
            end.arrive(&built(start, Kind::Ack, Place::OutsideLeft, Acks::Old));
            assert_eq!(end.out.len(), n, "{start:?}");
        }
    }
}

#[test]
fn the_acknowledgment_may_be_old_by_one_window_and_no_more() {
    let ack =
        |ack: Seq| Segment { ack, window: 500, ..built(Start::Established, Kind::Data, Place::LeftEdge, Acks::All) };
    // MAX.SND.WND is 65535, from the SYN-ACK.
    for (old, taken) in [(65_535, 100), (65_536, 0)] {
        let mut end = Start::Established.reach();
        end.arrive(&ack(OURS + 1 - old));
        assert_eq!((end.received.len(), end.out.len()), (taken, 1), "{old} behind");
    }
}
