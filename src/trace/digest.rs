//! The digest of a run: packets with their fates, deliveries, transitions, calls with results, in an encoding with a
//! version of its own. Verbosity, filters, captures, oracles and recording do not reach it.

use super::{Arrived, Call, Called, Disturbance, Done, LinkName, Record, Sent, What};
use crate::endpoint::{Errno, Event};
use crate::net::Fate;
use crate::wire::{Body, Packet, Payload};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Identifies a run. Equal digests come from equal runs of one version of the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

/// `d1:` and 32 hexadecimal digits; `d1` is the version of the encoding.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d1:{:032x}", self.0)
    }
}

/// Takes records one by one.
pub(crate) struct Digester {
    hash: Xxh3,
    /// Hashes of names, so that numbering (which links and hosts added elsewhere shift) stays out of the digest.
    nodes: Vec<u64>,
    links: Vec<u64>,
    /// Encoded and not hashed yet, up to `end`: the hash takes long stretches faster than it takes many short ones.
    buffer: Box<[u8; STRETCH]>,
    end: usize,
}

/// So many bytes are hashed at once.
const STRETCH: usize = 8 << 10;

/// What is left free before a record is encoded: more than all of its parts of fixed size take.
const ROOM: usize = 256;

impl Default for Digester {
    fn default() -> Digester {
        Digester { hash: Xxh3::new(), nodes: Vec::new(), links: Vec::new(), buffer: Box::new([0; STRETCH]), end: 0 }
    }
}

impl Digester {
    pub(crate) fn node(&mut self, name: &str) {
        self.nodes.push(xxh3_64(name.as_bytes()));
    }

    pub(crate) fn link(&mut self, name: &LinkName) {
        self.links.push(xxh3_64(name.to_string().as_bytes()));
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut hash = self.hash.clone();
        hash.update(&self.buffer[..self.end]);
        Digest(hash.digest128())
    }

    pub(crate) fn take(&mut self, record: &Record<'_>) {
        if self.end > STRETCH - ROOM {
            self.flush();
        }
        self.encode(record);
    }

    #[cold]
    fn flush(&mut self) {
        self.hash.update(&self.buffer[..self.end]);
        self.end = 0;
    }

    /// Parts of fixed size, side by side.
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some(room) = self.buffer.get_mut(self.end..).and_then(|room| room.first_chunk_mut()) {
            *room = bytes;
            self.end += N;
        } else {
            self.bytes(&bytes);
        }
    }

    /// A part of any size.
    fn bytes(&mut self, bytes: &[u8]) {
        if self.end + bytes.len() > STRETCH - ROOM {
            self.flush();
        }
        if bytes.len() > STRETCH - ROOM {
            return self.hash.update(bytes);
        }
        self.buffer[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Encodes `record` unless it is of a kind that the digest leaves out.
    fn encode(&mut self, record: &Record<'_>) {
        let tag = match &record.what {
            What::Sent(_) => 1,
            What::Arrived(_) => 2,
            What::Noted { event: Event::Transition { .. }, .. } => 3,
            What::Called(called) if called.result.is_some() => 4,
            What::Disturbed(_) => 5,
            What::Noted { .. } | What::Called(_) | What::Violated { .. } => return,
        };
        let node = record.node.map_or(0, |node| self.nodes[node.0 as usize]);
        self.put(Parts::<17>::of([tag]).word(record.at.as_nanos()).word(node).done());
        match &record.what {
            What::Sent(sent) => self.sent(sent),
            What::Arrived(arrived) => self.arrived(arrived),
            What::Noted { event: Event::Transition { tuple, from, to, error, .. }, .. } => {
                self.socket(tuple.local);
                self.socket(tuple.remote);
                self.put([*from as u8, *to as u8, error.map_or(0, |e| e.number().to_le_bytes()[0])]);
            }
            What::Called(called) => self.called(called),
            What::Disturbed(disturbance) => self.disturbed(disturbance),
            What::Noted { .. } | What::Violated { .. } => {}
        }
    }

    fn sent(&mut self, sent: &Sent<'_>) {
        let link = self.links[sent.link.0 as usize];
        self.put(Parts::<16>::default().word(link).word(sent.n).done());
        self.packet(&sent.packet);
        self.fate(&sent.fate);
    }

    /// What a packet holds was taken when it was sent; here its name and, if it was changed on the way, its bytes.
    fn arrived(&mut self, arrived: &Arrived<'_>) {
        let link = self.links[arrived.link.0 as usize];
        self.put(Parts::<17>::default().word(link).word(arrived.n).and([arrived.copy]).done());
        if let Body::Raw(bytes) = &arrived.packet.body {
            self.payload(bytes);
        }
    }

    fn fate(&mut self, fate: &Fate) {
        match fate {
            Fate::Delivered(after) => self.put(Parts::<9>::of([0]).word(after.as_nanos()).done()),
            other => {
                self.put([1]);
                self.bytes(other.to_string().as_bytes());
            }
        }
    }

    fn called(&mut self, called: &Called) {
        match &called.call {
            Call::Bind(addr) => self.call(1, Some(*addr), 0),
            Call::Listen { local, backlog } => self.call(2, Some(*local), u64::from(*backlog)),
            Call::Accept { local } => self.call(3, Some(*local), 0),
            Call::Connect(addr) => self.call(4, Some(*addr), 0),
            Call::Send(data) => self.call(5, None, u64::from(data.len())),
            Call::SendTo(data, addr) => self.call(6, Some(*addr), u64::from(data.len())),
            Call::Recv { max } => self.call(7, None, *max as u64),
            Call::RecvFrom => self.call(8, None, 0),
            Call::Shutdown(how) => self.call(9, None, *how as u64),
            Call::Close => self.call(10, None, 0),
            Call::Abort => self.call(11, None, 0),
            Call::SetOption(option) => {
                self.call(12, None, 0);
                self.bytes(format!("{option:?}").as_bytes());
            }
        }
        match &called.result {
            Some(Ok(done)) => self.done(done),
            Some(Err(errno)) => self.errno(*errno),
            None => {}
        }
        self.word(called.took.as_nanos());
    }

    fn call(&mut self, tag: u8, addr: Option<SocketAddr>, number: u64) {
        self.put([tag]);
        if let Some(addr) = addr {
            self.socket(addr);
        }
        self.word(number);
    }

    fn done(&mut self, done: &Done) {
        match done {
            Done::Unit => self.put([0]),
            Done::Count(n) => self.word(*n),
            Done::Accepted { peer, .. } => self.socket(*peer),
            Done::Data(data) => self.payload(data),
            Done::Datagram(data, from) => {
                self.payload(data);
                self.socket(*from);
            }
        }
    }

    fn errno(&mut self, errno: Errno) {
        self.put([0xFF]);
        self.put(errno.number().to_le_bytes());
    }

    #[cold]
    fn disturbed(&mut self, disturbance: &Disturbance) {
        match disturbance {
            Disturbance::Down(link) | Disturbance::Up(link) | Disturbance::Injected(link) => {
                let name = self.links[link.0 as usize];
                self.put([matches!(disturbance, Disturbance::Up(_)).into()]);
                self.word(name);
            }
            Disturbance::Host(fault) => self.bytes(format!("{fault:?}").as_bytes()),
            Disturbance::Skew(ppm) => self.put(ppm.to_le_bytes()),
            Disturbance::Note(text) => self.bytes(text.as_bytes()),
        }
    }

    fn packet(&mut self, packet: &Packet) {
        let flags = [packet.ttl, packet.tos, packet.dont_fragment.into()];
        match (packet.src, packet.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                self.put(Parts::<11>::of(src.octets()).and(dst.octets()).and(flags).done());
            }
            (src, dst) => {
                self.addr(src);
                self.addr(dst);
                self.put(flags);
            }
        }
        match &packet.body {
            Body::Tcp(segment) => {
                let ports =
                    Parts::<19>::of([6]).and(segment.src_port.to_le_bytes()).and(segment.dst_port.to_le_bytes());
                let numbers = ports.and(segment.seq.0.to_le_bytes()).and(segment.ack.0.to_le_bytes());
                let flags = numbers.and(segment.flags.bits().to_le_bytes());
                self.put(flags.and(segment.window.to_le_bytes()).and(segment.urgent.to_le_bytes()).done());
                self.bytes(segment.options.as_bytes());
                self.payload(&segment.payload);
            }
            Body::Udp(datagram) => {
                self.put([17]);
                self.put(datagram.src_port.to_le_bytes());
                self.put(datagram.dst_port.to_le_bytes());
                self.payload(&datagram.payload);
            }
            Body::Icmp(icmp) => {
                self.put([1]);
                self.bytes(format!("{:?}", icmp.kind).as_bytes());
                self.payload(&icmp.quote);
            }
            Body::Raw(bytes) => {
                self.put([255]);
                self.payload(bytes);
            }
        }
    }

    fn payload(&mut self, payload: &Payload) {
        let (hash, start, len) = payload.identity();
        self.put(Parts::<16>::default().word(hash).word(u64::from(start) << 32 | u64::from(len)).done());
    }

    fn socket(&mut self, addr: SocketAddr) {
        let port = addr.port().to_le_bytes();
        match addr.ip() {
            IpAddr::V4(addr) => self.put(Parts::<6>::of(addr.octets()).and(port).done()),
            IpAddr::V6(addr) => self.put(Parts::<18>::of(addr.octets()).and(port).done()),
        }
    }

    fn addr(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(addr) => self.put(addr.octets()),
            IpAddr::V6(addr) => self.put(addr.octets()),
        }
    }

    fn word(&mut self, word: u64) {
        self.put(word.to_le_bytes());
    }
}

/// `N` bytes, filled from the front.
struct Parts<const N: usize> {
    bytes: [u8; N],
    end: usize,
}

impl<const N: usize> Default for Parts<N> {
    fn default() -> Parts<N> {
        Parts { bytes: [0; N], end: 0 }
    }
}

impl<const N: usize> Parts<N> {
    fn of<const M: usize>(part: [u8; M]) -> Parts<N> {
        Parts::default().and(part)
    }

    #[inline(always)]
    fn and<const M: usize>(mut self, part: [u8; M]) -> Parts<N> {
        self.bytes[self.end..self.end + M].copy_from_slice(&part);
        self.end += M;
        self
    }

    #[inline(always)]
    fn word(self, word: u64) -> Parts<N> {
        self.and(word.to_le_bytes())
    }

    fn done(self) -> [u8; N] {
        debug_assert_eq!(self.end, N, "all parts are there");
        self.bytes
    }
}
