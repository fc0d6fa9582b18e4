use super::Host;
use super::bandlim::Answer;
use super::counters::Counter;
use super::demux::{Key, Place};
use super::faults::Power;
use super::listener::drop_segment;
use crate::endpoint::{Cx, DropReason, IfaceId, State, Tuple};
use crate::tcp::{ClosingStep, TcpEvent};
use crate::wire::{self, Body, Flags, Layer, Packet, ParseError, Segment, Seq};
use std::net::SocketAddr;

impl Host {
    /// A packet has arrived.
    pub(super) fn take_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        if let Power::Down = self.power {
            return drop_segment(cx, DropReason::HostDown);
        }
        self.counters.add(Counter::IpInReceives);
        if let Body::Raw(bytes) = &packet.body {
            self.count_garbled(bytes);
            return drop_segment(cx, DropReason::Checksum);
        }
        // RFC 1122 3.2.1.3 (g): an address of the loopback network never appears outside a host.
        let stray = iface != IfaceId(0) && (packet.dst.is_loopback() || packet.src.is_loopback());
        let Some(local) = self.addrs.own(packet.dst).filter(|_| !stray) else {
            self.counters.add(Counter::IpInAddrErrors);
            return drop_segment(cx, DropReason::NotMine);
        };
        self.counters.add(Counter::IpInDelivers);
        match &packet.body {
            Body::Tcp(segment) => self.take_segment(cx, local, packet, segment),
            Body::Udp(datagram) => self.take_datagram(cx, local, packet, datagram),
            Body::Icmp(icmp) => self.take_icmp(cx, icmp),
            Body::Raw(_) => {}
        }
    }

    /// A packet that does not parse: whose header is to blame.
    fn count_garbled(&mut self, bytes: &[u8]) {
        let (layer, checksum) = match wire::parse(bytes) {
            Err(ParseError::Checksum { layer, .. }) => (layer, true),
            Err(ParseError::Truncated { layer, .. } | ParseError::HeaderLength { layer, .. }) => (layer, false),
            Err(ParseError::IcmpMessage { .. }) => (Layer::Icmp, false),
            Err(ParseError::Protocol(_) | ParseError::Extension(_)) => {
                return self.counters.add(Counter::IpInUnknownProtos);
            }
            Err(ParseError::Version(_)) => return self.counters.add(Counter::IpInHdrErrors),
            Err(ParseError::Options(_) | ParseError::Fragment { .. }) | Ok(_) => {
                return self.counters.add(Counter::IpInDiscards);
            }
        };
        let (all, errors, sums) = match layer {
            Layer::Ipv4 | Layer::Ipv6 => return self.counters.add(Counter::IpInHdrErrors),
            Layer::Tcp => (Some(Counter::InSegs), Counter::InErrs, Counter::InCsumErrors),
            // The kernel counts datagrams where they are taken.
            Layer::Udp => (None, Counter::UdpInErrors, Counter::UdpInCsumErrors),
            Layer::Icmp | Layer::Icmpv6 => {
                (Some(Counter::IcmpInMsgs), Counter::IcmpInErrors, Counter::IcmpInCsumErrors)
            }
        };
        let sums = checksum.then_some(sums);
        for counter in [Some(Counter::IpInDelivers), all, Some(errors), sums].into_iter().flatten() {
            self.counters.add(counter);
        }
    }

    fn take_segment(&mut self, cx: &mut Cx<'_>, local: u16, packet: &Packet, segment: &Segment) {
        self.counters.add(Counter::InSegs);
        if let Power::Quiet { .. } = self.power {
            return drop_segment(cx, DropReason::Quiet);
        }
        let peer = self.addrs.peer(packet.src);
        let (local_port, remote_port) = (segment.dst_port, segment.src_port);
        // A peer without a number has no connection; what is made for its SYN gets one.
        let key = Key { remote: peer.unwrap_or(0), local, local_port, remote_port };
        let place = peer.and_then(|_| self.demux.get(&key)).map(|slot| slot.place());
        if let Some(Place::Conn(index)) = place {
            if let Some(conn) = self.conns.get_mut(index) {
                conn.traffic.came(segment);
            }
            self.touch(cx, index, |tcp, context| {
                context.ecn = packet.tos & 3;
                tcp.on_segment(context, segment);
            });
        } else {
            self.other_segment(cx, (key, place), packet, segment);
        }
    }

    /// A segment that is for no whole connection.
    #[inline(never)]
    fn other_segment(
        &mut self,
        cx: &mut Cx<'_>,
        (key, place): (Key, Option<Place>),
        packet: &Packet,
        segment: &Segment,
    ) {
        let tuple = Tuple {
            local: SocketAddr::new(packet.dst, segment.dst_port),
            remote: SocketAddr::new(packet.src, segment.src_port),
        };
        match place {
            Some(Place::Half(index)) if self.forget_abandoned(cx, index) => {
                self.stray_segment(cx, (key, tuple), segment, None);
            }
            Some(Place::Half(index)) => self.half_segment(cx, index, (key, tuple), segment),
            Some(Place::Closing(index)) => self.leftover_segment(cx, index, (key, tuple), segment),
            Some(Place::Conn(_) | Place::Quiet | Place::Linger) | None => {
                self.stray_segment(cx, (key, tuple), segment, None);
            }
        }
    }

    /// A segment for what is left of a connection; one that may open a new incarnation goes on to the listener.
    fn leftover_segment(&mut self, cx: &mut Cx<'_>, index: u32, names: (Key, Tuple), segment: &Segment) {
        let beyond = self.leftovers.get(index).map(|leftover| leftover.tcp.next_iss());
        let (key, tuple) = names;
        // Only a SYN opens anything.
        let listener = if segment.has(Flags::SYN) { self.find_listener(key.local, tuple) } else { None };
        let step = self.touch_leftover(cx, index, |tcp, context| match tcp.on_segment(context, segment) {
            // Without a listener there is nothing to open, and TIME-WAIT goes on.
            ClosingStep::Reopen if listener.is_none() => tcp.stay_for_nobody(context),
            step => step,
        });
        if step == Some(ClosingStep::Reopen) {
            let event = TcpEvent::Transition { from: State::TimeWait, to: State::Closed, lasts: None, error: None };
            cx.note(event.at(tuple));
            self.stray_segment(cx, names, segment, beyond);
        }
    }

    /// A segment of no connection.
    fn stray_segment(&mut self, cx: &mut Cx<'_>, (key, tuple): (Key, Tuple), segment: &Segment, beyond: Option<Seq>) {
        match self.find_listener(key.local, tuple) {
            Some(id) => self.listener_segment(cx, id, (key, tuple), segment, beyond),
            None => {
                // RFC 9293 3.10.7.1.
                self.drop_with_reset(cx, tuple, segment, (DropReason::NoSocket, Answer::ClosedPort));
            }
        }
    }
}
