use super::Host;
use super::config::{BufferRule, Settings};
use super::fast_open::Uses;
use super::output::IpHeader;
use super::ports::{BindRule, Sharing};
use super::sockets::{Role, Socket};
use crate::endpoint::{Congestion, Cx, Errno, Family, FastOpenKey, PathMtu, RouteMetrics, SockOpt, SocketId};
use crate::tcp::{ClosingRule, KeepAlive, Knobs, Linger2, RecoveryRule, Route, Setup, WindowRule};
use crate::time::{Span, ms, secs};

/// The options of one socket; what is unset follows the sysctls.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) reuse: Sharing,
    pub(super) v6_only: bool,
    pub(super) linger: Option<Span>,
    pub(super) receive_buffer: u32,
    /// Whether the application has chosen it.
    is_receive_buffer_set: bool,
    pub(super) send_buffer: u32,
    is_send_buffer_set: bool,
    keepalive: bool,
    keepalive_times: KeepAlive,
    oob_inline: bool,
    nodelay: bool,
    cork: bool,
    quick_ack: bool,
    max_seg: Option<u16>,
    pub(super) syn_count: Option<u8>,
    /// Timeouts of a SYN-ACK that a third segment without data waits for.
    pub(super) defer_accept: u8,
    user_timeout: Span,
    linger2: Linger2,
    /// `TCP_FASTOPEN`: connections of a listener that may be without a third segment.
    pub(super) fast_open: u32,
    pub(super) fast_open_connect: bool,
    pub(super) fast_open_no_cookie: bool,
    pub(super) fast_open_key: Option<FastOpenKey>,
    /// `TCP_NOTSENT_LOWAT`; 0 for the host's.
    notsent_lowat: u32,
    told: Told,
}

/// Options that are kept and told again; but for those of IP headers, they change nothing that this host does yet.
#[derive(Clone, Copy, Debug)]
struct Told {
    inq: bool,
    congestion: Option<Congestion>,
    max_pacing_rate: u64,
    tos: u8,
    ttl: u8,
    mtu_discover: PathMtu,
}

/// The least MSS that `TCP_MAXSEG` takes, as on Linux.
const MIN_MSS: u16 = 88;

impl Options {
    pub(super) fn new(settings: &Settings) -> Options {
        Options {
            reuse: Sharing::default(),
            v6_only: false,
            linger: None,
            receive_buffer: settings.receive_buffer[1],
            is_receive_buffer_set: false,
            send_buffer: settings.send_buffer[1],
            is_send_buffer_set: false,
            keepalive: false,
            keepalive_times: settings.knobs.keepalive,
            oob_inline: false,
            nodelay: false,
            cork: false,
            quick_ack: false,
            max_seg: None,
            syn_count: None,
            defer_accept: 0,
            user_timeout: Span::ZERO,
            linger2: Linger2::System,
            fast_open: 0,
            fast_open_connect: false,
            fast_open_no_cookie: false,
            fast_open_key: None,
            notsent_lowat: 0,
            told: Told {
                inq: false,
                congestion: None,
                max_pacing_rate: u64::MAX,
                tos: 0,
                ttl: settings.ttl,
                mtu_discover: PathMtu::Want,
            },
        }
    }

    fn keepalive(&self) -> Option<KeepAlive> {
        self.keepalive.then_some(self.keepalive_times)
    }

    fn lowat(&self, settings: &Settings) -> u32 {
        [self.notsent_lowat, settings.notsent_lowat].into_iter().find(|&bytes| bytes > 0).unwrap_or(u32::MAX)
    }

    fn user_timeout(&self) -> Option<Span> {
        Some(self.user_timeout).filter(|&span| span != Span::ZERO)
    }

    /// What a connection over a path with this MTU is born with.
    pub(super) fn setup(
        &self,
        mtu: u32,
        v6: bool,
        settings: &Settings,
        ts_offset: u32,
        metrics: Option<&RouteMetrics>,
    ) -> Setup {
        let overhead: u16 = if v6 { 60 } else { 40 };
        // RFC 9293 3.7.1, RFC 6691: the MSS counts neither IP nor TCP options.
        let fits = u16::try_from(mtu.saturating_sub(overhead.into())).unwrap_or(u16::MAX).max(1);
        let scale =
            |largest: u32| u8::try_from(largest.checked_ilog2().unwrap_or(0).saturating_sub(15).min(14)).unwrap_or(0);
        let shift = match settings.knobs.window {
            // For the greatest buffer there may be, whatever size this one has.
            WindowRule::Bsd => scale_for(settings.receive_buffer[2]),
            WindowRule::Buffer => scale(self.receive_buffer),
            // tcp_select_initial_window(): for what autotuning may make of the buffer, unless the application has set it.
            WindowRule::Linux if self.is_receive_buffer_set => scale(self.receive_buffer / 2),
            WindowRule::Linux => scale(settings.receive_buffer[2].max(settings.buffer_most[0])),
        };
        let mss = self.max_seg.unwrap_or(fits).min(fits);
        Setup {
            mss: metrics
                .and_then(|metrics| metrics.advmss)
                .map_or(mss, |most| mss.min(u16::try_from(most).unwrap_or(mss))),
            default_mss: if v6 { 1_220 } else { 536 },
            overhead,
            rcv_buf: self.receive_buffer,
            rcv_buf_most: match settings.moderate {
                true if !self.is_receive_buffer_set => settings.receive_buffer[2],
                _ => self.receive_buffer,
            },
            snd_buf: self.send_buffer,
            snd_buf_most: match settings.knobs.losses.rule {
                RecoveryRule::Segments if !self.is_send_buffer_set => settings.send_buffer[2],
                _ => self.send_buffer,
            },
            notsent_lowat: self.lowat(settings),
            window_shift: if settings.knobs.window_scale { shift } else { 0 },
            ts_offset,
            ts_echo: None,
            nodelay: self.nodelay,
            cork: self.cork,
            quick_ack: self.quick_ack || metrics.is_some_and(|metrics| metrics.quick_ack),
            oob_inline: self.oob_inline,
            keepalive: self.keepalive(),
            user_timeout: self.user_timeout(),
            linger2: self.linger2,
            syn_count: self.syn_count,
            route: match metrics {
                None => Route { congestion: self.told.congestion, ..Route::default() },
                Some(metrics) => self.route(metrics),
            },
        }
    }

    /// What the route to the peer says, where the socket itself does not (`tcp_init_metrics()`, `tcp_ca_dst_init()`).
    #[inline(never)]
    fn route(&self, metrics: &RouteMetrics) -> Route {
        Route {
            congestion: self.told.congestion.or(metrics.congestion.as_deref().and_then(Congestion::from_name)),
            initial_window: metrics.initcwnd,
            initial_offer: metrics.initrwnd,
            rto_min: metrics.rto_min.map(|millis| ms(millis.into())),
            asks_ecn: metrics.ecn,
        }
    }

    /// What the socket says of IP headers; the bits of ECN are TCP's (`ip_sock_set_tos()`).
    pub(super) fn ip_header(&self) -> IpHeader {
        IpHeader { tos: self.told.tos & !3, ttl: self.told.ttl }
    }

    /// Takes an option that concerns nobody else.
    fn set(&mut self, settings: &Settings, option: SockOpt) -> Result<(), Errno> {
        match option {
            // The second of the two is refused, as is reported of Windows.
            SockOpt::ReuseAddr(true) if self.reuse.exclusive => return Err(Errno::EINVAL),
            SockOpt::ExclusiveAddrUse(on) if settings.bind_rule == BindRule::Windows => {
                if on && self.reuse.addr {
                    return Err(Errno::EINVAL);
                }
                self.reuse.exclusive = on;
            }
            SockOpt::ReuseAddr(on) => self.reuse.addr = on,
            SockOpt::ReusePort(on) => self.reuse.port = on,
            SockOpt::KeepAlive(on) => self.keepalive = on,
            SockOpt::Linger(linger) => self.linger = linger,
            SockOpt::SendBuffer(n) => {
                self.send_buffer = settings.buffers.size(n, settings.send_buffer, settings.buffer_most[1]);
                self.is_send_buffer_set = true;
            }
            SockOpt::ReceiveBuffer(n) => {
                self.receive_buffer = settings.buffers.size(n, settings.receive_buffer, settings.buffer_most[0]);
                self.is_receive_buffer_set = true;
            }
            SockOpt::OobInline(on) => self.oob_inline = on,
            SockOpt::NoDelay(on) => self.nodelay = on,
            SockOpt::Cork(on) => self.cork = on,
            SockOpt::QuickAck(on) => self.quick_ack = on,
            SockOpt::MaxSeg(mss) if mss >= MIN_MSS => self.max_seg = Some(mss),
            SockOpt::SynCount(n @ 1..=127) => self.syn_count = Some(n),
            SockOpt::UserTimeout(span) => self.user_timeout = span,
            SockOpt::KeepIdle(span) if span > Span::ZERO => self.keepalive_times.idle = span,
            SockOpt::KeepInterval(span) if span > Span::ZERO => self.keepalive_times.interval = span,
            SockOpt::KeepCount(n @ 1..=127) => self.keepalive_times.count = n,
            SockOpt::V6Only(on) => self.v6_only = on,
            SockOpt::DeferAccept(span) if settings.defer_accept => {
                self.defer_accept = timeouts_within(span, &settings.knobs);
            }
            SockOpt::Linger2(span) => self.linger2 = linger2(span, settings),
            SockOpt::NotSentLowat(n) => self.notsent_lowat = n,
            SockOpt::Inq(on) => self.told.inq = on,
            SockOpt::Congestion(name) => self.told.congestion = Some(name),
            SockOpt::MaxPacingRate(n) => self.told.max_pacing_rate = n,
            SockOpt::Tos(n) => self.told.tos = n,
            SockOpt::Ttl(n) => self.told.ttl = n,
            SockOpt::MtuDiscover(how) => self.told.mtu_discover = how,
            // do_tcp_setsockopt()
            SockOpt::FastOpen(most) if settings.has_fast_open => {
                self.fast_open =
                    i32::try_from(most).map(|_| most.min(settings.somaxconn)).map_err(|_| Errno::EINVAL)?;
            }
            SockOpt::FastOpenConnect(_) if !settings.fast_open.contains(Uses::CLIENT) => {
                return Err(if settings.has_fast_open { Errno::EOPNOTSUPP } else { Errno::ENOPROTOOPT });
            }
            SockOpt::FastOpenConnect(on) => self.fast_open_connect = on,
            SockOpt::FastOpenNoCookie(on) if settings.has_fast_open => self.fast_open_no_cookie = on,
            SockOpt::FastOpenKey(key) if settings.has_fast_open => self.fast_open_key = Some(key),
            SockOpt::Error(_)
            | SockOpt::ExclusiveAddrUse(_)
            | SockOpt::DeferAccept(_)
            | SockOpt::FastOpen(_)
            | SockOpt::FastOpenNoCookie(_)
            | SockOpt::FastOpenKey(_)
            | SockOpt::ReceiveLowat(_) => return Err(Errno::ENOPROTOOPT),
            SockOpt::MaxSeg(_)
            | SockOpt::SynCount(_)
            | SockOpt::KeepIdle(_)
            | SockOpt::KeepInterval(_)
            | SockOpt::KeepCount(_) => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    fn get(&self, settings: &Settings, option: SockOpt) -> Result<SockOpt, Errno> {
        Ok(match option {
            SockOpt::ReuseAddr(_) => SockOpt::ReuseAddr(self.reuse.addr),
            SockOpt::ReusePort(_) => SockOpt::ReusePort(self.reuse.port),
            SockOpt::ExclusiveAddrUse(_) if settings.bind_rule == BindRule::Windows => {
                SockOpt::ExclusiveAddrUse(self.reuse.exclusive)
            }
            SockOpt::KeepAlive(_) => SockOpt::KeepAlive(self.keepalive),
            SockOpt::Linger(_) => SockOpt::Linger(self.linger),
            SockOpt::SendBuffer(_) => SockOpt::SendBuffer(self.send_buffer),
            SockOpt::ReceiveBuffer(_) => SockOpt::ReceiveBuffer(self.receive_buffer),
            SockOpt::OobInline(_) => SockOpt::OobInline(self.oob_inline),
            SockOpt::NoDelay(_) => SockOpt::NoDelay(self.nodelay),
            SockOpt::Cork(_) => SockOpt::Cork(self.cork),
            SockOpt::QuickAck(_) => SockOpt::QuickAck(self.quick_ack),
            SockOpt::MaxSeg(_) => SockOpt::MaxSeg(self.max_seg.unwrap_or(536)),
            SockOpt::SynCount(n) => SockOpt::SynCount(self.syn_count.unwrap_or(n)),
            SockOpt::UserTimeout(_) => SockOpt::UserTimeout(self.user_timeout),
            SockOpt::KeepIdle(_) => SockOpt::KeepIdle(self.keepalive_times.idle),
            SockOpt::KeepInterval(_) => SockOpt::KeepInterval(self.keepalive_times.interval),
            SockOpt::KeepCount(_) => SockOpt::KeepCount(self.keepalive_times.count),
            SockOpt::V6Only(_) => SockOpt::V6Only(self.v6_only),
            SockOpt::DeferAccept(_) if settings.defer_accept => {
                SockOpt::DeferAccept(span_of_timeouts(self.defer_accept, &settings.knobs))
            }
            SockOpt::Linger2(_) => SockOpt::Linger2(match self.linger2 {
                Linger2::System => settings.knobs.fin_wait2,
                Linger2::For(span) => Some(span),
                Linger2::Never => None,
            }),
            SockOpt::NotSentLowat(_) => SockOpt::NotSentLowat(self.notsent_lowat),
            SockOpt::Inq(_) => SockOpt::Inq(self.told.inq),
            SockOpt::Congestion(_) => {
                SockOpt::Congestion(self.told.congestion.unwrap_or(settings.knobs.losses.congestion))
            }
            SockOpt::MaxPacingRate(_) => SockOpt::MaxPacingRate(self.told.max_pacing_rate),
            SockOpt::Tos(_) => SockOpt::Tos(self.told.tos),
            SockOpt::Ttl(_) => SockOpt::Ttl(self.told.ttl),
            SockOpt::MtuDiscover(_) => SockOpt::MtuDiscover(self.told.mtu_discover),
            SockOpt::FastOpen(_) if settings.has_fast_open => SockOpt::FastOpen(self.fast_open),
            SockOpt::FastOpenConnect(_) if settings.has_fast_open => SockOpt::FastOpenConnect(self.fast_open_connect),
            SockOpt::FastOpenNoCookie(_) if settings.has_fast_open => {
                SockOpt::FastOpenNoCookie(self.fast_open_no_cookie)
            }
            SockOpt::FastOpenKey(_) if settings.has_fast_open => {
                SockOpt::FastOpenKey(self.fast_open_key.or(settings.fast_open_key).unwrap_or_default())
            }
            SockOpt::Error(_)
            | SockOpt::ExclusiveAddrUse(_)
            | SockOpt::DeferAccept(_)
            | SockOpt::FastOpen(_)
            | SockOpt::FastOpenConnect(_)
            | SockOpt::FastOpenNoCookie(_)
            | SockOpt::FastOpenKey(_)
            | SockOpt::ReceiveLowat(_) => return Err(Errno::ENOPROTOOPT),
        })
    }
}

/// The least scale by which a window of `bytes` can be told (`tcp_connect()` of BSD).
fn scale_for(bytes: u32) -> u8 {
    (0..14).find(|scale| u32::from(u16::MAX) << scale >= bytes).unwrap_or(14)
}

impl Host {
    pub(super) fn set_socket_option(&mut self, cx: &mut Cx<'_>, id: SocketId, option: SockOpt) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(id)?;
        applies(socket, option)?;
        if matches!(option, SockOpt::V6Only(_)) && socket.bound.is_some() {
            // RFC 3493 5.3 leaves it to the system; Linux refuses once the socket has an address.
            return Err(Errno::EINVAL);
        }
        // do_tcp_setsockopt(): what concerns the handshake is settled before it, or by a listener.
        let settled = match (option, &socket.role) {
            (SockOpt::FastOpen(_) | SockOpt::FastOpenNoCookie(_), Role::Waiting(_) | Role::Stream(_)) => true,
            (SockOpt::FastOpenConnect(_), role) => !matches!(role, Role::Idle),
            _ => false,
        };
        if settled {
            return Err(Errno::EINVAL);
        }
        socket.options.set(&self.settings, option)?;
        // Winsock: "setting or resetting the option after the bind has no effect on this or any other socket".
        let binds_once = self.settings.bind_rule == BindRule::Windows;
        if matches!(option, SockOpt::ReuseAddr(_) | SockOpt::ReusePort(_)) && !binds_once {
            self.share_anew(id)?;
        }
        let socket = self.sockets.get(id)?;
        if let (SockOpt::Tos(_) | SockOpt::Ttl(_), Role::Stream(stream)) = (option, &socket.role) {
            let (index, ip) = (stream.conn, socket.options.ip_header());
            self.set_ip_header(index, ip);
            return Ok(());
        }
        if let Role::Stream(stream) = &socket.role {
            let (options, index) = (socket.options.clone(), stream.conn);
            let lowat = options.lowat(&self.settings);
            self.touch(cx, index, |tcp, context| match option {
                SockOpt::KeepAlive(_) | SockOpt::KeepIdle(_) | SockOpt::KeepInterval(_) | SockOpt::KeepCount(_) => {
                    tcp.set_keepalive(context, options.keepalive());
                }
                SockOpt::NoDelay(on) => tcp.set_nodelay(context, on),
                SockOpt::Cork(on) => tcp.set_cork(context, on),
                SockOpt::QuickAck(on) => tcp.set_quick_ack(context, on),
                SockOpt::Congestion(name) => tcp.set_congestion(context, name),
                SockOpt::OobInline(on) => tcp.set_oob_inline(context, on),
                SockOpt::Linger2(_) => tcp.set_linger2(context, options.linger2),
                SockOpt::NotSentLowat(_) => tcp.set_notsent_lowat(context, lowat),
                SockOpt::SynCount(count) => tcp.set_syn_count(context, count),
                SockOpt::UserTimeout(_) => tcp.set_user_timeout(context, options.user_timeout()),
                SockOpt::SendBuffer(_) => tcp.set_send_buffer(context, options.send_buffer),
                SockOpt::ReceiveBuffer(_) => tcp.set_receive_buffer(context, options.receive_buffer),
                _ => {}
            });
        }
        Ok(())
    }

    pub(super) fn socket_option(&mut self, cx: &mut Cx<'_>, id: SocketId, option: SockOpt) -> Result<SockOpt, Errno> {
        let socket = self.sockets.get_mut(id)?;
        if let SockOpt::Error(_) = option {
            let error = self.take_socket_error(cx, id)?;
            return Ok(SockOpt::Error(error));
        }
        applies(socket, option)?;
        if let Role::Stream(stream) = &socket.role
            && let Some(conn) = self.conns.get(stream.conn)
        {
            let follows = self.settings.knobs.whole_buffers.is_some();
            match option {
                SockOpt::MaxSeg(_) => return Ok(SockOpt::MaxSeg(conn.tcp.send_mss())),
                SockOpt::ReceiveBuffer(_) if follows => return Ok(SockOpt::ReceiveBuffer(conn.tcp.receive_buffer())),
                _ => {}
            }
        }
        socket.options.get(&self.settings, option)
    }
}

/// Whether a socket of this family and kind has the option at all.
fn applies(socket: &Socket, option: SockOpt) -> Result<(), Errno> {
    let has = match option {
        SockOpt::ReuseAddr(_)
        | SockOpt::ReusePort(_)
        | SockOpt::ExclusiveAddrUse(_)
        | SockOpt::SendBuffer(_)
        | SockOpt::ReceiveBuffer(_)
        | SockOpt::MaxPacingRate(_)
        | SockOpt::Tos(_)
        | SockOpt::Ttl(_)
        | SockOpt::MtuDiscover(_)
        | SockOpt::Error(_) => true,
        SockOpt::V6Only(_) => socket.family == Family::V6,
        _ => !matches!(socket.role, Role::Datagram(_)),
    };
    if has { Ok(()) } else { Err(Errno::ENOPROTOOPT) }
}

/// `TCP_LINGER2`: at most 120 s; 0 is the system's default (`do_tcp_setsockopt()`, `TCP_FIN_TIMEOUT_MAX`).
fn linger2(span: Option<Span>, settings: &Settings) -> Linger2 {
    match span {
        None => Linger2::Never,
        Some(Span::ZERO) => Linger2::System,
        Some(span) if settings.knobs.closing == ClosingRule::Linux => Linger2::For(span.min(secs(120))),
        Some(span) => Linger2::For(span),
    }
}

impl BufferRule {
    /// What becomes of `n` bytes; `most` is the sysctl for applications that ask.
    fn size(self, n: u32, [min, _, max]: [u32; 3], most: u32) -> u32 {
        match self {
            BufferRule::AsAsked => n.clamp(min, max),
            BufferRule::Doubled { least } => (2 * n.min(most)).max(least),
        }
    }
}

/// How many timeouts of a SYN-ACK it takes to wait for `span` (`secs_to_retrans()` in tcp.c).
fn timeouts_within(span: Span, knobs: &Knobs) -> u8 {
    (0..u8::MAX).find(|&count| span_of_timeouts(count, knobs) >= span).unwrap_or(u8::MAX)
}

/// How long so many timeouts of a SYN-ACK take (`retrans_to_secs()`).
fn span_of_timeouts(count: u8, knobs: &Knobs) -> Span {
    let waits = std::iter::successors(Some(knobs.rto_init), |wait| Some((*wait * 2).min(knobs.rto_max)));
    waits.take(count.into()).fold(Span::ZERO, |sum, wait| sum + wait)
}
