//! Parts of the engine by themselves: `cargo bench --bench parts`.

use divan::{Bencher, black_box};
use std::net::{IpAddr, Ipv4Addr};
use wirefate::net::{Dist, Lane};
use wirefate::rng::Stream;
use wirefate::time::SimTime;
use wirefate::wire::{self, Body, Flags, Notation, Packet, Segment, Seq, TcpOption};
use wirefate::{Link, choice::MakerId, ms, percent, us};

fn main() {
    divan::main();
}

fn data_segment() -> Packet {
    let addr = |n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n));
    let mut segment = Segment { src_port: 49_152, dst_port: 80, seq: Seq(1), ack: Seq(1), ..Segment::default() };
    (segment.flags, segment.window, segment.payload) = (Flags::ACK | Flags::PSH, 512, vec![7; 1_448].into());
    segment.options.push(TcpOption::Timestamps { val: 1, ecr: 1 }).expect("one option fits");
    Packet::new(addr(1), addr(2), Body::Tcp(segment))
}

/// Packets through one link, 100 in flight: decided, queued, delivered.
fn through(bencher: Bencher, link: &Link) {
    let packet = data_segment();
    let mut lane = Lane::new(link, 1, "client > server", MakerId(0));
    let mut now = SimTime::ZERO;
    bencher.bench_local(|| {
        now += us(100);
        black_box(lane.send(now, &packet, 1, &[]));
        while lane.next_arrival().is_some_and(|at| at <= now) {
            black_box(lane.pop());
        }
    });
}

#[divan::bench]
fn link_with_a_delay(bencher: Bencher) {
    through(bencher, &Link::new().delay(ms(10)));
}

#[divan::bench]
fn link_with_every_impairment(bencher: Bencher) {
    let delay = Dist::uniform(ms(5), ms(15));
    let link = Link::new().delay_dist(delay).burst_loss(percent(1), 3).loss(percent(1)).reorder(percent(1));
    through(bencher, &link.duplicate(percent(1)).corrupt(percent(1)).rate(200_000_000).mtu(1_500));
}

#[divan::bench]
fn emit_and_parse(bencher: Bencher) {
    let packet = data_segment();
    bencher.bench(|| wire::parse(&wire::emit(black_box(&packet))));
}

#[divan::bench]
fn print_a_segment(bencher: Bencher) {
    let packet = data_segment();
    bencher.bench(|| wire::BodyText::of(black_box(&packet.body), Notation::ABSOLUTE).to_string());
}

#[divan::bench]
fn random_word(bencher: Bencher) {
    let mut stream = Stream::new(1, "a");
    bencher.bench_local(|| stream.word());
}
