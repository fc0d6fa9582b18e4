//! When to send a segment that is not full: Nagle's algorithm and the sender's side of silly-window avoidance.

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// D: bytes queued and not sent.
    pub(super) queued: u32,
    /// U: bytes the peer's window still takes.
    pub(super) usable: u32,
    /// Eff.snd.MSS.
    pub(super) mss: u32,
    /// Greatest window the peer ever offered.
    pub(super) max_window: u32,
    /// Whether nothing is unacknowledged.
    pub(super) idle: bool,
    /// `TCP_NODELAY`.
    pub(super) nodelay: bool,
    /// `TCP_CORK` or `MSG_MORE`: hold back what is not full.
    pub(super) corked: bool,
    /// Whether the stream ends after the queue: nothing can fill the segment any more.
    pub(super) ends: bool,
    /// Whether the override timeout has passed.
    pub(super) overridden: bool,
}

impl Offer {
    /// RFC 9293 3.8.6.2.1 with 3.7.4: whether to send now.
    pub(super) fn may_send(self) -> bool {
        let fits = self.queued.min(self.usable);
        if fits == 0 {
            return false;
        }
        // (1) "if a maximum-sized segment can be sent"; (4) "if the override timeout occurs".
        if fits >= self.mss || self.overridden {
            return true;
        }
        if self.corked && !self.ends {
            return false;
        }
        // Nagle: "if [SND.NXT = SND.UNA and] ..."; switched off by TCP_NODELAY. The last segment of a stream waits
        // for nothing that could fill it.
        if !(self.idle || self.nodelay || self.ends) {
            return false;
        }
        // (2) "and all queued data can be sent now"; (3) "or at least Fs of the maximum window", Fs = 1/2.
        self.queued <= self.usable || fits >= self.max_window.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_segments_wait_unless_nothing_is_in_flight() {
        let base = Offer {
            queued: 100,
            usable: 5000,
            mss: 1000,
            max_window: 8000,
            idle: true,
            nodelay: false,
            corked: false,
            ends: false,
            overridden: false,
        };
        assert!(base.may_send());
        let busy = Offer { idle: false, ..base };
        assert!(!busy.may_send());
        assert!(Offer { nodelay: true, ..busy }.may_send());
        assert!(Offer { ends: true, ..busy }.may_send());
        assert!(!Offer { queued: 999, ..busy }.may_send() && Offer { queued: 1000, ..busy }.may_send());
        assert!(!Offer { corked: true, nodelay: true, ..base }.may_send());
        assert!(Offer { corked: true, overridden: true, ..base }.may_send());
        // A small window is not taken in small bites: 499 of 1000 is silly, 500 is half.
        let small = Offer { queued: 600, usable: 499, max_window: 1000, ..base };
        assert!(!small.may_send() && Offer { usable: 500, ..small }.may_send());
        assert!(!Offer { usable: 0, overridden: true, ..base }.may_send());
    }
}
