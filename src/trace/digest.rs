//! The digest of a run: packets with their fates, deliveries, transitions, calls with results, in an encoding with a
//! version of its own. Verbosity, filters, captures, oracles and recording do not reach it.

use super::{Arrived, Call, Called, Disturbance, Done, LinkName, Record, Sent, What};
use crate::endpoint::Event;
use crate::net::Fate;
use crate::wire::{Body, Options, Packet, Payload, Segment};
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

/// What is left free before parts of fixed size are written: more than any of them take together.
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

    /// Encodes `record` unless it is of a kind that the digest leaves out.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        match &record.what {
            What::Sent(sent) => self.sent(self.head(1, record), sent),
            What::Arrived(arrived) => self.arrived(self.head(2, record), arrived),
            What::Noted { event: Event::Transition { tuple, from, to, error, .. }, .. } => {
                let head = self.head(3, record);
                let last = [*from as u8, *to as u8, error.map_or(0, |e| e.number().to_le_bytes()[0])];
                self.write(|room| room.head(head).socket(tuple.local).socket(tuple.remote).put(last).end);
            }
            What::Called(called) if called.result.is_some() => self.called(self.head(4, record), called),
            What::Disturbed(disturbance) => self.disturbed(self.head(5, record), disturbance),
            What::Noted { .. } | What::Called(_) | What::Violated { .. } => {}
        }
    }

    #[inline(always)]
    fn head(&self, tag: u8, record: &Record<'_>) -> Head {
        let node = record.node.map_or(0, |node| self.nodes[node.0 as usize]);
        Head { tag, at: record.at.as_nanos(), node }
    }

    #[cold]
    #[inline(never)]
    fn flush(&mut self) {
        self.hash.update(&self.buffer[..self.end]);
        self.end = 0;
    }

    /// Writes parts whose sizes are known at places that are known, of [`ROOM`] bytes in all at most; `write` gives their
    /// end.
    #[inline(always)]
    fn write(&mut self, write: impl FnOnce(Room<'_>) -> usize) {
        if self.end > STRETCH - ROOM {
            self.flush();
        }
        if let Some(bytes) = self.buffer.get_mut(self.end..).and_then(|room| room.first_chunk_mut()) {
            self.end += write(Room { bytes, end: 0 });
        }
    }

    /// A part of fixed size.
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.write(|room| room.put(bytes).end);
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

    #[inline(always)]
    fn sent(&mut self, head: Head, sent: &Sent<'_>) {
        let (link, packet) = (self.links[sent.link.0 as usize], &*sent.packet);
        // The most frequent kind in one piece; the bytes are the same.
        if let (Body::Tcp(segment), Fate::Delivered(after)) = (&packet.body, &*sent.fate) {
            return self.write(|room| {
                let room = room.head(head).word(link).word(sent.n).headers(packet).header(segment);
                room.options(&segment.options).payload(&segment.payload).put([0]).word(after.as_nanos()).end
            });
        }
        self.write(|room| room.head(head).word(link).word(sent.n).headers(packet).end);
        self.body(&packet.body);
        self.fate(&sent.fate);
    }

    /// What a packet holds was taken when it was sent; here its name and, if it was changed on the way, its bytes.
    fn arrived(&mut self, head: Head, arrived: &Arrived<'_>) {
        let link = self.links[arrived.link.0 as usize];
        self.write(|room| room.head(head).word(link).word(arrived.n).put([arrived.copy]).end);
        if let Body::Raw(bytes) = &arrived.packet.body {
            self.payload(bytes);
        }
    }

    fn fate(&mut self, fate: &Fate) {
        match fate {
            Fate::Delivered(after) => self.write(|room| room.put([0]).word(after.as_nanos()).end),
            other => {
                self.put([1]);
                self.bytes(other.to_string().as_bytes());
            }
        }
    }

    fn called(&mut self, head: Head, called: &Called) {
        let (tag, addr, number) = match &called.call {
            Call::Bind(addr) => (1, Some(addr), 0),
            Call::Listen { local, backlog } => (2, Some(local), u64::from(*backlog)),
            Call::Accept { local } => (3, Some(local), 0),
            Call::Connect(addr) => (4, Some(addr), 0),
            Call::Send(data) => (5, None, u64::from(data.len())),
            Call::SendTo(data, addr) => (6, Some(addr), u64::from(data.len())),
            Call::Recv { max } => (7, None, *max as u64),
            Call::RecvFrom => (8, None, 0),
            Call::Shutdown(how) => (9, None, *how as u64),
            Call::Close => (10, None, 0),
            Call::Abort => (11, None, 0),
            Call::SetOption(_) => (12, None, 0),
        };
        self.write(|room| {
            let room = room.head(head).put([tag]);
            let room = if let Some(addr) = addr { room.socket(*addr) } else { room };
            room.word(number).end
        });
        if let Call::SetOption(option) = &called.call {
            self.bytes(format!("{option:?}").as_bytes());
        }
        let took = called.took.as_nanos();
        self.write(|room| match &called.result {
            Some(Ok(done)) => room.done(done).word(took).end,
            Some(Err(errno)) => room.put([0xFF]).put(errno.number().to_le_bytes()).word(took).end,
            None => room.word(took).end,
        });
    }

    #[cold]
    #[inline(never)]
    fn disturbed(&mut self, head: Head, disturbance: &Disturbance) {
        self.write(|room| room.head(head).end);
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

    fn body(&mut self, body: &Body) {
        match body {
            Body::Tcp(segment) => {
                self.write(|room| room.header(segment).options(&segment.options).payload(&segment.payload).end);
            }
            Body::Udp(datagram) => self.write(|room| {
                let room = room.put([17]).put(datagram.src_port.to_le_bytes()).put(datagram.dst_port.to_le_bytes());
                room.payload(&datagram.payload).end
            }),
            Body::Icmp(icmp) => {
                self.put([1]);
                self.bytes(format!("{:?}", icmp.kind).as_bytes());
                self.payload(&icmp.quote);
            }
            Body::Raw(bytes) => self.write(|room| room.put([255]).payload(bytes).end),
        }
    }

    fn payload(&mut self, payload: &Payload) {
        self.write(|room| room.payload(payload).end);
    }

    fn word(&mut self, word: u64) {
        self.put(word.to_le_bytes());
    }
}

/// What every record begins with.
#[derive(Clone, Copy)]
struct Head {
    tag: u8,
    at: u64,
    node: u64,
}

/// A place that is filled from the front. All is inlined: places are known when it is compiled, mostly.
struct Room<'a> {
    bytes: &'a mut [u8; ROOM],
    end: usize,
}

impl Room<'_> {
    #[inline(always)]
    fn put<const N: usize>(mut self, part: [u8; N]) -> Self {
        self.bytes[self.end..self.end + N].copy_from_slice(&part);
        self.end += N;
        self
    }

    #[inline(always)]
    fn word(self, word: u64) -> Self {
        self.put(word.to_le_bytes())
    }

    #[inline(always)]
    fn head(self, head: Head) -> Self {
        self.put([head.tag]).word(head.at).word(head.node)
    }

    #[inline(always)]
    fn addr(self, addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(addr) => self.put(addr.octets()),
            IpAddr::V6(addr) => self.put(addr.octets()),
        }
    }

    #[inline(always)]
    fn socket(self, addr: SocketAddr) -> Self {
        self.addr(addr.ip()).put(addr.port().to_le_bytes())
    }

    /// What a call gave.
    #[inline(always)]
    fn done(self, done: &Done) -> Self {
        match done {
            Done::Unit => self.put([0]),
            Done::Count(n) => self.word(*n),
            Done::Accepted { peer, .. } => self.socket(*peer),
            Done::Data(data) => self.payload(data),
            Done::Datagram(data, from) => self.payload(data).socket(*from),
        }
    }

    /// Of the IP header, what counts.
    #[inline(always)]
    fn headers(self, packet: &Packet) -> Self {
        self.addr(packet.src).addr(packet.dst).put([packet.ttl, packet.tos, packet.dont_fragment.into()])
    }

    /// A TCP header without its options.
    #[inline(always)]
    fn header(self, segment: &Segment) -> Self {
        let places = u64::from(segment.src_port) | u64::from(segment.dst_port) << 16 | u64::from(segment.seq.0) << 32;
        let flags = u64::from(segment.flags.bits()) << 32 | u64::from(segment.window) << 48;
        let room = self.put([6]).word(places).word(u64::from(segment.ack.0) | flags);
        room.put(segment.urgent.to_le_bytes())
    }

    #[inline(always)]
    fn options(mut self, options: &Options) -> Self {
        let bytes = options.as_bytes();
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
        self
    }

    /// The hash of a payload's buffer, and the place in it.
    #[inline(always)]
    fn payload(self, payload: &Payload) -> Self {
        let (hash, start, len) = payload.identity();
        self.word(hash).word(u64::from(start) << 32 | u64::from(len))
    }
}
