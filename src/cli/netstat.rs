use super::args::{NetstatArgs, TableFormat};
use super::{End, Trouble, catalogue, progress};
use crate::endpoint::State;
use crate::scenario::{Instance, play_prepared, play_until};
use crate::sim::{Netstat, Residence, Sim, SocketRow};
use crate::time::{SimTime, Span};
use crate::trace::Keep;
use std::io::{self, Write};

/// `wirefate netstat`.
pub(super) fn netstat(args: &NetstatArgs) -> Result<End, Trouble> {
    let at = moment(&args.at)?;
    let sim = catalogue::find(&args.sim)?;
    let scenario = sim.scenario()?;
    let set: Vec<(&str, &str)> = args.set.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let sysctls: Vec<_> = args.sysctl.iter().map(|(h, n, v)| (h.as_str(), n.as_str(), v.as_str())).collect();
    let instance = scenario.instance(args.variant.as_deref(), &set, &sysctls)?;
    let hosts = match &args.host {
        Some(host) => vec![known_host(&instance, host)?],
        None => names(&instance),
    };
    // The trace is not looked at; only a step that waits for something to be seen needs some of it.
    let (keep, seed, name) = (Keep::Nothing, args.seed, &sim.name);
    let played = progress::over_a_second(name, || match at {
        Some(at) => play_until(name, &instance, seed, keep, at, Sim::keep_residence),
        None => play_prepared(name, &instance, seed, Keep::Story, Sim::keep_residence).map(|played| played.sim),
    })?;
    let seen: Vec<Netstat> = hosts.iter().filter_map(|host| Some(played.netstat(played.find(host)?))).collect();
    let text = match args.format {
        TableFormat::Text => text(&seen, args.host.is_some()),
        TableFormat::Csv => csv(&seen),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(Trouble::own("standard output"))?;
    Ok(End::Held)
}

/// `--at`: an instant, or the end.
fn moment(text: &str) -> Result<Option<SimTime>, Trouble> {
    if text == "end" {
        return Ok(None);
    }
    let span: Span = text.parse().map_err(|error| {
        Trouble::usage(format!("`--at {text}`: {error}"), "an instant of the run, like `250ms` or `90s`, or `end`")
    })?;
    Ok(Some(SimTime::ZERO + span))
}

/// Every host of a sim, in the order of its file.
fn names(instance: &Instance) -> Vec<String> {
    instance.hosts.iter().flat_map(|host| instance.members(&host.name)).collect()
}

/// `host`, if the sim has one of this name.
pub(super) fn known_host(instance: &Instance, host: &str) -> Result<String, Trouble> {
    let names = names(instance);
    if names.iter().any(|name| name == host) {
        return Ok(host.to_owned());
    }
    Err(Trouble::usage(format!("there is no host `{host}`"), format!("there is {}", names.join(", "))))
}

/// One host after the other; of all of them only those where there is something to see.
fn text(seen: &[Netstat], asked: bool) -> String {
    let speaks = |seen: &&Netstat| asked || !seen.counts().is_empty() || seen.counters.iter().any(|&(_, n)| n > 0);
    let mut shown: Vec<String> = seen.iter().filter(speaks).map(ToString::to_string).collect();
    let silent = seen.len() - shown.len();
    if silent > 0 {
        shown.push(format!("({silent} of {} hosts have neither sockets nor counts)\n", seen.len()));
    }
    shown.join("\n")
}

/// One fact a line.
fn csv(seen: &[Netstat]) -> String {
    let mut text = "host,time_ns,table,name,field,value\n".to_owned();
    for seen in seen {
        let mut line = |table: &str, name: &str, field: &str, value: String| {
            text += &format!("{},{},{table},{name},{field},{value}\n", cell(&seen.host), seen.at.as_nanos());
        };
        for state in State::ALL.into_iter().filter(|&state| state != State::Closed) {
            line("state", state.netstat_name(), "count", seen.count(state).to_string());
        }
        let rows = seen.listeners.iter().map(Netstat::listen_row).chain(seen.connections.iter().map(Netstat::conn_row));
        for row in rows {
            let SocketRow { state, recv_q, send_q, local, peer } = row;
            let table = if state == State::Listen { "listener" } else { "connection" };
            let name = peer.map_or_else(|| local.to_string(), |peer| format!("{local} {peer}"));
            line(table, &name, "state", state.netstat_name().to_owned());
            line(table, &name, "recv_q", recv_q.to_string());
            line(table, &name, "send_q", send_q.to_string());
        }
        for &(name, value) in &seen.counters {
            line("counter", &name.replace('.', ""), "value", value.to_string());
        }
        for Residence { state, now, oldest, ended, total, min, max } in seen.residence.iter().flatten().copied() {
            let numbers = [("now", u64::from(now)), ("ended", ended)];
            let spans = [("oldest_ns", oldest), ("total_ns", total), ("min_ns", min), ("max_ns", max)];
            let spans = spans.into_iter().map(|(field, span)| (field, span.as_nanos()));
            for (field, number) in numbers.into_iter().chain(spans) {
                line("residence", state.netstat_name(), field, number.to_string());
            }
        }
    }
    text
}

/// A text as a cell.
pub(super) fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
