use super::flights::Flights;
use crate::choice::Domain;
use crate::sim::{App, AppCx, AttemptEnd, Wake};
use crate::time::{HostTime, Span, secs};
use std::net::SocketAddr;

/// A client that repeats one request, each time on a new connection, until it is answered.
///
/// Each attempt is reported. Counts `started`, `answered`, and `gave up`.
#[derive(Debug)]
pub struct Retry {
    remote: SocketAddr,
    backoff: Backoff,
    failed: u32,
    next: Option<HostTime>,
    stream: &'static str,
    flights: Flights,
}

/// How long a client waits between attempts: after the n-th failure `first * factor^(n-1)`, at most `ceiling`, less a
/// random share of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait.
    pub first: Span,
    /// By what each wait is longer than the one before.
    pub factor: u32,
    /// The longest wait.
    pub ceiling: Span,
    /// How many attempts there are in all.
    pub attempts: u32,
    /// Up to how many per cent of each wait are taken off at random; 100 is full jitter.
    pub jitter_percent: u8,
}

/// Five attempts, 1 s to 30 s apart, doubling, without jitter.
impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { first: secs(1), factor: 2, ceiling: secs(30), attempts: 5, jitter_percent: 0 }
    }
}

impl Backoff {
    /// The wait after the `failed`-th failure, counted from 1, before jitter.
    pub fn wait(&self, failed: u32) -> Span {
        let factor = u64::from(self.factor).saturating_pow(failed.saturating_sub(1));
        (self.first * factor).min(self.ceiling)
    }

    /// The most that jitter takes off `wait`.
    fn slack(&self, wait: Span) -> u64 {
        let share = u128::from(wait.as_nanos()) * u128::from(self.jitter_percent.min(100)) / 100;
        u64::try_from(share).expect("a share of 64 bits has no more than 64")
    }
}

impl Retry {
    /// A request of `request` bytes to `remote`, answered by `response` bytes.
    pub fn new(remote: SocketAddr, request: u64, response: u64, backoff: Backoff) -> Retry {
        let flights = Flights::new(request, response);
        Retry { remote, backoff, failed: 0, next: None, stream: "retry", flights }
    }

    /// Gives up an attempt that has not ended `timeout` after its start.
    pub fn timeout(mut self, timeout: Span) -> Retry {
        self.flights.set_timeout(timeout);
        self
    }

    /// Draws its jitter from the stream `name` of its host: give clients on one host streams of their own, so that
    /// none changes what another draws.
    pub fn stream(mut self, name: &'static str) -> Retry {
        self.stream = name;
        self
    }

    fn ended(&mut self, cx: &mut AppCx<'_>, end: AttemptEnd) {
        if end == AttemptEnd::Ok {
            cx.count("answered", 1);
            return;
        }
        self.failed += 1;
        if self.failed >= self.backoff.attempts {
            cx.count("gave up", 1);
            return;
        }
        let wait = self.backoff.wait(self.failed);
        let slack = self.backoff.slack(wait);
        let mut off = 0;
        if slack > 0 {
            let choices = cx.stream(self.stream);
            choices.begin(u64::from(self.failed));
            off = choices.pick(&Domain { size: slack.saturating_add(1), corners: &[0] });
        }
        self.next = Some(cx.now() + wait.saturating_sub(crate::time::ns(off)));
    }
}

impl App for Retry {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.next = (self.backoff.attempts > 0).then(|| cx.now());
        cx.set_timer(self.next);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let mut end = None;
        if let Wake::Ready(socket, _) = wake {
            end = self.flights.ready(cx, socket);
        }
        if end.is_none() && self.flights.expire(cx) {
            end = Some(AttemptEnd::TimedOut);
        }
        if self.next.is_some_and(|next| next <= cx.now()) {
            self.next = None;
            end = self.flights.start(cx, self.remote);
        }
        if let Some(end) = end {
            self.ended(cx, end);
        }
        cx.set_timer(self.next.or(self.flights.next_deadline()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn waits_double_up_to_the_ceiling() {
        let backoff = Backoff { first: ms(100), ceiling: ms(1_000), ..Backoff::default() };
        let waits: Vec<u64> = (1..=6).map(|n| backoff.wait(n).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.wait(u32::MAX), ms(1_000));
    }

    #[test]
    fn jitter_takes_off_its_share_and_no_more() {
        let backoff = Backoff { jitter_percent: 25, ..Backoff::default() };
        assert_eq!(backoff.slack(ms(1_000)), ms(250).as_nanos());
        assert_eq!(Backoff { jitter_percent: 200, ..backoff }.slack(Span::MAX), u64::MAX);
        assert_eq!(Backoff::default().slack(ms(1_000)), 0);
    }
}
