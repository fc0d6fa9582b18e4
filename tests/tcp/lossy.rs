//! Two ends over networks that lose, duplicate and reorder: every byte arrives, both ends come to CLOSED.

use super::pair::{Pair, perfect};
use wirefate::endpoint::{Congestion, State};
use wirefate::rng::{Stream, below};
use wirefate::tcp::{GiveUp, Knobs, Losses, NagleRule, RecoveryRule, RttRule, Setup, Ticks};
use wirefate::time::{Span, ms, secs, us};
use wirefate::wire::{Payload, Segment};

fn bytes(stream: &mut Stream, len: u64) -> Payload {
    (0..len).map(|_| stream.word().to_be_bytes()[0]).collect::<Vec<u8>>().into()
}

/// Queues what is left of `data` at one end and closes once all is queued.
fn feed(pair: &mut Pair, end: usize, data: &Payload, at: &mut u32, chunk: u32, closed: &mut bool) {
    if *closed || !matches!(pair.ends[end].state(), State::Established | State::CloseWait) {
        return;
    }
    while *at < data.len() {
        let rest = data.slice(*at..data.len().min(*at + chunk));
        let taken = pair.ends[end].verb(|conn, cx| conn.send(cx, &rest, Default::default()));
        *at += taken;
        if taken == 0 {
            return;
        }
    }
    *closed = true;
    pair.ends[end].verb(|conn, cx| conn.close(cx));
}

fn setup_of(seed: u64, stream: &mut Stream) -> (Knobs, Setup) {
    let mut knobs = Knobs { time_wait: secs(20), r2: GiveUp::Retries(15), ..Knobs::default() };
    let mut setup = Setup { mss: 500, ..Setup::default() };
    let mut pick = |n| below(stream.word(), n);
    setup.rcv_buf = [700, 4_000, 65_535, 300_000][usize::try_from(pick(4)).unwrap()];
    setup.snd_buf = [300, 5_000, 65_536][usize::try_from(pick(3)).unwrap()];
    setup.nodelay = pick(2) == 0;
    knobs.timestamps = seed.is_multiple_of(3);
    knobs.window_scale = seed.is_multiple_of(2);
    setup.window_shift = 3;
    (knobs, setup)
}

/// Senders that go by segments, in each of their variants.
fn by_segments(seed: u64, knobs: Knobs) -> Knobs {
    Knobs {
        losses: Losses {
            rule: RecoveryRule::Segments,
            congestion: if seed.is_multiple_of(4) { Congestion::Reno } else { Congestion::Cubic },
            rack: !seed.is_multiple_of(7),
            frto: !seed.is_multiple_of(3),
            ..Losses::default()
        },
        rtt: RttRule::Linux,
        sack: !seed.is_multiple_of(5),
        loss_probe: seed.is_multiple_of(2),
        rto_min: ms(200),
        ticks: Ticks { length: Some(ms(1)), ..Ticks::default() },
        initial_window: Some(10),
        nagle: if seed.is_multiple_of(6) { NagleRule::All } else { NagleRule::Partial },
        ..knobs
    }
}

fn run(seed: u64, change: impl Fn(Knobs) -> Knobs) {
    let mut stream = Stream::new(seed, "lossy pair");
    let (knobs, setup) = setup_of(seed, &mut stream);
    let knobs = change(knobs);
    let (chunk, most) =
        [(1, 500), (100, 20_000), (1_000_000, 20_000)][usize::try_from(below(stream.word(), 3)).unwrap()];
    let data = [0, 1].map(|_| {
        let len = below(stream.word(), most);
        bytes(&mut stream, len)
    });
    let mut pair = Pair::new(&knobs, &setup);
    let simultaneous = seed.is_multiple_of(7);
    pair.ends[0].open();
    if simultaneous {
        pair.ends[1].open();
    }
    let mut network = |_: usize, _: &Segment| -> Vec<Span> {
        let delay = |word| us(5_000) + us(below(word, 30_000));
        match below(stream.word(), 100) {
            0..8 => vec![],
            8..12 => vec![delay(stream.word()), delay(stream.word())],
            12..30 => vec![delay(stream.word())],
            _ => vec![ms(5)],
        }
    };
    let mut reader = Stream::new(seed, "slow reader");
    pair.ends[1].reads = !seed.is_multiple_of(5);
    pair.ends[0].reads = !seed.is_multiple_of(11);
    let (mut at, mut closed) = ([0, 0], [false, false]);
    for _ in 0..2_000_000 {
        for end in [0, 1] {
            feed(&mut pair, end, &data[end], &mut at[end], chunk, &mut closed[end]);
        }
        // A slow reader: now and then a few bytes, so that the window closes and opens.
        for end in [0, 1] {
            if !pair.ends[end].reads && below(reader.word(), 2) == 0 {
                pair.ends[end].receive(usize::try_from(below(reader.word(), 400)).unwrap());
            }
        }
        if !pair.step(pair.now + secs(4_000), &mut network) {
            break;
        }
    }
    for end in [0, 1] {
        pair.ends[end].receive(usize::MAX);
        assert_eq!(pair.ends[end].error(), None, "seed {seed}, end {end}");
        assert_eq!(pair.ends[end].state(), State::Closed, "seed {seed}, end {end}, {:?}", pair.states());
        assert!(pair.ends[end].received.to_payload() == data[1 - end], "seed {seed}: what arrived at {end} differs");
    }
}

#[test]
fn every_byte_arrives_and_both_ends_close() {
    for seed in 0..500 {
        run(seed, |knobs| knobs);
    }
}

#[test]
fn so_they_do_where_senders_go_by_segments() {
    for seed in 0..1_000 {
        run(seed, |knobs| by_segments(seed, knobs));
    }
}

#[test]
fn a_clean_bulk_transfer_takes_few_segments() {
    let setup = Setup { snd_buf: 4_000_000, ..Setup::default() };
    let mut pair = Pair::new(&Knobs::default(), &setup);
    pair.ends[0].open();
    pair.run(secs(1), &mut perfect);
    let data = Payload::from(vec![7; 1_460_000]);
    assert_eq!(pair.ends[0].verb(|conn, cx| conn.send(cx, &data, Default::default())), 1_460_000);
    pair.run(secs(30), &mut perfect);
    assert_eq!(pair.ends[1].received.len(), 1_460_000);
    // A thousand full segments, an ACK for every second, and a few more while the window is small.
    assert!((1_500..1_600).contains(&pair.segments), "{} segments", pair.segments);
}

#[test]
fn a_million_tiny_writes_are_not_quadratic() {
    let setup = Setup { snd_buf: 4_000_000, ..Setup::default() };
    let mut pair = Pair::new(&Knobs::default(), &setup);
    pair.ends[0].open();
    pair.run(secs(1), &mut |_, _| vec![us(100)]);
    let byte = Payload::from("x");
    for _ in 0..300_000 {
        assert_eq!(pair.ends[0].verb(|conn, cx| conn.send(cx, &byte, Default::default())), 1);
    }
    pair.run(secs(30), &mut |_, _| vec![us(100)]);
    assert_eq!(pair.ends[1].received.len(), 300_000);
    assert!(pair.segments < 400, "{} segments: small writes travel together", pair.segments);
}
