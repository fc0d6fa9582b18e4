//! What wirefate shows of a stack that it knows nothing of: traces, captures, and rules that it breaks.

use outside::{Fault, Toy};
use std::any::Any;
use wirefate::net::{Action, Fault as Forced, Selector};
use wirefate::time::ms;
use wirefate::trace::{NodeId, What};
use wirefate::wire::{Flags, emit, parse};
use wirefate::{Link, Sim, percent};

const TEXT: &[u8] = b"a toy speaks";

/// A client that sends [`TEXT`] to a server which offers a window of `window` bytes.
struct Talk {
    sim: Sim,
    server: NodeId,
}

impl Talk {
    fn new(seed: u64, fault: Fault, window: u16, link: Link) -> Talk {
        let mut sim = Sim::new(seed);
        let client = sim.endpoint("client", Toy::new(fault, 100));
        let server = sim.endpoint("server", Toy::new(fault, window));
        sim.link(client, server, link);
        let peer = sim.addr(server).unwrap();
        sim.with_endpoint(client, |endpoint, cx| toy(endpoint).open(cx, peer, TEXT));
        Talk { sim, server }
    }

    /// Loses the first data segments.
    fn losing_data(mut self, times: u32) -> Talk {
        for nth in 1..=times {
            let flags = Some(Flags::ACK);
            let link = Some(("client".to_owned(), "server".to_owned()));
            let selector = Selector { link, flags, payload: Some(true), nth: Some(nth), ..Selector::default() };
            self.sim.fault(Forced { name: Some("data".to_owned()), selector, action: Action::Drop, stage: None });
        }
        self
    }

    fn run(mut self) -> Talk {
        self.sim.run();
        self
    }

    fn received(&mut self) -> Vec<u8> {
        self.sim.with_endpoint(self.server, |endpoint, _| toy(endpoint).received.clone())
    }

    /// The oracles that fired, and what they said.
    fn violations(&self) -> Vec<(&'static str, String)> {
        self.sim.outcome().violations.into_iter().map(|v| (v.oracle, v.text)).collect()
    }

    #[track_caller]
    fn breaks(&self, oracle: &str, text: &str) {
        let violations = self.violations();
        assert_eq!(violations.len(), 1, "{violations:?}\n{}", self.sim.trace().story());
        assert_eq!((violations[0].0, violations[0].1.as_str()), (oracle, text));
        assert!(!self.sim.outcome().held());
    }
}

fn toy(endpoint: &mut dyn wirefate::endpoint::Endpoint) -> &mut Toy {
    (endpoint as &mut dyn Any).downcast_mut().expect("every endpoint here is a toy")
}

fn link() -> Link {
    Link::new().delay(ms(20))
}

#[test]
fn a_lawful_toy_breaks_no_rule() {
    let mut talk = Talk::new(1, Fault::None, 100, link()).losing_data(2).run();
    assert_eq!(talk.violations(), []);
    assert_eq!(talk.received(), TEXT);
    assert!(talk.sim.outcome().held());
}

#[test]
fn a_lawful_toy_gets_its_text_through_bad_networks() {
    for seed in 0..100 {
        let link = link().loss(percent(20)).duplicate(percent(5)).corrupt(percent(5)).reorder(percent(5));
        let mut talk = Talk::new(seed, Fault::None, 4, link).run();
        assert_eq!(talk.violations(), [], "seed {seed}\n{}", talk.sim.trace().story());
        assert_eq!(talk.received(), TEXT, "seed {seed}\n{}", talk.sim.trace().story());
    }
}

#[test]
fn its_story_is_told() {
    let talk = Talk::new(1, Fault::None, 100, link()).losing_data(1).run();
    let story = talk.sim.trace().story().to_string();
    let columns = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = story.lines().map(columns).collect();
    let expected = [
        "seed 1",
        "",
        "time host event conn packet fate detail",
        "0.000000 client send c1 >server #1 20ms S 0:0(0) win 100",
        "0.020000 server send c1 >client #1 20ms S. 0:0(0) ack 1 win 100",
        "0.040000 client send c1 >server #2 LOST fault data . 1:13(12) ack 1 win 100",
        "1.040000 client send c1 >server #3 20ms . 1:13(12) ack 1 win 100",
        "1.060000 server send c1 >client #2 20ms . 1:1(0) ack 13 win 100",
        "1.080000 - check HELD 10 oracles (legal-transition, queue-bounds: not applicable), 0 expectations; 5 packets, 1 lost; quiescent",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let run = |seed| {
        let talk = Talk::new(seed, Fault::None, 4, link().loss(percent(20))).run();
        (talk.sim.digest().to_string(), talk.sim.trace().full().to_string())
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn its_packets_are_in_the_capture() {
    let talk = Talk::new(1, Fault::None, 100, link()).losing_data(1).run();
    let file = talk.sim.trace().capture(Vec::new()).unwrap();
    let sent: Vec<Vec<u8>> = talk
        .sim
        .records()
        .iter()
        .filter_map(|record| match &record.what {
            What::Sent(sent) => Some(emit(&sent.packet)),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 5);
    assert_eq!(packets(&file), sent);
    assert!(sent.iter().all(|bytes| parse(bytes).is_ok()), "every checksum is right");
}

/// The bytes of each packet of a pcapng file (draft-ietf-opsawg-pcapng 4.3), read without any help.
fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((word(0), word(8)), (0x0a0d_0d0a, 0x1a2b_3c4d), "a section header, little-endian");
    let (mut at, mut packets) = (0, Vec::new());
    while at < file.len() {
        let len = word(at + 4) as usize;
        if word(at) == 6 {
            let captured = word(at + 20) as usize;
            packets.push(file[at + 28..at + 28 + captured].to_vec());
        }
        at += len;
    }
    packets
}

#[test]
fn other_bytes_in_a_retransmission_are_seen() {
    let talk = Talk::new(1, Fault::OtherBytes, 100, link()).losing_data(1).run();
    talk.breaks(
        "consistent-retransmission",
        "client:7 in c1 sent byte 1 as 'a' in client > server #2 and as '?' in client > server #3",
    );
}

#[test]
fn data_beyond_the_window_is_seen() {
    let talk = Talk::new(1, Fault::BeyondWindow, 4, link()).run();
    talk.breaks(
        "window",
        "client:7 in c1 sent data up to 13 (client > server #2), 8 bytes beyond the right edge 5 that it had been told \
         by server > client #1",
    );
}

#[test]
fn a_timer_that_shrinks_is_seen() {
    let talk = Talk::new(1, Fault::ShrinkingTimer, 100, link()).losing_data(4).run();
    talk.breaks(
        "rto-growth",
        "client:7 in c1 sent 1 again (retransmission 4, client > server #6) 125ms after the last time, though it had \
         waited 250ms before that one (client > server #5) and heard nothing since: 500ms is due",
    );
}
