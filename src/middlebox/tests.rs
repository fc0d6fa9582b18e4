use super::{Firewall, Limits, Nat, Refusal, Router};
use crate::choice::MakerId;
use crate::endpoint::{Arrival, Attach, Cx, DropReason, Effect, Endpoint, Event, HostFault, IfaceId, Streams};
use crate::time::{HostTime, Span, secs};
use crate::wire::{Body, Datagram, Flags, Icmp, IcmpKind, Packet, Segment, Seq, parse, quote_of};
use std::net::{IpAddr, SocketAddr};

const OUTSIDE: IfaceId = IfaceId(0);
const INSIDE: IfaceId = IfaceId(1);

/// A middlebox between 10.0.0.0/8 (inside) and everything else.
struct Bench<E> {
    middlebox: E,
    now: HostTime,
}

/// What came out: packets with their interfaces, and why the packet at hand was dropped.
type Out = (Vec<(IfaceId, Packet)>, Option<DropReason>);

impl<E: Endpoint> Bench<E> {
    fn new(middlebox: E) -> Bench<E> {
        let mut bench = Bench { middlebox, now: HostTime::ZERO };
        let iface = |iface, addrs: [&str; 2]| Attach::Iface { iface, addrs: addrs.map(ip).to_vec(), mtu: 1_500 };
        let route = |prefix, prefix_len, iface| Attach::Route { prefix: ip(prefix), prefix_len, iface };
        for attach in [
            iface(OUTSIDE, ["192.0.2.1", "2001:db8::1"]),
            iface(INSIDE, ["10.0.0.1", "fd00::1"]),
            route("192.0.2.0", 24, OUTSIDE),
            route("198.51.100.0", 24, OUTSIDE),
            route("2001:db8::", 32, OUTSIDE),
            route("10.0.0.0", 8, INSIDE),
            route("fd00::", 8, INSIDE),
        ] {
            bench.call(|middlebox, cx| middlebox.on_attach(cx, &attach));
        }
        bench
    }

    fn call(&mut self, call: impl FnOnce(&mut E, &mut Cx<'_>)) -> Out {
        let (mut effects, mut streams) = (Vec::new(), Streams::new(0, "box", MakerId(0)));
        call(&mut self.middlebox, &mut Cx::new(self.now, &mut effects, &mut streams, true));
        let (mut sent, mut dropped) = (Vec::new(), None);
        for effect in effects {
            match effect {
                Effect::Send(iface, packet) => sent.push((iface, *packet)),
                Effect::Note(Event::Arrival(Arrival::Dropped(why))) => dropped = Some(why),
                other => panic!("{other:?}"),
            }
        }
        (sent, dropped)
    }

    fn packet(&mut self, from: IfaceId, packet: Packet) -> Out {
        self.call(|middlebox, cx| middlebox.on_packet(cx, from, &packet))
    }

    /// The one packet that comes out.
    #[track_caller]
    fn passes(&mut self, from: IfaceId, packet: Packet) -> (IfaceId, Packet) {
        let (mut sent, dropped) = self.packet(from, packet);
        assert_eq!((sent.len(), dropped), (1, None));
        sent.remove(0)
    }

    /// The answers to a packet that is dropped for this reason.
    #[track_caller]
    fn drops(&mut self, from: IfaceId, packet: Packet, why: DropReason) -> Vec<(IfaceId, Packet)> {
        let (sent, dropped) = self.packet(from, packet);
        assert_eq!(dropped, Some(why));
        sent
    }

    fn wait(&mut self, span: Span) {
        self.now += span;
    }

    fn counter(&self, name: &str) -> u64 {
        let mut found = None;
        self.middlebox.counters(&mut |known, value| {
            if known == name {
                found = Some(value);
            }
        });
        found.unwrap()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn between(src: &str, dst: &str) -> (SocketAddr, SocketAddr) {
    (src.parse().unwrap(), dst.parse().unwrap())
}

fn tcp(src: &str, dst: &str, flags: Flags) -> Packet {
    let (src, dst) = between(src, dst);
    let (src_port, dst_port) = (src.port(), dst.port());
    let segment = Segment { src_port, dst_port, seq: Seq(100), ack: Seq(200), flags, ..Segment::default() };
    Packet::new(src.ip(), dst.ip(), Body::Tcp(segment))
}

fn udp(src: &str, dst: &str) -> Packet {
    let (src, dst) = between(src, dst);
    let datagram = Datagram { src_port: src.port(), dst_port: dst.port(), payload: "hello".into() };
    Packet::new(src.ip(), dst.ip(), Body::Udp(datagram))
}

fn ends(packet: &Packet) -> String {
    let (src, dst) = packet.ports().unwrap();
    format!("{} > {}", SocketAddr::new(packet.src, src), SocketAddr::new(packet.dst, dst))
}

fn icmp(packet: &Packet) -> &Icmp {
    let Body::Icmp(icmp) = &packet.body else { panic!("{packet:?}") };
    icmp
}

fn limits(table: u32) -> Limits {
    Limits { idle: secs(60), udp_idle: secs(30), closing: secs(10), table }
}

const CLIENT: &str = "10.0.0.7:40000";
const SERVER: &str = "198.51.100.9:80";
const MAPPED: &str = "192.0.2.1:40000";

#[test]
fn a_router_takes_the_longest_route_and_one_off_the_ttl() {
    let mut bench = Bench::new(Router::new());
    let (iface, packet) = bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN));
    assert_eq!((iface, packet.ttl, ends(&packet)), (OUTSIDE, 63, format!("{CLIENT} > {SERVER}")));
    let host = Attach::Route { prefix: ip("198.51.100.9"), prefix_len: 32, iface: IfaceId(2) };
    bench.call(|router, cx| router.on_attach(cx, &host));
    assert_eq!(bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN)).0, IfaceId(2));
    assert_eq!(bench.passes(INSIDE, tcp(CLIENT, "198.51.100.8:80", Flags::SYN)).0, OUTSIDE);
    let default = Attach::Route { prefix: ip("0.0.0.0"), prefix_len: 0, iface: IfaceId(3) };
    bench.call(|router, cx| router.on_attach(cx, &default));
    assert_eq!(bench.passes(INSIDE, udp(CLIENT, "8.8.8.8:53")).0, IfaceId(3));
    let v6 = bench.passes(INSIDE, udp("[fd00::7]:1", "[2001:db8::9]:2"));
    assert_eq!((v6.0, v6.1.ttl), (OUTSIDE, 63));
    assert_eq!(bench.counter("forwarded"), 5);
}

#[test]
fn where_there_is_no_way_the_sender_is_told() {
    let mut bench = Bench::new(Router::new());
    let packet = udp(CLIENT, "203.0.113.1:53");
    let answers = bench.drops(INSIDE, packet.clone(), DropReason::NotMine);
    let [(INSIDE, answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.src, answer.dst), (ip("10.0.0.1"), packet.src));
    assert_eq!(icmp(answer).kind, IcmpKind::NetUnreachable);
    assert_eq!(icmp(answer).quoted().unwrap().dst, packet.dst);
    // RFC 1122 3.2.2: no error about an error.
    let error = Packet { dst: ip("203.0.113.1"), ..answer.clone() };
    assert_eq!(bench.drops(INSIDE, error, DropReason::NotMine), []);
    assert_eq!(bench.drops(INSIDE, udp(CLIENT, "10.0.0.1:53"), DropReason::NoSocket), []);
}

#[test]
fn a_loop_ends_when_the_ttl_does() {
    let mut bench = Bench::new(Router::new());
    let mut packet = tcp(CLIENT, SERVER, Flags::SYN);
    let mut hops = 0;
    let answers = loop {
        let (sent, dropped) = bench.packet(INSIDE, packet);
        if dropped.is_some() {
            assert_eq!(dropped, Some(DropReason::TtlExpired));
            break sent;
        }
        hops += 1;
        packet = sent.into_iter().next().unwrap().1;
    };
    assert_eq!(hops, 63);
    let [(INSIDE, answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((icmp(answer).kind, answer.dst), (IcmpKind::TimeExceeded, ip("10.0.0.7")));
}

#[test]
fn a_nat_translates_both_ways() {
    let mut bench = Bench::new(Nat::new(OUTSIDE, limits(10), Refusal::Silence));
    let (iface, out) = bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN));
    assert_eq!((iface, ends(&out)), (OUTSIDE, format!("{MAPPED} > {SERVER}")));
    let (iface, back) = bench.passes(OUTSIDE, tcp(SERVER, MAPPED, Flags::SYN | Flags::ACK));
    assert_eq!((iface, ends(&back), back.ttl), (INSIDE, format!("{SERVER} > {CLIENT}"), 63));
    // A second client with the same port gets the next one; towards another server it keeps its own.
    let (_, other) = bench.passes(INSIDE, tcp("10.0.0.8:40000", SERVER, Flags::SYN));
    assert_eq!(ends(&other), format!("192.0.2.1:40001 > {SERVER}"));
    let (_, other) = bench.passes(INSIDE, tcp("10.0.0.8:40000", "198.51.100.9:81", Flags::SYN));
    assert_eq!(ends(&other), "192.0.2.1:40000 > 198.51.100.9:81");
    let (_, v6) = bench.passes(INSIDE, udp("[fd00::7]:1", "[2001:db8::9]:2"));
    assert_eq!(ends(&v6), "[2001:db8::1]:1 > [2001:db8::9]:2");
    // Nobody else uses the mapping, and nobody reaches the inside past it.
    bench.drops(OUTSIDE, tcp("198.51.100.8:80", MAPPED, Flags::ACK), DropReason::NoState);
    bench.drops(OUTSIDE, tcp(SERVER, CLIENT, Flags::ACK), DropReason::Policy);
    let routes = [(INSIDE, OUTSIDE), (OUTSIDE, INSIDE)].map(|(from, to)| bench.middlebox.forwards(from, to));
    assert_eq!(routes, [true, false]);
}

#[test]
fn a_port_at_the_end_of_the_range_wraps() {
    let mut bench = Bench::new(Nat::new(OUTSIDE, limits(10), Refusal::Silence));
    let mut mapped = |client: &str| ends(&bench.passes(INSIDE, tcp(client, SERVER, Flags::SYN)).1);
    assert_eq!(mapped("10.0.0.7:65535"), format!("192.0.2.1:65535 > {SERVER}"));
    assert_eq!(mapped("10.0.0.8:65535"), format!("192.0.2.1:1024 > {SERVER}"));
}

#[test]
fn a_nat_forgets_what_is_idle() {
    for refusal in [Refusal::Silence, Refusal::Reset] {
        let mut bench = Bench::new(Nat::new(OUTSIDE, limits(10), refusal));
        bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN));
        bench.now = HostTime::from_nanos(59_999_999_999);
        bench.passes(OUTSIDE, tcp(SERVER, MAPPED, Flags::SYN | Flags::ACK));
        bench.wait(secs(60));
        let data = tcp(SERVER, MAPPED, Flags::ACK | Flags::PSH);
        let answers = bench.drops(OUTSIDE, data, DropReason::NoState);
        assert_eq!((bench.counter("sessions"), bench.counter("forgotten")), (0, 1));
        let from_inside = bench.drops(INSIDE, tcp(CLIENT, SERVER, Flags::ACK), DropReason::NoState);
        if refusal == Refusal::Silence {
            assert_eq!((answers, from_inside), (vec![], vec![]));
            continue;
        }
        let [(OUTSIDE, reset)] = &answers[..] else { panic!("{answers:?}") };
        let segment = reset.segment().unwrap();
        assert_eq!((ends(reset), segment.flags, segment.seq), (format!("{MAPPED} > {SERVER}"), Flags::RST, Seq(200)));
        assert_eq!((from_inside[0].0, ends(&from_inside[0].1)), (INSIDE, format!("{SERVER} > {CLIENT}")));
        // A reset is never answered.
        assert_eq!(bench.drops(OUTSIDE, tcp(SERVER, MAPPED, Flags::RST), DropReason::NoState), []);
    }
}

#[test]
fn a_full_table_takes_nobody_until_somebody_goes() {
    let mut bench = Bench::new(Nat::new(OUTSIDE, limits(2), Refusal::Reset));
    bench.passes(INSIDE, tcp("10.0.0.7:1", SERVER, Flags::SYN));
    bench.wait(secs(1));
    bench.passes(INSIDE, udp("10.0.0.7:2", "198.51.100.9:53"));
    let third = || tcp("10.0.0.7:3", SERVER, Flags::SYN);
    assert_eq!(bench.drops(INSIDE, third(), DropReason::TableFull), []);
    bench.wait(secs(30));
    bench.passes(INSIDE, third());
    assert_eq!(bench.counter("sessions"), 2);
    bench.call(|nat, cx| nat.on_fault(cx, HostFault::Crash));
    assert_eq!(bench.counter("sessions"), 0);
}

#[test]
fn an_icmp_error_finds_its_way_through_a_nat() {
    for (client, server) in [(CLIENT, SERVER), ("[fd00::7]:40000", "[2001:db8::9]:80")] {
        let mut bench = Bench::new(Nat::new(OUTSIDE, limits(10), Refusal::Reset));
        let sent = tcp(client, server, Flags::SYN);
        let (_, seen) = bench.passes(INSIDE, sent.clone());
        let hop = if sent.src.is_ipv4() { ip("198.51.100.1") } else { ip("2001:db8::77") };
        let error = |about: &Packet, src, dst| {
            Packet::new(src, dst, Body::Icmp(Icmp { kind: IcmpKind::HostUnreachable, quote: quote_of(about) }))
        };
        let (iface, inward) = bench.passes(OUTSIDE, error(&seen, hop, seen.src));
        assert_eq!((iface, inward.src, inward.dst), (INSIDE, hop, sent.src));
        let quoted = icmp(&inward).quoted().unwrap();
        assert_eq!((quoted.src, quoted.src_port, quoted.dst, quoted.seq), (sent.src, 40_000, sent.dst, Some(Seq(100))));
        // And from inside, about an answer.
        let (_, back) =
            bench.passes(OUTSIDE, tcp(server, &format!("{}", SocketAddr::new(seen.src, 40_000)), Flags::ACK));
        let (iface, outward) = bench.passes(INSIDE, error(&back, sent.src, back.src));
        assert_eq!((iface, outward.src, outward.dst), (OUTSIDE, seen.src, seen.dst));
        let quoted = icmp(&outward).quoted().unwrap();
        assert_eq!((quoted.src, quoted.dst, quoted.dst_port), (seen.dst, seen.src, 40_000));
        // What quotes nothing known goes nowhere.
        let strange = tcp("192.0.2.1:9", SERVER, Flags::SYN);
        bench.drops(OUTSIDE, error(&strange, ip("198.51.100.1"), ip("192.0.2.1")), DropReason::IcmpIrrelevant);
    }
}

#[test]
fn a_requoted_header_has_a_valid_checksum() {
    let mut bench = Bench::new(Nat::new(OUTSIDE, limits(10), Refusal::Silence));
    let sent = udp(CLIENT, SERVER);
    let (_, seen) = bench.passes(INSIDE, sent.clone());
    let whole = crate::wire::emit(&seen);
    let error = Body::Icmp(Icmp { kind: IcmpKind::PortUnreachable, quote: whole.into() });
    let (_, inward) = bench.passes(OUTSIDE, Packet::new(seen.dst, seen.src, error));
    let quoted = parse(&icmp(&inward).quote);
    // The header is right; the transport checksum is that of the packet as the outside saw it.
    assert!(
        matches!(quoted, Err(crate::wire::ParseError::Checksum { layer: crate::wire::Layer::Udp, .. })),
        "{quoted:?}"
    );
}

#[test]
fn a_firewall_leaves_two_hosts_half_open() {
    let mut bench = Bench::new(Firewall::new(limits(10), Refusal::Silence));
    let data = || tcp(CLIENT, SERVER, Flags::ACK | Flags::PSH);
    bench.drops(INSIDE, data(), DropReason::NoState);
    bench.drops(OUTSIDE, tcp(SERVER, CLIENT, Flags::SYN | Flags::ACK), DropReason::NoState);
    bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN));
    bench.passes(OUTSIDE, tcp(SERVER, CLIENT, Flags::SYN | Flags::ACK));
    bench.now = HostTime::from_nanos(59_999_999_999);
    bench.passes(INSIDE, data());
    bench.wait(secs(60));
    // Both ends still hold the connection; their segments vanish.
    assert_eq!(bench.drops(INSIDE, data(), DropReason::NoState), []);
    assert_eq!(bench.drops(OUTSIDE, tcp(SERVER, CLIENT, Flags::ACK), DropReason::NoState), []);
    bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN));
    bench.passes(INSIDE, data());
}

#[test]
fn a_firewall_that_resets_speaks_for_the_destination() {
    let mut bench = Bench::new(Firewall::new(limits(10), Refusal::Reset).open_from([INSIDE]));
    let answers = bench.drops(INSIDE, tcp(CLIENT, SERVER, Flags::FIN), DropReason::NoState);
    let [(INSIDE, reset)] = &answers[..] else { panic!("{answers:?}") };
    let segment = reset.segment().unwrap();
    assert_eq!(
        (segment.flags, segment.ack, ends(reset)),
        (Flags::RST | Flags::ACK, Seq(101), format!("{SERVER} > {CLIENT}"))
    );
    assert_eq!(bench.drops(OUTSIDE, tcp(SERVER, CLIENT, Flags::SYN), DropReason::Policy), []);
    assert_eq!(bench.drops(OUTSIDE, udp(SERVER, CLIENT), DropReason::Policy), []);
    bench.passes(INSIDE, udp(CLIENT, SERVER));
    bench.passes(OUTSIDE, udp(SERVER, CLIENT));
}

#[test]
fn what_has_ended_is_forgotten_sooner() {
    let ends: [&[(IfaceId, Flags)]; 2] = [
        &[(INSIDE, Flags::FIN.union(Flags::ACK)), (OUTSIDE, Flags::FIN.union(Flags::ACK)), (INSIDE, Flags::ACK)],
        &[(OUTSIDE, Flags::RST)],
    ];
    for end in ends {
        let mut bench = Bench::new(Firewall::new(limits(10), Refusal::Silence));
        let segment = |from, flags| {
            if from == INSIDE { tcp(CLIENT, SERVER, flags) } else { tcp(SERVER, CLIENT, flags) }
        };
        bench.passes(INSIDE, segment(INSIDE, Flags::SYN));
        for &(from, flags) in end {
            bench.passes(from, segment(from, flags));
        }
        bench.now = HostTime::from_nanos(9_999_999_999);
        bench.passes(OUTSIDE, segment(OUTSIDE, Flags::ACK));
        bench.wait(secs(10));
        bench.drops(OUTSIDE, segment(OUTSIDE, Flags::ACK), DropReason::NoState);
        // One that is opened anew lives its full life.
        bench.passes(INSIDE, segment(INSIDE, Flags::SYN));
        bench.wait(secs(59));
        bench.passes(INSIDE, segment(INSIDE, Flags::ACK));
    }
}

#[test]
fn nothing_needs_a_timer() {
    let mut bench = Bench::new(Nat::new(OUTSIDE, limits(10), Refusal::Silence));
    bench.passes(INSIDE, tcp(CLIENT, SERVER, Flags::SYN));
    assert_eq!(bench.middlebox.next_timeout(), None);
}
