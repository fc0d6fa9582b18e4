//! One end against a script. A script is its own expected transcript:
//!
//! | line | meaning |
//! |---|---|
//! | `open`, `listen` | an active open, a listener |
//! | `send N`, `oob N`, `more N`, `read N`, `close`, `stop`, `abort` | user verbs |
//! | `nodelay`, `cork on`, `cork off`, `hold` | options; `hold` stops reading what comes |
//! | `< SEGMENT` | a segment arrives |
//! | `icmp KIND N` | an ICMP error about our segment N |
//! | `wait SPAN` | time passes, timers fire |
//! | `> SEGMENT` | expected: a segment leaves; with `@T` if a timer sent it |
//! | `= FROM -> TO` | expected: a transition, and the error if there is one |
//! | `! REASON` | expected: a drop |
//!
//! Numbers are relative to the ISS of the side that counts them. `win` is shown where the script begins with `win`.

use super::end::{End, Machine};
use wirefate::endpoint::{Arrival, MsgFlags};
use wirefate::tcp::{Knobs, Setup, TcpEvent};
use wirefate::time::Span;
use wirefate::wire::{IcmpKind, Notation, Payload, Rope, Segment, SegmentText, Seq};

pub(crate) const OURS: Seq = Seq(100_000);
pub(crate) const THEIRS: Seq = Seq(u32::MAX - 1_000);

struct Script {
    end: End,
    windows: bool,
    said: Vec<String>,
    seen: usize,
}

/// Runs `script` and compares the transcript with it.
#[track_caller]
pub(crate) fn check(script: &str) {
    check_with(Knobs::default(), Setup::default(), script);
}

/// The same, with other knobs or options.
#[track_caller]
pub(crate) fn check_with(knobs: Knobs, setup: Setup, script: &str) {
    let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut run = Script { end: End::new((1000, 80), OURS, knobs, setup), windows: false, said: vec![], seen: 0 };
    for line in &lines {
        if !line.starts_with(['>', '=', '!', '@']) {
            run.said.push((*line).to_owned());
            run.perform(line);
        }
    }
    assert_eq!(run.said.join("\n"), lines.join("\n"), "left: what happened, right: the script");
}

impl Script {
    fn perform(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "#" => {}
            "win" => self.windows = true,
            "open" => self.end.open(),
            "listen" => self.end.machine = Machine::Listen,
            "send" => self.send(rest, MsgFlags::empty()),
            "oob" => self.send(rest, MsgFlags::OOB),
            "more" => self.send(rest, MsgFlags::MORE),
            "hold" => self.end.reads = false,
            "read" => self.read(rest.parse().unwrap()),
            "close" => self.end.verb(|conn, cx| conn.close(cx)),
            "stop" => self.end.verb(|conn, cx| conn.stop_receiving(cx)),
            "abort" => self.end.verb(|conn, cx| conn.abort(cx)),
            "nodelay" => self.end.verb(|conn, cx| conn.set_nodelay(cx, true)),
            "cork" => self.end.verb(|conn, cx| conn.set_cork(cx, rest == "on")),
            "icmp" => self.icmp(rest),
            "<" => self.end.arrive(&segment(rest)),
            "wait" => return self.wait(rest.parse().unwrap()),
            _ => panic!("`{line}`: no such verb"),
        }
        self.tell("");
    }

    fn send(&mut self, len: &str, flags: MsgFlags) {
        let data = Payload::from(vec![b'x'; len.parse().unwrap()]);
        let taken = self.end.verb(|conn, cx| conn.send(cx, &data, flags));
        assert_eq!(taken, data.len(), "the buffer takes all of it");
    }

    fn read(&mut self, len: usize) {
        let mut into = Rope::new();
        let got = self.end.verb(|conn, cx| conn.receive(cx, len, MsgFlags::empty(), &mut into));
        assert_eq!(got, len, "there is as much to read");
    }

    fn icmp(&mut self, rest: &str) {
        let (kind, number) = rest.split_once(' ').unwrap();
        let kind = match kind {
            "port" => IcmpKind::PortUnreachable,
            "host" => IcmpKind::HostUnreachable,
            mtu => IcmpKind::TooBig { mtu: mtu.parse().unwrap() },
        };
        let seq = OURS + number.parse::<u32>().unwrap();
        self.end.verb(|conn, cx| conn.on_icmp(cx, kind, seq));
    }

    fn wait(&mut self, span: Span) {
        let until = self.end.now + span;
        while let Some(at) = self.end.next_timeout().filter(|at| *at <= until) {
            self.end.now = self.end.now.max(at);
            self.end.on_timeout();
            self.tell(&format!("@{} ", self.end.now));
        }
        self.end.now = until;
    }

    /// Writes down what happened since the last time.
    fn tell(&mut self, at: &str) {
        for event in &self.end.events[self.seen..] {
            match event {
                TcpEvent::Transition { from, to, error, .. } => {
                    let why = error.map(|e| format!(" {e}")).unwrap_or_default();
                    self.said.push(format!("{at}= {from} -> {to}{why}"));
                }
                TcpEvent::Arrival(Arrival::Dropped(reason)) => self.said.push(format!("{at}! {reason}")),
                _ => {}
            }
        }
        self.seen = self.end.events.len();
        for seg in std::mem::take(&mut self.end.out) {
            let notation = Notation { window: self.windows, options: false, ..Notation::relative(OURS, THEIRS) };
            let text = SegmentText::of(&seg, notation);
            self.said.push(format!("{at}> {text}"));
        }
    }
}

/// A segment of the peer.
pub(crate) fn segment(text: &str) -> Segment {
    let text: SegmentText = text.parse().unwrap_or_else(|e| panic!("{e}"));
    let payload = Payload::from(vec![b'y'; text.len as usize]);
    let seg = text.into_segment(THEIRS, OURS, payload).unwrap();
    Segment { src_port: 80, dst_port: 1000, ..seg }
}
