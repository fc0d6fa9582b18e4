use crate::endpoint::{Arrival, DropReason, State};
use crate::tcp::{Limits, Tally, TcpEvent};
use crate::wire::{Flags, Segment};

macro_rules! counters {
    ($($name:ident = $text:literal;)*) => {
        /// What a host counts, under the names that `nstat` has for it: `Tcp.InSegs` is its `TcpInSegs`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Counter {
            $($name,)*
        }

        const NAMES: &[&str] = &[$($text),*];
    };
}

counters! {
    IpInReceives = "Ip.InReceives";
    IpInHdrErrors = "Ip.InHdrErrors";
    IpInAddrErrors = "Ip.InAddrErrors";
    IpInUnknownProtos = "Ip.InUnknownProtos";
    IpInDiscards = "Ip.InDiscards";
    IpInDelivers = "Ip.InDelivers";
    IpOutRequests = "Ip.OutRequests";
    IpOutNoRoutes = "Ip.OutNoRoutes";
    IcmpInMsgs = "Icmp.InMsgs";
    IcmpInErrors = "Icmp.InErrors";
    IcmpInCsumErrors = "Icmp.InCsumErrors";
    IcmpOutDestUnreachs = "Icmp.OutDestUnreachs";
    ActiveOpens = "Tcp.ActiveOpens";
    PassiveOpens = "Tcp.PassiveOpens";
    AttemptFails = "Tcp.AttemptFails";
    EstabResets = "Tcp.EstabResets";
    CurrEstab = "Tcp.CurrEstab";
    InSegs = "Tcp.InSegs";
    OutSegs = "Tcp.OutSegs";
    RetransSegs = "Tcp.RetransSegs";
    InErrs = "Tcp.InErrs";
    OutRsts = "Tcp.OutRsts";
    InCsumErrors = "Tcp.InCsumErrors";
    UdpInDatagrams = "Udp.InDatagrams";
    UdpNoPorts = "Udp.NoPorts";
    UdpInErrors = "Udp.InErrors";
    UdpOutDatagrams = "Udp.OutDatagrams";
    UdpRcvbufErrors = "Udp.RcvbufErrors";
    UdpInCsumErrors = "Udp.InCsumErrors";
    SyncookiesSent = "TcpExt.SyncookiesSent";
    SyncookiesRecv = "TcpExt.SyncookiesRecv";
    SyncookiesFailed = "TcpExt.SyncookiesFailed";
    EmbryonicRsts = "TcpExt.EmbryonicRsts";
    OfoPruned = "TcpExt.OfoPruned";
    OutOfWindowIcmps = "TcpExt.OutOfWindowIcmps";
    TimeWaits = "TcpExt.TW";
    TimeWaitsRecycled = "TcpExt.TWRecycled";
    TimeWaitsKilled = "TcpExt.TWKilled";
    PawsActive = "TcpExt.PAWSActive";
    PawsEstab = "TcpExt.PAWSEstab";
    PawsOldAck = "TcpExt.PAWSOldAck";
    TsEcrRejected = "TcpExt.TSEcrRejected";
    PawsTimeWait = "TcpExt.PAWSTimewait";
    DelayedAcks = "TcpExt.DelayedACKs";
    DelayedAckLost = "TcpExt.DelayedACKLost";
    ListenOverflows = "TcpExt.ListenOverflows";
    ListenDrops = "TcpExt.ListenDrops";
    RenoRecovery = "TcpExt.TCPRenoRecovery";
    SackRecovery = "TcpExt.TCPSackRecovery";
    SackReneging = "TcpExt.TCPSACKReneging";
    SackReorder = "TcpExt.TCPSACKReorder";
    RenoReorder = "TcpExt.TCPRenoReorder";
    TsReorder = "TcpExt.TCPTSReorder";
    SackDiscard = "TcpExt.TCPSACKDiscard";
    FullUndo = "TcpExt.TCPFullUndo";
    PartialUndo = "TcpExt.TCPPartialUndo";
    DSackUndo = "TcpExt.TCPDSACKUndo";
    LossUndo = "TcpExt.TCPLossUndo";
    SpuriousRto = "TcpExt.TCPSpuriousRTOs";
    DSackOldSent = "TcpExt.TCPDSACKOldSent";
    DSackOfoSent = "TcpExt.TCPDSACKOfoSent";
    DSackRecv = "TcpExt.TCPDSACKRecv";
    DSackOfoRecv = "TcpExt.TCPDSACKOfoRecv";
    DSackIgnoredOld = "TcpExt.TCPDSACKIgnoredOld";
    DSackIgnoredNoUndo = "TcpExt.TCPDSACKIgnoredNoUndo";
    DSackIgnoredDubious = "TcpExt.TCPDSACKIgnoredDubious";
    LossProbeRecovery = "TcpExt.TCPLossProbeRecovery";
    FastRetrans = "TcpExt.TCPFastRetrans";
    SlowStartRetrans = "TcpExt.TCPSlowStartRetrans";
    Timeouts = "TcpExt.TCPTimeouts";
    LossProbes = "TcpExt.TCPLossProbes";
    AbortOnData = "TcpExt.TCPAbortOnData";
    AbortOnClose = "TcpExt.TCPAbortOnClose";
    AbortOnMemory = "TcpExt.TCPAbortOnMemory";
    AbortOnTimeout = "TcpExt.TCPAbortOnTimeout";
    AbortOnLinger = "TcpExt.TCPAbortOnLinger";
    MemoryPressures = "TcpExt.TCPMemoryPressures";
    DeferAcceptDrop = "TcpExt.TCPDeferAcceptDrop";
    ReqQFullDoCookies = "TcpExt.TCPReqQFullDoCookies";
    ReqQFullDrop = "TcpExt.TCPReqQFullDrop";
    TimeWaitOverflow = "TcpExt.TCPTimeWaitOverflow";
    RcvQDrop = "TcpExt.TCPRcvQDrop";
    OfoQueue = "TcpExt.TCPOFOQueue";
    OfoMerge = "TcpExt.TCPOFOMerge";
    OfoDrop = "TcpExt.TCPOFODrop";
    FastOpenActive = "TcpExt.TCPFastOpenActive";
    FastOpenActiveFail = "TcpExt.TCPFastOpenActiveFail";
    FastOpenPassive = "TcpExt.TCPFastOpenPassive";
    FastOpenPassiveFail = "TcpExt.TCPFastOpenPassiveFail";
    FastOpenListenOverflow = "TcpExt.TCPFastOpenListenOverflow";
    FastOpenCookieReqd = "TcpExt.TCPFastOpenCookieReqd";
    FastOpenPassiveAltKey = "TcpExt.TCPFastOpenPassiveAltKey";
    FromZeroWindow = "TcpExt.TCPFromZeroWindowAdv";
    ToZeroWindow = "TcpExt.TCPToZeroWindowAdv";
    ChallengeAck = "TcpExt.TCPChallengeACK";
    SynChallenge = "TcpExt.TCPSYNChallenge";
    OrigDataSent = "TcpExt.TCPOrigDataSent";
    SynRetrans = "TcpExt.TCPSynRetrans";
    Delivered = "TcpExt.TCPDelivered";
    DeliveredCe = "TcpExt.TCPDeliveredCE";
    LostRetransmit = "TcpExt.TCPLostRetransmit";
    DSackRecvSegs = "TcpExt.TCPDSACKRecvSegs";
    AckCompressed = "TcpExt.TCPAckCompressed";
    AckSkippedSynRecv = "TcpExt.TCPACKSkippedSynRecv";
    AckSkippedPaws = "TcpExt.TCPACKSkippedPAWS";
    AckSkippedTimeWait = "TcpExt.TCPACKSkippedTimeWait";
    AckSkippedFinWait2 = "TcpExt.TCPACKSkippedFinWait2";
    AckSkippedSeq = "TcpExt.TCPACKSkippedSeq";
    AckSkippedChallenge = "TcpExt.TCPACKSkippedChallenge";
    WinProbe = "TcpExt.TCPWinProbe";
    KeepAlive = "TcpExt.TCPKeepAlive";
    ZeroWindowDrop = "TcpExt.TCPZeroWindowDrop";
}

/// Which machine an event comes from: the kernel counts the same event of the three differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    /// A whole connection.
    Conn,
    /// A half-open one.
    Half,
    /// What is left of one, in this state.
    Left(State),
}

/// The counters of one host; those of the protocol follow from what it tells.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    values: [u64; NAMES.len()],
}

impl Counters {
    pub(super) fn new() -> Counters {
        Counters { values: [0; NAMES.len()] }
    }

    pub(super) fn add(&mut self, counter: Counter) {
        self.values[counter as usize] += 1;
    }

    pub(super) fn add_many(&mut self, counter: Counter, n: u32) {
        self.values[counter as usize] += u64::from(n);
    }

    /// The host forgot its connections.
    pub(super) fn forget_current(&mut self) {
        self.values[Counter::CurrEstab as usize] = 0;
    }

    /// Names and values in their fixed order, with what the machines have counted.
    pub(super) fn visit(&self, limits: &Limits, visit: &mut dyn FnMut(&'static str, u64)) {
        let mut values = self.values;
        for tally in Tally::ALL {
            values[of(tally) as usize] += limits.tally(tally);
        }
        for (name, value) in NAMES.iter().zip(values) {
            visit(name, value);
        }
    }

    /// Counts a segment that is sent, and is not sent again. As in the kernel, a reset is one of them too.
    pub(super) fn sent(&mut self, segment: &Segment) {
        self.add(Counter::IpOutRequests);
        self.add(Counter::OutSegs);
        if segment.has(Flags::RST) {
            self.add(Counter::OutRsts);
        }
    }

    /// Counts data or FIN that a connection sends for the first time.
    pub(super) fn sent_new(&mut self, segment: &Segment) {
        if !segment.has(Flags::SYN) || !segment.payload.is_empty() {
            self.add(Counter::OrigDataSent);
        }
    }

    /// Counts a segment that a connection sends again: RFC 4022 has no place for it among `OutSegs`. `early`: its SYN-ACK is
    /// that of a half-open one.
    #[inline(never)]
    pub(super) fn sent_again(&mut self, segment: &Segment, early: bool) {
        if early && segment.flags.contains(Flags::SYN | Flags::ACK) {
            self.sent(segment);
            return self.syn_ack_again();
        }
        self.add(Counter::IpOutRequests);
        self.add(Counter::RetransSegs);
        if segment.has(Flags::SYN) {
            self.add(Counter::SynRetrans);
        }
    }

    /// Counts a SYN-ACK of a half-open connection that is sent again: one of `OutSegs` to the kernel, which makes it
    /// anew every time.
    pub(super) fn syn_ack_again(&mut self) {
        self.add(Counter::RetransSegs);
        self.add(Counter::SynRetrans);
    }

    /// Counts what `event` of `machine` means: transitions as RFC 4022 has them but for passive opens, which the kernel
    /// counts where they are complete, and for half-open connections that time out, which it does not count as failed.
    pub(super) fn note(&mut self, event: &TcpEvent, machine: Machine) {
        match *event {
            TcpEvent::Transition { from, to, error, .. } => self.transition((from, to), error.is_some(), machine),
            TcpEvent::Arrival(arrival) => self.arrival(arrival, machine),
            TcpEvent::Timer { .. } | TcpEvent::Cwnd { .. } => {}
        }
    }

    fn transition(&mut self, (from, to): (State, State), failed: bool, machine: Machine) {
        let counted = |state| matches!(state, State::Established | State::CloseWait);
        match (from, to) {
            (State::Closed, State::SynSent) => self.add(Counter::ActiveOpens),
            // tcp_done(): an attempt that its own user gives up has not failed.
            (State::SynSent | State::SynReceived, State::Closed) if machine == Machine::Conn && failed => {
                self.add(Counter::AttemptFails);
            }
            (from, State::Closed) if counted(from) => self.add(Counter::EstabResets),
            _ => {}
        }
        let current = &mut self.values[Counter::CurrEstab as usize];
        match (counted(from), counted(to)) {
            (false, true) => *current += 1,
            (true, false) => *current = current.saturating_sub(1),
            _ => {}
        }
    }

    fn arrival(&mut self, arrival: Arrival, machine: Machine) {
        let counter = match (arrival, machine) {
            (Arrival::OutOfOrder, Machine::Conn) => Counter::OfoQueue,
            (Arrival::Dropped(DropReason::Paws), Machine::Left(State::TimeWait)) => Counter::PawsTimeWait,
            (Arrival::Dropped(DropReason::Deferred), _) => Counter::DeferAcceptDrop,
            (Arrival::Dropped(DropReason::SynChallenged), Machine::Conn) => Counter::SynChallenge,
            (Arrival::Dropped(DropReason::BufferFull), Machine::Conn) => Counter::ZeroWindowDrop,
            (Arrival::Dropped(DropReason::OutOfWindowUnanswered), machine) => match machine {
                Machine::Half => Counter::AckSkippedSynRecv,
                Machine::Left(State::TimeWait) => Counter::AckSkippedTimeWait,
                Machine::Left(_) => Counter::AckSkippedFinWait2,
                _ => Counter::AckSkippedSeq,
            },
            _ => return,
        };
        self.add(counter);
    }
}

/// Under which name a tally is shown.
fn of(tally: Tally) -> Counter {
    match tally {
        Tally::InErrs => Counter::InErrs,
        Tally::DelayedAcks => Counter::DelayedAcks,
        Tally::RenoRecovery => Counter::RenoRecovery,
        Tally::SackRecovery => Counter::SackRecovery,
        Tally::SackReneging => Counter::SackReneging,
        Tally::SackReorder => Counter::SackReorder,
        Tally::RenoReorder => Counter::RenoReorder,
        Tally::TsReorder => Counter::TsReorder,
        Tally::SackDiscard => Counter::SackDiscard,
        Tally::FullUndo => Counter::FullUndo,
        Tally::PartialUndo => Counter::PartialUndo,
        Tally::DSackUndo => Counter::DSackUndo,
        Tally::LossUndo => Counter::LossUndo,
        Tally::SpuriousRto => Counter::SpuriousRto,
        Tally::DSackRecv => Counter::DSackRecv,
        Tally::DSackOfoRecv => Counter::DSackOfoRecv,
        Tally::DSackIgnoredOld => Counter::DSackIgnoredOld,
        Tally::DSackIgnoredNoUndo => Counter::DSackIgnoredNoUndo,
        Tally::DSackIgnoredDubious => Counter::DSackIgnoredDubious,
        Tally::LossProbeRecovery => Counter::LossProbeRecovery,
        Tally::FastRetrans => Counter::FastRetrans,
        Tally::SlowStartRetrans => Counter::SlowStartRetrans,
        Tally::Timeouts => Counter::Timeouts,
        Tally::LossProbe => Counter::LossProbes,
        Tally::AbortOnData => Counter::AbortOnData,
        Tally::AbortOnMemory => Counter::AbortOnMemory,
        Tally::AbortOnLinger => Counter::AbortOnLinger,
        Tally::AbortOnTimeout => Counter::AbortOnTimeout,
        Tally::ChallengeAck => Counter::ChallengeAck,
        Tally::AckSkippedChallenge => Counter::AckSkippedChallenge,
        Tally::AckSkippedPaws => Counter::AckSkippedPaws,
        Tally::AckSkippedSynRecv => Counter::AckSkippedSynRecv,
        Tally::AckSkippedTimeWait => Counter::AckSkippedTimeWait,
        Tally::AckSkippedFinWait2 => Counter::AckSkippedFinWait2,
        Tally::PawsEstab => Counter::PawsEstab,
        Tally::PawsOldAck => Counter::PawsOldAck,
        Tally::TsEcrRejected => Counter::TsEcrRejected,
        Tally::PawsActive => Counter::PawsActive,
        Tally::DSackOldSent => Counter::DSackOldSent,
        Tally::DSackOfoSent => Counter::DSackOfoSent,
        Tally::ToZeroWindow => Counter::ToZeroWindow,
        Tally::FromZeroWindow => Counter::FromZeroWindow,
        Tally::KeepAlive => Counter::KeepAlive,
        Tally::WinProbe => Counter::WinProbe,
        Tally::OfoPruned => Counter::OfoPruned,
        Tally::DelayedAckLost => Counter::DelayedAckLost,
        Tally::OfoQueue => Counter::OfoQueue,
        Tally::OfoMerge => Counter::OfoMerge,
        Tally::OfoDrop => Counter::OfoDrop,
        Tally::RcvQDrop => Counter::RcvQDrop,
        Tally::FastOpenActive => Counter::FastOpenActive,
        Tally::FastOpenActiveFail => Counter::FastOpenActiveFail,
        Tally::LostSyn => Counter::LostRetransmit,
        Tally::AckCompressed => Counter::AckCompressed,
        Tally::OutOfWindowIcmps => Counter::OutOfWindowIcmps,
    }
}
