use super::Context;
use crate::time::HostTime;

/// Limits how often a connection answers empty segments that lie outside its window.
///
/// RFC 9293 3.10.7.4 answers every segment that is not acceptable, also a bare acknowledgment, and the answer is one
/// too. Where both ends stand outside the other's window, as after a forged FIN, each answers the other's answer for
/// ever. RFC 5961 7 limits such ACKs; one of them that is not sent ends the exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throttle {
    silent_until: HostTime,
}

impl Throttle {
    /// Answers the first one.
    pub(super) const NEW: Throttle = Throttle { silent_until: HostTime::ZERO };

    /// Whether an empty segment that comes now is answered; counts it if so.
    pub(super) fn allows(&mut self, cx: &Context<'_>) -> bool {
        let allowed = cx.now >= self.silent_until;
        if allowed {
            self.silent_until = cx.now + cx.knobs.empty_answers;
        }
        allowed
    }
}
