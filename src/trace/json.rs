use super::words::{Depth, Words};
use super::{
    Arrived, Belongs, Call, CallKind, Called, Disturbance, Done, Following, LinkId, Record, Sent, Trace, What,
};
use crate::endpoint::{Arrival, Event, TimerChange, Tuple};
use crate::net::Fate;
use crate::time::Span;
use crate::wire::{Body, Flags, Packet, Seq, flags_text};
use serde_json::Value;
use std::fmt;

/// A run as lines of JSON, one object a line: first the run, then every record in the order in which things happened,
/// last the verdict, once the run has one.
///
/// Names are stable; fields may be added. Times are integer nanoseconds. A field that does not apply is left out.
/// Sequence numbers are those of the header; `seq_rel` and `ack_rel` count from the ISS of the connection.
///
/// | `kind` | fields |
/// |---|---|
/// | all records | `at_ns`: virtual time; `host`: where |
/// | `run` | `format`: 1; `sim`; `seed`; `params`, `profiles`: objects of texts; `teaching`: texts; `hosts`: names; `addrs`: object, address to host |
/// | `sent` | packet fields; `forwarded`; `fate`: as in the text; `lost`; `after_ns`; `copies_ns`: a number each duplicate; `corrupt_bit` |
/// | `arrived` | packet fields; `copy`: 0, or the number of the duplicate; `sent_ns`; `conn_here`: the receiver's connection, where it is another; `outcome`: `duplicate`, `out of order`, `dropped`; `reason`: of a drop |
/// | `transition` | `conn`, `local`, `remote`; `from`, `to`: states; `lasts_ns`; `error` |
/// | `timer` | `conn`, `local`, `remote`; `timer`; `change`: `set`, `fired`, `restarted`; `until_host_ns` on the host's clock; `after_ns`, `count`, `next_ns` |
/// | `arrival` | `outcome`, `reason`: told apart from a packet |
/// | `cwnd` | `conn`, `local`, `remote`; `cwnd`, `ssthresh`: bytes |
/// | `queue` | `local`; `syn`, `syn_max`, `accept`, `accept_max` |
/// | `call` | `socket`: its name; `conn`; `local`, `remote`; `call`: POSIX name; `kind_of_call`: `plain`, `routine`, `blocking`; `text`: as in the text; `addr`; `backlog`; `bytes`: to be sent, or at most to be read; `result`: `ok`, an error's name, or left out where the call only begins; `count`: bytes done; `accepted`: the new socket; `peer`; `took_ns` |
/// | `disturbance` | `what`: `host`, `link down`, `link up`, `skew`, `inject`, `note`; `link`; `ppm`; `text` |
/// | `violation` | `rule`, `text` |
/// | `verdict` | `at_ns`; `held`; `oracles`, `expectations`, `packets`, `lost`: numbers; `not_applicable`: names of oracles; `broken`: texts; `ended` |
///
/// Packet fields: `packet`: its name, `client > server #3`; `from`, `to`: the ends of its link; `n`; `conn`; `src`, `dst`,
/// `ttl`, `tos`, `len`: of the IP packet; `proto`: `tcp`, `udp`, `icmp`, `raw`; `src_port`, `dst_port`; `seq`, `ack`,
/// `seq_rel`, `ack_rel`, `flags`, `window`, `urgent`; `payload`: bytes of data; `text`: packetdrill notation, complete.
#[derive(Clone, Debug)]
pub struct Json<'a> {
    trace: Trace<'a>,
}

impl<'a> Trace<'a> {
    /// The run as lines of JSON, for programs; [`Json`] lists the fields. What was kept decides: see [`super::Keep`].
    pub fn json(&self) -> Json<'a> {
        Json { trace: self.clone() }
    }
}

impl Json<'_> {
    /// The version of the lines: new numbers for changed or dropped fields, not for added ones.
    pub const FORMAT: u32 = 1;

    /// Writes the lines.
    pub fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        self.run().line(to)?;
        let mut following = Following::new(&self.trace);
        for record in self.trace.records {
            following.see(record);
            self.record(record, &following).line(to)?;
        }
        self.verdict().map_or(Ok(()), |verdict| verdict.line(to))
    }

    fn run(&self) -> Object {
        let (header, names) = (self.trace.header, self.trace.names);
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().fold(Object::default(), |object, (name, value)| object.with(name, value.as_str()))
        };
        let addrs = names.all_addrs().filter(|(addr, _)| !addr.is_loopback());
        let addrs = addrs.fold(Object::default(), |object, (addr, name)| object.with(&addr.to_string(), name));
        let hosts: Vec<&str> = names.all_nodes().map(|(_, name)| name).collect();
        let run = Object::of("run").with("format", Json::FORMAT).with("sim", header.sim.as_str());
        let run = run.with("seed", header.seed).object("params", &pairs(&header.params));
        let run = run.object("profiles", &pairs(&header.profiles)).with("teaching", header.teaching.clone());
        run.with("hosts", hosts).object("addrs", &addrs)
    }

    fn verdict(&self) -> Option<Object> {
        let verdict = self.trace.verdict.as_ref()?;
        let object = Object::of("verdict").with("at_ns", verdict.at.as_nanos()).with("held", verdict.held);
        let object = object.with("oracles", verdict.oracles).with("expectations", verdict.expectations);
        let object = object
            .with("not_applicable", verdict.not_applicable.clone())
            .with("packets", verdict.packets)
            .with("lost", verdict.lost);
        Some(object.with("broken", verdict.broken.clone()).with("ended", verdict.ended.as_str()))
    }

    fn record(&self, record: &Record<'_>, following: &Following<'_>) -> Object {
        let kind = match &record.what {
            What::Sent(_) => "sent",
            What::Arrived(_) => "arrived",
            What::Noted { event, .. } => event_kind(event),
            What::Called(_) => "call",
            What::Disturbed(_) => "disturbance",
            What::Violated { .. } => "violation",
        };
        let host = record.node.map(|node| self.trace.names.node(node));
        let conn = following.conn(record).map(|conn| self.trace.conns.name(conn));
        let object = Object::of(kind).with("at_ns", record.at.as_nanos()).some("host", host).some("conn", conn);
        match &record.what {
            What::Sent(sent) => self.sent(object, sent),
            What::Arrived(arrived) => self.arrived(object, arrived),
            What::Noted { event, .. } => noted(object, event),
            What::Called(called) => self.called(object, called, record, following),
            What::Disturbed(disturbance) => self.disturbed(object, disturbance),
            What::Violated { rule, text } => object.with("rule", *rule).with("text", text.as_str()),
        }
    }

    fn sent(&self, object: Object, sent: &Sent<'_>) -> Object {
        let object = self.packet(object, sent.link, sent.n, &sent.packet, sent.conn).with("forwarded", sent.forwarded);
        let object = object.with("fate", sent.fate.to_string()).with("lost", sent.fate.is_lost());
        match &*sent.fate {
            Fate::Delivered(after) => object.with("after_ns", after.as_nanos()),
            Fate::Changed { after, copies, corrupt_bit } => {
                let copies: Vec<u64> = copies.iter().map(|copy| copy.as_nanos()).collect();
                object.with("after_ns", after.as_nanos()).with("copies_ns", copies).some("corrupt_bit", *corrupt_bit)
            }
            Fate::Lost(_) | Fate::Held(_) => object,
        }
    }

    fn arrived(&self, object: Object, arrived: &Arrived<'_>) -> Object {
        let Arrived { link, n, packet, conn, .. } = arrived;
        let object = self.packet(object, *link, *n, packet, *conn).with("copy", arrived.copy);
        let here = arrived.here.map(|here| self.trace.conns.name(here.conn));
        let object = object.with("sent_ns", arrived.sent.as_nanos()).some("conn_here", here);
        arrived.outcome.map_or(object.clone(), |outcome| outcome_fields(object, outcome))
    }

    fn packet(&self, object: Object, link: LinkId, n: u64, packet: &Packet, conn: Option<Belongs>) -> Object {
        let name = self.trace.names.link(link);
        let object = object.with("packet", format!("{name} #{n}")).with("from", name.from.as_str());
        let object = object.with("to", name.to.as_str()).with("n", n);
        let object = object.with("src", packet.src.to_string()).with("dst", packet.dst.to_string());
        let object = object.with("ttl", packet.ttl).with("tos", packet.tos).with("len", packet.len());
        let (proto, payload) = match &packet.body {
            Body::Tcp(segment) => ("tcp", segment.payload.len()),
            Body::Udp(datagram) => ("udp", datagram.payload.len()),
            Body::Icmp(icmp) => ("icmp", icmp.quote.len()),
            Body::Raw(bytes) => ("raw", bytes.len()),
        };
        let ports = packet.ports();
        let object = object.with("proto", proto).some("src_port", ports.map(|(from, _)| from));
        let object = object.some("dst_port", ports.map(|(_, to)| to)).with("payload", payload);
        let words = Words { trace: &self.trace, absolute: false };
        let object = self.segment(object, packet, conn);
        object.with("text", words.packet(packet, conn, Depth::AllOptions))
    }

    fn segment(&self, object: Object, packet: &Packet, conn: Option<Belongs>) -> Object {
        let Some(segment) = packet.segment() else { return object };
        let ack = segment.has(Flags::ACK).then_some(segment.ack);
        let incarnation = conn.and_then(|conn| Some((self.trace.conns.get(conn.conn)?, conn.from)));
        let seq_base = incarnation.and_then(|(it, from)| it.iss(from));
        let ack_base = incarnation.and_then(|(it, from)| it.iss(from.flipped()));
        let relative = |seq: Seq, base: Option<Seq>| base.map(|base| seq.since(base));
        let object = object.with("flags", flags_text(segment.flags).to_string()).with("seq", segment.seq.0);
        let object = object.some("seq_rel", relative(segment.seq, seq_base)).some("ack", ack.map(|ack| ack.0));
        let object = object.some("ack_rel", ack.and_then(|ack| relative(ack, ack_base)));
        let urgent = segment.has(Flags::URG).then_some(segment.urgent);
        object.with("window", segment.window).some("urgent", urgent)
    }

    fn called(&self, object: Object, called: &Called, record: &Record<'_>, following: &Following<'_>) -> Object {
        let names = self.trace.names;
        let kind = match called.kind {
            CallKind::Plain => "plain",
            CallKind::Routine => "routine",
            CallKind::Blocking => "blocking",
        };
        let words = Words { trace: &self.trace, absolute: false };
        let text = words.call(called, following.conn(record));
        let object = object.some("socket", called.stream.map(|stream| names.stream(stream)));
        let object = called.tuple.map_or(object.clone(), |tuple| ends(object, tuple));
        let object = object.with("call", call_name(&called.call)).with("kind_of_call", kind).with("text", text);
        let object = call_fields(object, &called.call);
        let object = match &called.result {
            None => return object,
            Some(Err(errno)) => object.with("result", errno.name()),
            Some(Ok(done)) => {
                let object = object.with("result", "ok");
                match done {
                    Done::Unit => object,
                    Done::Count(n) => object.with("count", *n),
                    Done::Accepted { stream, peer } => {
                        object.with("accepted", names.stream(*stream)).with("peer", peer.to_string())
                    }
                    Done::Data(data) => object.with("count", data.len()),
                    Done::Datagram(data, from) => object.with("count", data.len()).with("peer", from.to_string()),
                }
            }
        };
        object.with("took_ns", called.took.as_nanos())
    }

    fn disturbed(&self, object: Object, disturbance: &Disturbance) -> Object {
        let words = Words { trace: &self.trace, absolute: false };
        let link = |link: &LinkId| Some(self.trace.names.link(*link).to_string());
        let (what, link, ppm) = match disturbance {
            Disturbance::Host(_) => ("host", None, None),
            Disturbance::Down(it) => ("link down", link(it), None),
            Disturbance::Up(it) => ("link up", link(it), None),
            Disturbance::Skew(ppm) => ("skew", None, Some(*ppm)),
            Disturbance::Injected(it) => ("inject", link(it), None),
            Disturbance::Note(_) => ("note", None, None),
        };
        object.with("what", what).some("link", link).some("ppm", ppm).with("text", words.disturbance(disturbance))
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

fn event_kind(event: &Event) -> &'static str {
    match event {
        Event::Transition { .. } => "transition",
        Event::Timer { .. } => "timer",
        Event::Arrival(_) => "arrival",
        Event::Cwnd { .. } => "cwnd",
        Event::Queue { .. } => "queue",
    }
}

fn noted(object: Object, event: &Event) -> Object {
    match *event {
        Event::Transition { tuple, from, to, lasts, error } => {
            let object = ends(object, tuple).with("from", from.name()).with("to", to.name());
            object.some("lasts_ns", lasts.map(Span::as_nanos)).some("error", error.map(|errno| errno.name()))
        }
        Event::Timer { tuple, timer, change } => {
            let object = match tuple {
                Some(tuple) => ends(object, tuple),
                None => object,
            };
            let object = object.with("timer", timer.name());
            match change {
                TimerChange::Set(until) => object.with("change", "set").with("until_host_ns", until.as_nanos()),
                TimerChange::Fired { after, count, next } => {
                    let object = object.with("change", "fired").with("after_ns", after.as_nanos()).with("count", count);
                    object.some("next_ns", next.map(Span::as_nanos))
                }
                TimerChange::Restarted(span) => object.with("change", "restarted").with("next_ns", span.as_nanos()),
            }
        }
        Event::Arrival(arrival) => outcome_fields(object, arrival),
        Event::Cwnd { tuple, cwnd, ssthresh } => ends(object, tuple).with("cwnd", cwnd).with("ssthresh", ssthresh),
        Event::Queue { local, syn, accept } => {
            let object = object.with("local", local.to_string()).with("syn", syn.0).with("syn_max", syn.1);
            object.with("accept", accept.0).with("accept_max", accept.1)
        }
    }
}

fn ends(object: Object, tuple: Tuple) -> Object {
    object.with("local", tuple.local.to_string()).with("remote", tuple.remote.to_string())
}

fn outcome_fields(object: Object, arrival: Arrival) -> Object {
    match arrival {
        Arrival::Duplicate => object.with("outcome", "duplicate"),
        Arrival::OutOfOrder => object.with("outcome", "out of order"),
        Arrival::Dropped(reason) => object.with("outcome", "dropped").with("reason", reason.name()),
    }
}

fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Bind(_) => "bind",
        Call::Listen { .. } => "listen",
        Call::Accept { .. } => "accept",
        Call::Connect(_) => "connect",
        Call::Send(_) => "send",
        Call::SendTo(..) => "sendto",
        Call::Recv { .. } => "recv",
        Call::RecvFrom => "recvfrom",
        Call::Shutdown(_) => "shutdown",
        Call::Close => "close",
        Call::Abort => "abort",
        Call::SetOption(_) => "setsockopt",
    }
}

fn call_fields(object: Object, call: &Call) -> Object {
    match call {
        Call::Bind(addr) | Call::Connect(addr) | Call::Accept { local: addr } => object.with("addr", addr.to_string()),
        Call::Listen { local, backlog } => object.with("addr", local.to_string()).with("backlog", *backlog),
        Call::Send(data) => object.with("bytes", data.len()),
        Call::SendTo(data, addr) => object.with("addr", addr.to_string()).with("bytes", data.len()),
        // No limit is left out: it is no number of bytes.
        Call::Recv { max } => object.some("bytes", Some(*max).filter(|max| *max != usize::MAX)),
        Call::RecvFrom | Call::Shutdown(_) | Call::Close | Call::Abort | Call::SetOption(_) => object,
    }
}

/// An object being written. Its fields keep their order, whichever map another crate makes `serde_json` use.
#[derive(Clone, Debug, Default)]
struct Object {
    fields: String,
}

impl Object {
    fn of(kind: &str) -> Object {
        Object::default().with("kind", kind)
    }

    fn with(self, name: &str, value: impl Into<Value>) -> Object {
        self.raw(name, &value.into().to_string())
    }

    fn some(self, name: &str, value: Option<impl Into<Value>>) -> Object {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn object(self, name: &str, value: &Object) -> Object {
        self.raw(name, &format!("{{{}}}", value.fields))
    }

    fn raw(mut self, name: &str, json: &str) -> Object {
        if !self.fields.is_empty() {
            self.fields.push(',');
        }
        self.fields += &Value::from(name).to_string();
        self.fields.push(':');
        self.fields += json;
        self
    }

    fn line(&self, to: &mut impl fmt::Write) -> fmt::Result {
        writeln!(to, "{{{}}}", self.fields)
    }
}

#[cfg(test)]
mod tests {
    use crate::trace::sample::Sample;
    use serde_json::Value;

    #[test]
    fn every_line_parses_and_tells_its_kind() {
        let sample = Sample::lost_syn();
        let text = sample.trace().json().to_string();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), sample.records.len() + 2);
        assert_eq!((&lines[0]["kind"], &lines[0]["seed"]), (&"run".into(), &37.into()));
        assert_eq!(lines[0]["addrs"]["10.0.0.2"], "server");
        assert_eq!(lines[lines.len() - 1]["kind"], "verdict");
        assert_eq!(lines[lines.len() - 1]["held"], true);
        let sent: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "sent").collect();
        assert_eq!(sent.len(), sample.sent());
        assert_eq!((&sent[0]["lost"], &sent[0]["fate"]), (&true.into(), &"LOST fault syn".into()));
        assert_eq!(sent[0]["after_ns"], Value::Null);
        let second = sent[1];
        assert_eq!((&second["at_ns"], &second["after_ns"]), (&1_000_000_000.into(), &20_000_000.into()));
        assert_eq!(
            (&second["seq"], &second["seq_rel"], &second["packet"]),
            (&1000.into(), &0.into(), &"client > server #2".into())
        );
        assert_eq!((&sent[2]["flags"], &sent[2]["ack_rel"], &sent[2]["conn"]), (&"S.".into(), &1.into(), &"c1".into()));
    }

    #[test]
    fn a_line_keeps_the_order_of_its_fields() {
        let text = Sample::lost_syn().trace().json().to_string();
        let transition = text.lines().find(|line| line.contains("TIME-WAIT")).unwrap();
        assert_eq!(
            transition,
            r#"{"kind":"transition","at_ns":2040000000,"host":"client","conn":"c1","local":"10.0.0.1:40000","remote":"10.0.0.2:80","from":"FIN-WAIT-1","to":"TIME-WAIT","lasts_ns":60000000000}"#
        );
    }
}
