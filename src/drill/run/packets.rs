//! Packets: those that the script sends, and those that it expects.

use super::clock::{Instant, instant};
use super::compare::{continues, difference, expected_text, ip_difference};
use super::sock::{Progress, Sock, ends, moved, with_ts};
use super::{Runner, Stop};
use crate::drill::report::Failure;
use crate::drill::script::{IcmpLine, IpInfo, PacketBody, PacketLine, SeqCheck, TcpLine, Tos};
use crate::endpoint::{SocketKind, Tuple};
use crate::time::{Span, secs};
use crate::wire::{
    Body, Datagram, Flags, Icmp, Notation, Options, Packet, Payload, Segment, SegmentText, Seq, quote_of,
};
use std::net::SocketAddr;

/// How long after its time a packet is waited for.
const PATIENCE: Span = secs(2);
/// How long a packet is waited for that may come at any time; the suite's runner gives a script no more.
const ANY: Span = secs(180);
/// The first port of the remote end.
const REMOTE_PORT: u16 = 40_000;

impl Runner<'_> {
    /// Sends a packet of the script to the host.
    pub(super) fn inject_packet(&mut self, line: &PacketLine) -> Result<(), Stop> {
        if line.encapsulated.is_some() {
            return Err(self.unsupported("TCP within UDP"));
        }
        let n = self.sock_for(line)?;
        let packet = match &line.body {
            PacketBody::Tcp(segment) => self.inbound_segment(n, line, segment)?,
            PacketBody::Udp { len } => {
                let (src, dst) = self.inbound_ends(n, line)?;
                let datagram = Datagram { src_port: src.port(), dst_port: dst.port(), payload: zeros(u32::from(*len)) };
                Packet::new(src.ip(), dst.ip(), Body::Udp(datagram))
            }
            PacketBody::Icmp(icmp) => match self.inbound_icmp(n, *icmp)? {
                Some(packet) => packet,
                // Hosts ignore it.
                None => return Ok(()),
            },
        };
        self.world.inject(with_ip(packet, &line.ip));
        self.notice()
    }

    /// The socket that a packet of the script belongs to.
    fn sock_for(&mut self, line: &PacketLine) -> Result<usize, Stop> {
        let under_test = self.under_test.map(|n| (n, self.socks[n].progress));
        let PacketBody::Tcp(segment) = &line.body else {
            return under_test.map(|(n, _)| n).ok_or_else(|| self.fail("no socket that this packet could be for"));
        };
        match under_test {
            // A listener, or none at all: the packet begins a connection of its own.
            None | Some((_, Progress::Listening)) if !line.outbound => Ok(self.new_child(segment)),
            Some((n, Progress::Connecting)) if line.outbound && is_first_syn(segment.flags) => {
                let sock = &mut self.socks[n];
                sock.progress = Progress::SynSent;
                sock.local_isn.0 = segment.seq;
                Ok(n)
            }
            Some((n, _)) => Ok(n),
            None => Err(self.fail("no socket that this packet could be of")),
        }
    }

    fn new_child(&mut self, segment: &TcpLine) -> usize {
        let mut sock = Sock::new(SocketKind::Stream, Progress::SynReceived);
        let local = SocketAddr::new(self.config.local, self.config.bind_port);
        sock.tuple = Some(Tuple { local, remote: self.new_remote() });
        sock.remote_isn = Seq(segment.seq);
        self.socks.push(sock);
        self.under_test = Some(self.socks.len() - 1);
        self.socks.len() - 1
    }

    /// The remote end with a port that it has not used.
    fn new_remote(&mut self) -> SocketAddr {
        let port = REMOTE_PORT + self.remote_ports;
        self.remote_ports += 1;
        SocketAddr::new(self.config.remote, port)
    }

    /// The ends of a socket: of one that has done no more than `bind`, its port and one of the remote end.
    fn ends_of(&mut self, n: usize) -> Option<Tuple> {
        let sock = &self.socks[n];
        if let (None, Progress::New, Some(live)) = (sock.tuple, sock.progress, sock.live) {
            let bound =
                self.world.attempt(|sockets, _| sockets.local_addr(live)).ok().filter(|addr| addr.port() != 0)?;
            let local = SocketAddr::new(self.config.local, bound.port());
            self.socks[n].tuple = Some(Tuple { local, remote: self.new_remote() });
        }
        self.socks[n].tuple
    }

    /// Source and destination of a packet to the host.
    fn inbound_ends(&mut self, n: usize, line: &PacketLine) -> Result<(SocketAddr, SocketAddr), Stop> {
        let tuple = self.ends_of(n).ok_or_else(|| self.fail("the socket has sent nothing yet: its port is unknown"))?;
        let (mut src, mut dst) = (tuple.remote, tuple.local);
        if let Some((from, to)) = line.ports {
            src.set_port(if from == 0 { src.port() } else { from });
            dst.set_port(if to == 0 { dst.port() } else { to });
        }
        Ok((src, dst))
    }

    fn inbound_segment(&mut self, n: usize, line: &PacketLine, text: &TcpLine) -> Result<Packet, Stop> {
        let (src, dst) = self.inbound_ends(n, line)?;
        let syn = text.flags.contains(Flags::SYN);
        let ack = text.flags.contains(Flags::ACK);
        let sock = &mut self.socks[n];
        match sock.progress {
            Progress::SynAckSent if ack => sock.progress = Progress::Accepted,
            Progress::SynSent if syn && ack => {
                sock.progress = Progress::SynAcked;
                sock.remote_isn = Seq(text.seq);
            }
            _ => {}
        }
        let seq_offset = if text.seq_check == SeqCheck::Absolute { 0 } else { sock.remote_offset(syn) };
        let ack_offset = sock.local_offset(syn);
        let mut options = moved(&text.options.unwrap_or(Options::NONE), ack_offset);
        if let (true, Some((val, ecr)), false) = (ack, options.timestamps(), text.ts.ecr_absolute) {
            let live = sock.live_ecr(ecr, self.config.ts_ecr_scaled);
            let Some(live) = live else {
                return Err(self.fail(format!("no TS val {ecr} was sent before that this TS ecr could be of")));
            };
            options = with_ts(&options, val, live);
        }
        let segment = Segment {
            src_port: src.port(),
            dst_port: dst.port(),
            seq: Seq(text.seq) + seq_offset,
            ack: if ack { Seq(text.ack) + ack_offset } else { Seq(text.ack) },
            flags: text.flags,
            window: text.window.unwrap_or(0),
            urgent: text.urgent,
            options,
            payload: zeros(text.len.into()),
        };
        self.socks[n].injected = Some(segment.clone());
        Ok(Packet::new(src.ip(), dst.ip(), Body::Tcp(segment)))
    }

    /// An ICMP error about something that the host sent; nothing for one that hosts ignore.
    fn inbound_icmp(&self, n: usize, icmp: IcmpLine) -> Result<Option<Packet>, Stop> {
        let Some(kind) = icmp.kind else { return Ok(None) };
        let sock = &self.socks[n];
        let tuple = sock.tuple.ok_or_else(|| self.fail("the socket has sent nothing yet that this could be about"))?;
        let Tuple { local, remote } = tuple;
        let (src_port, dst_port) = (local.port(), remote.port());
        let body = if icmp.about_udp || sock.kind == SocketKind::Datagram {
            Body::Udp(Datagram { src_port, dst_port, payload: Payload::default() })
        } else {
            let (start, len) = icmp.quote.unwrap_or((0, 0));
            let seq = Seq(start) + sock.local_offset(false);
            Body::Tcp(Segment { src_port, dst_port, seq, payload: zeros(len), ..Segment::default() })
        };
        let about = Packet::new(local.ip(), remote.ip(), body);
        let body = Body::Icmp(Icmp { kind, quote: quote_of(&about) });
        Ok(Some(Packet::new(remote.ip(), local.ip(), body)))
    }

    /// Waits for the packet that the script expects of the host, and compares.
    pub(super) fn expect_packet(&mut self, line: &PacketLine) -> Result<(), Stop> {
        if line.encapsulated.is_some() {
            return Err(self.unsupported("TCP within UDP"));
        }
        let n = self.sock_for(line)?;
        let result = match &line.body {
            PacketBody::Tcp(text) => self.expect_segment(n, line, text),
            PacketBody::Udp { len } => self.expect_datagram(n, line, *len),
            PacketBody::Icmp(_) => Err(self.unsupported("an ICMP message that the host sends")),
        };
        match result {
            Err(Stop::Failed(failure)) if self.config.non_fatal_packet => {
                self.warnings.push(format!("line {}: {}", failure.line, failure.what));
                Ok(())
            }
            result => result,
        }
    }

    fn expect_datagram(&mut self, n: usize, line: &PacketLine, len: u16) -> Result<(), Stop> {
        let (at, packet) = self.sniff(n, &format!("udp ({len})"))?;
        let found = if let Body::Udp(datagram) = &packet.body { datagram.payload.len() } else { 0 };
        let wrong = ip_difference(&line.ip, packet.tos, packet.ttl);
        let wrong =
            wrong.or_else(|| (found != u32::from(len)).then(|| format!("length: expected {len}, found {found}")));
        if let Some(wrong) = wrong {
            return Err(self.fail(wrong));
        }
        self.check_packet_time(at, None)
    }

    fn expect_segment(&mut self, n: usize, line: &PacketLine, text: &TcpLine) -> Result<(), Stop> {
        let expected = expected_text(text);
        let is_syn_ack = text.flags.contains(Flags::SYN | Flags::ACK);
        if self.socks[n].progress == Progress::SynReceived && is_syn_ack {
            self.socks[n].local_isn.0 = text.seq;
        }
        let want = u32::from(text.len);
        let (at, mut whole, mut tos, ttl) = self.next_segment(n, text, &expected)?;
        let mut at = at;
        let mut part = whole.payload.len();
        // A host without segmentation offload sends in parts what the stock tool's kernel sends at once.
        while whole.payload.len() < want && !self.config.strict_segments {
            let (time, next, next_tos, _) = self.next_segment(n, text, &expected)?;
            let got = whole.payload.len();
            let fits = continues(&whole, &next).and_then(|()| match next.payload.len() {
                len if len < want - got && len != part => Err(format!("its parts have {part} and {len} bytes")),
                _ => Ok(()),
            });
            if let Err(what) = fits {
                let actual = format!("{}\n{}", shown(&whole), shown(&next));
                return Err(self.differs(text, what, &expected, actual));
            }
            part = next.payload.len();
            let cwr = whole.flags & Flags::CWR;
            let payload = Payload::concat(&[whole.payload, next.payload]);
            whole = Segment { seq: whole.seq, flags: (next.flags - Flags::CWR) | cwr, payload, ..next };
            (at, tos) = (time, next_tos);
        }
        let mut actual = whole;
        if actual.payload.len() != want {
            let what = format!("data: expected {want} bytes, found {}", actual.payload.len());
            return Err(self.differs(text, what, &expected, shown(&actual)));
        }
        self.map_timestamps(n, text, &mut actual);
        if let Some(what) = ip_difference(&line.ip, tos, ttl).or_else(|| difference(text, &actual)) {
            return Err(self.differs(text, what, &expected, shown(&actual)));
        }
        self.check_flow_label(n, line)?;
        self.check_ts(text, &actual, &expected)?;
        if actual.payload.iter().any(|byte| *byte != 0) {
            return Err(self.differs(text, "the data is not what was written".to_owned(), &expected, shown(&actual)));
        }
        self.check_packet_time(at, Some((&expected, &actual)))
    }

    /// The next segment of the socket, in the numbers of the script.
    fn next_segment(&mut self, n: usize, text: &TcpLine, expected: &str) -> Result<(Instant, Segment, u8, u8), Stop> {
        let (at, packet) = self.sniff(n, expected)?;
        let (tos, ttl) = (packet.tos, packet.ttl);
        let Body::Tcp(live) = packet.body else {
            return Err(self.fail(format!("expected {expected}, found a packet of another protocol")));
        };
        let sock = &mut self.socks[n];
        if sock.progress == Progress::SynReceived && text.flags.contains(Flags::SYN | Flags::ACK) {
            sock.progress = Progress::SynAckSent;
            sock.local_isn.1 = live.seq;
        }
        sock.sent = Some(live.clone());
        let syn = live.has(Flags::SYN);
        let local = if text.seq_check == SeqCheck::Absolute { 0 } else { sock.local_offset(syn) };
        let remote = sock.remote_offset(syn);
        let ack = if live.has(Flags::ACK) { live.ack - remote } else { live.ack };
        let options = moved(&live.options, remote.wrapping_neg());
        let (seq, urgent) = (live.seq - local, if live.has(Flags::URG) { live.urgent } else { 0 });
        Ok((at, Segment { seq, ack, options, urgent, ..live }, tos, ttl))
    }

    /// Waits for the next packet of the socket; packets of others are passed over.
    fn sniff(&mut self, n: usize, expected: &str) -> Result<(Instant, Packet), Stop> {
        let before = self.last.map_or(0, |(at, _)| at);
        let wait = if self.timing.any {
            instant(ANY)
        } else {
            // The stock tool counts whole seconds, from when it begins to look.
            let gap = self.timing.end.saturating_sub(before).max(0);
            gap.saturating_add(instant(PATIENCE)) / 1_000_000_000 * 1_000_000_000
        };
        let limit = self.world.now().saturating_add(wait);
        loop {
            while let Some((at, packet)) = self.world.sniff() {
                if self.is_of(n, &packet) {
                    return Ok((at, packet));
                }
            }
            if !self.step(limit)? && self.world.now() >= limit {
                let what = format!("no packet came within {} s", wait / 1_000_000_000);
                return Err(self.failure(what, expected, "nothing".to_owned()));
            }
        }
    }

    /// Whether the host sent `packet` from this socket; a SYN of a socket that connects tells its port.
    fn is_of(&mut self, n: usize, packet: &Packet) -> bool {
        let sock = &mut self.socks[n];
        if sock.sends(packet) {
            return true;
        }
        let Some((local, remote)) = ends(packet) else { return false };
        let to_peer = remote == SocketAddr::new(self.config.remote, self.config.connect_port);
        let first = match &packet.body {
            Body::Tcp(segment) => sock.progress == Progress::SynSent && is_first_syn(segment.flags),
            Body::Udp(_) => sock.kind == SocketKind::Datagram && sock.progress == Progress::Connecting,
            Body::Icmp(_) | Body::Raw(_) => false,
        };
        // What another socket of the script is known to send is its own, until it is closed: then a SYN is another's.
        let is_other = |(other, sock): (usize, &Sock)| other != n && !sock.closed && sock.sends(packet);
        let others = self.socks.iter().enumerate().any(is_other);
        if !to_peer || !first || others {
            return false;
        }
        let sock = &mut self.socks[n];
        sock.tuple = Some(Tuple { local, remote });
        if let Body::Tcp(segment) = &packet.body {
            sock.local_isn.1 = segment.seq;
        }
        true
    }

    /// Learns from the timestamps of a segment, and writes them as the script would.
    fn map_timestamps(&mut self, n: usize, text: &TcpLine, actual: &mut Segment) {
        let wanted = text.options.and_then(|options| options.timestamps());
        if let (Some((script, _)), Some((live, ecr)), false) =
            (wanted, actual.options.timestamps(), text.ts.val_ignored)
        {
            self.socks[n].learn_ts(script, live);
            let val = self.socks[n].script_ts(live);
            actual.options = with_ts(&actual.options, val, ecr);
        }
    }

    /// Holds the timestamp value against the script's, where a tick is known.
    fn check_ts(&self, text: &TcpLine, actual: &Segment, expected: &str) -> Result<(), Stop> {
        let (Some(tick), Some(options)) = (self.config.ts_tick, text.options) else { return Ok(()) };
        let (Some((wanted, _)), Some((found, _))) = (options.timestamps(), actual.options.timestamps()) else {
            return Ok(());
        };
        let ticks = i64::from(found.wrapping_sub(wanted).cast_signed().unsigned_abs());
        // What counts is the time since the beginning, not since the last event.
        if ticks.saturating_mul(instant(tick)) > self.tolerance.after(self.timing.at) {
            let what = format!("TS val: expected {wanted}, found {found}");
            return Err(self.differs(text, what, expected, shown(actual)));
        }
        Ok(())
    }

    /// Flow labels of a host of ours are all 0: IPv6 allows that (RFC 6437), and a script that counts on more says so.
    fn check_flow_label(&self, n: usize, line: &PacketLine) -> Result<(), Stop> {
        match line.ip.flow_label {
            Some(label) if label != 0 && self.socks[n].flow_label != Some(label) => {
                Err(self.unsupported("flow labels"))
            }
            _ => Ok(()),
        }
    }

    fn check_packet_time(&self, at: Instant, texts: Option<(&str, &Segment)>) -> Result<(), Stop> {
        let last = self.last.map(|(at, _)| at);
        self.tolerance.check(self.timing, at, last).map_err(|mistimed| {
            let what = mistimed.text("an outbound packet");
            match texts {
                Some((expected, actual)) if expected.contains(" win ") => self.failure(what, expected, shown(actual)),
                Some((expected, actual)) => self.failure(what, expected, without_window(&shown(actual))),
                None => self.fail(what),
            }
        })
    }

    fn differs(&self, text: &TcpLine, what: String, expected: &str, actual: String) -> Stop {
        // What the script leaves open is left out of what it is held against.
        let actual = if text.window.is_none() { without_window(&actual) } else { actual };
        self.failure(what, expected, actual)
    }

    fn failure(&self, what: String, expected: &str, actual: String) -> Stop {
        let (line, expected, actual) = (self.line, Some(expected.to_owned()), Some(actual));
        Stop::failed(Failure { line, what, expected, actual, ..Failure::default() })
    }

    /// The remote end resets what is left, so that no connection outlives the script.
    pub(super) fn reset_all(&mut self) {
        for n in 0..self.socks.len() {
            let sock = &self.socks[n];
            let (Some(tuple), SocketKind::Stream) = (sock.tuple, sock.kind) else { continue };
            let (seq, ack) = match (&sock.injected, &sock.sent) {
                (Some(last), _) if last.has(Flags::ACK) => (last.end(), last.ack),
                (_, Some(last)) if last.has(Flags::ACK) => (last.ack, last.seq),
                (_, Some(last)) => (Seq(0), last.seq + 1),
                _ => continue,
            };
            let (src_port, dst_port) = (tuple.remote.port(), tuple.local.port());
            let flags = Flags::RST | Flags::ACK;
            let segment = Segment { src_port, dst_port, seq, ack, flags, ..Segment::default() };
            let packet = Packet::new(tuple.remote.ip(), tuple.local.ip(), Body::Tcp(segment));
            self.world.inject(packet);
        }
    }
}

fn is_first_syn(flags: Flags) -> bool {
    flags.contains(Flags::SYN) && !flags.contains(Flags::ACK)
}

/// What the host sent, in the notation.
fn shown(segment: &Segment) -> String {
    SegmentText::of(segment, Notation::ABSOLUTE).to_string()
}

/// The same without its window.
fn without_window(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(" win ") {
        Some((before, after)) => {
            let rest = after.split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}"));
            format!("{before}{rest}")
        }
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// So many bytes as scripts send: zeros.
pub(super) fn zeros(len: u32) -> Payload {
    Payload::from(vec![0; len as usize])
}

/// The packet with what the script says of its IP header.
fn with_ip(mut packet: Packet, ip: &IpInfo) -> Packet {
    packet.ttl = ip.ttl.unwrap_or(255);
    packet.tos = match ip.tos {
        Some(Tos::Ecn(bits)) => bits,
        Some(Tos::Dscp(point)) => point << 2,
        Some(Tos::All(tos)) => tos,
        Some(Tos::Ect01) | None => 0,
    };
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_left_out_and_nothing_else() {
        assert_eq!(without_window(". 1:1(0) ack 1 win 5 <nop,nop>"), ". 1:1(0) ack 1 <nop,nop>");
        assert_eq!(without_window(". 1:1(0) ack 1 win 5"), ". 1:1(0) ack 1");
        assert_eq!(without_window("R 1:1(0)\n. 1:1(0) win 7"), "R 1:1(0)\n. 1:1(0)");
    }
}
