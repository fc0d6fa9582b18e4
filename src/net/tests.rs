use super::{Action, Arrived, Dist, Fate, Fault, Lane, Link, Loss};
use crate::choice::{MakerId, Ratio, percent};
use crate::time::{SimTime, Span, ms, ns, secs, us};
use crate::wire::{Body, Datagram, Packet};
use proptest::prelude::*;

fn packet(bytes: usize) -> Packet {
    let datagram = Datagram { src_port: 1, dst_port: 2, payload: vec![7; bytes].into() };
    Packet::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Body::Udp(datagram))
}

fn lane(link: &Link, seed: u64) -> Lane {
    Lane::new(link, seed, "a > b", MakerId(10))
}

/// The fates of packets sent at these distances, with these sizes.
fn fates(lane: &mut Lane, traffic: &[(Span, usize)]) -> Vec<Fate> {
    let mut now = SimTime::ZERO;
    let send = |&(after, bytes): &(Span, usize)| {
        now += after;
        lane.send(now, &packet(bytes), 0, &[])
    };
    traffic.iter().map(send).collect()
}

fn arrivals(lane: &mut Lane) -> Vec<Arrived> {
    std::iter::from_fn(|| lane.pop()).collect()
}

fn every_impairment() -> Link {
    Link::new()
        .mtu(1_200)
        .queue(20)
        .rate(10_000_000)
        .loss(percent(5))
        .loss(percent(3))
        .burst_loss(percent(5), 3)
        .corrupt(percent(10))
        .delay(ms(5))
        .delay_dist(Dist::normal(ms(10), ms(3)))
        .jitter(ms(2))
        .duplicate(percent(10))
        .jitter_reordering(ms(1))
        .reorder(percent(10))
        .reorder_by(percent(10), ms(2))
        .lifetime(ms(30))
}

fn traffic() -> impl Strategy<Value = Vec<(Span, usize)>> {
    let one = (0u64..3_000, 0usize..1_300).prop_map(|(after, bytes)| (us(after), bytes));
    prop::collection::vec(one, 1..200)
}

fn summary(arrived: &[Arrived]) -> Vec<(SimTime, u64, u8, Option<u32>)> {
    arrived.iter().map(|arrived| (arrived.arrive, arrived.n, arrived.copy, arrived.corrupt_bit)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 40, ..ProptestConfig::default() })]

    /// What randomness did, faults repeat without any.
    #[test]
    fn recorded_choices_replay_every_fate(seed: u64, traffic in traffic()) {
        let link = every_impairment();
        let (mut random, mut replay) = (lane(&link, seed), lane(&link, seed ^ 1));
        replay.replay();
        let mut now = SimTime::ZERO;
        for &(after, bytes) in &traffic {
            now += after;
            let fate = random.send(now, &packet(bytes), 0, &[]);
            let fault = |(stage, action): (&str, &Action)| {
                let text = format!("a > b (packet {}): {action} at {stage}", random.sent());
                text.parse::<Fault>().expect("a recorded choice reads back")
            };
            let faults: Vec<Fault> = random.recorded().map(fault).collect();
            let faults: Vec<&Fault> = faults.iter().collect();
            prop_assert_eq!(replay.send(now, &packet(bytes), 0, &faults), fate);
        }
        prop_assert_eq!(summary(&arrivals(&mut replay)), summary(&arrivals(&mut random)));
    }

    /// Each impairment draws the same words whether the others are there, masked or gone.
    #[test]
    fn an_impairment_shifts_nothing_elsewhere(seed: u64, traffic in traffic()) {
        let lost = |link: &Link, mask: Option<&str>| {
            let mut lane = lane(link, seed);
            mask.iter().for_each(|name| lane.mask(name));
            let fates = fates(&mut lane, &traffic);
            fates.iter().map(|fate| *fate == Fate::Lost(Loss::Impairment("loss"))).collect::<Vec<_>>()
        };
        let alone = lost(&Link::new().loss(percent(20)), None);
        let crowd = |link: Link| link.burst_loss(percent(20), 4).duplicate(percent(50)).reorder(percent(50));
        let crowded = crowd(Link::new().corrupt(percent(50)).loss(percent(20)));
        prop_assert_eq!(&lost(&crowded, None), &alone);
        for name in ["corrupt", "burst", "duplicate", "reorder"] {
            prop_assert_eq!(&lost(&crowded, Some(name)), &alone);
        }
        prop_assert!(lost(&crowded, Some("loss")).iter().all(|lost| !lost));
    }

    #[test]
    fn what_does_not_reorder_keeps_the_order(seed: u64, traffic in traffic()) {
        let link = Link::new().rate(5_000_000).loss(percent(10)).delay(ms(3)).jitter(ms(9));
        let mut lane = lane(&link, seed);
        let delivered = fates(&mut lane, &traffic).iter().filter(|fate| !fate.is_lost()).count();
        prop_assert_eq!(lane.in_flight(), delivered as u64);
        let arrived = arrivals(&mut lane);
        prop_assert!(arrived.is_sorted_by_key(|arrived| arrived.n));
        prop_assert!(arrived.is_sorted_by_key(|arrived| arrived.arrive));
        prop_assert_eq!((arrived.len(), lane.in_flight()), (delivered, 0));
    }

    #[test]
    fn arrivals_come_in_the_order_of_time_and_number(seed: u64, traffic in traffic()) {
        let mut lane = lane(&every_impairment(), seed);
        let fates = fates(&mut lane, &traffic);
        let mut popped = Vec::new();
        while let Some(next) = lane.next_arrival() {
            let arrived = lane.pop().expect("what is announced is there");
            prop_assert_eq!(arrived.arrive, next);
            let took = match &fates[arrived.n as usize - 1] {
                Fate::Delivered(after) => *after,
                Fate::Changed { after, .. } if arrived.copy == 0 => *after,
                Fate::Changed { copies, .. } => copies[usize::from(arrived.copy) - 1],
                lost => return Err(TestCaseError::fail(format!("{lost} arrives"))),
            };
            prop_assert_eq!(arrived.arrive.since(arrived.sent), took);
            popped.push((arrived.arrive, arrived.n, arrived.copy));
        }
        prop_assert!(popped.is_sorted());
    }

    #[test]
    fn reading_a_fault_never_panics(text in "[a-zS.#>:, (packet)0-9=*é-]{0,40}") {
        if let Ok(fault) = text.parse::<Fault>() {
            prop_assert_eq!(fault.to_string().parse::<Fault>(), Ok(fault));
        }
    }

    #[test]
    fn quantiles_ascend_and_have_inverses(a in 0..1u64 << 32, b in 0..1u64 << 32) {
        let empirical = Dist::named("imc2015-99").unwrap();
        for dist in [Dist::normal(ms(50), ms(20)), Dist::pareto(ms(10)), Dist::uniform(ns(3), ns(9)), empirical] {
            prop_assert!(dist.at(a.min(b)) <= dist.at(a.max(b)));
            prop_assert_eq!(dist.at(dist.quantile_of(dist.at(a))), dist.at(a));
        }
    }
}

#[test]
fn bursts_have_the_mean_and_length_asked_for() {
    for (loss, burst) in [(2, 5), (10, 3), (30, 8)] {
        let mut lane = lane(&Link::new().burst_loss(percent(loss), burst), 1);
        let packets = 200_000u64;
        let (mut lost, mut bursts, mut before) = (0u64, 0u64, false);
        for n in 0..packets {
            let now = lane.send(SimTime::ZERO + us(n), &packet(10), 0, &[]).is_lost();
            lane.pop();
            lost += u64::from(now);
            bursts += u64::from(now && !before);
            before = now;
        }
        let (mean, length) = (lost * 10_000 / packets, lost * 100 / bursts);
        let (loss, burst) = (u64::from(loss) * 100, u64::from(burst) * 100);
        assert!(mean.abs_diff(loss) <= loss / 10, "mean {mean} of {loss}");
        assert!(length.abs_diff(burst) <= burst / 20, "length {length} of {burst}");
    }
}

#[test]
fn bursts_at_the_ends_of_the_range() {
    let lost = |mean, burst| {
        let mut lane = lane(&Link::new().burst_loss(mean, burst), 1);
        (0..100).filter(|_| lane.send(SimTime::ZERO, &packet(1), 0, &[]).is_lost()).count()
    };
    assert_eq!((lost(Ratio::ONE, 3), lost(Ratio::ZERO, 3), lost(Ratio::new(1, u32::MAX), u32::MAX)), (100, 0, 0));
}

#[test]
fn a_packet_late_by_a_fault_holds_nobody_up() {
    let link = Link::new().rate(8_000_000).delay(ms(20)).jitter(Span::ZERO).lifetime(secs(60));
    let mut lane = lane(&link, 0);
    let mut send = |text: &str| {
        let fault = text.parse::<Fault>().ok();
        lane.send(SimTime::ZERO, &packet(972), 0, &fault.iter().collect::<Vec<_>>()).to_string()
    };
    // 1,000 bytes at 8 Mbit/s take 1 ms.
    assert_eq!(send("a > b #1: delay 30s"), "30.021s");
    assert_eq!(send(""), "22ms");
    assert_eq!(send("a > b #1: delay 70s"), "EXPIRED 60s");
    assert_eq!(send(""), "24ms");
    assert_eq!(arrivals(&mut lane).iter().map(|arrived| arrived.n).collect::<Vec<_>>(), [2, 4, 1]);
}

#[test]
fn a_packet_held_back_holds_nobody_up() {
    let mut lane = lane(&Link::new().reorder_by(percent(50), ms(20)).jitter(Span::ZERO), 3);
    let fates: Vec<Fate> = (0..64).map(|n| lane.send(SimTime::ZERO + us(n), &packet(1), 0, &[])).collect();
    let at_once = fates.iter().filter(|fate| **fate == Fate::Delivered(Span::ZERO)).count();
    assert!((16..48).contains(&at_once), "{at_once} of 64 were not held");
}

#[test]
fn more_copies_than_can_be_told_apart_are_not_made() {
    let mut lane = lane(&Link::new().delay(ms(1)), 0);
    let fault: Fault = "a > b #1: duplicate 300".parse().unwrap();
    let Fate::Changed { copies, .. } = lane.send(SimTime::ZERO, &packet(1), 0, &[&fault]) else { panic!("no copies") };
    assert_eq!((copies.len(), arrivals(&mut lane).len()), (255, 256));
}
