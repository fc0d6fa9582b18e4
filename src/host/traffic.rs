//! What has gone out and come in of one connection (RFC 4898), as `TCP_INFO` tells it.

use super::counters::{Counter, Counters};
use crate::endpoint::TcpInfo;
use crate::tcp::{Arrived, Connection};
use crate::wire::{Segment, Seq};

/// The counts of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    segs_out: u32,
    segs_in: u32,
    data_segs_out: u32,
    data_segs_in: u32,
    bytes_sent: u64,
    bytes_retrans: u64,
    bytes_acked: u64,
    bytes_received: u64,
    /// SND.UNA as it was last.
    una: Seq,
    /// RCV.NXT as it was last; none before the peer's SYN.
    nxt: Option<Seq>,
    /// What its sender had counted then.
    arrived: Arrived,
}

impl Traffic {
    /// Of a connection just made; a SYN that made it has been taken before (`tcp_create_openreq_child()`).
    pub(super) fn new(tcp: &Connection, taken: u32) -> Traffic {
        let (snd, rcv, arrived) = (tcp.snd_view(), tcp.rcv_view(), tcp.arrived());
        let nxt = rcv.map(|rcv| rcv.irs + 1);
        Traffic { segs_in: taken, una: snd.una, nxt, arrived, ..Traffic::default() }
    }

    /// A segment has come for it (`tcp_segs_in()`).
    pub(super) fn came(&mut self, segment: &Segment) {
        self.segs_in += 1;
        self.data_segs_in += u32::from(!segment.payload.is_empty());
    }

    /// One has left (`__tcp_transmit_skb()`); `again`: one that had left before (`__tcp_retransmit_skb()`).
    pub(super) fn left(&mut self, segment: &Segment, again: bool) {
        let len = u64::from(segment.payload.len());
        self.segs_out += 1;
        self.data_segs_out += u32::from(len > 0);
        self.bytes_sent += len;
        self.bytes_retrans += if again { len } else { 0 };
    }

    /// What is acknowledged on either side now: SYN and FIN count as bytes, but not the SYN of a listener, nor the peer's
    /// (`tcp_snd_una_update()`, `tcp_rcv_nxt_update()`). What has arrived since the last look counts for the host; the SYN-ACK
    /// of a listener does not (`tcp_newly_delivered()`).
    pub(super) fn look(&mut self, tcp: &Connection, counters: &mut Counters) {
        let (snd, rcv) = (tcp.snd_view(), tcp.rcv_view());
        self.bytes_acked += u64::from(snd.una.since(self.una));
        self.una = snd.una;
        if let Some(nxt) = rcv.map(|rcv| rcv.nxt) {
            self.bytes_received += u64::from(nxt.since(self.nxt.unwrap_or(nxt)));
            self.nxt = Some(nxt);
        }
        let before = std::mem::replace(&mut self.arrived, tcp.arrived());
        if self.arrived != before {
            let Arrived { segments, marked, twice, lost_again } = self.arrived;
            counters.add_many(Counter::Delivered, segments.wrapping_sub(before.segments));
            counters.add_many(Counter::DeliveredCe, marked.wrapping_sub(before.marked));
            counters.add_many(Counter::DSackRecvSegs, twice.wrapping_sub(before.twice));
            counters.add_many(Counter::LostRetransmit, lost_again.wrapping_sub(before.lost_again));
        }
    }

    /// Writes the counts into `info`.
    pub(super) fn tell(&self, info: &mut TcpInfo) {
        (info.segs_out, info.segs_in) = (self.segs_out, self.segs_in);
        (info.data_segs_out, info.data_segs_in) = (self.data_segs_out, self.data_segs_in);
        (info.bytes_sent, info.bytes_retrans) = (self.bytes_sent, self.bytes_retrans);
        (info.bytes_acked, info.bytes_received) = (self.bytes_acked, self.bytes_received);
    }
}
