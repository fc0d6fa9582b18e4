use super::Host;
use super::bandlim::Answer;
use super::counters::Counter;
use super::demux::{Key, Place};
use super::listener::{QueueRule, drop_segment};
use crate::endpoint::{Cx, DropReason};
use crate::wire::{self, Body, Icmp, IcmpKind, Packet, Quoted, Seq};
use std::net::SocketAddr;

/// IP protocol numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;

impl Host {
    /// An ICMP error has arrived: what it quotes says whom it is for.
    pub(super) fn take_icmp(&mut self, cx: &mut Cx<'_>, icmp: &Icmp) {
        self.counters.add(Counter::IcmpInMsgs);
        let known = match icmp.quoted() {
            Some(Quoted { protocol: TCP, seq: Some(seq), .. }) => self.tcp_error(cx, icmp, seq),
            Some(quoted @ Quoted { protocol: UDP, .. }) => self.udp_error(cx, icmp.kind, quoted),
            _ => false,
        };
        if !known {
            drop_segment(cx, DropReason::IcmpIrrelevant);
        }
    }

    /// Whether there was a connection to tell.
    fn tcp_error(&mut self, cx: &mut Cx<'_>, icmp: &Icmp, seq: Seq) -> bool {
        let Some(quoted) = icmp.quoted() else { return false };
        let (Some(local), Some(remote)) = (self.addrs.own(quoted.src), self.addrs.peer(quoted.dst)) else {
            return false;
        };
        let key = Key { remote, local, local_port: quoted.src_port, remote_port: quoted.dst_port };
        match self.demux.get(&key).map(|slot| slot.place()) {
            Some(Place::Conn(index)) => {
                let believed = self.touch(cx, index, |tcp, context| tcp.on_icmp(context, icmp.kind, seq));
                if let Some(mtu) = believed.flatten() {
                    self.learn_path_mtu(index, mtu.into(), cx.now());
                }
                true
            }
            // RFC 5461 4.1: a hard error ends what is only being opened; RFC 5927 4.1: by the number of our SYN-ACK.
            Some(Place::Half(index)) if self.halves.get(index).is_some_and(|half| half.tcp.iss() == seq) => {
                // tcp_v4_err(): Linux takes the opposite view, that soft errors abort it.
                let ends = match self.settings.queues {
                    // syncache_unreach()
                    QueueRule::Syncache if self.asks_no_cache(cx.now()) => false,
                    QueueRule::Plain => {
                        matches!(icmp.kind, IcmpKind::PortUnreachable | IcmpKind::ProtocolUnreachable)
                    }
                    QueueRule::Syncache => self.halves.get_mut(index).is_some_and(|half| half.tcp.on_unreachable()),
                    QueueRule::Linux => matches!(
                        icmp.kind,
                        IcmpKind::NetUnreachable | IcmpKind::HostUnreachable | IcmpKind::TimeExceeded
                    ),
                };
                if ends {
                    if self.settings.queues == QueueRule::Linux {
                        // tcp_req_err()
                        self.counters.add(Counter::ListenDrops);
                    }
                    self.forget_half(cx, index);
                }
                true
            }
            Some(Place::Half(_)) => {
                self.counters.add(Counter::OutOfWindowIcmps);
                false
            }
            _ => false,
        }
    }

    fn udp_error(&mut self, cx: &mut Cx<'_>, kind: IcmpKind, quoted: Quoted) -> bool {
        let local = SocketAddr::new(quoted.src, quoted.src_port);
        self.datagram_error(cx, kind, local, SocketAddr::new(quoted.dst, quoted.dst_port))
    }

    /// Tells the sender of `packet` that nobody has its port.
    pub(super) fn port_unreachable(&mut self, cx: &mut Cx<'_>, packet: &Packet) {
        let Some(path) = self.addrs.path(packet.src) else { return };
        if !self.bandlim.allows(cx.now(), Answer::unreachable(packet.src), self.settings.answers) {
            return;
        }
        let quote = wire::quote_of(packet);
        let body = Body::Icmp(Icmp { kind: IcmpKind::PortUnreachable, quote });
        let answer = Packet { ttl: self.settings.ttl, ..Packet::new(packet.dst, packet.src, body) };
        self.counters.add(Counter::IcmpOutDestUnreachs);
        self.counters.add(Counter::IpOutRequests);
        if self.addrs.has_carrier(path.iface) {
            cx.send(path.iface, answer);
        }
    }
}
