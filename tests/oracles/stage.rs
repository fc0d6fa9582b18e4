//! Two puppets on a stage: each segment of a story is written out, and sent by the end whose it is.

use std::any::Any;
use wirefate::endpoint::{Cx, Endpoint, IfaceId};
use wirefate::time::{HostTime, Span, ms};
use wirefate::trace::NodeId;
use wirefate::wire::{Body, Flags, Options, Packet, Segment, Seq, TcpOption};
use wirefate::{Link, Sim};

/// An endpoint that does what its story says, and nothing of its own accord.
#[derive(Default)]
struct Puppet {
    /// It sends this at once when something arrives, so many times.
    answer: Option<(Packet, u32)>,
}

impl Endpoint for Puppet {
    fn on_packet(&mut self, cx: &mut Cx<'_>, _iface: IfaceId, _packet: &Packet) {
        if let Some((packet, left @ 1..)) = &mut self.answer {
            *left -= 1;
            cx.send(IfaceId(1), packet.clone());
        }
    }

    fn on_timeout(&mut self, _cx: &mut Cx<'_>) {}

    fn next_timeout(&self) -> Option<HostTime> {
        None
    }
}

/// A client and a server, 10 ms apart. Both initial sequence numbers are 0.
pub(crate) struct Stage {
    sim: Sim,
    client: NodeId,
    server: NodeId,
}

/// The time from one end to the other; every segment is let arrive.
const WAY: Span = ms(10);

pub(crate) fn segment(flags: Flags, seq: u32, ack: u32, text: &str) -> Segment {
    Segment { seq: Seq(seq), ack: Seq(ack), flags, window: 1000, payload: text.into(), ..Segment::default() }
}

pub(crate) fn ack(seq: u32, ack: u32) -> Segment {
    segment(Flags::ACK, seq, ack, "")
}

pub(crate) fn data(seq: u32, text: &str) -> Segment {
    segment(Flags::ACK | Flags::PSH, seq, 1, text)
}

impl Stage {
    pub(crate) fn new() -> Stage {
        let mut sim = Sim::new(1);
        let client = sim.endpoint("client", Puppet::default());
        let server = sim.endpoint("server", Puppet::default());
        sim.link(client, server, Link::new().delay(WAY));
        Stage { sim, client, server }
    }

    /// After a handshake in which the server's SYN has `options`, the client's a window scale if that has one.
    pub(crate) fn open(options: &[TcpOption<'_>]) -> Stage {
        let with = |segment, options: &[TcpOption<'_>]| {
            let mut list = Options::NONE;
            options.iter().for_each(|option| list.push(*option).expect("they fit"));
            Segment { options: list, ..segment }
        };
        let scale: Vec<_> = options.iter().copied().filter(|o| matches!(o, TcpOption::WindowScale(_))).collect();
        let syn = with(segment(Flags::SYN, 0, 0, ""), &scale);
        let answer = with(segment(Flags::SYN | Flags::ACK, 0, 1, ""), options);
        Stage::new().up(syn).down(answer).up(ack(1, 1))
    }

    /// The client sends, and it arrives.
    pub(crate) fn up(mut self, segment: Segment) -> Stage {
        let packet = self.packet(self.client, segment);
        self.sim.with_endpoint(self.client, |_, cx| cx.send(IfaceId(1), packet));
        self.wait(WAY)
    }

    /// The server sends, and it arrives.
    pub(crate) fn down(mut self, segment: Segment) -> Stage {
        let packet = self.packet(self.server, segment);
        self.sim.with_endpoint(self.server, |_, cx| cx.send(IfaceId(1), packet));
        self.wait(WAY)
    }

    /// The client answers `times` packets with `segment`.
    pub(crate) fn client_answers(self, times: u32, segment: Segment) -> Stage {
        let client = self.client;
        self.answers(client, times, segment)
    }

    /// The server answers `times` packets with `segment`.
    pub(crate) fn server_answers(self, times: u32, segment: Segment) -> Stage {
        let server = self.server;
        self.answers(server, times, segment)
    }

    fn answers(mut self, node: NodeId, times: u32, segment: Segment) -> Stage {
        let packet = self.packet(node, segment);
        self.sim.with_endpoint(node, |endpoint, _| {
            let puppet: Option<&mut Puppet> = (endpoint as &mut dyn Any).downcast_mut();
            puppet.expect("every endpoint here is a puppet").answer = Some((packet, times));
        });
        self
    }

    fn packet(&self, from: NodeId, segment: Segment) -> Packet {
        let is_up = from == self.client;
        let to = if is_up { self.server } else { self.client };
        let (src_port, dst_port) = if is_up { (5000, 80) } else { (80, 5000) };
        let addr = |node| self.sim.addr(node).expect("an endpoint has an address");
        Packet::new(addr(from), addr(to), Body::Tcp(Segment { src_port, dst_port, ..segment }))
    }

    pub(crate) fn wait(mut self, span: Span) -> Stage {
        self.sim.run_for(span);
        self
    }

    /// The run, to its end.
    pub(crate) fn over(mut self) -> Sim {
        self.sim.run();
        self.sim
    }
}
