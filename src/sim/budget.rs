use crate::time::{SimTime, Span, secs};
use std::fmt;

/// How much a run may use. Exceeding any of it ends the run as a reported failure, never as a hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Events.
    pub events: u64,
    /// Virtual time.
    pub time: Span,
    /// Events in a row at one instant.
    pub zero_time: u64,
    /// Packets in flight.
    pub in_flight: u64,
    /// Bytes in flight; bytes received and kept for [`crate::Sim::received`]; and the trace that is kept: each record by
    /// its size, and the data that records show, once for each buffer that they keep alive.
    pub memory: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            events: 1_000_000_000,
            time: secs(30 * 24 * 3_600),
            zero_time: 10_000_000,
            in_flight: 10_000_000,
            memory: 4 << 30,
        }
    }
}

/// Which budget a run exceeded, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Budget::events`].
    Events(u64),
    /// [`Budget::time`].
    Time(Span),
    /// [`Budget::zero_time`].
    ZeroTime(SimTime, u64),
    /// [`Budget::in_flight`].
    InFlight(u64),
    /// [`Budget::memory`].
    Memory(u64),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exceeded::Events(n) => write!(f, "more than {n} events"),
            Exceeded::Time(span) => write!(f, "more than {span} of virtual time"),
            Exceeded::ZeroTime(at, n) => write!(f, "more than {n} events at {at}, without time passing"),
            Exceeded::InFlight(n) => write!(f, "more than {n} packets in flight"),
            Exceeded::Memory(n) => write!(f, "more than {n} bytes in flight, received and kept as trace"),
        }
    }
}

/// What a run has used.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) events: u64,
    pub(super) ties: u64,
    at: SimTime,
    zero_time: u64,
}

impl Used {
    /// Another event, at `now`.
    pub(super) fn event(&mut self, now: SimTime, budget: &Budget) -> Result<(), Exceeded> {
        self.events += 1;
        self.zero_time = if now == self.at { self.zero_time + 1 } else { 0 };
        self.at = now;
        if self.events > budget.events {
            return Err(Exceeded::Events(budget.events));
        }
        if self.zero_time > budget.zero_time {
            return Err(Exceeded::ZeroTime(now, budget.zero_time));
        }
        if now.since(SimTime::ZERO) > budget.time {
            return Err(Exceeded::Time(budget.time));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Link;
    use crate::sim::{Ended, Sim};
    use crate::time::ms;
    use crate::trace::{Keep, Record};
    use crate::wire::Payload;

    /// A client sends `times` the same 50,000 bytes.
    fn upload(keep: Keep, memory: u64, times: usize) -> Sim {
        let mut sim = Sim::with(1, keep);
        sim.set_budget(Budget { memory, ..Budget::default() });
        let [client, server] = sim.hosts(["client", "server"]);
        sim.link(client, server, Link::new().delay(ms(10)));
        sim.listen(server, 80);
        let stream = sim.connect(client, server, 80);
        let data = Payload::from(vec![b'x'; 50_000]);
        (0..times).for_each(|_| sim.write(stream, data.clone()));
        sim.close(stream);
        sim.run();
        sim
    }

    /// The least memory that an upload takes.
    fn least(keep: Keep, times: usize) -> u64 {
        let (mut too_little, mut enough) = (0, 4 << 20);
        while enough - too_little > 1 {
            let memory = u64::midpoint(too_little, enough);
            if upload(keep, memory, times).outcome().held() { enough = memory } else { too_little = memory }
        }
        enough
    }

    #[test]
    fn a_trace_just_within_the_memory_holds_and_one_byte_less_is_a_failure() {
        for keep in [Keep::Nothing, Keep::Last(10), Keep::Full] {
            let least = least(keep, 1);
            let enough = upload(keep, least, 1);
            assert!(enough.outcome().held(), "{keep:?}, {least}");
            let outcome = upload(keep, least - 1, 1).outcome();
            assert!(!outcome.held());
            assert_eq!(outcome.ended, Some(Ended::Exceeded(Exceeded::Memory(least - 1))));
            let said = format!("more than {} bytes in flight, received and kept as trace", least - 1);
            assert_eq!(outcome.verdict().ended, said);
        }
    }

    #[test]
    fn kept_records_count_by_their_size_and_shared_data_once() {
        let record = size_of::<Record<'static>>() as u64;
        let nothing = least(Keep::Nothing, 1);
        let last = least(Keep::Last(10), 1);
        assert!((nothing + 10 * record..=nothing + 10 * record + 50_000).contains(&last), "{nothing}, {last}");
        let [once, twice] = [1, 2].map(|times| {
            let all = upload(Keep::Full, 4 << 20, times).records().len() as u64 * record;
            let least = least(Keep::Full, times);
            // The last record may come with the last event, after which nobody asks.
            assert!(least + 10 * record >= all + 50_000, "{least} of {all}");
            least - all
        });
        // What was received counts each time, the buffer that the records share does not.
        assert!(twice.abs_diff(once) < 60_000, "{once}, {twice}");
    }
}
