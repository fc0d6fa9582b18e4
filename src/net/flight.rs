use crate::time::SimTime;
use crate::wire::Packet;
use std::collections::{BTreeMap, VecDeque};

/// A packet in flight, or just off the link.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its number on the link, counted from 1.
    pub n: u64,
    /// 0 for the packet itself, 1 and up for its duplicates.
    pub copy: u8,
    /// The packet as it was sent.
    pub packet: Box<Packet>,
    /// The bit that was flipped on the way, counted from the start of the transport header.
    pub corrupt_bit: Option<u32>,
    /// When it was sent.
    pub sent: SimTime,
    /// When it arrives.
    pub arrive: SimTime,
    /// What the sender of the packet attached to it.
    pub label: u64,
}

impl Arrived {
    fn key(&self) -> (SimTime, u64, u8) {
        (self.arrive, self.n, self.copy)
    }
}

/// The packets in flight, by (arrival, number): a FIFO for those in order, and a map beside it for those that overtake.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    fifo: VecDeque<Arrived>,
    others: BTreeMap<(SimTime, u64, u8), Arrived>,
}

impl Flight {
    #[inline]
    pub(super) fn push(&mut self, arrived: Arrived) {
        if self.fifo.back().is_none_or(|last| last.key() < arrived.key()) {
            self.fifo.push_back(arrived);
        } else {
            self.others.insert(arrived.key(), arrived);
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<SimTime> {
        let fifo = self.fifo.front().map(|arrived| arrived.arrive);
        if self.others.is_empty() {
            return fifo;
        }
        let other = self.others.first_key_value().map(|(&(other, _, _), _)| other);
        fifo.into_iter().chain(other).min()
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Arrived> {
        if self.others.is_empty() { self.fifo.pop_front() } else { self.pop_lesser() }
    }

    #[inline(never)]
    fn pop_lesser(&mut self) -> Option<Arrived> {
        let other = self.others.first_entry()?;
        if self.fifo.front().is_some_and(|first| first.key() < *other.key()) {
            return self.fifo.pop_front();
        }
        Some(other.remove())
    }

    pub(super) fn len(&self) -> usize {
        self.fifo.len() + self.others.len()
    }
}
