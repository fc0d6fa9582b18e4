use super::text::{header, is_story, verdict_text};
use super::words::{Depth, Words, outcome_text};
use super::{Arrived, ConnId, Disturbance, Following, LinkId, NodeId, Record, Sent, Trace, What};
use crate::endpoint::{Event, HostFault};
use crate::map::Map;
use crate::time::{SimTime, Span, secs};
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
    trace: &'a Trace<'a>,
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

impl Trace<'_> {
    /// The ladder diagram of the endpoints of these names, from left to right; without names, of all where something
    /// happened.
    pub fn ladder(&self, names: &[&str]) -> Result<Ladder<'_>, LadderError> {
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
            _ => Ok(Ladder { trace: self, nodes, width: 100, absolute: false }),
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
        let mut picture = Picture::new(self, &rows);
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
        let words = Words { trace: self.trace, absolute: self.absolute };
        let mut following = Following::new(self.trace);
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
        let to = &self.trace.names.link(sent.link).to;
        let to = match self.trace.names.all_nodes().find(|(_, name)| name == to) {
            Some((node, _)) => self.column(node)?,
            // On its way to nowhere.
            None if from + 1 < self.nodes.len() => from + 1,
            None => from.saturating_sub(1),
        };
        let texts = [Depth::Options, Depth::Window, Depth::Numbers].map(|depth| {
            let text = words.sent(sent, following, depth);
            format!("#{} {text}", sent.n)
        });
        let end = if sent.fate.is_lost() { End::Lost } else { End::Leaves };
        let packet = (sent.link, sent.n);
        Some(Drawn::Arrow(Arrow { from, to, packet, copy: 0, texts, end, margin: sent.fate.to_string() }))
    }

    fn arrived(&self, to: usize, it: &Arrived<'_>, words: &Words<'_>, following: &Following<'_>) -> Option<Drawn> {
        let from = &self.trace.names.link(it.link).from;
        let from = self.trace.names.all_nodes().find(|(_, name)| name == from)?.0;
        let from = self.column(from)?;
        let copy = if it.copy > 0 { format!("+{}", it.copy) } else { String::new() };
        let text = format!("#{}{copy} {}", it.n, words.arrived(it, following));
        let outcome = it.outcome.map_or_else(String::new, |outcome| format!("{}, ", outcome_text(Some(outcome))));
        let margin = format!("{outcome}sent at {}", it.sent);
        let texts = [text.clone(), text.clone(), text];
        Some(Drawn::Arrow(Arrow { from, to, packet: (it.link, it.n), copy: it.copy, texts, end: End::Comes, margin }))
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
struct Row {
    at: SimTime,
    /// When all that it shows is over.
    until: SimTime,
    what: Drawn,
}

#[derive(Clone, Debug)]
enum Drawn {
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
struct Arrow {
    from: usize,
    to: usize,
    packet: (LinkId, u64),
    copy: u8,
    /// The longest that fits is written.
    texts: [String; 3],
    end: End,
    margin: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
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

/// Where things are drawn.
struct Picture<'a> {
    names: Vec<&'a str>,
    /// Where the lines of the columns are.
    lines: Vec<usize>,
    /// How each is drawn now.
    style: Vec<char>,
    /// Where the text at the right begins.
    margin: usize,
    /// The time that stands on the last row with one, and the instant that all rows have reached.
    written: Option<SimTime>,
    reached: SimTime,
}

impl<'a> Picture<'a> {
    /// Columns that the time takes, and the gap behind.
    const TIME: usize = 14;
    /// The least distance between two lines.
    const NEAREST: usize = 30;
    /// The longest time without events that is not marked.
    const PAUSE: Span = secs(1);

    fn new(ladder: &Ladder<'a>, rows: &[Row]) -> Picture<'a> {
        let names: Vec<&str> = ladder.nodes.iter().map(|node| ladder.trace.names.node(*node)).collect();
        let mut half = names.iter().map(|name| name.chars().count().div_ceil(2)).max().unwrap_or(0).max(6);
        let mut margin_text = 14;
        for row in rows {
            match &row.what {
                Drawn::State { text, .. } => half = half.max(text.len().div_ceil(2)),
                Drawn::Arrow(arrow) => margin_text = margin_text.max(arrow.margin.len().min(24)),
                _ => {}
            }
        }
        let first = Picture::TIME + half;
        let gaps = names.len() - 1;
        let room = ladder.width.saturating_sub(first + half + 2 + margin_text);
        let gap = room.checked_div(gaps).unwrap_or(0).max(Picture::NEAREST);
        let lines: Vec<usize> = (0..names.len()).map(|n| first + n * gap).collect();
        let margin = first + gaps * gap + half + 2;
        let style = vec!['|'; names.len()];
        Picture { names, lines, style, margin, written: None, reached: SimTime::ZERO }
    }

    fn heads(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let mut canvas = Canvas::new();
        canvas.text(8, "time");
        for (name, line) in self.names.iter().zip(&self.lines) {
            canvas.centred(*line, name);
        }
        canvas.write(to)?;
        self.canvas().write(to)
    }

    /// A row with nothing but the lines.
    fn canvas(&self) -> Canvas {
        let mut canvas = Canvas::new();
        for (line, style) in self.lines.iter().zip(&self.style) {
            canvas.put(*line, *style);
        }
        canvas
    }

    fn row(&mut self, row: &Row, to: &mut impl fmt::Write) -> fmt::Result {
        let idle = row.at.since(self.reached);
        if idle >= Picture::PAUSE && row.at > self.reached {
            let mut canvas = Canvas::new();
            self.lines.iter().for_each(|line| canvas.put(*line, ':'));
            canvas.text(self.margin, &format!("{idle} later"));
            canvas.write(to)?;
        }
        self.reached = self.reached.max(row.until);
        let mut canvas = self.canvas();
        if self.written != Some(row.at) {
            canvas.text(0, &format!("{:>12}", row.at));
            self.written = Some(row.at);
        }
        match &row.what {
            Drawn::State { column, text, margin } => {
                canvas.centred(self.lines[*column], text);
                canvas.text(self.margin, margin);
            }
            Drawn::Note { column, text } => self.note(&mut canvas, *column, text),
            Drawn::Fault { column, text, line } => {
                self.note(&mut canvas, *column, text);
                self.style[*column] = line.unwrap_or(self.style[*column]);
            }
            Drawn::Arrow(arrow) => {
                self.arrow(&mut canvas, arrow);
                canvas.text(self.margin, &arrow.margin);
            }
            Drawn::Wide(text) => canvas.text(Picture::TIME, text),
        }
        canvas.write(to)
    }

    /// Text at the right of a line, up to the next one.
    fn note(&self, canvas: &mut Canvas, column: usize, text: &str) {
        let start = self.lines[column] + 2;
        match self.lines.get(column + 1) {
            Some(next) => canvas.text(start, &cut(text, next - start - 1)),
            None => canvas.text(start, text),
        }
    }

    fn arrow(&self, canvas: &mut Canvas, arrow: &Arrow) {
        if arrow.from == arrow.to {
            let end = if arrow.end == End::Lost { 'X' } else { '>' };
            return self.note(canvas, arrow.from, &format!("(lo) {} --{end}", arrow.texts[1]));
        }
        let (from, to) = (self.lines[arrow.from], self.lines[arrow.to]);
        let right = to > from;
        let (left, end) = if right { (from, to) } else { (to, from) };
        // Half arrows leave a fifth of the way open, on the side that the packet has not reached, or has left.
        let open = (end - left) / 5;
        let at_receiver = matches!(arrow.end, End::Lost | End::Leaves);
        let (start, stop) = match (arrow.end, right == at_receiver) {
            (End::Whole, _) => (left + 1, end),
            (_, true) => (left + 1, end - open),
            (_, false) => (left + 1 + open, end),
        };
        (start..stop).for_each(|x| canvas.put(x, '-'));
        let (head, tail) = if right { (stop - 1, start) } else { (start, stop - 1) };
        match arrow.end {
            End::Whole => canvas.put(head, if right { '>' } else { '<' }),
            End::Lost => canvas.put(head, 'X'),
            End::Leaves => canvas.put(head, '~'),
            End::Comes => {
                canvas.put(head, if right { '>' } else { '<' });
                canvas.put(tail, '~');
            }
        }
        let room = (stop - start).saturating_sub(6);
        let fitting = arrow.texts.iter().find(|text| text.chars().count() <= room).unwrap_or(&arrow.texts[2]);
        let text = format!(" {} ", cut(fitting, room));
        canvas.text(start + (stop - start - text.chars().count()) / 2, &text);
    }
}

/// `text`, or the start of it that fits, with dots.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(3)).chain("...".chars()).take(room).collect()
}

/// One row of characters, as long as what is drawn on it.
struct Canvas(Vec<char>);

impl Canvas {
    fn new() -> Canvas {
        Canvas(Vec::new())
    }

    fn put(&mut self, x: usize, c: char) {
        if self.0.len() <= x {
            self.0.resize(x + 1, ' ');
        }
        self.0[x] = c;
    }

    fn text(&mut self, x: usize, text: &str) {
        text.chars().enumerate().for_each(|(n, c)| self.put(x + n, c));
    }

    fn centred(&mut self, x: usize, text: &str) {
        self.text(x.saturating_sub(text.chars().count() / 2), text);
    }

    fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let line: String = self.0.iter().collect();
        writeln!(to, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Arrival, DropReason, State};
    use crate::time::ms;
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
        assert_eq!(picture(&sample, &[]), "");
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
        assert_eq!(picture(&sample, &[]), "");
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
        assert_eq!(picture(&sample, &["client", "router", "server"]), "");
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

    const LOST_SYN: &str = "";
}
