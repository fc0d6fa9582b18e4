//! A toy TCP as somebody else would write it: a handshake of two segments, one segment in flight, data one way.
//!
//! It is here to show what a stack of one's own needs to be tested by wirefate: one trait with four methods.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use wirefate::Span;
use wirefate::endpoint::{Attach, Cx, Endpoint, IfaceId};
use wirefate::time::{HostTime, secs};
use wirefate::wire::{Body, Flags, Packet, Payload, Segment, Seq};

/// What the toy does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// A retransmission carries other bytes.
    OtherBytes,
    /// It does not look at the window.
    BeyondWindow,
    /// Its timer gets shorter with each retransmission.
    ShrinkingTimer,
}

/// One end of one connection.
#[derive(Default)]
pub struct Toy {
    fault: Fault,
    window: u16,
    /// What it has received.
    pub received: Vec<u8>,
    addr: Option<IpAddr>,
    peer: Option<SocketAddr>,
    queue: VecDeque<Segment>,
    timer: Option<(HostTime, Span)>,
    snd: Seq,
    rcv: Seq,
    peer_window: usize,
}

const PORT: u16 = 7;

impl Toy {
    /// A toy that does `fault` wrong and offers a window of `window` bytes.
    pub fn new(fault: Fault, window: u16) -> Toy {
        Toy { fault, window, ..Toy::default() }
    }

    /// Opens a connection to `peer` and sends `data` over it.
    pub fn open(&mut self, cx: &mut Cx<'_>, peer: IpAddr, data: &[u8]) {
        self.peer = Some(SocketAddr::new(peer, PORT));
        self.queue.push_back(Segment { flags: Flags::SYN, ..Segment::default() });
        // What may be sent is decided when it is; the peer's window is not known yet.
        self.queue.push_back(Segment { flags: Flags::ACK, payload: data.into(), ..Segment::default() });
        self.transmit(cx, secs(1));
    }

    fn transmit(&mut self, cx: &mut Cx<'_>, rto: Span) {
        let Some(mut first) = self.queue.front().cloned() else { return };
        if first.payload.len() as usize > self.peer_window && self.fault != Fault::BeyondWindow {
            let mut rest = self.queue.pop_front().expect("it is the first");
            first.payload = rest.payload.split_to(self.peer_window as u32);
            self.queue.push_front(rest);
            self.queue.push_front(first.clone());
        }
        if self.fault == Fault::OtherBytes && rto > secs(1) {
            first.payload = Payload::from(vec![b'?'; first.payload.len() as usize]);
        }
        self.timer = Some((cx.now() + rto, rto));
        self.send(cx, first);
    }

    fn send(&self, cx: &mut Cx<'_>, segment: Segment) {
        let (Some(addr), Some(peer)) = (self.addr, self.peer) else { return };
        let (window, seq, ack) = (self.window, self.snd, self.rcv);
        let segment = Segment { src_port: PORT, dst_port: peer.port(), seq, ack, window, ..segment };
        cx.send(IfaceId(1), Packet::new(addr, peer.ip(), Body::Tcp(segment)));
    }
}

impl Endpoint for Toy {
    fn on_attach(&mut self, _cx: &mut Cx<'_>, attach: &Attach) {
        if let Attach::Iface { iface: IfaceId(1), addrs, .. } = attach {
            self.addr = addrs.first().copied();
        }
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, _iface: IfaceId, packet: &Packet) {
        let Some(segment) = packet.segment() else { return };
        self.peer_window = usize::from(segment.window);
        self.peer = Some(SocketAddr::new(packet.src, segment.src_port));
        if segment.seq == self.rcv {
            self.received.extend_from_slice(&segment.payload);
            self.rcv = segment.end();
        }
        if segment.has(Flags::SYN) && !segment.has(Flags::ACK) {
            // The second of two segments: the connection is open.
            self.snd = Seq(0);
            self.send(cx, Segment { flags: Flags::SYN | Flags::ACK, ..Segment::default() });
            self.snd = Seq(1);
        } else if !segment.payload.is_empty() {
            self.send(cx, Segment { flags: Flags::ACK, ..Segment::default() });
        }
        let first_end = self.queue.front().map(|first| self.snd + first.seq_len());
        if segment.has(Flags::ACK) && first_end == Some(segment.ack) {
            self.queue.pop_front();
            (self.snd, self.timer) = (segment.ack, None);
            self.transmit(cx, secs(1));
        }
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        let Some((_, rto)) = self.timer.take() else { return };
        self.transmit(cx, if self.fault == Fault::ShrinkingTimer { rto / 2 } else { rto * 2 });
    }

    fn next_timeout(&self) -> Option<HostTime> {
        self.timer.map(|(at, _)| at)
    }
}
