use super::State;
use crate::time::Span;

/// What `getsockopt(TCP_INFO)` tells about a connection, as far as the host knows it.
///
/// Each field names the one of Linux's `struct tcp_info` that it corresponds to. Times are exact where the kernel
/// rounds to microseconds or milliseconds, and **sizes are bytes where the kernel counts segments** (`snd_cwnd`,
/// `snd_ssthresh`, `unacked`): divide by [`TcpInfo::snd_mss`] to compare. What is not known yet is `None`, where the
/// kernel has a 0 or a number that means so.
///
/// Not there: `tcpi_ato`, `tcpi_rcv_ssthresh`, `tcpi_rcv_rtt`, `tcpi_rcv_space` (the receiver's estimates),
/// `tcpi_pacing_rate`, `tcpi_max_pacing_rate`, `tcpi_delivery_rate` and its flag (nothing is paced),
/// `tcpi_total_rto_recoveries`, `tcpi_total_rto_time`, `tcpi_fastopen_client_fail`, `tcpi_rehash`, and `tcpi_fackets` and
/// `tcpi_last_ack_sent`, which the kernel leaves at 0 itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// `tcpi_state`. CLOSED also for a socket that never connected.
    pub state: State,
    /// `tcpi_ca_state`: what the sender is doing about losses.
    pub ca_state: CaState,
    /// `tcpi_retransmits`: timeouts in a row without an answer.
    pub retransmits: u8,
    /// `tcpi_probes`: keepalive or window probes that nothing has answered.
    pub probes: u8,
    /// `tcpi_backoff`: how many times the RTO is doubled now.
    pub backoff: u8,
    /// `tcpi_options` & `TCPI_OPT_TIMESTAMPS`: both ends send timestamps.
    pub timestamps: bool,
    /// `tcpi_options` & `TCPI_OPT_SACK`: both ends permit selective acknowledgments.
    pub sack: bool,
    /// `tcpi_options` & `TCPI_OPT_WSCALE`: both ends scale their windows, if only by 0.
    pub window_scaling: bool,
    /// `tcpi_options` & `TCPI_OPT_ECN`: both ends know ECN.
    pub ecn: bool,
    /// `tcpi_options` & `TCPI_OPT_SYN_DATA`: data in a SYN has been taken (RFC 7413).
    pub syn_data: bool,
    /// `tcpi_snd_wscale`: the peer's windows are shifted left by this.
    pub snd_wscale: u8,
    /// `tcpi_rcv_wscale`: our windows are shifted left by this.
    pub rcv_wscale: u8,
    /// `tcpi_rto` (µs there): the retransmission timeout, backed off.
    pub rto: Span,
    /// `tcpi_rtt` (µs there): the smoothed round-trip time; none before the first measurement.
    pub rtt: Option<Span>,
    /// `tcpi_rttvar` (µs there): its variation (RFC 6298).
    pub rttvar: Option<Span>,
    /// `tcpi_snd_mss`: bytes that a segment to the peer carries at most.
    pub snd_mss: u32,
    /// `tcpi_rcv_mss`: the longest segment the peer has sent, in bytes of data.
    pub rcv_mss: u32,
    /// `tcpi_advmss`: the MSS that we announced.
    pub advmss: u32,
    /// `tcpi_pmtu`: the MTU of the path, as far as it is known.
    pub pmtu: u32,
    /// `tcpi_snd_cwnd` in bytes (segments there): the congestion window.
    pub snd_cwnd: u32,
    /// `tcpi_snd_ssthresh` in bytes (segments there); none before the first loss (2147483647 there).
    pub snd_ssthresh: Option<u32>,
    /// `tcpi_unacked` in bytes (segments there): sent and not acknowledged. For a listener, as on Linux: connections
    /// that wait for `accept`.
    pub unacked: u32,
    /// `tcpi_sacked`: for a listener, as on Linux, its backlog; 0 otherwise.
    pub sacked: u32,
    /// `tcpi_notsent_bytes`: written and not sent.
    pub notsent_bytes: u32,
    /// `tcpi_snd_wnd`: the window that the peer offers, in bytes.
    pub snd_wnd: u32,
    /// `tcpi_rcv_wnd`: the window that we offer, in bytes.
    pub rcv_wnd: u32,
    /// `tcpi_total_retrans`: segments with data, SYN or FIN that were sent again, in its whole life.
    pub total_retrans: u32,
    /// `tcpi_segs_out`: segments sent, pure acknowledgments and those sent again included.
    pub segs_out: u32,
    /// `tcpi_segs_in`: segments that came for it, whatever became of them.
    pub segs_in: u32,
    /// `tcpi_data_segs_out`: those sent that had data.
    pub data_segs_out: u32,
    /// `tcpi_data_segs_in`: those that came with data.
    pub data_segs_in: u32,
    /// `tcpi_bytes_sent`: data sent, what was sent again included.
    pub bytes_sent: u64,
    /// `tcpi_bytes_retrans`: how much of it was sent again.
    pub bytes_retrans: u64,
    /// `tcpi_bytes_acked`: acknowledged by the peer; the FIN counts, and so does the SYN of who connects.
    pub bytes_acked: u64,
    /// `tcpi_bytes_received`: in order, whether read or not; the FIN counts.
    pub bytes_received: u64,
    /// `tcpi_rcv_ooopack`: segments that came out of order.
    pub rcv_ooopack: u32,
    /// `tcpi_total_rto`: retransmission timeouts in its whole life, those of the handshake included.
    pub total_rto: u16,
    /// The same and more in segments, where the endpoint counts them.
    pub segments: Option<SegmentCounts>,
    /// `tcpi_last_data_sent` (ms there): since something new left, or else since the connection was made.
    pub last_data_sent: Option<Span>,
    /// `tcpi_last_data_recv` (ms there): since new data, or the peer's FIN, came in order, or else since the connection
    /// was made.
    pub last_data_recv: Option<Span>,
    /// `tcpi_last_ack_recv` (ms there): since the peer's last segment that lay in the window.
    pub last_ack_recv: Option<Span>,
}

/// What a sender that goes by segments knows, in the units of Linux's `struct tcp_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentCounts {
    /// `tcpi_snd_cwnd`.
    pub snd_cwnd: u32,
    /// `tcpi_snd_ssthresh`: 2147483647 before the first loss.
    pub snd_ssthresh: u32,
    /// `tcpi_unacked`.
    pub unacked: u32,
    /// `tcpi_sacked`; without SACK, duplicate acknowledgments.
    pub sacked: u32,
    /// `tcpi_lost`.
    pub lost: u32,
    /// `tcpi_retrans`: retransmissions in flight.
    pub retrans: u32,
    /// `tcpi_reordering`.
    pub reordering: u32,
    /// `tcpi_reord_seen`.
    pub reord_seen: u32,
    /// `tcpi_delivered`: arrived, retransmissions included.
    pub delivered: u32,
    /// `tcpi_delivered_ce`: of these, the ones that the peer says were marked.
    pub delivered_ce: u32,
    /// `tcpi_dsack_dups`: segments that D-SACKs told of.
    pub dsack_dups: u32,
    /// `tcpi_min_rtt` (µs there); none before the first measurement.
    pub min_rtt: Option<Span>,
    /// `tcpi_busy_time` (µs there): how long something was unacknowledged.
    pub busy_time: Span,
    /// `tcpi_rwnd_limited`: how much of it the peer's window was what held back.
    pub rwnd_limited: Span,
    /// `tcpi_sndbuf_limited`: and the send buffer.
    pub sndbuf_limited: Span,
}

/// `tcpi_ca_state` under the names that `ss -i` and the kernel have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaState {
    /// `TCP_CA_Open`: nothing looks lost.
    Open,
    /// `TCP_CA_Disorder`: duplicate acknowledgments, too few to act.
    Disorder,
    /// `TCP_CA_CWR`: the window shrinks since the network marked congestion, and nothing is lost.
    Cwr,
    /// `TCP_CA_Recovery`: fast recovery.
    Recovery,
    /// `TCP_CA_Loss`: after a timeout.
    Loss,
}

impl TcpInfo {
    /// A socket without a connection.
    pub const CLOSED: TcpInfo = TcpInfo {
        state: State::Closed,
        ca_state: CaState::Open,
        retransmits: 0,
        probes: 0,
        backoff: 0,
        timestamps: false,
        sack: false,
        window_scaling: false,
        ecn: false,
        syn_data: false,
        snd_wscale: 0,
        rcv_wscale: 0,
        rto: Span::ZERO,
        rtt: None,
        rttvar: None,
        snd_mss: 0,
        rcv_mss: 0,
        advmss: 0,
        pmtu: 0,
        snd_cwnd: 0,
        snd_ssthresh: None,
        unacked: 0,
        sacked: 0,
        notsent_bytes: 0,
        snd_wnd: 0,
        rcv_wnd: 0,
        total_retrans: 0,
        segs_out: 0,
        segs_in: 0,
        data_segs_out: 0,
        data_segs_in: 0,
        bytes_sent: 0,
        bytes_retrans: 0,
        bytes_acked: 0,
        bytes_received: 0,
        rcv_ooopack: 0,
        total_rto: 0,
        segments: None,
        last_data_sent: None,
        last_data_recv: None,
        last_ack_recv: None,
    };
}
