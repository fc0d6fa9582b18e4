use super::ladder::{Arrow, Drawn, End, Row};
use crate::time::{SimTime, Span, secs};
use std::fmt;

/// Where things are drawn.
pub(super) struct Picture<'a> {
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

    /// A picture of these columns for a terminal of so many characters a line.
    pub(super) fn new(names: Vec<&'a str>, width: usize, rows: &[Row]) -> Picture<'a> {
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
        let room = width.saturating_sub(first + half + 2 + margin_text);
        let gap = room.checked_div(gaps).unwrap_or(0).max(Picture::NEAREST);
        let lines: Vec<usize> = (0..names.len()).map(|n| first + n * gap).collect();
        let margin = first + gaps * gap + half + 2;
        let style = vec!['|'; names.len()];
        Picture { names, lines, style, margin, written: None, reached: SimTime::ZERO }
    }

    pub(super) fn heads(&self, to: &mut impl fmt::Write) -> fmt::Result {
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

    pub(super) fn row(&mut self, row: &Row, to: &mut impl fmt::Write) -> fmt::Result {
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
