/// What the machines count that no event tells; the host shows it under the names that `nstat` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tally {
    /// `TcpInErrs`: a SYN on an established connection is one to the kernel.
    InErrs,
    /// `TcpExtDelayedACKs`: acknowledgments that the timer sent.
    DelayedAcks,
    /// `TcpExtTCPRenoRecovery`: fast recoveries.
    RenoRecovery,
    /// `TcpExtTCPSackRecovery`: the same with selective acknowledgments.
    SackRecovery,
    /// `TcpExtTCPSACKReneging`: the peer dropped what it had acknowledged selectively.
    SackReneging,
    /// `TcpExtTCPSACKReorder`, `TcpExtTCPRenoReorder`, `TcpExtTCPTSReorder`: reordering seen, and by what.
    SackReorder,
    /// See [`Tally::SackReorder`].
    RenoReorder,
    /// See [`Tally::SackReorder`].
    TsReorder,
    /// `TcpExtTCPSACKDiscard`: blocks that cannot be.
    SackDiscard,
    /// `TcpExtTCPFullUndo`: recoveries undone at their end.
    FullUndo,
    /// `TcpExtTCPPartialUndo`: and in the middle.
    PartialUndo,
    /// `TcpExtTCPDSACKUndo`: and by D-SACK.
    DSackUndo,
    /// `TcpExtTCPLossUndo`: timeouts undone.
    LossUndo,
    /// `TcpExtTCPSpuriousRTOs`: timeouts that F-RTO found spurious.
    SpuriousRto,
    /// `TcpExtTCPDSACKRecv`: D-SACKs about what was acknowledged.
    DSackRecv,
    /// `TcpExtTCPDSACKOfoRecv`: and about what was not.
    DSackOfoRecv,
    /// `TcpExtTCPDSACKIgnoredOld`.
    DSackIgnoredOld,
    /// `TcpExtTCPDSACKIgnoredNoUndo`.
    DSackIgnoredNoUndo,
    /// `TcpExtTCPDSACKIgnoredDubious`.
    DSackIgnoredDubious,
    /// `TcpExtTCPLossProbeRecovery`: losses that a tail loss probe has repaired.
    LossProbeRecovery,
    /// `TcpExtTCPFastRetrans`: segments sent again in fast recovery.
    FastRetrans,
    /// `TcpExtTCPSlowStartRetrans`: segments sent again after a timeout, behind the first.
    SlowStartRetrans,
    /// `TcpExtTCPTimeouts`: retransmission timeouts.
    Timeouts,
    /// `TcpExtTCPLossProbes`: tail loss probes sent (RFC 8985 7).
    LossProbe,
    /// `TcpExtTCPAbortOnData`: connections reset since data came after CLOSE.
    AbortOnData,
    /// `TcpExtTCPAbortOnTimeout`: connections given up.
    AbortOnTimeout,
    /// `TcpExtTCPChallengeACK`: challenge ACKs sent (RFC 5961).
    ChallengeAck,
    /// `TcpExtTCPKeepAlive`: keepalive probes sent.
    KeepAlive,
    /// `TcpExtTCPWinProbe`: window probes sent.
    WinProbe,
    /// `TcpExtOfoPruned`: times that what waited out of order was thrown away, for want of memory.
    OfoPruned,
    /// `TcpExtTCPOFODrop`: segments out of order that were not kept, for want of memory.
    OfoDrop,
    /// `TcpExtTCPRcvQDrop`: segments in order that were not taken, for want of memory.
    RcvQDrop,
    /// `TcpExtTCPFastOpenActive`: SYNs whose data was taken.
    FastOpenActive,
    /// `TcpExtTCPFastOpenActiveFail`: SYNs whose data was not.
    FastOpenActiveFail,
    /// `TcpExtOutOfWindowIcmps`: ICMP errors about nothing in flight.
    OutOfWindowIcmps,
}

impl Tally {
    /// Everything that is counted.
    pub const ALL: [Tally; 35] = [
        Tally::InErrs,
        Tally::DelayedAcks,
        Tally::RenoRecovery,
        Tally::SackRecovery,
        Tally::SackReneging,
        Tally::SackReorder,
        Tally::RenoReorder,
        Tally::TsReorder,
        Tally::SackDiscard,
        Tally::FullUndo,
        Tally::PartialUndo,
        Tally::DSackUndo,
        Tally::LossUndo,
        Tally::SpuriousRto,
        Tally::DSackRecv,
        Tally::DSackOfoRecv,
        Tally::DSackIgnoredOld,
        Tally::DSackIgnoredNoUndo,
        Tally::DSackIgnoredDubious,
        Tally::LossProbeRecovery,
        Tally::FastRetrans,
        Tally::SlowStartRetrans,
        Tally::Timeouts,
        Tally::LossProbe,
        Tally::AbortOnData,
        Tally::AbortOnTimeout,
        Tally::ChallengeAck,
        Tally::KeepAlive,
        Tally::WinProbe,
        Tally::OfoPruned,
        Tally::OfoDrop,
        Tally::RcvQDrop,
        Tally::FastOpenActive,
        Tally::FastOpenActiveFail,
        Tally::OutOfWindowIcmps,
    ];
}

/// The tallies of one host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tallies([u64; Tally::ALL.len()]);

impl Default for Tallies {
    fn default() -> Tallies {
        Tallies([0; Tally::ALL.len()])
    }
}

impl Tallies {
    pub(super) fn add(&mut self, tally: Tally) {
        self.0[tally as usize] += 1;
    }

    pub(super) fn get(&self, tally: Tally) -> u64 {
        self.0[tally as usize]
    }
}
