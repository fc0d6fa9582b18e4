//! Explicit congestion notification (RFC 3168): what either half of a connection owes the other.

/// Both halves.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::tcp) struct Ecn {
    /// Whether both ends know it.
    pub(in crate::tcp) is_agreed: bool,
    /// The window was reduced, and the peer is to be told by CWR.
    cwr_due: bool,
    /// A mark has come, and is echoed until the peer says CWR.
    pub(in crate::tcp) echoes: bool,
    /// Marks or their absence mean something: the peer has sent as one that is capable.
    has_seen: bool,
}

impl Ecn {
    /// `tcp_ecn_queue_cwr()`.
    pub(super) fn reduced(&mut self) {
        self.cwr_due = self.is_agreed;
    }

    /// `tcp_ecn_withdraw_cwr()`.
    pub(super) fn withdraw(&mut self) {
        self.cwr_due = false;
    }

    /// Whether CWR goes with the new data at hand; said once.
    pub(in crate::tcp) fn take_cwr(&mut self) -> bool {
        std::mem::take(&mut self.cwr_due)
    }

    /// Data came with these two bits of the IP header (`__tcp_ecn_check_ce()`); whether its acknowledgment must hurry.
    pub(in crate::tcp) fn data_came(&mut self, bits: u8) -> bool {
        if !self.is_agreed {
            return false;
        }
        match bits {
            // A retransmission, perhaps: the peer waits.
            0 => self.has_seen,
            3 => {
                self.has_seen = true;
                !std::mem::replace(&mut self.echoes, true)
            }
            _ => {
                self.has_seen = true;
                false
            }
        }
    }

    /// The peer has reduced its window (`tcp_ecn_accept_cwr()`).
    pub(in crate::tcp) fn accept_cwr(&mut self) {
        self.echoes = false;
    }
}
