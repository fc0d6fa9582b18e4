use std::fmt;

/// The eleven states of RFC 9293 3.3.2, the vocabulary of every machine that has a part in a connection.
///
/// ```text
///                               +---------+ ---------\      active OPEN
///                               |  CLOSED |            \    -----------
///                               +---------+<---------\   \   create TCB
///                                 |     ^              \   \  snd SYN
///                    passive OPEN |     |   CLOSE        \   \
///                    ------------ |     | ----------       \   \
///                                 V     |                    \   \
///             rcv RST           +---------+            CLOSE    |    \
///          /------------------->|  LISTEN |          ---------- |     |
///         |                     +---------+          delete TCB |     |
///         |           rcv SYN      |     |     SEND              |     |
///         |          -----------   |     |    -------            |     V
///    +--------+      snd SYN,ACK  /       \   snd SYN          +--------+
///    |        |<-----------------           ------------------>|        |
///    |  SYN   |                    rcv SYN                     |  SYN   |
///    |  RCVD  |<-----------------------------------------------|  SENT  |
///    |        |                  snd SYN,ACK                   |        |
///    |        |------------------           -------------------|        |
///    +--------+   rcv ACK of SYN  \       /  rcv SYN,ACK       +--------+
///         |         --------------   |     |   -----------
///         |                x         |     |     snd ACK
///         |                          V     V
///         |  CLOSE                 +---------+
///         | -------                |  ESTAB  |
///         | snd FIN                +---------+
///         |                 CLOSE    |     |    rcv FIN
///         V                -------   |     |    -------
///    +---------+           snd FIN  /       \   snd ACK         +---------+
///    |  FIN    |<-----------------           ------------------>|  CLOSE  |
///    | WAIT-1  |------------------                              |  WAIT   |
///    +---------+          rcv FIN  \                            +---------+
///      | rcv ACK of FIN   -------   |                            CLOSE  |
///      | --------------   snd ACK   |                           ------- |
///      V        x                   V                           snd FIN V
///    +---------+               +---------+                      +---------+
///    |FINWAIT-2|               | CLOSING |                      | LAST-ACK|
///    +---------+               +---------+                      +---------+
///      |              rcv ACK of FIN |                 rcv ACK of FIN |
///      |  rcv FIN     -------------- |    Timeout=2MSL -------------- |
///      |  -------            x       V    ------------        x       V
///       \ snd ACK              +---------+delete TCB          +---------+
///         -------------------->|TIME-WAIT|------------------->| CLOSED  |
///                              +---------+                    +---------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for any remote SYN. A listener is not a connection; this names the row `netstat` shows.
    Listen,
    /// SYN sent, none received.
    SynSent,
    /// SYN received and sent, ours not acknowledged.
    SynReceived,
    /// Open both ways.
    Established,
    /// We closed; our FIN is not acknowledged, theirs has not come.
    FinWait1,
    /// We closed; our FIN is acknowledged, theirs has not come.
    FinWait2,
    /// They closed; we have not.
    CloseWait,
    /// Both closed at once; our FIN is not acknowledged.
    Closing,
    /// They closed, then we; our FIN is not acknowledged.
    LastAck,
    /// Both closed, we first; old segments may still come.
    TimeWait,
}

impl State {
    /// All eleven, in the order of their lives.
    pub const ALL: [State; 11] = [
        State::Closed,
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// The name in RFC 9293: `SYN-SENT`.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// The name in `netstat`: `SYN_RECV`.
    pub const fn netstat_name(self) -> &'static str {
        match self {
            State::Closed => "CLOSE",
            State::Listen => "LISTEN",
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECV",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT1",
            State::FinWait2 => "FIN_WAIT2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
        }
    }

    /// The name in `ss`: `SYN-RECV`.
    pub const fn ss_name(self) -> &'static str {
        match self {
            State::Closed => "UNCONN",
            State::SynReceived => "SYN-RECV",
            State::Established => "ESTAB",
            state => state.name(),
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the handshake is over (RFC 9293 3.5.1: a synchronized state other than SYN-RECEIVED).
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
