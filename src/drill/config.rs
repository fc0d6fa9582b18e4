//! How a script is run: its own option lines, and in which way of the suite.

use super::error::{Mistake, ScriptError};
use super::parser::Defines;
use super::script::{OptionLine, Script};
use crate::time::{Span, us};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One way to run a script, under the names that the suite's own runner has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// As the script says, with nothing from outside.
    Plain,
    /// Over IPv4.
    Ipv4,
    /// Over IPv4, through sockets of IPv6.
    Mapped,
    /// Over IPv6.
    Ipv6,
}

impl Variant {
    /// Every way, in the order of reports.
    pub const ALL: [Variant; 4] = [Variant::Plain, Variant::Ipv4, Variant::Mapped, Variant::Ipv6];

    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Ipv4 => "ipv4",
            Variant::Mapped => "ipv4-mapped-v6",
            Variant::Ipv6 => "ipv6",
        }
    }

    /// What the suite's runner defines for it, beyond the platform. The cookies are those of the key of the Linux
    /// preset and the runner's addresses.
    pub fn defines(self) -> Defines {
        let v6 = self == Variant::Ipv6;
        let level = if matches!(self, Variant::Mapped | Variant::Ipv6) { "SOL_IPV6" } else { "SOL_IP" };
        let kind = if level == "SOL_IPV6" { "IPV6_RECVERR" } else { "IP_RECVERR" };
        let pairs = [
            ("TFO_COOKIE", if v6 { "c1d1e9742a47a9bc" } else { "3021b9d889017eeb" }),
            ("TFO_COOKIE_ZERO", if v6 { "82af1a8f9a205c34" } else { "b7c12350a90dc8f5" }),
            ("CMSG_LEVEL_IP", level),
            ("CMSG_TYPE_RECVERR", kind),
        ];
        let code = (!v6).then_some(("CODE", "host_unreachable"));
        pairs.into_iter().chain(code).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The family of the sockets and of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IpVersion {
    V4,
    V6,
    /// Sockets of IPv6, packets of IPv4.
    Mapped,
}

/// What the options of a script and its variant come to.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) version: IpVersion,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    pub(super) bind_port: u16,
    pub(super) connect_port: u16,
    pub(super) mtu: u32,
    /// Inbound data beyond this comes as one super-segment made of such pieces.
    pub(super) mss: Option<u32>,
    pub(super) tolerance: Span,
    /// In thousandths of the time since the last event.
    pub(super) tolerance_permille: u64,
    /// What a tick of a TS value stands for; nothing where values are not compared.
    pub(super) ts_tick: Option<Span>,
    pub(super) ts_ecr_scaled: bool,
    pub(super) strict_segments: bool,
    /// Packets that differ are warned of, and no failures.
    pub(super) non_fatal_packet: bool,
    /// Calls with another result are warned of, and no failures.
    pub(super) non_fatal_syscall: bool,
}

/// Why a script cannot run in some way.
#[derive(Clone, Debug)]
pub(super) enum Misfit {
    /// An option is wrong, or about something that is not simulated.
    Option(ScriptError),
    /// The script's own addresses are of the other version.
    OtherVersion(String),
}

impl Misfit {
    /// Whether a run in this way makes no sense for the script at all.
    pub(super) fn is_of_other_version(&self) -> bool {
        matches!(self, Misfit::OtherVersion(_))
    }
}

impl Config {
    /// The options of `script`, which win over those of `variant`.
    pub(super) fn of(script: &Script, variant: Variant) -> Result<Config, Misfit> {
        let mut given = Given::default();
        for option in &script.options {
            given.take(script, option).map_err(Misfit::Option)?;
        }
        let version = given.version(script, variant)?;
        let packets_v6 = version == IpVersion::V6;
        let default = |v4: [u8; 4], v6: [u16; 8]| {
            if packets_v6 { IpAddr::V6(Ipv6Addr::from(v6)) } else { IpAddr::V4(Ipv4Addr::from(v4)) }
        };
        // The script's own addresses win where they are of the version of the run.
        let own = |addr: Option<IpAddr>| addr.filter(|addr| addr.is_ipv6() == packets_v6 || variant == Variant::Plain);
        let local = own(given.local).unwrap_or(default([192, 168, 0, 1], [0xfd3d, 0x0a0b, 0x17d6, 0, 0, 0, 0, 1]));
        let remote = own(given.remote).unwrap_or(default([192, 0, 2, 1], [0xfd3d, 0xfa7b, 0xd17d, 0, 0, 0, 0, 1]));
        for addr in [local, remote] {
            if addr.is_ipv6() != packets_v6 {
                return Err(Misfit::OtherVersion(format!("{addr} in a run over {variant}")));
            }
        }
        // The suite's runner makes room for the longer header of IPv6, so that the MSS is the same.
        let mtu = if variant == Variant::Ipv6 { 1_520 } else { 1_500 };
        let mut config = given.config;
        config.version = version;
        (config.local, config.remote) = (local, remote);
        config.mtu = given.mtu.unwrap_or(mtu);
        Ok(config)
    }
}

/// What option lines say.
struct Given {
    config: Config,
    version: Option<IpVersion>,
    local: Option<IpAddr>,
    remote: Option<IpAddr>,
    mtu: Option<u32>,
}

impl Default for Given {
    fn default() -> Given {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let config = Config {
            version: IpVersion::V4,
            local: nowhere,
            remote: nowhere,
            bind_port: 8_080,
            connect_port: 8_080,
            mtu: 1_500,
            mss: None,
            tolerance: us(4_000),
            tolerance_permille: 125,
            ts_tick: None,
            ts_ecr_scaled: false,
            strict_segments: false,
            non_fatal_packet: false,
            non_fatal_syscall: false,
        };
        Given { config, version: None, local: None, remote: None, mtu: None }
    }
}

/// Options that say how the stock tool reaches its kernel: nothing here depends on them.
const IDLE: [&str; 14] = [
    "send_omit_free",
    "gateway_ip",
    "netmask_ip",
    "local_linklocal_ip",
    "speed",
    "dry_run",
    "verbose",
    "code_command",
    "code_format",
    "code_sockopt",
    "init_scripts",
    "is_anyip",
    "persistent_tun_dev",
    "tun_dev",
];

/// Options about things that are not simulated.
const UNSUPPORTED: [&str; 10] = [
    "wire_client",
    "wire_server",
    "wire_server_ip",
    "wire_client_dev",
    "wire_server_dev",
    "so_filename",
    "so_flags",
    "psp_udp_port",
    "udp_encapsulation",
    "tcp_md5_secret",
];

impl Given {
    fn take(&mut self, script: &Script, option: &OptionLine) -> Result<(), ScriptError> {
        let wrong = |expected: &'static str| {
            let mistake = Mistake::Option { name: option.name.clone(), expected };
            ScriptError::new(&script.source, option.span.clone(), mistake)
        };
        let value = option.value.as_deref();
        let number = |expected| value.and_then(|value| value.parse::<u32>().ok()).ok_or_else(|| wrong(expected));
        let port = || value.and_then(|value| value.parse().ok()).ok_or_else(|| wrong("a port"));
        let addr = || value.and_then(|value| value.parse().ok()).ok_or_else(|| wrong("an address"));
        let config = &mut self.config;
        match option.name.as_str() {
            "ip_version" => {
                self.version = Some(match value {
                    Some("ipv4") => IpVersion::V4,
                    Some("ipv6") => IpVersion::V6,
                    Some("ipv4-mapped-ipv6" | "mapped") => IpVersion::Mapped,
                    _ => return Err(wrong("ipv4, ipv6 or \"ipv4-mapped-ipv6\"")),
                });
            }
            "local_ip" => self.local = Some(addr()?),
            "remote_ip" => self.remote = Some(addr()?),
            "bind_port" => config.bind_port = port()?,
            "connect_port" => config.connect_port = port()?,
            "mtu" => self.mtu = Some(number("a number of bytes")?),
            "mss" => config.mss = Some(number("a number of bytes")?),
            "tolerance_usecs" => config.tolerance = us(number("a number of microseconds")?.into()),
            "tolerance_percent" => config.tolerance_permille = u64::from(number("a percentage")?) * 10,
            "tcp_ts_tick_usecs" => {
                config.ts_tick =
                    Some(us(number("a number of microseconds")?.into())).filter(|&tick| tick != Span::ZERO);
            }
            "tcp_ts_ecr_scaled" => config.ts_ecr_scaled = true,
            "strict_segments" => config.strict_segments = true,
            "non_fatal" => {
                for word in value.unwrap_or_default().split(',') {
                    match word {
                        "packet" => config.non_fatal_packet = true,
                        "syscall" => config.non_fatal_syscall = true,
                        _ => return Err(wrong("packet, syscall or both")),
                    }
                }
            }
            // Read before the rest: defines, and whose host is made.
            "define" => {}
            "profile" if value.is_some() => {}
            name if IDLE.contains(&name) => {}
            name if UNSUPPORTED.contains(&name) => {
                let mistake = Mistake::Unsupported(format!("the option --{name}"));
                return Err(ScriptError::new(&script.source, option.span.clone(), mistake));
            }
            _ => return Err(wrong("an option of packetdrill")),
        }
        Ok(())
    }

    fn version(&self, script: &Script, variant: Variant) -> Result<IpVersion, Misfit> {
        let wanted = match variant {
            Variant::Plain => {
                let by_addr = self.local.or(self.remote).map(|addr| addr.is_ipv6());
                let v6 = by_addr.unwrap_or_else(|| script.has_icmp(|icmp| icmp.v6_only));
                return Ok(self.version.unwrap_or(if v6 { IpVersion::V6 } else { IpVersion::V4 }));
            }
            Variant::Ipv4 => IpVersion::V4,
            Variant::Mapped => IpVersion::Mapped,
            Variant::Ipv6 => IpVersion::V6,
        };
        let (v6, v4) = (script.has_icmp(|icmp| icmp.v6_only), script.has_icmp(|icmp| icmp.v4_only));
        let by_icmp = if wanted == IpVersion::V6 { !v4 } else { !v6 };
        let fits = by_icmp && self.version.is_none_or(|own| own == wanted);
        if fits { Ok(wanted) } else { Err(Misfit::OtherVersion(format!("what the script has is not of {variant}"))) }
    }
}

/// The defines in a script's own option lines; the rest of it is read with them in mind.
pub(super) fn own_defines(options: &[OptionLine]) -> Defines {
    let pairs = options.iter().filter(|option| matches!(option.name.as_str(), "define" | "D"));
    let pairs = pairs.filter_map(|option| option.value.as_deref()?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
