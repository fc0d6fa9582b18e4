use crate::endpoint::State;
use crate::tcp::TcpEvent;
use crate::wire::{Flags, Segment};

macro_rules! counters {
    ($($name:ident = $text:literal;)*) => {
        /// What a host counts, under the names that `nstat` has for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Counter {
            $($name,)*
        }

        const NAMES: &[&str] = &[$($text),*];
    };
}

counters! {
    IpInReceives = "Ip.InReceives";
    IpInAddrErrors = "Ip.InAddrErrors";
    IpInDiscards = "Ip.InDiscards";
    IpOutRequests = "Ip.OutRequests";
    IpOutNoRoutes = "Ip.OutNoRoutes";
    IcmpInMsgs = "Icmp.InMsgs";
    IcmpOutDestUnreachs = "Icmp.OutDestUnreachs";
    ActiveOpens = "Tcp.ActiveOpens";
    PassiveOpens = "Tcp.PassiveOpens";
    AttemptFails = "Tcp.AttemptFails";
    EstabResets = "Tcp.EstabResets";
    CurrEstab = "Tcp.CurrEstab";
    InSegs = "Tcp.InSegs";
    OutSegs = "Tcp.OutSegs";
    RetransSegs = "Tcp.RetransSegs";
    OutRsts = "Tcp.OutRsts";
    UdpInDatagrams = "Udp.InDatagrams";
    UdpNoPorts = "Udp.NoPorts";
    UdpOutDatagrams = "Udp.OutDatagrams";
    UdpRcvbufErrors = "Udp.RcvbufErrors";
    TimeWaits = "TcpExt.TW";
    TimeWaitOverflow = "TcpExt.TCPTimeWaitOverflow";
    ListenOverflows = "TcpExt.ListenOverflows";
    ListenDrops = "TcpExt.ListenDrops";
    ReqQFullDrop = "TcpExt.TCPReqQFullDrop";
    AbortOnData = "TcpExt.TCPAbortOnData";
    AbortOnClose = "TcpExt.TCPAbortOnClose";
    OutOfWindowIcmps = "TcpExt.OutOfWindowIcmps";
}

/// The counters of one host; those of the protocol follow from the transitions that it tells about.
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

    /// The host forgot its connections.
    pub(super) fn forget_current(&mut self) {
        self.values[Counter::CurrEstab as usize] = 0;
    }

    /// Names and values in their fixed order.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&'static str, u64)) {
        for (name, value) in NAMES.iter().zip(self.values) {
            visit(name, value);
        }
    }

    /// Counts a segment that is sent.
    pub(super) fn sent(&mut self, segment: &Segment) {
        self.add(Counter::IpOutRequests);
        self.add(if segment.has(Flags::RST) { Counter::OutRsts } else { Counter::OutSegs });
    }

    /// Counts what `event` means (RFC 4022).
    pub(super) fn note(&mut self, event: &TcpEvent) {
        let &TcpEvent::Transition { from, to, .. } = event else { return };
        let counted = |state| matches!(state, State::Established | State::CloseWait);
        match (from, to) {
            (State::Closed, State::SynSent) => self.add(Counter::ActiveOpens),
            (State::Listen, State::SynReceived) => self.add(Counter::PassiveOpens),
            (State::SynSent | State::SynReceived, State::Closed) => self.add(Counter::AttemptFails),
            (from, State::Closed) if counted(from) => self.add(Counter::EstabResets),
            (_, State::TimeWait) => self.add(Counter::TimeWaits),
            _ => {}
        }
        let current = &mut self.values[Counter::CurrEstab as usize];
        match (counted(from), counted(to)) {
            (false, true) => *current += 1,
            (true, false) => *current = current.saturating_sub(1),
            _ => {}
        }
    }
}
