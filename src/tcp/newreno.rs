//! Congestion control and loss recovery without SACK: RFC 5681 and RFC 6582.

use super::Knobs;
use crate::wire::Seq;

/// The congestion window and the phase it is in.
#[derive(Clone, Debug)]
pub(super) struct NewReno {
    /// cwnd in bytes.
    pub(super) cwnd: u32,
    /// ssthresh in bytes.
    pub(super) ssthresh: u32,
    /// Bytes acknowledged towards the next increase in congestion avoidance.
    counted: u32,
    pub(super) phase: Phase,
}

/// What the sender is doing about losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing known to be lost.
    Open {
        /// Duplicate ACKs in a row.
        dups: u8,
        /// RFC 6582 3.2 step 1 and 4: until this is acknowledged, duplicate ACKs tell of the recovery before.
        recover: Option<Seq>,
    },
    /// Fast recovery (RFC 6582 3.2).
    Fast {
        /// Ends when all up to here is acknowledged.
        recover: Seq,
        /// Whether a partial ACK has come: only the first restarts the timer (the "Impatient" variant).
        partial: bool,
        /// Whether the first unacknowledged segment is to be sent again now.
        resend: bool,
    },
    /// After a timeout: all in flight is taken for lost and sent again from `next` as the window allows.
    Loss {
        /// Ends when all up to here is acknowledged.
        recover: Seq,
        /// What is sent again next.
        next: Seq,
    },
}

const OPEN: Phase = Phase::Open { dups: 0, recover: None };

impl NewReno {
    pub(super) fn new(mss: u16, syn_resent: bool, knobs: &Knobs) -> NewReno {
        let mut reno = NewReno { cwnd: 0, ssthresh: u32::MAX, counted: 0, phase: OPEN };
        reno.start(mss, syn_resent, knobs);
        reno
    }

    /// The handshake is over: the initial window.
    pub(super) fn start(&mut self, mss: u16, syn_resent: bool, knobs: &Knobs) {
        // RFC 5681 3.1: after a lost SYN the initial window is one segment.
        self.cwnd = if syn_resent { u32::from(mss) } else { initial_window(mss, knobs) };
        self.phase = OPEN;
    }

    /// RFC 5681 4.1: after an idle RTO the window is no more than the restart window.
    pub(super) fn restart(&mut self, mss: u16, knobs: &Knobs) {
        self.cwnd = self.cwnd.min(initial_window(mss, knobs));
    }

    /// `acked` bytes up to `una` are newly acknowledged; `flight` bytes are still out.
    /// Whether the retransmission timer starts anew.
    pub(super) fn on_ack(&mut self, una: Seq, acked: u32, flight: u32, mss: u16) -> bool {
        let smss = u32::from(mss);
        match &mut self.phase {
            Phase::Open { dups, recover } => {
                *dups = 0;
                *recover = recover.filter(|r| una.le(*r));
                self.grow(acked, smss);
            }
            Phase::Fast { recover, partial, resend } if una.lt(*recover) => {
                // RFC 6582 3.2 step 3, partial ACK: retransmit, deflate by what was acknowledged, add back one SMSS.
                *resend = true;
                let first = !std::mem::replace(partial, true);
                let back = if acked >= smss { smss } else { 0 };
                self.cwnd = self.cwnd.saturating_sub(acked).saturating_add(back).max(smss);
                return first;
            }
            Phase::Fast { .. } => {
                // Step 3, full ACK, first choice.
                self.cwnd = self.ssthresh.min(flight.max(smss) + smss);
                self.phase = OPEN;
            }
            Phase::Loss { recover, next } => {
                let recover = *recover;
                *next = next.max(una);
                if una.ge(recover) {
                    self.phase = Phase::Open { dups: 0, recover: Some(recover) };
                }
                self.grow(acked, smss);
            }
        }
        true
    }

    /// A duplicate ACK came while `una..nxt` is in flight; whether fast retransmit starts.
    pub(super) fn on_dup_ack(&mut self, una: Seq, nxt: Seq, mss: u16, knobs: &Knobs) -> bool {
        let smss = u32::from(mss);
        match &mut self.phase {
            Phase::Open { dups, recover } => {
                *dups = dups.saturating_add(1);
                if *dups != knobs.dup_acks || recover.is_some() {
                    return false;
                }
                // RFC 5681 3.2 steps 2 and 3.
                self.ssthresh = (nxt.since(una) / 2).max(2 * smss);
                self.cwnd = self.ssthresh + u32::from(knobs.dup_acks) * smss;
                self.phase = Phase::Fast { recover: nxt, partial: false, resend: true };
                true
            }
            Phase::Fast { .. } => {
                // Step 4: another segment has left the network.
                self.cwnd = self.cwnd.saturating_add(smss);
                false
            }
            Phase::Loss { .. } => false,
        }
    }

    /// The retransmission timer fired; `first` in a row.
    pub(super) fn on_timeout(&mut self, una: Seq, nxt: Seq, mss: u16, first: bool) {
        let smss = u32::from(mss);
        if first {
            // RFC 5681 3.1, equation 4; held at the value for further timeouts of the same segment.
            self.ssthresh = (nxt.since(una) / 2).max(2 * smss);
        }
        self.cwnd = smss;
        self.counted = 0;
        self.phase = Phase::Loss { recover: nxt, next: una };
    }

    /// All in flight was too big for the path: it goes out anew, and congestion is not to blame (RFC 1191 6.4).
    pub(super) fn on_too_big(&mut self, una: Seq, nxt: Seq) {
        self.phase = Phase::Loss { recover: nxt, next: una };
    }

    fn grow(&mut self, acked: u32, smss: u32) {
        if self.cwnd < self.ssthresh {
            // RFC 5681 3.1, equation 2: slow start.
            self.cwnd = self.cwnd.saturating_add(acked.min(smss));
            return;
        }
        // RFC 5681 3.1: congestion avoidance by counting bytes, at most one SMSS a round trip.
        self.counted = self.counted.saturating_add(acked);
        if self.counted >= self.cwnd {
            self.counted -= self.cwnd;
            self.cwnd = self.cwnd.saturating_add(smss);
        }
    }
}

/// RFC 5681 3.1: two to four segments by size, unless the profile says otherwise.
fn initial_window(mss: u16, knobs: &Knobs) -> u32 {
    let segments = match (knobs.initial_window, mss) {
        (Some(n), _) => n,
        (None, 2191..) => 2,
        (None, 1096..) => 3,
        (None, _) => 4,
    };
    u32::from(segments) * u32::from(mss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_windows_at_their_bounds() {
        let knobs = Knobs::default();
        let windows = [1095, 1096, 2190, 2191].map(|mss| initial_window(mss, &knobs));
        assert_eq!(windows, [4 * 1095, 3 * 1096, 3 * 2190, 2 * 2191]);
    }

    #[test]
    fn three_duplicates_start_recovery_and_a_full_ack_ends_it() {
        let knobs = Knobs::default();
        let mut reno = NewReno::new(1000, false, &knobs);
        let dup = |reno: &mut NewReno| reno.on_dup_ack(Seq(0), Seq(10_000), 1000, &knobs);
        assert_eq!([dup(&mut reno), dup(&mut reno), dup(&mut reno)], [false, false, true]);
        assert_eq!((reno.ssthresh, reno.cwnd), (5000, 8000));
        assert!(!dup(&mut reno));
        assert_eq!(reno.cwnd, 9000);
        assert!(reno.on_ack(Seq(2000), 2000, 8000, 1000), "the first partial ACK restarts the timer");
        assert!(!reno.on_ack(Seq(3000), 1000, 7000, 1000), "the second does not");
        assert_eq!(reno.cwnd, 8000);
        reno.on_ack(Seq(10_000), 7000, 0, 1000);
        assert_eq!((reno.cwnd, reno.phase), (2000, OPEN));
    }
}
