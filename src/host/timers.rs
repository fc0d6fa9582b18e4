use super::Host;
use super::demux::{Place, Slot};
use super::stream::Conn;
use crate::endpoint::Cx;
use crate::time::HostTime;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

/// When something wants to be woken. Of equal times the older machine comes first, whatever its place in storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) due: HostTime,
    pub(super) slot: Slot,
    /// The number of the machine's making.
    pub(super) birth: u32,
}

impl Alarm {
    /// Its place among others as one number, which is compared faster than three.
    fn rank(&self) -> u128 {
        u128::from(self.due.as_nanos()) << 64 | u128::from(self.birth) << 32 | u128::from(self.slot.number())
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Alarm) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Alarm) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// All timeouts of a host. A machine whose timeout moves away keeps its alarm, which is set anew only when
/// it comes to the front, or is there; so a timer that is restarted with every packet costs nothing. Between calls the front
/// is always an alarm whose machine does want to be woken then.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Alarm>>,
    /// Those of what is left of connections, as long as they come in order: TIME-WAIT lasts equally long for all of them,
    /// and thousands of them would make the heap deep.
    leftovers: VecDeque<Alarm>,
    /// The alarm at the front, where it was found true, until its machine is touched or another one comes before it.
    true_front: Option<Alarm>,
}

impl Timers {
    pub(super) fn set(&mut self, alarm: Alarm) {
        if self.true_front.is_some_and(|front| alarm < front) {
            self.true_front = None;
        }
        let is_last = |alarm: &Alarm| self.leftovers.back().is_none_or(|last| last < alarm);
        if matches!(alarm.slot.place(), Place::Closing(_)) && is_last(&alarm) {
            self.leftovers.push_back(alarm);
        } else {
            self.heap.push(Reverse(alarm));
        }
    }

    /// When the host wants to be woken, once the front is true.
    pub(super) fn next(&self) -> Option<HostTime> {
        self.true_front.or_else(|| self.first()).map(|alarm| alarm.due)
    }

    fn first(&self) -> Option<Alarm> {
        match (self.heap.peek(), self.leftovers.front()) {
            (Some(Reverse(alarm)), Some(leftover)) => Some(*alarm.min(leftover)),
            (alarm, leftover) => alarm.map(|Reverse(alarm)| alarm).or(leftover).copied(),
        }
    }

    /// Takes the first out.
    fn pop(&mut self) {
        self.true_front = None;
        match (self.heap.peek(), self.leftovers.front()) {
            (Some(Reverse(alarm)), Some(leftover)) if alarm > leftover => self.leftovers.pop_front(),
            (None, _) => self.leftovers.pop_front(),
            _ => self.heap.pop().map(|Reverse(alarm)| alarm),
        };
    }

    /// Sets the first, an alarm of the heap, to another time; to never: takes it out.
    fn move_first(&mut self, due: HostTime) {
        if due == HostTime::NEVER {
            return self.pop();
        }
        let Some(mut first) = self.heap.peek_mut() else { return };
        // What is sooner stays the first.
        self.true_front = (due < first.0.due).then_some(Alarm { due, ..first.0 });
        first.0.due = due;
    }

    /// The whole connection at `index` may want to be woken at another time. Its alarm stays where that is later, or never, but
    /// for the first: it may be wanted again before it comes to the front.
    #[inline]
    pub(super) fn rearm_conn(&mut self, index: u32, conn: &mut Conn) {
        let due = conn.tcp.poll_timeout().unwrap_or(HostTime::NEVER);
        if due == conn.armed {
            return;
        }
        let slot = Place::Conn(index).slot();
        if self.true_front.is_some_and(|alarm| alarm.slot == slot) {
            conn.armed = due;
            self.move_first(due);
        } else if due < conn.armed {
            conn.armed = due;
            self.set(Alarm { due, birth: conn.birth, slot });
        }
    }

    /// The machine at `slot` is gone.
    pub(super) fn forget(&mut self, slot: Slot) {
        if self.true_front.is_some_and(|alarm| alarm.slot == slot) {
            self.pop();
        }
    }

    /// The machine at `slot` may want to be woken at another time, or not at all.
    pub(super) fn doubt(&mut self, slot: Slot) {
        if self.true_front.is_some_and(|alarm| alarm.slot == slot) {
            self.true_front = None;
        }
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.leftovers.clear();
        self.true_front = None;
    }
}

/// What an alarm at the front turns out to be.
enum Front {
    /// Its machine wants to be woken then.
    True,
    /// Its machine is gone, or has another alarm.
    Stale,
    /// Its machine wants to be woken later, a whole connection perhaps never.
    Early(HostTime),
}

impl Host {
    /// Makes the first alarm true, so that the time of the next timeout is exact.
    #[inline]
    pub(super) fn settle_timers(&mut self) {
        match self.timers.true_front {
            None => self.find_true_front(),
            Some(alarm) => debug_assert!(
                self.timers.first() == Some(alarm) && matches!(self.judge(alarm), Front::True),
                "a machine was changed behind the timers' back"
            ),
        }
    }

    #[inline(never)]
    fn find_true_front(&mut self) {
        while let Some(alarm) = self.timers.first() {
            match self.judge(alarm) {
                Front::True => {
                    self.timers.true_front = Some(alarm);
                    return;
                }
                Front::Stale => self.timers.pop(),
                Front::Early(due) => match alarm.slot.place() {
                    Place::Conn(index) => {
                        if let Some(conn) = self.conns.get_mut(index) {
                            conn.armed = due;
                        }
                        self.timers.move_first(due);
                    }
                    // One of the leftovers may be the last now.
                    _ => {
                        self.timers.pop();
                        self.timers.set(Alarm { due, ..alarm });
                    }
                },
            }
        }
    }

    fn judge(&self, alarm: Alarm) -> Front {
        let wanted = match alarm.slot.place() {
            Place::Conn(index) => {
                let conn = self.conns.get(index);
                let conn = conn.filter(|conn| conn.birth == alarm.birth && conn.armed == alarm.due);
                conn.map(|conn| conn.tcp.poll_timeout().unwrap_or(HostTime::NEVER))
            }
            Place::Half(index) => {
                self.halves.get(index).filter(|half| half.birth == alarm.birth).and_then(|half| half.tcp.poll_timeout())
            }
            Place::Closing(index) => {
                let leftover = self.leftovers.get(index).filter(|leftover| leftover.birth == alarm.birth);
                leftover.and_then(|leftover| leftover.tcp.poll_timeout())
            }
            Place::Quiet => Some(alarm.due),
            Place::Linger => self.lingers_until(alarm.due).then_some(alarm.due),
        };
        match wanted {
            Some(due) if due == alarm.due => Front::True,
            Some(due) if due > alarm.due => Front::Early(due),
            _ => Front::Stale,
        }
    }

    /// Wakes every machine whose time has come, the earliest first, and of equal ones the oldest.
    pub(super) fn fire_timers(&mut self, cx: &mut Cx<'_>) {
        loop {
            self.settle_timers();
            let Some(alarm) = self.timers.first().filter(|alarm| alarm.due <= cx.now()) else { return };
            self.timers.pop();
            match alarm.slot.place() {
                Place::Conn(index) => {
                    if let Some(conn) = self.conns.get_mut(index) {
                        conn.armed = HostTime::NEVER;
                    }
                    self.conn_timeout(cx, index);
                }
                Place::Half(index) => self.half_timeout(cx, index),
                Place::Closing(index) => self.leftover_timeout(cx, index),
                Place::Quiet => self.end_quiet(cx),
                Place::Linger => self.end_lingering(cx),
            }
        }
    }

    /// A small machine has an alarm for `had` and now wants to be woken at `wants`.
    pub(super) fn rearm(&mut self, slot: Slot, birth: u32, had: Option<HostTime>, wants: Option<HostTime>) {
        if let Some(due) = wants
            && had.is_none_or(|had| due < had)
        {
            self.timers.set(Alarm { due, birth, slot });
        }
    }
}
