use super::Knobs;
use crate::time::Span;

/// When to stop trying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// At the timeout after this many retransmissions in a row.
    Retries(u8),
    /// This long after the first transmission.
    After(Span),
    /// When so many retransmissions with doubling timeouts would have taken as long as these (Linux,
    /// `retransmits_timed_out()`); of a SYN, also after that many beyond the linear ones.
    Backoffs(u8),
}

impl GiveUp {
    /// Whether to stop at a timeout that follows `retries` retransmissions and comes `elapsed` after the first try.
    pub(super) fn reached(self, retries: u8, elapsed: Span, base: Span, knobs: &Knobs) -> bool {
        match self {
            GiveUp::Retries(most) => retries >= most,
            GiveUp::After(span) => elapsed >= span,
            GiveUp::Backoffs(most) => retries > 0 && elapsed >= modelled(most, base, knobs.rto_max),
        }
    }

    /// How often the interval of window probes has doubled after so many: no more than `tcp_retries2` times
    /// (`tcp_send_probe0()`).
    pub(super) fn doublings(self, sent: u8) -> u8 {
        if let GiveUp::Backoffs(most) = self { sent.min(most) } else { sent }
    }

    /// `wait`, cut short where it would reach past the end of all tries.
    pub(super) fn bound(self, wait: Span, elapsed: Span) -> Span {
        match self {
            GiveUp::Retries(_) | GiveUp::Backoffs(_) => wait,
            GiveUp::After(span) => wait.min(span.saturating_sub(elapsed)),
        }
    }
}

/// How long `retries` retransmissions take whose first comes after `base`, doubling up to `most`
/// (`tcp_model_timeout()` in tcp_timer.c).
fn modelled(retries: u8, base: Span, most: Span) -> Span {
    let doublings = u8::try_from((most.as_nanos() / base.as_nanos().max(1)).max(1).ilog2()).unwrap_or(u8::MAX);
    let sum = |n: u8| base * ((2u64 << n.min(62)) - 1);
    if retries <= doublings { sum(retries) } else { sum(doublings) + most * u64::from(retries - doublings) }
}
