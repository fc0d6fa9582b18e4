//! The least round trip of the last minutes (`lib/win_minmax.c`): the best sample of the window, and the best ones since
//! it and since that one, so that a new one is at hand when the best grows old.

use crate::time::{HostTime, Span};

/// The filter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MinRtt {
    /// Times and values, each no better and no older than the one before.
    best: [(HostTime, u64); 3],
    is_set: bool,
}

impl MinRtt {
    /// In microseconds.
    pub(super) fn get(&self) -> Option<u64> {
        self.is_set.then_some(self.best[0].1)
    }

    /// A round trip of so many microseconds.
    pub(super) fn sample(&mut self, now: HostTime, micros: u64, window: Span) {
        let new = (now, micros);
        if !self.is_set || micros <= self.best[0].1 || now.since(self.best[2].0) > window {
            (self.best, self.is_set) = ([new; 3], true);
            return;
        }
        if micros <= self.best[1].1 {
            (self.best[1], self.best[2]) = (new, new);
        } else if micros <= self.best[2].1 {
            self.best[2] = new;
        }
        self.age(new, window);
    }

    /// The best is dropped when it is older than the window; the second best moves up sooner where a quarter or half of
    /// the window has brought none.
    fn age(&mut self, new: (HostTime, u64), window: Span) {
        let since = |entry: (HostTime, u64)| new.0.since(entry.0);
        if since(self.best[0]) > window {
            self.best = [self.best[1], self.best[2], new];
            if since(self.best[0]) > window {
                self.best = [self.best[1], self.best[2], new];
            }
        } else if self.best[1].0 == self.best[0].0 && since(self.best[0]) > window / 4 {
            (self.best[1], self.best[2]) = (new, new);
        } else if self.best[2].0 == self.best[1].0 && since(self.best[0]) > window / 2 {
            self.best[2] = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    #[test]
    fn the_least_is_kept_for_a_window() {
        let mut filter = MinRtt::default();
        let mut at = |second: u64, micros| {
            filter.sample(HostTime::ZERO + secs(second), micros, secs(300));
            filter.get()
        };
        assert_eq!([at(0, 500), at(1, 400), at(2, 700), at(80, 600)], [Some(500), Some(400), Some(400), Some(400)]);
        // 400 is of second 1; the best of what came later takes its place.
        assert_eq!([at(301, 900), at(302, 900)], [Some(400), Some(600)]);
    }
}
