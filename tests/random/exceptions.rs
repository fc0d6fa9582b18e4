use super::coverage::{DROPS, ERRNOS, TIMERS, TRANSITIONS};
use wirefate::host::Profile;

/// What random runs do not show, by group and name, and why.
pub(crate) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (TRANSITIONS, "CLOSED -> LISTEN", "a listener is no connection"),
    (TRANSITIONS, "LISTEN -> CLOSED", "a listener is no connection"),
    (TRANSITIONS, "LISTEN -> SYN-SENT", "the socket calls do not turn a listener into a client"),
    (TRANSITIONS, "CLOSED -> SYN-RECEIVED", "a passive open comes out of LISTEN"),
    (TRANSITIONS, "CLOSED -> ESTABLISHED", "only SYN cookies and Fast Open skip SYN-RECEIVED"),
    (TRANSITIONS, "LISTEN -> ESTABLISHED", "only SYN cookies skip SYN-RECEIVED"),
    (TRANSITIONS, "SYN-RECEIVED -> LISTEN", "what a SYN began ends in CLOSED; its listener never left LISTEN"),
    (TRANSITIONS, "SYN-RECEIVED -> FIN-WAIT-1", "a close waits for ESTABLISHED (RFC 9293 3.10.4)"),
    (TRANSITIONS, "SYN-RECEIVED -> CLOSE-WAIT", "the ACK that the FIN comes with leads through ESTABLISHED"),
    (TRANSITIONS, "TIME-WAIT -> LISTEN", "the old incarnation ends in CLOSED, the new one begins in LISTEN"),
    (TRANSITIONS, "TIME-WAIT -> SYN-RECEIVED", "the old incarnation ends in CLOSED, the new one begins in LISTEN"),
    (DROPS, "deferred", "no application here sets TCP_DEFER_ACCEPT"),
    (ERRNOS, "EPERM", "no call of Sockets gives it; scripts may name it"),
    (ERRNOS, "ENOENT", "only epoll gives it, which scripts of packetdrill call"),
    (ERRNOS, "ENOMEM", "memory is not limited"),
    (ERRNOS, "ENOBUFS", "memory is not limited"),
    (ERRNOS, "EPROTONOSUPPORT", "the socket calls have no argument for a protocol"),
    (ERRNOS, "ECONNABORTED", "accept hands out what has ended in the queue; its first call tells why"),
];

/// What the hosts of some profiles do not show, and why.
pub(crate) const LACKS: &[(&[Profile], &str, &str, &str)] = &[
    (&[Profile::Rfc9293, Profile::Windows], DROPS, "bad cookie", "it has no SYN cookies"),
    (&[Profile::Rfc9293, Profile::FreeBsd, Profile::Windows], TIMERS, "tlp", "it has no tail loss probe"),
    (&[Profile::Rfc9293, Profile::FreeBsd], TIMERS, "reorder", "it has no RACK"),
    (&[Profile::FreeBsd], DROPS, "ack too old", "it takes an old acknowledgment for what it is, however old"),
];
