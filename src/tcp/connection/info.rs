//! `TCP_INFO`.

use super::{Connection, Persist};
use crate::endpoint::{CaState, SegmentCounts, State, TcpInfo};
use crate::tcp::Arrived;
use crate::tcp::knobs::Knobs;
use crate::tcp::newreno::Phase;
use crate::tcp::snd::Syn;
use crate::time::HostTime;

impl Connection {
    /// What `getsockopt(TCP_INFO)` tells, as far as it is known here: the path and what was sent again are the host's.
    pub fn info(&self, now: HostTime, knobs: &Knobs) -> TcpInfo {
        let (snd, rcv) = (&self.snd, &self.rcv);
        let probes = match self.persist {
            Persist::Probe { unanswered, .. } => unanswered,
            _ => self.keep.probes,
        };
        let backoff = match self.persist {
            // icsk_backoff is that of the probes too.
            Persist::Probe { sent, .. } => knobs.r2.doublings(sent),
            _ => self.rto.backoff,
        };
        let synchronized = !matches!(self.state, State::Closed | State::SynSent);
        TcpInfo {
            state: self.state,
            ca_state: self.ca_state(),
            retransmits: self.rto.tries,
            probes,
            backoff,
            timestamps: self.ts.is_some(),
            sack: self.sack,
            window_scaling: self.scales,
            ecn: self.sender.as_ref().is_some_and(|sender| sender.ecn.is_agreed),
            syn_data: self.has_syn_data(),
            snd_wscale: snd.shift,
            rcv_wscale: rcv.shift,
            rto: self.rto.current(knobs),
            rtt: self.rto.srtt(),
            rttvar: self.rto.rttvar(),
            snd_mss: u32::from(snd.mss),
            rcv_mss: self.rcv_mss(),
            advmss: u32::from(self.setup.mss),
            snd_cwnd: self.window_bytes().0,
            snd_ssthresh: Some(self.window_bytes().1).filter(|&bytes| bytes < u32::MAX),
            unacked: snd.flight(),
            notsent_bytes: self.unsent(),
            snd_wnd: snd.wnd,
            rcv_wnd: if synchronized { rcv.wnd() } else { 0 },
            last_data_sent: (snd.nxt != snd.iss).then(|| now.since(self.last_sent)),
            last_ack_recv: synchronized.then(|| now.since(self.keep.heard)),
            segments: self.segment_counts(now, knobs),
            rcv_ooopack: rcv.out_of_order,
            total_rto: self.rto.total,
            ..TcpInfo::CLOSED
        }
    }

    /// What the sender has heard of its segments so far.
    pub fn arrived(&self) -> Arrived {
        self.sender.as_ref().map_or(Arrived::default(), |sender| sender.arrived())
    }

    fn segment_counts(&self, now: HostTime, knobs: &Knobs) -> Option<SegmentCounts> {
        let at = self.moment_at(now, knobs);
        self.sender.as_ref().map(|sender| sender.counts(&at))
    }

    fn ca_state(&self) -> CaState {
        if let Some(sender) = &self.sender {
            return sender.state;
        }
        match self.recovery.phase {
            // Before the handshake is over, what is sent again is the SYN, and nothing else can be lost.
            Phase::Loss { .. } if self.snd.syn == Syn::Unacked => CaState::Open,
            Phase::Loss { .. } => CaState::Loss,
            Phase::Fast { .. } => CaState::Recovery,
            Phase::Open { dups: 0, .. } => CaState::Open,
            Phase::Open { .. } => CaState::Disorder,
        }
    }
}
