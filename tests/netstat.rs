//! What `netstat`, `ss`, `nstat` and `getsockopt(TCP_INFO)` show: numbers, text, the command line; and that looking
//! changes nothing.
#![cfg(feature = "scenario")]

use wirefate::endpoint::{CaState, State, TcpInfo};
use wirefate::host::{HostConfig, Profile};
use wirefate::scenario::{Played, Scenario, play_prepared, play_until};
use wirefate::sim::{Connect, Netstat, Residence};
use wirefate::time::{SimTime, Span};
use wirefate::trace::Keep;
use wirefate::{Link, Sim, ms, secs};

fn at(span: Span) -> SimTime {
    SimTime::ZERO + span
}

/// Two hosts 20 ms apart, a script, and whatever else a file may have.
fn scenario(profile: &str, steps: &str, more: &str) -> Scenario {
    let text = format!(
        r#"
        format = 1
        title = "counters"
        [hosts.client]
        profile = "{profile}"
        [hosts.server]
        profile = "{profile}"
        [links]
        "client <> server" = {{ delay = "20ms" }}
        [script]
        steps = [ {steps} ]
        {more}
        "#
    );
    Scenario::parse("netstat.toml", &text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn played(profile: &str, steps: &str, more: &str) -> Played {
    let instance = scenario(profile, steps, more).instance(None, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
    play_prepared("counters", &instance, 1, Keep::Story, Sim::keep_residence).unwrap_or_else(|error| panic!("{error}"))
}

/// Every counter of TCP that is not 0 but those that count all segments, as `nstat` names them.
fn counted(played: &Played, host: &str) -> String {
    let seen = played.sim.netstat(played.sim.find(host).expect("the host is there"));
    let every = ["Tcp.InSegs", "Tcp.OutSegs", "TcpExt.TCPOrigDataSent"];
    let own = seen.counters.iter().filter(|(name, n)| name.starts_with("Tcp") && *n > 0 && !every.contains(name));
    own.map(|(name, n)| format!("{} {n}", name.replace('.', ""))).collect::<Vec<_>>().join(", ")
}

const SERVE: &str = r#"{ at = "0s", on = "server", do = "serve", port = 80, app = "sink" },"#;
const CONNECT: &str = r#"{ at = "0s", on = "client", do = "connect", to = "server:80", as = "c1" },"#;

/// A story: its steps, behind a server and a connection; the rest of the file; what client and server count.
struct Case {
    what: &'static str,
    steps: String,
    more: &'static str,
    client: &'static str,
    server: &'static str,
}

fn case(what: &'static str, steps: &str, more: &'static str, client: &'static str, server: &'static str) -> Case {
    Case { what, steps: format!("{SERVE}{CONNECT}{steps}"), more, client, server }
}

fn bare(what: &'static str, steps: &str, more: &'static str, client: &'static str, server: &'static str) -> Case {
    Case { what, steps: steps.to_owned(), more, client, server }
}

fn opening() -> Vec<Case> {
    vec![
        case("open", "", "", "TcpActiveOpens 1, TcpCurrEstab 1", "TcpPassiveOpens 1, TcpCurrEstab 1"),
        bare("refused", CONNECT, "", "TcpActiveOpens 1, TcpAttemptFails 1", "TcpOutRsts 1"),
        case(
            "syn lost",
            "",
            r#"[[fault]]
            packet = { conn = "c1", link = "client > server", flags = "S", nth = 1 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtTCPTimeouts 1, TcpExtTCPSynRetrans 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1",
        ),
        case(
            "syn-ack lost",
            "",
            r#"[[fault]]
            packet = { conn = "c1", link = "server > client", flags = "S.", nth = 1 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtDelayedACKLost 1, TcpExtTCPTimeouts 1, TcpExtTCPSynRetrans 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 2, TcpExtTCPTimeouts 1, TcpExtTCPSynRetrans 2",
        ),
        bare(
            "nobody there",
            CONNECT,
            r#"[[fault]]
            packet = { link = "client > server", flags = "S" }
            times = 100
            do = "drop""#,
            "TcpActiveOpens 1, TcpAttemptFails 1, TcpRetransSegs 7, TcpExtTCPTimeouts 8, TcpExtTCPAbortOnTimeout 1, TcpExtTCPSynRetrans 7",
            "",
        ),
        bare(
            "nobody goes on",
            &format!("{SERVE}{CONNECT}"),
            r#"[[fault]]
            packet = { link = "server > client" }
            times = 100
            do = "drop"
            [hosts.client.sysctl]
            net.ipv4.tcp_syn_retries = 1"#,
            "TcpActiveOpens 1, TcpAttemptFails 1, TcpRetransSegs 1, TcpExtTCPTimeouts 2, TcpExtTCPAbortOnTimeout 1, TcpExtTCPSynRetrans 1",
            "TcpRetransSegs 8, TcpExtTCPTimeouts 8, TcpExtTCPSynRetrans 8",
        ),
        bare(
            "accept queue full",
            &format!(
                r#"{{ at = "0s", on = "server", do = "listen", port = 80, backlog = 1 }}, {CONNECT}
                {{ at = "100ms", on = "client", do = "connect", to = "server:80", as = "c2" }},
                {{ at = "500ms", on = "server", do = "accept", port = 80, as = "s1" }},"#
            ),
            "",
            "TcpActiveOpens 2, TcpCurrEstab 2, TcpRetransSegs 1, TcpExtTCPTimeouts 1, TcpExtTCPSynRetrans 1",
            "TcpPassiveOpens 2, TcpCurrEstab 2, TcpExtListenOverflows 1, TcpExtListenDrops 1",
        ),
        bare(
            "syn queue full",
            &format!(
                r#"{{ at = "0s", on = "server", do = "listen", port = 80, backlog = 8 }}, {CONNECT}
                {{ at = "10ms", on = "client", do = "connect", to = "server:80", as = "c2" }},"#
            ),
            "[hosts.server.sysctl]
            net.ipv4.tcp_max_syn_backlog = 1",
            "TcpActiveOpens 2, TcpCurrEstab 2, TcpRetransSegs 1, TcpExtTCPTimeouts 1, TcpExtTCPSynRetrans 1",
            "TcpPassiveOpens 2, TcpCurrEstab 2, TcpExtListenDrops 1, TcpExtTCPReqQFullDrop 1",
        ),
    ]
}

fn closing() -> Vec<Case> {
    let close = r#"{ at = "1s", on = "c1", do = "close" },"#;
    vec![
        case("close", close, "", "TcpActiveOpens 1, TcpExtTW 1", "TcpPassiveOpens 1"),
        case(
            "no room for TIME-WAIT",
            close,
            "[hosts.client.sysctl]
            net.ipv4.tcp_max_tw_buckets = 0",
            "TcpActiveOpens 1, TcpOutRsts 1, TcpExtTCPTimeWaitOverflow 1",
            "TcpPassiveOpens 1",
        ),
        case(
            "abort",
            r#"{ at = "1s", on = "c1", do = "abort" },"#,
            "",
            "TcpActiveOpens 1, TcpEstabResets 1, TcpOutRsts 1, TcpExtTCPAbortOnData 1",
            "TcpPassiveOpens 1, TcpEstabResets 1",
        ),
        case(
            "closed unread",
            r#"{ at = "1s", on = "c1", do = "send", data = "hello" }, { at = "1s", on = "c1.peer", do = "send", data = "hello" },
            { at = "2s", on = "c1", do = "close" },"#,
            "",
            "TcpActiveOpens 1, TcpEstabResets 1, TcpOutRsts 1, TcpExtDelayedACKs 1, TcpExtTCPAbortOnClose 1",
            "TcpPassiveOpens 1, TcpEstabResets 1, TcpExtDelayedACKs 1",
        ),
        case(
            "data after close",
            r#"{ at = "1s", on = "c1", do = "close" }, { at = "1.01s", on = "c1.peer", do = "send", data = "hello" },"#,
            "",
            "TcpActiveOpens 1, TcpOutRsts 3, TcpExtTCPAbortOnData 1",
            "TcpPassiveOpens 1",
        ),
    ]
}

fn talking() -> Vec<Case> {
    vec![
        case(
            "a delayed ACK",
            r#"{ at = "1s", on = "c1", do = "send", data = "hello" },"#,
            "",
            "TcpActiveOpens 1, TcpCurrEstab 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtDelayedACKs 1",
        ),
        case(
            "a timeout",
            r#"{ at = "1s", on = "c1", do = "send", data = "hello" },"#,
            r#"[[fault]]
            packet = { conn = "c1", link = "client > server", flags = "P.", nth = 1 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtTCPTimeouts 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtDelayedACKs 1",
        ),
        case(
            "an ACK lost",
            r#"{ at = "1s", on = "c1", do = "send", data = "hello" },"#,
            r#"[[fault]]
            packet = { conn = "c1", link = "server > client", flags = ".", nth = 1 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtTCPTimeouts 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtDelayedACKs 1, TcpExtDelayedACKLost 1",
        ),
        case(
            "fast retransmit",
            r#"{ at = "1s", on = "c1", do = "send", bytes = 14600 }, { at = "2s", on = "c1", do = "send", bytes = 14600 },"#,
            r#"[[fault]]
            packet = { conn = "c1", link = "client > server", data = true, nth = 12 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtTCPRenoRecovery 1, TcpExtTCPFastRetrans 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtTCPOFOQueue 8",
        ),
        case(
            "garbled",
            r#"{ at = "1s", on = "c1", do = "send", data = "hello" },"#,
            r#"[[fault]]
            packet = { conn = "c1", link = "client > server", flags = "P.", nth = 1 }
            do = "corrupt""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtTCPTimeouts 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpInErrs 1, TcpInCsumErrors 1, TcpExtDelayedACKs 1",
        ),
        bare(
            "a closed window",
            &format!(
                r#"{{ at = "0s", on = "server", do = "listen", port = 80 }}, {CONNECT}
                {{ at = "1s", on = "server", do = "accept", port = 80, as = "s1" }},
                {{ at = "1s", on = "c1", do = "send", bytes = 20000 }},
                {{ at = "10s", on = "s1", do = "recv", bytes = 20000 }},"#
            ),
            r#"[hosts.server.sysctl]
            net.ipv4.tcp_rmem = "4096 10000 10000""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpExtTCPWinProbe 3",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtDelayedACKs 1, TcpExtTCPFromZeroWindowAdv 1, TcpExtTCPToZeroWindowAdv 1, TcpExtTCPZeroWindowDrop 3",
        ),
        case(
            "keepalive without an answer",
            r#"{ at = "1s", on = "c1", do = "set-option", option = "SO_KEEPALIVE", value = true },
            { at = "1s", on = "c1", do = "set-option", option = "TCP_KEEPIDLE", value = "10s" },
            { at = "1s", on = "c1", do = "set-option", option = "TCP_KEEPINTVL", value = "1s" },
            { at = "1s", on = "c1", do = "set-option", option = "TCP_KEEPCNT", value = 3 },
            { at = "2s", do = "partition", link = "client <> server" },"#,
            "",
            "TcpActiveOpens 1, TcpEstabResets 1, TcpExtTCPAbortOnTimeout 1, TcpExtTCPKeepAlive 3",
            "TcpPassiveOpens 1, TcpCurrEstab 1",
        ),
        case(
            "a forged SYN",
            r#"{ at = "1s", do = "inject", conn = "c1", segment = "client > server S 100:100(0) win 100" },"#,
            "",
            "TcpActiveOpens 1, TcpCurrEstab 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpInErrs 1, TcpExtTCPChallengeACK 1, TcpExtTCPSYNChallenge 1",
        ),
        case(
            "a forged RST",
            r#"{ at = "1s", do = "inject", conn = "c1", segment = "client > server R 100:100(0)" },"#,
            "",
            "TcpActiveOpens 1, TcpCurrEstab 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtTCPChallengeACK 1",
        ),
    ]
}

/// What only the profile `linux` does.
fn on_linux() -> Vec<Case> {
    vec![
        case(
            "a tail lost",
            r#"{ at = "1s", on = "c1", do = "send", bytes = 4344 }, { at = "1.5s", on = "c1", do = "send", bytes = 2896 },"#,
            r#"[[fault]]
            packet = { conn = "c1", link = "client > server", data = true, nth = 5 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 1, TcpExtTCPLossProbes 1, TcpExtTCPDelivered 6",
            "TcpPassiveOpens 1, TcpCurrEstab 1",
        ),
        bare(
            "a closed window",
            &format!(
                r#"{{ at = "0s", on = "server", do = "listen", port = 80 }}, {CONNECT}
                {{ at = "1s", on = "server", do = "accept", port = 80, as = "s1" }},
                {{ at = "1s", on = "c1", do = "send", bytes = 20000 }},
                {{ at = "2s", on = "s1", do = "recv", bytes = 20000 }},"#
            ),
            r#"[hosts.server.sysctl]
            net.ipv4.tcp_rmem = "4096 10000 10000""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpExtTCPDelivered 18, TcpExtTCPWinProbe 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtDelayedACKs 1, TcpExtTCPFromZeroWindowAdv 1, TcpExtTCPToZeroWindowAdv 1",
        ),
        case(
            "close",
            r#"{ at = "1s", on = "c1", do = "close" },"#,
            "",
            "TcpActiveOpens 1, TcpExtTW 1, TcpExtTCPDelivered 2",
            "TcpPassiveOpens 1, TcpExtTCPDelivered 1",
        ),
        case(
            "a gap that many are behind",
            r#"{ at = "1s", on = "c1", do = "send", bytes = 200000 },"#,
            r#"[[fault]]
            packet = { conn = "c1", link = "client > server", data = true, nth = 60 }
            do = "drop""#,
            "TcpActiveOpens 1, TcpCurrEstab 1, TcpRetransSegs 2, TcpExtTCPSackRecovery 1, TcpExtTCPDSACKRecv 1, TcpExtTCPFastRetrans 2, TcpExtTCPDelivered 141, TcpExtTCPLostRetransmit 1, TcpExtTCPDSACKRecvSegs 1",
            "TcpPassiveOpens 1, TcpCurrEstab 1, TcpExtDelayedACKLost 1, TcpExtTCPDSACKOldSent 1, TcpExtTCPOFOQueue 71, TcpExtTCPAckCompressed 66",
        ),
    ]
}

#[test]
fn every_story_counts_what_the_kernel_counts() {
    let plain = [opening(), closing(), talking()].into_iter().flatten().map(|case| ("rfc9293", case));
    let mut wrong = String::new();
    for (profile, case) in plain.chain(on_linux().into_iter().map(|case| ("linux", case))) {
        let Case { what, steps, more, client, server } = case;
        let played = played(profile, &steps, more);
        let got = (counted(&played, "client"), counted(&played, "server"));
        if got != (client.to_owned(), server.to_owned()) {
            wrong += &format!("{what} on {profile}:\n  client {:?}\n  server {:?}\n", got.0, got.1);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A client 20 ms from a server that listens on port 80 with room for two connections, and accepts nothing.
fn pair() -> (Sim, wirefate::trace::NodeId, wirefate::trace::NodeId) {
    let mut sim = Sim::new(1);
    let rfc9293 = |name| HostConfig::named(name).profile(Profile::Rfc9293);
    let [client, server] = ["client", "server"].map(|name| sim.host(rfc9293(name)));
    sim.link(client, server, Link::new().delay(ms(20)));
    sim.keep_residence();
    (sim, client, server)
}

/// Ports given, so that the text holds; addresses follow from the names.
fn connect(sim: &mut Sim, client: wirefate::trace::NodeId, port: u16) -> wirefate::sim::Stream {
    let remote = std::net::SocketAddr::from(([10, 85, 154, 188], 80));
    sim.connect_to(client, remote, Connect { from: Some(port), ..Connect::default() })
}

#[test]
fn the_text_is_that_of_netstat_ss_and_nstat() {
    let (mut sim, client, server) = pair();
    sim.listener(server, 80, 2);
    let first = connect(&mut sim, client, 40_001);
    sim.write(first, "hello");
    sim.run_for(ms(30));
    connect(&mut sim, client, 40_002);
    sim.run_for(ms(25));
    assert_eq!(
        sim.netstat(client).to_string(),
        "\
client at 0.055000 s
SYN_SENT 1
ESTABLISHED 1

State       Recv-Q  Send-Q  Local Address:Port     Peer Address:Port
ESTAB       0       5       10.73.129.61:40001     10.85.154.188:80
SYN-SENT    0       1       10.73.129.61:40002     10.85.154.188:80

IpInReceives                    1
IpInDelivers                    1
IpOutRequests                   4
TcpActiveOpens                  2
TcpCurrEstab                    1
TcpInSegs                       1
TcpOutSegs                      4
TcpExtTCPOrigDataSent           1

Residence       Now  Oldest          Ended  Min             Mean            Max             Total
SYN_SENT          1  25ms                1  40ms            40ms            40ms            40ms
ESTABLISHED       1  15ms                0  -               -               -               -
"
    );
    sim.run_for(ms(100));
    assert_eq!(
        sim.netstat(server).to_string(),
        "\
server at 0.155000 s
LISTEN 1
ESTABLISHED 2

State       Recv-Q  Send-Q  Local Address:Port     Peer Address:Port
LISTEN      2       2       *:80                   *:*
ESTAB       5       0       10.85.154.188:80       10.73.129.61:40001
ESTAB       0       0       10.85.154.188:80       10.73.129.61:40002

IpInReceives                    5
IpInDelivers                    5
IpOutRequests                   2
TcpPassiveOpens                 2
TcpCurrEstab                    2
TcpInSegs                       5
TcpOutSegs                      2

Residence       Now  Oldest          Ended  Min             Mean            Max             Total
SYN_RECV          0  -                   2  40ms            40ms            40ms            80ms
ESTABLISHED       2  95ms                0  -               -               -               -
"
    );
}

#[test]
fn rows_count_what_the_kernel_counts() {
    let (mut sim, client, server) = pair();
    sim.listener(server, 80, 2);
    let conn = connect(&mut sim, client, 40_001);
    sim.run_for(ms(25));
    let half = &sim.netstat(server);
    let rows = |seen: &Netstat| -> Vec<(State, u64, u64)> {
        let rows = seen.listeners.iter().map(Netstat::listen_row).chain(seen.connections.iter().map(Netstat::conn_row));
        rows.map(|row| (row.state, row.recv_q, row.send_q)).collect()
    };
    assert_eq!(rows(half), [(State::Listen, 0, 2), (State::SynReceived, 0, 0)]);
    sim.run_for(ms(100));
    sim.write(conn, "hello");
    sim.close(conn);
    sim.run_for(ms(1));
    // Five bytes and the FIN; the connection waits for `accept`.
    assert_eq!(rows(&sim.netstat(client)), [(State::FinWait1, 0, 6)]);
    assert_eq!(rows(&sim.netstat(server)), [(State::Listen, 1, 2), (State::Established, 0, 0)]);
    sim.run_for(ms(100));
    assert_eq!(rows(&sim.netstat(client)), [(State::FinWait2, 0, 0)]);
    assert_eq!(rows(&sim.netstat(server)), [(State::Listen, 1, 2), (State::CloseWait, 5, 0)]);
}

#[test]
fn both_spellings_name_a_counter_and_none_other_does() {
    let (mut sim, client, server) = pair();
    sim.listener(server, 80, 2);
    connect(&mut sim, client, 40_001);
    sim.run();
    let seen = sim.netstat(client);
    assert_eq!((seen.counter("Tcp.ActiveOpens"), seen.counter("TcpActiveOpens")), (Some(1), Some(1)));
    assert_eq!((seen.counter("ActiveOpens"), seen.counter("TcpExt.ActiveOpens")), (None, None));
    let names: std::collections::BTreeSet<_> = seen.counters.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), seen.counters.len(), "each name once");
}

#[test]
fn tcp_info_follows_a_connection() {
    let (mut sim, client, server) = pair();
    let listener = sim.listener(server, 80, 2);
    let conn = connect(&mut sim, client, 40_001);
    sim.run_for(ms(1));
    let info = sim.tcp_info(conn).expect("the socket is there");
    assert_eq!((info.state, info.rto, info.rtt, info.unacked), (State::SynSent, secs(1), None, 1));
    assert_eq!((info.last_ack_recv, info.last_data_recv), (None, None));
    sim.run_for(ms(99));
    let listening = TcpInfo { state: State::Listen, unacked: 1, sacked: 2, ..TcpInfo::CLOSED };
    assert_eq!(sim.tcp_info(listener), Some(listening));

    let accepted = sim.accept(listener);
    sim.write(conn, vec![7; 1_000]);
    sim.run_for(ms(30));
    let info = sim.tcp_info(conn).expect("it is open");
    assert_eq!(
        (info.state, info.ca_state, info.unacked, info.notsent_bytes),
        (State::Established, CaState::Open, 1_000, 0)
    );
    assert_eq!((info.snd_mss, info.advmss, info.pmtu, info.snd_ssthresh), (1_460, 1_460, 1_500, None));
    assert_eq!((info.last_data_sent, info.last_ack_recv), (Some(ms(30)), Some(ms(90))));
    let info = sim.tcp_info(accepted).expect("it was accepted");
    assert_eq!((info.last_data_recv, info.last_data_sent, info.rcv_mss), (Some(ms(10)), Some(ms(70)), 1_000));

    sim.run_for(secs(1));
    sim.partition(client, server);
    sim.write(conn, vec![7; 1_000]);
    sim.run_for(secs(4));
    let info = sim.tcp_info(conn).expect("it waits");
    assert_eq!((info.ca_state, info.retransmits, info.backoff, info.total_retrans), (CaState::Loss, 2, 2, 2));
    assert_eq!((info.rto, info.snd_cwnd, info.snd_ssthresh), (secs(4), 1_460, Some(2_920)));
    sim.heal(client, server);
    sim.close(conn);
    sim.close(accepted);
    sim.run();
    assert_eq!((sim.tcp_info(conn), sim.tcp_info(accepted)), (None, None), "the descriptors are closed");
}

#[test]
fn stays_are_measured_to_the_nanosecond_and_end_with_the_power() {
    let (mut sim, client, server) = pair();
    sim.listener(server, 80, 8);
    for port in 40_001..40_004 {
        connect(&mut sim, client, port);
        sim.run_for(ms(100));
    }
    let none = |state| Residence { state, now: 0, oldest: ms(0), ended: 0, total: ms(0), min: ms(0), max: ms(0) };
    let sent = Residence { ended: 3, total: ms(120), min: ms(40), max: ms(40), ..none(State::SynSent) };
    let open = Residence { now: 3, oldest: ms(260), ..none(State::Established) };
    assert_eq!(sim.residence(client), Some(vec![sent, open]));
    sim.crash(client);
    let lost = Residence { ended: 3, total: ms(480), min: ms(60), max: ms(260), ..none(State::Established) };
    assert_eq!(sim.residence(client), Some(vec![sent, lost]));
    assert_eq!(lost.mean(), Some(ms(160)));
    let mut quiet = Sim::new(1);
    let [host] = quiet.hosts(["client"]);
    assert_eq!((quiet.residence(host), quiet.netstat(host).residence), (None, None), "nobody asked for it");
}

#[test]
fn a_watch_shows_what_changed_and_elides_what_did_not() {
    let (mut sim, client, server) = pair();
    let watch = sim.watch(client, secs(60));
    let fine = sim.watch(server, ms(30));
    sim.listen(server, 80);
    let conn = connect(&mut sim, client, 40_001);
    sim.close(conn);
    sim.run();
    assert_eq!(
        sim.watched(watch).to_string(),
        "\
watch client every 60s
        time  TIME_WAIT  syn-q  acc-q  counters
   60.000000          1      0      0  IpInReceives+3 IpInDelivers+3 IpOutRequests+4 TcpActiveOpens+1 TcpInSegs+3 \
         TcpOutSegs+4 TcpExtTW+1 TcpExtTCPOrigDataSent+1
         ...
  240.000000          1      0      0
  240.080000          0      0      0
"
    );
    assert_eq!(sim.watched(watch).rows().len(), 5, "the table leaves out what the rows have");
    let fine = sim.watched(fine);
    assert_eq!((fine.host(), fine.rows()[0].count(State::SynReceived), fine.rows()[0].syn), ("server", 1, 1));
    assert_eq!(fine.rows().len(), 8_003, "8,002 times 30 ms fit into 240.08 s, and the end is one more");
}

#[test]
fn a_row_shows_everything_that_happened_at_its_instant() {
    let (mut sim, client, server) = pair();
    let watch = sim.watch(client, ms(40));
    sim.listener(server, 80, 2);
    let conn = connect(&mut sim, client, 40_001);
    // The run stops before, at, and after the instant, and goes on; a call at it belongs to it.
    sim.run_until(at(ms(39)));
    assert_eq!(sim.watched(watch).rows().len(), 1, "so far, one row: now");
    sim.run_until(at(ms(40)));
    sim.abort(conn);
    sim.run();
    let rows: Vec<_> = sim.watched(watch).rows().iter().map(|row| (row.at, row.count(State::Established))).collect();
    assert_eq!(rows, [(at(ms(40)), 0), (at(ms(60)), 0)]);
}

#[test]
fn a_table_for_programs_has_every_counter_in_every_row() {
    let (mut sim, client, server) = pair();
    let watch = sim.watch(client, ms(50));
    sim.listener(server, 80, 2);
    connect(&mut sim, client, 40_001);
    sim.run_until(at(ms(120)));
    let csv = sim.watched(watch).csv();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    let column = |name: &str| -> Vec<&str> {
        let place = rows[0].iter().position(|head| *head == name).unwrap_or_else(|| panic!("{name} in {:?}", rows[0]));
        rows[1..].iter().map(|row| row[place]).collect()
    };
    assert_eq!((column("host"), column("time_ns")), (vec!["client"; 3], vec!["50000000", "100000000", "120000000"]));
    assert_eq!((column("ESTABLISHED"), column("TcpActiveOpens")), (vec!["1"; 3], vec!["1"; 3]));
    assert_eq!(column("TcpExtListenOverflows"), ["0"; 3]);
}

/// Closing, loss, a flood, a middlebox, a crash: every kind of thing that a look could disturb.
#[test]
fn looking_changes_no_digest_and_no_trace() {
    let sims = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sims");
    for name in
        ["four-way-close", "lossy-reordered-upload", "syn-flood", "nat-forgets", "crash-and-reboot-discovered-by-rst"]
    {
        let text = std::fs::read(sims.join(name).with_extension("toml")).expect("a sim");
        let instance = Scenario::parse_bytes(name, &text).and_then(|sim| sim.instance(None, &[], &[]));
        let instance = instance.unwrap_or_else(|errors| panic!("{errors}"));
        let hosts: Vec<String> = instance.hosts.iter().map(|host| host.name.to_string()).collect();
        let play = |every: Option<Span>| {
            let played = play_prepared(name, &instance, 7, Keep::Story, |sim| {
                let Some(every) = every else { return };
                sim.keep_residence();
                for host in &hosts {
                    let _ = sim.find(host).map(|node| sim.watch(node, every));
                }
            });
            let played = played.unwrap_or_else(|error| panic!("{error}"));
            (played.sim.digest().to_string(), played.trace().story().to_string())
        };
        let plain = play(None);
        for every in [ms(10), ms(777)] {
            assert_eq!(play(Some(every)), plain, "{name} every {every}");
        }
    }
}

#[test]
fn a_sim_stops_where_it_is_looked_at() {
    let scenario =
        scenario("rfc9293", &format!("{SERVE}{CONNECT}{}", r#"{ at = "1s", on = "c1", do = "close" },"#), "");
    let instance = scenario.instance(None, &[], &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let states = |span: Span| {
        let sim = play_until("stop", &instance, 1, Keep::Nothing, at(span), |_| {}).expect("it can be built");
        assert_eq!(sim.now(), at(span));
        let seen = sim.netstat(sim.find("client").expect("a host"));
        seen.counts().into_keys().collect::<Vec<_>>()
    };
    for (span, state) in [
        (ms(0), State::SynSent),
        (Span::from(std::time::Duration::from_nanos(39_999_999)), State::SynSent),
        (ms(40), State::Established),
        (ms(999), State::Established),
        (ms(1_000), State::FinWait1),
        (ms(1_040), State::TimeWait),
        (secs(241), State::TimeWait),
    ] {
        assert_eq!(states(span), [state], "at {span}");
    }
    assert_eq!(states(secs(1_000)), []);
}

/// What the command prints, and its exit code.
#[cfg(feature = "cli")]
fn wirefate(args: &[&str]) -> (String, String, Option<i32>) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wirefate")).args(args).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[cfg(feature = "cli")]
#[test]
fn the_command_shows_one_host_or_all() {
    let (text, errors, code) = wirefate(&["netstat", "four-way-close", "--at", "1.5s"]);
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    assert!(text.starts_with("client at 1.500000 s\nFIN_WAIT2 1\n"), "{text}");
    assert!(text.contains("\n\nserver at 1.500000 s\nLISTEN 1\nCLOSE_WAIT 1\n"), "{text}");
    let (text, _, code) = wirefate(&["netstat", "four-way-close", "--at", "end", "--host", "client"]);
    assert!(
        code == Some(0) && text.starts_with("client at 242.020000 s\n\nIpIn") && !text.contains("server"),
        "{text}"
    );
    assert!(text.contains("\nTIME_WAIT         0  -                   1  240s            240s"), "{text}");
    let args = ["netstat", "syn-flood", "--at", "3s", "--sysctl", "server:net.ipv4.tcp_max_syn_backlog=5"];
    assert!(wirefate(&args).0.contains("SYN_RECV 5\n"));
    let (text, _, _) = wirefate(&["netstat", "four-way-close", "--at", "1.5s", "--format", "csv"]);
    for line in [
        "host,time_ns,table,name,field,value",
        "client,1500000000,state,FIN_WAIT2,count,1",
        "server,1500000000,listener,[::]:80,send_q,128",
        "client,1500000000,counter,TcpActiveOpens,value,1",
        "client,1500000000,residence,SYN_SENT,total_ns,40000000",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_command_says_what_is_wrong_with_its_arguments() {
    for (args, needles) in [
        (&["netstat", "syn-lost", "--at", "5"][..], &["`--at 5`: a length of time needs a unit", "`end`"][..]),
        (&["netstat", "syn-lost", "--at", "1s", "--host", "clien"], &["no host `clien`", "client, server"]),
        (&["run", "syn-lost", "--watch", "clien", "1s"], &["no host `clien`", "client, server"]),
        (&["run", "syn-lost", "--watch", "client", "0s"], &["an interval takes time", "--watch HOST INTERVAL"]),
        (&["run", "syn-lost", "--watch", "client", "1s", "--format", "json"], &["--format none"]),
        (&["run", "syn-lost", "--watch-format", "csv"], &["--watch"]),
    ] {
        let (text, errors, code) = wirefate(args);
        assert_eq!((text.as_str(), code), ("", Some(2)), "{args:?}");
        assert!(needles.iter().all(|needle| errors.contains(needle)), "{args:?}: {errors}");
    }
}

#[cfg(feature = "cli")]
#[test]
fn a_watch_stands_behind_the_trace_or_alone() {
    let (plain, _, _) = wirefate(&["run", "syn-lost"]);
    let (both, errors, code) = wirefate(&["run", "syn-lost", "--watch", "client", "500ms"]);
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    let table = both.strip_prefix(&plain).expect("the trace and its digest are the same");
    let (alone, errors, _) = wirefate(&["run", "syn-lost", "--watch", "client", "500ms", "--format", "none"]);
    assert_eq!((table, errors.as_str()), (format!("\n{alone}").as_str(), ""));
    assert!(alone.starts_with("watch client every 500ms\n"), "{alone}");

    let args = ["run", "syn-flood", "--variant", "all", "--format", "none", "--watch-format", "csv"];
    let (csv, _, _) = wirefate(&[&args[..], &["--watch", "server", "10s"]].concat());
    let heads = csv.lines().filter(|line| line.starts_with("sim,seed,host,time_ns,LISTEN,")).count();
    assert_eq!(heads, 1, "one head for all variants: {csv}");
    let sims: std::collections::BTreeSet<&str> = csv.lines().filter_map(|line| line.split(',').next()).collect();
    assert!(sims.len() > 2, "{sims:?}");
}
