//! Wireshark's opinion of every sim: no malformed packet, no wrong checksum, and the same retransmissions as ours.

mod gallery;

use gallery::Story;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use wirefate::scenario::Played;
use wirefate::time::SimTime;
use wirefate::trace::{ConnId, Keep, Sent, Side, What};
use wirefate::wire::{Body, Seq};

/// The seed of the captures: the one of the snapshots.
const SEED: u64 = 7;
/// Where virtual time starts in a capture: 2000-01-01T00:00:00Z.
const EPOCH: u64 = 946_684_800;

/// What tshark is asked about each packet.
const FIELDS: [&str; 14] = [
    "frame.interface_name",
    "frame.time_epoch",
    "tcp.seq_raw",
    "_ws.malformed",
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
    "tcp.analysis.retransmission",
    "tcp.analysis.out_of_order",
    "tcp.analysis.keep_alive",
    "tcp.analysis.zero_window_probe",
    "frame.comment",
];

/// One packet as tshark shows it.
struct Shown {
    fields: Vec<String>,
}

impl Shown {
    fn get(&self, field: &str) -> &str {
        let place = FIELDS.iter().position(|known| *known == field).expect("the field is asked for");
        &self.fields[place]
    }

    fn is(&self, field: &str) -> bool {
        !self.get(field).is_empty()
    }

    /// Interface, nanoseconds, and the raw sequence number where this is TCP.
    fn key(&self) -> (String, u64, Option<u32>) {
        let (whole, part) = self.get("frame.time_epoch").split_once('.').expect("the time has a fraction");
        let number = |text: &str| text.parse::<u64>().expect("the time is a number");
        let nanos = (number(whole) - EPOCH) * 1_000_000_000 + number(part);
        (self.get("frame.interface_name").to_owned(), nanos, self.get("tcp.seq_raw").parse().ok())
    }
}

/// What tshark makes of a capture; nothing where there is no tshark.
fn tshark(path: &Path) -> Option<Vec<Shown>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-n", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]);
    for check in ["tcp", "ip", "udp"] {
        command.args(["-o", &format!("{check}.check_checksum:TRUE")]);
    }
    command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Not by `eprintln!`, which the test runner swallows: who runs the tests must see what was not tested.
            let line = format!("SKIPPED: tshark is not installed, nobody looked at {}\n", path.display());
            io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
            return None;
        }
        output => output.unwrap_or_else(|error| panic!("tshark does not run: {error}")),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
    let line = |line: &str| Shown { fields: line.splitn(FIELDS.len(), '|').map(str::to_owned).collect() };
    Some(text.lines().map(line).collect())
}

/// Captures every story of every sim and has tshark look at it.
fn each(set: &[(&str, &str)], mut look: impl FnMut(&Story, &Played, &[Shown])) {
    for story in gallery::names().iter().flat_map(|name| gallery::stories_of(name, set)) {
        let played = story.play(SEED, Keep::Story);
        // Half a minute for the same flood in other addresses would show nothing new.
        if !set.is_empty() && played.sim.outcome().packets > 100_000 {
            continue;
        }
        let family = if set.is_empty() { "" } else { "-ipv6" };
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}{family}.pcapng", story.stem()));
        let file = BufWriter::new(File::create(&path).expect("the folder takes files"));
        played.trace().capture(file).unwrap_or_else(|error| panic!("{}: {error}", story.stem()));
        let Some(shown) = tshark(&path) else { return };
        assert_eq!(shown.len(), sends(&played).count(), "{}: each packet is shown once", story.stem());
        look(&story, &played, &shown);
    }
}

/// Every packet that a capture shows, in its order: when it was sent, by whom, and what.
fn sends(played: &Played) -> impl Iterator<Item = (SimTime, &str, &Sent<'static>)> {
    played.sim.records().iter().filter_map(|record| match (&record.what, record.node) {
        (What::Sent(sent), Some(node)) => Some((record.at, played.sim.names().node(node), sent)),
        _ => None,
    })
}

/// No exception for corrupted packets is needed: a capture shows a packet as it was sent, before a bit was flipped.
fn is_sound(story: &Story, shown: &[Shown]) {
    for (packet, n) in shown.iter().zip(1..) {
        let at = || format!("{}, frame {n}, {}", story.stem(), packet.get("frame.comment"));
        assert!(!packet.is("_ws.malformed"), "malformed: {}", at());
        for field in FIELDS.iter().filter(|field| field.ends_with(".checksum.status")) {
            // 1 is good; nothing is a packet without this checksum.
            assert!(["", "1"].contains(&packet.get(field)), "{field} is {}: {}", packet.get(field), at());
        }
    }
}

fn is_where_and_when_it_was_sent(story: &Story, played: &Played, shown: &[Shown]) {
    for ((packet, (at, node, sent)), n) in shown.iter().zip(sends(played)).zip(1..) {
        // In an ICMP error tshark also shows the sequence number of the packet that is quoted.
        let quoted = matches!(sent.packet.body, Body::Icmp(_));
        let seq = if quoted { packet.key().2 } else { sent.packet.segment().map(|segment| segment.seq.0) };
        assert_eq!(packet.key(), (node.to_owned(), at.as_nanos(), seq), "{}, frame {n}", story.stem());
    }
}

/// How far each end of each connection has sent, as the trace tells it.
#[derive(Default)]
struct Retransmissions {
    ends: BTreeMap<(ConnId, bool), Seq>,
    /// The newest incarnation on each pair of addresses, the lower one first.
    newest: BTreeMap<(SocketAddr, SocketAddr), ConnId>,
}

impl Retransmissions {
    /// Whether the 4-tuple of `sent` has had a SYN of a newer incarnation.
    fn is_overtaken(&mut self, played: &Played, sent: &Sent<'_>) -> bool {
        let Some(belongs) = sent.conn else { return false };
        let Some(conn) = played.sim.conns().get(belongs.conn) else { return false };
        let key = (conn.opener.min(conn.other), conn.opener.max(conn.other));
        let newest = self.newest.entry(key).or_insert(belongs.conn);
        *newest = belongs.conn.max(*newest);
        *newest > belongs.conn
    }

    /// Whether `sent` begins with sequence numbers that its end has sent in this connection before.
    fn look(&mut self, sent: &Sent<'_>) -> bool {
        let (Some(segment), Some(belongs)) = (sent.packet.segment(), sent.conn) else { return false };
        if segment.seq_len() == 0 {
            return false;
        }
        let end = self.ends.entry((belongs.conn, belongs.from == Side::Opener)).or_insert(segment.seq);
        let again = segment.seq.lt(*end);
        *end = end.max(segment.end());
        again
    }
}

/// A packet that tshark takes for a retransmission, by whatever name.
///
/// Its three names are one flag and two more beside it (fast, spurious). There is a fourth: a segment that does not go
/// on from the highest sequence number, within one round trip of it, is "out of order", because at a receiver it may
/// have been overtaken. Our captures show packets as they are sent, and senders send in order: what begins below the
/// highest number was sent before, so this is a fourth name for the same.
fn is_again(shown: &Shown) -> bool {
    shown.is("tcp.analysis.retransmission") || shown.is("tcp.analysis.out_of_order")
}

/// Asserts that tshark and the trace take the same packets for retransmissions, and says how many there are.
fn same_retransmissions(story: &Story, played: &Played, shown: &[Shown]) -> usize {
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    let mut retransmissions = Retransmissions::default();
    for ((packet, (.., sent)), n) in shown.iter().zip(sends(played)).zip(1u64..) {
        // An answer to a SYN that comes after another SYN on the same 4-tuple: tshark counts it to the newer connection.
        if retransmissions.is_overtaken(played, sent) {
            continue;
        }
        // A packet that a router or NAT forwards stands in the capture a second time, on its interface; for tshark that
        // is a retransmission (same addresses) or another connection (translated), for us neither.
        if sent.forwarded {
            continue;
        }
        // An ICMP error quotes a packet; tshark shows the quoted header as if it were the packet's own.
        if matches!(sent.packet.body, Body::Icmp(_)) {
            continue;
        }
        // A second incarnation from the same ISN (teaching: `isn = constant`) looks to tshark like the first one's SYN
        // and data all over again: it knows connections by their ISNs.
        if is_twin(played, sent) {
            continue;
        }
        let again = retransmissions.look(sent);
        // A keepalive or a probe of a closed window that carries a byte carries one that was sent before or will be
        // sent again; tshark knows both kinds by their own names and then looks no further.
        if packet.is("tcp.analysis.keep_alive") || packet.is("tcp.analysis.zero_window_probe") {
            continue;
        }
        let name = || format!("frame {n}, {}", packet.get("frame.comment"));
        ours.extend(again.then(name));
        theirs.extend(is_again(packet).then(name));
    }
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!((only(&ours, &theirs), only(&theirs, &ours)), (vec![], vec![]), "{}: ours, theirs", story.stem());
    ours.len()
}

/// Whether an earlier incarnation on the same 4-tuple began with the same ISN.
fn is_twin(played: &Played, sent: &Sent<'_>) -> bool {
    let Some(belongs) = sent.conn else { return false };
    let Some(own) = played.sim.conns().get(belongs.conn) else { return false };
    // Twins come from one port that is used again; a flood of as many ports has none.
    let earlier = (belongs.conn.0.saturating_sub(4)..belongs.conn.0).map(ConnId);
    earlier
        .filter_map(|conn| played.sim.conns().get(conn))
        .any(|conn| (conn.opener, conn.other, conn.iss(Side::Opener)) == (own.opener, own.other, own.iss(Side::Opener)))
}

#[test]
fn wireshark_sees_what_we_see() {
    let mut retransmissions = 0;
    each(&[], |story, played, shown| {
        is_sound(story, shown);
        is_where_and_when_it_was_sent(story, played, shown);
        retransmissions += same_retransmissions(story, played, shown);
    });
    // Where there is no tshark there is nothing to see either.
    let nobody = Command::new("tshark").arg("-v").output().is_err();
    assert!(retransmissions > 10 || nobody, "only {retransmissions} retransmissions in all sims");
}

#[test]
fn wireshark_finds_nothing_wrong_over_ipv6() {
    each(&[("ip", "6")], |story, played, shown| {
        is_sound(story, shown);
        same_retransmissions(story, played, shown);
    });
}
