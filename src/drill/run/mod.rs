//! Running a script: its events in order, in virtual time.

mod call;
mod clock;
mod commands;
mod compare;
mod info;
mod packets;
mod remote;
mod snippets;
mod sock;
mod world;

use super::config::{Config, Misfit, Variant};
use super::error::ScriptError;
use super::report::{Failure, Verdict};
use super::script::{Action, Event, PacketLine, Script};
use super::sysctls::Platform;
use crate::endpoint::Endpoint;
use crate::trace::Keep;
use clock::{Instant, Mistimed, Timing, Tolerance, instant as nanos};
use sock::Sock;
use std::collections::BTreeMap;
use std::net::IpAddr;
use world::World;

/// The host that a script is to be run against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name in traces.
    pub name: &'static str,
    /// The address that the script's packets are for.
    pub addr: IpAddr,
    /// The seed of the run.
    pub seed: u64,
}

/// Makes the endpoint that a script is run against, or says why there is none.
pub type Make<'a> = dyn Fn(&Site) -> Result<Box<dyn Endpoint>, String> + 'a;

/// How a script went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Whether all was as it says.
    pub verdict: Verdict,
    /// What differed where the script says that it may.
    pub warnings: Vec<String>,
    /// What its snippets printed.
    pub printed: String,
    /// The story, where it was asked for.
    pub trace: Option<String>,
    /// A capture of all packets (pcapng), where it was asked for.
    pub pcap: Option<Vec<u8>>,
}

/// What is wanted of a run besides its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The story of the run.
    pub trace: bool,
    /// All packets.
    pub pcap: bool,
}

/// Why a run ends before the end of its script.
#[derive(Clone, Debug)]
enum Stop {
    /// Something is not as the script says.
    Failed(Box<Failure>),
    /// The script asks for something that is not simulated.
    Unsupported { line: usize, what: String },
}

impl Stop {
    fn failed(failure: Failure) -> Stop {
        Stop::Failed(Box::new(failure))
    }
}

/// Runs `script` against the endpoint that `make` makes, which calls things as `platform` does.
pub fn run(script: &Script, variant: Variant, platform: Platform, wanted: Wanted, make: &Make<'_>) -> Run {
    let nothing = |verdict| Run { verdict, warnings: Vec::new(), printed: String::new(), trace: None, pcap: None };
    let config = match Config::of(script, variant) {
        Ok(config) => config,
        Err(Misfit::Option(error)) => return nothing(of_error(&error)),
        Err(Misfit::OtherVersion(what)) => return nothing(Verdict::Unsupported { line: 1, what }),
    };
    let endpoint = match make(&Site { name: "host", addr: config.local, seed: world::SEED }) {
        Ok(endpoint) => endpoint,
        Err(what) => return nothing(Verdict::Unsupported { line: 1, what }),
    };
    let keep = if wanted.trace || wanted.pcap { Keep::Story } else { Keep::Last(TAIL) };
    let mut runner = Runner::new(script, &config, World::new(endpoint, &config, keep));
    runner.shell.platform = Some(platform);
    let result = runner.play();
    runner.finish(result, wanted)
}

/// What a mistake in a script is to a report.
pub(super) fn of_error(error: &ScriptError) -> Verdict {
    let line = error.place().0;
    if error.is_unsupported() {
        return Verdict::Unsupported { line, what: error.mistake().to_string() };
    }
    Verdict::Failed(Failure { line, what: error.mistake().to_string(), ..Failure::default() })
}

/// How many events of the trace a failure shows.
const TAIL: usize = 12;

/// A script that is being run.
struct Runner<'a> {
    script: &'a Script,
    config: &'a Config,
    tolerance: Tolerance,
    world: World,
    socks: Vec<Sock>,
    under_test: Option<usize>,
    /// Ports that the remote end has used.
    remote_ports: u16,
    epolls: BTreeMap<i64, call::Epoll>,
    background: Option<call::Background>,
    snapshots: Vec<snippets::Snapshot>,
    shell: commands::Shell,
    warnings: Vec<String>,
    printed: String,
    /// The event at hand.
    line: usize,
    timing: Timing,
    /// The time of the event before it, and whether it was an inbound packet.
    last: Option<(Instant, bool)>,
    started: bool,
}

impl<'a> Runner<'a> {
    fn new(script: &'a Script, config: &'a Config, world: World) -> Runner<'a> {
        Runner {
            script,
            config,
            tolerance: Tolerance { floor: config.tolerance, permille: config.tolerance_permille },
            world,
            socks: Vec::new(),
            under_test: None,
            remote_ports: 0,
            epolls: BTreeMap::new(),
            background: None,
            snapshots: Vec::new(),
            shell: commands::Shell::default(),
            warnings: Vec::new(),
            printed: String::new(),
            line: 1,
            timing: Timing { at: 0, end: 0, any: false, offset: 0 },
            last: None,
            started: false,
        }
    }

    fn play(&mut self) -> Result<(), Stop> {
        if let Some(init) = &self.script.init {
            self.command(init)?;
        }
        for event in &self.script.events {
            self.event(event)?;
        }
        self.end_background()?;
        if let Some(cleanup) = &self.script.cleanup {
            self.line = cleanup.line;
            self.command(cleanup)?;
        }
        self.reset_all();
        self.judge_snippets()
    }

    fn event(&mut self, event: &Event) -> Result<(), Stop> {
        self.line = event.line;
        let anchored = matches!(event.action, Action::Packet(PacketLine { outbound: false, .. }));
        // Inbound packets in a row count from each other, all else from the moment that has come.
        let offset = match self.last {
            Some((last, true)) if anchored => last,
            _ => self.world.now(),
        };
        self.timing = Timing::of(event.time, offset);
        match &event.action {
            Action::Packet(packet) if packet.outbound => self.expect_packet(packet)?,
            Action::Packet(packet) => {
                self.wait_for_event("an inbound packet")?;
                self.inject_packet(packet)?;
            }
            Action::Call(call) => self.call(call, event.time)?,
            Action::Command(command) => {
                self.wait_for_event("a command")?;
                self.command(command)?;
            }
            Action::Code(code) => {
                self.wait_for_event("a snippet")?;
                self.snapshot(code)?;
            }
        }
        self.last = Some((self.timing.at, anchored));
        self.started = true;
        Ok(())
    }

    /// Lets time pass until the event at hand is due, and checks that it is not past that already.
    fn wait_for_event(&mut self, what: &str) -> Result<(), Stop> {
        self.advance(self.timing.at)?;
        if !self.started {
            return Ok(());
        }
        let now = self.world.now();
        let last = self.last.map(|(at, _)| at);
        self.tolerance.check(self.timing, now, last).map_err(|mistimed| self.mistimed(mistimed, what))
    }

    fn mistimed(&self, mistimed: Mistimed, what: &str) -> Stop {
        self.fail(mistimed.text(what))
    }

    /// Lets time pass until `until`.
    fn advance(&mut self, until: Instant) -> Result<(), Stop> {
        while self.world.now() < until {
            self.step(until)?;
        }
        self.world.settle();
        self.notice()
    }

    /// Lets the next event of the host happen, at `limit` at the latest; true if there was one.
    fn step(&mut self, limit: Instant) -> Result<bool, Stop> {
        let wake = self.background.as_ref().and_then(call::Background::wake);
        let limit = wake.filter(|wake| *wake > self.world.now()).map_or(limit, |wake| wake.min(limit));
        let stepped = self.world.step(limit);
        self.notice()?;
        Ok(stepped)
    }

    /// What waits for something to happen looks again.
    fn notice(&mut self) -> Result<(), Stop> {
        self.watch_epolls();
        self.try_background()
    }

    fn fail(&self, what: impl Into<String>) -> Stop {
        Stop::failed(Failure { line: self.line, what: what.into(), ..Failure::default() })
    }

    fn unsupported(&self, what: impl Into<String>) -> Stop {
        Stop::Unsupported { line: self.line, what: what.into() }
    }

    fn finish(mut self, result: Result<(), Stop>, wanted: Wanted) -> Run {
        let verdict = match result {
            Ok(()) => Verdict::Passed,
            Err(Stop::Unsupported { line, what }) => Verdict::Unsupported { line, what },
            Err(Stop::Failed(mut failure)) => {
                failure.source = self.script.text_of(failure.line).to_owned();
                failure.trace = self.tail();
                Verdict::Failed(*failure)
            }
        };
        let trace = wanted.trace.then(|| self.story());
        let pcap = wanted.pcap.then(|| self.world.sim.trace().capture(Vec::new()).unwrap_or_default());
        let printed = std::mem::take(&mut self.printed);
        Run { verdict, warnings: self.warnings, printed, trace, pcap }
    }

    fn story(&self) -> String {
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = self.world.sim.trace().story().options(true).write(&mut text);
        text
    }

    /// The last lines of the story.
    fn tail(&self) -> Vec<String> {
        let story = self.story();
        let lines = story.lines().filter(|line| line.starts_with("    ") && !line.trim_start().starts_with("time "));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        lines[lines.len().saturating_sub(TAIL)..].to_vec()
    }
}
