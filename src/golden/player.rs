use super::field::{Seconds, Side};
use super::recording::{Call, Outcome, Recording, StateChange};
use super::socket::{self, Progress, Tried, accepted_text};
use super::verb::Verb;
use super::wire::{Aliases, Wire};
use crate::endpoint::{Attach, HostFault, IfaceId};
use crate::endpoint::{Errno, Event, MsgFlags, SocketId, State};
use crate::sim::Sim;
use crate::time::{SimTime, Span, ms};
use crate::trace::{NodeId, What};
use serde_json::Value;
use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The interface of a host that is not its loopback.
const ETH: IfaceId = IfaceId(1);

/// Plays the script: each call at its instant, one after the other on each socket, blocking calls for as long as they
/// take.
pub(super) struct Player<'a> {
    sim: Sim,
    recording: &'a Recording,
    client: NodeId,
    server: NodeId,
    wire: NodeId,
    entries: Vec<Entry>,
    socks: BTreeMap<(Side, String), Sock>,
    /// State changes that no endpoint tells of: those of connections that vanish.
    vanished: Vec<StateChange>,
    trouble: Option<String>,
}

/// A call and how far it has come.
struct Entry {
    verb: Verb,
    start: Start,
    phase: Phase,
    progress: Progress,
}

/// When a call may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// At an instant: when it was recorded.
    At(SimTime),
    /// When that call has returned, whenever that is: the program went on because it did.
    After(usize),
}

/// A call that began so soon after another had returned on its socket was made because it had.
const AT_ONCE: Span = ms(1);

enum Phase {
    Waiting,
    Running { began: SimTime, wake: Option<SimTime> },
    Returned { began: SimTime, at: SimTime, result: Result<Outcome, Errno> },
}

/// A socket by its name in the recording.
#[derive(Clone, Copy, Debug, Default)]
struct Sock {
    id: Option<SocketId>,
    nonblocking: bool,
    repaired: bool,
    elsewhere: bool,
}

impl<'a> Player<'a> {
    pub(super) fn new(sim: Sim, recording: &'a Recording, verbs: Vec<Verb>, nodes: [NodeId; 3]) -> Player<'a> {
        let [client, server, wire] = nodes;
        let mut before = SimTime::ZERO;
        let mut entries = Vec::new();
        for (n, (verb, call)) in verbs.into_iter().zip(&recording.script).enumerate() {
            // A loop was written down when it ended; a script does one thing after the other.
            let start = match &verb {
                Verb::RecvLoop { every, times: Some(times), .. } => Start::At(call.at.0 - *every * *times),
                Verb::RecvLoop { .. } => Start::At(before),
                _ => cause(&recording.script[..n], &entries, call).map_or(Start::At(call.at.0), Start::After),
            };
            before = call.returned.unwrap_or(call.at).0;
            entries.push(Entry { verb, start, phase: Phase::Waiting, progress: Progress::default() });
        }
        let (socks, vanished) = (BTreeMap::new(), Vec::new());
        Player { sim, recording, client, server, wire, entries, socks, vanished, trouble: None }
    }

    /// Plays until the recording ends.
    pub(super) fn play(&mut self) {
        let end = self.recording.end();
        loop {
            while self.attempt_all() {}
            let (event, call) = (self.sim.next_event_at(), self.next_call());
            let Some(next) = event.into_iter().chain(call).min().filter(|&next| next <= end) else { break };
            if event == Some(next) {
                if !self.sim.step() {
                    break;
                }
            } else {
                self.sim.run_until(next);
            }
        }
        self.sim.run_until(end);
    }

    /// When a call begins, or a sleeping one goes on.
    fn next_call(&self) -> Option<SimTime> {
        let now = self.sim.now();
        let times = self.entries.iter().filter_map(|entry| match entry.phase {
            Phase::Waiting => match entry.start {
                Start::At(at) => Some(at),
                Start::After(_) => None,
            },
            Phase::Running { wake, .. } => wake,
            Phase::Returned { .. } => None,
        });
        times.filter(|&time| time > now).min()
    }

    /// Tries every call that is due; true if any has begun or returned, so that others may be due now.
    fn attempt_all(&mut self) -> bool {
        let now = self.sim.now();
        let mut moved = false;
        for n in 0..self.entries.len() {
            match self.entries[n].phase {
                Phase::Waiting if self.is_due(n, now) && self.is_free(n) => {
                    self.entries[n].phase = Phase::Running { began: now, wake: None };
                    self.attempt(n, now);
                    moved = true;
                }
                Phase::Running { began, wake } if wake.is_none_or(|wake| wake <= now) => {
                    self.attempt(n, began);
                    moved |= matches!(self.entries[n].phase, Phase::Returned { .. });
                }
                _ => {}
            }
        }
        moved
    }

    fn is_due(&self, n: usize, now: SimTime) -> bool {
        match self.entries[n].start {
            Start::At(at) => at <= now,
            Start::After(cause) => matches!(self.entries[cause].phase, Phase::Returned { .. }),
        }
    }

    /// Whether the calls before it on the same socket have returned, and the socket exists.
    fn is_free(&self, n: usize) -> bool {
        let call = &self.recording.script[n];
        let Some(sock) = &call.sock else { return true };
        let same = |earlier: &Call| earlier.side == call.side && earlier.sock.as_ref() == Some(sock);
        let busy = self.recording.script[..n].iter().zip(&self.entries).any(|(earlier, entry)| {
            // A call that never returned belongs to a thread of its own.
            same(earlier) && earlier.result.is_some() && !matches!(entry.phase, Phase::Returned { .. })
        });
        !busy && (self.entries[n].verb == Verb::Socket || self.sock(call).is_some_and(|sock| sock.id.is_some()))
    }

    fn sock(&self, call: &Call) -> Option<Sock> {
        self.socks.get(&(call.side, call.sock.clone()?)).copied()
    }

    fn sock_mut(&mut self, n: usize) -> &mut Sock {
        let call = &self.recording.script[n];
        self.socks.entry((call.side, call.sock.clone().unwrap_or_default())).or_default()
    }

    fn node(&self, side: Side) -> NodeId {
        if side == Side::Client { self.client } else { self.server }
    }

    fn attempt(&mut self, n: usize, began: SimTime) {
        let call = &self.recording.script[n];
        let now = self.sim.now();
        let tried = match self.entries[n].verb.clone() {
            Verb::Nothing => Tried::Returned(Ok(Outcome::Number(0))),
            Verb::Kill => self.kill(),
            Verb::LinkDown => self.carrier(call.side, false),
            Verb::LinkUp => self.carrier(call.side, true),
            Verb::NoRoute(kind, prefix, prefix_len) => {
                self.no_route(call.side, &Attach::NoRoute { prefix, prefix_len, kind })
            }
            Verb::Socket => self.with_sockets(call.side, socket::open),
            verb => self.on_socket(n, verb),
        };
        self.entries[n].phase = match tried {
            Tried::Blocked(_) if self.waits(call) => Phase::Running { began, wake: None },
            Tried::Blocked(errno) => Phase::Returned { began, at: now, result: Err(errno) },
            Tried::Sleep(span) => Phase::Running { began, wake: Some(now + span) },
            Tried::Opened(id, outcome) => {
                let outcome = self.opened(n, id, outcome);
                Phase::Returned { began, at: now, result: Ok(outcome) }
            }
            Tried::Returned(result) => Phase::Returned { began, at: now, result },
        };
    }

    /// Whether a call waits where it cannot go on. One that took its time in the recording did, whatever the socket's
    /// mode before; a loop tries again.
    fn waits(&self, call: &Call) -> bool {
        // A close that lingers waits whatever the mode.
        let waited = call.returned.is_some() || call.result.is_none() || matches!(&*call.call, "recv loop" | "close");
        waited || !self.sock(call).is_some_and(|sock| sock.nonblocking)
    }

    fn with_sockets<R>(
        &mut self,
        side: Side,
        f: impl FnOnce(&mut dyn crate::endpoint::Sockets, &mut crate::endpoint::Cx<'_>) -> R,
    ) -> R {
        let node = self.node(side);
        self.sim.with_endpoint(node, |endpoint, cx| f(endpoint.sockets().expect("a host has sockets"), cx))
    }

    fn on_socket(&mut self, n: usize, verb: Verb) -> Tried {
        let call = &self.recording.script[n];
        let done = Tried::Returned(Ok(Outcome::Number(0)));
        let Some(id) = self.sock(call).and_then(|sock| sock.id) else { return Tried::Returned(Err(Errno::EBADF)) };
        match verb {
            Verb::NonBlocking => self.sock_mut(n).nonblocking = true,
            Verb::Repair(on) => self.sock_mut(n).repaired = on,
            Verb::Fork => self.sock_mut(n).elsewhere = true,
            Verb::Close => return self.close(n, id),
            verb => {
                let verb = match self.translated(verb) {
                    Verb::Send(len, flags) if self.waits(call) => Verb::Send(len, flags | MsgFlags::WAITS),
                    verb => verb,
                };
                let mut progress = self.entries[n].progress;
                let tried =
                    self.with_sockets(call.side, |sockets, cx| socket::attempt(sockets, cx, id, &verb, &mut progress));
                self.entries[n].progress = progress;
                return tried;
            }
        }
        done
    }

    /// A port that the recorded host chose is the one that ours chose in its place.
    fn translated(&mut self, verb: Verb) -> Verb {
        let client = self.recording.client;
        let ports = self.ports();
        let ours = |mut addr: SocketAddr| {
            if addr.ip() == client {
                addr.set_port(ports.ours(addr.port()));
            }
            addr
        };
        match verb {
            Verb::Bind(addr) => Verb::Bind(ours(addr)),
            Verb::Connect(addr) => Verb::Connect(ours(addr)),
            verb => verb,
        }
    }

    fn close(&mut self, n: usize, id: SocketId) -> Tried {
        let call = &self.recording.script[n];
        let sock = self.sock(call).unwrap_or_default();
        if sock.repaired {
            return self.vanish(n);
        }
        let tried = self.with_sockets(call.side, |sockets, cx| {
            socket::attempt(sockets, cx, id, &Verb::Close, &mut Progress::default())
        });
        if !matches!(tried, Tried::Blocked(_)) {
            self.sock_mut(n).id = None;
        }
        tried
    }

    /// A repaired socket is closed: it vanishes without a segment. Our hosts forget one connection only with all.
    fn vanish(&mut self, n: usize) -> Tried {
        let call = &self.recording.script[n];
        let others = |(key, sock): (&(Side, String), &Sock)| {
            key.0 == call.side && Some(&key.1) != call.sock.as_ref() && sock.id.is_some()
        };
        if self.socks.iter().any(others) {
            self.trouble = Some("close of a socket in repair beside others".to_owned());
        }
        let node = self.node(call.side);
        let at = self.sim.now();
        for conn in self.sim.connections(node) {
            let (side, local, peer) = (call.side, conn.tuple.local, conn.tuple.remote);
            self.vanished.push(StateChange { at, side, local, peer, from: conn.state, to: State::Closed });
        }
        self.sim.crash(node);
        self.sim.reboot(node, Span::ZERO);
        self.sock_mut(n).id = None;
        Tried::Returned(Ok(Outcome::Number(0)))
    }

    /// The process that was given sockets dies; where none was, the one that has all of the server.
    fn kill(&mut self) -> Tried {
        let given: Vec<_> = self.socks.iter().filter(|(_, sock)| sock.elsewhere).map(|(key, _)| key.clone()).collect();
        for key in &given {
            if let Some(id) = self.socks.get_mut(key).and_then(|sock| sock.id.take()) {
                self.with_sockets(key.0, |sockets, cx| sockets.close(cx, id)).ok();
            }
        }
        if given.is_empty() {
            self.sim.kill(self.server);
            let server = self.socks.iter_mut().filter(|(key, _)| key.0 == Side::Server);
            server.for_each(|(_, sock)| sock.id = None);
        }
        Tried::Returned(Ok(Outcome::Number(0)))
    }

    fn carrier(&mut self, side: Side, up: bool) -> Tried {
        let node = self.node(side);
        let fault = if up { HostFault::LinkUp(ETH) } else { HostFault::LinkDown(ETH) };
        self.sim.with_endpoint(node, |endpoint, cx| endpoint.on_fault(cx, fault));
        Tried::Returned(Ok(Outcome::Number(0)))
    }

    fn no_route(&mut self, side: Side, attach: &Attach) -> Tried {
        let node = self.node(side);
        self.sim.with_endpoint(node, |endpoint, cx| endpoint.on_attach(cx, attach));
        Tried::Returned(Ok(Outcome::Number(0)))
    }

    /// Names a new socket, and gives what its call returns.
    fn opened(&mut self, n: usize, id: SocketId, outcome: Outcome) -> Outcome {
        let side = self.recording.script[n].side;
        match (&self.entries[n].verb, &outcome) {
            (Verb::Accept { name }, Outcome::Text(peer)) => {
                let name = name.clone().unwrap_or_else(|| format!("accepted {n}"));
                self.socks.insert((side, name.clone()), Sock { id: Some(id), ..Sock::default() });
                let Ok(mut peer) = peer.parse::<SocketAddr>() else { return outcome };
                let local = self.with_sockets(side, |sockets, _| sockets.local_addr(id));
                if let (Ok(local), true) = (local, peer.ip() == self.recording.client) {
                    peer.set_port(self.ports().recorded(peer.port(), local));
                }
                accepted_text(&name, peer)
            }
            _ => {
                self.sock_mut(n).id = Some(id);
                outcome
            }
        }
    }

    fn ports(&mut self) -> Aliases {
        self.with_wire(|wire| wire.ports().clone())
    }

    fn with_wire<R>(&mut self, f: impl FnOnce(&mut Wire) -> R) -> R {
        self.sim.with_endpoint(self.wire, |endpoint, _| {
            let endpoint: &mut dyn Any = endpoint;
            f(endpoint.downcast_mut().expect("the wire is a wire"))
        })
    }

    /// What was seen, as a recording.
    pub(super) fn finish(mut self) -> Result<Recording, String> {
        if let Some(trouble) = self.trouble.take().or_else(|| self.with_wire(|wire| wire.trouble().map(str::to_owned)))
        {
            return Err(trouble);
        }
        let mut seen = self.recording.blank();
        seen.script = self.recording.script.iter().zip(&self.entries).map(|(call, entry)| entry.seen(call)).collect();
        seen.states = self.states();
        let (log, spoofed) = self.with_wire(|wire| (wire.log().to_vec(), wire.spoofed().clone()));
        seen.segments = log;
        if !spoofed.is_empty() {
            let totals = spoofed.into_iter().map(|(kind, n)| (kind, Value::from(n))).collect();
            seen.facts.insert("spoofed traffic".to_owned(), Value::Object(totals));
        }
        Ok(seen)
    }

    /// Every transition that the hosts told of.
    fn states(&mut self) -> Vec<StateChange> {
        let ports = self.ports();
        let client = self.recording.client;
        let shown = |mut addr: SocketAddr, other: SocketAddr| {
            if addr.ip() == client {
                addr.set_port(ports.recorded(addr.port(), other));
            }
            addr
        };
        let mut states = Vec::new();
        for record in self.sim.records() {
            let side = match record.node {
                Some(node) if node == self.client => Side::Client,
                Some(node) if node == self.server => Side::Server,
                _ => continue,
            };
            let What::Noted { event: Event::Transition { tuple, from, to, .. }, .. } = record.what else { continue };
            // A listener is no connection.
            let from = if from == State::Listen { State::Closed } else { from };
            let (local, peer) = (shown(tuple.local, tuple.remote), shown(tuple.remote, tuple.local));
            states.push(StateChange { at: record.at, side, local, peer, from, to });
        }
        let vanished = std::mem::take(&mut self.vanished);
        states.extend(vanished);
        states.sort_by_key(|state| state.at);
        states
    }
}

/// The call before `call` on its socket because of whose return it was made: one that had blocked, or one that such a
/// call caused in its turn. The socket that `accept` gives is the listener's too, in that.
fn cause(before: &[Call], entries: &[Entry], call: &Call) -> Option<usize> {
    let sock = call.sock.as_deref()?;
    let gave = |earlier: &Call| match &earlier.result {
        Some(Outcome::Text(text)) if earlier.call == "accept" => {
            super::plan::accepted(text).is_some_and(|(name, _)| name == sock)
        }
        _ => false,
    };
    let same = |earlier: &Call| earlier.side == call.side && (earlier.sock.as_deref() == Some(sock) || gave(earlier));
    let last = before.iter().rposition(|earlier| same(earlier) && earlier.result.is_some())?;
    let blocked = before[last].returned.is_some() || matches!(entries[last].start, Start::After(_));
    let since = before[last].returned.unwrap_or(before[last].at).0;
    (blocked && since <= call.at.0 && call.at.0.since(since) < AT_ONCE).then_some(last)
}

impl Entry {
    /// The call as it went.
    fn seen(&self, call: &Call) -> Call {
        let (at, returned, result) = match &self.phase {
            Phase::Returned { began, at, result } => (*began, *at, Some(result)),
            Phase::Running { began, .. } => (*began, *began, None),
            Phase::Waiting => (call.at.0, call.at.0, None),
        };
        // A loop is written down when it has ended.
        let at = if matches!(self.verb, Verb::RecvLoop { .. }) { returned } else { at };
        Call {
            at: Seconds(at),
            returned: (returned > at).then_some(Seconds(returned)),
            result: result.map(|result| result.as_ref().map_or(Outcome::Number(-1), Outcome::clone)),
            errno: result.and_then(|result| result.as_ref().err()).map(|errno| errno.name().to_owned()),
            ..call.clone()
        }
    }
}
