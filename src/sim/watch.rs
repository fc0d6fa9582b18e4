use super::Sim;
use super::netstat::nstat_name;
use crate::endpoint::State;
use crate::time::{SimTime, Span};
use crate::trace::NodeId;
use std::fmt;

/// The most lines that one watch keeps.
const MOST: usize = 1_000_000;

/// A watch of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(usize);

/// One host, looked at again and again: its `Display` is a table, [`Watch::csv`] the same for a spreadsheet.
#[derive(Clone, Debug)]
pub struct Watch {
    host: String,
    node: NodeId,
    every: Span,
    next: SimTime,
    names: Vec<&'static str>,
    last: Vec<u64>,
    rows: Vec<WatchRow>,
    cut: bool,
}

/// What one look has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRow {
    /// When; everything that happened at this instant has happened.
    pub at: SimTime,
    /// Connections and listeners by state, in the order of [`State::ALL`].
    pub states: [u32; State::ALL.len()],
    /// Half-open connections of all listeners.
    pub syn: u32,
    /// Connections that wait for `accept`, of all listeners.
    pub accept: u32,
    /// The counters that changed since the row before (in the first row: that are not 0), as places among
    /// [`Watch::counters`], with their new values.
    pub changed: Vec<(usize, u64)>,
}

impl WatchRow {
    /// How many are in `state`.
    pub const fn count(&self, state: State) -> u32 {
        self.states[state as usize]
    }

    /// Whether nothing has changed since `before`, the row before.
    fn is_like(&self, before: &WatchRow) -> bool {
        self.changed.is_empty() && (self.states, self.syn, self.accept) == (before.states, before.syn, before.accept)
    }
}

impl Watch {
    /// The name of the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The rows so far.
    pub fn rows(&self) -> &[WatchRow] {
        &self.rows
    }

    /// The names of the host's counters.
    pub fn counters(&self) -> &[&'static str] {
        &self.names
    }

    /// Whether there was more to see than is kept (a million rows).
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Every look that is due before `time`.
    fn catch_up(&mut self, sim: &Sim, time: SimTime) {
        while self.next < time && !self.cut {
            self.look(sim, self.next);
            self.next += self.every;
        }
    }

    fn look(&mut self, sim: &Sim, at: SimTime) {
        if self.rows.len() >= MOST {
            self.cut = true;
            return;
        }
        let endpoint = &sim.nodes[self.node.0 as usize].endpoint;
        let mut row = WatchRow { at, states: Default::default(), syn: 0, accept: 0, changed: Vec::new() };
        endpoint.connections(&mut |view| row.states[view.state as usize] += 1);
        endpoint.listeners(&mut |view| {
            row.states[State::Listen as usize] += 1;
            row.syn += view.syn;
            row.accept += view.accept;
        });
        let mut place = 0;
        endpoint.counters(&mut |name, value| {
            if place == self.names.len() {
                self.names.push(name);
                self.last.push(0);
            }
            if std::mem::replace(&mut self.last[place], value) != value {
                row.changed.push((place, value));
            }
            place += 1;
        });
        self.rows.push(row);
    }

    /// The states that any row has.
    fn used(&self) -> Vec<State> {
        State::ALL.into_iter().filter(|&state| self.rows.iter().any(|row| row.count(state) > 0)).collect()
    }

    /// One line a row: nanoseconds, every state, the queues, and every counter as it stands; a head that is the same
    /// for every watch of one kind of host.
    pub fn csv(&self) -> String {
        let mut text = "host,time_ns".to_owned();
        let states = State::ALL.into_iter().filter(|&state| state != State::Closed);
        states.clone().for_each(|state| text = std::mem::take(&mut text) + "," + state.netstat_name());
        text += ",syn_queue,accept_queue";
        self.names.iter().for_each(|name| text = std::mem::take(&mut text) + "," + &nstat_name(name));
        text += "\n";
        let mut values = vec![0; self.names.len()];
        for row in &self.rows {
            row.changed.iter().for_each(|&(place, value)| values[place] = value);
            let counts = states.clone().map(|state| u64::from(row.count(state)));
            let queues = [u64::from(row.syn), u64::from(row.accept)];
            let numbers = std::iter::once(row.at.as_nanos()).chain(counts).chain(queues).chain(values.iter().copied());
            let cells: Vec<String> = numbers.map(|number| number.to_string()).collect();
            text += &format!("{},{}\n", self.host, cells.join(","));
        }
        text
    }
}

/// A column for each state that was seen, the queues, and what each counter has gained since the line before. Where
/// nothing changes for several lines, `...` stands for all but the last of them.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.used();
        writeln!(f, "watch {} every {}", self.host, self.every)?;
        write!(f, "{:>12}", "time")?;
        used.iter().try_for_each(|state| write!(f, "  {}", state.netstat_name()))?;
        writeln!(f, "  syn-q  acc-q  counters")?;
        let mut values = vec![0; self.names.len()];
        let still = |n: usize| match (n.checked_sub(1).and_then(|n| self.rows.get(n)), self.rows.get(n)) {
            (Some(before), Some(row)) => row.is_like(before),
            _ => false,
        };
        for (n, row) in self.rows.iter().enumerate() {
            match (still(n), still(n + 1)) {
                (true, true) if still(n - 1) => {}
                (true, true) => writeln!(f, "{:>12}", "...")?,
                _ => self.write_row(f, &used, row, &mut values)?,
            }
        }
        if self.cut {
            writeln!(f, "(cut: a watch keeps {MOST} lines; choose a longer interval)")?;
        }
        Ok(())
    }
}

impl Watch {
    fn write_row(&self, f: &mut fmt::Formatter<'_>, used: &[State], row: &WatchRow, values: &mut [u64]) -> fmt::Result {
        write!(f, "{:>12}", row.at)?;
        used.iter().try_for_each(|state| {
            let width = state.netstat_name().len();
            write!(f, "  {:>width$}", row.count(*state))
        })?;
        write!(f, "  {:>5}  {:>5}", row.syn, row.accept)?;
        for (n, &(place, value)) in row.changed.iter().enumerate() {
            let (gap, before) = (if n == 0 { "  " } else { " " }, std::mem::replace(&mut values[place], value));
            let sign = if value < before { '-' } else { '+' };
            write!(f, "{gap}{}{sign}{}", nstat_name(self.names[place]), value.abs_diff(before))?;
        }
        writeln!(f)
    }
}

impl Sim {
    /// Looks at `node` every so often while the run goes on, first after one interval; the end of the run is the last
    /// row of [`Sim::watched`]. Looking is no event: it changes no digest, and does not keep a run alive.
    ///
    /// ```
    /// use wirefate::endpoint::State;
    /// use wirefate::{Link, Sim, ms, secs};
    ///
    /// let mut sim = Sim::new(1);
    /// let [client, server] = sim.hosts(["client", "server"]);
    /// sim.link(client, server, Link::new().delay(ms(20)));
    /// let watch = sim.watch(client, secs(25));
    /// sim.listen(server, 80);
    /// let conn = sim.connect(client, server, 80);
    /// sim.close(conn);
    /// sim.run();
    /// // TIME-WAIT lasts a minute: two looks, and the end.
    /// let seen: Vec<u32> = sim.watched(watch).rows().iter().map(|row| row.count(State::TimeWait)).collect();
    /// assert_eq!(seen, [1, 1, 0]);
    /// print!("{}", sim.watched(watch));
    /// ```
    ///
    /// # Panics
    /// If `every` is zero.
    pub fn watch(&mut self, node: NodeId, every: Span) -> WatchId {
        assert!(every > Span::ZERO, "a watch needs an interval");
        let host = self.name_of(node).to_owned();
        let (names, last, rows) = (Vec::new(), Vec::new(), Vec::new());
        let next = self.now + every;
        self.watches.push(Watch { host, node, every, next, names, last, rows, cut: false });
        self.next_look = Some(self.next_look.map_or(next, |look| look.min(next)));
        WatchId(self.watches.len() - 1)
    }

    /// What a watch has seen so far; its last row is this instant.
    ///
    /// # Panics
    /// If `watch` belongs to another run.
    pub fn watched(&self, watch: WatchId) -> Watch {
        let mut seen = self.watches.get(watch.0).expect("a watch of this run").clone();
        seen.catch_up(self, self.now);
        if seen.rows.last().is_none_or(|row| row.at < self.now) {
            seen.look(self, self.now);
        }
        seen
    }

    /// Every look that is due before `time`: nothing happens until then.
    #[inline]
    pub(super) fn look_before(&mut self, time: SimTime) {
        if self.next_look.is_some_and(|look| look < time) {
            self.look_now(time);
        }
    }

    #[cold]
    fn look_now(&mut self, time: SimTime) {
        let mut watches = std::mem::take(&mut self.watches);
        for watch in &mut watches {
            watch.catch_up(self, time);
        }
        self.next_look = watches.iter().filter(|watch| !watch.cut).map(|watch| watch.next).min();
        self.watches = watches;
    }
}
