use super::evidence::packet_name;
use super::{Hears, Oracle, Seen};
use crate::endpoint::{Arrival, DropReason};
use crate::trace::{Arrived, NodeId, Record, What};
use crate::wire::{Body, Payload};

pub(super) const NAME: &str = "checksum";

/// A TCP packet with a wrong checksum is dropped, and for that reason.
///
/// An endpoint that never tells what it makes of packets is left to `stream-integrity`: what it should not have taken
/// shows in what its application reads.
#[derive(Default)]
pub struct Checksum;

impl Oracle for Checksum {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.1"
    }

    fn hears(&self) -> Hears {
        Hears::GARBLED
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        if let (What::Arrived(arrived), Some(node)) = (&record.what, record.node) {
            self.arrived(node, arrived, seen);
        }
    }
}

impl Checksum {
    fn arrived(&self, node: NodeId, arrived: &Arrived<'_>, seen: &mut Seen<'_>) {
        let Body::Raw(bytes) = &arrived.packet.body else { return };
        // RFC 1812 4.2.2.5: a router looks at the checksum of the IP header, not at what is inside.
        if !is_tcp(bytes) || !seen.evidence.tells(node) || seen.evidence.is_middlebox(node) {
            return;
        }
        let taken = match arrived.outcome {
            Some(Arrival::Dropped(
                DropReason::Checksum | DropReason::NotMine | DropReason::HostDown | DropReason::TtlExpired,
            )) => return,
            Some(Arrival::Dropped(reason)) => format!("looked into it and dropped it for another reason, {reason}"),
            Some(Arrival::Duplicate) => "took it for a duplicate".to_owned(),
            Some(Arrival::OutOfOrder) => "kept it".to_owned(),
            None => "took it".to_owned(),
        };
        let packet = (arrived.link, arrived.n);
        let text = format!(
            "{}, sent at {}, reached {} with a wrong checksum, which {taken}",
            packet_name(seen, packet),
            arrived.sent,
            seen.names.node(node),
        );
        seen.violated(self, Some(node), Some(packet), text);
    }
}

/// Whether the IP header says that this is TCP.
fn is_tcp(bytes: &Payload) -> bool {
    let protocol = match bytes.first().map(|byte| byte >> 4) {
        Some(4) => bytes.get(9),
        Some(6) => bytes.get(6),
        _ => None,
    };
    protocol == Some(&6)
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, SERVER};
    use super::*;
    use crate::endpoint::State;

    const BYTES: [u8; 40] = {
        let mut bytes = [0; 40];
        (bytes[0], bytes[9]) = (0x45, 6);
        bytes
    };

    fn outcome(outcome: Option<Arrival>) -> Plant<Checksum> {
        let mut plant = Plant::new(Checksum);
        plant.transition(SERVER, State::Closed, State::SynSent);
        plant.arrive_raw(Dir::Up, &BYTES, outcome);
        plant
    }

    #[test]
    fn a_wrong_checksum_is_the_reason_to_drop() {
        outcome(Some(Arrival::Dropped(DropReason::Checksum))).holds();
        outcome(Some(Arrival::Dropped(DropReason::HostDown))).holds();
        outcome(None).breaks(&["client > server #1", "which took it"]);
        outcome(Some(Arrival::OutOfOrder)).breaks(&["kept it"]);
        outcome(Some(Arrival::Dropped(DropReason::OutOfWindow))).breaks(&["out of window"]);
    }

    #[test]
    fn endpoints_that_tell_nothing_and_other_protocols_are_left_alone() {
        let mut plant = Plant::new(Checksum);
        plant.arrive_raw(Dir::Up, &BYTES, None);
        plant.transition(SERVER, State::Closed, State::SynSent);
        let mut other = BYTES;
        other[9] = 132;
        plant.arrive_raw(Dir::Up, &other, None);
        plant.holds();
    }
}
