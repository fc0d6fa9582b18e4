use super::heading::{header, verdict_text};
use super::picture::Picture;
use super::text::is_story;
use super::words::{Depth, Words, outcome_text};
use super::{Arrived, ConnId, Disturbance, Following, LinkId, NodeId, Record, Sent, Trace, What};
use crate::endpoint::{Event, HostFault};
use crate::map::Map;
use crate::time::SimTime;
use std::fmt;

/// A run as a ladder diagram: a column an endpoint, time running down, an arrow a packet. `Display` draws it.
///
/// ```text
///         time    client                                                server
///                    |                                                    |
///     0.000000    SYN-SENT                                                |
///                    |--------- #1 S 0:0(0) win 64240 ---------X          |    LOST fault syn
///                    :                                                    :    1s later
///     1.000000       |-------------- #2 S 0:0(0) win 64240 -------------->|    20ms
/// ```
///
/// An arrow stands where its packet is sent, and the text at its right says how long it takes. Where other things
/// happen while the packet is on its way, there are two: one that leaves, up to a `~`, and one that arrives, from a `~`.
/// States stand in their columns when they are entered. The column of a host that is down is empty, that of one that
/// stands still is dotted; where all are dotted, nothing happens for a second or more.
#[derive(Clone, Debug)]
pub struct Ladder<'a> {
    trace: Trace<'a>,
    nodes: Vec<NodeId>,
    width: usize,
    absolute: bool,
}

/// Why there is no ladder of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LadderError {
    /// No endpoint of this name.
    Unknown(String),
    /// More endpoints than a terminal has room for: so many; the most is [`Ladder::MOST`].
    TooMany(usize),
    /// Nothing happened at any of them.
    Empty,
}

impl fmt::Display for LadderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LadderError::Unknown(name) => write!(f, "no endpoint is called `{name}`"),
            LadderError::TooMany(n) => {
                write!(f, "a ladder has room for {} endpoints, here are {n}: name those to be shown", Ladder::MOST)
            }
            LadderError::Empty => f.write_str("nothing happened that a ladder could show"),
        }
    }
}

impl std::error::Error for LadderError {}

impl<'a> Trace<'a> {
    /// The ladder diagram of the endpoints of these names, from left to right; without names, of all where something
    /// happened.
    pub fn ladder(&self, names: &[&str]) -> Result<Ladder<'a>, LadderError> {
        let named = |name: &&str| self.names.all_nodes().find(|(_, known)| known == name).map(|(node, _)| node);
        let mut nodes = Vec::new();
        for name in names {
            let node = named(name).ok_or_else(|| LadderError::Unknown((*name).to_owned()))?;
            if !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        if names.is_empty() {
            nodes.extend(self.records.iter().filter_map(|record| record.node));
            nodes.sort();
            nodes.dedup();
        }
        match nodes.len() {
            0 => Err(LadderError::Empty),
            n if n > Ladder::MOST => Err(LadderError::TooMany(n)),
            _ => Ok(Ladder { trace: self.clone(), nodes, width: 100, absolute: false }),
        }
    }
}

impl Ladder<'_> {
    /// The most endpoints that there is room for.
    pub const MOST: usize = 6;

    /// Draws for a terminal of so many columns, 100 unless told; it takes more where the arrows would be too short.
    pub fn width(mut self, columns: usize) -> Self {
        self.width = columns;
        self
    }

    /// Shows sequence numbers as they stand in the header.
    pub fn absolute(mut self, absolute: bool) -> Self {
        self.absolute = absolute;
        self
    }

    /// Draws the diagram.
    pub fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        header(self.trace.header, to)?;
        let rows = self.rows();
        let names = self.nodes.iter().map(|node| self.trace.names.node(*node)).collect();
        let mut picture = Picture::new(names, self.width, &rows);
        picture.heads(to)?;
        for row in &rows {
            picture.row(row, to)?;
        }
        let Some(verdict) = &self.trace.verdict else { return Ok(()) };
        for broken in &verdict.broken {
            writeln!(to, "{:>12}  BROKEN  {broken}", verdict.at)?;
        }
        let held = if verdict.held { "HELD" } else { "BROKEN" };
        writeln!(to, "{:>12}  {held}  {}", verdict.at, verdict_text(verdict))
    }

    /// What is to be drawn, from top to bottom.
    fn rows(&self) -> Vec<Row> {
        let words = Words { trace: &self.trace, absolute: self.absolute };
        let mut following = Following::new(&self.trace);
        let mut rows = Vec::new();
        for record in self.trace.records {
            following.see(record);
            if let Some(what) = self.drawn(record, &words, &following) {
                rows.push(Row { at: record.at, until: record.at, what });
            }
        }
        join_arrivals(rows)
    }

    fn drawn(&self, record: &Record<'_>, words: &Words<'_>, following: &Following<'_>) -> Option<Drawn> {
        if let What::Violated { rule, text } = &record.what {
            return Some(Drawn::Wide(format!("!! {rule}: {text}")));
        }
        let column = self.column(record.node?)?;
        match &record.what {
            What::Sent(sent) => self.sent(column, sent, words, following),
            What::Arrived(arrived) => self.arrived(column, arrived, words, following),
            What::Noted { event: Event::Transition { to, lasts, error, .. }, .. } => {
                let conn = self.several().then(|| following.conn(record)).flatten();
                let conn = conn.map_or_else(String::new, |conn: ConnId| format!("{} ", words.conn(conn)));
                let lasts = lasts.map_or_else(String::new, |span| format!(" ({span})"));
                let margin = error.map_or_else(String::new, |errno| errno.to_string());
                Some(Drawn::State { column, text: format!("{conn}{to}{lasts}"), margin })
            }
            What::Called(called) if is_story(record) => {
                Some(Drawn::Note { column, text: words.call(called, following.conn(record)) })
            }
            What::Disturbed(disturbance) => {
                let text = format!("** {}", words.disturbance(disturbance));
                Some(Drawn::Fault { column, text, line: line_after(disturbance) })
            }
            _ => None,
        }
    }

    fn sent(&self, from: usize, sent: &Sent<'_>, words: &Words<'_>, following: &Following<'_>) -> Option<Drawn> {
        let link = self.trace.names.link(sent.link);
        // The network's own answers start nowhere; they are shown where they arrive.
        self.named(&link.from)?;
        let texts = [Depth::Options, Depth::Window, Depth::Numbers].map(|depth| {
            let text = words.sent(sent, following, depth);
            format!("#{} {text}", sent.n)
        });
        let margin = sent.fate.to_string();
        let to = match self.named(&link.to) {
            Some(node) => self.column(node)?,
            // On its way to nowhere.
            None if from + 1 < self.nodes.len() => from + 1,
            None if from > 0 => from - 1,
            None => return Some(Drawn::Note { column: from, text: format!("{} --X {margin}", texts[0]) }),
        };
        let end = if sent.fate.is_lost() { End::Lost } else { End::Leaves };
        let packet = (sent.link, sent.n);
        Some(Drawn::Arrow(Arrow { from, to, packet, copy: 0, texts, end, margin }))
    }

    fn arrived(&self, to: usize, it: &Arrived<'_>, words: &Words<'_>, following: &Following<'_>) -> Option<Drawn> {
        let link = self.trace.names.link(it.link);
        let copy = if it.copy > 0 { format!("+{}", it.copy) } else { String::new() };
        let text = format!("#{}{copy} {}", it.n, words.arrived(it, following));
        let Some(from) = self.named(&link.from) else {
            return Some(Drawn::Note { column: to, text: format!("<- {} {text}", link.from) });
        };
        let from = self.column(from)?;
        let outcome = it.outcome.map_or_else(String::new, |outcome| format!("{}, ", outcome_text(Some(outcome))));
        let margin = format!("{outcome}sent at {}", it.sent);
        let texts = [text.clone(), text.clone(), text];
        Some(Drawn::Arrow(Arrow { from, to, packet: (it.link, it.n), copy: it.copy, texts, end: End::Comes, margin }))
    }

    fn named(&self, name: &str) -> Option<NodeId> {
        self.trace.names.all_nodes().find(|(_, known)| *known == name).map(|(node, _)| node)
    }

    fn column(&self, node: NodeId) -> Option<usize> {
        self.nodes.iter().position(|it| *it == node)
    }

    /// Whether there are several connections to be told apart.
    fn several(&self) -> bool {
        self.trace.conns.len() > 1
    }
}

impl fmt::Display for Ladder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// How the column of a host is drawn from a disturbance on.
fn line_after(disturbance: &Disturbance) -> Option<char> {
    match disturbance {
        Disturbance::Host(HostFault::Crash) => Some(' '),
        Disturbance::Host(HostFault::Pause) => Some('.'),
        Disturbance::Host(HostFault::Reboot { .. } | HostFault::Resume) => Some('|'),
        _ => None,
    }
}

/// A row of the picture.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: SimTime,
    /// When all that it shows is over.
    pub(super) until: SimTime,
    pub(super) what: Drawn,
}

#[derive(Clone, Debug)]
pub(super) enum Drawn {
    /// On the line of a column.
    State { column: usize, text: String, margin: String },
    /// Beside the line of a column.
    Note { column: usize, text: String },
    /// Beside the line, which is drawn in another way from here on.
    Fault { column: usize, text: String, line: Option<char> },
    /// From one column to another, or back to the same.
    Arrow(Arrow),
    /// Across the whole.
    Wide(String),
}

#[derive(Clone, Debug)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) packet: (LinkId, u64),
    pub(super) copy: u8,
    /// The longest that fits is written.
    pub(super) texts: [String; 3],
    pub(super) end: End,
    pub(super) margin: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The whole way.
    Whole,
    /// It does not reach the other column.
    Lost,
    /// It leaves; the rest of the way comes in a later row.
    Leaves,
    /// It arrives; the first of the way was in an earlier row.
    Comes,
}

/// Draws a packet in one row instead of two where nothing happens while it is on its way.
fn join_arrivals(rows: Vec<Row>) -> Vec<Row> {
    let mut arrivals: Map<(LinkId, u64), usize> = Map::new();
    for (index, row) in rows.iter().enumerate() {
        if let Drawn::Arrow(Arrow { end: End::Comes, copy: 0, packet, .. }) = row.what {
            arrivals.insert(packet, index);
        }
    }
    let mut joined: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    for index in 0..joined.len() {
        let Some(Row { at, what: Drawn::Arrow(arrow), .. }) = &joined[index] else { continue };
        let Some(&arrival) = arrivals.get(&arrow.packet).filter(|_| arrow.end == End::Leaves) else { continue };
        if joined[index + 1..arrival].iter().flatten().all(|row| may_lie_between(row, *at, arrow, &arrivals, arrival)) {
            join(&mut joined, index, arrival);
        }
    }
    joined.into_iter().flatten().collect()
}

/// Whether an arrow that is sent at `at` and arrives in row `arrival` stays in one piece with `row` between the two.
fn may_lie_between(
    row: &Row,
    at: SimTime,
    arrow: &Arrow,
    arrivals: &Map<(LinkId, u64), usize>,
    arrival: usize,
) -> bool {
    match &row.what {
        // What the sender does at the same instant.
        Drawn::State { column, .. } | Drawn::Note { column, .. } => row.at == at && *column == arrow.from,
        // A further packet of the same burst that does not overtake.
        Drawn::Arrow(next) => {
            let later = arrivals.get(&next.packet).is_none_or(|index| *index > arrival);
            row.at == at && next.packet.0 == arrow.packet.0 && next.end != End::Comes && later
        }
        Drawn::Fault { .. } | Drawn::Wide(_) => false,
    }
}

/// Takes the arrival in row `arrival` into the arrow of row `index`.
fn join(rows: &mut [Option<Row>], index: usize, arrival: usize) {
    let Some(Row { at: until, what: Drawn::Arrow(Arrow { margin, texts, .. }), .. }) = rows[arrival].take() else {
        return;
    };
    let Some(Row { until: end, what: Drawn::Arrow(arrow), .. }) = &mut rows[index] else { return };
    (*end, arrow.end) = (until, End::Whole);
    // An arrival's margin says what became of it, then when it was sent.
    if let Some((outcome, _)) = margin.rsplit_once(", sent at") {
        arrow.margin = format!("{}, {outcome}", arrow.margin);
    }
    // The receiver's numbers are in the arrival's text alone.
    if texts[0].contains(" = ") {
        arrow.texts = texts;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Arrival, DropReason, State};
    use crate::time::{Span, ms};
    use crate::trace::LinkName;
    use crate::trace::sample::{CLIENT, SERVER, Sample, after};

    /// The picture below the header.
    fn picture(sample: &Sample, names: &[&str]) -> String {
        let text = sample.trace().ladder(names).unwrap().to_string();
        text.split_once("\n\n").unwrap().1.to_owned()
    }

    #[test]
    fn the_ladder_of_a_lost_syn() {
        assert_eq!(picture(&Sample::lost_syn(), &[]), LOST_SYN);
    }

    #[test]
    fn packets_that_cross_leave_and_arrive() {
        let mut sample = Sample::new();
        sample.state(CLIENT, State::Closed, State::SynSent).send(CLIENT, "S 0:0(0) win 9", after(ms(30)));
        sample.at(ms(10)).send(SERVER, "R 0:0(0) win 9", after(ms(30)));
        sample.at(ms(30)).arrive(SERVER, 1, None).state(SERVER, State::Closed, State::SynReceived);
        sample.at(ms(40)).arrive(CLIENT, 1, Some(Arrival::Dropped(DropReason::Policy)));
        assert_eq!(picture(&sample, &[]), CROSSING);
    }

    #[test]
    fn a_burst_stays_in_one_piece_and_what_overtakes_does_not() {
        let mut sample = Sample::new();
        sample.send(CLIENT, "S 0:0(0) win 9", after(ms(9))).at(ms(9)).arrive(SERVER, 1, None);
        sample.at(ms(10)).send(CLIENT, ". 1:101(100) ack 1 win 9", after(ms(30)));
        sample.send(CLIENT, ". 101:201(100) ack 1 win 9", after(ms(20)));
        sample.send(CLIENT, "P. 201:301(100) ack 1 win 9", after(ms(20)));
        sample.at(ms(30)).arrive(SERVER, 3, Some(Arrival::OutOfOrder)).arrive(SERVER, 4, Some(Arrival::OutOfOrder));
        sample.at(ms(40)).arrive(SERVER, 2, None);
        assert_eq!(picture(&sample, &[]), BURST);
    }

    #[test]
    fn a_router_in_the_middle_and_a_crash() {
        let mut sample = Sample::new();
        sample.names.nodes = ["client", "server", "router"].map(str::to_owned).to_vec();
        let link = |from: &str, to: &str| LinkName { from: from.to_owned(), to: to.to_owned() };
        sample.names.links = vec![link("client", "router"), link("server", "client"), link("router", "server")];
        sample.send(CLIENT, "S 0:0(0) win 64240", after(ms(5)));
        let Some(Record { what: What::Sent(sent), .. }) = sample.records.back().cloned() else { panic!("it was sent") };
        let Sent { packet, conn, fate, .. } = sent.clone();
        let arrived = |link, sent| {
            What::Arrived(Arrived {
                link,
                n: 1,
                copy: 0,
                packet: packet.clone(),
                sent,
                conn,
                here: None,
                outcome: None,
            })
        };
        sample.at(ms(5)).record(Some(NodeId(2)), arrived(LinkId(0), SimTime::ZERO));
        sample.record(Some(NodeId(2)), What::Sent(Sent { link: LinkId(2), fate, forwarded: true, ..sent.clone() }));
        sample.at(ms(10)).record(Some(SERVER), arrived(LinkId(2), SimTime::ZERO + ms(5)));
        sample.send(SERVER, "S. 0:0(0) ack 1 win 65160", after(ms(9)));
        sample.record(Some(SERVER), What::Disturbed(Disturbance::Host(HostFault::Crash)));
        sample.at(ms(19)).arrive_on(LinkId(1), CLIENT, 1, None);
        sample.at(ms(20)).state(CLIENT, State::SynSent, State::Established);
        sample.record(Some(SERVER), What::Disturbed(Disturbance::Host(HostFault::Reboot { quiet: Span::ZERO })));
        sample.record(None, What::Violated { rule: "window", text: "too much".to_owned() });
        assert_eq!(picture(&sample, &["client", "router", "server"]), ROUTER);
    }

    #[test]
    fn what_no_ladder_can_show_is_told() {
        let mut sample = Sample::new();
        let error = |sample: &Sample, names: &[&str]| sample.trace().ladder(names).unwrap_err();
        assert_eq!(error(&sample, &[]), LadderError::Empty);
        assert_eq!(error(&sample, &["clint"]).to_string(), "no endpoint is called `clint`");
        sample.names.nodes = (0..7).map(|n| format!("h{n}")).collect();
        for node in 0..7 {
            sample.record(Some(NodeId(node)), What::Disturbed(Disturbance::Skew(5)));
        }
        assert_eq!(error(&sample, &[]), LadderError::TooMany(7));
        assert!(sample.trace().ladder(&["h0", "h6"]).is_ok());
    }

    const LOST_SYN: &str = "\
\x20       time       client                                           server
                      |                                                |
    0.000000          |                                                | listen backlog 8 = 0
                  SYN-SENT                                             |
                      |-------- #1 S 0:0(0) win 64240 -------X         |         LOST fault syn
                      :                                                :         1s later
    1.000000          |------------ #2 S 0:0(0) win 64240 ------------>|         20ms
    1.020000          |<-------- #1 S. 0:0(0) ack 1 win 65160 ---------|         20ms
    1.040000     ESTABLISHED                                           |
                      |---------- #3 . 1:1(0) ack 1 win 502 ---------->|         20ms
                      | connect = 0 (took 1.040s)                      |
    1.060000          |                                           ESTABLISHED
                      |                                                | accept :80 = s1 (c1)
    2.000000          | close = 0                                      |
                      |---------- #4 F. 1:1(0) ack 1 win 502 --------->|         20ms
                 FIN-WAIT-1                                            |
    2.020000          |                                           CLOSE-WAIT
                      |                                                | recv = 0 (end of stream)
                      |                                                | close = 0
                      |<--------- #2 F. 1:1(0) ack 2 win 510 ----------|         20ms
                      |                                            LAST-ACK
    2.040000   TIME-WAIT (60s)                                         |
                      |------ #5 . 2:2(0) ack 2 win 502 -----X         |         LOST fault ack
    2.260000          |<--------- #3 F. 1:1(0) ack 2 win 510 ----------|         20ms, OLD duplicate
    2.280000          |---------- #6 . 2:2(0) ack 2 win 502 ---------->|         20ms
    2.300000          |                                             CLOSED
                      :                                                :         59.980s later
   62.280000       CLOSED                                              |
   62.280000  HELD  11 oracles, 3 expectations; 9 packets, 2 lost; quiescent
";

    const CROSSING: &str = "\
\x20       time     client                                          server
                    |                                               |
    0.000000    SYN-SENT                                            |
                    |--------- #1 S 0:0(0) win 9 ---------~         |       30ms
    0.010000        |         ~----- #1 R 9000:9000(0) win 9 -------|       30ms
    0.030000        |         ~----------- #1 S 0:0(0) ------------>|       sent at 0.000000
                    |                                         SYN-RECEIVED
    0.040000        |<-------- #1 R 9000:9000(0) ---------~         |       DROP policy, sent at 0.010000
";

    const BURST: &str = "\
\x20       time     client                                                  server
                    |                                                       |
    0.000000        |------------------ #1 S 0:0(0) win 9 ----------------->|       9ms
    0.010000        |------ #2 . 1:101(100) ack 9001 win 9 -----~           |       30ms
                    |---------- #3 . 101:201(100) ack 9001 win 9 ---------->|       20ms, EARLY kept
                    |---------- #4 P. 201:301(100) ack 9001 win 9 --------->|       20ms, EARLY kept
    0.040000        |           ~-------- #2 . 1:101(100) ack 9001 -------->|       sent at 0.010000
";

    const ROUTER: &str = "\
\x20       time     client                        router                        server
                    |                             |                             |
    0.000000        |--- #1 S 0:0(0) win 64240 -->|                             |       5ms
    0.005000        |                             |--- #1 S 0:0(0) win 64240 -->|       5ms
    0.010000        |            ~------- #1 S. 0:0(0) ack 1 win 65160 ---------|       9ms
                    |                             |                             | ** crash
    0.019000        |<------------ #1 S. 0:0(0) ack 1 -------------~                    sent at 0.010000
    0.020000   ESTABLISHED                        |
                    |                             |                               ** reboot
              !! window: too much                 |                             |
";
}
