//! The same sim and seed give the same run: whenever, in however many threads, whoever looks on, and whatever else
//! there is. `examples/digests.rs` compares processes and build profiles the same way.

mod gallery;

use gallery::Story;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use wirefate::net::{Fate, Loss};
use wirefate::sim::{Sim, apps::DatagramSource};
use wirefate::time::{SimTime, ms};
use wirefate::trace::{Keep, What};
use wirefate::{Link, percent};

/// Every story under each of its seeds.
fn runs(stories: &[Story]) -> Vec<(&Story, u64)> {
    stories.iter().flat_map(|story| (0..story.seeds()).map(move |seed| (story, seed))).collect()
}

/// Asserts that a run has this digest; where it has not, shows the first record in which two runs of it differ.
#[track_caller]
fn assert_digest(story: &Story, seed: u64, expected: &str, got: &str, what: &str) {
    if expected == got {
        return;
    }
    let lines = |prepare: fn(&mut Sim)| story.play_prepared(seed, Keep::Full, prepare).trace().full().to_string();
    let (with, without) = (lines(|_| {}), lines(|sim| sim.set_oracles(Vec::new())));
    let difference = first_difference(&with, &without)
        .unwrap_or_else(|| "two runs with everything kept show no difference".to_owned());
    panic!("{} seed {seed}: {expected} became {got} {what}\n{difference}", story.stem());
}

/// The first line in which two texts differ.
fn first_difference(here: &str, there: &str) -> Option<String> {
    let none = "(no more lines)";
    let lines = here.lines().count().max(there.lines().count());
    let (mut a, mut b) = (here.lines(), there.lines());
    (1..=lines).find_map(|n| {
        let (a, b) = (a.next().unwrap_or(none), b.next().unwrap_or(none));
        (a != b).then(|| format!("line {n} was\n  {a}\nand is\n  {b}"))
    })
}

#[test]
fn the_first_difference_is_found() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb\n", "a\nc\n").unwrap(), "line 2 was\n  b\nand is\n  c");
    assert_eq!(first_difference("a\n", "a\nc\n").unwrap(), "line 2 was\n  (no more lines)\nand is\n  c");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "runs in several threads are what is compared here")]
fn in_any_order_and_any_number_of_threads() {
    let stories = gallery::all();
    let runs = runs(&stories);
    let first: Vec<String> = runs.iter().map(|(story, seed)| story.digest(*seed)).collect();
    for threads in [1, 2, 7] {
        // The last run first: what ran before in this process and thread must not matter.
        let next = AtomicUsize::new(runs.len());
        let again: Mutex<BTreeMap<usize, String>> = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(n) = next.fetch_sub(1, Ordering::Relaxed).checked_sub(1).filter(|&n| n < runs.len())
                    {
                        let digest = runs[n].0.digest(runs[n].1);
                        again.lock().expect("no thread panicked").insert(n, digest);
                        if n == 0 {
                            break;
                        }
                    }
                });
            }
        });
        let again = again.into_inner().expect("no thread panicked");
        assert_eq!(again.len(), runs.len());
        for (n, digest) in &again {
            assert_digest(runs[*n].0, runs[*n].1, &first[*n], digest, &format!("in {threads} threads"));
        }
    }
    let different: std::collections::BTreeSet<&String> = first.iter().collect();
    assert!(different.len() > stories.len(), "digests tell seeds apart, or else nothing was tested");
}

#[test]
fn whoever_looks_on_and_however_much_is_kept() {
    let stories = gallery::all();
    for (story, seed) in runs(&stories) {
        let expected = story.digest(seed);
        for keep in [Keep::Last(20), Keep::Story, Keep::Full] {
            let played = story.play(seed, keep);
            let trace = played.trace();
            // Looking at a run is not part of it: the digest is taken after each rendering, too.
            let shown =
                trace.story().to_string().len() + trace.full().to_string().len() + trace.json().to_string().len();
            let captured = trace.capture(Vec::new()).unwrap_or_else(|error| panic!("{error}"));
            assert!(shown > 0 && !captured.is_empty());
            assert_digest(story, seed, &expected, &played.sim.digest().to_string(), &format!("with {keep:?}"));
        }
        let unwatched = story.play_prepared(seed, Keep::Nothing, |sim| sim.set_oracles(Vec::new()));
        assert_digest(story, seed, &expected, &unwatched.sim.digest().to_string(), "without oracles");
    }
}

#[test]
fn looking_in_the_middle_of_a_run_changes_nothing() {
    let story = |look: bool, seed| {
        let mut sim = Sim::with(seed, Keep::Full);
        let [client, server] = sim.hosts(["client", "server"]);
        let link = Link::new().delay(ms(20)).loss(percent(2)).reorder(percent(2)).duplicate(percent(1));
        sim.link(client, server, link);
        sim.listen(server, 80);
        let conn = sim.connect(client, server, 80);
        sim.write(conn, vec![7; 50_000]);
        sim.close(conn);
        for step in 1..40 {
            sim.run_until(SimTime::ZERO + ms(50) * step);
            if look {
                assert!(!sim.trace().full().to_string().is_empty());
                assert!(sim.trace().capture(Vec::new()).is_ok_and(|bytes| !bytes.is_empty()));
                assert!(sim.netstat(server).counts().len() < 3);
            }
        }
        sim.run();
        let text = sim.trace().full().to_string();
        (sim.digest().to_string(), text)
    };
    for seed in 0..20 {
        let (plain, watched) = (story(false, seed), story(true, seed));
        assert_eq!(first_difference(&plain.1, &watched.1), None, "seed {seed}");
        assert_eq!(plain.0, watched.0, "seed {seed}");
    }
}

#[test]
fn an_idle_host_and_its_link_change_no_other_line() {
    for name in gallery::names() {
        // A comment for each line that comes in below: failures name lines.
        let text =
            gallery::text(&name).replacen("[hosts]\n", "[hosts]\n#\n", 1).replacen("[links]\n", "[links]\n#\n", 1);
        let plain = gallery::parse(&name, &text);
        let instance = plain.instance(None, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let neighbour = instance.hosts.iter().find(|host| host.count.is_none()).expect("one host is no group");
        // First in the file, so that every number of a host or link moves by one or two.
        let more = text.replacen("[hosts]\n#", "[hosts]\nidler = { profile = \"rfc9293\" }", 1).replacen(
            "[links]\n#",
            &format!("[links]\n\"idler <> {}\" = {{ loss = \"50%\" }}", &*neighbour.name),
            1,
        );
        assert_ne!(more, text);
        let more = gallery::parse(&name, &more);
        for variant in std::iter::once(None).chain(plain.variants.iter().map(|variant| Some(variant.name.as_str()))) {
            let body = |scenario: &wirefate::scenario::Scenario| {
                let instance = scenario.instance(variant, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
                let story = Story { sim: name.clone(), variant: variant.map(str::to_owned), instance };
                let text = story.play(7, Keep::Story).trace().story().to_string();
                // The header lists the hosts; it ends with the first empty line.
                text.split_once("\n\n").expect("there is a header").1.to_owned()
            };
            assert_eq!(first_difference(&body(&plain), &body(&more)), None, "{name}, {variant:?}");
        }
    }
}

/// What each impairment did to one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    lost_by: Option<&'static str>,
    after: Option<wirefate::Span>,
    copies: usize,
    corrupt_bit: Option<u32>,
}

impl Parts {
    fn of(fate: &Fate) -> Parts {
        let plain = Parts { lost_by: None, after: None, copies: 0, corrupt_bit: None };
        match fate {
            Fate::Delivered(after) => Parts { after: Some(*after), ..plain },
            Fate::Changed { after, copies, corrupt_bit } => {
                Parts { after: Some(*after), copies: copies.len(), corrupt_bit: *corrupt_bit, ..plain }
            }
            Fate::Lost(Loss::Impairment(name)) => Parts { lost_by: Some(name), ..plain },
            other => panic!("no impairment of this link does this: {other}"),
        }
    }
}

/// Sends 2,000 datagrams over `link`, one each millisecond whatever becomes of them, so that every run sends the same.
fn fates(seed: u64, link: Link, masked: Option<&str>) -> Vec<Parts> {
    let mut sim = Sim::with(seed, Keep::Story);
    let [from, to] = sim.hosts(["from", "to"]);
    sim.link_one_way(from, to, link);
    let remote = SocketAddr::new(sim.addr(to).expect("every host has an address"), 9000);
    sim.bind_udp(to, SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9000), "sink".to_owned());
    sim.app(from, DatagramSource::new(remote, 100, 1, ms(1), 2_000));
    if let Some(name) = masked {
        sim.mask(name);
    }
    sim.run();
    let sent = sim.records().iter().filter_map(|record| match &record.what {
        What::Sent(sent) => Some(Parts::of(&sent.fate)),
        _ => None,
    });
    let fates: Vec<Parts> = sent.collect();
    assert_eq!(fates.len(), 2_000, "every datagram is sent, and nothing else");
    fates
}

fn rough() -> Link {
    let link = Link::new().delay(ms(20)).jitter_reordering(ms(5)).loss(percent(10)).burst_loss(percent(5), 3);
    link.duplicate(percent(10)).corrupt(percent(10)).reorder(percent(10))
}

/// Masks one impairment of [`rough`]: `agree` says whether the fates of one packet with and without it are the same in
/// everything that the others do.
fn masking(name: &str, agree: impl Fn(&Parts, &Parts) -> bool) {
    for seed in 0..5 {
        let (with, without) = (fates(seed, rough(), None), fates(seed, rough(), Some(name)));
        for ((with, without), n) in with.iter().zip(&without).zip(1..) {
            assert!(agree(with, without), "seed {seed}, datagram {n}: {with:?} became {without:?} without {name}");
        }
        let changed = with.iter().zip(&without).filter(|(with, without)| with != without).count();
        assert!(changed > 20, "seed {seed}: {name} did nothing to begin with");
    }
}

/// Whether two fates have the same delay, or one that is longer by at most `most`.
fn later(with: &Parts, without: &Parts, most: wirefate::Span) -> bool {
    match (with.after, without.after) {
        (Some(with), Some(without)) => with >= without && with.saturating_sub(without) <= most,
        (with, without) => with == without,
    }
}

#[test]
fn masking_one_impairment_leaves_the_fates_by_others_as_they_are() {
    // What the others would have done to a lost packet is not told.
    masking("loss", |a, b| b.lost_by != Some("loss") && (a.lost_by == Some("loss") || a == b));
    masking("burst", |a, b| b.lost_by != Some("burst") && (a.lost_by == Some("burst") || a == b));
    masking("duplicate", |a, b| Parts { copies: 0, ..a.clone() } == *b);
    masking("corrupt", |a, b| Parts { corrupt_bit: None, ..a.clone() } == *b);
    masking("reorder", |a, b| later(a, b, ms(20)) && Parts { after: b.after, ..a.clone() } == *b);
    masking("jitter", |a, b| later(a, b, ms(5)) && Parts { after: b.after, ..a.clone() } == *b);
}

#[test]
fn one_more_impairment_leaves_the_fates_by_others_as_they_are() {
    for seed in 0..5 {
        let link = || Link::new().delay(ms(20)).loss(percent(10)).duplicate(percent(10));
        let (plain, more) = (fates(seed, link(), None), fates(seed, link().corrupt(percent(20)), None));
        let uncorrupted: Vec<Parts> = more.iter().map(|fate| Parts { corrupt_bit: None, ..fate.clone() }).collect();
        assert_eq!(plain, uncorrupted, "seed {seed}");
        assert_ne!(plain, more, "seed {seed}");
    }
}
