//! Whether a listener takes a SYN (`tcp_conn_request()` in tcp_input.c).

use super::Host;
use super::cookies::CookieUse;
use super::counters::Counter;
use super::listener::QueueRule;
use crate::endpoint::{DropReason, SocketId, Tuple};
use crate::time::HostTime;

/// What becomes of a SYN that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is remembered: a half-open connection.
    Remembered,
    /// Only its answer remembers it.
    Cookie,
}

impl Host {
    /// Whether a listener takes a SYN; `reopens`: it ends a TIME-WAIT (`tcp_conn_request()` in tcp_input.c).
    pub(super) fn admit(
        &mut self,
        now: HostTime,
        id: SocketId,
        tuple: Tuple,
        reopens: bool,
    ) -> Result<Admission, DropReason> {
        let (rule, uses) = (self.settings.queues, self.settings.cookies);
        if rule == QueueRule::Syncache {
            return match !self.asks_no_cache(now) && self.has_cache_place(tuple) {
                true => Ok(Admission::Remembered),
                false if uses != CookieUse::Never => Ok(Admission::Cookie),
                false => Err(DropReason::SynQueueFull),
            };
        }
        let Some(listener) = self.sockets.listener(id) else { return Err(DropReason::NoSocket) };
        let (halves, syn_full, accept_full) =
            (listener.syn, listener.syn >= listener.syn_max, listener.accept_is_full());
        // "TW buckets are converted to open requests without limitations, they conserve resources and peer is
        // evidently real one."
        let crowded = rule == QueueRule::Linux && !reopens && (syn_full || uses == CookieUse::Always);
        let cookie = crowded && uses != CookieUse::Never;
        if cookie {
            self.counters.add(Counter::ReqQFullDoCookies);
        } else if crowded {
            self.counters.add(Counter::ReqQFullDrop);
            return Err(DropReason::SynQueueFull);
        }
        if accept_full {
            self.counters.add(Counter::ListenOverflows);
            return Err(DropReason::AcceptQueueFull);
        }
        match rule {
            QueueRule::Linux if cookie => return Ok(Admission::Cookie),
            QueueRule::Linux => {
                // "Without syncookies last quarter of backlog is filled with destinations, proven to be alive."
                let most = self.settings.syn_backlog;
                let last_quarter = i64::from(most) - i64::from(halves) < i64::from(most >> 2);
                let open = reopens || uses != CookieUse::Never || self.known.proven(tuple.remote.ip(), now);
                if last_quarter && !open {
                    return Err(DropReason::SynQueueFull);
                }
            }
            QueueRule::Plain if syn_full => {
                self.counters.add(Counter::ReqQFullDrop);
                return Err(DropReason::SynQueueFull);
            }
            QueueRule::Plain | QueueRule::Syncache => {}
        }
        Ok(Admission::Remembered)
    }
}
