use super::Confidence::{Chosen, Specified};
use super::table::{buffer, does, int, off, one, port, small};
use super::{Behaviour, Confidence};
use crate::host::sysctl::{Sysctl, Unit};
use crate::tcp::GiveUp;
use crate::time::{ms, secs, us};

/// Beyond what `listen` asks for there is none.
const NO_LIMIT: (&str, Confidence) = ("RFC 9293 knows no limit", Chosen);
const LARGEST: (&str, Confidence) = ("the default is the largest window without scaling, RFC 9293 3.1", Chosen);
const OURS: (&str, Confidence) = ("left open by RFC 9293; Linux's value", Chosen);

pub(super) const SYSCTLS: &[Sysctl] = &[
    one("fs.nr_open", Unit::Number, 1 << 20, (1, 1 << 26), OURS, |s, [n, ..]| s.descriptors = int(n)),
    one("net.core.somaxconn", Unit::Connections, 1 << 20, (1, 1 << 20), NO_LIMIT, |s, [n, ..]| s.somaxconn = int(n)),
    one("net.ipv4.ip_default_ttl", Unit::Hops, 64, (1, 255), ("RFC 1700 (default TTL)", Specified), |s, [n, ..]| {
        s.ttl = small(n);
    }),
    Sysctl {
        count: 2,
        default: [49_152, 65_535, 0],
        ..one(
            "net.ipv4.ip_local_port_range",
            Unit::Port,
            0,
            (1, 65_535),
            ("RFC 6335 6 (dynamic ports)", Specified),
            |s, [low, high, _]| s.ports = (port(low), port(high)),
        )
    },
    one("net.ipv4.tcp_abort_on_overflow", Unit::Switch, 0, (0, 1), OURS, |s, [n, ..]| s.abort_on_overflow = n == 1),
    off("net.ipv4.tcp_ecn", "explicit congestion notification (RFC 3168)"),
    off("net.ipv4.tcp_fastopen", "Fast Open (RFC 7413)"),
    one("net.ipv4.tcp_fin_timeout", Unit::Seconds, 60, (1, 86_400), OURS, |s, [n, ..]| {
        s.knobs.fin_wait2 = Some(secs(n));
    }),
    one(
        "net.ipv4.tcp_invalid_ratelimit",
        Unit::Milliseconds,
        500,
        (0, 60_000),
        ("RFC 5961 7 leaves the limit open; Linux's value", Chosen),
        |s, [n, ..]| s.knobs.empty_answers = ms(n),
    ),
    one("net.ipv4.tcp_keepalive_intvl", Unit::Seconds, 75, (1, 32_767), OURS, |s, [n, ..]| {
        s.knobs.keepalive.interval = secs(n);
    }),
    one("net.ipv4.tcp_keepalive_probes", Unit::Number, 9, (1, 127), OURS, |s, [n, ..]| {
        s.knobs.keepalive.count = small(n);
    }),
    one(
        "net.ipv4.tcp_keepalive_time",
        Unit::Seconds,
        7_200,
        (1, 32_767),
        ("RFC 9293 3.8.4: no less than two hours", Specified),
        |s, [n, ..]| s.knobs.keepalive.idle = secs(n),
    ),
    one("net.ipv4.tcp_max_syn_backlog", Unit::Connections, 1 << 20, (1, 1 << 20), NO_LIMIT, |s, [n, ..]| {
        s.syn_backlog = int(n);
    }),
    one("net.ipv4.tcp_max_tw_buckets", Unit::Connections, 262_144, (0, 1 << 26), OURS, |s, [n, ..]| {
        s.time_waits = int(n);
    }),
    one("net.ipv4.tcp_orphan_retries", Unit::Number, 8, (1, 255), OURS, |s, [n, ..]| {
        s.knobs.orphan_give_up = Some(GiveUp::Retries(small(n)));
    }),
    // R1 is advice to IP to look for another route; a host here has one route a destination, so nothing follows.
    one(
        "net.ipv4.tcp_retries1",
        Unit::Number,
        3,
        (1, 255),
        ("RFC 9293 3.8.3: R1 is at least 3 retransmissions", Specified),
        |s, [n, ..]| s.knobs.r1 = small(n),
    ),
    one(
        "net.ipv4.tcp_retries2",
        Unit::Number,
        15,
        (1, 255),
        ("RFC 9293 3.8.3: R2 is at least 100 seconds", Chosen),
        |s, [n, ..]| s.knobs.r2 = GiveUp::Retries(small(n)),
    ),
    buffer("net.ipv4.tcp_rmem", [4_096, 65_535, 6_291_456], LARGEST, |s, values| s.receive_buffer = values.map(int)),
    one(
        "net.ipv4.tcp_rto_max_ms",
        Unit::Milliseconds,
        60_000,
        (1_000, 120_000),
        ("RFC 6298 2.5: at least 60 seconds", Specified),
        |s, [n, ..]| s.knobs.rto_max = ms(n),
    ),
    one(
        "net.ipv4.tcp_rto_min_us",
        Unit::Microseconds,
        1_000_000,
        (1, 120_000_000),
        ("RFC 6298 2.4: 1 second", Specified),
        |s, [n, ..]| s.knobs.rto_min = us(n),
    ),
    off("net.ipv4.tcp_sack", "selective acknowledgments (RFC 2018)"),
    one(
        "net.ipv4.tcp_syn_retries",
        Unit::Number,
        7,
        (0, 127),
        ("RFC 9293 3.8.3: R2 of a SYN is at least 3 minutes", Specified),
        |s, [n, ..]| s.knobs.syn_give_up = GiveUp::Retries(small(n)),
    ),
    one(
        "net.ipv4.tcp_synack_retries",
        Unit::Number,
        7,
        (0, 255),
        ("RFC 9293 3.8.3: R2 of a SYN is at least 3 minutes", Specified),
        |s, [n, ..]| s.knobs.synack_give_up = GiveUp::Retries(small(n)),
    ),
    off("net.ipv4.tcp_syncookies", "SYN cookies (RFC 4987 3.6)"),
    one(
        "net.ipv4.tcp_timestamps",
        Unit::Switch,
        0,
        (0, 1),
        ("RFC 7323 3: optional in RFC 9293", Specified),
        |s, [n, ..]| s.knobs.timestamps = n == 1,
    ),
    off("net.ipv4.tcp_tw_reuse", "reuse of TIME-WAIT by timestamps (RFC 6191)"),
    one(
        "net.ipv4.tcp_window_scaling",
        Unit::Switch,
        0,
        (0, 1),
        ("RFC 7323 2: optional in RFC 9293", Specified),
        |s, [n, ..]| s.knobs.window_scale = n == 1,
    ),
    buffer("net.ipv4.tcp_wmem", [4_096, 65_536, 4_194_304], LARGEST, |s, values| s.send_buffer = values.map(int)),
];

/// What [`crate::tcp::Knobs`] does by default, in words.
pub(super) const BEHAVIOURS: &[Behaviour] = &[
    does("TIME-WAIT", "240 s: twice an MSL of 2 minutes", ("RFC 9293 3.4.2, MUST-13", Specified), |_| {}),
    does("initial RTO", "1 s", ("RFC 6298 2.1", Specified), |_| {}),
    does(
        "delayed ACK",
        "200 ms, and at least every second full-sized segment",
        ("RFC 9293 3.8.6.3, MUST-40", Chosen),
        |_| {},
    ),
    does(
        "initial sequence number",
        "4 us clock plus a keyed hash of the 4-tuple",
        ("RFC 9293 3.4.1, RFC 6528 3", Specified),
        |_| {},
    ),
    does("challenge ACKs", "10 in 5 s for the whole host", ("RFC 5961 7", Specified), |_| {}),
    does(
        "answers to empty segments outside the window",
        "one in 500 ms for each connection; segments with data, SYN or FIN are always answered",
        ("RFC 9293 3.10.7.4, first; RFC 5961 7", Chosen),
        |_| {},
    ),
    does(
        "congestion control",
        "NewReno, initial window 2 to 4 segments",
        ("RFC 5681 3.1, RFC 6582", Specified),
        |_| {},
    ),
    does(
        "close with unread data",
        "resets the connection",
        ("RFC 9293 3.6.1, SHLD-3; RFC 2525 2.17", Specified),
        |_| {},
    ),
    does("ephemeral port", "random start, then the next free port", ("RFC 6056 3.3", Chosen), |_| {}),
    does(
        "queue sizes of a listener",
        "both are the backlog, within 1..somaxconn; the SYN queue also within tcp_max_syn_backlog",
        ("left open by RFC 9293", Chosen),
        |_| {},
    ),
    does(
        "accept queue full",
        "a SYN is dropped; the third segment is dropped, or answered with RST by tcp_abort_on_overflow",
        ("left open by RFC 9293; as Linux", Chosen),
        |_| {},
    ),
    does(
        "bind to a port in use",
        "EADDRINUSE unless both sockets have SO_REUSEADDR and none listens there; TIME-WAIT asks for it on the new \
                socket only",
        ("left open by RFC 9293; as BSD", Chosen),
        |_| {},
    ),
];
