use super::system::{NAMES, profile};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use wirefate::endpoint::{Event, HostFault, State, Tuple};
use wirefate::host::Profile;
use wirefate::oracle::{Oracle, Seen};
use wirefate::time::SimTime;
use wirefate::trace::{Disturbance, NodeId, Record, What};
use wirefate::wire::{Flags, Packet, Segment, Seq};

/// A RST ends a connection only if its sequence number is the next one that the receiver expects (RFC 9293 3.10.7.4,
/// second; RFC 5961 3.2). A rule of the profiles rfc9293 and windows: Linux takes two more numbers, and FreeBSD may be set
/// to take any in the window.
///
/// What an end expects lies between what it has acknowledged and the end of what has come; only a RST from outside that
/// range is judged.
pub(crate) struct ExactReset {
    seed: u64,
    ends: BTreeMap<(NodeId, Tuple), End>,
    /// The next packet is injected.
    is_injecting: bool,
    /// A RST that may end nothing has just arrived here.
    blind: Option<(SimTime, NodeId, Tuple, Seq)>,
}

struct End {
    state: State,
    acked: Option<Seq>,
    came: Option<Seq>,
}

impl Oracle for ExactReset {
    fn name(&self) -> &'static str {
        "exact-reset"
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.10.7.4"
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        let Some(node) = record.node else { return };
        match &record.what {
            What::Disturbed(Disturbance::Injected(_)) => self.is_injecting = true,
            What::Sent(sent) => {
                let is_own = !std::mem::take(&mut self.is_injecting) && !sent.forwarded;
                self.sent(node, is_own.then_some(&*sent.packet));
            }
            What::Arrived(arrived) => self.arrived(record.at, node, &arrived.packet),
            What::Noted { event: Event::Transition { tuple, to, .. }, .. } => self.moved((node, *tuple), *to, seen),
            What::Disturbed(Disturbance::Host(HostFault::Crash)) => self.ends.retain(|(at, _), _| *at != node),
            // What a call or a timer does at the instant at which a RST has come is not the RST's doing.
            _ => self.blind = None,
        }
    }
}

impl ExactReset {
    pub(crate) fn new(seed: u64) -> ExactReset {
        ExactReset { seed, ends: BTreeMap::new(), is_injecting: false, blind: None }
    }

    fn is_bound(&self, node: NodeId) -> bool {
        let name = NAMES.get(node.0 as usize);
        name.is_some_and(|name| matches!(profile(self.seed, name), Profile::Rfc9293 | Profile::Windows))
    }

    fn sent(&mut self, node: NodeId, packet: Option<&Packet>) {
        self.blind = None;
        let Some((segment, tuple)) = packet.and_then(tuple) else { return };
        if let Some(end) = self.ends.get_mut(&(node, tuple))
            && segment.has(Flags::ACK)
            && !segment.has(Flags::RST)
        {
            end.acked = Some(segment.ack);
        }
    }

    fn arrived(&mut self, at: SimTime, node: NodeId, packet: &Packet) {
        self.blind = None;
        let Some((segment, tuple)) = tuple(packet) else { return };
        let tuple = tuple.flipped();
        let Some(end) = self.ends.get_mut(&(node, tuple)) else { return };
        if segment.has(Flags::RST) {
            let Some(acked) = end.acked.filter(|_| end.state != State::SynSent) else { return };
            let reach = end.came.map_or(0, |came| came.diff(acked)).max(0).cast_unsigned();
            if segment.seq.since(acked) > reach {
                self.blind = Some((at, node, tuple, segment.seq));
            }
        } else if segment.seq_len() > 0 {
            end.came = Some(end.came.map_or(segment.end(), |came| came.max(segment.end())));
        }
    }

    fn moved(&mut self, key: (NodeId, Tuple), to: State, seen: &mut Seen<'_>) {
        let blind = self.blind.take().filter(|&(at, node, tuple, _)| (at, node, tuple) == (seen.now, key.0, key.1));
        if to != State::Closed {
            self.ends.entry(key).or_insert(End { state: to, acked: None, came: None }).state = to;
            return;
        }
        let end = self.ends.remove(&key);
        if let (Some((_, node, tuple, seq)), Some(end)) = (blind.filter(|_| self.is_bound(key.0)), end) {
            let text = format!("{tuple} was reset in {} by {seq}, but expected {:?}", end.state, end.acked);
            seen.violated(self, Some(node), None, text);
        }
    }
}

/// A segment and its two ends, seen from its sender.
fn tuple(packet: &Packet) -> Option<(&Segment, Tuple)> {
    let segment = packet.segment()?;
    let local = SocketAddr::new(packet.src, segment.src_port);
    Some((segment, Tuple { local, remote: SocketAddr::new(packet.dst, segment.dst_port) }))
}
