//! Lines that people read: segments in our notation, calls, states; and two recordings beside each other.

use super::field::{Act, Opt, Seconds, state_name};
use super::recording::{Call, Outcome, Recording, Seg, SegBody, StateChange, Tcp};
use super::timeline::Timeline;
use crate::time::SimTime;
use crate::wire::{Flags, flags_text};
use std::fmt::Write as _;

/// `0.011280 c>s  . 1:1(0) ack 1 win 502 <nop,nop,TS val 11 ecr 0>`.
pub(super) fn seg_line(seg: &Seg) -> String {
    let mut line = format!("{} {} ", seg.at, seg.dir);
    match &seg.body {
        SegBody::Icmp(kind, code) => {
            let _ = write!(line, "icmp {kind}/{code}");
        }
        SegBody::Tcp(tcp) => {
            if let Some((src, dst)) = seg.ip {
                let _ = write!(line, "{src}:{} > {dst}:{} ", tcp.sport, tcp.dport);
            } else {
                let _ = write!(line, "{} > {} ", tcp.sport, tcp.dport);
            }
            line.push_str(&tcp_line(tcp));
        }
    }
    if seg.act != Act::Forward {
        let _ = write!(line, "  {}", seg.act.name());
    }
    line
}

pub(super) fn tcp_line(tcp: &Tcp) -> String {
    let flags = flags_text(tcp.flags);
    let end = tcp.seq + i64::from(tcp.len);
    let mut line = format!("{flags} {}:{end}({})", tcp.seq, tcp.len);
    if let Some(ack) = tcp.ack {
        let _ = write!(line, " ack {ack}");
    }
    let _ = write!(line, " win {}", tcp.win);
    if tcp.flags.contains(Flags::URG) {
        let _ = write!(line, " urg {}", tcp.urg);
    }
    if !tcp.options.is_empty() {
        let options: Vec<String> = tcp.options.iter().map(option).collect();
        let _ = write!(line, " <{}>", options.join(","));
    }
    line
}

/// An option in our notation, which says `val` and `ecr`, and `:` between edges.
fn option(option: &Opt) -> String {
    match option {
        Opt::Timestamps(val, ecr) => format!("TS val {val} ecr {ecr}"),
        Opt::Sack(blocks) => {
            let blocks: Vec<String> = blocks.iter().map(|(left, right)| format!("{left}:{right}")).collect();
            format!("sack {}", blocks.join(" "))
        }
        option => option.to_string(),
    }
}

/// `0.000600 client C connect(10.0.0.2:8000) = 0 at 0.011400`.
pub(super) fn call_line(call: &Call) -> String {
    let sock = call.sock.as_deref().unwrap_or("");
    let mut line = format!("{} {} {sock} {}({}) = ", call.at.0, call.side, call.call, call.args);
    match (&call.result, &call.errno) {
        (None, _) => line.push_str("has not returned"),
        (Some(_), Some(errno)) => line.push_str(errno),
        (Some(Outcome::Number(n)), None) => {
            let _ = write!(line, "{n}");
        }
        (Some(Outcome::Text(text)), None) => line.push_str(text),
    }
    if let Some(Seconds(returned)) = call.returned {
        let _ = write!(line, " at {returned}");
    }
    line
}

/// `0.010990 client 10.0.0.1:40000<>10.0.0.2:8000 - -> SYN_SENT`.
pub(super) fn state_line(state: &StateChange) -> String {
    let (from, to) = (state_name(state.from, "-"), state_name(state.to, "gone"));
    format!("{} {} {}<>{} {from} -> {to}", state.at, state.side, state.local, state.peer)
}

/// Width of the left column.
const COLUMN: usize = 100;

/// Everything of two recordings of one case, line by line beside each other.
pub fn side_by_side(recorded: &Recording, ours: &Recording) -> String {
    let mut rows: Vec<(SimTime, Option<String>, Option<String>)> = Vec::new();
    let (a, b) = (Timeline::new(recorded), Timeline::new(ours));
    for (n, call) in recorded.script.iter().enumerate() {
        rows.push((call.at.0, Some(call_line(call)), ours.script.get(n).map(call_line)));
    }
    let lanes: std::collections::BTreeSet<_> = a.sent.keys().chain(b.sent.keys()).copied().collect();
    for (flow, dir) in lanes {
        let (left, right) = (a.lane(flow, dir), b.lane(flow, dir));
        for n in 0..left.len().max(right.len()) {
            let (left, right) = (left.get(n), right.get(n));
            let at = left.or(right).map(|seg| seg.at).unwrap_or_default();
            rows.push((at, left.map(|seg| seg_line(seg)), right.map(|seg| seg_line(seg))));
        }
    }
    for seg in recorded.segments.iter().filter(|seg| seg.act == Act::Inject) {
        rows.push((seg.at, Some(seg_line(seg)), Some(seg_line(seg))));
    }
    rows.extend(recorded.states.iter().map(|state| (state.at, Some(state_line(state)), None)));
    rows.extend(ours.states.iter().map(|state| (state.at, None, Some(state_line(state)))));
    rows.sort_by_key(|(at, ..)| *at);
    let mut text = String::new();
    for (_, left, right) in rows {
        let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
        let _ = writeln!(text, "  {left:COLUMN$} | {right}");
    }
    text
}
