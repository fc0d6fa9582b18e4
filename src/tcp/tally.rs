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
    /// `TcpExtTCPAbortOnMemory`: orphans that have yielded at a timeout, to others of their kind or for want of memory.
    AbortOnMemory,
    /// `TcpExtTCPAbortOnLinger`: connections reset in FIN-WAIT-2 since `TCP_LINGER2` says so.
    AbortOnLinger,
    /// `TcpExtTCPAbortOnTimeout`: connections given up.
    AbortOnTimeout,
    /// `TcpExtTCPChallengeACK`: challenge ACKs sent (RFC 5961).
    ChallengeAck,
    /// `TcpExtTCPACKSkippedChallenge`: challenge ACKs that the limit of one connection has held back.
    AckSkippedChallenge,
    /// `TcpExtTCPACKSkippedPAWS`: answers to segments with an old timestamp that a limit has held back.
    AckSkippedPaws,
    /// `TcpExtTCPACKSkippedSynRecv`: the same of half-open connections.
    AckSkippedSynRecv,
    /// `TcpExtTCPACKSkippedTimeWait`: and in TIME-WAIT.
    AckSkippedTimeWait,
    /// `TcpExtTCPACKSkippedFinWait2`: and in FIN-WAIT-2 without owner.
    AckSkippedFinWait2,
    /// `TcpExtPAWSEstab`: segments of connections and half-open ones whose timestamp was too old.
    PawsEstab,
    /// `TcpExtPAWSOldAck`: of these, acknowledgments that reordering explains, which are not answered.
    PawsOldAck,
    /// `TcpExtTSEcrRejected`: third segments that echo no timestamp of a SYN-ACK.
    TsEcrRejected,
    /// `TcpExtPAWSActive`: answers to our SYN that echo no timestamp of ours.
    PawsActive,
    /// `TcpExtTCPDSACKOldSent`: D-SACKs about what had been acknowledged.
    DSackOldSent,
    /// `TcpExtTCPDSACKOfoSent`: and about what waits out of order.
    DSackOfoSent,
    /// `TcpExtTCPToZeroWindowAdv`: times that the window offered has become 0.
    ToZeroWindow,
    /// `TcpExtTCPFromZeroWindowAdv`: and has opened again.
    FromZeroWindow,
    /// `TcpExtTCPKeepAlive`: keepalive probes sent.
    KeepAlive,
    /// `TcpExtTCPWinProbe`: window probes sent.
    WinProbe,
    /// `TcpExtOfoPruned`: times that what waited out of order was thrown away, for want of memory.
    OfoPruned,
    /// `TcpExtDelayedACKLost`: segments that were acknowledged before.
    DelayedAckLost,
    /// `TcpExtTCPOFOQueue`: here those that wait out of order already; others are told as events.
    OfoQueue,
    /// `TcpExtTCPOFOMerge`: segments of which all waits out of order already.
    OfoMerge,
    /// `TcpExtTCPOFODrop`: segments out of order that were not kept, for want of memory.
    OfoDrop,
    /// `TcpExtTCPRcvQDrop`: segments in order that were not taken, for want of memory.
    RcvQDrop,
    /// `TcpExtTCPFastOpenActive`: SYNs whose data was taken.
    FastOpenActive,
    /// `TcpExtTCPFastOpenActiveFail`: SYNs whose data was not.
    FastOpenActiveFail,
    /// `TcpExtTCPLostRetransmit`: here SYNs, sent again and lost again; other segments are told as [`Arrived`].
    LostSyn,
    /// `TcpExtTCPAckCompressed`: acknowledgments that others have taken along.
    AckCompressed,
    /// `TcpExtOutOfWindowIcmps`: ICMP errors about nothing in flight.
    OutOfWindowIcmps,
}

impl Tally {
    /// Everything that is counted.
    pub const ALL: [Tally; 55] = [
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
        Tally::AbortOnMemory,
        Tally::AbortOnLinger,
        Tally::AbortOnTimeout,
        Tally::ChallengeAck,
        Tally::AckSkippedChallenge,
        Tally::AckSkippedPaws,
        Tally::AckSkippedSynRecv,
        Tally::AckSkippedTimeWait,
        Tally::AckSkippedFinWait2,
        Tally::PawsEstab,
        Tally::PawsOldAck,
        Tally::TsEcrRejected,
        Tally::PawsActive,
        Tally::DSackOldSent,
        Tally::DSackOfoSent,
        Tally::ToZeroWindow,
        Tally::FromZeroWindow,
        Tally::KeepAlive,
        Tally::WinProbe,
        Tally::OfoPruned,
        Tally::DelayedAckLost,
        Tally::OfoQueue,
        Tally::OfoMerge,
        Tally::OfoDrop,
        Tally::RcvQDrop,
        Tally::FastOpenActive,
        Tally::FastOpenActiveFail,
        Tally::LostSyn,
        Tally::AckCompressed,
        Tally::OutOfWindowIcmps,
    ];
}

/// What a connection has heard of its segments, and the kernel counts by segments; numbers go round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// `TcpExtTCPDelivered`: arrived, retransmissions included.
    pub segments: u32,
    /// `TcpExtTCPDeliveredCE`: of these, the ones that the peer says were marked.
    pub marked: u32,
    /// `TcpExtTCPDSACKRecvSegs`: those that D-SACKs told of.
    pub twice: u32,
    /// `TcpExtTCPLostRetransmit`: retransmissions that were lost in their turn.
    pub lost_again: u32,
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
