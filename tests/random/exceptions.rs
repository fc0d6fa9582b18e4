use super::coverage::{DROPS, ERRNOS, TIMERS, TRANSITIONS};

/// What random runs do not show, by group and name, and why.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (DROPS, "PAWS", "the profile rfc9293 has no timestamps"),
    (DROPS, "bad cookie", "the profile rfc9293 has no SYN cookies"),
    (TIMERS, "tlp", "the profile rfc9293 has no tail loss probe"),
    (TIMERS, "reorder", "the profile rfc9293 has no RACK"),
    (TRANSITIONS, "CLOSED -> ESTABLISHED", "only SYN cookies and Fast Open skip SYN-RECEIVED"),
    (TRANSITIONS, "LISTEN -> ESTABLISHED", "only SYN cookies skip SYN-RECEIVED"),
    (TRANSITIONS, "LISTEN -> SYN-SENT", "the socket calls do not turn a listener into a client"),
    (TRANSITIONS, "SYN-RECEIVED -> CLOSE-WAIT", "the ACK that the FIN comes with leads through ESTABLISHED"),
    (ERRNOS, "ENOMEM", "memory is not limited"),
];
