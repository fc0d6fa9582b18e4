//! Scripts of packetdrill: they are read, they run, and what is wrong fails.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]

use proptest::prelude::*;
use std::process::Command;
use wirefate::drill::{
    Action, Defines, Failure, Platform, Run, Script, Site, Variant, Verdict, Wanted, When, run_text,
};
use wirefate::endpoint::{Attach, Cx, Endpoint, IfaceId, Sockets};
use wirefate::host::{Host, HostConfig, Profile};
use wirefate::ms;
use wirefate::time::HostTime;
use wirefate::wire::Packet;

/// A connection that was accepted: descriptor 4, MSS 1000, no options that move.
const ACCEPTED: &str = "\
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
  +.1 < S 0:0(0) win 32792 <mss 1000>
   +0 > S. 0:0(0) ack 1 <mss 1460>
  +.1 < . 1:1(0) ack 1 win 32792
   +0 accept(3, ..., ...) = 4
";

/// A connect that has not come back.
const CONNECTING: &str = "\
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > S 0:0(0) <...>
";

fn host(site: &Site) -> Result<Box<dyn Endpoint>, String> {
    let config =
        HostConfig { profile: Profile::Linux, addrs: vec![site.addr], hz: Some(1_000), ..HostConfig::named(site.name) };
    Ok(Box::new(Host::new(config, site.seed).map_err(|error| error.to_string())?))
}

fn run_as(variant: Variant, script: &str) -> Run {
    let wanted = Wanted::default();
    run_text("test.pkt", script.as_bytes(), variant, Platform::Linux, &Defines::new(), wanted, &host)
}

fn verdict(script: &str) -> Verdict {
    run_as(Variant::Ipv4, script).verdict
}

/// All is as the script says, in every way of IP.
fn passes(script: &str) {
    for variant in [Variant::Ipv4, Variant::Mapped, Variant::Ipv6] {
        assert_eq!(run_as(variant, script).verdict, Verdict::Passed, "{variant}: {script}");
    }
}

/// The script fails in this line, and the reason has this in it.
fn fails(script: &str, line: usize, reason: &str) -> Failure {
    let Verdict::Failed(failure) = verdict(script) else { panic!("{:?}: {script}", verdict(script)) };
    assert_eq!(failure.line, line, "{failure}");
    assert!(failure.summary().contains(reason), "{failure}");
    failure
}

fn accepted(rest: &str) -> String {
    format!("{ACCEPTED}{rest}")
}

#[test]
fn every_construct_is_read() {
    let lines = [
        "0 < . 1:1(0) ack 1 win 5",
        "0 > P. 1:6(5) ack 1 win 502 urg 5 <nop,nop,TS val 1 ecr 2>",
        "* > - 1:1(0)",
        "+0~+.2 > FP. 4294967295:4294967295(0) ack 1 <...>",
        "0~1.5 > [ect0] SEW 0:0(0) <mss 1460,sackOK,eol,eol>",
        "0 < (tos 0x10) . 1:1(0) ack 1 win 5",
        "0 > (ttl 64) . 1:1(0) ack 1",
        "0 > [class 0x4, hlim 255] . 1:1(0) ack 1",
        "0 > [flowlabel 0x1] . 1:1(0) ack 1",
        "0 < 1234 > 8080 S 0:0(0) win 5 <FO 01020304,nop,nop>",
        "0 > .5 1:1(0) ack 1 <...>",
        "0 > R 0:0(0)!",
        "0 > . ...(0) ack 1 <nop,nop,TS val ... ecr 5!>",
        "0 > S 0:0(0) /udp(9811 > 8080)",
        "0 < . 1:1(0) ack 1 win 5 <nop,nop,sack 2:3 5:8>",
        "0 > S. 0:0(0) ack 1 <mss 1460,exp-FO 00112233>",
        "0 > . 1:1(0) ack 1 <ECN e1b 1 ceb 0 e0b 1,nop>",
        "0 < udp (100)",
        "0 < icmp unreachable frag_needed mtu 1400 [1:1461(1460)]",
        "0 < icmp packet_too_big mtu 1400 [udp (10)]",
        "0 < icmp time_exceeded ttl_exceeded_in_transit [1:1(0)]",
        "0 < icmp source_quench",
        "0 < [1:11(10)] icmp unreachable code_13",
        "0...0.5 read(3, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)",
        "0 fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)",
        "0 setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0",
        "0 setsockopt(3, SOL_TCP, TCP_CONGESTION, \"cu\" \"bic\", 5) = 0",
        "0 poll([{fd=3, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1",
        "0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, ptr=7}) = 0",
        "0 sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=0}, MSG_MORE) = 30",
        "0 bind(3, {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr(\"0.0.0.0\")}, ...) = 0",
        "0 `sysctl -q net.ipv4.tcp_sack=1`",
        "0 %{ assert tcpi_state == 1, 'no' }%",
        "0 /* a comment */ close(3) = 0 // and another",
    ];
    for line in lines {
        let script = Script::parse("test.pkt", line.as_bytes(), &Defines::new()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(script.events.len(), 1, "{line}");
    }
}

#[test]
fn times_options_and_commands_are_kept() {
    let text =
        "--ip_version=ipv4\n--define=N=5\n`true`\n0 close(3) = 0\n+.0000015 close(3) = 0\n1~2.5 > . 1:1(0)\n`true`\n";
    let script = Script::parse("test.pkt", text.as_bytes(), &Defines::new()).unwrap();
    assert_eq!(script.options[1].value.as_deref(), Some("N=5"));
    assert_eq!((script.init.unwrap().line, script.cleanup.unwrap().line), (3, 7));
    let times: Vec<When> = script.events.iter().map(|event| event.time).collect();
    let expected = [When::At(ms(0)), When::After(wirefate::us(1)), When::Between(ms(1_000), ms(2_500))];
    assert_eq!(times, expected);
}

#[test]
fn words_stand_for_what_they_are_defined_as() {
    let defines: Defines = [("COOKIE", "01020304"), ("LEN", "10"), ("BSD", "1")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let text = "0 > S 0:0(0) <FO COOKIE,nop,nop>\n#ifdef BSD\n+0 read(3, ..., LEN) = LEN\n#else\n+0 nonsense(\n#endif\n\
                #ifdef OTHER\n+0 <\n#else\n+0 close(3) = 0\n#endif\n";
    let script = Script::parse("test.pkt", text.as_bytes(), &defines).unwrap();
    assert_eq!(script.events.len(), 3);
    let Action::Call(read) = &script.events[1].action else { panic!("{:?}", script.events[1]) };
    assert_eq!(read.result.to_string(), "10");
}

#[test]
fn a_mistake_has_line_column_and_what_was_expected() {
    let cases = [
        ("0 > . 1:2(0)", "1:9: found the end 2, expected 1"),
        ("0 > Q. 1:1(0)", "1:5: found `Q.`, expected flags, each of `FSRPUEWA.` once or `-` for none"),
        ("0 < . 1:1(0) ack 1", "1:5: an inbound segment needs a window: expected `win`"),
        ("0 < S 0:0(0) win 5 <...>", "1:20: `<...>` can only be expected of outbound packets"),
        ("0 > S 0:0(0) <mss 1460,sackOK>", "1:14: the options take 6 bytes, expected a multiple of 4"),
        ("0 > S 0:0(0) <mss 70000>", "1:19: found 70000, expected a number up to 65535"),
        ("0 > S 0:0(0) <mss 1460,nope>", "1:24: found `nope`, expected an option: mss, nop, eol"),
        ("0 > . 1:1(0) win 70000", "1:18: found 70000, expected the window up to 65535"),
        ("0 close(3", "1:10: the script ends where `,` or `)` behind an argument is expected"),
        ("0 close(3) 0", "1:12: found `0`, expected `=` and the result of the call"),
        ("0 `sysctl", "1:3: ``` is not closed: expected ```"),
        ("0 %{ assert", "1:3: `%{` is not closed: expected `}%`"),
        ("0 /* x", "1:3: `/*` is not closed: expected `*/`"),
        ("* close(3) = 0", "1:1: the time `*` can only be expected of outbound packets"),
        ("0.2~0.1 > . 1:1(0)", "1:1: the range of times ends before it begins"),
        ("0 close(3) = 0\n1 close(3) = 0\n.5 close(3) = 0", "3:1: this event lies before the one above it"),
        (".1 close(3) = 0", "1:1: the first event is expected at time 0"),
        ("\n\n  +x close(3) = 0", "3:4: found `x`, expected a number of seconds behind `+`"),
        ("0 < icmp nothing", "1:10: found `nothing`, expected a type of ICMP message"),
        ("0 < icmp unreachable mtu 5", "1:10: found `unreachable`, expected a message that has an MTU"),
        ("#endif\n0 close(3) = 0", "1:1: there is no `#ifdef` that this belongs to"),
        ("#ifdef X\n0 close(3) = 0", "1:1: `#ifdef` is not closed: expected `#endif`"),
        ("0 < sctp: INIT[]", "1:5: the protocol sctp is not supported"),
        ("// nothing\n", "2:1: the script has no events"),
        ("0 close(3) = 0 `true` +0 close(3) = 0", "1:23: found `+`, expected the end of the script behind a command"),
    ];
    for (text, expected) in cases {
        let error = Script::parse("t", text.as_bytes(), &Defines::new()).unwrap_err();
        let first = error.to_string().lines().next().unwrap_or("").to_owned();
        assert!(first.starts_with(&format!("t:{expected}")), "{text:?}: {first}");
    }
    let error = Script::parse("t.pkt", b"0 close(3) = 0\n+0 > S 0:0(0) <mss x>", &Defines::new()).unwrap_err();
    let shown = "\
t.pkt:2:20: found `x`, expected the maximum segment size
  |
2 | +0 > S 0:0(0) <mss x>
  |                    ^";
    assert_eq!(error.to_string(), shown);
    assert!(Script::parse("t", b"0 close(3) = 0 // \xff", &Defines::new()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Script::parse("t", &bytes, &Defines::new());
    }

    #[test]
    fn no_change_of_a_script_makes_the_parser_or_the_runner_panic(at in 0usize..700, with in "[ -~\n]{0,4}", cut in 0usize..5) {
        let text = accepted("+0 write(4, ..., 1000) = 1000\n+0 > P. 1:1001(1000) ack 1\n+0 %{ assert 1 <= 2, 'x %d' % 3 }%\n");
        let mut at = at % text.len();
        while !text.is_char_boundary(at) { at -= 1; }
        let end = (at + cut).min(text.len());
        let changed = format!("{}{with}{}", &text[..at], &text[end..]);
        let _ = verdict(&changed);
    }
}

#[test]
fn an_outbound_packet_may_be_an_eighth_of_the_gap_late() {
    // The SYN goes again after one second.
    passes(&format!("{CONNECTING}  +.9 > S 0:0(0) <...>\n"));
    passes(&format!("{CONNECTING}  +1.14 > S 0:0(0) <...>\n"));
    fails(&format!("{CONNECTING}  +.88 > S 0:0(0) <...>\n"), 5, "at 0.880000 s, happened at 1.0007");
    fails(&format!("{CONNECTING}  +1.15 > S 0:0(0) <...>\n"), 5, "tolerance 0.143");
    passes(&format!("{CONNECTING}  +.2~+.98 > S 0:0(0) <...>\n"));
    passes(&format!("{CONNECTING}  * > S 0:0(0) <...>\n"));
    let strict = format!("--tolerance_usecs=150000\n{CONNECTING}  +.88 > S 0:0(0) <...>\n");
    passes(&strict);
}

#[test]
fn a_packet_is_waited_for_two_seconds_longer() {
    let failure = fails(&accepted("+.5 > P. 1:11(10) ack 1\n"), 9, "no packet came within 2 s");
    assert_eq!(failure.expected.as_deref(), Some("P. 1:11(10) ack 1"));
}

#[test]
fn parts_of_a_write_are_taken_together() {
    let write = accepted("+0 write(4, ..., 3000) = 3000\n");
    passes(&format!("{write}+0 > P. 1:3001(3000) ack 1\n"));
    fails(
        &format!("--strict_segments\n{write}+0 > P. 1:3001(3000) ack 1\n"),
        11,
        "data: expected 3000 bytes, found 1000",
    );
    fails(&format!("{write}+0 > . 1:501(500) ack 1\n"), 10, "data: expected 500 bytes, found 1000");
    fails(&format!("{write}+0 > . 1:3001(3000) ack 1\n"), 10, "PSH: expected 0, found 1");
    // The third part comes only after an acknowledgment that never does: the first two have the wrong flags together.
    fails(&format!("{write}+0 > P. 1:4001(4000) ack 1\n"), 10, "");
}

#[test]
fn what_differs_is_named() {
    let write = accepted("+0 write(4, ..., 100) = 100\n");
    passes(&format!("{write}+0 > P. 1:101(100) ack 1\n"));
    let wrong = [
        ("> P. 2:102(100) ack 1", "sequence number: expected 2, found 1"),
        ("> P. 1:101(100) ack 2", "acknowledgment number: expected 2, found 1"),
        ("> . 1:101(100) ack 1", "PSH: expected 0, found 1"),
        ("> PE. 1:101(100) ack 1", "ECE: expected 1, found 0"),
        ("> P. 1:101(100) ack 1 win 1", "window: expected 1, found"),
        ("> P. 1:101(100) ack 1 urg 1", "urgent pointer: expected 1, found 0"),
        ("> P. 1:101(100) ack 1 <nop,nop,nop,nop>", "length of the options: expected 4, found 0"),
        ("> [ce] P. 1:101(100) ack 1", "ECN bits: expected 3, found 0"),
        ("> (ttl 5) P. 1:101(100) ack 1", "time to live: expected 5, found 64"),
    ];
    for (line, reason) in wrong {
        fails(&format!("{write}+0 {line}\n"), 10, reason);
    }
    fails(&ACCEPTED.replace("<mss 1460>", "<mss 1461>"), 6, "the options differ");
    fails(&accepted("+0 write(4, ..., 100) = 99\n"), 9, "expected 99, returned 100");
    fails(&accepted("+0 read(4, ..., 100) = 1\n"), 9, "read blocks and does not return");
    let nonblocking = accepted("+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n");
    passes(&format!("{nonblocking}+0 read(4, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)\n"));
    fails(&format!("{nonblocking}+0 read(4, ..., 100) = -1 EPIPE (Broken pipe)\n"), 10, "returned -1 EAGAIN");
    fails(&accepted("+0 getsockopt(4, SOL_TCP, TCP_MAXSEG, [999], [4]) = 0\n"), 9, "expected 999, found 1000");
    fails(&accepted("+0 close(7) = 0\n"), 9, "no socket has the descriptor 7");
}

#[test]
fn numbers_are_those_of_the_script() {
    // The first numbers of a SYN are absolute, all others count from them.
    let text = ACCEPTED.replace("S 0:0(0)", "S 1000:1000(0)").replace("S. 0:0(0) ack 1 ", "S. 70:70(0) ack 1001 ");
    passes(&format!("{text}+0 < P. 1:11(10) ack 1 win 100\n+0 > . 1:1(0) ack 11\n"));
}

#[test]
fn timestamps_are_learnt_from_what_was_sent() {
    let text = "\
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>
  +.1 < S. 0:0(0) ack 1 win 5792 <mss 1460,sackOK,TS val 700 ecr 100,nop,wscale 7>
   +0 > . 1:1(0) ack 1 <nop,nop,TS val 200 ecr 700>
";
    passes(text);
    fails(&text.replace("ecr 100,", "ecr 101,"), 5, "no TS val 101 was sent before");
    passes(&format!("--tcp_ts_ecr_scaled\n{}", text.replace("ecr 100,", "ecr 101,")));
    passes(&format!("--tcp_ts_tick_usecs=1000\n{text}"));
    fails(
        &format!("--tcp_ts_tick_usecs=1000\n{}", text.replace("TS val 200", "TS val 250")),
        7,
        "TS val: expected 250",
    );
}

#[test]
fn calls_block_beside_the_script_and_return_in_time() {
    let text = ACCEPTED.replace("  +.1 < . 1:1(0)", "+0...0.3 accept(3, ..., ...) = 4\n  +.1 < . 1:1(0)");
    let text = text.replace("   +0 accept(3, ..., ...) = 4\n", "");
    fails(&text, 7, "the return of the call at 0.400000 s, happened at 0.200000 s");
    let text = text.replace("+0...0.3", "+0...0.1");
    let read = format!("{text}+0...0.2 read(4, ..., 100) = 10\n");
    passes(&format!("{read} +.2 < P. 1:11(10) ack 1 win 100\n+0 > . 1:1(0) ack 11\n"));
    fails(&format!("{read} +.3 < P. 1:11(10) ack 1 win 100\n+0 > . 1:1(0) ack 11\n"), 9, "the return of the call");
    fails(&read, 9, "read still blocks at the end of the script");
}

#[test]
fn poll_and_epoll_tell_what_is_ready() {
    passes(&accepted(
        "+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1\n\
         +0 epoll_create(1) = 5\n\
         +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, fd=4}) = 0\n\
         +0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0\n\
         +0 < P. 1:11(10) ack 1 win 100\n+0 > . 1:1(0) ack 11\n\
         +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1\n\
         +0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0\n\
         +0 ioctl(4, SIOCINQ, [10]) = 0\n",
    ));
    fails(
        &accepted("+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1\n"),
        9,
        "revents: expected 0x1, found 0x4",
    );
}

#[test]
fn icmp_reaches_the_socket_that_it_is_about() {
    let error = "+.1 < icmp unreachable port_unreachable [0:0(0)]\n+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0\n";
    passes(&format!("{CONNECTING}{error}"));
    fails(&format!("{CONNECTING}{}", error.replace("[0:0(0)]", "[7:7(0)]")), 6, "expected 111, found 0");
}

#[test]
fn snippets_run_as_one_program_at_the_end() {
    let code = "+0 %{\nseen = tcpi_state\nassert tcpi_state == TCP_ESTABLISHED, 'state %d' % tcpi_state }%\n";
    let close = "+0 < F. 1:1(0) ack 1 win 100\n+0 > . 1:1(0) ack 2\n";
    let end =
        "+0 %{ assert seen < tcpi_state and tcpi_state == TCP_CLOSE_WAIT; print('%d to %d' % (seen, tcpi_state)) }%\n";
    let script = accepted(&format!("{code}{close}{end}"));
    passes(&script);
    assert_eq!(run_as(Variant::Ipv4, &script).printed, "1 to 8\n");
    fails(&script.replace("== TCP_ESTABLISHED", "!= TCP_ESTABLISHED"), 11, "the assertion does not hold: state 1");
    // A packet that never comes is found before an assertion that does not hold.
    let script = accepted("+0 %{ assert False }%\n+0 > F. 1:1(0) ack 1\n");
    fails(&script, 10, "no packet came");
    fails(&accepted("+0 %{ assert 5 <= tcpi_snd_mss <= 999, tcpi_snd_mss }%\n"), 9, "1000");
    fails(&accepted("+0 %{ assert tcpi_state = 1 }%\n"), 9, "found `=`");
    let Verdict::Unsupported { line: 9, what } = verdict(&accepted("+0 %{ import os }%\n")) else { panic!("no") };
    assert!(what.contains("`import`") || what.contains("import"), "{what}");
}

#[test]
fn commands_are_understood_and_not_run() {
    passes(&accepted("+0 `ss -tan | grep -c ESTAB | grep 1`\n"));
    fails(&accepted("+0 `ss -tan | grep -c ESTAB | grep 2`\n"), 9, "the command fails");
    passes(&accepted(
        "+0 `sysctl -q net.ipv4.tcp_sack=0 net/ipv4/tcp_dsack=1; ip tcp_metrics flush all > /dev/null 2>&1`\n",
    ));
    passes(&accepted("+0 `nstat | grep TcpPassiveOpens | grep -q \" 1 \"`\n"));
    fails(&accepted("+0 `nstat > /dev/null`\n+0 `nstat | grep TcpPassiveOpens`\n"), 10, "the command fails");
    passes(&accepted("+0 `sysctl -q net.ipv4.tcp_nonsense=1 || sysctl -q net.ipv4.tcp_sack=1`\n"));
    for (command, what) in [
        ("rm -rf /", "the command `rm -rf /`"),
        ("sysctl -q net.ipv4.tcp_sack=7", "expected a number from 0 to 1"),
        ("nstat | grep TcpExtNoSuchThing", "the counter TcpExtNoSuchThing"),
        ("sysctl -q net.ipv4.tcp_nonsense=1", "the sysctl net.ipv4.tcp_nonsense = 1"),
        ("tc qdisc add dev tun0 root netem delay 10ms", "the command `tc qdisc"),
        ("echo $(cat x)", "a command within a command"),
    ] {
        let Verdict::Unsupported { line: 9, what: found } = verdict(&accepted(&format!("+0 `{command}`\n"))) else {
            panic!("{command}: {:?}", verdict(&accepted(&format!("+0 `{command}`\n"))))
        };
        assert!(found.contains(what), "{found}");
    }
    // The preset of the suites gives windows that are scaled by 8.
    let preset = "`../common/defaults.sh`\n".to_owned() + &ACCEPTED.replace("<mss 1000>", "<mss 1000,nop,wscale 0>");
    passes(&preset.replace("<mss 1460>", "<mss 1460,nop,wscale 8>"));
}

#[test]
fn unsupported_things_are_never_passed() {
    let cases = [
        ("+0 splice(4, NULL, 6, NULL, 1, 0) = 0", "the call `splice`"),
        ("+0 setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0", "the socket option SO_ZEROCOPY"),
        ("+0 send(4, ..., 5, MSG_ZEROCOPY) = 5", "the flags `MSG_ZEROCOPY`"),
        ("+0 read(4, NULL, 5) = -1", "a null pointer"),
    ];
    for (line, what) in cases {
        let found = verdict(&accepted(&format!("{line}\n")));
        assert_eq!(found, Verdict::Unsupported { line: 9, what: what.to_owned() }, "{line}");
    }
}

/// Everything that a script needs of an endpoint, and nothing else: no state, no counters, no administrator.
struct Bare(Host);

impl Endpoint for Bare {
    fn on_attach(&mut self, cx: &mut Cx<'_>, attach: &Attach) {
        self.0.on_attach(cx, attach);
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        self.0.on_packet(cx, iface, packet);
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        self.0.on_timeout(cx);
    }

    fn next_timeout(&self) -> Option<HostTime> {
        self.0.next_timeout()
    }

    fn sockets(&mut self) -> Option<&mut dyn Sockets> {
        Some(&mut self.0)
    }
}

#[test]
fn a_socket_says_what_is_in_its_ip_headers() {
    let rest = "+0 setsockopt(4, SOL_IP, IP_TOS, [0x13], 4) = 0\n+0 setsockopt(4, SOL_IP, IP_TTL, [9], 4) = 0\n\
                +0 write(4, ..., 10) = 10\n+0 > (tos 0x10, ttl 9) P. 1:11(10) ack 1\n";
    passes(&accepted(rest));
    let listens = ACCEPTED.replace("+0 listen", "+0 setsockopt(3, SOL_IP, IP_TOS, [0x20], 4) = 0\n   +0 listen");
    let listens = listens.replace("> S.", "> (tos 0x20) S.");
    passes(&format!("{listens}+0 write(4, ..., 10) = 10\n+0 > (tos 0x20) P. 1:11(10) ack 1\n"));
}

#[test]
fn a_script_runs_in_the_ways_that_make_sense_for_it() {
    let ways = |text: &str| {
        let script = Script::parse("t", text.as_bytes(), &Defines::new()).unwrap();
        wirefate::drill::variants(&script).iter().map(|variant| variant.name()).collect::<Vec<_>>().join(" ")
    };
    let connect = "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";
    assert_eq!(ways(connect), "ipv4 ipv4-mapped-v6 ipv6");
    assert_eq!(ways(&format!("--local_ip=10.0.0.1\n{connect}")), "plain ipv4 ipv4-mapped-v6 ipv6");
    assert_eq!(ways(&format!("--ip_version=ipv6\n{connect}")), "plain ipv6");
    assert_eq!(ways(&format!("{connect}+0 < icmp packet_too_big mtu 1280 [1:1(0)]\n")), "plain ipv6");
    assert_eq!(ways(&format!("{connect}+0 < icmp unreachable frag_needed mtu 1280 [1:1(0)]\n")), "ipv4 ipv4-mapped-v6");
    let own = format!("--remote_ip=10.1.2.3\n{}", CONNECTING);
    for variant in [Variant::Plain, Variant::Ipv4, Variant::Mapped, Variant::Ipv6] {
        assert_eq!(run_as(variant, &own).verdict, Verdict::Passed, "{variant}");
    }
}

#[test]
fn any_endpoint_with_sockets_will_do() {
    let make = |site: &Site| -> Result<Box<dyn Endpoint>, String> {
        let config = HostConfig { profile: Profile::Linux, addrs: vec![site.addr], ..HostConfig::named(site.name) };
        Ok(Box::new(Bare(Host::new(config, site.seed).map_err(|error| error.to_string())?)))
    };
    let script = accepted("+0 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n");
    let wanted = Wanted { trace: true, pcap: true };
    let run = run_text("t", script.as_bytes(), Variant::Ipv4, Platform::Linux, &Defines::new(), wanted, &make);
    assert_eq!(run.verdict, Verdict::Passed);
    assert!(run.trace.unwrap().contains("P. 1:11(10) ack 1") && run.pcap.unwrap().len() > 100);
}

#[test]
fn the_command_reports_for_programs_and_by_its_exit_code() {
    let folder = std::env::temp_dir().join(format!("wirefate-drill-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("good.pkt"), ACCEPTED).unwrap();
    std::fs::write(folder.join("bad.pkt"), accepted("+0 write(4, ..., 5) = 6\n")).unwrap();
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_wirefate")).arg("drill").args(args).current_dir(&folder).output().unwrap()
    };
    let good = run(&["good.pkt"]);
    assert_eq!(good.status.code(), Some(0));
    assert!(
        String::from_utf8(good.stdout).unwrap().ends_with("1 scripts, 3 runs: 3 passed, 0 failed, 0 unsupported\n")
    );
    let both = run(&[".", "--report", "json", "--ip-version", "4", "--jobs", "2"]);
    assert_eq!(both.status.code(), Some(1));
    let rows: serde_json::Value = serde_json::from_slice(&both.stdout).unwrap();
    let expected = serde_json::json!([
        {"script": "./bad.pkt", "variant": "ipv4", "verdict": "failed", "line": 9,
         "reason": "write: expected 6, returned 5"},
        {"script": "./good.pkt", "variant": "ipv4", "verdict": "passed", "line": null, "reason": null},
    ]);
    assert_eq!(rows, expected);
    assert_eq!(run(&["no-such-file.pkt"]).status.code(), Some(2));
    std::fs::remove_dir_all(&folder).unwrap();
}
