//! Commands in backticks: understood, not run.
//!
//! | command | what is done |
//! |---|---|
//! | `sysctl -q NAME=VALUE`, `set_sysctls.py /proc/sys/…=VALUE` and what restores them | [`Order::Sysctl`] |
//! | `defaults.sh` | the suites' preset of sysctls of Linux |
//! | `ip tcp_metrics flush` | [`Order::FlushMetrics`] |
//! | `ip link set … mtu`, `ip route change …` | [`Order::Mtu`], [`Order::Route`] |
//! | `tc qdisc add\|replace\|delete … pfifo\|fq` | [`Order::Qdisc`]; with `limit 0` nothing reaches the wire |
//! | `ethtool -K … tso off gso off` | [`Order::Offload`] |
//! | `tcpdrop -s STATE` | [`Order::Drop`] |
//! | `nstat`, `ss`, `netstat`, `sockstat`, then `grep`, `grep -c`, `wc -l`, `awk '{print $N}'` | what they would print, filtered |
//! | `echo N > /sys/module/…` | as a sysctl of that name |
//! | `kldload`, `setkey -F`, `true` | nothing |
//!
//! Anything else makes the script unsupported, with its line.

use super::world::ETH;
use super::{Runner, Stop};
use crate::drill::script::Command;
use crate::drill::shell::{After, Simple, parse};
use crate::drill::sysctls::{PRESET, Platform, changes_nothing};
use crate::endpoint::{Order, Qdisc, Refusal, RouteMetrics, State, Tuple};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is kept between commands.
#[derive(Default)]
pub(super) struct Shell {
    pub(super) platform: Option<Platform>,
    /// Sysctls as they were set last.
    set: BTreeMap<String, String>,
    /// What a restoring script would set.
    restore: Vec<(String, String)>,
    /// Counters at the last `nstat`.
    counters: BTreeMap<String, u64>,
}

impl Runner<'_> {
    pub(super) fn command(&mut self, command: &Command) -> Result<(), Stop> {
        let line = std::mem::replace(&mut self.line, command.line);
        let lines = parse(&command.text).map_err(|what| self.unsupported(what))?;
        let mut success = true;
        for (after, pipeline) in lines {
            let runs = match after {
                After::Always => true,
                After::Success => success,
                After::Failure => !success,
            };
            if runs {
                success = self.pipeline(&pipeline)?;
            }
        }
        if !success {
            return Err(self.fail(format!("the command fails: {}", command.text.trim())));
        }
        self.line = line;
        self.notice()
    }

    /// Whether the last program of a pipeline succeeds.
    fn pipeline(&mut self, pipeline: &[Simple]) -> Result<bool, Stop> {
        let mut lines = Vec::new();
        let mut success = true;
        for (n, simple) in pipeline.iter().enumerate() {
            let words: Vec<&str> = simple.words.iter().map(String::as_str).collect();
            if n > 0 && pipeline[0].words.first().is_some_and(|program| program == "nstat") {
                self.check_counter(&words)?;
            }
            (success, lines) = if n == 0 { self.program(simple, &words)? } else { self.filter(&words, lines)? };
        }
        Ok(success)
    }

    /// A program that is not fed by another: whether it succeeds, and what it prints.
    fn program(&mut self, simple: &Simple, words: &[&str]) -> Result<(bool, Vec<String>), Stop> {
        let Some((&program, args)) = words.split_first() else { return Ok((true, Vec::new())) };
        let name = program.rsplit('/').next().unwrap_or(program);
        let success = match name {
            "sysctl" => self.sysctl(args)?,
            "set_sysctls.py" => self.set_sysctls(args)?,
            "defaults.sh" => self.preset()?,
            "ip" => self.ip(args)?,
            "tc" => self.tc(args)?,
            "ethtool" => self.ethtool(args)?,
            "tcpdrop" => self.tcpdrop(args)?,
            "kldload" | "true" | ":" => true,
            "setkey" if args == ["-F"] => true,
            "nstat" => return Ok((true, self.nstat())),
            "ss" | "netstat" | "sockstat" => return Ok((true, self.list_sockets(name, args))),
            "echo" => match &simple.output {
                Some(file) => self.set_one(file, &args.join(" "), false)?,
                None => return Ok((true, vec![args.join(" ")])),
            },
            name if name.starts_with("sysctl_restore_") => self.restore()?,
            _ => return Err(self.unsupported(format!("the command `{}`", words.join(" ")))),
        };
        Ok((success, Vec::new()))
    }

    /// A program that takes the lines of another.
    fn filter(&self, words: &[&str], lines: Vec<String>) -> Result<(bool, Vec<String>), Stop> {
        match words {
            ["grep", args @ ..] => {
                let counts = args.iter().any(|arg| arg.starts_with('-') && arg.contains('c'));
                let inverts = args.iter().any(|arg| arg.starts_with('-') && arg.contains('v'));
                let pattern = args.iter().find(|arg| !arg.starts_with('-'));
                let Some(pattern) = pattern else { return Err(self.unsupported(format!("`{}`", words.join(" ")))) };
                let (starts, pattern) = pattern.strip_prefix('^').map_or((false, *pattern), |rest| (true, rest));
                let fits = |line: &&String| {
                    let found = if starts { line.starts_with(pattern) } else { line.contains(pattern) };
                    found != inverts
                };
                let found: Vec<String> = lines.iter().filter(fits).cloned().collect();
                let success = !found.is_empty();
                Ok((success, if counts { vec![found.len().to_string()] } else { found }))
            }
            ["wc", "-l"] => Ok((true, vec![lines.len().to_string()])),
            ["awk", program] => {
                let field = program.trim().strip_prefix("{print $").and_then(|rest| rest.strip_suffix('}'));
                let field = field.and_then(|n| n.trim().parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
                let Some(field) = field else { return Err(self.unsupported(format!("awk '{program}'"))) };
                let pick = |line: &String| line.split_whitespace().nth(field).unwrap_or("").to_owned();
                Ok((true, lines.iter().map(pick).collect()))
            }
            _ => Err(self.unsupported(format!("the command `{}`", words.join(" ")))),
        }
    }

    /// A counter that the endpoint does not keep is no reason to fail.
    fn check_counter(&self, words: &[&str]) -> Result<(), Stop> {
        let ["grep", args @ ..] = words else { return Ok(()) };
        let Some(name) = args.iter().find(|arg| !arg.starts_with('-')) else { return Ok(()) };
        let known = self.shell.counters.keys().any(|counter| counter.contains(name.trim_start_matches('^')));
        if known { Ok(()) } else { Err(self.unsupported(format!("the counter {name}"))) }
    }

    fn platform(&self) -> Platform {
        self.shell.platform.unwrap_or(Platform::Linux)
    }

    fn sysctl(&mut self, args: &[&str]) -> Result<bool, Stop> {
        let forgives = args.contains(&"-e") || args.contains(&"-i");
        let mut success = true;
        for arg in args.iter().filter(|arg| !arg.starts_with('-')) {
            let Some((name, value)) = arg.split_once('=') else {
                return Err(self.unsupported(format!("reading the sysctl {arg}")));
            };
            success &= self.set_one(&name.replace('/', "."), value, forgives)?;
        }
        Ok(success)
    }

    fn set_sysctls(&mut self, args: &[&str]) -> Result<bool, Stop> {
        let mut success = true;
        for arg in args {
            let Some((path, value)) = arg.split_once('=') else {
                return Err(self.unsupported(format!("set_sysctls.py {arg}")));
            };
            let name = path.trim_start_matches("/proc/sys/").replace('/', ".");
            if let Some(before) = self.shell.set.get(&name) {
                self.shell.restore.push((name.clone(), before.clone()));
            }
            success &= self.set_one(&name, value, false)?;
        }
        Ok(success)
    }

    fn restore(&mut self) -> Result<bool, Stop> {
        let all = std::mem::take(&mut self.shell.restore);
        all.into_iter().try_fold(true, |success, (name, value)| Ok(success & self.set_one(&name, &value, true)?))
    }

    /// The preset of the suites; what it sets beyond what the endpoint has, no script asks for by name.
    fn preset(&mut self) -> Result<bool, Stop> {
        if self.platform() != Platform::Linux {
            return Err(self.unsupported(format!("the preset of Linux on {}", self.platform().name())));
        }
        for (name, value) in PRESET {
            self.shell.set.insert(name.to_owned(), value.to_owned());
            let order = Order::Sysctl { name: name.to_owned(), value: value.to_owned() };
            match self.world.administer(&order) {
                Ok(()) | Err(Refusal::Unknown | Refusal::Lacking(_)) => {}
                Err(Refusal::Invalid(what)) => return Err(self.fail(what)),
            }
        }
        let orders = [Order::FlushMetrics, Order::Qdisc(Qdisc::Fifo { limit: None })];
        orders.iter().for_each(|order| drop(self.world.administer(order)));
        Ok(true)
    }

    /// Sets one sysctl; false where the real one would refuse the value.
    fn set_one(&mut self, name: &str, value: &str, forgives: bool) -> Result<bool, Stop> {
        let value = decimal(value.trim());
        if matches!(name, "net.inet.tcp.hostcache.purgenow" | "net.inet.tcp.hostcache.purge") {
            drop(self.world.administer(&Order::FlushMetrics));
            return Ok(true);
        }
        let order = Order::Sysctl { name: name.to_owned(), value: value.clone() };
        let result = self.world.administer(&order);
        self.shell.set.insert(name.to_owned(), value.clone());
        match result {
            Ok(()) => Ok(true),
            Err(Refusal::Unknown) if forgives || changes_nothing(self.platform(), name, &value) => Ok(true),
            Err(Refusal::Unknown) => Err(self.unsupported(format!("the sysctl {name} = {value}"))),
            Err(Refusal::Lacking(what)) => Err(self.unsupported(what)),
            Err(Refusal::Invalid(_)) => Ok(false),
        }
    }

    /// Gives an order that the endpoint may not know; `what` is what the script asked for.
    fn order(&mut self, order: &Order, what: &str) -> Result<bool, Stop> {
        match self.world.administer(order) {
            Ok(()) => Ok(true),
            Err(Refusal::Unknown | Refusal::Lacking(_)) => Err(self.unsupported(format!("the command `{what}`"))),
            Err(Refusal::Invalid(what)) => Err(self.fail(what)),
        }
    }

    fn ip(&mut self, args: &[&str]) -> Result<bool, Stop> {
        let what = format!("ip {}", args.join(" "));
        let args: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
        match args.as_slice() {
            ["tcp_metrics" | "tcpmetrics", "flush" | "del" | "delete", ..] => {
                // An endpoint that learns nothing about peers has nothing to forget.
                drop(self.world.administer(&Order::FlushMetrics));
                Ok(true)
            }
            ["link", "set", rest @ ..] => match value_of(rest, "mtu").and_then(|mtu| mtu.parse().ok()) {
                Some(mtu) => self.order(&Order::Mtu { iface: ETH, mtu }, &what),
                None => Err(self.unsupported(format!("the command `{what}`"))),
            },
            ["route" | "ro", "change" | "replace" | "add", prefix, rest @ ..] => {
                let order = route(prefix, rest).ok_or_else(|| self.unsupported(format!("the command `{what}`")))?;
                self.order(&order, &what)
            }
            _ => Err(self.unsupported(format!("the command `{what}`"))),
        }
    }

    fn tc(&mut self, args: &[&str]) -> Result<bool, Stop> {
        let what = format!("tc {}", args.join(" "));
        let ["qdisc", verb, rest @ ..] = args else { return Err(self.unsupported(format!("the command `{what}`"))) };
        let rest: Vec<&str> = rest.iter().copied().filter(|arg| *arg != "root").collect();
        let kind =
            rest.iter().position(|arg| *arg == "dev").map_or(&rest[..], |dev| rest.get(dev + 2..).unwrap_or(&[]));
        let qdisc = match (*verb, kind) {
            ("delete" | "del", _) => Qdisc::Fifo { limit: None },
            ("add" | "replace" | "change", ["pfifo" | "bfifo" | "pfifo_fast", rest @ ..]) => {
                Qdisc::Fifo { limit: value_of(rest, "limit").and_then(|limit| limit.parse().ok()) }
            }
            ("add" | "replace" | "change", ["noqueue" | "fq_codel", ..]) => Qdisc::Fifo { limit: None },
            ("add" | "replace" | "change", ["fq", ..]) => Qdisc::Fq,
            _ => return Err(self.unsupported(format!("the command `{what}`"))),
        };
        self.world.cut = qdisc == Qdisc::Fifo { limit: Some(0) };
        match self.world.administer(&Order::Qdisc(qdisc)) {
            Ok(()) => Ok(true),
            // A queue that takes every packet at once, or none, is what the wire is without the host's doing.
            Err(_) if qdisc != Qdisc::Fq => Ok(true),
            Err(_) => Err(self.unsupported(format!("the command `{what}`"))),
        }
    }

    fn ethtool(&mut self, args: &[&str]) -> Result<bool, Stop> {
        let what = format!("ethtool {}", args.join(" "));
        let ["-K" | "--offload" | "--features", _, features @ ..] = args else {
            return Err(self.unsupported(format!("the command `{what}`")));
        };
        for pair in features.chunks(2) {
            let on = match pair {
                [_, "on"] => true,
                [_, "off"] => false,
                _ => return Err(self.unsupported(format!("the command `{what}`"))),
            };
            // A host without offload is as one with it turned off.
            if self.world.administer(&Order::Offload { on }).is_err() && on {
                return Err(self.unsupported(format!("the command `{what}`")));
            }
        }
        Ok(true)
    }

    fn tcpdrop(&mut self, args: &[&str]) -> Result<bool, Stop> {
        let what = format!("tcpdrop {}", args.join(" "));
        let state = value_of(args, "-s").and_then(|name| STATES.iter().find(|(.., freebsd)| *freebsd == name));
        let Some((state, ..)) = state else { return Err(self.unsupported(format!("the command `{what}`"))) };
        self.order(&Order::Drop { state: *state }, &what)
    }

    /// Counters that have grown since the last time.
    fn nstat(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, value) in self.world.counters() {
            let before = self.shell.counters.insert(name.clone(), value).unwrap_or(0);
            if value > before {
                lines.push(format!("{name:<32}{:<19}0.0", value - before));
            }
        }
        lines
    }

    /// A line for each socket, as these programs print them.
    fn list_sockets(&mut self, program: &str, args: &[&str]) -> Vec<String> {
        let host = self.world.host;
        let mut all: Vec<(Tuple, State)> = Vec::new();
        let conns = self.world.sim.connections(host);
        all.extend(conns.iter().map(|conn| (conn.tuple, conn.state)));
        for listener in self.world.sim.listeners(host) {
            let remote = std::net::SocketAddr::new(listener.local.ip(), 0);
            all.push((Tuple { local: listener.local, remote }, State::Listen));
        }
        let open = self.socks.iter().filter(|sock| !sock.closed && sock.live.is_some());
        let gone = open.filter_map(|sock| sock.tuple).filter(|tuple| !conns.iter().any(|conn| conn.tuple == *tuple));
        all.extend(gone.map(|tuple| (tuple, State::Closed)));
        let family = |ip: IpAddr| (args.contains(&"-4") && ip.is_ipv6()) || (args.contains(&"-6") && ip.is_ipv4());
        let port: Option<u16> = value_of(args, "-p").and_then(|port| port.parse().ok());
        let shown = all.into_iter().filter(|(tuple, _)| {
            !family(tuple.local.ip())
                && port.is_none_or(|port| tuple.local.port() == port || tuple.remote.port() == port)
        });
        let line = |(tuple, state): (Tuple, State)| {
            let (_, ss, netstat, freebsd) = STATES[STATES.iter().position(|(known, ..)| *known == state).unwrap_or(0)];
            let Tuple { local, remote } = tuple;
            let v = if local.is_ipv4() { 4 } else { 6 };
            match program {
                "ss" => format!("{ss:<11}0      0      {local}      {remote}"),
                "netstat" => format!("tcp        0      0 {local}      {remote}      {netstat}"),
                _ => format!("root     packetdril 1     3  tcp{v}   {local}      {remote}      {freebsd}"),
            }
        };
        shown.map(line).collect()
    }
}

/// The states of TCP as `ss`, `netstat` and FreeBSD write them.
const STATES: [(State, &str, &str, &str); 11] = [
    (State::Closed, "UNCONN", "CLOSE", "CLOSED"),
    (State::Listen, "LISTEN", "LISTEN", "LISTEN"),
    (State::SynSent, "SYN-SENT", "SYN_SENT", "SYN_SENT"),
    (State::SynReceived, "SYN-RECV", "SYN_RECV", "SYN_RCVD"),
    (State::Established, "ESTAB", "ESTABLISHED", "ESTABLISHED"),
    (State::FinWait1, "FIN-WAIT-1", "FIN_WAIT1", "FIN_WAIT_1"),
    (State::FinWait2, "FIN-WAIT-2", "FIN_WAIT2", "FIN_WAIT_2"),
    (State::Closing, "CLOSING", "CLOSING", "CLOSING"),
    (State::TimeWait, "TIME-WAIT", "TIME_WAIT", "TIME_WAIT"),
    (State::CloseWait, "CLOSE-WAIT", "CLOSE_WAIT", "CLOSE_WAIT"),
    (State::LastAck, "LAST-ACK", "LAST_ACK", "LAST_ACK"),
];

/// The word behind `name`.
fn value_of<'a>(args: &[&'a str], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| *arg == name)?;
    args.get(at + 1).copied()
}

/// `0x70403` as 460803; everything else as it is.
fn decimal(value: &str) -> String {
    let hex = value.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    hex.map_or_else(|| value.to_owned(), |n| n.to_string())
}

/// What an entry of the routing table says.
fn route(prefix: &str, rest: &[&str]) -> Option<Order> {
    let (addr, len) = prefix.split_once('/').map_or((prefix, None), |(addr, len)| (addr, Some(len)));
    let prefix: IpAddr = addr.parse().ok()?;
    let whole = if prefix.is_ipv4() { 32 } else { 128 };
    let prefix_len = len.map_or(Some(whole), |len| len.parse().ok())?;
    let mut metrics = RouteMetrics::default();
    let mut words = rest.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "via" | "dev" | "src" | "proto" | "scope" | "metric" => drop(words.next()?),
            "mtu" => {
                let next = words.next()?;
                metrics.mtu_locked = next == "lock";
                metrics.mtu = Some(if metrics.mtu_locked { words.next()? } else { next }.parse().ok()?);
            }
            "advmss" => metrics.advmss = Some(words.next()?.parse().ok()?),
            "initcwnd" => metrics.initcwnd = Some(words.next()?.parse().ok()?),
            "initrwnd" => metrics.initrwnd = Some(words.next()?.parse().ok()?),
            "quickack" => metrics.quick_ack = words.next()? == "1",
            "rto_min" => metrics.rto_min = Some(words.next()?.trim_end_matches("ms").parse().ok()?),
            "congctl" => metrics.congestion = Some(words.next()?.to_owned()),
            "features" => metrics.ecn = words.next()? == "ecn",
            _ => return None,
        }
    }
    Some(Order::Route { prefix, prefix_len, metrics })
}
