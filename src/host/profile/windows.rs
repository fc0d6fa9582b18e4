//! Windows 11, as far as anything is known: Microsoft publishes few defaults and its pages disagree. What no page of its
//! documentation says is marked as unverified, and can be set under the name that `netsh`, `Set-NetTCPSetting` or the
//! registry has for it.

use super::Confidence::{Chosen, Documented, Unverified};
use super::table::{does, int, lacks, one, port, small};
use super::{Behaviour, Confidence};
use crate::endpoint::Congestion;
use crate::host::ports::{BindRule, PortRule};
use crate::host::sysctl::{Sysctl, Unit};
use crate::host::time_wait::TimeWaitRule;
use crate::tcp::{ClosingRule, EcnRule, GiveUp, GiveUpReset, RecoveryRule, SynLayout};
use crate::time::{ms, secs};

const MEMORY: (&str, Confidence) = ("from memory", Unverified);
/// What its pages say of the range is documented; of the default they say nothing.
const SETTABLE: (&str, Confidence) = ("Set-NetTCPSetting has the range; the default is from memory", Unverified);
const PORTS: (&str, Confidence) = ("netsh int ipv4 show dynamicport", Documented);
/// The largest number of milliseconds that is taken.
const LONG: u64 = 1 << 32;

pub(super) const SYSCTLS: &[Sysctl] = &[
    lacks(
        "AutoReusePortRangeNumberOfPorts",
        "port range that outgoing connections share",
        ("Set-NetTCPSetting", Documented),
    ),
    one("Backlog", Unit::Connections, 1 << 16, (1, 1 << 16), ("no limit is published", Unverified), |s, [n, ..]| {
        (s.somaxconn, s.syn_backlog) = (int(n), int(n));
    }),
    one("DefaultTTL", Unit::Hops, 128, (1, 255), MEMORY, |s, [n, ..]| s.ttl = small(n)),
    one("DelayedAckFrequency", Unit::Number, 2, (1, 2), SETTABLE, |s, [n, ..]| {
        s.delayed_ack.get_or_insert_default().0 = n > 1;
    }),
    one("DelayedAckTimeout", Unit::Milliseconds, 40, (10, 600), SETTABLE, |s, [n, ..]| {
        s.delayed_ack.get_or_insert_default().1 = ms(n);
    }),
    one("DynamicPortRangeNumberOfPorts", Unit::Port, 16_384, (1, 65_535), PORTS, |s, [n, ..]| {
        s.ports.1 = s.ports.0.saturating_add(port(n - 1));
    }),
    one("DynamicPortRangeStartPort", Unit::Port, 49_152, (1, 65_535), PORTS, |s, [n, ..]| {
        s.ports = (port(n), port(n).saturating_add(s.ports.1 - s.ports.0));
    }),
    one("EcnCapability", Unit::Switch, 0, (0, 1), MEMORY, |s, [n, ..]| {
        s.knobs.ecn = if n == 1 { EcnRule::Ask } else { EcnRule::Never };
    }),
    one("InitialCongestionWindow", Unit::Number, 10, (2, 64), SETTABLE, |s, [n, ..]| {
        s.knobs.initial_window = Some(port(n));
    }),
    one("InitialRtoMs", Unit::Milliseconds, 1_000, (300, 3_000), SETTABLE, |s, [n, ..]| s.knobs.rto_init = ms(n)),
    one("KeepAliveInterval", Unit::Milliseconds, 1_000, (1, LONG), MEMORY, |s, [n, ..]| {
        s.knobs.keepalive.interval = ms(n);
    }),
    one(
        "KeepAliveTime",
        Unit::Milliseconds,
        7_200_000,
        (1, LONG),
        ("Windows registry reference", Documented),
        |s, [n, ..]| s.knobs.keepalive.idle = ms(n),
    ),
    one(
        "MaxFreeTWTcbs",
        Unit::Connections,
        1 << 26,
        (1, 1 << 26),
        ("named for 2000 and 2003 only", Unverified),
        |s, [n, ..]| {
            s.time_waits = int(n);
        },
    ),
    one("MaxSynRetransmissions", Unit::Number, 4, (1, 8), SETTABLE, |s, [n, ..]| {
        s.knobs.syn_give_up = GiveUp::Retries(small(n));
    }),
    one("MinRtoMs", Unit::Milliseconds, 300, (20, 300), SETTABLE, |s, [n, ..]| s.knobs.rto_min = ms(n)),
    one("SackOpts", Unit::Switch, 1, (0, 1), MEMORY, |s, [n, ..]| s.knobs.sack = n == 1),
    one("Tcp1323Opts", Unit::Number, 1, (0, 3), MEMORY, |s, [n, ..]| {
        (s.knobs.window_scale, s.knobs.timestamps) = (n & 1 == 1, n & 2 == 2);
    }),
    one("TcpFinWait2Delay", Unit::Seconds, 120, (30, 300), MEMORY, |s, [n, ..]| s.knobs.fin_wait2 = Some(secs(n))),
    one("TcpMaxConnectResponseRetransmissions", Unit::Number, 2, (0, 255), MEMORY, |s, [n, ..]| {
        s.knobs.synack_give_up = GiveUp::Retries(small(n));
    }),
    one(
        "TcpMaxDataRetransmissions",
        Unit::Number,
        5,
        (1, 255),
        ("KB 170359, up to Windows 7", Documented),
        |s, [n, ..]| s.knobs.r2 = GiveUp::Retries(small(n)),
    ),
    one(
        "TcpTimedWaitDelay",
        Unit::Seconds,
        120,
        (1, 300),
        ("240 s for 2000, 120 s for 2003, 30 s in a bug report: which holds for 11 is not known", Unverified),
        |s, [n, ..]| s.knobs.time_wait = secs(n),
    ),
    one("TcpWindowSize", Unit::Bytes, 65_535, (256, 1 << 30), MEMORY, |s, [n, ..]| {
        s.receive_buffer = [256, int(n), 1 << 24];
    }),
];

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    does("loss recovery", "by segments with RACK and PRR; CUBIC with HyStart; no tail loss probe", MEMORY, |s| {
        (s.knobs.losses.rule, s.knobs.losses.congestion) = (RecoveryRule::Segments, Congestion::Cubic);
        s.knobs.losses.rack = true;
    }),
    does("TIME-WAIT", "TcpTimedWaitDelay", ("Windows registry reference", Documented), |_| {}),
    does("TIME-WAIT limit", "beyond MaxFreeTWTcbs the oldest gives way", ("said of 2000 and 2003", Unverified), |s| {
        s.time_wait_rule = TimeWaitRule::ReuseOldest;
    }),
    does("RST in TIME-WAIT", "as RFC 9293 has it: the exact number ends it", MEMORY, |s| {
        s.knobs.closing = ClosingRule::Rfc9293;
    }),
    does("SYN in TIME-WAIT", "as RFC 6191 has it", MEMORY, |s| s.knobs.closing = ClosingRule::Rfc9293),
    does("connect in TIME-WAIT", "never", MEMORY, |_| {}),
    does("FIN-WAIT-2 without owner", "TcpFinWait2Delay", MEMORY, |_| {}),
    does("close with unread data", "resets the connection", MEMORY, |s| s.knobs.reset_unread = true),
    does("close with SO_LINGER 0", "resets the connection", MEMORY, |_| {}),
    does(
        "initial RTO",
        "InitialRtoMs, doubled for each SYN that goes again; Windows 7 gave up 21 s after the first of three",
        ("Set-NetTCPSetting; an issue's text for Windows 7", Documented),
        |_| {},
    ),
    does("RTO", "SRTT + 4 RTTVAR, MinRtoMs at least, 60 s at most", MEMORY, |s| s.knobs.rto_max = secs(60)),
    does("keepalive", "10 probes, opt-in; its end resets the peer", MEMORY, |s| {
        (s.knobs.keepalive.count, s.knobs.give_up_resets) = (10, GiveUpReset::Keepalive);
    }),
    does(
        "delayed ACK",
        "DelayedAckTimeout, and at least every DelayedAckFrequency-th full-sized segment",
        ("Set-NetTCPSetting", Documented),
        |_| {},
    ),
    does("initial window", "InitialCongestionWindow", ("Set-NetTCPSetting", Documented), |_| {}),
    does(
        "challenge ACKs",
        "as RFC 5961 has it, without a limit for the whole host",
        ("an article on TCP Chimney offload says so; the limit is from memory", Unverified),
        |s| (s.knobs.rst_exact, s.knobs.challenge_acks) = (true, None),
    ),
    does(
        "answers to empty segments outside the window",
        "one in 500 ms for each connection",
        ("our choice, so that answers end", Chosen),
        |s| s.knobs.empty_answers = ms(500),
    ),
    does(
        "listen",
        "both queues are as long as the backlog",
        ("no document; SynAttackProtect has had no knob since Vista", Unverified),
        |_| {},
    ),
    does("SYN cookies", "none are documented", ("absence from the documentation", Documented), |_| {}),
    does("accept queue full", "the SYN is answered by RST", MEMORY, |s| {
        (s.refuses_overflow, s.abort_on_overflow) = (true, true);
    }),
    does("bind beside TIME-WAIT", "TIME-WAIT does not keep anybody out", ("curl issue 8528", Documented), |s| {
        s.bind_rule = BindRule::Windows;
    }),
    does(
        "bind to a port in use",
        "EADDRINUSE, or EACCES for SO_REUSEADDR, unless both sockets have that; an address of its own goes beside the \
                wildcard one, unless who has that has SO_EXCLUSIVEADDRUSE. All sockets are of one user",
        ("Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE, for Windows Server 2003 and later", Documented),
        |s| s.bind_rule = BindRule::Windows,
    ),
    does("ephemeral port", "random start, then the next free port", MEMORY, |s| s.port_rule = PortRule::Next),
    does("SYN options", "MSS, NOP, window scale, NOP, NOP, SACK permitted", MEMORY, |s| {
        s.knobs.syn_layout = SynLayout::Rfc;
    }),
    does("open files", "no limit", ("no limit is published", Chosen), |s| s.descriptors = 1 << 20),
    does("send buffer", "64 KB", MEMORY, |s| s.send_buffer = [256, 65_536, 1 << 24]),
];
