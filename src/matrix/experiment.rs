use super::cell::{Cell, Kind, Outcome, Reply, SegAck, SegSeq, View};
use super::moves::{Move, moves};
use super::reach::{Place, reach};
use super::stage::{NO_ISS, NotReached, PEER_ISS, Stage};
use crate::endpoint::{Endpoint, MsgFlags, State};
use crate::time::{HostTime, Span, ms};
use crate::wire::{Flags, Notation, Rope, Segment, SegmentText, Seq};

/// How long an answer may take: RFC 9293 3.8.6.3 delays an acknowledgment by less than half a second.
const PATIENCE: Span = ms(500);

/// What one endpoint does with every kind of segment in every state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// One for each state, in the order of their lives; SYN-RECEIVED has a second one.
    pub blocks: Vec<Block>,
}

/// What it does in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which.
    pub state: State,
    /// Whether this is SYN-RECEIVED after SYN-SENT: both ends connected at once. The other one comes of LISTEN.
    pub crossed: bool,
    /// What it was like there before anything came, or why it could not be brought there.
    pub start: Result<Start, NotReached>,
    /// Every experiment: kinds, then places of SEG.SEQ, then places of SEG.ACK.
    pub cells: Vec<Cell>,
    /// The ways out that are no segments: the user's calls, and timers.
    pub moves: Vec<Move>,
}

/// An endpoint in a state, before the experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its sequence numbers.
    pub numbers: Numbers,
    /// What its application sees; nothing where there is none.
    pub view: Option<View>,
}

/// The numbers that the experiments point at, relative to the initial ones; nothing where the state has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// SND.UNA and SND.NXT.
    pub snd: Option<(u32, u32)>,
    /// RCV.NXT and RCV.NXT + RCV.WND.
    pub rcv: Option<(u32, u32)>,
}

impl Matrix {
    /// The matrix of the endpoints that `make` makes, a fresh one for each experiment.
    pub fn of(make: impl Fn() -> Box<dyn Endpoint>) -> Matrix {
        Matrix { blocks: Place::all().into_iter().map(|place| block(&make, place)).collect() }
    }

    /// What it does in `state`; in SYN-RECEIVED, after a passive open.
    pub fn block(&self, state: State) -> Option<&Block> {
        self.blocks.iter().find(|block| block.state == state)
    }

    /// What came of one experiment.
    pub fn outcome(&self, state: State, kind: Kind, seq: SegSeq, ack: SegAck) -> Option<&Outcome> {
        let cells = &self.block(state)?.cells;
        cells.iter().find(|cell| (cell.kind, cell.seq, cell.ack) == (kind, seq, ack)).map(|cell| &cell.outcome)
    }
}

fn block(make: &dyn Fn() -> Box<dyn Endpoint>, place: Place) -> Block {
    let mut cells = Vec::new();
    let start = control(make, place).and_then(|control| {
        for kind in Kind::ALL {
            for seq in SegSeq::ALL {
                for ack in SegAck::ALL {
                    cells.push(experiment(make, place, &control, (kind, seq, ack))?);
                }
            }
        }
        Ok(control.start)
    });
    let Place { state, crossed } = place;
    Block { state, crossed, start, cells, moves: moves(make, place) }
}

/// What happens where nothing comes, and when: retransmissions are no answers.
struct Control {
    start: Start,
    sent: Vec<(HostTime, Segment)>,
}

fn control(make: &dyn Fn() -> Box<dyn Endpoint>, place: Place) -> Result<Control, NotReached> {
    let mut stage = reach(make, place)?;
    let numbers = Places::of(&stage, place.state).numbers(&stage, place.state);
    stage.sent.clear();
    stage.wait(PATIENCE)?;
    let sent = stage.sent.clone();
    Ok(Control { start: Start { numbers, view: view(&mut stage, place.state) }, sent })
}

fn experiment(
    make: &dyn Fn() -> Box<dyn Endpoint>,
    place: Place,
    control: &Control,
    (kind, seq, ack): (Kind, SegSeq, SegAck),
) -> Result<Cell, NotReached> {
    let mut stage = reach(make, place)?;
    let state = place.state;
    let segment = Places::of(&stage, state).segment(kind, seq, ack);
    let (began, iss) = (stage.now(), stage.iss);
    stage.sent.clear();
    (stage.why, stage.restarts) = (None, false);
    stage.deliver(segment.clone());
    let (after, why, restarts) = (stage.state(), stage.why, stage.restarts);
    stage.wait(PATIENCE)?;
    let same = |a: &Segment, b: &Segment| (a.flags, a.seq, a.payload.len()) == (b.flags, b.seq, b.payload.len());
    let due = |at: HostTime, sent: &Segment| control.sent.iter().any(|(when, old)| *when <= at && same(old, sent));
    let fresh = stage.sent.iter().filter(|(at, sent)| *at == began || !due(*at, sent));
    let replies = fresh.map(|(at, sent)| Reply {
        after: at.since(began),
        flags: sent.flags,
        text: notation(sent, &segment, iss, state),
    });
    let replies = replies.collect();
    let outcome = Outcome { replies, state: after, restarts, view: view(&mut stage, state) };
    Ok(Cell { kind, seq, ack, outcome, why })
}

/// The numbers of a stage as they stand in headers.
struct Places {
    snd_una: Seq,
    snd_nxt: Seq,
    rcv_nxt: Seq,
    rcv_end: Seq,
}

impl Places {
    fn of(stage: &Stage, state: State) -> Places {
        // Where a state has no numbers, any will do; these look like those of a connection.
        let snd_nxt = if stage.iss.is_some() { stage.snd_nxt } else { NO_ISS };
        // Of what was sent, SYN and FIN are all that is still in flight.
        let in_flight =
            matches!(state, State::SynSent | State::SynReceived | State::FinWait1 | State::Closing | State::LastAck);
        let has_window = has_irs(state);
        Places {
            snd_una: snd_nxt - u32::from(in_flight),
            snd_nxt,
            rcv_nxt: stage.peer_nxt,
            rcv_end: if has_window { stage.rcv_end } else { stage.peer_nxt + u32::from(u16::MAX) },
        }
    }

    fn segment(&self, kind: Kind, seq: SegSeq, ack: SegAck) -> Segment {
        let urgent = u16::try_from(kind.data().len()).unwrap_or(0);
        let mut segment = Segment {
            flags: kind.flags(),
            window: u16::MAX,
            urgent: if kind == Kind::Urg { urgent } else { 0 },
            payload: kind.data().into(),
            ..Segment::default()
        };
        segment.seq = match seq {
            SegSeq::OutsideLeft => self.rcv_nxt - segment.seq_len().max(1),
            SegSeq::LeftEdge => self.rcv_nxt,
            SegSeq::Inside => self.rcv_nxt + 10,
            SegSeq::RightEdge => self.rcv_end - 1,
            SegSeq::OutsideRight => self.rcv_end,
        };
        segment.ack = match ack {
            SegAck::Old => self.snd_una - 1,
            SegAck::Acceptable => self.snd_nxt,
            SegAck::Beyond => self.snd_nxt + 1,
        };
        segment
    }

    fn numbers(&self, stage: &Stage, state: State) -> Numbers {
        let snd = stage.iss.map(|iss| (self.snd_una.since(iss), self.snd_nxt.since(iss)));
        let rcv = has_irs(state).then(|| (self.rcv_nxt.since(PEER_ISS), self.rcv_end.since(PEER_ISS)));
        Numbers { snd, rcv }
    }
}

/// Whether the state knows the peer's sequence numbers.
fn has_irs(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::SynSent)
}

/// What the subject sent, relative to the connection that `segment` was for.
pub(super) fn notation(sent: &Segment, segment: &Segment, iss: Option<Seq>, state: State) -> String {
    if sent.has(Flags::RST) && !sent.has(Flags::ACK) && segment.has(Flags::ACK) && sent.seq == segment.ack {
        return "R seg.ack".to_owned();
    }
    let is_new = sent.has(Flags::SYN) && Some(sent.seq) != iss;
    let seq_base = match iss {
        _ if is_new => sent.seq,
        // RFC 9293 3.10.7.1: "if the ACK bit is off, sequence number zero is used".
        _ if sent.has(Flags::RST) && sent.seq == Seq(0) => Seq(0),
        Some(iss) => iss,
        None => Seq(0),
    };
    let ack_base = if has_irs(state) && !is_new { PEER_ISS } else { segment.seq };
    let notation = Notation { seq_base, ack_base, options: false, window: false };
    SegmentText::of(sent, notation).to_string()
}

/// What the application sees when it makes its next call.
fn view(stage: &mut Stage, state: State) -> Option<View> {
    // Before `accept` there is nothing but the listener.
    let listens = stage.socket.is_none();
    let socket = stage.socket.or(stage.listener)?;
    let readiness = stage.call(|s, _| Ok(s.readiness(socket)))?.ok()?;
    let (call, result) = if listens {
        ("accept", stage.call(|s, cx| s.accept(cx, socket).map(|_| 0))?)
    } else if matches!(state, State::SynSent | State::SynReceived) {
        let to = stage.service();
        ("connect", stage.call(|s, cx| s.connect(cx, socket, to).map(|()| 0))?)
    } else {
        ("recv", stage.call(|s, cx| s.recv(cx, socket, 65_536, MsgFlags::empty(), &mut Rope::new()))?)
    };
    Some(View { readiness, call, result })
}
