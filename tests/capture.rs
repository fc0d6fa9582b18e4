//! What Wireshark makes of our captures: hosts by name, nanoseconds, comments, and no packet that it takes for broken.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use wirefate::time::{SimTime, ms, ns};
use wirefate::trace::Capture;
use wirefate::wire::{Body, Datagram, Icmp, IcmpKind, Packet, SegmentText, Seq, emit, quote_of};

/// Both ends of a conversation, with the ISS of each.
struct Pair {
    client: (IpAddr, Seq),
    server: (IpAddr, Seq),
}

impl Pair {
    /// A packet from the client (`>`) or to it (`<`).
    fn packet(&self, line: &str) -> Packet {
        let ((from, to), ports) = match &line[..1] {
            ">" => ((self.client, self.server), (40_000, 80)),
            _ => ((self.server, self.client), (80, 40_000)),
        };
        let text: SegmentText = line[2..].parse().unwrap();
        let payload = vec![b'x'; text.len as usize].into();
        let mut segment = text.into_segment(from.1, to.1, payload).unwrap();
        (segment.src_port, segment.dst_port) = ports;
        Packet::new(from.0, to.0, Body::Tcp(segment))
    }

    fn conversation(&self) -> Vec<Packet> {
        let mut packets: Vec<Packet> = [
            "> S 0:0(0) win 64240 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>",
            "< S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 9 ecr 1,nop,wscale 7>",
            "> . 1:1(0) ack 1 win 502 <nop,nop,TS val 2 ecr 9>",
            "> P. 1:6(5) ack 1 win 502 <nop,nop,TS val 2 ecr 9>",
            "< . 1:1(0) ack 6 win 509 <nop,nop,TS val 10 ecr 2>",
            "> FP. 6:13(7) ack 1 win 502 <nop,nop,TS val 3 ecr 10>",
            "< F. 1:1(0) ack 14 win 509 <nop,nop,TS val 11 ecr 3>",
            "> . 14:14(0) ack 2 win 502 <nop,nop,TS val 4 ecr 11>",
        ]
        .iter()
        .map(|line| self.packet(line))
        .collect();
        let datagram = Datagram { src_port: 61_000, dst_port: 61_001, payload: "odd".into() };
        let datagram = Packet::new(self.client.0, self.server.0, Body::Udp(datagram));
        let errors = [IcmpKind::PortUnreachable, IcmpKind::TooBig { mtu: 1400 }, IcmpKind::TimeExceeded].map(|kind| {
            let icmp = Icmp { kind, quote: quote_of(&datagram) };
            Packet::new(self.server.0, self.client.0, Body::Icmp(icmp))
        });
        packets.push(datagram);
        packets.extend(errors);
        packets
    }
}

fn write(path: &Path, pair: &Pair, packets: &[Packet]) {
    let interfaces = ["client/eth0", "server/eth0"];
    let hosts = [(pair.client.0, "client"), (pair.server.0, "server")];
    let mut capture = Capture::new(Vec::new(), &interfaces, &hosts).unwrap();
    for (number, packet) in (0u64..).zip(packets) {
        let at = SimTime::ZERO + ms(20) * number + ns(number);
        let comment = (number == 3).then_some("fate: 20ms, → server #3");
        capture.packet(usize::from(packet.src == pair.server.0), at, &emit(packet), comment).unwrap();
    }
    fs::write(path, capture.finish().unwrap()).unwrap();
}

/// The values of `fields` of each packet, `|` between them; nothing where there is no tshark.
fn tshark(path: &Path, fields: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-T", "fields", "-E", "separator=|"]);
    for check in ["tcp", "ip", "udp"] {
        command.args(["-o", &format!("{check}.check_checksum:TRUE")]);
    }
    command.args(["-o", "nameres.network_name:TRUE", "-o", "nameres.use_external_name_resolver:FALSE"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Not by `eprintln!`, which the test runner swallows: who runs the tests must see what was not tested.
            let line = format!("SKIPPED: tshark is not installed, nobody looked at {}\n", path.display());
            io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn check(name: &str, family: &str, pair: &Pair) {
    let (path, packets) = (file(name), pair.conversation());
    write(&path, pair, &packets);
    let names = [format!("{family}.src_host"), format!("{family}.dst_host")];
    let fields =
        ["frame.time_epoch", &names[0], &names[1], "frame.interface_name", "frame.comment", "tcp.flags.str", "tcp.len"];
    let Some(lines) = tshark(&path, &fields) else { return };
    assert_eq!(lines.len(), packets.len());
    assert_eq!(lines[0], "946684800.000000000|client|server|client/eth0||··········S·|0");
    assert_eq!(lines[1], "946684800.020000001|server|client|server/eth0||·······A··S·|0");
    assert_eq!(lines[3], "946684800.060000003|client|server|client/eth0|fate: 20ms, → server #3|·······AP···|5");
    // Good is 1 in every one of these, and there is nothing that an expert would remark on as wrong.
    let statuses =
        ["_ws.malformed", "_ws.expert.severity", "tcp.checksum.status", "udp.checksum.status", "icmp.checksum.status"];
    let statuses = [&statuses[..], &["icmpv6.checksum.status", "ip.checksum.status"]].concat();
    const WARNING: u32 = 0x0060_0000;
    for (line, packet) in tshark(&path, &statuses).unwrap_or_default().iter().zip(&packets) {
        let values: Vec<&str> = line.split('|').collect();
        assert_eq!(values[0], "", "malformed: {packet:?}");
        for severity in values[1].split(',').filter(|value| !value.is_empty()) {
            let severity: u32 = severity.parse().unwrap();
            assert!(severity < WARNING, "severity {severity:#x}: {packet:?}");
        }
        let checked = values[2..].iter().filter(|value| !value.is_empty());
        let checked: Vec<&str> = checked.flat_map(|value| value.split(',')).collect();
        let own = if packet.src.is_ipv4() { 2 } else { 1 };
        assert!(checked.len() >= own && !checked.contains(&"0"), "checksums {checked:?}: {packet:?}");
    }
}

#[test]
fn wireshark_takes_ipv4() {
    let pair =
        Pair { client: ([10, 0, 0, 1].into(), Seq(0xFFFF_FFFE)), server: ([10, 0, 0, 2].into(), Seq(1_000_000)) };
    check("wireshark_takes_ipv4.pcapng", "ip", &pair);
}

#[test]
fn wireshark_takes_ipv6() {
    let pair =
        Pair { client: ("fd00::1".parse().unwrap(), Seq(5)), server: ("fd00::2".parse().unwrap(), Seq(0x8000_0000)) };
    check("wireshark_takes_ipv6.pcapng", "ipv6", &pair);
}

/// The check itself: a damaged packet must not pass.
#[test]
fn wireshark_sees_damage() {
    let pair = Pair { client: ([10, 0, 0, 1].into(), Seq(0)), server: ([10, 0, 0, 2].into(), Seq(0)) };
    let packet = pair.packet("> P. 1:6(5) ack 1 win 502");
    let mut bytes = emit(&packet);
    bytes[40] ^= 1;
    let mut capture = Capture::new(Vec::new(), &["client/eth0"], &[] as &[(IpAddr, &str)]).unwrap();
    capture.packet(0, SimTime::ZERO, &bytes, None).unwrap();
    let path = file("wireshark_sees_damage.pcapng");
    fs::write(&path, capture.finish().unwrap()).unwrap();
    let Some(lines) = tshark(&path, &["ip.checksum.status", "tcp.checksum.status"]) else { return };
    assert_eq!(lines, ["1|0"]);
}
