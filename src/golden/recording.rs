use super::field::{Act, Dir, Opt, Seconds, Side, read_state};
use super::flow::Flow;
use crate::endpoint::State;
use crate::time::{SimTime, Span};
use crate::wire::Flags;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// One recorded case: what was done at both ends, and all that could be seen of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Recording {
    /// Its name; it decides nothing.
    pub name: String,
    /// Address of the client.
    pub client: IpAddr,
    /// Address of the server.
    pub server: IpAddr,
    /// Usual delay between the two, one way.
    #[serde(rename = "one_way_delay_s")]
    pub one_way_delay: Seconds,
    /// Sysctls of both, and of either.
    pub sysctls: Sysctls,
    /// Socket calls and what else was done, in the order of time.
    pub script: Vec<Call>,
    /// State changes of connections, polled.
    pub states: Vec<StateChange>,
    /// Every segment, in the order of sending.
    pub segments: Vec<Seg>,
    /// What else was measured; of it only the totals of `spoofed traffic` are used.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
    /// Snapshots of socket tables; of them only how long was looked is used.
    #[serde(default)]
    netstat: Vec<Snapshot>,
}

/// The sysctls of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Sysctls {
    /// Of both.
    #[serde(default)]
    pub both: BTreeMap<String, Value>,
    /// Of the client.
    #[serde(default)]
    pub client: BTreeMap<String, Value>,
    /// Of the server.
    #[serde(default)]
    pub server: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Snapshot {
    t: Seconds,
}

/// One thing done at an instant: a socket call, or a rule, a command, a kill.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Call {
    /// When it began.
    #[serde(rename = "t")]
    pub at: Seconds,
    /// When it returned, where it blocked.
    #[serde(rename = "t_end", default)]
    pub returned: Option<Seconds>,
    /// Who did it.
    pub side: Side,
    /// On which socket.
    pub sock: Option<String>,
    /// What: `connect`.
    pub call: String,
    /// With which arguments: `10.0.0.2:8000`.
    pub args: String,
    /// What it gave; nothing where it has not returned.
    pub result: Option<Outcome>,
    /// Its error, where it failed.
    pub errno: Option<String>,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// A number; -1 is failure.
    Number(i64),
    /// A text: `S peer=10.0.0.1:40000`, `IN|OUT`, an error's name.
    Text(String),
}

/// A change of state as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawState")]
pub struct StateChange {
    /// When it was seen.
    pub at: SimTime,
    /// At which side.
    pub side: Side,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// From.
    pub from: State,
    /// To.
    pub to: State,
}

/// One segment, or an ICMP error about one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSeg")]
pub struct Seg {
    /// When it left its sender.
    pub at: SimTime,
    /// When it was handed to its receiver.
    pub arrived: Option<SimTime>,
    /// Which way it went.
    pub dir: Dir,
    /// What became of it.
    pub act: Act,
    /// Its addresses, where they are not those of client and server.
    pub ip: Option<(IpAddr, IpAddr)>,
    /// What it is.
    pub body: SegBody,
    /// What its maker said about it.
    pub note: Option<String>,
    /// The numbers with which it arrived, where they were rewritten.
    pub rewritten: Option<Rewritten>,
}

/// What a segment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegBody {
    /// TCP.
    Tcp(Tcp),
    /// An ICMP error of this type and code.
    Icmp(u8, u8),
}

/// A TCP segment, its numbers relative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Control bits.
    pub flags: Flags,
    /// SEG.SEQ since the ISS of its sender.
    pub seq: i64,
    /// SEG.ACK since the ISS of the other, with ACK.
    pub ack: Option<i64>,
    /// Length of the data.
    pub len: u32,
    /// SEG.WND.
    pub win: u16,
    /// Urgent pointer.
    pub urg: u16,
    /// ECN bits of the IP header.
    pub tos: u8,
    /// Options in their order.
    pub options: Vec<Opt>,
    /// SEG.SEQ itself, of a SYN.
    pub seq_abs: Option<u32>,
}

/// Numbers that a segment was given on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Rewritten {
    /// SEG.SEQ.
    pub seq_abs: u32,
    /// SEG.ACK.
    pub ack_abs: u32,
}

#[derive(Deserialize)]
struct RawState {
    t: Seconds,
    side: Side,
    local: SocketAddr,
    peer: SocketAddr,
    from: String,
    to: String,
}

#[derive(Deserialize)]
struct RawSeg {
    t: Seconds,
    t_rx: Option<Seconds>,
    dir: Dir,
    act: Act,
    flags: String,
    len: u32,
    sport: Option<u16>,
    dport: Option<u16>,
    seq: Option<i64>,
    ack: Option<i64>,
    win: Option<u16>,
    options: Option<Vec<Opt>>,
    seq_abs: Option<u32>,
    ip: Option<String>,
    note: Option<String>,
    proto: Option<String>,
    r#type: Option<u8>,
    code: Option<u8>,
    rewritten: Option<Rewritten>,
    tos: Option<u8>,
    urg: Option<u16>,
}

/// Why a file is no recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecording {
    /// The file.
    pub file: String,
    /// Line, counted from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl Recording {
    /// Reads the text of `file`.
    pub fn parse(file: &str, text: &[u8]) -> Result<Recording, BadRecording> {
        serde_json::from_slice(text).map_err(|error| BadRecording::new(file, &error))
    }

    /// The connection that a segment belongs to; an ICMP error shows none.
    pub fn flow(&self, seg: &Seg) -> Option<Flow> {
        let SegBody::Tcp(tcp) = &seg.body else { return None };
        let usual = match seg.dir {
            Dir::ToServer => (self.client, self.server),
            Dir::ToClient => (self.server, self.client),
        };
        let (src, dst) = seg.ip.unwrap_or(usual);
        Some(Flow::new(seg.dir, SocketAddr::new(src, tcp.sport), SocketAddr::new(dst, tcp.dport)))
    }

    /// The last instant that was looked at.
    pub fn end(&self) -> SimTime {
        let calls = self.script.iter().map(|call| call.returned.unwrap_or(call.at).0);
        let segments = self.segments.iter().map(|seg| seg.arrived.unwrap_or(seg.at));
        let states = self.states.iter().map(|state| state.at);
        let snapshots = self.netstat.iter().map(|snapshot| snapshot.t.0);
        calls.chain(segments).chain(states).chain(snapshots).max().unwrap_or(SimTime::ZERO)
    }

    /// The usual delay.
    pub fn delay(&self) -> Span {
        self.one_way_delay.0.since(SimTime::ZERO)
    }

    /// How many segments of each kind of spoofed traffic there were, where only the first five were kept.
    pub fn spoofed(&self) -> BTreeMap<&str, u64> {
        let totals = self.facts.get("spoofed traffic").and_then(Value::as_object);
        let totals = totals.into_iter().flatten();
        totals.filter_map(|(kind, n)| Some((kind.as_str(), n.as_u64()?))).collect()
    }

    /// A recording of the same arrangement in which nothing has happened yet, looked at for as long.
    pub(super) fn blank(&self) -> Recording {
        Recording {
            script: Vec::new(),
            states: Vec::new(),
            segments: Vec::new(),
            facts: BTreeMap::new(),
            netstat: vec![Snapshot { t: Seconds(self.end()) }],
            ..self.clone()
        }
    }
}

impl TryFrom<RawState> for StateChange {
    type Error = String;

    fn try_from(raw: RawState) -> Result<StateChange, String> {
        let state = |name: &str| read_state(name).ok_or_else(|| format!("unknown state `{name}`"));
        let RawState { t, side, local, peer, .. } = raw;
        Ok(StateChange { at: t.0, side, local, peer, from: state(&raw.from)?, to: state(&raw.to)? })
    }
}

impl TryFrom<RawSeg> for Seg {
    type Error = String;

    fn try_from(raw: RawSeg) -> Result<Seg, String> {
        let ip = raw.ip.as_deref().map(addresses).transpose()?;
        let body = match raw.proto.as_deref() {
            None => SegBody::Tcp(tcp(&raw)?),
            Some("icmp") => SegBody::Icmp(need(raw.r#type, "type")?, need(raw.code, "code")?),
            Some(other) => return Err(format!("unknown proto `{other}`: expected icmp, or none for TCP")),
        };
        let arrived = raw.t_rx.map(|t| t.0);
        if arrived.is_some_and(|arrived| arrived < raw.t.0) {
            return Err("`t_rx` lies before `t`".to_owned());
        }
        let RawSeg { t, dir, act, note, rewritten, .. } = raw;
        Ok(Seg { at: t.0, arrived, dir, act, ip, body, note, rewritten })
    }
}

fn tcp(raw: &RawSeg) -> Result<Tcp, String> {
    Ok(Tcp {
        sport: need(raw.sport, "sport")?,
        dport: need(raw.dport, "dport")?,
        flags: read_flags(&raw.flags)?,
        seq: need(raw.seq, "seq")?,
        ack: raw.ack,
        len: raw.len,
        win: need(raw.win, "win")?,
        urg: raw.urg.unwrap_or(0),
        tos: raw.tos.unwrap_or(0),
        options: need(raw.options.clone(), "options")?,
        seq_abs: raw.seq_abs,
    })
}

fn need<T>(field: Option<T>, name: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("missing field `{name}` of a TCP or ICMP segment"))
}

/// `FP.`; `none` where no bit is set.
fn read_flags(text: &str) -> Result<Flags, String> {
    let text = if text == "none" { "-" } else { text };
    crate::wire::parse_flags(text).map_err(|error| format!("flags `{text}`: {error}"))
}

/// `10.0.0.77>10.0.0.2`.
fn addresses(text: &str) -> Result<(IpAddr, IpAddr), String> {
    let bad = || format!("bad addresses `{text}`: expected SOURCE>DESTINATION");
    let (src, dst) = text.split_once('>').ok_or_else(bad)?;
    let ends = (src.parse().map_err(|_| bad())?, dst.parse().map_err(|_| bad())?);
    Ok(ends)
}

impl BadRecording {
    pub(super) fn new(file: &str, error: &serde_json::Error) -> BadRecording {
        let text = error.to_string();
        // serde_json ends its text with the place, which has fields of its own here.
        let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
        BadRecording { file: file.to_owned(), line: error.line(), column: error.column(), what }
    }
}

impl fmt::Display for BadRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)
    }
}

impl std::error::Error for BadRecording {}
