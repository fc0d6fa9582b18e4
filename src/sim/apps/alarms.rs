use crate::sim::AppCx;
use crate::time::HostTime;
use std::collections::BTreeSet;

/// Many alarms over the one timer of an application.
#[derive(Debug)]
pub(super) struct Alarms<K> {
    due: BTreeSet<(HostTime, K)>,
}

impl<K> Default for Alarms<K> {
    fn default() -> Alarms<K> {
        Alarms { due: BTreeSet::new() }
    }
}

impl<K: Ord + Copy> Alarms<K> {
    pub(super) fn add(&mut self, at: HostTime, key: K) {
        self.due.insert((at, key));
    }

    pub(super) fn remove(&mut self, at: HostTime, key: K) {
        self.due.remove(&(at, key));
    }

    /// Takes out the next alarm that is due.
    pub(super) fn pop(&mut self, now: HostTime) -> Option<K> {
        let &(at, _) = self.due.first()?;
        if at > now { None } else { self.due.pop_first().map(|(_, key)| key) }
    }

    /// When the next alarm is due.
    pub(super) fn next(&self) -> Option<HostTime> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Sets the application's timer to the next alarm.
    pub(super) fn arm(&self, cx: &mut AppCx<'_>) {
        cx.set_timer(self.next());
    }
}
