use super::Sim;
use super::residence::Residence;
use crate::endpoint::{ConnView, ListenView, State, TcpInfo};
use crate::time::SimTime;
use crate::trace::NodeId;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What `netstat`, `ss` and `nstat` would print on one host at one instant. Plain data; its `Display` is their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netstat {
    /// The name of the host.
    pub host: String,
    /// When.
    pub at: SimTime,
    /// Every connection, in the order of its addresses, TIME-WAIT and half-open ones included.
    pub connections: Vec<ConnView>,
    /// Every listener with its queues, in the order of their sockets.
    pub listeners: Vec<ListenView>,
    /// Every counter, in the host's own order: `TcpExt.ListenOverflows`.
    pub counters: Vec<(&'static str, u64)>,
    /// How long connections have stayed in each state, where [`Sim::keep_residence`] was called.
    pub residence: Option<Vec<Residence>>,
}

impl Netstat {
    /// How many connections, or listeners, are in `state`.
    pub fn count(&self, state: State) -> u32 {
        let number = match state {
            State::Listen => self.listeners.len(),
            state => self.connections.iter().filter(|view| view.state == state).count(),
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// How many are in each state that any is in: `netstat -an | awk '{++S[$NF]} END {for(a in S) print a, S[a]}'`.
    pub fn counts(&self) -> BTreeMap<State, u32> {
        let mut counts = BTreeMap::new();
        let listeners = self.listeners.iter().map(|_| State::Listen);
        for state in self.connections.iter().map(|view| view.state).chain(listeners) {
            *counts.entry(state).or_default() += 1;
        }
        counts
    }

    /// A counter by its name, written either way: `TcpExt.ListenDrops` or, as `nstat` has it, `TcpExtListenDrops`.
    pub fn counter(&self, name: &str) -> Option<u64> {
        let found = self.counters.iter().find(|(counter, _)| *counter == name || nstat_name(counter) == name);
        found.map(|&(_, value)| value)
    }

    /// The row of `ss` for `listener`.
    pub fn listen_row(listener: &ListenView) -> SocketRow {
        SocketRow {
            state: State::Listen,
            recv_q: u64::from(listener.accept),
            send_q: u64::from(listener.accept_max),
            local: listener.local,
            peer: None,
        }
    }

    /// The row of `ss` for `view`. Send-Q counts what the peer has not acknowledged, as the kernel does: SYN and FIN
    /// take one each. Recv-Q counts bytes alone: whether the application has read the end of the stream, a host need
    /// not tell, where the kernel's CLOSE-WAIT shows 1 until it has.
    pub fn conn_row(view: &ConnView) -> SocketRow {
        let (syn, fin) = match view.state {
            State::SynSent | State::SynReceived => (view.snd.is_some_and(|snd| snd.una == snd.iss), false),
            State::FinWait1 | State::Closing | State::LastAck => (false, true),
            _ => (false, false),
        };
        SocketRow {
            state: view.state,
            recv_q: view.rcv.map_or(0, |rcv| rcv.queued),
            send_q: view.snd.map_or(0, |snd| snd.queued) + u64::from(syn) + u64::from(fin),
            local: view.tuple.local,
            peer: Some(view.tuple.remote),
        }
    }
}

/// One row of `ss -tan`; its `Display` has the columns of [`SocketRow::HEADER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRow {
    /// The state.
    pub state: State,
    /// Bytes that the application has not read; for a listener, connections that wait for `accept`.
    pub recv_q: u64,
    /// Bytes that the peer has not acknowledged; for a listener, its backlog.
    pub send_q: u64,
    /// This end.
    pub local: SocketAddr,
    /// The other end; a listener has none.
    pub peer: Option<SocketAddr>,
}

impl SocketRow {
    /// The head of its columns.
    pub const HEADER: &str = "State       Recv-Q  Send-Q  Local Address:Port     Peer Address:Port";
}

/// `*:80` stands for every address of both families, as in `ss`.
impl fmt::Display for SocketRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = |addr: SocketAddr| addr.is_ipv6() && addr.ip().is_unspecified();
        let local = if both(self.local) { format!("*:{}", self.local.port()) } else { self.local.to_string() };
        let peer = match (self.peer, self.local.ip()) {
            (Some(peer), _) => peer.to_string(),
            (None, _) if both(self.local) => "*:*".to_owned(),
            (None, IpAddr::V4(_)) => "0.0.0.0:*".to_owned(),
            (None, IpAddr::V6(_)) => "[::]:*".to_owned(),
        };
        write!(f, "{:<10}  {:<6}  {:<6}  {local:<21}  {peer}", self.state.ss_name(), self.recv_q, self.send_q)
    }
}

/// `TcpExtListenDrops` for `TcpExt.ListenDrops`.
pub(super) fn nstat_name(counter: &str) -> String {
    counter.replace('.', "")
}

/// The counts by state; then, each under its own head, listeners, connections, counters that are not 0, and stays.
impl fmt::Display for Netstat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at {} s", self.host, self.at)?;
        for (state, count) in self.counts() {
            writeln!(f, "{} {count}", state.netstat_name())?;
        }
        let rows = self.listeners.iter().map(Netstat::listen_row);
        let rows: Vec<SocketRow> = rows.chain(self.connections.iter().map(Netstat::conn_row)).collect();
        if !rows.is_empty() {
            writeln!(f, "\n{}", SocketRow::HEADER)?;
            rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        }
        if self.counters.iter().any(|&(_, value)| value > 0) {
            writeln!(f)?;
        }
        for (counter, value) in self.counters.iter().filter(|&&(_, value)| value > 0) {
            writeln!(f, "{:<32}{value}", nstat_name(counter))?;
        }
        match self.residence.as_deref() {
            None | Some([]) => Ok(()),
            Some(rows) => {
                writeln!(f, "\n{}", Residence::HEADER)?;
                rows.iter().try_for_each(|row| writeln!(f, "{row}"))
            }
        }
    }
}

impl Residence {
    /// The head of its columns: stays that go on, then stays that have ended.
    pub const HEADER: &str =
        "Residence       Now  Oldest          Ended  Min             Mean            Max             Total";
}

impl fmt::Display for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |shown: bool, span: crate::time::Span| if shown { span.to_string() } else { "-".to_owned() };
        let (here, gone) = (self.now > 0, self.ended > 0);
        let (name, mean) = (self.state.netstat_name(), self.mean().unwrap_or_default());
        write!(f, "{name:<12}  {:>5}  {:<14}  {:>5}  ", self.now, span(here, self.oldest), self.ended)?;
        let (min, mean, max) = (span(gone, self.min), span(gone, mean), span(gone, self.max));
        write!(f, "{min:<14}  {mean:<14}  {max:<14}  {}", span(gone, self.total))
    }
}

impl Sim {
    /// What `netstat`, `ss` and `nstat` would print on `node` now. Looking changes nothing.
    ///
    /// ```
    /// use wirefate::endpoint::State;
    /// use wirefate::{Link, Sim, ms, secs};
    ///
    /// let mut sim = Sim::new(1);
    /// let [client, server] = sim.hosts(["client", "server"]);
    /// sim.link(client, server, Link::new().delay(ms(20)));
    /// sim.keep_residence();
    /// sim.listen(server, 80);
    /// let conn = sim.connect(client, server, 80);
    /// sim.write(conn, "hello");
    /// sim.close(conn);
    /// sim.run_for(secs(1));
    ///
    /// let seen = sim.netstat(client);
    /// assert_eq!((seen.count(State::TimeWait), seen.counter("TcpActiveOpens")), (1, Some(1)));
    /// assert!(seen.to_string().starts_with("client at 1.000000 s\nTIME_WAIT 1\n"));
    /// let [syn_sent, ..] = &seen.residence.unwrap()[..] else { panic!() };
    /// assert_eq!((syn_sent.state, syn_sent.min), (State::SynSent, ms(40)));
    /// ```
    pub fn netstat(&self, node: NodeId) -> Netstat {
        let connections = self.connections(node);
        let mut counters = Vec::new();
        self.nodes[node.0 as usize].endpoint.counters(&mut |name, value| counters.push((name, value)));
        Netstat {
            host: self.name_of(node).to_owned(),
            at: self.now(),
            residence: self.residence_of(node, &connections),
            connections,
            listeners: self.listeners(node),
            counters,
        }
    }

    /// `getsockopt(TCP_INFO)` on the socket of `stream`; none where its endpoint does not tell, where the socket is not
    /// there yet or no more, or where it is not TCP.
    ///
    /// ```
    /// use wirefate::{Link, Sim, ms, secs};
    ///
    /// let mut sim = Sim::new(1);
    /// let [client, server] = sim.hosts(["client", "server"]);
    /// sim.link(client, server, Link::new().delay(ms(20)));
    /// sim.listen(server, 80);
    /// let conn = sim.connect(client, server, 80);
    /// sim.run_for(secs(1));
    /// let info = sim.tcp_info(conn).unwrap();
    /// assert_eq!((info.rtt, info.rttvar, info.rto), (Some(ms(40)), Some(ms(20)), ms(240)));
    /// ```
    pub fn tcp_info(&mut self, stream: super::Stream) -> Option<TcpInfo> {
        let entry = self.ledger.get(stream.0);
        let (node, socket) = (entry.node, entry.socket?);
        // A descriptor is used again after `close`: it must still be this stream's.
        let place = &mut self.nodes[node.0 as usize];
        let owner = place.owners.get(socket.0 as usize).and_then(|owner| owner.stream);
        if owner != Some(stream.0) {
            return None;
        }
        let now = place.clock.to_host(self.now);
        place.endpoint.sockets()?.tcp_info(now, socket).ok()
    }
}
