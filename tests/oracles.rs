//! Every oracle, with a violation of its rule planted through the public API alone: a real run whose endpoints break
//! the rule, and beside it the same story just inside the rule.

mod oracles {
    pub(crate) mod meddling;
    pub(crate) mod stage;
}

use oracles::meddling::Meddling;
use oracles::stage::{Stage, ack, data};
use std::collections::BTreeSet;
use wirefate::endpoint::{Arrival, ConnView, DropReason, Event, ListenView, SndView, State};
use wirefate::net::{Action, Fault, Selector};
use wirefate::oracle;
use wirefate::time::{Span, ms, ns, secs};
use wirefate::trace::Keep;
use wirefate::wire::{Flags, Segment, TcpOption};
use wirefate::{Link, Sim};

/// A test for each planted violation: the oracle, the story that breaks its rule, what it says, and the same story
/// just inside the rule.
macro_rules! planted {
    ($($test:ident: $oracle:literal { breaks: $breaks:expr, says: $says:literal, holds: $holds:expr, })*) => {
        const PLANTED: &[&str] = &[$($oracle),*];

        $(#[test] fn $test() {
            breaks(&$breaks, $oracle, $says);
            holds(&$holds);
        })*
    };
}

planted! {
    a_byte_that_nobody_wrote: "stream-integrity" {
        breaks: talk(client_sending(|hello| Segment { payload: "jello".into(), ..hello }), server()),
        says: "server:80 in c1 read \"jello\" at offset 0, which the other end never wrote there in this connection: \
               expected \"hello\"; it came with client > server #3, sent at 0.020000, arrived at 0.030000",
        holds: talk(client_sending(|hello| early(&hello, "jhello")), server()),
    }

    data_beyond_the_window: "window" {
        breaks: Stage::open(&[TcpOption::Mss(1460)]).up(data(1, &"x".repeat(1001))).over(),
        says: "client:5000 in c1 sent data up to 1002 (client > server #3), 1 bytes beyond the right edge 1001 that it \
               had been told by server > client #1",
        holds: Stage::open(&[TcpOption::Mss(1460)]).up(data(1, &"x".repeat(1000))).up(data(1001, "p")).over(),
    }

    a_window_that_is_taken_back: "window" {
        breaks: Stage::open(&[]).up(data(1, "hello")).down(offer(1, 6, 994)).over(),
        says: "server:80 in c1 moved the right edge of its window from 1001 (server > client #1) back to \
               1000 (server > client #2), by 1 bytes",
        holds: Stage::open(&[]).up(data(1, "hello")).down(offer(1, 6, 995)).over(),
    }

    a_scaled_window_that_is_taken_back: "window" {
        breaks: Stage::open(&[TcpOption::WindowScale(3)]).down(ack(1, 1)).down(offer(1, 1, 999)).over(),
        says: "from 8001 (server > client #2) back to 7993 (server > client #3), by 8 bytes",
        holds: Stage::open(&[TcpOption::WindowScale(3)])
            .down(ack(1, 1))
            .up(data(1, "x"))
            .down(offer(1, 2, 999))
            .over(),
    }

    a_segment_larger_than_the_peer_takes: "mtu" {
        breaks: Stage::open(&[TcpOption::Mss(600)]).up(data(1, &"x".repeat(601))).over(),
        says: "client:5000 in c1 sent 601 bytes of data and 0 of options in client > server #3: 601 bytes, but the \
               answering end takes 600",
        holds: Stage::open(&[TcpOption::Mss(600)]).up(data(1, &"x".repeat(600))).over(),
    }

    a_byte_that_is_sent_with_two_values: "consistent-retransmission" {
        breaks: Stage::open(&[]).up(data(1, "abcd")).up(data(3, "cX")).over(),
        says: "client:5000 in c1 sent byte 4 as 'd' in client > server #3 and as 'X' in client > server #4",
        holds: Stage::open(&[]).up(data(1, "abcd")).down(ack(1, 5)).up(data(3, "cX")).over(),
    }

    a_retransmission_that_comes_too_soon: "rto-growth" {
        breaks: retransmissions(ns(6_979_999_999)),
        says: "client:5000 in c1 sent 1 again (retransmission 4, client > server #7) 6.979999999s after the last time, \
               though it had waited 4s before that one (client > server #6) and heard nothing since: 8s is due",
        holds: retransmissions(ms(6_980)),
    }

    data_that_is_not_acknowledged: "ack-required" {
        breaks: Stage::open(&[]).down(ack(1, 1)).up(data(1, "hello")).wait(ms(583)).down(ack(1, 6)).over(),
        says: "server:80 in c1 has not acknowledged 5 bytes at 1 (client > server #3), which came in order at \
               0.050000, within 500ms",
        holds: Stage::open(&[]).down(ack(1, 1)).up(data(1, "hello")).wait(ms(582)).down(ack(1, 6)).over(),
    }

    acknowledgments_without_end: "ack-storm" {
        breaks: answers(50, 51),
        says: "the ends of c1 have answered 100 bare acknowledgments with bare acknowledgments, from client > server \
               #3 at 0.041000 to client > server #53, and neither moves",
        holds: answers(50, 50),
    }

    a_wrong_checksum_that_nobody_minds: "checksum" {
        breaks: corrupted(server().telling(|event| Some(event).filter(|&event| event != CHECKSUM))),
        says: "client > server #3, sent at 0.020000, reached server with a wrong checksum, which took it",
        holds: corrupted(server()),
    }

    a_syn_that_is_sent_once: "liveness" {
        breaks: losing_the_syn(client().without_timers(), 1),
        says: "client:58681 is in SYN-SENT with server:80 and nothing will ever happen: its SYN is not answered, and no \
               timer runs",
        holds: losing_the_syn(client().without_timers(), 2),
    }

    an_edge_that_is_not_there: "legal-transition" {
        breaks: talk(client_moving(State::Closed, |from, _| (from, State::Established)), server()),
        says: "client:58681 > server:80 at client went from TIME-WAIT to ESTABLISHED: there is no such edge",
        holds: talk(client_moving(State::Closed, |from, _| (from, State::Listen)), server()),
    }

    a_transition_from_elsewhere: "legal-transition" {
        breaks: talk(client_moving(State::FinWait2, |_, to| (State::Closing, to)), server()),
        says: "client:58681 > server:80 at client went from CLOSING to FIN-WAIT-2, but was in FIN-WAIT-1",
        holds: talk(client_moving(State::FinWait2, |_, to| (State::FinWait1, to)), server()),
    }

    an_acknowledgment_of_what_never_came: "una-le-nxt" {
        breaks: Stage::open(&[]).up(data(1, "hello")).down(ack(1, 7)).over(),
        says: "server:80 in c1 acknowledged everything up to 7 (server > client #2), but only what lies below 6 ever \
               came",
        holds: Stage::open(&[]).up(data(1, "hello")).down(ack(1, 6)).over(),
    }

    an_acknowledged_number_past_the_next: "una-le-nxt" {
        breaks: quiet_talk(client().showing(|view| Some(with_una(view, 1))), server()),
        says: "snd.una 7 has passed snd.nxt 6 at client",
        holds: quiet_talk(client().showing(|view| Some(with_una(view, 0))), server()),
    }

    an_accept_queue_that_is_too_long: "queue-bounds" {
        breaks: quiet_talk(client(), server_showing(|l| ListenView { accept: l.accept_max + 1, ..l })),
        says: "the accept queue of :80 at server holds 129, and may hold 128",
        holds: quiet_talk(client(), server_showing(|l| ListenView { accept: l.accept_max, ..l })),
    }

    a_syn_queue_that_is_too_long: "queue-bounds" {
        breaks: quiet_talk(client(), server().telling(|event| Some(with_syn_queue(event, 1)))),
        says: "the SYN queue of :80 at server holds 129, and may hold 128",
        holds: quiet_talk(client(), server().telling(|event| Some(with_syn_queue(event, 0)))),
    }
}

#[test]
fn every_oracle_is_planted() {
    let (oracles, planted): (BTreeSet<&str>, _) = (oracle::names().collect(), PLANTED.iter().copied().collect());
    let missing: Vec<_> = oracles.difference(&planted).collect();
    assert!(missing.is_empty(), "plant a violation for each in the list `planted!` of tests/oracles.rs: {missing:?}");
    assert_eq!(oracles, planted, "there is no such oracle");
}

#[test]
fn where_an_endpoint_shows_nothing_nobody_judges_its_state() {
    holds(&losing_the_syn(client().without_timers().shy(), 1));
    let shy = || client().showing(|view| Some(with_una(view, 1))).shy();
    let run = quiet_talk(shy(), server().shy());
    holds(&run);
    assert_eq!(run.outcome().not_applicable, ["legal-transition", "queue-bounds"]);
    let verdict = run.trace().story().to_string();
    assert!(verdict.contains("10 oracles (legal-transition, queue-bounds: not applicable), "), "{verdict}");
    holds(&talk(client().telling(|_| None), server().telling(|_| None)));
}

#[track_caller]
fn breaks(sim: &Sim, oracle: &str, says: &str) {
    let outcome = sim.outcome();
    let found: Vec<_> = outcome.violations.iter().map(|v| (v.oracle, v.text.as_str())).collect();
    assert_eq!(found.len(), 1, "{found:?}\n{}", sim.trace().full());
    assert!(found[0].0 == oracle && found[0].1.contains(says), "{oracle}, {says:?} is not what it says: {found:?}");
    assert!(!outcome.held());
}

#[track_caller]
fn holds(sim: &Sim) {
    let outcome = sim.outcome();
    assert!(
        outcome.held() && outcome.oracles + outcome.not_applicable.len() == oracle::names().count(),
        "{outcome:?}\n{}",
        sim.trace().full()
    );
}

fn client() -> Meddling {
    Meddling::new("client")
}

fn server() -> Meddling {
    Meddling::new("server")
}

/// A client that sends its data as `f` alters it.
fn client_sending(f: impl Fn(Segment) -> Segment + 'static) -> Meddling {
    client().sending(move |segment| Some(if segment.payload.is_empty() { segment } else { f(segment) }))
}

/// A server that shows its listener as `f` alters it.
fn server_showing(f: impl Fn(ListenView) -> ListenView + 'static) -> Meddling {
    server().showing_listeners(move |listener| Some(f(listener)))
}

/// `text` one byte earlier than `segment`.
fn early(segment: &Segment, text: &str) -> Segment {
    Segment { seq: segment.seq - 1, payload: text.into(), ..segment.clone() }
}

/// The client says hello; the server reads it.
fn begin(client: Meddling, server: Meddling, fault: Option<Fault>) -> (Sim, wirefate::sim::Stream) {
    let mut sim = Sim::with(1, Keep::Full);
    let (client, server) = (sim.endpoint("client", client), sim.endpoint("server", server));
    sim.link(client, server, Link::new().delay(ms(10)));
    fault.into_iter().for_each(|fault| sim.fault(fault));
    sim.listen(server, 80);
    let stream = sim.connect(client, server, 80);
    sim.write(stream, "hello");
    (sim, stream)
}

/// ... and both close.
fn talk(client: Meddling, server: Meddling) -> Sim {
    let (mut sim, stream) = begin(client, server, None);
    sim.close(stream);
    sim.run();
    sim
}

/// ... and nobody closes.
fn quiet_talk(client: Meddling, server: Meddling) -> Sim {
    let (mut sim, _) = begin(client, server, None);
    sim.run();
    sim
}

const CHECKSUM: Event = Event::Arrival(Arrival::Dropped(DropReason::Checksum));

/// The first byte of the first data loses its lowest bit on the way.
fn corrupted(server: Meddling) -> Sim {
    let selector = Selector { payload: Some(true), nth: Some(1), ..Selector::default() };
    let fault = Fault { name: None, selector, action: Action::Corrupt(20 * 8 + 7), stage: None };
    let (mut sim, _) = begin(client(), server, Some(fault));
    sim.run();
    sim
}

/// The `nth` SYN is lost.
fn losing_the_syn(client: Meddling, nth: u32) -> Sim {
    let selector = Selector { flags: Some(Flags::SYN), nth: Some(nth), ..Selector::default() };
    let (mut sim, _) = begin(client, server(), Some(Fault { name: None, selector, action: Action::Drop, stage: None }));
    sim.run();
    sim
}

/// A segment is sent again after 1, 2 and 4 seconds, and after `last`.
fn retransmissions(last: Span) -> Sim {
    let way = ms(10);
    let begun = Stage::open(&[]).up(data(1, "hello"));
    let sent = [secs(1), secs(2), secs(4), last].into_iter();
    sent.fold(begun, |stage, after| stage.wait(after.saturating_sub(way)).up(data(1, "hello"))).over()
}

/// Each end answers so many bare acknowledgments with the same.
fn answers(server: u32, client: u32) -> Sim {
    let open = Stage::open(&[]).server_answers(server, ack(1, 1)).client_answers(client, ack(1, 1));
    open.wait(ms(1)).down(ack(1, 1)).over()
}

/// A client that tells of its transition to `which` as `f` alters it.
fn client_moving(which: State, f: impl Fn(State, State) -> (State, State) + 'static) -> Meddling {
    client().telling(move |event| match event {
        Event::Transition { tuple, from, to, lasts, error } if to == which => {
            let (from, to) = f(from, to);
            Some(Event::Transition { tuple, from, to, lasts, error })
        }
        event => Some(event),
    })
}

fn offer(seq: u32, acked: u32, window: u16) -> Segment {
    Segment { window, ..ack(seq, acked) }
}

/// A view in which everything sent is acknowledged, and `more` besides.
fn with_una(view: ConnView, more: u32) -> ConnView {
    let snd = view.snd.map(|snd| SndView { una: snd.nxt + more, ..snd });
    ConnView { snd, ..view }
}

/// A SYN queue that has something in it holds `more` than it may.
fn with_syn_queue(event: Event, more: u32) -> Event {
    match event {
        Event::Queue { local, syn: (1.., most), accept } => Event::Queue { local, syn: (most + more, most), accept },
        event => event,
    }
}
