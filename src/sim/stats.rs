use super::Sim;
use super::app::{AppCx, AppId};
use crate::endpoint::Errno;
use crate::time::{HostTime, Span};
use std::collections::BTreeMap;

/// What an application reports: counters by name, and what came of each of its attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    counts: BTreeMap<&'static str, u64>,
    attempts: Vec<Attempt>,
}

/// One attempt of an application: a request, a transfer, a `listen`. Instants are the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub began: HostTime,
    /// How long it took.
    pub took: Span,
    /// What came of it.
    pub end: AttemptEnd,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptEnd {
    /// Everything that was to happen happened.
    Ok,
    /// A socket call failed.
    Failed(Errno),
    /// The peer ended the stream too soon, and no call failed.
    CutShort,
    /// The application's own patience ran out.
    TimedOut,
}

impl AttemptEnd {
    /// The error that a program would report: none; that of the call; `ECONNRESET` where it was cut short, as HTTP
    /// libraries have it; `ETIMEDOUT`.
    pub const fn errno(self) -> Option<Errno> {
        match self {
            AttemptEnd::Ok => None,
            AttemptEnd::Failed(errno) => Some(errno),
            AttemptEnd::CutShort => Some(Errno::ECONNRESET),
            AttemptEnd::TimedOut => Some(Errno::ETIMEDOUT),
        }
    }
}

impl Stats {
    /// The counter `name`; 0 if nothing was counted under this name.
    pub fn get(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// All counters, by name.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(&name, &n)| (name, n))
    }

    /// All attempts that have ended, in the order of their ends.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// How many attempts ended like this.
    pub fn ended(&self, end: AttemptEnd) -> usize {
        self.attempts.iter().filter(|attempt| attempt.end == end).count()
    }

    /// How many attempts ended well.
    pub fn ok(&self) -> usize {
        self.ended(AttemptEnd::Ok)
    }
}

impl AppCx<'_> {
    /// Adds `n` to the counter `name` of this application's [`Stats`].
    pub fn count(&mut self, name: &'static str, n: u64) {
        if let Some(stats) = &mut self.stats {
            *stats.counts.entry(name).or_default() += n;
        }
    }

    /// Reports an attempt that ends now.
    pub fn attempted(&mut self, began: HostTime, end: AttemptEnd) {
        let took = self.now().since(began);
        if let Some(stats) = &mut self.stats {
            stats.attempts.push(Attempt { began, took, end });
        }
    }
}

impl Sim {
    /// What `app` has reported so far; it outlives the application, also through a crash of its host.
    ///
    /// # Panics
    /// If `app` belongs to another run.
    pub fn stats(&self, app: AppId) -> &Stats {
        let running = (app.index as usize).checked_sub(1).and_then(|n| self.nodes[app.node.0 as usize].apps.get(n));
        &running.expect("an application of this run").stats
    }
}
