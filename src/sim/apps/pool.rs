use super::alarms::Alarms;
use super::exchange::{Exchange, Shape, connecting};
use crate::endpoint::{Errno, MsgFlags, SocketId};
use crate::map::Map;
use crate::sim::{App, AppCx, AttemptEnd, Wake};
use crate::time::{HostTime, Span, secs};
use crate::wire::Rope;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// A client with a connection pool: requests lease a connection, use it, and give it back for the next.
///
/// A lease takes the connection to its destination that was given back last, else opens one where the limits allow,
/// else, at the limit in total, closes the longest idle one of another destination to make room, else waits its turn.
/// Nothing is read from an idle connection, so the pool learns of an end of stream only when it looks: at a lease
/// with validation, or when a request fails. A request is never sent twice.
///
/// Each request reports an attempt that begins when it asks for its lease. Counts `leased`, `reused`, `connected`,
/// `stale` (dropped by validation), `waited`, `wait timed out`, `leaked`, `idle closed` and `evicted`.
#[derive(Debug)]
pub struct Pool {
    destinations: Vec<Destination>,
    policy: PoolPolicy,
    shape: Shape,
    every: Span,
    left: u64,
    asked: u64,
    next: Option<HostTime>,
    /// Connections that are open, leased, idle or leaked.
    total: u32,
    leases: u64,
    leased: Map<SocketId, Lease>,
    waiters: VecDeque<Waiter>,
    /// Something was given back or closed since waiters were last served.
    freed: bool,
    deadlines: Alarms<SocketId>,
    got: Rope,
}

/// The rules of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolPolicy {
    /// The most connections in all.
    pub limit: u32,
    /// The most connections to one destination.
    pub limit_each: u32,
    /// How long a request waits for a lease.
    pub wait: Option<Span>,
    /// How long a request waits for its response, the lease once given.
    pub timeout: Option<Span>,
    /// How long a connection may lie idle before the pool closes it.
    pub idle: Option<Span>,
    /// Whether a lease looks for an end of stream or an error before it takes an idle connection.
    pub validate: bool,
    /// Every so many leases one is never given back: its response is read, its connection stays open and taken.
    pub leak: Option<u64>,
}

/// 10 connections in all and to each destination; no validation, no leak, 30 s for a lease and for a response, idle
/// connections are kept for good.
impl Default for PoolPolicy {
    fn default() -> PoolPolicy {
        let wait = Some(secs(30));
        PoolPolicy { limit: 10, limit_each: 10, wait, timeout: wait, idle: None, validate: false, leak: None }
    }
}

#[derive(Debug)]
struct Destination {
    remote: SocketAddr,
    open: u32,
    /// Since when each has been idle, the longest first.
    idle: VecDeque<(HostTime, SocketId)>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    destination: usize,
    exchange: Exchange,
    /// When the request asked for it.
    asked: HostTime,
    leaks: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    destination: usize,
    asked: HostTime,
}

impl Pool {
    /// Makes one request of `request` bytes, answered by `response` bytes, to `remotes` in turn.
    ///
    /// # Panics
    /// If there are no `remotes`.
    pub fn new(remotes: &[SocketAddr], request: u64, response: u64, policy: PoolPolicy) -> Pool {
        assert!(!remotes.is_empty(), "a pool needs a destination");
        let destination = |&remote: &SocketAddr| Destination { remote, open: 0, idle: VecDeque::new() };
        Pool {
            destinations: remotes.iter().map(destination).collect(),
            policy,
            shape: Shape::new(request, response),
            every: Span::ZERO,
            left: 1,
            asked: 0,
            next: None,
            total: 0,
            leases: 0,
            leased: Map::new(),
            waiters: VecDeque::new(),
            freed: false,
            deadlines: Alarms::default(),
            got: Rope::new(),
        }
    }

    /// Makes `times` requests, one `every` so often; the next does not wait for the last.
    pub fn every(mut self, every: Span, times: u64) -> Pool {
        (self.every, self.left) = (every, times);
        self
    }

    /// A request asks for its lease.
    fn ask(&mut self, cx: &mut AppCx<'_>) {
        let destination = usize::try_from(self.asked % self.destinations.len() as u64).expect("an index");
        self.asked += 1;
        let waiter = Waiter { destination, asked: cx.now() };
        if !self.lease(cx, waiter) {
            cx.count("waited", 1);
            self.waiters.push_back(waiter);
        }
    }

    /// Gives `waiter` a connection, or a failure to open one; false where it has to wait.
    fn lease(&mut self, cx: &mut AppCx<'_>, waiter: Waiter) -> bool {
        let Waiter { destination, .. } = waiter;
        while let Some((_, socket)) = self.destinations[destination].idle.pop_back() {
            if self.policy.validate && is_stale(cx, socket, &mut self.got) {
                cx.count("stale", 1);
                self.drop_connection(cx, destination, socket);
            } else {
                cx.count("reused", 1);
                self.leased(cx, socket, Exchange::connected(cx.now()), waiter);
                return true;
            }
        }
        if self.destinations[destination].open >= self.policy.limit_each {
            return false;
        }
        if self.total >= self.policy.limit && !self.evict(cx) {
            return false;
        }
        let remote = self.destinations[destination].remote;
        match connecting(cx, remote) {
            Ok(socket) => {
                cx.count("connected", 1);
                self.destinations[destination].open += 1;
                self.total += 1;
                self.leased(cx, socket, Exchange::connecting(cx.now(), remote), waiter);
            }
            Err(errno) => cx.attempted(waiter.asked, AttemptEnd::Failed(errno)),
        }
        true
    }

    fn leased(&mut self, cx: &mut AppCx<'_>, socket: SocketId, exchange: Exchange, waiter: Waiter) {
        self.leases += 1;
        cx.count("leased", 1);
        let leaks = self.policy.leak.is_some_and(|n| n > 0 && self.leases.is_multiple_of(n));
        let Waiter { destination, asked } = waiter;
        self.leased.insert(socket, Lease { destination, exchange, asked, leaks });
        if let Some(timeout) = self.policy.timeout {
            self.deadlines.add(exchange.began + timeout, socket);
        }
        self.go_on(cx, socket);
    }

    fn go_on(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        let Some(lease) = self.leased.get_mut(&socket) else { return };
        if let Some(end) = lease.exchange.go_on(cx, socket, &self.shape, &mut self.got) {
            self.end(cx, socket, end);
        }
    }

    /// A request has ended: its connection goes back, or away, or is forgotten.
    fn end(&mut self, cx: &mut AppCx<'_>, socket: SocketId, end: AttemptEnd) {
        let Some(lease) = self.leased.remove(&socket) else { return };
        if let Some(timeout) = self.policy.timeout {
            self.deadlines.remove(lease.exchange.began + timeout, socket);
        }
        cx.attempted(lease.asked, end);
        self.freed = true;
        match end {
            AttemptEnd::Ok if lease.leaks => cx.count("leaked", 1),
            AttemptEnd::Ok => self.destinations[lease.destination].idle.push_back((cx.now(), socket)),
            _ => self.drop_connection(cx, lease.destination, socket),
        }
    }

    fn drop_connection(&mut self, cx: &mut AppCx<'_>, destination: usize, socket: SocketId) {
        self.destinations[destination].open -= 1;
        self.total -= 1;
        self.freed = true;
        cx.close(socket).ok();
    }

    /// Closes the longest idle connection; whether there was one.
    fn evict(&mut self, cx: &mut AppCx<'_>) -> bool {
        let Some((since, destination)) = self.longest_idle() else { return false };
        debug_assert!(since <= cx.now(), "idle since the past");
        self.close_idle(cx, destination, "evicted");
        true
    }

    fn longest_idle(&self) -> Option<(HostTime, usize)> {
        let fronts = self.destinations.iter().enumerate().filter_map(|(n, d)| d.idle.front().map(|&(at, _)| (at, n)));
        fronts.min()
    }

    fn close_idle(&mut self, cx: &mut AppCx<'_>, destination: usize, why: &'static str) {
        if let Some((_, socket)) = self.destinations[destination].idle.pop_front() {
            cx.count(why, 1);
            self.drop_connection(cx, destination, socket);
        }
    }

    /// Everything whose time has come, deadlines before new requests.
    fn on_time(&mut self, cx: &mut AppCx<'_>) {
        let now = cx.now();
        while let Some(socket) = self.deadlines.pop(now) {
            self.end(cx, socket, AttemptEnd::TimedOut);
        }
        while let Some(idle) = self.policy.idle
            && let Some((since, destination)) = self.longest_idle()
            && since + idle <= now
        {
            self.close_idle(cx, destination, "idle closed");
        }
        self.serve(cx);
        while let Some(wait) = self.policy.wait
            && let Some(&Waiter { asked, .. }) = self.waiters.front()
            && asked + wait <= now
        {
            self.waiters.pop_front();
            cx.count("wait timed out", 1);
            cx.attempted(asked, AttemptEnd::TimedOut);
        }
        while let Some(next) = self.next
            && next <= now
        {
            self.left -= 1;
            self.next = (self.left > 0).then(|| next + self.every);
            self.ask(cx);
        }
    }

    /// Gives waiters what has become free, first come, first served for each destination.
    fn serve(&mut self, cx: &mut AppCx<'_>) {
        if !std::mem::take(&mut self.freed) {
            return;
        }
        let mut at = 0;
        while let Some(&waiter) = self.waiters.get(at) {
            if self.total >= self.policy.limit && self.longest_idle().is_none() {
                return;
            }
            if self.lease(cx, waiter) {
                self.waiters.remove(at);
            } else {
                at += 1;
            }
        }
    }

    fn next_instant(&self) -> Option<HostTime> {
        let waiter = self.waiters.front().zip(self.policy.wait).map(|(waiter, wait)| waiter.asked + wait);
        let idle = self.longest_idle().zip(self.policy.idle).map(|((since, _), idle)| since + idle);
        [self.next, self.deadlines.next(), waiter, idle].into_iter().flatten().min()
    }
}

impl App for Pool {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        self.next = (self.left > 0).then(|| cx.now());
        cx.set_timer(self.next);
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        if let Wake::Ready(socket, _) = wake {
            self.go_on(cx, socket);
        }
        self.on_time(cx);
        cx.set_timer(self.next_instant());
    }
}

/// Whether an idle connection has come to its end, has failed, or holds data that nobody asked for.
fn is_stale(cx: &mut AppCx<'_>, socket: SocketId, got: &mut Rope) -> bool {
    got.clear();
    cx.recv(socket, 1, MsgFlags::PEEK, got) != Err(Errno::EAGAIN)
}
