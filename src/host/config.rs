use super::bandlim::Limit;
use super::cookies::CookieUse;
use super::fast_open::Uses;
use super::isn::IsnPolicy;
use super::listener::QueueRule;
use super::ports::{BindRule, PortRule};
use super::profile::Profile;
use super::reconnect::Reuse;
use super::syncache::CacheSize;
use super::sysctl::{self, SysctlError};
use super::time_wait::TimeWaitRule;
use crate::endpoint::{FastOpenKey, Tuple};
use crate::tcp::{Handshake, Knobs, TimerRule};
use crate::time::{Span, ns};
use crate::wire::Seq;
use std::fmt;
use std::net::IpAddr;

/// What a host is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Its name; addresses, ports and sequence numbers derive from it.
    pub name: String,
    /// Whose behaviour it has.
    pub profile: Profile,
    /// Sysctls that differ from the profile's defaults, as `sysctl.conf` writes them.
    pub sysctls: Vec<(String, String)>,
    /// Settings that no real system has.
    pub teaching: Teaching,
    /// Ticks a second of the kernel's clock, where the profile's system has one: Linux is built with 100, 250, 300 or
    /// 1000, which is the default.
    pub hz: Option<u32>,
    /// Whether the kernel's timers fire at their tick, or at the end of their bucket in its timer wheel.
    pub timers: TimerRule,
    /// How long the system has been up when the host's clock shows zero: its ticks, and the buckets of its timer wheel,
    /// count from its start.
    pub uptime: Span,
    /// Addresses of its first interface; where there are none, the network derives them from the name.
    pub addrs: Vec<IpAddr>,
    /// Initial sequence numbers that a harness dictates, by 4-tuple seen from this host: each connection takes the first
    /// that is left for its own, and chooses for itself where none is. For replaying what another host has sent.
    pub iss: Vec<(Tuple, Seq)>,
}

/// Settings that no real system has, to show what the real ones are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teaching {
    /// How long TIME-WAIT lasts.
    pub time_wait: Option<Span>,
    /// How initial sequence numbers are chosen.
    pub isn: Option<IsnPolicy>,
    /// How a passive open goes.
    pub handshake: Handshake,
    /// Whether half-open connections have a queue of their own. Where they have none, each takes a place in the accept
    /// queue from its SYN on: so many SYNs without a third segment starve `accept`, and a connection that has a place
    /// is never refused it later.
    pub syn_queue: bool,
}

impl Default for Teaching {
    fn default() -> Teaching {
        Teaching { time_wait: None, isn: None, handshake: Handshake::ThreeWay, syn_queue: true }
    }
}

/// Why a host cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Which host.
    pub host: String,
    /// Which mistake.
    pub sysctl: SysctlError,
}

impl HostConfig {
    /// A host of the default profile, `linux`.
    pub fn named(name: &str) -> HostConfig {
        HostConfig { name: name.to_owned(), ..HostConfig::default() }
    }

    /// The same host with this profile.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> HostConfig {
        self.profile = profile;
        self
    }

    /// The same host with one more sysctl.
    #[must_use]
    pub fn sysctl(mut self, name: &str, value: impl fmt::Display) -> HostConfig {
        self.sysctls.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same host with these teaching settings.
    #[must_use]
    pub fn teaching(mut self, teaching: Teaching) -> HostConfig {
        self.teaching = teaching;
        self
    }

    /// What profile, sysctls and teaching settings amount to.
    pub(super) fn settings(&self) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        sysctl::set_defaults(self.profile, &mut settings);
        for (name, value) in &self.sysctls {
            let set = sysctl::set(self.profile, &mut settings, name, value);
            set.map_err(|sysctl| ConfigError { host: self.name.clone(), sysctl })?;
        }
        if settings.knobs.ticks.length.is_some() {
            let hz = u64::from(self.hz.unwrap_or(1_000).clamp(1, 1_000_000_000));
            settings.knobs.ticks.length = Some(ns(1_000_000_000 / hz));
        }
        settings.knobs.ticks.timers = self.timers;
        settings.knobs.ticks.uptime = self.uptime;
        settings.knobs.handshake = self.teaching.handshake;
        settings.knobs.time_wait = self.teaching.time_wait.unwrap_or(settings.knobs.time_wait);
        settings.isn = self.teaching.isn.unwrap_or(settings.isn);
        settings.syn_queue = self.teaching.syn_queue;
        let (low, high) = settings.ports;
        settings.ports = (low.min(high), low.max(high));
        settings.follow();
        // RFC 6298 2.5 allows no maximum below the minimum.
        settings.knobs.rto_max = settings.knobs.rto_max.max(settings.knobs.rto_min);
        Ok(settings)
    }
}

impl Settings {
    /// What follows from several sysctls together.
    pub(super) fn follow(&mut self) {
        if let Some((fast, timeout)) = self.fin_wait2 {
            let keep = self.knobs.keepalive;
            self.knobs.fin_wait2 = Some(if fast { timeout } else { keep.interval * u64::from(keep.count) });
            self.knobs.fin_wait2_again = (!fast).then_some(keep.interval);
        }
        if let Some((delays, span)) = self.delayed_ack {
            self.knobs.delayed_ack = if delays { span } else { Span::ZERO };
        }
        if let Some((count, span)) = self.ack_war {
            self.knobs.empty_answers = ns(span.as_nanos() / u64::from(count.max(1)));
        }
    }
}

impl Teaching {
    /// The settings that are not real, as the header of a trace writes them: `time_wait = 0s`.
    pub fn lines(&self) -> Vec<String> {
        let time_wait = self.time_wait.map(|span| format!("time_wait = {span}"));
        let isn = self.isn.map(|policy| format!("isn = {}", policy.name()));
        let handshake = (self.handshake == Handshake::TwoWay).then(|| "handshake = two-way".to_owned());
        let syn_queue = (!self.syn_queue).then(|| "syn_queue = none".to_owned());
        [time_wait, isn, handshake, syn_queue].into_iter().flatten().collect()
    }
}

/// What `SO_RCVBUF` and `SO_SNDBUF` do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BufferRule {
    /// The buffer becomes as large as asked, within the bounds of the sysctl.
    #[default]
    AsAsked,
    /// Twice as large, since the kernel counts what is around the data too (socket(7)).
    Doubled {
        /// The least that it becomes.
        least: u32,
    },
}

/// What profile, sysctls and teaching settings amount to, typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) knobs: Knobs,
    /// Whether its timers stand in Linux's timer wheel.
    pub(super) wheel: bool,
    pub(super) isn: IsnPolicy,
    pub(super) syn_queue: bool,
    pub(super) descriptors: u32,
    /// Open files of the whole host, where that is limited.
    pub(super) files: Option<u32>,
    /// The least port that an application may bind.
    pub(super) unprivileged: u16,
    /// Orphans that still have something to do, where that is limited.
    pub(super) orphans: Option<u32>,
    /// Pages that connections may take: without pressure, before there is some, and at all; none: no limit.
    pub(super) memory: Option<[u64; 3]>,
    pub(super) somaxconn: u32,
    pub(super) syn_backlog: u32,
    pub(super) time_waits: u32,
    /// Whether a connection of the host with itself, or over IPv6 with one of its link, ends where TIME-WAIT would begin.
    pub(super) no_local_time_wait: bool,
    pub(super) abort_on_overflow: bool,
    pub(super) queues: QueueRule,
    pub(super) cookies: CookieUse,
    /// How long what an ICMP error has told of a path is remembered for new connections; zero: not at all.
    pub(super) path_mtu_lasts: Span,
    /// Whether timestamps are the host's clock, the same for every connection.
    pub(super) plain_timestamps: bool,
    /// How much that is not sent may be written before a socket is writable no more; 0: any.
    pub(super) notsent_lowat: u32,
    /// Whether receive buffers grow with their readers.
    pub(super) moderate: bool,
    /// Whether there is Fast Open (RFC 7413), and who uses it.
    pub(super) has_fast_open: bool,
    /// See [`Settings::has_fast_open`].
    pub(super) fast_open: Uses,
    /// What cookies are made with, where the host does not choose.
    pub(super) fast_open_key: Option<FastOpenKey>,
    /// Whether there is `TCP_DEFER_ACCEPT`.
    pub(super) defer_accept: bool,
    pub(super) ttl: u8,
    /// The most answers in a second to what is for nobody.
    pub(super) answers: Limit,
    /// Whether the end of the stream hides an error behind it from `recv`.
    pub(super) end_first: bool,
    /// How ports are chosen and shared.
    pub(super) port_rule: PortRule,
    /// Who may bind a port in use.
    pub(super) bind_rule: BindRule,
    /// What happens where there are too many of `time_waits`.
    pub(super) time_wait_rule: TimeWaitRule,
    /// Whether a SYN that finds the accept queue full is answered by RST.
    pub(super) refuses_overflow: bool,
    /// What holds half-open connections, where that is one cache for the whole host.
    pub(super) syncache: CacheSize,
    /// Whether FIN-WAIT-2 without an owner lasts so long, and otherwise as long as keepalive would try (`TP_MAXIDLE()` of
    /// FreeBSD).
    pub(super) fin_wait2: Option<(bool, Span)>,
    /// So many answers to empty segments outside the window in this span.
    pub(super) ack_war: Option<(u32, Span)>,
    /// Whether ACKs are delayed, and for how long.
    pub(super) delayed_ack: Option<(bool, Span)>,
    /// Whether an active open may have a 4-tuple in TIME-WAIT.
    pub(super) reuse: Reuse,
    /// First and last ephemeral port.
    pub(super) ports: (u16, u16),
    /// Ports in between that nobody is given who has not asked for them, first and last of each range.
    pub(super) reserved: Vec<(u16, u16)>,
    /// What `SO_RCVBUF` and `SO_SNDBUF` do.
    pub(super) buffers: BufferRule,
    /// The most that an application may ask for, to receive and to send.
    pub(super) buffer_most: [u32; 2],
    /// Least, default, greatest.
    pub(super) receive_buffer: [u32; 3],
    /// Least, default, greatest.
    pub(super) send_buffer: [u32; 3],
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host `{}`: {}", self.host, self.sysctl)
    }
}

impl std::error::Error for ConfigError {}
