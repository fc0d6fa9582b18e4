//! Synthetic runs for the tests of the renderings: records as an engine would give them, without one.

use super::{
    Arrived, Call, CallKind, Called, Conns, Done, Header, LinkId, LinkName, Names, NodeId, Record, Sent, StreamId,
    Trace, Verdict, What,
};
use crate::endpoint::{Arrival, Event, State, TimerChange, TimerKind, Tuple};
use crate::net::{Fate, Loss};
use crate::time::{SimTime, Span, ms, secs};
use crate::wire::{Body, Packet, Payload, Segment, SegmentText, Seq};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A run being written down.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) header: Header,
    pub(super) names: Names,
    pub(super) conns: Conns,
    pub(super) records: VecDeque<Record<'static>>,
    pub(super) verdict: Option<Verdict>,
    pub(super) now: Span,
    counts: [u64; 2],
}

pub(super) const CLIENT: NodeId = NodeId(0);
pub(super) const SERVER: NodeId = NodeId(1);
/// The first sequence numbers of the two hosts' first connection.
const ISS: [Seq; 2] = [Seq(1000), Seq(9000)];
const SYN_OPTIONS: &str = "<mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>";

pub(super) fn lost(name: &str) -> Fate {
    Fate::Lost(Loss::Fault(Some(name.to_owned())))
}

pub(super) fn after(span: Span) -> Fate {
    Fate::Delivered(span)
}

impl Sample {
    /// A client and a server, linked both ways, and the sockets `:80`, `c1` and `s1`.
    pub(super) fn new() -> Sample {
        let mut names = Names::default();
        let link = |from: &str, to: &str| LinkName { from: from.to_owned(), to: to.to_owned() };
        names.nodes = vec!["client".to_owned(), "server".to_owned()];
        names.links = vec![link("client", "server"), link("server", "client")];
        names.streams = vec![":80".to_owned(), "c1".to_owned(), "s1".to_owned()];
        names.addrs = vec![(tuple(CLIENT).local.ip(), CLIENT), (tuple(SERVER).local.ip(), SERVER)];
        let header = Header { sim: "lost-syn".to_owned(), seed: 37, ..Header::default() };
        let (conns, records) = (Conns::default(), VecDeque::new());
        Sample { header, names, conns, records, verdict: None, now: Span::ZERO, counts: [0; 2] }
    }

    pub(super) fn trace(&self) -> Trace<'_> {
        let Sample { header, names, conns, records, verdict, .. } = self;
        Trace { header, names, conns, records, verdict: verdict.clone() }
    }

    /// How many packets were sent.
    pub(super) fn sent(&self) -> usize {
        self.records.iter().filter(|record| matches!(record.what, What::Sent(_))).count()
    }

    pub(super) fn at(&mut self, time: Span) -> &mut Sample {
        self.now = time;
        self
    }

    pub(super) fn record(&mut self, node: Option<NodeId>, what: What<'static>) -> &mut Sample {
        self.records.push_back(Record { at: SimTime::ZERO + self.now, node, what });
        self
    }

    /// `from` sends a segment in the numbers of the first connection.
    pub(super) fn send(&mut self, from: NodeId, text: &str, fate: Fate) -> &mut Sample {
        let packet = packet(from, text, ISS);
        self.send_packet(from, packet, fate)
    }

    pub(super) fn send_packet(&mut self, from: NodeId, packet: Packet, fate: Fate) -> &mut Sample {
        let link = LinkId(from.0);
        self.counts[from.0 as usize] += 1;
        let n = self.counts[from.0 as usize];
        let conn = self.conns.sent(&packet);
        let (packet, fate) = (Cow::Owned(packet), Cow::Owned(fate));
        self.record(Some(from), What::Sent(Sent { link, n, packet, conn, fate, forwarded: false }))
    }

    /// The `n`th packet that was sent to `to` arrives there.
    pub(super) fn arrive(&mut self, to: NodeId, n: u64, outcome: Option<Arrival>) -> &mut Sample {
        self.arrive_on(LinkId(1 - to.0), to, n, outcome)
    }

    pub(super) fn arrive_on(&mut self, link: LinkId, to: NodeId, n: u64, outcome: Option<Arrival>) -> &mut Sample {
        let sent = self.records.iter().find_map(|record| match &record.what {
            What::Sent(sent) if sent.link == link && sent.n == n => Some((record.at, sent.clone())),
            _ => None,
        });
        let (at, sent) = sent.expect("it was sent");
        let segment = sent.packet.segment().expect("a segment");
        let local = SocketAddr::new(sent.packet.dst, segment.dst_port);
        let remote = SocketAddr::new(sent.packet.src, segment.src_port);
        let here = self.conns.of(local, remote).filter(|here| Some(here.conn) != sent.conn.map(|conn| conn.conn));
        let Sent { packet, conn, .. } = sent;
        self.record(Some(to), What::Arrived(Arrived { link, n, copy: 0, packet, sent: at, conn, here, outcome }))
    }

    pub(super) fn state(&mut self, node: NodeId, from: State, to: State) -> &mut Sample {
        self.state_for(node, from, to, None)
    }

    pub(super) fn state_for(&mut self, node: NodeId, from: State, to: State, lasts: Option<Span>) -> &mut Sample {
        let tuple = tuple(node);
        let conn = self.conns.transition(tuple, from, to);
        self.record(Some(node), What::Noted { conn, event: Event::Transition { tuple, from, to, lasts, error: None } })
    }

    pub(super) fn timer(&mut self, node: NodeId, timer: TimerKind, change: TimerChange) -> &mut Sample {
        let tuple = tuple(node);
        let conn = self.conns.of(tuple.local, tuple.remote);
        self.record(Some(node), What::Noted { conn, event: Event::Timer { tuple: Some(tuple), timer, change } })
    }

    pub(super) fn queue(&mut self, syn: u32, accept: u32) -> &mut Sample {
        let event = Event::Queue { local: wildcard(), syn: (syn, 8), accept: (accept, 8) };
        self.record(Some(SERVER), What::Noted { conn: None, event })
    }

    pub(super) fn call(&mut self, node: NodeId, stream: Option<u32>, call: Call, result: Option<Done>) -> &mut Sample {
        self.call_of(node, stream, call, result, Span::ZERO, CallKind::Blocking)
    }

    pub(super) fn call_of(
        &mut self,
        node: NodeId,
        stream: Option<u32>,
        call: Call,
        result: Option<Done>,
        took: Span,
        kind: CallKind,
    ) -> &mut Sample {
        let (stream, result) = (stream.map(StreamId), result.map(Ok));
        let tuple = (kind == CallKind::Plain && stream.is_some()).then(|| tuple(node));
        self.record(Some(node), What::Called(Cow::Owned(Called { stream, tuple, call, result, took, kind })))
    }

    /// The run of `examples/trace-full.txt`: a SYN and the last acknowledgment of a close are lost.
    pub(super) fn lost_syn() -> Sample {
        let mut it = Sample::new();
        it.open_after_a_lost_syn();
        it.close_with_a_lost_ack();
        it.verdict = Some(Verdict {
            at: SimTime::ZERO + ms(62_280),
            held: true,
            oracles: 11,
            not_applicable: Vec::new(),
            expectations: 3,
            broken: Vec::new(),
            packets: 9,
            lost: 2,
            ended: "quiescent".to_owned(),
        });
        it
    }

    fn open_after_a_lost_syn(&mut self) {
        let retried = TimerChange::Fired { after: secs(1), count: 1, next: Some(secs(1)) };
        let fast = after(ms(20));
        let connect = Call::Connect(tuple(SERVER).local);
        let listen = Call::Listen { local: wildcard(), backlog: 8 };
        self.call_of(SERVER, None, listen, Some(Done::Unit), Span::ZERO, CallKind::Plain)
            .call(CLIENT, Some(1), connect.clone(), None)
            .state(CLIENT, State::Closed, State::SynSent)
            .send(CLIENT, &format!("S 0:0(0) win 64240 {SYN_OPTIONS}"), lost("syn"));
        self.at(secs(1)).timer(CLIENT, TimerKind::Retransmit, retried).send(
            CLIENT,
            &format!("S 0:0(0) win 64240 {}", SYN_OPTIONS.replace("val 0", "val 1000")),
            fast.clone(),
        );
        self.at(ms(1020)).arrive(SERVER, 2, None).queue(1, 0);
        let answer = format!("S. 0:0(0) ack 1 win 65160 {}", SYN_OPTIONS.replace("ecr 0", "ecr 1000"));
        self.send(SERVER, &answer, fast.clone());
        let routine = CallKind::Routine;
        self.at(ms(1040))
            .arrive(CLIENT, 1, None)
            .state(CLIENT, State::SynSent, State::Established)
            .send(CLIENT, ". 1:1(0) ack 1 win 502 <nop,nop,TS val 1040 ecr 0>", fast)
            .call_of(CLIENT, Some(1), connect.clone(), Some(Done::Unit), Span::ZERO, routine)
            .call_of(CLIENT, Some(1), connect, Some(Done::Unit), ms(1040), CallKind::Blocking);
        let peer = tuple(CLIENT).local;
        let accepted = Done::Accepted { stream: StreamId(2), peer };
        self.at(ms(1060))
            .arrive(SERVER, 3, None)
            .state(SERVER, State::SynReceived, State::Established)
            .queue(0, 1)
            .call_of(SERVER, Some(2), Call::Accept { local: wildcard() }, Some(accepted), Span::ZERO, CallKind::Plain);
    }

    fn close_with_a_lost_ack(&mut self) {
        let fast = after(ms(20));
        self.at(secs(2))
            .call(CLIENT, Some(1), Call::Close, Some(Done::Unit))
            .send(CLIENT, "F. 1:1(0) ack 1 win 502", fast.clone())
            .state(CLIENT, State::Established, State::FinWait1);
        let recv = (Call::Recv { max: 4096 }, Some(Done::Data(Payload::EMPTY)));
        self.at(ms(2020))
            .arrive(SERVER, 4, None)
            .state(SERVER, State::Established, State::CloseWait)
            .call_of(SERVER, Some(2), recv.0, recv.1, Span::ZERO, CallKind::Plain)
            .call_of(SERVER, Some(2), Call::Close, Some(Done::Unit), Span::ZERO, CallKind::Plain)
            .send(SERVER, "F. 1:1(0) ack 2 win 510", fast.clone())
            .state(SERVER, State::CloseWait, State::LastAck);
        self.at(ms(2040))
            .arrive(CLIENT, 2, None)
            .state_for(CLIENT, State::FinWait1, State::TimeWait, Some(secs(60)))
            .send(CLIENT, ". 2:2(0) ack 2 win 502", lost("ack"));
        self.at(ms(2260))
            .timer(SERVER, TimerKind::LossProbe, TimerChange::Fired { after: ms(240), count: 1, next: None })
            .send(SERVER, "F. 1:1(0) ack 2 win 510", fast.clone());
        self.at(ms(2280))
            .arrive(CLIENT, 3, Some(Arrival::Duplicate))
            .timer(CLIENT, TimerKind::TimeWait, TimerChange::Restarted(secs(60)))
            .send(CLIENT, ". 2:2(0) ack 2 win 502", fast);
        self.at(ms(2300)).arrive(SERVER, 6, None).state(SERVER, State::LastAck, State::Closed);
        self.at(ms(62_280)).state(CLIENT, State::TimeWait, State::Closed);
    }
}

/// The connection as `node` sees it.
pub(super) fn tuple(node: NodeId) -> Tuple {
    let client = SocketAddr::from(([10, 0, 0, 1], 40_000));
    let server = SocketAddr::from(([10, 0, 0, 2], 80));
    if node == CLIENT { Tuple { local: client, remote: server } } else { Tuple { local: server, remote: client } }
}

/// Where the server listens.
fn wildcard() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 80))
}

/// A packet of `from` in packetdrill's notation, relative to these two first numbers, the client's and the server's.
pub(super) fn packet(from: NodeId, text: &str, iss: [Seq; 2]) -> Packet {
    let text: SegmentText = text.parse().expect("a segment");
    let tuple = tuple(from);
    let payload = Payload::from(vec![7; text.len as usize]);
    let (seq_base, ack_base) = (iss[from.0 as usize], iss[1 - from.0 as usize]);
    let segment = text.into_segment(seq_base, ack_base, payload).expect("its payload has its length");
    let segment = Segment { src_port: tuple.local.port(), dst_port: tuple.remote.port(), ..segment };
    Packet::new(tuple.local.ip(), tuple.remote.ip(), Body::Tcp(segment))
}
