//! The applications of `wirefate::sim::apps`, each in one short story.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wirefate::endpoint::{Errno, Family, MsgFlags, Shutdown, SockOpt, SocketId, SocketKind, State};
use wirefate::host::{HostConfig, Profile};
use wirefate::sim::apps::{
    Acceptor, Backoff, Churn, DatagramSink, DatagramSource, Echo, Idle, Pool, PoolPolicy, Raw, RequestResponse,
    Requester, Retry, Sink, Source, SynFlood, pattern,
};
use wirefate::sim::{App, AppCx, AppId, AttemptEnd, Prefix, Sim, Void, Wake};
use wirefate::time::{HostTime, SimTime};
use wirefate::trace::NodeId;
use wirefate::wire::{Payload, Rope};
use wirefate::{Link, Span, ms, secs};

/// Applications are what is tried here; the rules of the RFC are the plainest ground.
fn rfc9293(name: &str) -> HostConfig {
    HostConfig::named(name).profile(Profile::Rfc9293)
}

/// A client and a server, 10 ms apart, and the server's port 80.
fn pair(seed: u64) -> (Sim, NodeId, NodeId, SocketAddr) {
    let mut sim = Sim::new(seed);
    let [client, server] = ["client", "server"].map(|name| sim.host(rfc9293(name)));
    sim.link(client, server, Link::new().delay(ms(10)));
    let remote = SocketAddr::new(sim.addr(server).unwrap(), 80);
    (sim, client, server, remote)
}

fn ends(sim: &Sim, app: AppId) -> Vec<AttemptEnd> {
    sim.stats(app).attempts().iter().map(|attempt| attempt.end).collect()
}

/// When each attempt began, in milliseconds.
fn began(sim: &Sim, app: AppId) -> Vec<u64> {
    let began = sim.stats(app).attempts().iter().map(|attempt| attempt.began.since(HostTime::ZERO).as_millis());
    began.collect()
}

fn at(span: Span) -> SimTime {
    SimTime::ZERO + span
}

#[test]
fn a_sink_reads_everything_and_closes() {
    let (mut sim, client, server, _) = pair(1);
    sim.listen(server, 80);
    let conn = sim.connect(client, server, 80);
    sim.write(conn, pattern(100_000));
    sim.close(conn);
    sim.run();
    assert_eq!(sim.received(sim.peer(conn)).bytes()[..], pattern(100_000)[..]);
    assert_eq!(sim.connections(server).len(), 0, "the sink closed its side");
}

#[test]
fn two_servers_do_not_share_a_port() {
    let (mut sim, _, server, _) = pair(1);
    let first = sim.app(server, Echo::new(80, 8));
    let second = sim.app(server, Echo::new(80, 8));
    assert_eq!(ends(&sim, first), []);
    assert_eq!(ends(&sim, second), [AttemptEnd::Failed(Errno::EADDRINUSE)]);
}

/// Writes all it can at once, and reads nothing before its timer.
struct LateReader {
    remote: SocketAddr,
    after: Span,
    socket: Option<SocketId>,
    left: Payload,
    reads: bool,
    got: Rope,
}

impl LateReader {
    fn write(&mut self, cx: &mut AppCx<'_>, socket: SocketId) {
        if cx.connect(socket, self.remote).is_err_and(|errno| errno != Errno::EISCONN) {
            return;
        }
        while !self.left.is_empty() {
            match cx.send(socket, &self.left, MsgFlags::empty()) {
                Ok(n) => {
                    self.left.split_to(n);
                    cx.count("written", n.into());
                }
                Err(_) => return,
            }
        }
        cx.shutdown(socket, Shutdown::Write).ok();
    }
}

impl App for LateReader {
    fn on_start(&mut self, cx: &mut AppCx<'_>) {
        cx.wake_after(ms(1));
    }

    fn on_wake(&mut self, cx: &mut AppCx<'_>, wake: Wake) {
        let Some(socket) = self.socket else {
            let socket = cx.socket(Family::V4, SocketKind::Stream).unwrap();
            cx.name(socket, "late".to_owned());
            cx.set_option(socket, SockOpt::ReceiveBuffer(32 << 10)).unwrap();
            assert_eq!(cx.connect(socket, self.remote), Err(Errno::EINPROGRESS));
            self.socket = Some(socket);
            return cx.wake_after(self.after);
        };
        self.reads |= wake == Wake::Timer;
        if !self.left.is_empty() {
            self.write(cx, socket);
        }
        while self.reads {
            match cx.recv(socket, 1 << 16, MsgFlags::empty(), &mut self.got) {
                Ok(n) if n > 0 => cx.count("read", n as u64),
                Ok(_) => {
                    cx.close(socket).unwrap();
                    cx.count("closed", 1);
                    self.reads = false;
                }
                Err(_) => return,
            }
        }
    }
}

#[test]
fn an_echo_stops_reading_while_its_send_is_blocked() {
    const ALL: u64 = 8 << 20;
    let (mut sim, client, server, remote) = pair(1);
    let echo = sim.app(server, Echo::new(80, 8));
    let left = pattern(8 << 20).into();
    let late = LateReader { remote, after: secs(5), socket: None, left, reads: false, got: Rope::new() };
    let late = sim.app(client, late);
    sim.run_until(at(secs(5)));
    let (back, written) = (sim.stats(echo).get("bytes"), sim.stats(late).get("written"));
    assert!(sim.stats(echo).get("blocked") > 0 && back > 0, "{:?}", sim.stats(echo));
    assert!(back < written && written < ALL, "{back} bytes sent back of {written} written");
    sim.run();
    assert_eq!((sim.stats(echo).get("bytes"), sim.stats(late).get("read")), (ALL, ALL));
    assert_eq!((sim.stats(echo).get("closed"), sim.stats(late).get("closed")), (1, 1));
    assert_eq!(sim.received(sim.streams_of(client)[0]).bytes()[..], pattern(8 << 20)[..]);
}

#[test]
fn a_source_sends_its_pattern_and_closes() {
    let (mut sim, client, server, remote) = pair(1);
    let source = sim.app(server, Source::server(80, 8, 300_000));
    let conn = sim.connect(client, server, 80);
    sim.read_to_end(conn);
    sim.close(conn);
    sim.run();
    assert_eq!(sim.received(conn).bytes()[..], pattern(300_000)[..]);
    assert_eq!((ends(&sim, source), sim.stats(source).get("bytes")), (vec![AttemptEnd::Ok], 300_000));
    let refused = sim.app(client, Source::client(SocketAddr::new(remote.ip(), 81), 10));
    sim.run();
    assert_eq!(ends(&sim, refused), [AttemptEnd::Failed(Errno::ECONNREFUSED)]);
}

#[test]
fn a_paced_source_takes_its_time() {
    let (mut sim, client, server, remote) = pair(1);
    sim.listen(server, 80);
    let source = sim.app(client, Source::client(remote, 9_500).pace(1_000, ms(100)));
    sim.run_until(at(ms(20 + 350)));
    assert_eq!(sim.stats(source).get("bytes"), 4_000);
    sim.run();
    let [attempt] = sim.stats(source).attempts() else { panic!("one connection, one attempt") };
    assert_eq!((attempt.end, attempt.took), (AttemptEnd::Ok, ms(20 + 900)));
    assert_eq!(sim.received(sim.streams_of(server)[0]).bytes()[..], pattern(9_500)[..]);
}

#[test]
fn requests_are_answered_or_say_why_not() {
    let (mut sim, client, server, remote) = pair(1);
    let closed = SocketAddr::new(remote.ip(), 81);
    let slow = SocketAddr::new(remote.ip(), 82);
    let service = sim.app(server, RequestResponse::new(80, 8, 500, 100_000));
    sim.app(server, RequestResponse::new(82, 8, 500, 500).think(secs(5)));
    let good = sim.app(client, Requester::new(remote, 500, 100_000).every(ms(50), 3));
    let refused = sim.app(client, Requester::new(closed, 500, 500).after(secs(1)));
    let impatient = sim.app(client, Requester::new(slow, 500, 500).timeout(secs(1)));
    let patient = sim.app(client, Requester::new(slow, 500, 500).timeout(secs(10)));
    sim.run();
    assert_eq!((sim.stats(good).ok(), began(&sim, good)), (3, vec![0, 50, 100]));
    assert_eq!(sim.stats(service).get("answered"), 3);
    assert_eq!(ends(&sim, refused), [AttemptEnd::Failed(Errno::ECONNREFUSED)]);
    assert_eq!(began(&sim, refused), [1_000]);
    let [attempt] = sim.stats(impatient).attempts() else { panic!("one request, one attempt") };
    assert_eq!((attempt.end, attempt.took), (AttemptEnd::TimedOut, secs(1)));
    let [attempt] = sim.stats(patient).attempts() else { panic!("one request, one attempt") };
    assert_eq!(attempt.end, AttemptEnd::Ok);
    assert!(attempt.took > secs(5) && attempt.took < ms(5_200), "{}", attempt.took);
}

#[test]
fn an_answer_that_ends_too_soon_is_cut_short() {
    let (mut sim, client, server, remote) = pair(1);
    sim.app(server, RequestResponse::new(80, 8, 500, 400).once());
    let short = sim.app(client, Requester::new(remote, 500, 500));
    sim.run();
    assert_eq!(ends(&sim, short), [AttemptEnd::CutShort]);
}

#[test]
fn retries_back_off_until_the_network_heals() {
    let (mut sim, client, server, remote) = pair(1);
    sim.app(server, RequestResponse::new(80, 8, 100, 100));
    sim.partition(client, server);
    let retry = sim.app(client, Retry::new(remote, 100, 100, Backoff::default()).timeout(ms(500)));
    sim.run_until(at(secs(5)));
    sim.heal(client, server);
    sim.run();
    let timed_out = AttemptEnd::TimedOut;
    assert_eq!(began(&sim, retry), [0, 1_500, 4_000, 8_500], "each 0.5 s long, then 1, 2 and 4 s");
    assert_eq!(ends(&sim, retry), [timed_out, timed_out, timed_out, AttemptEnd::Ok]);
    assert_eq!((sim.stats(retry).get("answered"), sim.stats(retry).get("gave up")), (1, 0));
}

#[test]
fn retries_give_up_and_jitter_stays_in_its_bounds() {
    let story = |seed| {
        let (mut sim, client, _, remote) = pair(seed);
        let backoff = Backoff { attempts: 4, jitter_percent: 50, ..Backoff::default() };
        let retry = sim.app(client, Retry::new(remote, 100, 100, backoff));
        sim.run();
        assert_eq!(ends(&sim, retry), [AttemptEnd::Failed(Errno::ECONNREFUSED); 4]);
        assert_eq!(sim.stats(retry).get("gave up"), 1);
        let began = began(&sim, retry);
        for (n, wait) in began.windows(2).map(|pair| pair[1] - pair[0]).enumerate() {
            let full = 1_000 << n;
            assert!(wait + 1 >= full / 2 + 20 && wait <= full + 21, "wait {n} of seed {seed}: {wait} ms");
        }
        began
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn idle_ends_do_nothing_for_ever() {
    let (mut sim, client, server, remote) = pair(1);
    let holder = sim.app(server, Idle::server(80, 8));
    let clients = sim.app(client, Idle::client(remote, 3));
    sim.run_until(at(secs(3_600)));
    assert_eq!((sim.stats(clients).ok(), sim.stats(holder).get("accepted")), (3, 3));
    assert_eq!((sim.connections(client).len(), sim.connections(server).len()), (3, 3));
}

#[test]
fn an_acceptor_keeps_to_its_rate() {
    let (mut sim, client, server, remote) = pair(1);
    let acceptor = sim.app(server, Acceptor::new(80, 16).rate(10, secs(1)));
    sim.app(client, Idle::client(remote, 10));
    sim.run_until(at(ms(30 + 350)));
    assert_eq!(sim.stats(acceptor).get("accepted"), 4, "the first at 30 ms, then one each 100 ms");
    assert_eq!(sim.listeners(server)[0].accept, 6);
    sim.run_until(at(secs(2)));
    assert_eq!(sim.stats(acceptor).get("accepted"), 10);
}

#[test]
fn an_acceptor_that_pauses_fills_its_accept_queue() {
    let (mut sim, client, server, remote) = pair(1);
    let acceptor = sim.app(server, Acceptor::new(80, 2).pause(secs(1), ms(500)));
    sim.run_until(at(ms(1_100)));
    for _ in 0..5 {
        sim.app(client, Idle::client(remote, 1));
        sim.run_for(ms(60));
    }
    sim.run_until(at(ms(1_450)));
    assert_eq!(sim.stats(acceptor).get("accepted"), 0, "it stands still from 1 s to 1.5 s");
    assert_eq!(sim.listeners(server)[0].accept, 2, "its backlog");
    sim.run_until(at(ms(1_550)));
    assert_eq!(sim.stats(acceptor).get("accepted"), 2);
    sim.run_until(at(secs(10)));
    assert_eq!(sim.stats(acceptor).get("accepted"), 5, "the others come when they retry their SYN");
}

/// Three requests 10 s apart through a pool, to a server that closes what idles for 5 s.
fn stale(policy: PoolPolicy) -> (Sim, AppId, AppId) {
    let (mut sim, client, server, remote) = pair(1);
    let service = sim.app(server, RequestResponse::new(80, 8, 100, 1_000).idle(secs(5)));
    let pool = sim.app(client, Pool::new(&[remote], 100, 1_000, policy).every(secs(10), 3));
    sim.run_until(at(secs(300)));
    (sim, service, pool)
}

#[test]
fn a_pool_without_validation_uses_a_stale_connection() {
    let (sim, service, pool) = stale(PoolPolicy::default());
    assert_eq!(ends(&sim, pool), [AttemptEnd::Ok, AttemptEnd::CutShort, AttemptEnd::Ok]);
    assert_eq!((sim.stats(pool).get("reused"), sim.stats(pool).get("connected")), (1, 2));
    assert_eq!(sim.stats(service).get("idle closed"), 2);
}

#[test]
fn a_pool_with_validation_connects_anew() {
    let (sim, service, pool) = stale(PoolPolicy { validate: true, ..PoolPolicy::default() });
    assert_eq!(ends(&sim, pool), [AttemptEnd::Ok; 3]);
    assert_eq!((sim.stats(pool).get("stale"), sim.stats(pool).get("connected")), (2, 3));
    assert_eq!(sim.stats(service).get("answered"), 3);
}

#[test]
fn a_pool_that_closes_idle_connections_first_has_no_stale_ones() {
    let (sim, service, pool) = stale(PoolPolicy { idle: Some(secs(4)), ..PoolPolicy::default() });
    assert_eq!(ends(&sim, pool), [AttemptEnd::Ok; 3]);
    assert_eq!((sim.stats(pool).get("idle closed"), sim.stats(pool).get("stale")), (3, 0));
    assert_eq!((sim.stats(service).get("idle closed"), sim.stats(service).get("closed")), (0, 3));
}

#[test]
fn a_pool_learns_of_a_crash_by_a_reset() {
    let (mut sim, client, server, remote) = pair(1);
    let service = sim.app(server, RequestResponse::new(80, 8, 100, 1_000));
    let policy = PoolPolicy { validate: true, ..PoolPolicy::default() };
    let pool = sim.app(client, Pool::new(&[remote], 100, 1_000, policy).every(secs(10), 3));
    sim.run_until(at(secs(5)));
    sim.crash(server);
    sim.reboot(server, secs(0));
    sim.run_until(at(secs(300)));
    let [reset, refused] = [Errno::ECONNRESET, Errno::ECONNREFUSED].map(AttemptEnd::Failed);
    assert_eq!(ends(&sim, pool), [AttemptEnd::Ok, reset, refused], "no validation sees a peer that is silent");
    assert_eq!(sim.stats(service).get("answered"), 1, "what an application reported outlives it");
}

#[test]
fn a_pool_keeps_its_limit_and_its_waiters_give_up() {
    let (mut sim, client, server, remote) = pair(1);
    sim.app(server, RequestResponse::new(80, 8, 100, 1_000).think(secs(1)));
    let policy = PoolPolicy { limit: 2, wait: Some(ms(1_500)), ..PoolPolicy::default() };
    let pool = sim.app(client, Pool::new(&[remote], 100, 1_000, policy).every(secs(0), 5));
    sim.run_until(at(ms(500)));
    assert_eq!(sim.connections(client).len(), 2);
    sim.run_until(at(secs(300)));
    let (ok, timed_out) = (AttemptEnd::Ok, AttemptEnd::TimedOut);
    assert_eq!(ends(&sim, pool), [ok, ok, timed_out, ok, ok]);
    assert_eq!(sim.stats(pool).attempts()[2].took, ms(1_500));
    let stats = sim.stats(pool);
    let counts = ["waited", "wait timed out", "connected", "reused", "leased"].map(|name| stats.get(name));
    assert_eq!(counts, [3, 1, 2, 2, 4]);
}

#[test]
fn leaked_leases_starve_a_pool() {
    let (mut sim, client, server, remote) = pair(1);
    sim.app(server, RequestResponse::new(80, 8, 100, 1_000));
    let policy = PoolPolicy { limit: 2, wait: Some(secs(3)), leak: Some(2), ..PoolPolicy::default() };
    let pool = sim.app(client, Pool::new(&[remote], 100, 1_000, policy).every(secs(1), 6));
    sim.run_until(at(secs(60)));
    let (ok, timed_out) = (AttemptEnd::Ok, AttemptEnd::TimedOut);
    assert_eq!(ends(&sim, pool), [ok, ok, ok, ok, timed_out, timed_out], "the 2nd and the 4th lease never return");
    assert_eq!((sim.stats(pool).get("leaked"), sim.connections(client).len()), (2, 2));
}

#[test]
fn a_pool_makes_room_for_another_destination() {
    let (mut sim, client, server, remote) = pair(1);
    let other = SocketAddr::new(remote.ip(), 81);
    sim.app(server, RequestResponse::new(80, 8, 100, 1_000));
    sim.app(server, RequestResponse::new(81, 8, 100, 1_000));
    let policy = PoolPolicy { limit: 1, ..PoolPolicy::default() };
    let pool = sim.app(client, Pool::new(&[remote, other], 100, 1_000, policy).every(secs(1), 4));
    sim.run_until(at(secs(600)));
    assert_eq!(ends(&sim, pool), [AttemptEnd::Ok; 4]);
    assert_eq!((sim.stats(pool).get("evicted"), sim.stats(pool).get("reused")), (3, 0));
}

#[test]
fn churn_goes_through_its_connections() {
    for at_once in [1, 8] {
        let (mut sim, client, server, remote) = pair(1);
        let service = sim.app(server, RequestResponse::new(80, 128, 1_024, 1_024));
        let churn = sim.app(client, Churn::new(remote, 50, 1_024, 1_024).at_once(at_once));
        sim.run();
        assert_eq!((sim.stats(churn).ok(), sim.stats(churn).attempts().len()), (50, 50));
        assert_eq!((sim.stats(service).get("answered"), sim.stats(service).get("closed")), (50, 50));
        let together = began(&sim, churn).iter().filter(|&&began| began == 0).count();
        assert_eq!(together, at_once);
    }
}

#[test]
fn churn_keeps_to_its_rate_and_may_let_the_server_close() {
    let (mut sim, client, server, remote) = pair(1);
    let service = sim.app(server, RequestResponse::new(80, 128, 10, 2_000).once());
    let churn = sim.app(client, Churn::new(remote, 20, 10, 2_000).rate(8, ms(100)).server_closes());
    sim.run_until(at(ms(240)));
    assert_eq!(sim.stats(churn).get("started"), 20, "one each 12.5 ms");
    sim.run();
    assert_eq!((sim.stats(churn).ok(), sim.stats(service).get("answered")), (20, 20));
    assert_eq!(began(&sim, churn)[..5], [0, 12, 25, 37, 50]);
}

#[test]
fn a_sink_may_forget_to_close() {
    let (mut sim, client, server, remote) = pair(1);
    let sink = sim.app(server, Sink::new(80, 8).leave_open());
    let source = sim.app(client, Source::client(remote, 5_000));
    sim.run_until(at(secs(600)));
    assert_eq!((sim.stats(source).ok(), sim.stats(sink).get("bytes"), sim.stats(sink).get("ended")), (1, 5_000, 1));
    assert_eq!(sim.netstat(server).count(State::CloseWait), 1);
}

#[test]
fn datagrams_come_in_bursts() {
    let (mut sim, client, server, _) = pair(1);
    let remote = SocketAddr::new(sim.addr(server).unwrap(), 53);
    let sink = sim.app(server, DatagramSink::new(53));
    let source = sim.app(client, DatagramSource::new(remote, 100, 4, secs(1), 3));
    sim.run_until(at(ms(1_500)));
    assert_eq!(sim.stats(sink).get("datagrams"), 8);
    sim.run();
    assert_eq!((sim.stats(source).get("sent"), sim.stats(sink).get("datagrams")), (12, 12));
    assert_eq!(sim.stats(sink).get("bytes"), 1_200);
}

#[test]
fn a_flood_fills_a_syn_queue() {
    let mut sim = Sim::new(1);
    let server = sim.host(rfc9293("server"));
    let to = SocketAddr::new(sim.addr(server).unwrap(), 80);
    let from = Prefix { addr: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), len: 24 };
    let attacker = sim.endpoint("attacker", Raw::new());
    sim.link(attacker, server, Link::new().delay(ms(1)));
    sim.void(from, Void::Blackhole);
    sim.listener(server, 80, 16);
    let at_first = HostTime::ZERO + ms(100);
    sim.raw(attacker, |raw| raw.syn_flood(SynFlood { at: at_first, rate: (100, secs(1)), count: 100, from, to }));
    sim.run_until(at(ms(150)));
    assert_eq!((sim.counter(attacker, "Raw.Sent"), sim.listeners(server)[0].syn), (Some(6), 5));
    sim.run_until(at(secs(2)));
    assert_eq!((sim.counter(attacker, "Raw.Sent"), sim.counter(attacker, "Raw.Received")), (Some(100), Some(0)));
}
