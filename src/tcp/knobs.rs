use super::Ticks;
use super::give_up::GiveUp;
use crate::endpoint::{Congestion, Errno};
use crate::time::{Span, ms, secs};

/// How TCP behaves on one host: what its profile, sysctls and teaching settings say, as plain data.
///
/// The default is what RFC 9293 and the RFCs it names ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// RTO before the first measurement (RFC 6298 2.1).
    pub rto_init: Span,
    /// Least RTO (RFC 6298 2.4).
    pub rto_min: Span,
    /// Greatest RTO, backed off or not (RFC 6298 2.5).
    pub rto_max: Span,
    /// RTO once data flows after a SYN had to be retransmitted (RFC 6298 5.7).
    pub rto_after_syn_loss: Span,
    /// Clock granularity G (RFC 6298 2.3).
    pub clock_granularity: Span,
    /// SYN timeouts that do not back off.
    pub syn_linear_timeouts: u8,
    /// When an active open gives up (RFC 9293 3.8.3: R2 for a SYN, at least 3 minutes).
    pub syn_give_up: GiveUp,
    /// When a half-open connection is dropped.
    pub synack_give_up: GiveUp,
    /// Retransmissions after which the network layer is told (RFC 9293 3.8.3: R1, at least 3).
    pub r1: u8,
    /// When a connection with unacknowledged data is given up (RFC 9293 3.8.3: R2, at least 100 s).
    pub r2: GiveUp,
    /// The same for a connection that nobody owns; `None`: as `r2`.
    pub orphan_give_up: Option<GiveUp>,
    /// Least and greatest interval of zero-window probes (RFC 9293 3.8.6.1).
    pub persist: (Span, Span),
    /// Override timeout of the sender's silly-window avoidance (RFC 9293 3.8.6.2.1: 0.1 s to 1 s), which also
    /// ends a cork; none: the RTO.
    pub sws_override: Option<Span>,
    /// Greatest delay of an ACK (RFC 9293 3.8.6.3: below 0.5 s); zero: none is delayed.
    pub delayed_ack: Span,
    /// Keepalive of connections that set nothing of their own.
    pub keepalive: KeepAlive,
    /// Whether keepalive is on for every connection, asked for or not.
    pub always_keepalive: bool,
    /// Length of TIME-WAIT, 2MSL (RFC 9293 3.6.1).
    pub time_wait: Span,
    /// Whether TIME-WAIT ignores RST (RFC 1337).
    pub time_wait_ignores_rst: bool,
    /// Length of FIN-WAIT-2 once nobody owns the connection; `None`: it ends with the connection only.
    pub fin_wait2: Option<Span>,
    /// By how much FIN-WAIT-2 that nobody owns is prolonged when its time is over and the peer was heard in it, at its first
    /// instant too (`tcp_timer_2msl()` of BSD); none: by nothing.
    pub fin_wait2_again: Option<Span>,
    /// What TIME-WAIT and a FIN-WAIT-2 that nobody owns answer.
    pub closing: ClosingRule,
    /// What a segment has to pass before its acknowledgment counts.
    pub checks: CheckRule,
    /// The error of a connection that is reset after the peer's FIN: in CLOSE-WAIT, and when both ends have closed; none:
    /// then it has ended in order (RFC 9293 3.10.7.4).
    pub reset_after_fin: (Errno, Option<Errno>),
    /// Whether the text and the FIN of a SYN-ACK are taken (RFC 9293 3.10.7.3, fourth).
    pub syn_ack_text: bool,
    /// After how many ticks a SYN that went once goes again where an old acknowledgment answers it; none: no sooner.
    pub syn_again: Option<u8>,
    /// Whether new data is answered by RST once the application has shut both directions down.
    pub reset_shut: bool,
    /// Challenge ACKs in a span, host-wide (RFC 5961 7); `None`: no limit.
    pub challenge_acks: Option<(u32, Span)>,
    /// Whether that number is drawn anew for each second of the clock, from half of it to one and a half times as much, so
    /// that nobody can find out what others are sent by counting (`tcp_challenge_ack_allowed()`).
    pub challenges_vary: bool,
    /// Least time between the answers to two segments of one connection that lie outside its window and occupy no
    /// sequence numbers (RFC 5961 7); zero: each is answered. What does occupy some is always answered: it may be a
    /// retransmission whose acknowledgment was lost.
    pub empty_answers: Span,
    /// Whether only an exact RST resets (RFC 5961 3); otherwise any in the window does (RFC 793).
    pub rst_exact: bool,
    /// Whether, once the peer's FIN is acknowledged, a RST with the number of that FIN resets too (`tcp_reset_check()`):
    /// the peer may have sent it before.
    pub rst_of_fin: bool,
    /// What ICMP errors do to connections.
    pub icmp: IcmpRule,
    /// Smallest path MTU that an ICMP error is believed.
    pub min_mtu: u16,
    /// The least MSS of a peer that is believed (`tcp_min_snd_mss`): smaller segments would cost more than they carry.
    pub min_mss: u16,
    /// Initial congestion window in segments; `None`: RFC 5681 3.1.
    pub initial_window: Option<u16>,
    /// How losses are found and repaired, and how the congestion window moves.
    pub losses: Losses,
    /// Duplicate ACKs that start fast retransmit (RFC 5681 3.2); 0 turns it off.
    pub dup_acks: u8,
    /// Whether the congestion window shrinks after an idle RTO (RFC 5681 4.1).
    pub restart_after_idle: bool,
    /// Whether window scaling is offered and accepted (RFC 7323 2).
    pub window_scale: bool,
    /// Whether timestamps are offered and accepted (RFC 7323 3).
    pub timestamps: bool,
    /// Whether a segment without a timestamp is taken where timestamps were agreed on, though RFC 7323 3.2 says that it
    /// should be dropped.
    pub missing_timestamps: bool,
    /// Whether closing with unread data, and data after that, is answered by RST (RFC 9293 3.6.1).
    pub reset_unread: bool,
    /// Whether selective acknowledgments are offered and accepted (RFC 2018).
    pub sack: bool,
    /// Whether what came twice is reported where SACK is used (RFC 2883).
    pub dsack: bool,
    /// How many runs of what waits ahead a receiver remembers, each as far as segments have told it; none: every run as it
    /// stands in the queue (RFC 2018 4).
    pub sack_memory: Option<u8>,
    /// In which order a SYN's options stand.
    pub syn_layout: SynLayout,
    /// The kernel's clock tick.
    pub ticks: Ticks,
    /// How the RTO follows from measurements.
    pub rtt: RttRule,
    /// When acknowledgments are delayed.
    pub acks: AckRule,
    /// How large the offered window is.
    pub window: WindowRule,
    /// The most bytes that a buffer is enlarged to, to hold a whole number of segments, when the peer's MSS is known
    /// (`tcp_mss()` of BSD); none: it stays as it is.
    pub whole_buffers: Option<u32>,
    /// What a partial segment waits for.
    pub nagle: NagleRule,
    /// Whether a reset that ends a connection carries window and options as any acknowledgment does.
    pub full_resets: bool,
    /// Whether a connection that is given up resets the peer too.
    pub give_up_resets: GiveUpReset,
    /// Whether an ICMP error about a retransmission takes its doubling of the RTO back (RFC 6069).
    pub unreachable_undoes_backoff: bool,
    /// Whether the SYN-ACK of a simultaneous open has all that the SYN had, and the one that comes is acknowledged as a
    /// duplicate; otherwise it has what both agree on (RFC 9293 3.5, figure 7).
    pub crossing_repeats_syn: bool,
    /// What a zero-window probe is.
    pub window_probe: WindowProbe,
    /// Whether the last segment in flight is sent again before the RTO (RFC 8985 7).
    pub loss_probe: bool,
    /// What a half-open connection of a listener makes of segments.
    pub syn_received: SynReceivedRule,
    /// Whether ECN is agreed on in SYNs.
    pub ecn: EcnRule,
    /// Added to every RTO, backed off or not, that is not the one before the first try: what a peer may take to delay its
    /// acknowledgment (FreeBSD, `TCPT_RANGESET`).
    pub rto_slop: Span,
    /// The most doublings of an RTO, whatever `rto_max` allows.
    pub rto_doublings: u8,
    /// Whether a SYN in a synchronized state is challenged (RFC 5961 4.2); otherwise one in the window ends the
    /// connection (RFC 793 3.9, fourth), and one outside is like any other segment there.
    pub syn_challenged: bool,
    /// How long the acknowledgment of what comes out of order is held back at most, from the fourth in a row on, and how many
    /// are held back so; 0: none (`__tcp_ack_snd_check()`).
    pub compress_acks: (Span, u32),
    /// How long Fast Open pauses after a network has swallowed it; zero: not at all (RFC 7413 4.1.3).
    pub fast_open_pause: Span,
    /// Teaching: how a passive open is established.
    pub handshake: Handshake,
}

/// What TIME-WAIT and a FIN-WAIT-2 that nobody owns answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosingRule {
    /// RFC 9293 3.10.7.4, with RFC 6191 for SYNs.
    Rfc9293,
    /// `tcp_timewait_state_process()`: nearly everything starts TIME-WAIT anew. A FIN-WAIT-2 that may last longer than
    /// TIME-WAIT is two waits, of which only the second is for the small machine.
    Linux,
    /// `tcp_twcheck()` of BSD: no RST counts (RFC 1337), a SYN opens by its number alone, and only the FIN that comes
    /// again starts TIME-WAIT anew.
    Bsd,
}

/// What a segment has to pass before its acknowledgment counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckRule {
    /// RFC 9293 3.10.7.4 with RFC 5961 and RFC 7323.
    Rfc9293,
    /// `tcp_validate_incoming()`: a timestamp may be one tick old, a RST may stand at the end of what came out of order,
    /// and [`Knobs::empty_answers`] also limits the challenge ACKs of each connection.
    Linux,
    /// `tcp_do_segment()` of BSD: RST and SYN come first, and the window that they are held against begins at the last
    /// acknowledgment that was sent, not at RCV.NXT. Of what has an old timestamp, only data is answered. What is old and
    /// what a closed window does not take bring their acknowledgment. Ends that count on this may repeat a FIN: each
    /// acknowledgment that is sent while it is not acknowledged has it again (`tcp_output()`).
    Bsd,
}

/// How losses are found and repaired; all but the rule concerns [`RecoveryRule::Segments`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losses {
    /// How losses are found and repaired.
    pub rule: RecoveryRule,
    /// How the congestion window moves.
    pub congestion: Congestion,
    /// Whether losses are found by time (RFC 8985) rather than by counting.
    pub rack: bool,
    /// Whether a timeout is checked for having been spurious (RFC 5682).
    pub frto: bool,
    /// Segments by which others may be displaced before they are taken for lost, and the most that this is raised to.
    pub reordering: u32,
    /// See [`Losses::reordering`].
    pub max_reordering: u32,
    /// The least segments in a unit of segmentation offload, and the part of the window that is sent at once rather than
    /// held back to become a larger unit; 0: more than three segments.
    pub units: (u32, u32),
    /// How long the least round trip is remembered.
    pub min_rtt_window: Span,
}

/// How losses are found and repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryRule {
    /// NewReno by bytes (RFC 5681, RFC 6582).
    Rfc6582,
    /// By segments with a scoreboard, as Linux does: SACK (RFC 6675) or RACK (RFC 8985), PRR (RFC 6937), undoing.
    Segments,
}

/// In which order the options of a SYN stand, and how they are padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynLayout {
    /// MSS, window scale, SACK permitted, timestamps, each padded to four bytes in front (RFC 7323 appendix A).
    Rfc,
    /// As `tcp_options_write()` does: MSS, SACK permitted with timestamps, window scale.
    Linux,
    /// As `tcp_addoptions()` of BSD does: MSS, window scale, SACK permitted, timestamps, with as little padding in front
    /// of each as aligns its value, and the end of the list behind.
    Bsd,
}

/// How the RTO follows from measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RttRule {
    /// RFC 6298 2.
    Rfc6298,
    /// `tcp_rtt_estimator()`: microseconds, the variation is the greatest of each round trip.
    Linux,
}

/// When acknowledgments are delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckRule {
    /// By [`Knobs::delayed_ack`], and every second full segment at once (RFC 9293 3.8.6.3).
    Delay,
    /// Of one segment, never of two (`DELAY_ACK()` of BSD). What repeats a part of what came in or out of order is reported
    /// (RFC 2883) at once.
    Bsd,
    /// Not for the first segments of a connection, and then by the pace of arrivals (`tcp_event_data_recv()`).
    Linux,
}

/// How large the offered window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowRule {
    /// The free part of the receive buffer.
    Buffer,
    /// The same, and every acknowledgment tells all of it, after the peer's FIN too, but not less than a segment where that is
    /// less than a quarter of the buffer (`tcp_output()` of BSD).
    Bsd,
    /// Half of the buffer at most, and no more than what has arrived justifies (`tcp_grow_window()`).
    Linux,
}

/// What a partial segment waits for without `TCP_NODELAY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NagleRule {
    /// That all in flight is acknowledged (RFC 9293 3.7.4).
    All,
    /// That the last partial segment in flight is acknowledged (Minshall's variant, `tcp_minshall_check()`).
    Partial,
}

/// What a zero-window probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowProbe {
    /// One byte of what waits (RFC 9293 3.8.6.1).
    Byte,
    /// No data, before the window: the peer must answer (`tcp_xmit_probe_skb()`).
    Empty,
}

/// What a half-open connection of a listener makes of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynReceivedRule {
    /// RFC 9293 3.10.7.4.
    Rfc9293,
    /// `tcp_check_req()`: a SYN in the window is answered by RST and ends it, what acknowledges something else goes to
    /// the listener, and answers to what lies outside the window are limited.
    Linux,
    /// The syncache of BSD: any SYN is the first one again, a SYN-ACK ends it, and so does an acknowledgment outside the
    /// window or of something else (`syncache_add()`, `syncache_badack()`, `syncache_expand()`).
    Bsd,
}

/// Whether ECN (RFC 3168) is agreed on in SYNs; data then leaves as ECN-capable, marks are echoed and obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnRule {
    /// Neither asked for nor agreed to.
    Never,
    /// Agreed to where a SYN asks for it.
    Accept,
    /// Asked for too, in the first SYN of an active open and in no repeated one (RFC 3168 6.1.1.1).
    Ask,
}

/// What ICMP errors do to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpRule {
    /// Hard ones end an attempt to connect, soft ones must not (RFC 9293 3.9.2.2, RFC 5461).
    Rfc9293,
    /// Soft ones do too (`tcp_v4_err()`).
    Linux,
    /// `tcp_ctlinput()` of BSD.
    Bsd {
        /// Whether what refuses the segment, and an exceeded TTL, end SYN-SENT at once, and do nothing to other states
        /// (`tcp_drop_syn_sent()`).
        may_reset: bool,
    },
}

/// When giving a connection up resets the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUpReset {
    /// Never.
    Never,
    /// At the end of keepalive (RFC 9293 3.8.4 leaves it open).
    Keepalive,
    /// Always, once the peer's SYN has come (`tcp_drop()` of BSD).
    Always,
}

/// Keepalive (RFC 9293 3.8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Span,
    /// Time between probes.
    pub interval: Span,
    /// Unanswered probes that end the connection.
    pub count: u8,
}

/// How long FIN-WAIT-2 lasts once nobody owns the connection (`TCP_LINGER2`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linger2 {
    /// As [`Knobs::fin_wait2`] says.
    #[default]
    System,
    /// So long.
    For(Span),
    /// Not at all: a reset ends the connection.
    Never,
}

/// How a passive open is established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// RFC 9293: on the acknowledgment of our SYN.
    ThreeWay,
    /// Teaching: at once, on the SYN; what old duplicates do then is the lesson (RFC 9293 3.5, figure 9).
    TwoWay,
}

/// What a connection is born with: its socket's options and what the host knows about the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The MSS to announce: the interface's MTU without IP and TCP header, or less (`TCP_MAXSEG`).
    pub mss: u16,
    /// The MSS of a peer that announces none: 536, for IPv6 1220 (RFC 9293 3.7.1).
    pub default_mss: u16,
    /// Bytes of IP and TCP header without options: 40, for IPv6 60.
    pub overhead: u16,
    /// Receive buffer in bytes; bounds the window.
    pub rcv_buf: u32,
    /// What the receive buffer may grow to by itself.
    pub rcv_buf_most: u32,
    /// Send buffer in bytes.
    pub snd_buf: u32,
    /// What the send buffer may grow to by itself.
    pub snd_buf_most: u32,
    /// `TCP_NOTSENT_LOWAT`: with so much written and not sent nothing more is taken, and with half of it the socket is not
    /// writable any more.
    pub notsent_lowat: u32,
    /// Window scale to offer, where the knob is on (0 to 14).
    pub window_shift: u8,
    /// Added to the timestamp clock, where the knob is on.
    pub ts_offset: u32,
    /// TSecr of the SYN: the last timestamp of the incarnation before, where the profile uses its 4-tuple again.
    pub ts_echo: Option<u32>,
    /// `TCP_NODELAY`.
    pub nodelay: bool,
    /// `TCP_CORK`.
    pub cork: bool,
    /// `TCP_QUICKACK`: no ACK is delayed.
    pub quick_ack: bool,
    /// `SO_OOBINLINE`.
    pub oob_inline: bool,
    /// `SO_KEEPALIVE` with its times.
    pub keepalive: Option<KeepAlive>,
    /// `TCP_USER_TIMEOUT`: takes the place of R2 (RFC 5482).
    pub user_timeout: Option<Span>,
    /// `TCP_LINGER2`: how long FIN-WAIT-2 lasts once nobody owns the connection.
    pub linger2: Linger2,
    /// `TCP_SYNCNT`: takes the place of `syn_give_up`.
    pub syn_count: Option<u8>,
    /// What is said of the way to the peer, and of the socket's sender.
    pub route: Route,
}

/// What the socket and the routing table say of one connection; what they do not say is as the knobs have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// `TCP_CONGESTION`, or the route's `congctl`.
    pub congestion: Option<Congestion>,
    /// `initcwnd`: the initial congestion window in segments.
    pub initial_window: Option<u32>,
    /// `initrwnd`: the first window that is offered, in segments at most.
    pub initial_offer: Option<u32>,
    /// `rto_min`.
    pub rto_min: Option<Span>,
    /// `features ecn`: ECN is asked for.
    pub asks_ecn: bool,
}

impl Default for Knobs {
    fn default() -> Knobs {
        Knobs {
            rto_init: secs(1),
            rto_min: secs(1),
            rto_max: secs(60),
            rto_after_syn_loss: secs(3),
            clock_granularity: ms(1),
            syn_linear_timeouts: 0,
            syn_give_up: GiveUp::After(secs(180)),
            synack_give_up: GiveUp::After(secs(180)),
            r1: 3,
            r2: GiveUp::After(secs(100)),
            orphan_give_up: None,
            persist: (secs(1), secs(60)),
            sws_override: Some(ms(500)),
            unreachable_undoes_backoff: false,
            crossing_repeats_syn: false,
            delayed_ack: ms(200),
            keepalive: KeepAlive { idle: secs(7200), interval: secs(75), count: 9 },
            always_keepalive: false,
            time_wait: secs(240),
            time_wait_ignores_rst: false,
            fin_wait2: None,
            fin_wait2_again: None,
            closing: ClosingRule::Rfc9293,
            checks: CheckRule::Rfc9293,
            reset_after_fin: (Errno::ECONNRESET, None),
            syn_ack_text: true,
            syn_again: None,
            reset_shut: false,
            challenge_acks: Some((10, secs(5))),
            challenges_vary: false,
            empty_answers: ms(500),
            rst_exact: true,
            rst_of_fin: false,
            icmp: IcmpRule::Rfc9293,
            min_mtu: 68,
            min_mss: 1,
            initial_window: None,
            losses: Losses::default(),
            dup_acks: 3,
            restart_after_idle: true,
            window_scale: false,
            timestamps: false,
            missing_timestamps: false,
            reset_unread: true,
            sack: false,
            dsack: true,
            sack_memory: None,
            syn_layout: SynLayout::Rfc,
            ticks: Ticks::default(),
            rtt: RttRule::Rfc6298,
            acks: AckRule::Delay,
            window: WindowRule::Buffer,
            whole_buffers: None,
            nagle: NagleRule::All,
            full_resets: false,
            give_up_resets: GiveUpReset::Never,
            window_probe: WindowProbe::Byte,
            loss_probe: false,
            syn_received: SynReceivedRule::Rfc9293,
            ecn: EcnRule::Never,
            rto_slop: Span::ZERO,
            rto_doublings: u8::MAX,
            syn_challenged: true,
            compress_acks: (Span::ZERO, 0),
            fast_open_pause: Span::ZERO,
            handshake: Handshake::ThreeWay,
        }
    }
}

impl Default for Losses {
    /// RFC 5681 and RFC 6582.
    fn default() -> Losses {
        Losses {
            rule: RecoveryRule::Rfc6582,
            congestion: Congestion::Reno,
            rack: false,
            frto: false,
            reordering: 3,
            max_reordering: 300,
            units: (2, 3),
            min_rtt_window: secs(300),
        }
    }
}

impl Default for Setup {
    /// Ethernet and IPv4, buffers of 64 KiB.
    fn default() -> Setup {
        Setup {
            mss: 1460,
            default_mss: 536,
            overhead: 40,
            rcv_buf: 65_535,
            rcv_buf_most: 0,
            snd_buf: 65_536,
            snd_buf_most: 0,
            notsent_lowat: u32::MAX,
            window_shift: 0,
            ts_offset: 0,
            ts_echo: None,
            nodelay: false,
            cork: false,
            quick_ack: false,
            oob_inline: false,
            keepalive: None,
            user_timeout: None,
            linger2: Linger2::System,
            syn_count: None,
            route: Route::default(),
        }
    }
}
