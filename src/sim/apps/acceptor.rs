use super::listener::Listener;
use super::sink::Readers;
use crate::sim::{App, AppCx, Wake};
use crate::time::{HostTime, Span, ns};

/// A server that is slow to accept: at a limited rate, and with pauses in which it stands still, as in a garbage
/// collection. What it accepts it reads to the end and closes, as [`Sink`](super::Sink) does, without names.
///
/// Counts `accepted`, `bytes`, `ended` (streams) and `errors`.
#[derive(Debug)]
pub struct Acceptor {
    listener: Listener,
    readers: Readers,
    gap: Span,
    pauses: Option<Pauses>,
    /// The first instant at which the rate allows another `accept`.
    allowed: HostTime,
    /// Something came during a pause.
    woken: bool,
}

/// Pauses of length `lasts`, the first `every` so long after the start, one each `every`.
#[derive(Clone, Copy, Debug)]
struct Pauses {
    start: HostTime,
    every: Span,
    lasts: Span,
}

impl Acceptor {
    /// Listens on `port`, both families.
    pub fn new(port: u16, backlog: u32) -> Acceptor {
        Acceptor {
            listener: Listener::new(port, backlog),
            readers: Readers::default(),
            gap: Span::ZERO,
            pauses: None,
            allowed: HostTime::ZERO,
            woken: false,
        }
    }

    /// Accepts at most `n` connections `per` so long, evenly spaced; `n` is at least 1.
    pub fn rate(mut self, n: u64, per: Span) -> Acceptor {
        self.gap = per / n.max(1);
        self
    }

    /// Stands still `lasts` so long, `every` so often, for the first time after `every`: neither accepts nor reads.
    ///
    /// # Panics
    /// If it would never go on: `lasts` is not shorter than `every`.
    pub fn pause(mut self, every: Span, lasts: Span) -> Acceptor {
        assert!(lasts < every, "a pause of {lasts} every {every} never ends");
        self.pauses = Some(Pauses { start: HostTime::ZERO, every, lasts });
        self
    }

    /// Accepts what the rate allows now; when it allows more, if more may wait.
    fn accept(&mut self, cx: &mut AppCx<'_>) -> Option<HostTime> {
        loop {
            if cx.now() < self.allowed {
                return Some(self.allowed);
            }
            let socket = self.listener.accept(cx)?;
            self.allowed = cx.now() + self.gap;
            self.readers.add(cx, socket);
        }
    }
}

impl App for Acceptor {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        if let Some(pauses) = &mut self.pauses {
            pauses.start = cx.now();
        }
        self.listener.open(cx);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if let Some(end) = self.pauses.and_then(|pauses| pauses.end(cx.now())) {
            self.woken = true;
            cx.set_timer(Some(end));
            return;
        }
        if std::mem::take(&mut self.woken) {
            self.readers.read_all(cx);
        } else if let Wake::Ready(socket, _) = wake {
            self.readers.read(cx, socket);
        }
        let next = self.accept(cx);
        cx.set_timer(next);
    }
}

impl Pauses {
    /// The end of the pause that `now` lies in, if it does.
    fn end(self, now: HostTime) -> Option<HostTime> {
        let elapsed = now.since(self.start).as_nanos();
        let pause = elapsed / self.every.as_nanos();
        let end = self.start + self.every * pause + self.lasts;
        (pause > 0 && now < end).then_some(end.max(now + ns(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn pauses_come_at_their_time_and_end() {
        let at = |n| HostTime::ZERO + ms(n);
        let pauses = Pauses { start: at(7), every: ms(100), lasts: ms(30) };
        let ends =
            [(7, None), (36, None), (106, None), (107, Some(137)), (136, Some(137)), (137, None), (207, Some(237))];
        for (now, end) in ends {
            assert_eq!(pauses.end(at(now)), end.map(at), "at {now} ms");
        }
    }
}
