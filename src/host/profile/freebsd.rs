//! FreeBSD 14: `sys/netinet/tcp*.c` of stable/14 (`__FreeBSD_version` 1400507), its manual pages, and reports. What is
//! marked as unverified stands in neither.

use super::Confidence::{Chosen, Documented, Specified, Unverified};
use super::table::{does, int, lacks, one, port, small};
use super::{Behaviour, Confidence};
use crate::endpoint::{Congestion, Errno};
use crate::host::cookies::CookieUse;
use crate::host::listener::QueueRule;
use crate::host::ports::{BindRule, PortRule};
use crate::host::sysctl::{Sysctl, Unit};
use crate::host::time_wait::TimeWaitRule;
use crate::tcp::{
    AckRule, CheckRule, ClosingRule, EcnRule, GiveUp, GiveUpReset, IcmpRule, RecoveryRule, SynLayout, SynReceivedRule,
    WindowRule,
};
use crate::time::{ms, secs};

const TIMER: (&str, Confidence) = ("tcp_timer.h, tcp_timer.c", Specified);
const SYNCACHE: (&str, Confidence) = ("tcp_syncache.c", Specified);
const INPUT: (&str, Confidence) = ("tcp_input.c", Specified);
const SUBR: (&str, Confidence) = ("tcp_subr.c", Specified);
const TWCHECK: (&str, Confidence) = ("tcp_twcheck() in tcp_timewait.c", Specified);
const DO_SEGMENT: (&str, Confidence) = ("tcp_do_segment() in tcp_input.c", Specified);
const ICMP: (&str, Confidence) = ("badport_bandlim() in ip_icmp.c", Specified);
const RANGE: (&str, Confidence) = ("in.h, in_pcb.c", Specified);
const MEMORY: (&str, Confidence) = ("from memory", Unverified);
/// The largest number of milliseconds that is taken.
const LONG: u64 = 1 << 32;

pub(super) const SYSCTLS: &[Sysctl] = &[
    one(
        "kern.ipc.maxsockbuf",
        Unit::Bytes,
        2 << 20,
        (4_096, 1 << 30),
        ("SB_MAX in sockbuf.h", Specified),
        |s, [n, ..]| {
            (s.receive_buffer[2], s.send_buffer[2]) = (int(n), int(n));
            s.knobs.whole_buffers = Some(int(n));
        },
    ),
    one("kern.ipc.soacceptqueue", Unit::Connections, 128, (1, 65_535), ("listen(2)", Documented), |s, [n, ..]| {
        s.somaxconn = int(n);
    }),
    // The real defaults are the memory's.
    one("kern.maxfiles", Unit::Number, 1 << 26, (1, 1 << 26), ("no limit", Chosen), |s, [n, ..]| {
        s.files = (n < 1 << 26).then_some(int(n));
    }),
    one("kern.maxfilesperproc", Unit::Number, 1 << 20, (1, 1 << 26), ("no limit", Chosen), |s, [n, ..]| {
        s.descriptors = int(n);
    }),
    one("net.inet.icmp.icmplim", Unit::Number, 200, (0, 1 << 20), ICMP, |s, [n, ..]| {
        s.answers.all = (n > 0).then_some(int(n));
    }),
    // 16 there: each second that goes over the limit draws the next one anew, up to so much above or below.
    lacks("net.inet.icmp.icmplim_jitter", "limit that changes at random", ICMP),
    one("net.inet.ip.portrange.first", Unit::Port, 10_000, (1, 65_535), RANGE, |s, [n, ..]| s.ports.0 = port(n)),
    one("net.inet.ip.portrange.last", Unit::Port, 65_535, (1, 65_535), RANGE, |s, [n, ..]| s.ports.1 = port(n)),
    one("net.inet.ip.portrange.randomized", Unit::Switch, 1, (0, 1), RANGE, |s, [n, ..]| {
        s.port_rule = if n == 1 { PortRule::Random } else { PortRule::Next };
    }),
    // 1023 by default, but applications here are root unless told otherwise by this.
    one(
        "net.inet.ip.portrange.reservedhigh",
        Unit::Port,
        0,
        (0, 65_534),
        ("root may bind every port", Chosen),
        |s, [n, ..]| s.unprivileged = if n == 0 { 0 } else { port(n + 1) },
    ),
    one("net.inet.ip.ttl", Unit::Hops, 64, (1, 255), MEMORY, |s, [n, ..]| s.ttl = small(n)),
    one("net.inet.tcp.ack_war_cnt", Unit::Number, 5, (1, 1_000), SUBR, |s, [n, ..]| {
        s.ack_war.get_or_insert_default().0 = int(n);
    }),
    one("net.inet.tcp.ack_war_timewindow", Unit::Milliseconds, 1_000, (0, LONG), SUBR, |s, [n, ..]| {
        s.ack_war.get_or_insert_default().1 = ms(n);
    }),
    one("net.inet.tcp.always_keepalive", Unit::Switch, 1, (0, 1), TIMER, |s, [n, ..]| {
        s.knobs.always_keepalive = n == 1;
    }),
    one("net.inet.tcp.delacktime", Unit::Milliseconds, 40, (1, 500), TIMER, |s, [n, ..]| {
        s.delayed_ack.get_or_insert_default().1 = ms(n);
    }),
    one("net.inet.tcp.delayed_ack", Unit::Switch, 1, (0, 1), MEMORY, |s, [n, ..]| {
        s.delayed_ack.get_or_insert_default().0 = n == 1;
    }),
    one("net.inet.tcp.ecn.enable", Unit::Number, 2, (0, 2), MEMORY, |s, [n, ..]| {
        s.knobs.ecn = [EcnRule::Never, EcnRule::Ask, EcnRule::Accept][usize::from(small(n)).min(2)];
    }),
    one("net.inet.tcp.fast_finwait2_recycle", Unit::Switch, 0, (0, 1), TIMER, |s, [n, ..]| {
        s.fin_wait2.get_or_insert_default().0 = n == 1;
    }),
    lacks("net.inet.tcp.fastopen.client_enable", "Fast Open (RFC 7413)", MEMORY),
    lacks("net.inet.tcp.fastopen.server_enable", "Fast Open (RFC 7413)", MEMORY),
    one("net.inet.tcp.finwait2_timeout", Unit::Milliseconds, 60_000, (1, LONG), TIMER, |s, [n, ..]| {
        s.fin_wait2.get_or_insert_default().1 = ms(n);
    }),
    one("net.inet.tcp.icmp_may_rst", Unit::Switch, 1, (0, 1), SUBR, |s, [n, ..]| {
        s.knobs.icmp = IcmpRule::Bsd { may_reset: n == 1 };
    }),
    one("net.inet.tcp.initcwnd_segments", Unit::Number, 10, (1, 1_000), INPUT, |s, [n, ..]| {
        s.knobs.initial_window = Some(port(n));
    }),
    one("net.inet.tcp.insecure_rst", Unit::Switch, 0, (0, 1), INPUT, |s, [n, ..]| s.knobs.rst_exact = n == 0),
    one("net.inet.tcp.insecure_syn", Unit::Switch, 0, (0, 1), INPUT, |s, [n, ..]| s.knobs.syn_challenged = n == 0),
    one("net.inet.tcp.keepcnt", Unit::Number, 8, (1, 255), TIMER, |s, [n, ..]| s.knobs.keepalive.count = small(n)),
    one("net.inet.tcp.keepidle", Unit::Milliseconds, 7_200_000, (1, LONG), TIMER, |s, [n, ..]| {
        s.knobs.keepalive.idle = ms(n);
    }),
    one("net.inet.tcp.keepinit", Unit::Milliseconds, 75_000, (1, LONG), TIMER, |s, [n, ..]| {
        s.knobs.syn_give_up = GiveUp::After(ms(n));
    }),
    one("net.inet.tcp.keepintvl", Unit::Milliseconds, 75_000, (1, LONG), TIMER, |s, [n, ..]| {
        s.knobs.keepalive.interval = ms(n);
    }),
    // Until 13, where it is half of the default port range (tcptw_auto_size()).
    one(
        "net.inet.tcp.maxtcptw",
        Unit::Connections,
        1 << 26,
        (1, 1 << 26),
        ("no limit: tcp_twstart() in tcp_timewait.c", Specified),
        |s, [n, ..]| s.time_waits = int(n),
    ),
    one("net.inet.tcp.msl", Unit::Milliseconds, 30_000, (1, LONG), TIMER, |s, [n, ..]| s.knobs.time_wait = ms(2 * n)),
    one("net.inet.tcp.nolocaltimewait", Unit::Switch, 1, (0, 1), ("tcp_timewait.c", Specified), |s, [n, ..]| {
        s.no_local_time_wait = n == 1;
    }),
    one("net.inet.tcp.persmax", Unit::Milliseconds, 60_000, (1, LONG), MEMORY, |s, [n, ..]| s.knobs.persist.1 = ms(n)),
    one("net.inet.tcp.persmin", Unit::Milliseconds, 5_000, (1, LONG), MEMORY, |s, [n, ..]| s.knobs.persist.0 = ms(n)),
    one("net.inet.tcp.recvspace", Unit::Bytes, 65_536, (256, 1 << 30), MEMORY, |s, [n, ..]| {
        (s.receive_buffer[0], s.receive_buffer[1]) = (256, int(n));
    }),
    // TCP_MAXRXTSHIFT
    one("net.inet.tcp.retries", Unit::Number, 12, (1, 12), TIMER, |s, [n, ..]| s.knobs.r2 = GiveUp::Retries(small(n))),
    one("net.inet.tcp.rexmit_initial", Unit::Milliseconds, 1_000, (1, 60_000), TIMER, |s, [n, ..]| {
        s.knobs.rto_init = ms(n);
    }),
    one("net.inet.tcp.rexmit_min", Unit::Milliseconds, 30, (1, 60_000), TIMER, |s, [n, ..]| s.knobs.rto_min = ms(n)),
    one("net.inet.tcp.rexmit_slop", Unit::Milliseconds, 200, (0, 60_000), TIMER, |s, [n, ..]| s.knobs.rto_slop = ms(n)),
    one("net.inet.tcp.rfc1323", Unit::Number, 1, (0, 3), MEMORY, |s, [n, ..]| {
        (s.knobs.window_scale, s.knobs.timestamps) = (n == 1 || n == 2, n == 1 || n == 3);
    }),
    one("net.inet.tcp.sack.enable", Unit::Switch, 1, (0, 1), MEMORY, |s, [n, ..]| s.knobs.sack = n == 1),
    one("net.inet.tcp.sendspace", Unit::Bytes, 32_768, (256, 1 << 30), MEMORY, |s, [n, ..]| {
        (s.send_buffer[0], s.send_buffer[1]) = (256, int(n));
    }),
    one("net.inet.tcp.syncache.bucketlimit", Unit::Connections, 30, (1, 65_535), SYNCACHE, |s, [n, ..]| {
        s.syncache.row = int(n);
    }),
    one("net.inet.tcp.syncache.cachelimit", Unit::Connections, 15_360, (1, 1 << 26), SYNCACHE, |s, [n, ..]| {
        s.syncache.all = int(n);
    }),
    one("net.inet.tcp.syncache.hashsize", Unit::Number, 512, (1, 1 << 20), SYNCACHE, |s, [n, ..]| {
        s.syncache.rows = int(n);
    }),
    one("net.inet.tcp.syncache.rexmtlimit", Unit::Number, 3, (0, 12), SYNCACHE, |s, [n, ..]| {
        s.knobs.synack_give_up = GiveUp::Retries(small(n));
    }),
    one("net.inet.tcp.syncache.rst_on_sock_fail", Unit::Switch, 1, (0, 1), SYNCACHE, |s, [n, ..]| {
        s.abort_on_overflow = n == 1;
    }),
    one("net.inet.tcp.syncookies", Unit::Switch, 1, (0, 1), SYNCACHE, |s, [n, ..]| {
        s.cookies = match (n, s.cookies) {
            (0, _) => CookieUse::Never,
            (_, CookieUse::Always) => CookieUse::Always,
            _ => CookieUse::Overflow,
        };
    }),
    one("net.inet.tcp.syncookies_only", Unit::Switch, 0, (0, 1), MEMORY, |s, [n, ..]| {
        s.cookies = match (n, s.cookies) {
            (1, _) => CookieUse::Always,
            (_, CookieUse::Always) => CookieUse::Overflow,
            (_, as_it_is) => as_it_is,
        };
    }),
    // "Therefore tolerating violations for now..."
    one("net.inet.tcp.tolerate_missing_ts", Unit::Switch, 1, (0, 1), SUBR, |s, [n, ..]| {
        s.knobs.missing_timestamps = n == 1;
    }),
    one(
        "net.inet6.icmp6.errppslimit",
        Unit::Number,
        100,
        (1, 1 << 20),
        ("in6_proto.c, icmp6.c", Specified),
        |s, [n, ..]| {
            s.answers.icmp6 = Some(int(n));
        },
    ),
];

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    does(
        "loss recovery",
        "by segments with SACK (RFC 6675) and PRR; CUBIC without HyStart is not told from CUBIC with it",
        MEMORY,
        |s| (s.knobs.losses.rule, s.knobs.losses.congestion) = (RecoveryRule::Segments, Congestion::Cubic),
    ),
    does(
        "clock",
        "timers fire when they are due, to the nanosecond",
        ("callout(9); our simplification", Chosen),
        |_| {},
    ),
    does("TIME-WAIT", "twice net.inet.tcp.msl: 60 s", ("TCPTV_MSL in tcp_timer.h", Specified), |_| {}),
    does(
        "TIME-WAIT limit",
        "none; where maxtcptw sets one, as until FreeBSD 13, one connection more takes the place of the one that would end \
                first",
        ("tcp_twstart() in tcp_timewait.c; tcp_tw_2msl_scan() of 13", Specified),
        |s| s.time_wait_rule = TimeWaitRule::ReuseOldest,
    ),
    does(
        "RST in TIME-WAIT",
        "is dropped, whatever its number: no assassination",
        ("tcp_twcheck() in tcp_timewait.c, which cites RFC 1337", Specified),
        |s| s.knobs.closing = ClosingRule::Bsd,
    ),
    does(
        "SYN in TIME-WAIT",
        "opens where its number is beyond RCV.NXT and it has no ACK; timestamps have no say",
        TWCHECK,
        |s| s.knobs.closing = ClosingRule::Bsd,
    ),
    does("FIN, FIN-ACK in TIME-WAIT", "only the FIN that comes again starts it anew", TWCHECK, |s| {
        s.knobs.closing = ClosingRule::Bsd;
    }),
    does(
        "SYN, ACK, FIN, FIN-ACK, data, URG in TIME-WAIT",
        "without ACK dropped, but for a SYN that opens; the acknowledgment of our FIN again is not answered, all else is, \
                however often it comes",
        TWCHECK,
        |s| s.knobs.closing = ClosingRule::Bsd,
    ),
    does(
        "segments without a timestamp",
        "are taken where timestamps were agreed on, or dropped in silence by tolerate_missing_ts; RSTs are taken always",
        ("tcp_do_segment(), tcp_twcheck(), syncache_expand()", Specified),
        |_| {},
    ),
    does("connect in TIME-WAIT", "never, on no port", MEMORY, |_| {}),
    does(
        "FIN-WAIT-2 without owner",
        "keepcnt * keepintvl, and another keepintvl as long as the peer was heard within that, at its first instant too; or \
                finwait2_timeout where fast_finwait2_recycle is on",
        ("tcp_timer_2msl() in tcp_timer.c", Specified),
        |_| {},
    ),
    does("close with unread data", "resets the connection", MEMORY, |s| s.knobs.reset_unread = true),
    does("close with SO_LINGER 0", "resets the connection", MEMORY, |_| {}),
    does(
        "initial RTO",
        "rexmit_initial, then doubled plus rexmit_slop: a SYN goes again after 1 s, then 2.2 s, 4.2 s ... until keepinit",
        ("tcp_timer.c; the schedule is derived", Unverified),
        |s| s.knobs.rto_after_syn_loss = secs(1),
    ),
    does(
        "RTO",
        "max(rexmit_min, SRTT + 4 RTTVAR), doubled 9 times at most, plus rexmit_slop, 64 s at most",
        TIMER,
        |s| (s.knobs.rto_max, s.knobs.rto_doublings) = (secs(64), 9),
    ),
    does(
        "giving up",
        "at the timeout after `retries` retransmissions, and the peer is reset; an orphan as any other",
        ("tcp_timer_rexmt() in tcp_timer.c, tcp_drop() in tcp_subr.c", Specified),
        |s| (s.knobs.give_up_resets, s.knobs.orphan_give_up) = (GiveUpReset::Always, None),
    ),
    does(
        "SYN-ACK again",
        "after rexmit_initial, then doubled plus rexmit_slop: 1 s, 2.2 s, 4.2 s, and 8.2 s later it is forgotten",
        ("syncache_timeout() in tcp_syncache.c", Specified),
        |_| {},
    ),
    does("keepalive", "its end resets the peer", ("tcp_timer_keep() in tcp_timer.c", Specified), |s| {
        s.knobs.give_up_resets = GiveUpReset::Always;
    }),
    does(
        "delayed ACK",
        "delacktime, and every second segment, whatever its size; none of what comes after a window of 0 was told",
        ("TCPTV_DELACK in tcp_timer.h, DELAY_ACK() in tcp_input.c", Specified),
        |s| s.knobs.acks = AckRule::Bsd,
    ),
    does("initial window", "initcwnd_segments", INPUT, |_| {}),
    does(
        "RST in SYN-RECEIVED, ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK",
        "is held against the free part of the buffer from the last acknowledgment sent, not from RCV.NXT: its first number \
                resets, another is challenged, or resets by insecure_rst",
        DO_SEGMENT,
        |s| s.knobs.checks = CheckRule::Bsd,
    ),
    does(
        "SYN in ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK",
        "is challenged; by insecure_syn one in the window from the last acknowledgment sent ends the connection",
        DO_SEGMENT,
        |s| s.knobs.checks = CheckRule::Bsd,
    ),
    does(
        "SYN in SYN-RECEIVED",
        "is taken for the first one again, whatever its number: it is answered by the SYN-ACK, and the timeouts count anew",
        ("syncache_add() in tcp_syncache.c", Specified),
        |s| s.knobs.syn_received = SynReceivedRule::Bsd,
    ),
    does(
        "SYN-ACK in SYN-RECEIVED",
        "ends what a listener has half open, and is answered by RST",
        ("syncache_badack() in tcp_syncache.c", Specified),
        |s| s.knobs.syn_received = SynReceivedRule::Bsd,
    ),
    does(
        "ACK, FIN-ACK, data, URG in SYN-RECEIVED",
        "opens the connection, or ends it and is answered by RST: outside the window, or for another number",
        ("syncache_expand() in tcp_syncache.c", Specified),
        |s| s.knobs.syn_received = SynReceivedRule::Bsd,
    ),
    does("FIN in SYN-RECEIVED", "without ACK is dropped", ("tcp_input() in tcp_input.c", Specified), |s| {
        s.knobs.syn_received = SynReceivedRule::Bsd;
    }),
    does(
        "FIN, FIN-ACK, ACK, data, URG in ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING, LAST-ACK",
        "what is old brings its acknowledgment, however old it is, and is answered; so does a FIN at the edge of the window",
        DO_SEGMENT,
        |s| s.knobs.checks = CheckRule::Bsd,
    ),
    does(
        "FIN again",
        "with every acknowledgment, until it is acknowledged itself; not with a challenge ACK",
        ("tcp_outflags[], tcp_output() in tcp_output.c", Specified),
        |s| s.knobs.checks = CheckRule::Bsd,
    ),
    does(
        "D-SACK",
        "at once; the first stretch that a segment which fills a gap has in common with what waits behind it too",
        ("tcp_do_segment() in tcp_input.c, tcp_update_dsack_list() in tcp_sack.c", Specified),
        |s| s.knobs.acks = AckRule::Bsd,
    ),
    does(
        "TIME-WAIT of the host with itself",
        "none by nolocaltimewait; nor with a link-local IPv6 address or one that has its first 64 bits in common with the host's",
        ("tcp_twstart() in tcp_timewait.c, in6_localaddr() in in6.c; prefixes of 64 bits are our choice", Specified),
        |_| {},
    ),
    does(
        "ACK of what is far too old",
        "is an old acknowledgment like any other, and what comes with it is taken",
        DO_SEGMENT,
        |s| s.knobs.checks = CheckRule::Bsd,
    ),
    does("segments with an old timestamp", "are dropped, and answered where they have data", DO_SEGMENT, |s| {
        s.knobs.checks = CheckRule::Bsd;
    }),
    does(
        "ICMP while connecting",
        "refusals (ECONNREFUSED: port, protocol, prohibited) and an exceeded TTL (EHOSTUNREACH) end SYN-SENT, and do nothing \
                elsewhere; others end SYN-SENT and SYN-RECEIVED after more than 3 retransmissions, as the second error. By \
                icmp_may_rst all are of the latter kind",
        ("tcp_ctlinput(), tcp_drop_syn_sent(), tcp_notify() in tcp_subr.c; icmp_errmap() in ip_icmp.c", Specified),
        |_| {},
    ),
    does(
        "ICMP for what is half open",
        "the second error ends it once its SYN-ACK went 3 times again",
        ("syncache_unreach() in tcp_syncache.c", Specified),
        |s| s.queues = QueueRule::Syncache,
    ),
    does("RST when both have closed", "ECONNRESET", DO_SEGMENT, |s| {
        s.knobs.reset_after_fin.1 = Some(Errno::ECONNRESET);
    }),
    does("challenge ACKs", "the whole host has no limit", MEMORY, |s| s.knobs.challenge_acks = None),
    does(
        "answers to segments without text",
        "outside the window, or that acknowledge more than was sent, or repeat a FIN ahead of a gap: ack_war_cnt in \
                ack_war_timewindow for each connection, spaced evenly here; each in TIME-WAIT. Only FreeBSD's RACK \
                and BBR stacks count them, its default one has no limit",
        ("ctf_ack_war_checks() in rack_bbr_common.c; our choice, so that answers end", Chosen),
        |_| {},
    ),
    does(
        "listen",
        "a backlog of n holds 3n/2 + 1 connections that wait for accept; 128 hold 193",
        ("sonewconn() in uipc_socket.c; the report `193/0/128`", Specified),
        |s| s.queues = QueueRule::Syncache,
    ),
    does(
        "SYN queue",
        "one cache for the whole host, hashsize rows of bucketlimit places: one SYN more pushes the oldest of its row out",
        SYNCACHE,
        |s| s.queues = QueueRule::Syncache,
    ),
    does(
        "SYN cookies",
        "every SYN-ACK has one for its number; it counts for 15 s after its row has overflowed, and while the cache is paused. \
                What finds no place in a full cache and an empty row is answered by one, which counts no sooner",
        ("syncache_add(), syncache_expand() in tcp_syncache.c, SYNCOOKIE_LIFETIME in tcp_syncache.h", Specified),
        |s| s.queues = QueueRule::Syncache,
    ),
    does(
        "SYN queue overflow",
        "while cookies are used the cache is paused from then on: nothing new is remembered, only cookies open, and what is half \
                open is forgotten at its row's next timeout. For 15 s; twice as long as the last time, up to 960 s, where \
                that has ended no longer ago than it lasted. To the nanosecond here, to the second there; which 4-tuples \
                share a row is our own choice",
        ("syncache_pause(), syncache_cookiesonly(), syncache_timer() in tcp_syncache.c", Specified),
        |s| s.queues = QueueRule::Syncache,
    ),
    does(
        "what a SYN cookie keeps",
        "one of 8 MSS, one of 7 window scales, SACK permitted, which of two keys",
        MEMORY,
        |_| {},
    ),
    does(
        "accept queue full",
        "keeps no SYN out; the third segment is answered by RST, or dropped by rst_on_sock_fail, and the half-open \
                connection is forgotten either way",
        ("syncache_expand() in tcp_syncache.c, tcp_input() in tcp_input.c", Specified),
        |_| {},
    ),
    does(
        "resets and ICMP errors for what nobody takes",
        "icmplim in a second each of resets from closed ports, of resets from ports that someone listens on, and of ICMP \
                errors; errppslimit ICMPv6 errors",
        ("badport_bandlim() in ip_icmp.c, tcp_dropwithreset() in tcp_input.c, icmp6_ratelimit() in icmp6.c", Specified),
        |_| {},
    ),
    does("close of a listener", "half-open connections end with what next happens to them", MEMORY, |_| {}),
    does(
        "bind to a port in use",
        "EADDRINUSE unless both sockets have SO_REUSEADDR and none listens there; TIME-WAIT asks for it on the new \
                socket only",
        MEMORY,
        |s| s.bind_rule = BindRule::LeftYields,
    ),
    does("ephemeral port", "a random one, or the next free one behind it", RANGE, |_| {}),
    does(
        "SYN options",
        "MSS, NOP, window scale, SACK permitted, timestamps; padded at the end",
        ("packetdrill scripts for FreeBSD", Documented),
        |s| s.knobs.syn_layout = SynLayout::Bsd,
    ),
    does(
        "buffers",
        "hold a whole number of segments: each grows to the next multiple of the MSS once that is known, up to \
                kern.ipc.maxsockbuf",
        ("tcp_mss() in tcp_input.c", Specified),
        |_| {},
    ),
    does(
        "text and FIN beyond the window",
        "are taken as far as the receive buffer has room, though silly-window avoidance has told less",
        DO_SEGMENT,
        |s| s.knobs.checks = CheckRule::Bsd,
    ),
    does(
        "window",
        "all that is free of the receive buffer, told by every acknowledgment, after the peer's FIN too; scaled for \
                kern.ipc.maxsockbuf: by 6 where that is 2 MB",
        ("tcp_output() in tcp_output.c, tcp_connect() in tcp_usrreq.c, syncache_add() in tcp_syncache.c", Specified),
        |s| s.knobs.window = WindowRule::Bsd,
    ),
];
