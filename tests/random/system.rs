use super::draw::Draw;
use wirefate::host::{HostConfig, Profile};
use wirefate::rng::{Stream, below};

/// The names of hosts, in the order of their nodes.
pub(crate) const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The profile of the host `name` in the run of `seed`: of each host its own, so that every system meets every other.
pub(crate) fn profile(seed: u64, name: &str) -> Profile {
    let word = Stream::new(seed, &format!("{name}/profile")).word();
    match below(word, 10) {
        0..=2 => Profile::Rfc9293,
        3..=5 => Profile::Linux,
        6..=7 => Profile::FreeBsd,
        _ => Profile::Windows,
    }
}

/// A sysctl, how many hosts in a hundred have set it, and its least and greatest value there.
type Drawn = (&'static str, u64, u64, u64);

/// What rfc9293 and linux call by the same name.
const OF_BOTH: &[Drawn] = &[
    ("net.ipv4.tcp_fin_timeout", 25, 1, 120),
    ("net.ipv4.tcp_keepalive_time", 25, 1, 120),
    ("net.ipv4.tcp_keepalive_intvl", 25, 1, 75),
    ("net.ipv4.tcp_keepalive_probes", 15, 1, 9),
    ("net.ipv4.tcp_max_syn_backlog", 15, 1, 8),
    ("net.core.somaxconn", 15, 1, 16),
    ("net.ipv4.tcp_max_tw_buckets", 15, 0, 5),
    ("net.ipv4.tcp_orphan_retries", 25, 1, 8),
    ("net.ipv4.tcp_retries1", 5, 1, 5),
    ("net.ipv4.tcp_retries2", 25, 1, 15),
    ("net.ipv4.tcp_syn_retries", 25, 1, 7),
    ("net.ipv4.tcp_synack_retries", 25, 0, 7),
    ("net.ipv4.tcp_abort_on_overflow", 25, 1, 1),
    ("net.ipv4.tcp_rto_max_ms", 25, 1_000, 120_000),
    ("net.ipv4.tcp_rto_min_us", 15, 200_000, 3_000_000),
    ("net.ipv4.tcp_rto_min_us", 5, 1, 200_000),
    ("net.ipv4.tcp_timestamps", 40, 0, 1),
    ("net.ipv4.tcp_window_scaling", 40, 0, 1),
    ("net.ipv4.ip_default_ttl", 4, 1, 2),
    ("fs.nr_open", 6, 1, 6),
];

const OF_LINUX: &[Drawn] = &[
    ("fs.file-max", 4, 1, 6),
    ("net.ipv4.ip_unprivileged_port_start", 5, 81, 1_024),
    ("net.ipv4.tcp_challenge_ack_limit", 10, 1, 100),
    ("net.ipv4.tcp_early_retrans", 15, 0, 4),
    ("net.ipv4.tcp_ecn", 25, 0, 2),
    ("net.ipv4.tcp_invalid_ratelimit", 15, 100, 2_000),
    ("net.ipv4.tcp_max_orphans", 8, 0, 3),
    ("net.ipv4.tcp_rfc1337", 25, 0, 1),
    ("net.ipv4.tcp_sack", 30, 0, 1),
    ("net.ipv4.tcp_syn_linear_timeouts", 20, 0, 6),
    ("net.ipv4.tcp_syncookies", 40, 0, 2),
    ("net.ipv4.tcp_tw_reuse", 30, 0, 2),
    ("net.ipv4.tcp_tw_reuse_delay", 15, 1, 3_000),
];

const OF_FREEBSD: &[Drawn] = &[
    ("kern.ipc.soacceptqueue", 15, 1, 16),
    ("kern.maxfiles", 4, 1, 6),
    ("kern.maxfilesperproc", 6, 1, 6),
    ("net.inet.icmp.icmplim", 30, 0, 4),
    ("net.inet.ip.portrange.randomized", 20, 0, 1),
    ("net.inet.ip.portrange.reservedhigh", 5, 81, 1_023),
    ("net.inet.ip.ttl", 4, 1, 2),
    ("net.inet.tcp.always_keepalive", 50, 0, 0),
    ("net.inet.tcp.delacktime", 20, 10, 400),
    ("net.inet.tcp.delayed_ack", 15, 0, 1),
    ("net.inet.tcp.ecn.enable", 25, 0, 2),
    ("net.inet.tcp.fast_finwait2_recycle", 40, 0, 1),
    ("net.inet.tcp.finwait2_timeout", 30, 1_000, 120_000),
    ("net.inet.tcp.initcwnd_segments", 20, 1, 20),
    ("net.inet.tcp.insecure_rst", 10, 0, 1),
    ("net.inet.tcp.insecure_syn", 10, 0, 1),
    ("net.inet.tcp.keepcnt", 20, 1, 8),
    ("net.inet.tcp.keepidle", 30, 1_000, 120_000),
    ("net.inet.tcp.keepinit", 20, 1_000, 75_000),
    ("net.inet.tcp.keepintvl", 30, 1_000, 75_000),
    ("net.inet.tcp.maxtcptw", 20, 1, 4),
    ("net.inet.tcp.msl", 30, 100, 60_000),
    ("net.inet.tcp.retries", 20, 1, 12),
    ("net.inet.tcp.rexmit_initial", 15, 200, 3_000),
    ("net.inet.tcp.rexmit_min", 15, 1, 1_000),
    ("net.inet.tcp.rexmit_slop", 15, 0, 500),
    ("net.inet.tcp.rfc1323", 40, 0, 3),
    ("net.inet.tcp.sack.enable", 30, 0, 1),
    ("net.inet.tcp.syncache.bucketlimit", 25, 1, 4),
    ("net.inet.tcp.syncache.cachelimit", 40, 1, 8),
    ("net.inet.tcp.syncache.hashsize", 25, 1, 4),
    ("net.inet.tcp.syncache.rexmtlimit", 20, 0, 5),
    ("net.inet.tcp.syncache.rst_on_sock_fail", 30, 0, 1),
    ("net.inet.tcp.syncookies", 60, 0, 1),
    ("net.inet.tcp.syncookies_only", 15, 0, 1),
    ("net.inet.tcp.tolerate_missing_ts", 15, 0, 1),
];

const OF_WINDOWS: &[Drawn] = &[
    ("Backlog", 15, 1, 16),
    ("DefaultTTL", 4, 1, 2),
    ("DelayedAckFrequency", 20, 1, 2),
    ("DelayedAckTimeout", 20, 10, 400),
    ("EcnCapability", 25, 0, 1),
    ("InitialCongestionWindow", 20, 2, 64),
    ("InitialRtoMs", 20, 300, 3_000),
    ("KeepAliveInterval", 20, 1_000, 75_000),
    ("KeepAliveTime", 25, 1_000, 120_000),
    ("MaxFreeTWTcbs", 20, 1, 4),
    ("MaxSynRetransmissions", 20, 1, 8),
    ("MinRtoMs", 25, 20, 300),
    ("SackOpts", 30, 0, 1),
    ("Tcp1323Opts", 40, 0, 3),
    ("TcpFinWait2Delay", 20, 30, 300),
    ("TcpMaxConnectResponseRetransmissions", 20, 0, 5),
    ("TcpMaxDataRetransmissions", 20, 1, 10),
    ("TcpTimedWaitDelay", 30, 1, 300),
];

/// A host, its profile, and some sysctls of its own.
pub(crate) fn config(seed: u64, draw: &mut Draw, name: &str) -> HostConfig {
    let profile = profile(seed, name);
    let mut config = HostConfig { profile, ..HostConfig::named(name) };
    let tables: &[&[Drawn]] = match profile {
        Profile::Rfc9293 => &[OF_BOTH],
        Profile::Linux => &[OF_BOTH, OF_LINUX],
        Profile::FreeBsd => &[OF_FREEBSD],
        Profile::Windows => &[OF_WINDOWS],
    };
    for &(name, percent, least, most) in tables.iter().copied().flatten() {
        if draw.chance(percent) {
            config = config.sysctl(name, draw.between(least, most));
        }
    }
    let least = draw.between(40_000, 50_000);
    let most = least + draw.scaled(0, 20);
    let is_narrow = draw.chance(15);
    for name in match profile {
        Profile::FreeBsd => &["net.inet.tcp.recvspace", "net.inet.tcp.sendspace"][..],
        Profile::Windows => &["TcpWindowSize"],
        Profile::Rfc9293 | Profile::Linux => &[],
    } {
        if draw.chance(30) {
            config = config.sysctl(name, draw.scaled(256, 100_000));
        }
    }
    match profile {
        Profile::Rfc9293 | Profile::Linux => {
            for name in ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"] {
                if draw.chance(30) {
                    let size = draw.scaled(256, 100_000);
                    config = config.sysctl(name, format!("256 {size} {}", size.max(65_536)));
                }
            }
            if is_narrow {
                config = config.sysctl("net.ipv4.ip_local_port_range", format!("{least} {most}"));
            }
        }
        Profile::FreeBsd if is_narrow => {
            config = config.sysctl("net.inet.ip.portrange.first", least).sysctl("net.inet.ip.portrange.last", most);
        }
        Profile::Windows if is_narrow => {
            config = config.sysctl("DynamicPortRangeStartPort", least);
            config = config.sysctl("DynamicPortRangeNumberOfPorts", most - least + 1);
        }
        Profile::FreeBsd | Profile::Windows => {}
    }
    config
}
