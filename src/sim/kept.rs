use crate::map::Map;
use crate::trace::{Call, Done, Keep, Record, What};
use crate::wire::{Body, Payload};
use std::collections::VecDeque;

/// What is kept of the trace, and how many bytes that takes.
pub(super) struct Kept {
    keep: Keep,
    records: VecDeque<Record<'static>>,
    bytes: u64,
    /// How many payloads of records lie in each buffer: its bytes are there once, and for as long as one of them is.
    buffers: Map<usize, u64>,
}

impl Kept {
    pub(super) fn new(keep: Keep) -> Kept {
        Kept { keep, records: VecDeque::new(), bytes: 0, buffers: Map::new() }
    }

    pub(super) fn how(&self) -> Keep {
        self.keep
    }

    pub(super) fn set(&mut self, keep: Keep) {
        self.keep = keep;
    }

    pub(super) fn records(&self) -> &VecDeque<Record<'static>> {
        &self.records
    }

    /// Bytes of the records, and of the buffers that they keep alive.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn take(&mut self, record: &Record<'_>) {
        match self.keep {
            Keep::Nothing => return,
            Keep::Story if record.what.is_detail() => return,
            Keep::Story | Keep::Full => {}
            Keep::Last(most) => {
                if self.records.len() >= most {
                    self.drop_first();
                }
            }
        }
        let record = record.clone().into_owned();
        self.bytes += own_size(&record);
        for (buffer, size) in payloads(&record.what).into_iter().flatten().filter_map(Payload::buffer) {
            let payloads = self.buffers.get_or_insert_with(buffer, || 0);
            self.bytes += if *payloads == 0 { size } else { 0 };
            *payloads += 1;
        }
        self.records.push_back(record);
    }

    fn drop_first(&mut self) {
        let Some(record) = self.records.pop_front() else { return };
        self.bytes -= own_size(&record);
        for (buffer, size) in payloads(&record.what).into_iter().flatten().filter_map(Payload::buffer) {
            let Some(payloads) = self.buffers.get_mut(&buffer) else { continue };
            *payloads -= 1;
            if *payloads == 0 {
                self.bytes -= size;
                self.buffers.remove(&buffer);
            }
        }
    }
}

/// A record without what it shares with others.
fn own_size(record: &Record<'_>) -> u64 {
    let text = if let What::Violated { text, .. } = &record.what { text.len() } else { 0 };
    (size_of::<Record<'static>>() + text) as u64
}

/// The payloads that a record shows: a packet's, or those of a call and its result.
fn payloads<'a>(what: &'a What<'_>) -> [Option<&'a Payload>; 2] {
    let packet = match what {
        What::Sent(sent) => &sent.packet,
        What::Arrived(arrived) => &arrived.packet,
        What::Called(called) => {
            let given = match &called.call {
                Call::Send(data) | Call::SendTo(data, _) => Some(data),
                _ => None,
            };
            let got = match &called.result {
                Some(Ok(Done::Data(data) | Done::Datagram(data, _))) => Some(data),
                _ => None,
            };
            return [given, got];
        }
        What::Noted { .. } | What::Disturbed(_) | What::Violated { .. } => return [None, None],
    };
    let payload = match &packet.body {
        Body::Tcp(segment) => &segment.payload,
        Body::Udp(datagram) => &datagram.payload,
        Body::Icmp(icmp) => &icmp.quote,
        Body::Raw(bytes) => bytes,
    };
    [Some(payload), None]
}
