//! Linux 6.18: `Documentation/networking/ip-sysctl.rst`, `net/ipv4/tcp*.c`, and recordings of 6.18.44.

use super::Behaviour;
use super::Confidence::{Chosen, Recorded, Specified};
use super::table::{buffer, does, int, one, port, small, text};
use crate::endpoint::{Congestion, Errno};
use crate::host::config::BufferRule;
use crate::host::cookies::CookieUse;
use crate::host::fast_open::{self, Uses};
use crate::host::listener::QueueRule;
use crate::host::ports::{self, BindRule, PortRule};
use crate::host::reconnect;
use crate::host::sysctl::{Sysctl, Unit};
use crate::tcp::{
    AckRule, CheckRule, ClosingRule, EcnRule, GiveUp, GiveUpReset, IcmpRule, NagleRule, RecoveryRule, RttRule,
    SynLayout, SynReceivedRule, WindowProbe, WindowRule,
};
use crate::time::{ms, ns, secs, us};

const RST: (&str, super::Confidence) = ("ip-sysctl.rst", Specified);
const SOURCE: (&str, super::Confidence) = ("tcp.h, tcp_*.c", Specified);

pub(super) const SYSCTLS: &[Sysctl] = &[
    // The real default is the memory's; what systemd sets is no limit.
    one("fs.file-max", Unit::Number, 1 << 26, (1, 1 << 26), ("fs/file_table.c", Chosen), |s, [n, ..]| {
        s.files = (n < 1 << 26).then_some(int(n));
    }),
    one("fs.nr_open", Unit::Number, 1 << 20, (1, 1 << 26), ("fs/file.c", Specified), |s, [n, ..]| {
        s.descriptors = int(n);
    }),
    one("net.core.rmem_max", Unit::Bytes, 4 << 20, (2_304, 1 << 30), RST, |s, [n, ..]| s.buffer_most[0] = int(n)),
    one("net.core.somaxconn", Unit::Connections, 4_096, (1, 1 << 20), RST, |s, [n, ..]| s.somaxconn = int(n)),
    one("net.core.wmem_max", Unit::Bytes, 4 << 20, (4_608, 1 << 30), RST, |s, [n, ..]| s.buffer_most[1] = int(n)),
    one("net.ipv4.ip_default_ttl", Unit::Hops, 64, (1, 255), RST, |s, [n, ..]| s.ttl = small(n)),
    Sysctl {
        count: 2,
        default: [32_768, 60_999, 0],
        ..one("net.ipv4.ip_local_port_range", Unit::Port, 0, (1, 65_535), RST, |s, [low, high, _]| {
            s.ports = (port(low), port(high));
        })
    },
    text(
        "net.ipv4.ip_local_reserved_ports",
        "ports and ranges of ports with commas between them: `8080,9000-9010`",
        "none",
        ("ip-sysctl.rst", Specified),
        |s, text| match ports::read_ranges(text) {
            Some(ranges) => {
                s.reserved = ranges;
                true
            }
            None => false,
        },
    ),
    // 1024 by default, but applications here are root unless told otherwise by this.
    one(
        "net.ipv4.ip_unprivileged_port_start",
        Unit::Port,
        0,
        (0, 65_535),
        ("root may bind every port", Chosen),
        |s, [n, ..]| {
            s.unprivileged = port(n);
        },
    ),
    // rt_min_pmtu; what the network says below it is not believed.
    one("net.ipv4.route.min_pmtu", Unit::Bytes, 552, (68, 65_535), ("route.c", Specified), |s, [n, ..]| {
        s.knobs.min_mtu = port(n);
    }),
    // How long a path MTU is remembered.
    one("net.ipv4.route.mtu_expires", Unit::Seconds, 600, (0, 0x7fff_ffff), ("route.c", Specified), |s, [n, ..]| {
        s.path_mtu_lasts = secs(n);
    }),
    one("net.ipv4.tcp_abort_on_overflow", Unit::Switch, 0, (0, 1), RST, |s, [n, ..]| s.abort_on_overflow = n == 1),
    one("net.ipv4.tcp_challenge_ack_limit", Unit::Number, 0x7fff_ffff, (0, 0x7fff_ffff), RST, |s, [n, ..]| {
        s.knobs.challenge_acks = (n < 0x7fff_ffff).then_some((int(n), secs(1)));
        s.knobs.challenges_vary = true;
    }),
    one("net.ipv4.tcp_comp_sack_delay_ns", Unit::Nanoseconds, 1_000_000, (0, 1_000_000_000), RST, |s, [n, ..]| {
        s.knobs.compress_acks.0 = ns(n);
    }),
    one("net.ipv4.tcp_comp_sack_nr", Unit::Number, 44, (0, 255), RST, |s, [n, ..]| s.knobs.compress_acks.1 = int(n)),
    one("net.ipv4.tcp_dsack", Unit::Switch, 1, (0, 1), RST, |s, [n, ..]| s.knobs.dsack = n == 1),
    one("net.ipv4.tcp_early_retrans", Unit::Number, 3, (0, 4), RST, |s, [n, ..]| s.knobs.loss_probe = n >= 3),
    one("net.ipv4.tcp_ecn", Unit::Number, 2, (0, 2), RST, |s, [n, ..]| {
        s.knobs.ecn = [EcnRule::Never, EcnRule::Ask, EcnRule::Accept][usize::from(small(n)).min(2)];
    }),
    one("net.ipv4.tcp_fastopen", Unit::Number, 1, (0, 0x7fff_ffff), RST, |s, [n, ..]| {
        (s.has_fast_open, s.fast_open) = (true, Uses::from_bits_truncate(int(n)));
    }),
    one("net.ipv4.tcp_fastopen_blackhole_timeout_sec", Unit::Seconds, 0, (0, 0x7fff_ffff), RST, |s, [n, ..]| {
        s.knobs.fast_open_pause = secs(n);
    }),
    text(
        "net.ipv4.tcp_fastopen_key",
        "one key or two with a comma between them, each of four hexadecimal words: `1-2-3-4`",
        "a random one",
        ("proc_tcp_fastopen_key()", Specified),
        |s, text| {
            let key = fast_open::read_key(text);
            s.fast_open_key = key.or(s.fast_open_key);
            key.is_some()
        },
    ),
    one("net.ipv4.tcp_fin_timeout", Unit::Seconds, 60, (0, 1 << 20), RST, |s, [n, ..]| {
        s.knobs.fin_wait2 = Some(secs(n));
    }),
    one("net.ipv4.tcp_frto", Unit::Number, 2, (0, 2), RST, |s, [n, ..]| s.knobs.losses.frto = n > 0),
    one("net.ipv4.tcp_invalid_ratelimit", Unit::Milliseconds, 500, (0, 3_600_000), RST, |s, [n, ..]| {
        s.knobs.empty_answers = ms(n);
    }),
    one("net.ipv4.tcp_keepalive_intvl", Unit::Seconds, 75, (1, 32_767), RST, |s, [n, ..]| {
        s.knobs.keepalive.interval = secs(n);
    }),
    one("net.ipv4.tcp_keepalive_probes", Unit::Number, 9, (1, 127), RST, |s, [n, ..]| {
        s.knobs.keepalive.count = small(n);
    }),
    one("net.ipv4.tcp_keepalive_time", Unit::Seconds, 7_200, (1, 32_767), RST, |s, [n, ..]| {
        s.knobs.keepalive.idle = secs(n);
    }),
    // By default what the memory allows.
    one("net.ipv4.tcp_max_orphans", Unit::Connections, 262_144, (0, 1 << 26), ("tcp_init()", Chosen), |s, [n, ..]| {
        s.orphans = Some(int(n));
    }),
    one("net.ipv4.tcp_max_reordering", Unit::Number, 300, (1, 65_535), RST, |s, [n, ..]| {
        s.knobs.losses.max_reordering = int(n);
    }),
    one("net.ipv4.tcp_max_syn_backlog", Unit::Connections, 1_024, (1, 1 << 20), RST, |s, [n, ..]| {
        s.syn_backlog = int(n);
    }),
    one("net.ipv4.tcp_max_tw_buckets", Unit::Connections, 131_072, (0, 1 << 26), RST, |s, [n, ..]| {
        s.time_waits = int(n);
    }),
    // By default what the memory allows, here of 16 GiB.
    Sysctl {
        count: 3,
        default: [196_608, 262_144, 393_216],
        ..one("net.ipv4.tcp_mem", Unit::Pages, 0, (0, 1 << 40), ("tcp_init_mem()", Chosen), |s, values| {
            s.memory = Some(values);
        })
    },
    one("net.ipv4.tcp_min_rtt_wlen", Unit::Seconds, 300, (0, 86_400), RST, |s, [n, ..]| {
        s.knobs.losses.min_rtt_window = secs(n);
    }),
    one("net.ipv4.tcp_min_snd_mss", Unit::Bytes, 48, (48, 65_535), RST, |s, [n, ..]| s.knobs.min_mss = port(n)),
    one("net.ipv4.tcp_min_tso_segs", Unit::Number, 2, (1, 65_535), RST, |s, [n, ..]| s.knobs.losses.units.0 = int(n)),
    one("net.ipv4.tcp_moderate_rcvbuf", Unit::Switch, 1, (0, 1), RST, |s, [n, ..]| s.moderate = n == 1),
    one("net.ipv4.tcp_notsent_lowat", Unit::Bytes, u32::MAX as u64, (0, u32::MAX as u64), RST, |s, [n, ..]| {
        s.notsent_lowat = int(n);
    }),
    one("net.ipv4.tcp_orphan_retries", Unit::Number, 0, (0, 255), RST, |s, [n, ..]| {
        s.knobs.orphan_give_up = Some(GiveUp::Backoffs(small(n)));
    }),
    one("net.ipv4.tcp_recovery", Unit::Number, 1, (0, 7), RST, |s, [n, ..]| s.knobs.losses.rack = n & 1 == 1),
    one("net.ipv4.tcp_reordering", Unit::Number, 3, (1, 65_535), RST, |s, [n, ..]| s.knobs.losses.reordering = int(n)),
    one("net.ipv4.tcp_retries1", Unit::Number, 3, (1, 255), RST, |s, [n, ..]| s.knobs.r1 = small(n)),
    one("net.ipv4.tcp_retries2", Unit::Number, 15, (1, 255), RST, |s, [n, ..]| {
        s.knobs.r2 = GiveUp::Backoffs(small(n));
    }),
    one("net.ipv4.tcp_rfc1337", Unit::Switch, 0, (0, 1), SOURCE, |s, [n, ..]| s.knobs.time_wait_ignores_rst = n == 1),
    buffer("net.ipv4.tcp_rmem", [4_096, 131_072, 6_291_456], RST, |s, values| s.receive_buffer = values.map(int)),
    one("net.ipv4.tcp_rto_max_ms", Unit::Milliseconds, 120_000, (1_000, 120_000), RST, |s, [n, ..]| {
        s.knobs.rto_max = ms(n);
    }),
    one("net.ipv4.tcp_rto_min_us", Unit::Microseconds, 200_000, (1, 120_000_000), RST, |s, [n, ..]| {
        s.knobs.rto_min = us(n);
    }),
    one("net.ipv4.tcp_sack", Unit::Switch, 1, (0, 1), RST, |s, [n, ..]| s.knobs.sack = n == 1),
    one("net.ipv4.tcp_slow_start_after_idle", Unit::Switch, 1, (0, 1), RST, |s, [n, ..]| {
        s.knobs.restart_after_idle = n == 1;
    }),
    one("net.ipv4.tcp_syn_linear_timeouts", Unit::Number, 4, (0, 127), RST, |s, [n, ..]| {
        s.knobs.syn_linear_timeouts = small(n);
    }),
    one("net.ipv4.tcp_syn_retries", Unit::Number, 6, (1, 127), RST, |s, [n, ..]| {
        s.knobs.syn_give_up = GiveUp::Backoffs(small(n));
    }),
    one("net.ipv4.tcp_synack_retries", Unit::Number, 5, (0, 255), RST, |s, [n, ..]| {
        s.knobs.synack_give_up = GiveUp::Retries(small(n));
    }),
    one("net.ipv4.tcp_syncookies", Unit::Number, 1, (0, 2), RST, |s, [n, ..]| {
        s.cookies = [CookieUse::Never, CookieUse::Overflow, CookieUse::Always][usize::from(small(n)).min(2)];
    }),
    one("net.ipv4.tcp_timestamps", Unit::Number, 1, (0, 2), RST, |s, [n, ..]| {
        (s.knobs.timestamps, s.plain_timestamps) = (n > 0, n == 2);
    }),
    one("net.ipv4.tcp_tso_win_divisor", Unit::Number, 3, (0, 255), RST, |s, [n, ..]| s.knobs.losses.units.1 = int(n)),
    one("net.ipv4.tcp_tw_reuse", Unit::Number, 2, (0, 2), RST, |s, [n, ..]| {
        s.reuse.chosen = [reconnect::Chosen::Never, reconnect::Chosen::Always, reconnect::Chosen::OnLoopback]
            [usize::from(small(n).min(2))];
    }),
    one("net.ipv4.tcp_tw_reuse_delay", Unit::Milliseconds, 1_000, (1, 60_000), RST, |s, [n, ..]| s.reuse.delay = ms(n)),
    one("net.ipv4.tcp_window_scaling", Unit::Switch, 1, (0, 1), RST, |s, [n, ..]| s.knobs.window_scale = n == 1),
    buffer("net.ipv4.tcp_wmem", [4_096, 16_384, 4_194_304], RST, |s, values| s.send_buffer = values.map(int)),
];

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    does("clock", "timers are counted in ticks, 1000 a second unless built otherwise", ("CONFIG_HZ", Specified), |s| {
        (s.knobs.ticks.length, s.wheel) = (Some(ms(1)), true);
    }),
    does("SO_RCVBUF, SO_SNDBUF", "doubled", ("socket(7), sock_setsockopt()", Specified), |s| {
        s.buffers = BufferRule::Doubled { least: 2_304 };
    }),
    does("TIME-WAIT", "60 s, whatever the sysctls say", ("TCP_TIMEWAIT_LEN in tcp.h", Specified), |s| {
        s.knobs.time_wait = secs(60);
    }),
    does(
        "RST in TIME-WAIT",
        "with the exact number it ends it, unless tcp_rfc1337; any other is dropped",
        ("tcp_timewait_state_process()", Recorded),
        |s| s.knobs.closing = ClosingRule::Linux,
    ),
    does(
        "SYN in TIME-WAIT",
        "opens by its timestamp or its number; any other is answered no more than once in tcp_invalid_ratelimit",
        ("tcp_timewait_state_process()", Recorded),
        |s| s.knobs.closing = ClosingRule::Linux,
    ),
    does(
        "ACK, FIN, FIN-ACK, data, URG in TIME-WAIT",
        "any ACK starts it anew; an empty one in order is not answered, others are",
        ("tcp_timewait_state_process()", Recorded),
        |s| s.knobs.closing = ClosingRule::Linux,
    ),
    does(
        "FIN-WAIT-2 without owner",
        "tcp_fin_timeout; any RST in the window ends it, new data resets",
        ("tcp_timewait_state_process()", Recorded),
        |s| s.knobs.closing = ClosingRule::Linux,
    ),
    does(
        "any segment in ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK",
        "the right edge of the window is in it; what is empty, or starts outside and has ACK, still brings its \
                acknowledgment; without ACK, RST or SYN dropped; a timestamp may be one tick old; RST also at the end of \
                what came out of order; one challenge ACK in 500 ms",
        ("tcp_validate_incoming(), tcp_sequence()", Recorded),
        |s| s.knobs.checks = CheckRule::Linux,
    ),
    does(
        "any segment in SYN-SENT",
        "after a bad ACK the first SYN goes again in 2 ticks",
        ("tcp_rcv_synsent_state_process()", Recorded),
        |s| s.knobs.syn_again = Some(2),
    ),
    does("ICMP while connecting", "every error ends the attempt", ("tcp_v4_err()", Recorded), |s| {
        s.knobs.icmp = IcmpRule::Linux;
    }),
    does("RST after FIN", "EPIPE; recv() goes on to give 0", ("tcp_reset()", Recorded), |s| {
        (s.knobs.reset_after_fin, s.end_first) = ((Errno::EPIPE, Some(Errno::ECONNRESET)), true);
    }),
    does("data after shutdown", "of both directions: RST", ("tcp_rcv_state_process()", Recorded), |s| {
        s.knobs.reset_shut = true;
    }),
    does(
        "connect in TIME-WAIT",
        "on a bound port at once where the connection used timestamps, whatever tcp_tw_reuse says",
        ("tcp_twsk_unique()", Recorded),
        |s| s.reuse.bound = true,
    ),
    does(
        "ephemeral port",
        "every second port: connect takes those with the low end's parity first, from a place of each destination's own and 2 \
                to 16 further each time; bind the others, from anywhere",
        ("__inet_hash_connect(), inet_csk_find_open_port()", Recorded),
        |s| s.port_rule = PortRule::Parity,
    ),
    does(
        "bind to a port in use",
        "EADDRINUSE unless both sockets have SO_REUSEADDR and none listens there, or both have SO_REUSEPORT; TIME-WAIT is \
                a socket like others",
        ("inet_bind_conflict()", Recorded),
        |s| s.bind_rule = BindRule::LeftStays,
    ),
    does(
        "initial RTO",
        "1 s; 3 s for data after a SYN that was sent twice",
        ("TCP_TIMEOUT_INIT, TCP_TIMEOUT_FALLBACK", Specified),
        |s| {
            (s.knobs.rto_init, s.knobs.rto_after_syn_loss) = (secs(1), secs(3));
        },
    ),
    does(
        "RTO",
        "SRTT + max(200 ms, 4 RTTVAR), the variation by its own rule, in jiffies",
        ("tcp_rtt_estimator()", Specified),
        |s| {
            s.knobs.rtt = RttRule::Linux;
        },
    ),
    does(
        "delayed ACK",
        "40 ms to 200 ms by the pace of arrivals; the first 16 segments at once",
        ("tcp_delack, tcp_enter_quickack_mode()", Recorded),
        |s| {
            (s.knobs.acks, s.knobs.delayed_ack) = (AckRule::Linux, ms(40));
        },
    ),
    does(
        "window",
        "grows with what arrives, from 64 KB of a 128 KB buffer",
        ("tcp_select_initial_window(), __tcp_select_window()", Recorded),
        |s| {
            s.knobs.window = WindowRule::Linux;
        },
    ),
    does(
        "SYN options",
        "MSS, SACK permitted and timestamps in one word pair, NOP, window scale",
        ("tcp_options_write()", Recorded),
        |s| {
            s.knobs.syn_layout = SynLayout::Linux;
        },
    ),
    does(
        "loss recovery",
        "by segments: SACK, RACK, PRR, F-RTO, undoing; PSH at the end of a write and of a unit of segmentation offload",
        ("tcp_fastretrans_alert(), tcp_recovery.c, tcp_write_xmit()", Recorded),
        |s| s.knobs.losses.rule = RecoveryRule::Segments,
    ),
    does("congestion control", "CUBIC with HyStart", ("tcp_cubic.c", Specified), |s| {
        s.knobs.losses.congestion = Congestion::Cubic;
    }),
    does("Nagle", "a partial segment waits for the last partial one only", ("tcp_minshall_check()", Specified), |s| {
        s.knobs.nagle = NagleRule::Partial;
    }),
    does(
        "SYN-ACK with data",
        "the data and a FIN have to come again",
        ("tcp_rcv_synsent_state_process()", Recorded),
        |s| s.knobs.syn_ack_text = false,
    ),
    does(
        "RST in CLOSE-WAIT, CLOSING, LAST-ACK",
        "one with the number of the FIN resets",
        ("tcp_reset_check()", Recorded),
        |s| {
            s.knobs.rst_of_fin = true;
        },
    ),
    does(
        "any segment in SYN-RECEIVED",
        "of a listener: a SYN in the window is answered by RST and ends it; a wrong ACK by RST, and it stays",
        ("tcp_check_req()", Recorded),
        |s| {
            s.knobs.syn_received = SynReceivedRule::Linux;
        },
    ),
    does(
        "listen",
        "a backlog of n holds n + 1 of either queue",
        ("sk_acceptq_is_full(), inet_csk_reqsk_queue_is_full()", Recorded),
        |s| s.queues = QueueRule::Linux,
    ),
    does("SYN-FIN in LISTEN", "is dropped", ("tcp_rcv_state_process()", Specified), |s| s.queues = QueueRule::Linux),
    does("TCP_DEFER_ACCEPT", "rounded up to whole timeouts of the SYN-ACK", ("secs_to_retrans()", Recorded), |s| {
        s.defer_accept = true;
    }),
    does("initial window", "10 segments", ("TCP_INIT_CWND in tcp.h", Specified), |s| s.knobs.initial_window = Some(10)),
    does("zero-window probes", "after the RTO, doubling", ("tcp_probe0_when()", Recorded), |s| {
        s.knobs.persist = (ms(200), secs(120));
    }),
    does("SACK blocks", "of the last four runs, each as segments have joined it", ("TCP_NUM_SACKS", Recorded), |s| {
        s.knobs.sack_memory = Some(4);
    }),
    does("tail loss probe", "after two round trips, or the RTO", ("tcp_schedule_loss_probe()", Recorded), |_| {}),
    does(
        "resets",
        "a reset that ends a connection has window and timestamps; keepalive ends with one",
        ("tcp_send_active_reset()", Recorded),
        |s| {
            (s.knobs.full_resets, s.knobs.give_up_resets) = (true, GiveUpReset::Keepalive);
            s.knobs.window_probe = WindowProbe::Empty;
        },
    ),
    does("cork", "an RTO", ("tcp_check_probe_timer()", Recorded), |s| s.knobs.sws_override = None),
    does(
        "SYN-ACK in SYN-RECEIVED",
        "in a simultaneous open it has the options of the SYN, and is acknowledged as a duplicate",
        ("tcp_send_synack()", Recorded),
        |s| {
            s.knobs.crossing_repeats_syn = true;
        },
    ),
    does("unreachable", "an ICMP error takes the doubling of the RTO back", ("tcp_ld_RTO_revert()", Recorded), |s| {
        s.knobs.unreachable_undoes_backoff = true;
    }),
];
