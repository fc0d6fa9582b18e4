use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::endpoint::Backoff;
use crate::time::{SimTime, Span, ms};
use crate::trace::{LinkId, Record};
use crate::wire::{Flags, Seq};

pub(super) const NAME: &str = "rto-growth";

/// While nothing is heard, each retransmission of a segment waits about twice as long as the one before, until it
/// waits a minute, or as long as the settings of its host allow; probes of a closed window too.
///
/// Anything that reaches the sender, or happens to its host, starts the count anew: it may be the reason for the next
/// one. The first two are left out, since a loss probe may be among them. A SYN need not wait longer, only not less:
/// some stacks send the first few at equal intervals.
#[derive(Default)]
pub struct RtoGrowth {
    senders: Ends<Oldest>,
}

/// The oldest segment that waits for an acknowledgment, as far as the wire tells.
struct Oldest {
    /// Nothing has come since it was first sent; else it tells nothing any more.
    waits: bool,
    seq: Seq,
    /// How often it was sent again.
    again: u32,
    last: SimTime,
    last_in: (LinkId, u64),
    interval: Span,
    is_reported: bool,
}

/// Intervals may shrink by this: ticks of 100 Hz, twice; and what the kernel's timer wheel rounds up, an eighth.
const TICKS: Span = ms(20);
const WHEEL: u64 = 8;

impl Oracle for RtoGrowth {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 6298 5.5"
    }

    fn hears(&self) -> Hears {
        Hears::COMINGS | Hears::TELLING | Hears::DONE
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        if segment.seq_len() == 0 || segment.has(Flags::RST) {
            return;
        }
        let fresh = Oldest {
            waits: true,
            seq: segment.seq,
            again: 0,
            last: seen.now,
            last_in: sending.packet,
            interval: Span::ZERO,
            is_reported: false,
        };
        let Some(oldest) = self.senders.get_mut(&sending.end) else {
            self.senders.insert(sending.end, fresh);
            return;
        };
        if oldest.waits && segment.seq.gt(oldest.seq) {
            return;
        }
        if !oldest.waits || segment.seq != oldest.seq || seen.evidence.stirred_since(sending.node, oldest.last) {
            *oldest = fresh;
            return;
        }
        let interval = seen.now.since(oldest.last);
        let (former, former_in) = (oldest.interval, oldest.last_in);
        oldest.again += 1;
        (oldest.last, oldest.last_in, oldest.interval) = (seen.now, sending.packet, interval);
        let Backoff { longest, slop } = seen.evidence.backoff(sending.node);
        let is_syn = segment.flags.intersection(Flags::SYN | Flags::ACK) == Flags::SYN;
        let doubled = former.saturating_sub(slop) * 2 + slop;
        let wanted = if is_syn { former } else { doubled.min(former.max(longest)) };
        let least = wanted.saturating_sub(wanted / WHEEL).saturating_sub(TICKS);
        if oldest.again <= 3 || interval >= least || oldest.is_reported {
            return;
        }
        oldest.is_reported = true;
        let again = oldest.again;
        sending.violates(self, seen, |seen| {
            format!(
                "{} sent {} again (retransmission {again}, {}) {interval} after the last time, though it had waited \
                 {former} before that one ({}) and heard nothing since: {wanted} is due",
                sending.end.describe(seen),
                sending.end.relative(seen, segment.seq),
                packet_name(seen, sending.packet),
                packet_name(seen, former_in),
            )
        });
    }

    fn on_coming(&mut self, coming: &Coming<'_>, _seen: &mut Seen<'_>) {
        if let Some(oldest) = self.senders.get_mut(&coming.end) {
            oldest.waits = false;
        }
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, _seen: &mut Seen<'_>) {
        self.senders.discard(&end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{CLIENT, Dir, Plant, ack, data, syn};
    use super::*;
    use crate::endpoint::HostFault;
    use crate::trace::Disturbance;

    /// Sends one segment, and again after each of these many milliseconds.
    fn after(intervals: &[u64]) -> Plant<RtoGrowth> {
        let mut plant = Plant::new(RtoGrowth::default());
        plant.handshake();
        plant.send(Dir::Up, data(1, 1, "abcd"));
        again(&mut plant, intervals);
        plant
    }

    fn again(plant: &mut Plant<RtoGrowth>, intervals: &[u64]) {
        for &interval in intervals {
            plant.wait(ms(interval));
            plant.send(Dir::Up, data(1, 1, "abcd"));
        }
    }

    #[test]
    fn timeouts_double_up_to_a_minute() {
        after(&[200, 400, 800, 1600, 3200]).holds();
        after(&[20, 220, 440, 880]).holds();
        after(&[1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]).holds();
        after(&[64_000, 120_000, 120_000, 120_000]).holds();
        // What is rounded up to ticks, and by the kernel's timer wheel.
        after(&[400, 400, 800, 1400]).holds();
        after(&[200, 400, 800, 640]).breaks(&["retransmission 4", "client > server #7", "640ms", "800ms"]);
        after(&[10, 10, 1000, 10, 10]).breaks(&["waited 1s"]);
        after(&[1000, 1000, 1000]).holds();
        after(&[1000, 1000, 1000, 1000]).breaks(&["retransmission 4", "1s after", "waited 1s"]);
        after(&[1000, 2000, 4000, 8000, 8000]).breaks(&["retransmission 5"]);
        after(&[60_000, 60_000, 60_000, 30_000]).breaks(&["30s after"]);
    }

    #[test]
    fn what_is_not_doubled_counts() {
        let grows = |longest, intervals: &[u64]| {
            let mut plant = Plant::new(RtoGrowth::default());
            plant.back_off(CLIENT, Backoff { slop: ms(200), longest: ms(longest) });
            plant.handshake();
            plant.send(Dir::Up, data(1, 1, "abcd"));
            again(&mut plant, intervals);
            plant
        };
        grows(60_000, &[230, 260, 320, 440, 680, 1_160]).holds();
        grows(60_000, &[230, 260, 320, 440, 440]).breaks(&["retransmission 5"]);
        grows(440, &[230, 260, 320, 440, 440, 440]).holds();
    }

    #[test]
    fn settings_may_bound_it_lower() {
        for (bound, holds) in [(3_500, true), (20_000, false)] {
            let mut plant = Plant::new(RtoGrowth::default());
            plant.back_off(CLIENT, Backoff { longest: ms(bound), ..Backoff::default() });
            plant.handshake();
            plant.send(Dir::Up, data(1, 1, "abcd"));
            again(&mut plant, &[1000, 2000, 3500, 3500, 3500]);
            assert_eq!(plant.texts().is_empty(), holds);
        }
    }

    #[test]
    fn a_syn_may_be_sent_again_at_equal_intervals() {
        let mut plant = Plant::new(RtoGrowth::default());
        plant.send(Dir::Up, syn(0));
        for interval in [1000, 1000, 1000, 1000, 1000, 2000, 4000] {
            plant.wait(ms(interval));
            plant.send(Dir::Up, syn(0));
        }
        plant.holds();
        plant.wait(ms(1000));
        plant.send(Dir::Up, syn(0));
        plant.breaks(&["1s after", "waited 4s"]);
    }

    #[test]
    fn what_is_heard_or_happens_to_the_host_starts_the_count_anew() {
        let mut plant = after(&[200, 400, 800]);
        plant.pass(Dir::Down, ack(1, 1));
        again(&mut plant, &[10, 200, 400, 800]);
        plant.disturb(CLIENT, Disturbance::Host(HostFault::Resume));
        again(&mut plant, &[10, 200, 400]);
        plant.holds();
    }

    #[test]
    fn copies_on_the_way_are_no_retransmissions() {
        let mut plant = after(&[200, 400, 800]);
        plant.forward(Dir::Up, data(1, 1, "abcd"));
        plant.inject(Dir::Up, data(1, 1, "abcd"));
        plant.send(Dir::Up, data(5, 1, "e"));
        plant.holds();
    }
}
