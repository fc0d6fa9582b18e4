use super::field::{Act, Seconds, seconds_text, state_name};
use super::recording::{Call, Outcome, Recording, Seg, SegBody, StateChange, Sysctls, Tcp};
use crate::time::SimTime;
use crate::wire::flags_text;
use serde_json::{Map, Value, json};

/// A recording in the shape in which it is read.
pub fn to_json(recording: &Recording) -> Value {
    let Sysctls { both, client, server } = &recording.sysctls;
    json!({
        "name": recording.name,
        "client": recording.client.to_string(),
        "server": recording.server.to_string(),
        "one_way_delay_s": number(recording.one_way_delay.0),
        "sysctls": { "both": both, "client": client, "server": server },
        "facts": recording.facts,
        "script": recording.script.iter().map(call).collect::<Vec<_>>(),
        "states": recording.states.iter().map(state).collect::<Vec<_>>(),
        "netstat": [{ "t": number(recording.end()) }],
        "segments": recording.segments.iter().map(segment).collect::<Vec<_>>(),
    })
}

fn number(time: SimTime) -> Value {
    let text = seconds_text(time);
    text.parse().map_or(Value::String(text), Value::Number)
}

fn call(call: &Call) -> Value {
    let result = match &call.result {
        None => Value::Null,
        Some(Outcome::Number(n)) => json!(n),
        Some(Outcome::Text(text)) => json!(text),
    };
    let mut line = json!({
        "t": number(call.at.0),
        "side": call.side.to_string(),
        "sock": call.sock,
        "call": call.call,
        "args": call.args,
        "result": result,
        "errno": call.errno,
    });
    if let Some(Seconds(returned)) = call.returned {
        line["t_end"] = number(returned);
    }
    line
}

fn state(state: &StateChange) -> Value {
    json!({
        "t": number(state.at),
        "side": state.side.to_string(),
        "local": state.local.to_string(),
        "peer": state.peer.to_string(),
        "from": state_name(state.from, "-"),
        "to": state_name(state.to, "gone"),
    })
}

fn segment(seg: &Seg) -> Value {
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| {
        line.insert(name.to_owned(), value);
    };
    put("t", number(seg.at));
    put("dir", json!(seg.dir.to_string()));
    put("act", json!(seg.act.name()));
    if let Some(arrived) = seg.arrived {
        put("t_rx", number(arrived));
    }
    match &seg.body {
        SegBody::Icmp(kind, code) => {
            put("proto", json!("icmp"));
            put("type", json!(kind));
            put("code", json!(code));
            put("flags", json!(format!("icmp{kind}/{code}")));
            put("len", json!(0));
        }
        SegBody::Tcp(tcp) => fields(tcp, &mut put),
    }
    if let Some((src, dst)) = seg.ip {
        put("ip", json!(format!("{src}>{dst}")));
    }
    if let Some(note) = &seg.note {
        put("note", json!(note));
    }
    if let (Some(rewritten), Act::Rewrite) = (seg.rewritten, &seg.act) {
        put("rewritten", json!({ "seq_abs": rewritten.seq_abs, "ack_abs": rewritten.ack_abs }));
    }
    Value::Object(line)
}

fn fields(tcp: &Tcp, put: &mut impl FnMut(&str, Value)) {
    let flags = flags_text(tcp.flags);
    put("sport", json!(tcp.sport));
    put("dport", json!(tcp.dport));
    put("flags", json!(if flags == "-" { "none" } else { &flags }));
    put("seq", json!(tcp.seq));
    put("ack", json!(tcp.ack));
    put("len", json!(tcp.len));
    put("win", json!(tcp.win));
    put("options", json!(tcp.options.iter().map(ToString::to_string).collect::<Vec<_>>()));
    if let Some(abs) = tcp.seq_abs {
        put("seq_abs", json!(abs));
    }
    if tcp.tos != 0 {
        put("tos", json!(tcp.tos));
    }
    if tcp.urg != 0 {
        put("urg", json!(tcp.urg));
    }
}
