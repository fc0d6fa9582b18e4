//! Sysctls that scripts set and an endpoint need not have.

/// Whose names for things a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux.
    Linux,
    /// FreeBSD.
    FreeBsd,
    /// Windows.
    Windows,
    /// What the RFCs say.
    Standard,
}

impl Platform {
    /// The platform of a profile, by the profile's name.
    pub fn of_profile(name: &str) -> Platform {
        match name {
            "linux" => Platform::Linux,
            "freebsd" => Platform::FreeBsd,
            "windows" => Platform::Windows,
            _ => Platform::Standard,
        }
    }

    /// The name that `#ifdef` asks for.
    pub const fn name(self) -> &'static str {
        match self {
            Platform::Linux => "Linux",
            Platform::FreeBsd => "FreeBSD",
            Platform::Windows => "Windows",
            Platform::Standard => "STANDARD",
        }
    }
}

/// What `defaults.sh` of the suites sets: the values that a large operator of Linux uses.
pub(super) const PRESET: [(&str, &str); 21] = [
    ("net.ipv4.tcp_rmem", "4096 540000 15728640"),
    ("net.ipv4.tcp_wmem", "4096 262144 4194304"),
    ("net.ipv4.tcp_timestamps", "1"),
    ("net.ipv4.tcp_syn_retries", "5"),
    ("net.ipv4.tcp_synack_retries", "5"),
    ("net.ipv4.tcp_frto", "2"),
    ("net.ipv4.tcp_sack", "1"),
    ("net.ipv4.tcp_dsack", "1"),
    ("net.ipv4.tcp_reordering", "3"),
    ("net.ipv4.tcp_congestion_control", "cubic"),
    ("net.ipv4.tcp_slow_start_after_idle", "0"),
    ("net.ipv4.tcp_early_retrans", "4"),
    ("net.ipv4.tcp_recovery", "1"),
    ("net.ipv4.tcp_tso_win_divisor", "3"),
    ("net.ipv4.tcp_ecn", "0"),
    ("net.ipv4.tcp_pacing_ss_ratio", "200"),
    ("net.ipv4.tcp_pacing_ca_ratio", "120"),
    ("net.ipv4.tcp_notsent_lowat", "4294967295"),
    ("net.ipv4.tcp_fastopen", "459779"),
    ("net.ipv4.tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"),
    ("net.ipv4.tcp_syncookies", "1"),
];

/// Sysctls of Linux that a host without segmentation offload, pacing and memory accounting does not need: they decide
/// how data is packed on its way to the wire, not what is on the wire.
const WITHOUT_EFFECT: [&str; 6] = [
    "net.ipv4.tcp_tso_rtt_log",
    "net.ipv4.tcp_pacing_ss_ratio",
    "net.ipv4.tcp_pacing_ca_ratio",
    "net.ipv4.tcp_limit_output_bytes",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_fack",
];

/// Defaults of Linux 6.18 (ip-sysctl.rst): to set one to its default changes nothing. Our profile lacks what else
/// `ip_no_pmtu_disc`, `tcp_mtu_probing` and `tcp_base_mss` would do, so that any other value is unsupported.
const LINUX: [(&str, &str); 22] = [
    ("net.ipv4.tcp_frto", "2"),
    ("net.ipv4.tcp_dsack", "1"),
    ("net.ipv4.tcp_reordering", "3"),
    ("net.ipv4.tcp_max_reordering", "300"),
    ("net.ipv4.tcp_congestion_control", "cubic"),
    ("net.ipv4.tcp_slow_start_after_idle", "1"),
    ("net.ipv4.tcp_recovery", "1"),
    ("net.ipv4.tcp_notsent_lowat", "4294967295"),
    ("net.ipv4.tcp_ecn_fallback", "1"),
    ("net.ipv4.tcp_ecn_option", "2"),
    ("net.ipv4.tcp_fastopen_blackhole_timeout_sec", "0"),
    ("net.ipv4.tcp_mtu_probing", "0"),
    ("net.ipv4.tcp_base_mss", "1024"),
    ("net.ipv4.tcp_no_metrics_save", "0"),
    ("net.ipv4.tcp_moderate_rcvbuf", "1"),
    ("net.ipv4.tcp_autocorking", "1"),
    ("net.ipv4.tcp_comp_sack_nr", "44"),
    ("net.ipv4.tcp_comp_sack_delay_ns", "1000000"),
    ("net.ipv4.tcp_comp_sack_slack_ns", "100000"),
    ("net.ipv4.tcp_thin_linear_timeouts", "0"),
    ("net.ipv4.ip_no_pmtu_disc", "0"),
    ("/sys/module/tcp_cubic/parameters/hystart_detect", "3"),
];

/// Defaults of FreeBSD 14 (tcp(4)).
const FREEBSD: [(&str, &str); 29] = [
    ("kern.ipc.maxsockbuf", "2097152"),
    ("net.inet.tcp.rfc1323", "1"),
    ("net.inet.tcp.blackhole", "0"),
    ("net.inet.tcp.sack.enable", "1"),
    ("net.inet.tcp.ecn.enable", "2"),
    ("net.inet.tcp.ecn.maxretries", "1"),
    ("net.inet.tcp.rexmit_initial", "1000"),
    ("net.inet.tcp.rexmit_slop", "200"),
    ("net.inet.tcp.rexmit_drop_options", "0"),
    ("net.inet.tcp.recvspace", "65536"),
    ("net.inet.tcp.sendspace", "32768"),
    ("net.inet.tcp.insecure_rst", "0"),
    ("net.inet.tcp.insecure_syn", "0"),
    ("net.inet.tcp.icmp_may_rst", "1"),
    ("net.inet.tcp.fastopen.client_enable", "1"),
    ("net.inet.tcp.syncookies", "1"),
    ("net.inet.tcp.syncookies_only", "0"),
    ("net.inet.tcp.drop_synfin", "0"),
    ("net.inet.tcp.delacktime", "40"),
    ("net.inet.tcp.keepinit", "75000"),
    ("net.inet.tcp.keepintvl", "75000"),
    ("net.inet.tcp.keepidle", "7200000"),
    ("net.inet.tcp.keepcnt", "8"),
    ("net.inet.tcp.always_keepalive", "1"),
    ("net.inet.tcp.path_mtu_discovery", "1"),
    ("net.inet.tcp.pmtud_blackhole_detection", "0"),
    ("net.inet.tcp.mssdflt", "536"),
    ("net.inet.tcp.v6mssdflt", "1220"),
    ("net.inet.tcp.udp_tunneling_port", "0"),
];

/// Whether a sysctl that the endpoint does not have may be set to `value` all the same.
pub(super) fn changes_nothing(platform: Platform, name: &str, value: &str) -> bool {
    let (without_effect, defaults): (&[_], &[_]) = match platform {
        Platform::Linux => (&WITHOUT_EFFECT, &LINUX),
        Platform::FreeBsd => (&[], &FREEBSD),
        Platform::Windows | Platform::Standard => (&[], &[]),
    };
    without_effect.contains(&name) || defaults.iter().any(|(known, default)| *known == name && *default == value)
}
