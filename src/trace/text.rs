use super::follow::accepted;
use super::heading::{header, verdict_text};
use super::words::{Depth, Words, outcome_text};
use super::{Arrived, Call, CallKind, Called, Following, Record, Trace, Verdict, What};
use crate::endpoint::{Event, TimerChange};
use crate::time::SimTime;
use crate::wire::Body;
use std::fmt;

/// A trace as text, one line an event: `Display` writes it. See [`super::LEGEND`].
#[derive(Clone, Debug)]
pub struct Text<'a> {
    trace: Trace<'a>,
    full: bool,
    absolute: bool,
    options: bool,
    host: Option<String>,
    conn: Option<String>,
}

impl<'a> Trace<'a> {
    /// What a reader wants first: sends with their fates, transitions, calls, surprising arrivals, disturbances,
    /// broken rules.
    pub fn story(&self) -> Text<'a> {
        Text { trace: self.clone(), full: false, absolute: false, options: false, host: None, conn: None }
    }

    /// Everything: also every arrival, timers, queues, congestion windows, routine calls and calls that begin. What was
    /// kept decides: see [`super::Keep`].
    pub fn full(&self) -> Text<'a> {
        Text { full: true, ..self.story() }
    }
}

impl Text<'_> {
    /// Shows sequence numbers as they stand in the header.
    pub fn absolute(mut self, absolute: bool) -> Self {
        self.absolute = absolute;
        self
    }

    /// Shows every option of every segment sent, timestamps included.
    pub fn options(mut self, options: bool) -> Self {
        self.options = options;
        self
    }

    /// Shows only what happens at the endpoint of this name, and what concerns the run as a whole.
    pub fn host(mut self, name: &str) -> Self {
        self.host = Some(name.to_owned());
        self
    }

    /// Shows only what concerns the connection or socket of this name, with disturbances and broken rules.
    pub fn conn(mut self, name: &str) -> Self {
        self.conn = Some(name.to_owned());
        self
    }

    /// Writes the text.
    pub fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        header(self.trace.header, to)?;
        let widths = self.widths();
        widths.write(to, "time", &Columns::head(), "detail")?;
        self.write_lines(&widths, to)?;
        match &self.trace.verdict {
            Some(verdict) => write_verdict(verdict, &widths, to),
            None => Ok(()),
        }
    }

    fn write_lines(&self, widths: &Widths, to: &mut impl fmt::Write) -> fmt::Result {
        let words = Words { trace: &self.trace, absolute: self.absolute };
        let mut calls: Option<Line> = None;
        self.visit(|record, columns, following| {
            let detail = self.detail(record, &words, following);
            if let Some(line) = &mut calls
                && line.takes(record, &columns, &detail)
            {
                line.detail += "; ";
                line.detail += &detail;
                return Ok(());
            }
            if let Some(line) = calls.take() {
                line.write(widths, to)?;
            }
            let line = Line { at: record.at, columns, detail };
            if line.columns.event == "call" {
                calls = Some(line);
                return Ok(());
            }
            line.write(widths, to)
        })?;
        calls.map_or(Ok(()), |line| line.write(widths, to))
    }

    /// Calls `f` with every record that is shown.
    fn visit(&self, mut f: impl FnMut(&Record<'_>, Columns, &Following<'_>) -> fmt::Result) -> fmt::Result {
        let mut following = Following::new(&self.trace);
        let mut records = self.trace.records.iter().peekable();
        while let Some(record) = records.next() {
            following.see(record);
            if !self.shows(record) || records.peek().is_some_and(|next| is_told_by(record, next)) {
                continue;
            }
            let columns = self.columns(record, &following);
            if self.passes(record, &columns, &following) {
                f(record, columns, &following)?;
            }
        }
        Ok(())
    }

    fn shows(&self, record: &Record<'_>) -> bool {
        match &record.what {
            // A timer is set anew by nearly every segment; what matters is when it fires.
            What::Noted { event: Event::Timer { change: TimerChange::Set(_), .. }, .. } => false,
            _ if self.full => true,
            _ => is_story(record),
        }
    }

    fn passes(&self, record: &Record<'_>, columns: &Columns, following: &Following<'_>) -> bool {
        let at = record.node.map(|node| self.trace.names.node(node));
        let host = self.host.as_ref().is_none_or(|host| at.is_none_or(|at| host == at));
        let conn = self.conn.as_ref().is_none_or(|name| match record.what {
            What::Disturbed(_) | What::Violated { .. } => true,
            _ => {
                *name == columns.conn || following.conn(record).is_some_and(|conn| self.trace.conns.name(conn) == *name)
            }
        });
        host && conn
    }

    fn columns(&self, record: &Record<'_>, following: &Following<'_>) -> Columns {
        let names = self.trace.names;
        let host = match &record.what {
            // The network's own answers are no packets of the host that they go to.
            What::Sent(sent) => &names.link(sent.link).from,
            _ => record.node.map_or("-", |node| names.node(node)),
        };
        let host = host.to_owned();
        let conn = conn_column(&self.trace, record, following);
        let (event, packet, fate) = match &record.what {
            What::Sent(sent) => {
                let event = if sent.forwarded { "fwd" } else { "send" };
                (event, format!(">{} #{}", names.link(sent.link).to, sent.n), sent.fate.to_string())
            }
            What::Arrived(arrived) => ("recv", arrival_name(&self.trace, arrived), outcome_text(arrived.outcome)),
            What::Noted { event: Event::Arrival(arrival), .. } => ("recv", String::new(), outcome_text(Some(*arrival))),
            What::Noted { event, .. } => (event_name(event), String::new(), String::new()),
            What::Called(_) => ("call", String::new(), String::new()),
            What::Disturbed(_) => ("fault", String::new(), String::new()),
            What::Violated { .. } => ("check", String::new(), "BROKEN".to_owned()),
        };
        Columns { host, event, conn, packet, fate }
    }

    fn detail(&self, record: &Record<'_>, words: &Words<'_>, following: &Following<'_>) -> String {
        match &record.what {
            What::Sent(sent) => {
                words.sent(sent, following, if self.options { Depth::AllOptions } else { Depth::Options })
            }
            What::Arrived(arrived) => words.arrived(arrived, following),
            What::Noted { event, .. } => words.event(event),
            What::Called(called) => words.call(called, following.conn(record)),
            What::Disturbed(disturbance) => words.disturbance(disturbance),
            What::Violated { rule, text } => format!("{rule}: {text}"),
        }
    }

    fn widths(&self) -> Widths {
        let mut widths = Widths::LEAST;
        let measured = self.visit(|_, columns, _| {
            widths.fit(&columns);
            Ok(())
        });
        debug_assert!(measured.is_ok(), "measuring writes nothing");
        widths
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// Whether the story shows `record`.
pub(super) fn is_story(record: &Record<'_>) -> bool {
    match &record.what {
        What::Sent(_) | What::Disturbed(_) | What::Violated { .. } => true,
        What::Arrived(arrived) => is_surprising(arrived),
        What::Noted { event, .. } => matches!(event, Event::Transition { .. }),
        What::Called(called) => called.result.is_some() && called.kind != CallKind::Routine,
    }
}

fn is_surprising(arrived: &Arrived<'_>) -> bool {
    arrived.outcome.is_some() || arrived.here.is_some() || matches!(arrived.packet.body, Body::Raw(_))
}

/// Whether `record` is a routine call that `next`, the blocking call made of it, tells about just as well.
fn is_told_by(record: &Record<'_>, next: &Record<'_>) -> bool {
    match (&record.what, &next.what) {
        (What::Called(a), What::Called(b)) => {
            (a.kind, b.kind) == (CallKind::Routine, CallKind::Blocking)
                && (record.at, record.node, a.stream) == (next.at, next.node, b.stream)
                && (&a.call, &a.result) == (&b.call, &b.result)
        }
        _ => false,
    }
}

/// `<client #2`, and `<client #2+1` for its first duplicate.
pub(super) fn arrival_name(trace: &Trace<'_>, arrived: &Arrived<'_>) -> String {
    let copy = if arrived.copy > 0 { format!("+{}", arrived.copy) } else { String::new() };
    format!("<{} #{}{copy}", trace.names.link(arrived.link).from, arrived.n)
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Transition { .. } => "state",
        Event::Timer { .. } => "timer",
        Event::Arrival(_) => "recv",
        Event::Cwnd { .. } => "cwnd",
        Event::Queue { .. } => "queue",
    }
}

/// The connection, the socket of a call, or the listener that a record is about.
fn conn_column(trace: &Trace<'_>, record: &Record<'_>, following: &Following<'_>) -> String {
    let by_conn = || following.conn(record).map(|conn| trace.conns.name(conn));
    match &record.what {
        What::Noted { event: Event::Queue { local, .. }, .. } => trace.names.socket(*local),
        What::Called(called) => {
            let stream = accepted(called).map(|(stream, _)| stream).or(called.stream);
            let by_stream = stream.map(|stream| trace.names.stream(stream).to_owned());
            by_stream.or_else(by_conn).or_else(|| listener(trace, called)).unwrap_or_default()
        }
        _ => by_conn().unwrap_or_default(),
    }
}

fn listener(trace: &Trace<'_>, called: &Called) -> Option<String> {
    match called.call {
        Call::Bind(local) | Call::Listen { local, .. } | Call::Accept { local } => Some(trace.names.socket(local)),
        _ => None,
    }
}

fn write_verdict(verdict: &Verdict, widths: &Widths, to: &mut impl fmt::Write) -> fmt::Result {
    let fate = |held| if held { "HELD".to_owned() } else { "BROKEN".to_owned() };
    let columns = |held| Columns { host: "-".to_owned(), event: "check", fate: fate(held), ..Columns::default() };
    for broken in &verdict.broken {
        widths.write(to, verdict.at, &columns(false), broken)?;
    }
    widths.write(to, verdict.at, &columns(verdict.held), &verdict_text(verdict))
}

/// A line of calls, which may take further calls of the same socket at the same instant.
struct Line {
    at: SimTime,
    columns: Columns,
    detail: String,
}

impl Line {
    /// The longest detail that several calls share.
    const LONGEST: usize = 72;

    fn takes(&self, record: &Record<'_>, columns: &Columns, detail: &str) -> bool {
        self.at == record.at && self.columns == *columns && self.detail.len() + detail.len() < Line::LONGEST
    }

    fn write(&self, widths: &Widths, to: &mut impl fmt::Write) -> fmt::Result {
        widths.write(to, self.at, &self.columns, &self.detail)
    }
}

/// The columns between time and detail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Columns {
    host: String,
    event: &'static str,
    conn: String,
    packet: String,
    fate: String,
}

impl Columns {
    fn head() -> Columns {
        let [host, conn, packet, fate] = ["host", "conn", "packet", "fate"].map(str::to_owned);
        Columns { host, event: "event", conn, packet, fate }
    }
}

/// How wide the columns are: as wide as what is in them, and not below a minimum, so that most traces look alike.
#[derive(Clone, Copy, Debug)]
struct Widths {
    host: usize,
    conn: usize,
    packet: usize,
    fate: usize,
}

impl Widths {
    const LEAST: Widths = Widths { host: 6, conn: 4, packet: 10, fate: 14 };
    /// A longer fate moves the detail of its own line only.
    const WIDEST_FATE: usize = 24;

    fn fit(&mut self, columns: &Columns) {
        let wider = |width: &mut usize, text: &str| *width = (*width).max(text.chars().count());
        wider(&mut self.host, &columns.host);
        wider(&mut self.conn, &columns.conn);
        wider(&mut self.packet, &columns.packet);
        if columns.fate.len() <= Widths::WIDEST_FATE {
            wider(&mut self.fate, &columns.fate);
        }
    }

    fn write(self, to: &mut impl fmt::Write, at: impl fmt::Display, columns: &Columns, detail: &str) -> fmt::Result {
        let Columns { host, event, conn, packet, fate } = columns;
        let Widths { host: a, conn: b, packet: c, fate: d } = self;
        let line = format!("{at:>12}  {host:a$}  {event:5}  {conn:b$} {packet:c$}  {fate:d$}  {detail}");
        writeln!(to, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Arrival, HostFault};
    use crate::endpoint::{DropReason, Errno, State};
    use crate::time::{Span, ms, secs};
    use crate::trace::sample::{CLIENT, SERVER, Sample, after, lost, packet, tuple};
    use crate::trace::{Disturbance, LinkId, StreamId};
    use crate::wire::{Datagram, Packet, Payload, Seq};

    const HEAD: &str = "sim       lost-syn\nseed      37\n\n";

    /// The lines below the column line.
    fn lines(text: &str) -> Vec<&str> {
        text.lines().skip_while(|line| !line.starts_with("        time")).skip(1).collect()
    }

    #[test]
    fn the_story_of_a_lost_syn() {
        let text = Sample::lost_syn().trace().story().to_string();
        assert_eq!(text.strip_prefix(HEAD).unwrap(), STORY);
    }

    #[test]
    fn all_of_a_lost_syn() {
        let text = Sample::lost_syn().trace().full().to_string();
        assert_eq!(text.strip_prefix(HEAD).unwrap(), FULL);
    }

    #[test]
    fn filters_leave_what_they_name_and_the_verdict() {
        let sample = Sample::lost_syn();
        let trace = sample.trace();
        let server = trace.story().host("server").to_string();
        assert!(lines(&server).iter().all(|line| line.contains("server  ") || line.contains("HELD")));
        let conn = trace.story().conn("c1").to_string();
        assert_eq!(lines(&conn).len(), lines(STORY).len() - 1, "all but the listener's call:\n{conn}");
        assert_eq!(lines(&trace.story().conn("c2").to_string()).len(), 1);
    }

    #[test]
    fn numbers_are_raw_on_request_and_options_complete() {
        let sample = Sample::lost_syn();
        let text = sample.trace().story().absolute(true).options(true).to_string();
        assert!(text.contains("S. 9000:9000(0) ack 1001 win 65160 <mss"), "{text}");
        assert!(text.contains(". 1001:1001(0) ack 9001 win 502 <nop,nop,TS val 1040 ecr 0>"), "{text}");
    }

    #[test]
    fn a_segment_of_an_old_incarnation_shows_both_views() {
        let mut sample = Sample::new();
        sample.send(CLIENT, "S 0:0(0) win 1000", after(ms(1)));
        sample.send(CLIENT, "P. 1:5(4) ack 1 win 1000", after(secs(9)));
        sample.at(secs(1)).send_packet(CLIENT, packet(CLIENT, "S 0:0(0) win 1000", [Seq(500), Seq(0)]), after(ms(1)));
        sample.send_packet(SERVER, packet(SERVER, "S. 0:0(0) ack 1 win 1000", [Seq(500), Seq(7000)]), after(ms(1)));
        sample.at(secs(9)).arrive(SERVER, 2, Some(Arrival::Dropped(DropReason::OutOfWindow)));
        let text = sample.trace().story().to_string();
        assert_eq!(
            lines(&text).last().unwrap(),
            &"    9.000000  server  recv   c1   <client #2  DROP out of window  P. 1:5(4) ack 9001 = 501:505 in c2"
        );
    }

    #[test]
    fn disturbances_violations_and_what_is_no_connection() {
        let mut sample = Sample::new();
        sample.record(Some(SERVER), What::Disturbed(Disturbance::Host(HostFault::Reboot { quiet: secs(120) })));
        sample.record(Some(CLIENT), What::Disturbed(Disturbance::Down(LinkId(0))));
        sample.send(CLIENT, "R 5:5(0) win 0", lost("rst"));
        let datagram = Datagram { src_port: 4000, dst_port: 53, payload: Payload::from("query") };
        let (from, to) = (tuple(CLIENT).local.ip(), tuple(SERVER).local.ip());
        sample.send_packet(CLIENT, Packet::new(from, to, Body::Udp(datagram)), after(ms(3)));
        let text = "c1: bytes 1:6 differ".to_owned();
        sample.record(None, What::Violated { rule: "stream-integrity", text });
        sample.verdict = Some(Verdict {
            at: SimTime::ZERO,
            held: false,
            oracles: 1,
            not_applicable: Vec::new(),
            expectations: 0,
            broken: vec!["stream-integrity at 0.000000: c1: bytes 1:6 differ".to_owned()],
            packets: 2,
            lost: 1,
            ended: "quiescent".to_owned(),
        });
        assert_eq!(
            lines(&sample.trace().story().to_string()),
            [
                "    0.000000  server  fault                                   reboot, quiet for 120s",
                "    0.000000  client  fault                                   link client > server down",
                "    0.000000  client  send        >server #1  LOST fault rst  R 1005:1005(0) win 0 ports 40000 > 80",
                "    0.000000  client  send        >server #2  3ms             udp (5) ports 4000 > 53",
                "    0.000000  -       check                   BROKEN          stream-integrity: c1: bytes 1:6 differ",
                "    0.000000  -       check                   BROKEN          stream-integrity at 0.000000: c1: bytes 1:6 differ",
                "    0.000000  -       check                   BROKEN          1 oracle, 0 expectations; 2 packets, 1 lost; quiescent",
            ]
        );
    }

    #[test]
    fn calls_and_a_header_with_everything() {
        let mut sample = Sample::new();
        sample.header.params = vec![("rtt".to_owned(), "40ms".to_owned())];
        let profile = |host: &str, profile: &str| (host.to_owned(), profile.to_owned());
        sample.header.profiles = vec![profile("client", "linux"), profile("b", "windows"), profile("server", "linux")];
        sample.header.teaching = vec!["client time_wait = 0s".to_owned()];
        let data = Payload::from("hello");
        sample.call(CLIENT, Some(1), Call::Send(data.clone()), Some(crate::trace::Done::Count(5)));
        sample.call(CLIENT, Some(1), Call::Recv { max: 4096 }, Some(crate::trace::Done::Data(data)));
        sample.state(CLIENT, State::Closed, State::SynSent);
        let refused = Some(Err(Errno::ECONNREFUSED));
        let (stream, call) = (Some(StreamId(1)), Call::Connect(tuple(SERVER).local));
        let called = Called { stream, tuple: None, call, result: refused, took: Span::ZERO, kind: CallKind::Blocking };
        sample.record(Some(CLIENT), What::Called(std::borrow::Cow::Owned(called)));
        let text = sample.trace().story().to_string();
        assert_eq!(
            text,
            "sim       lost-syn\nseed      37\nparams    rtt = 40ms\nprofile   linux: client, server\n\
             profile   windows: b\nteaching  client time_wait = 0s (not real)\n\n\
             \x20       time  host    event  conn packet      fate            detail\n\
             \x20   0.000000  client  call   c1                               send 5 = 5; recv 4096 = 5 \"hello\"\n\
             \x20   0.000000  client  state  c1                               CLOSED -> SYN-SENT\n\
             \x20   0.000000  client  call   c1                               connect = ECONNREFUSED\n"
        );
    }

    #[test]
    fn columns_grow_with_the_names() {
        let mut sample = Sample::new();
        sample.names.nodes[0] = "load-generator".to_owned();
        sample.names.links[0].from = "load-generator".to_owned();
        sample.names.links[1].to = "load-generator".to_owned();
        sample.send(CLIENT, "S 0:0(0) win 9", after(ms(1))).send(SERVER, "S. 0:0(0) ack 1 win 9", after(ms(1)));
        assert_eq!(
            sample.trace().story().to_string().strip_prefix(HEAD).unwrap(),
            "        time  host            event  conn packet              fate            detail\n    \
             0.000000  load-generator  send   c1   >server #1          1ms             S 0:0(0) win 9\n    \
             0.000000  server          send   c1   >load-generator #1  1ms             S. 0:0(0) ack 1 win 9\n"
        );
    }

    const STORY: &str = "\
\x20       time  host    event  conn packet      fate            detail
    0.000000  server  call   :80                              listen backlog 8 = 0
    0.000000  client  state  c1                               CLOSED -> SYN-SENT
    0.000000  client  send   c1   >server #1  LOST fault syn  S 0:0(0) win 64240 <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>
    1.000000  client  send   c1   >server #2  20ms            S 0:0(0) win 64240 <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7>
    1.020000  server  send   c1   >client #1  20ms            S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 0 ecr 1000,nop,wscale 7>
    1.040000  client  state  c1                               SYN-SENT -> ESTABLISHED
    1.040000  client  send   c1   >server #3  20ms            . 1:1(0) ack 1 win 502
    1.040000  client  call   c1                               connect = 0 (took 1.040s)
    1.060000  server  state  c1                               SYN-RECEIVED -> ESTABLISHED
    1.060000  server  call   s1                               accept :80 = s1 (c1)
    2.000000  client  call   c1                               close = 0
    2.000000  client  send   c1   >server #4  20ms            F. 1:1(0) ack 1 win 502
    2.000000  client  state  c1                               ESTABLISHED -> FIN-WAIT-1
    2.020000  server  state  c1                               ESTABLISHED -> CLOSE-WAIT
    2.020000  server  call   s1                               recv = 0 (end of stream); close = 0
    2.020000  server  send   c1   >client #2  20ms            F. 1:1(0) ack 2 win 510
    2.020000  server  state  c1                               CLOSE-WAIT -> LAST-ACK
    2.040000  client  state  c1                               FIN-WAIT-1 -> TIME-WAIT (60s)
    2.040000  client  send   c1   >server #5  LOST fault ack  . 2:2(0) ack 2 win 502
    2.260000  server  send   c1   >client #3  20ms            F. 1:1(0) ack 2 win 510
    2.280000  client  recv   c1   <server #3  OLD duplicate   F. 1:1(0) ack 2
    2.280000  client  send   c1   >server #6  20ms            . 2:2(0) ack 2 win 502
    2.300000  server  state  c1                               LAST-ACK -> CLOSED
   62.280000  client  state  c1                               TIME-WAIT -> CLOSED
   62.280000  -       check                   HELD            11 oracles, 3 expectations; 9 packets, 2 lost; quiescent
";

    const FULL: &str = "\
\x20       time  host    event  conn packet      fate            detail
    0.000000  server  call   :80                              listen backlog 8 = 0
    0.000000  client  call   c1                               connect server:80 ...
    0.000000  client  state  c1                               CLOSED -> SYN-SENT
    0.000000  client  send   c1   >server #1  LOST fault syn  S 0:0(0) win 64240 <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>
    1.000000  client  timer  c1                               rto 1s fired, retransmission 1, next in 1s
    1.000000  client  send   c1   >server #2  20ms            S 0:0(0) win 64240 <mss 1460,sackOK,TS val 1000 ecr 0,nop,wscale 7>
    1.020000  server  recv   c1   <client #2  ok              S 0:0(0)
    1.020000  server  queue  :80                              syn 1/8 accept 0/8
    1.020000  server  send   c1   >client #1  20ms            S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 0 ecr 1000,nop,wscale 7>
    1.040000  client  recv   c1   <server #1  ok              S. 0:0(0) ack 1
    1.040000  client  state  c1                               SYN-SENT -> ESTABLISHED
    1.040000  client  send   c1   >server #3  20ms            . 1:1(0) ack 1 win 502
    1.040000  client  call   c1                               connect = 0 (took 1.040s)
    1.060000  server  recv   c1   <client #3  ok              . 1:1(0) ack 1
    1.060000  server  state  c1                               SYN-RECEIVED -> ESTABLISHED
    1.060000  server  queue  :80                              syn 0/8 accept 1/8
    1.060000  server  call   s1                               accept :80 = s1 (c1)
    2.000000  client  call   c1                               close = 0
    2.000000  client  send   c1   >server #4  20ms            F. 1:1(0) ack 1 win 502
    2.000000  client  state  c1                               ESTABLISHED -> FIN-WAIT-1
    2.020000  server  recv   c1   <client #4  ok              F. 1:1(0) ack 1
    2.020000  server  state  c1                               ESTABLISHED -> CLOSE-WAIT
    2.020000  server  call   s1                               recv = 0 (end of stream); close = 0
    2.020000  server  send   c1   >client #2  20ms            F. 1:1(0) ack 2 win 510
    2.020000  server  state  c1                               CLOSE-WAIT -> LAST-ACK
    2.040000  client  recv   c1   <server #2  ok              F. 1:1(0) ack 2
    2.040000  client  state  c1                               FIN-WAIT-1 -> TIME-WAIT (60s)
    2.040000  client  send   c1   >server #5  LOST fault ack  . 2:2(0) ack 2 win 502
    2.260000  server  timer  c1                               tlp 240ms fired, probe 1
    2.260000  server  send   c1   >client #3  20ms            F. 1:1(0) ack 2 win 510
    2.280000  client  recv   c1   <server #3  OLD duplicate   F. 1:1(0) ack 2
    2.280000  client  timer  c1                               time-wait restarted, 60s
    2.280000  client  send   c1   >server #6  20ms            . 2:2(0) ack 2 win 502
    2.300000  server  recv   c1   <client #6  ok              . 2:2(0) ack 2
    2.300000  server  state  c1                               LAST-ACK -> CLOSED
   62.280000  client  state  c1                               TIME-WAIT -> CLOSED
   62.280000  -       check                   HELD            11 oracles, 3 expectations; 9 packets, 2 lost; quiescent
";
}
