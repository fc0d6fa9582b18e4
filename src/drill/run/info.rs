//! `struct tcp_info` as snippets see it. The one place that knows which of our fields is which of the kernel's.

use crate::endpoint::{CaState, State, TcpInfo};
use crate::time::Span;

/// Symbols that snippets may use.
pub(super) const SYMBOLS: [(&str, i64); 35] = [
    ("TCP_ESTABLISHED", 1),
    ("TCP_SYN_SENT", 2),
    ("TCP_SYN_RECV", 3),
    ("TCP_FIN_WAIT1", 4),
    ("TCP_FIN_WAIT2", 5),
    ("TCP_TIME_WAIT", 6),
    ("TCP_CLOSE", 7),
    ("TCP_CLOSE_WAIT", 8),
    ("TCP_LAST_ACK", 9),
    ("TCP_LISTEN", 10),
    ("TCP_CLOSING", 11),
    // What the tool calls the same states on every platform.
    ("TCPI_ESTABLISHED", 1),
    ("TCPI_SYN_SENT", 2),
    ("TCPI_SYN_RECEIVED", 3),
    ("TCPI_FIN_WAIT_1", 4),
    ("TCPI_FIN_WAIT_2", 5),
    ("TCPI_TIME_WAIT", 6),
    ("TCPI_CLOSED", 7),
    ("TCPI_CLOSE_WAIT", 8),
    ("TCPI_LAST_ACK", 9),
    ("TCPI_LISTEN", 10),
    ("TCPI_CLOSING", 11),
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", TIMESTAMPS),
    ("TCPI_OPT_SACK", SACK),
    ("TCPI_OPT_WSCALE", WSCALE),
    ("TCPI_OPT_ECN", ECN),
    ("TCPI_OPT_ECN_SEEN", 16),
    ("TCPI_OPT_SYN_DATA", SYN_DATA),
    ("TCPI_OPT_USEC_TS", 64),
    ("TCPI_OPT_TFO_CHILD", 128),
];

const TIMESTAMPS: i64 = 1;
const SACK: i64 = 2;
const WSCALE: i64 = 4;
const ECN: i64 = 8;
const SYN_DATA: i64 = 32;
/// `TCP_INFINITE_SSTHRESH`.
const INFINITE: i64 = 0x7fff_ffff;

/// The fields that the endpoint tells, under the kernel's names and in the kernel's units.
pub(super) fn fields(info: &TcpInfo) -> Vec<(&'static str, i64)> {
    let millis = |span: Option<Span>| span.map_or(0, |span| number(span.as_millis()));
    let micros = |span: Span| number(span.as_nanos() / 1_000);
    let options = if info.timestamps { TIMESTAMPS } else { 0 }
        | if info.syn_data { SYN_DATA } else { 0 }
        | if info.sack { SACK } else { 0 }
        | if info.window_scaling { WSCALE } else { 0 }
        | if info.ecn { ECN } else { 0 };
    let mut fields = vec![
        ("tcpi_state", state(info.state)),
        ("tcpi_ca_state", ca_state(info.ca_state)),
        ("tcpi_retransmits", info.retransmits.into()),
        ("tcpi_probes", info.probes.into()),
        ("tcpi_backoff", info.backoff.into()),
        ("tcpi_options", options),
        ("tcpi_snd_wscale", info.snd_wscale.into()),
        ("tcpi_rcv_wscale", info.rcv_wscale.into()),
        ("tcpi_rto", micros(info.rto)),
        ("tcpi_rtt", info.rtt.map_or(0, micros)),
        ("tcpi_rttvar", info.rttvar.map_or(0, micros)),
        ("tcpi_snd_mss", info.snd_mss.into()),
        ("tcpi_rcv_mss", info.rcv_mss.into()),
        ("tcpi_advmss", info.advmss.into()),
        ("tcpi_pmtu", info.pmtu.into()),
        ("tcpi_notsent_bytes", info.notsent_bytes.into()),
        ("tcpi_snd_wnd", info.snd_wnd.into()),
        ("tcpi_rcv_wnd", info.rcv_wnd.into()),
        ("tcpi_total_retrans", info.total_retrans.into()),
        ("tcpi_segs_out", info.segs_out.into()),
        ("tcpi_segs_in", info.segs_in.into()),
        ("tcpi_data_segs_out", info.data_segs_out.into()),
        ("tcpi_data_segs_in", info.data_segs_in.into()),
        ("tcpi_bytes_sent", number(info.bytes_sent)),
        ("tcpi_bytes_retrans", number(info.bytes_retrans)),
        ("tcpi_bytes_acked", number(info.bytes_acked)),
        ("tcpi_bytes_received", number(info.bytes_received)),
        ("tcpi_rcv_ooopack", info.rcv_ooopack.into()),
        ("tcpi_total_rto", info.total_rto.into()),
        ("tcpi_last_data_sent", millis(info.last_data_sent)),
        ("tcpi_last_data_recv", millis(info.last_data_recv)),
        ("tcpi_last_ack_recv", millis(info.last_ack_recv)),
    ];
    fields.extend(counts(info));
    fields
}

/// What the kernel counts in segments.
fn counts(info: &TcpInfo) -> Vec<(&'static str, i64)> {
    let micros = |span: Span| number(span.as_nanos() / 1_000);
    let Some(counts) = info.segments else {
        let unacked = if info.state == State::Listen { info.unacked.into() } else { parts(info.unacked, info) };
        return vec![
            ("tcpi_snd_cwnd", segments(info.snd_cwnd, info)),
            ("tcpi_snd_ssthresh", info.snd_ssthresh.map_or(INFINITE, |bytes| segments(bytes, info))),
            ("tcpi_unacked", unacked),
        ];
    };
    vec![
        ("tcpi_snd_cwnd", counts.snd_cwnd.into()),
        ("tcpi_snd_ssthresh", counts.snd_ssthresh.into()),
        ("tcpi_unacked", counts.unacked.into()),
        ("tcpi_sacked", counts.sacked.into()),
        ("tcpi_lost", counts.lost.into()),
        ("tcpi_retrans", counts.retrans.into()),
        ("tcpi_reordering", counts.reordering.into()),
        ("tcpi_reord_seen", counts.reord_seen.into()),
        ("tcpi_delivered", counts.delivered.into()),
        ("tcpi_delivered_ce", counts.delivered_ce.into()),
        ("tcpi_dsack_dups", counts.dsack_dups.into()),
        ("tcpi_min_rtt", counts.min_rtt.map_or(i64::from(u32::MAX), micros)),
        ("tcpi_busy_time", micros(counts.busy_time)),
        ("tcpi_rwnd_limited", micros(counts.rwnd_limited)),
        ("tcpi_sndbuf_limited", micros(counts.sndbuf_limited)),
    ]
}

/// Whole segments in so many bytes.
fn segments(bytes: u32, info: &TcpInfo) -> i64 {
    i64::from(bytes / info.snd_mss.max(1))
}

/// Segments that hold so many bytes.
fn parts(bytes: u32, info: &TcpInfo) -> i64 {
    i64::from(bytes.div_ceil(info.snd_mss.max(1)))
}

fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn state(state: State) -> i64 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

fn ca_state(state: CaState) -> i64 {
    match state {
        CaState::Open => 0,
        CaState::Disorder => 1,
        CaState::Cwr => 2,
        CaState::Recovery => 3,
        CaState::Loss => 4,
    }
}
