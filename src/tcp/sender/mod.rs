//! Loss recovery and congestion control by segments, as Linux has them: what is in flight with its scoreboard (RFC 6675),
//! RACK (RFC 8985), PRR (RFC 6937), F-RTO (RFC 5682), undoing what was wrong (RFC 3522, RFC 3708), CUBIC (RFC 9438).
//!
//! A [`Sender`] decides what is lost and how much may fly; [`super::Connection`] sends. Names of the kernel stand where a
//! function does what the kernel's does, so that the two can be read side by side.

mod acked;
mod alert;
mod chrono;
mod cubic;
mod cwnd;
mod ecn;
mod min_rtt;
mod queue;
mod rack;
mod sacked;
mod writes;

pub(super) use acked::{Incoming, News, Next};
pub(super) use queue::{Queue, Sent, Tags};
pub(super) use rack::TIMEOUT_MIN;
pub(super) use writes::{Filled, Unit, Writes};

use self::alert::Undo;
pub(super) use chrono::Wait;
pub(super) use cwnd::NO_THRESHOLD;

use self::chrono::Chrono;
use self::cwnd::Window;
use self::ecn::Ecn;
use self::min_rtt::MinRtt;
use self::rack::Rack;
use super::rto::Rto;
use super::timestamps::clock;
use super::{Arrived, Knobs, Route, Tally};
use crate::endpoint::{CaState, Congestion, SegmentCounts};
use crate::time::{HostTime, Span, secs};
use crate::wire::{Segment, Seq};
use std::collections::VecDeque;

/// The sending half of a connection.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// What is in flight.
    pub(super) queue: Queue,
    /// What waits to be sent.
    pub(super) writes: Writes,
    pub(super) window: Window,
    pub(super) state: CaState,
    /// `high_seq`: SND.NXT when the state was entered; it ends when all up to here is acknowledged.
    high: Seq,
    rack: Rack,
    min_rtt: MinRtt,
    undo: Undo,
    /// `reordering`: how far segments have been displaced, in segments.
    pub(super) reordering: u32,
    /// `reord_seen`.
    pub(super) reorderings: u32,
    /// `delivered`: segments that have arrived, retransmissions included.
    pub(super) delivered: u32,
    /// Segments sent again (`total_retrans`).
    pub(super) resent: u32,
    /// Segments that D-SACKs told of.
    duplicates: u32,
    /// `tlp_high_seq`, and whether the probe was a retransmission: until the probe is acknowledged.
    pub(super) probe: Option<Probe>,
    /// F-RTO goes on.
    frto: bool,
    /// What is to be sent again now.
    pub(super) due: Due,
    /// The unit that is being sent, segment by segment.
    pub(super) unit: Option<Unit>,
    /// Where the unit ends that goes again, if it is more than a segment.
    pub(super) again: Option<Seq>,
    /// Whether this burst has sent something new.
    pub(super) has_sent: bool,
    /// Whether a unit was held back for want of congestion window.
    pub(super) deferred: bool,
    /// Something has happened on which new data is pushed: a segment came, or the application asked
    /// (`tcp_push_pending_frames()`). Timers do not.
    pub(super) is_awake: bool,
    /// What left while the application was still writing, before what follows.
    pub(super) outbox: VecDeque<Segment>,
    /// The application waits for room, or asks for haste: the last unit goes however small (`TCP_NAGLE_PUSH`).
    pub(super) is_pushed: bool,
    /// `lsndtime`: when data left last.
    pub(super) last_data: Option<HostTime>,
    /// `tcp_wstamp_ns`: when anything left last.
    pub(super) last_packet: Option<HostTime>,
    pub(super) ecn: Ecn,
    chrono: Chrono,
    /// Segments that were acknowledged with the echo of a mark.
    marked: u32,
    /// What is to be counted with the host.
    counted: Vec<Tally>,
}

/// A tail loss probe that is not acknowledged (RFC 8985 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// SND.NXT when it was sent.
    pub(super) end: Seq,
    pub(super) is_resent: bool,
}

/// What is to be sent again now (`REXMIT_NONE`, `REXMIT_LOST`, `REXMIT_NEW`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// The first segment, whatever the window says: a timeout.
    First,
    /// What is lost, as the window allows.
    Lost,
    /// New data, to find out whether a timeout was spurious; SND.NXT when that began.
    New(Seq),
}

/// What the sender needs to know at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: HostTime,
    pub(super) una: Seq,
    pub(super) nxt: Seq,
    pub(super) mss: u32,
    /// The right edge of the peer's window.
    pub(super) window_end: Seq,
    /// Greatest window the peer ever offered.
    pub(super) max_wnd: u32,
    /// Smoothed round trip in microseconds.
    pub(super) srtt: Option<u64>,
    pub(super) sack: bool,
    /// Offset of our timestamps, where there are any.
    pub(super) ts_offset: Option<u32>,
    /// `icsk_retransmits`.
    pub(super) tries: u8,
    /// The RTO as it stands.
    pub(super) rto: Span,
    pub(super) knobs: &'a Knobs,
}

impl Moment<'_> {
    pub(super) fn micros(&self) -> u64 {
        micros(self.now)
    }

    /// Microseconds since `at`.
    fn since(&self, at: HostTime) -> u64 {
        self.micros().saturating_sub(micros(at))
    }

    fn tick(&self) -> u64 {
        self.knobs.ticks.length.unwrap_or(self.knobs.clock_granularity).as_nanos().max(1)
    }

    /// The kernel's clock, jiffies.
    fn ticks(&self) -> u64 {
        self.now.as_nanos() / self.tick()
    }

    fn ticks_a_second(&self) -> u64 {
        (secs(1).as_nanos() / self.tick()).max(1)
    }

    /// `usecs_to_jiffies()`.
    fn ticks_of(&self, micros: u64) -> u64 {
        (micros * 1_000).div_ceil(self.tick())
    }

    /// Our timestamp of what left at `at`.
    fn stamp(&self, at: HostTime) -> Option<u32> {
        self.ts_offset.map(|offset| clock(at).wrapping_add(offset))
    }

    /// `sk_pacing_rate`, in bytes a second: nothing is paced by it here, but it sizes units.
    fn rate(&self, window: &Window, in_queue: u32) -> u64 {
        let Some(srtt) = self.srtt.filter(|&srtt| srtt > 0) else { return u64::MAX };
        let percent = if window.cwnd < window.ssthresh / 2 { 200 } else { 120 };
        u64::from(self.mss) * u64::from(window.cwnd.max(in_queue)) * 10_000 * percent / srtt
    }

    /// `hystart_ack_delay()`: what segmentation offload adds to a round trip, in microseconds.
    fn ack_delay(&self, cwnd: u32) -> u64 {
        let Some(srtt) = self.srtt.filter(|&srtt| srtt > 0) else { return 0 };
        let rate = u64::from(self.mss) * u64::from(cwnd) * 2_000_000 / srtt;
        (u64::from(writes::GSO_BYTES) * 4 * 1_000_000).checked_div(rate).map_or(0, |delay| delay.min(1_000))
    }
}

fn micros(at: HostTime) -> u64 {
    at.as_nanos() / 1_000
}

/// Whether a segment that left at `a` and ends at `x` left after one that left at `b` and ends at `y`
/// (`tcp_skb_sent_after()`).
fn sent_after((a, x): (HostTime, Seq), (b, y): (HostTime, Seq)) -> bool {
    micros(a) > micros(b) || (micros(a) == micros(b) && x.gt(y))
}

impl Sender {
    pub(super) fn new(iss: Seq, knobs: &Knobs, route: &Route) -> Sender {
        Sender {
            queue: Queue::default(),
            writes: Writes::new(iss + 1),
            window: Window::new(knobs, route),
            state: CaState::Open,
            high: iss,
            rack: Rack::default(),
            min_rtt: MinRtt::default(),
            undo: Undo::default(),
            reordering: knobs.losses.reordering,
            reorderings: 0,
            delivered: 0,
            resent: 0,
            duplicates: 0,
            probe: None,
            frto: false,
            due: Due::Nothing,
            unit: None,
            again: None,
            has_sent: false,
            deferred: false,
            is_awake: false,
            outbox: VecDeque::new(),
            is_pushed: false,
            last_data: None,
            last_packet: None,
            ecn: Ecn::default(),
            chrono: Chrono::default(),
            marked: 0,
            counted: Vec::new(),
        }
    }

    /// The handshake is over, in which `resent` SYNs went again (`tcp_init_transfer()`).
    pub(super) fn start(&mut self, at: &Moment<'_>, resent: u8) {
        self.resent = u32::from(resent);
        self.window.start(at, resent);
        self.high = at.nxt;
        self.delivered = 1;
    }

    /// A round trip that the handshake has measured.
    pub(super) fn measured(&mut self, at: &Moment<'_>, rtt: Span) {
        self.min_rtt.sample(at.now, rtt.as_nanos() / 1_000, at.knobs.losses.min_rtt_window);
    }

    /// `TCP_CONGESTION`: another algorithm moves the window from here on.
    pub(super) fn set_congestion(&mut self, at: &Moment<'_>, congestion: Congestion) {
        if self.window.congestion != congestion {
            self.window.congestion = congestion;
            self.window.cubic.on_timeout(at);
        }
    }

    /// It waits for something more (`tcp_chrono_start()`).
    pub(super) fn waits_for(&mut self, at: &Moment<'_>, wait: Wait) {
        self.chrono.start(at, wait);
    }

    /// It waits for that no more (`tcp_chrono_stop()`).
    pub(super) fn waited_for(&mut self, at: &Moment<'_>, wait: Wait) {
        let idle = self.queue.is_empty() && self.writes.is_empty();
        self.chrono.stop(at, wait, idle);
    }

    /// The counts of `TCP_INFO`.
    pub(super) fn counts(&self, at: &Moment<'_>) -> SegmentCounts {
        let [busy_time, rwnd_limited, sndbuf_limited] = self.chrono.times(at);
        SegmentCounts {
            snd_cwnd: self.window.cwnd,
            snd_ssthresh: self.window.ssthresh,
            unacked: self.queue.len(),
            sacked: self.queue.sacked,
            lost: self.queue.lost,
            retrans: self.queue.resent,
            reordering: self.reordering,
            reord_seen: self.reorderings,
            delivered: self.delivered,
            delivered_ce: self.marked,
            dsack_dups: self.duplicates,
            min_rtt: self.min_rtt().map(crate::time::us),
            busy_time,
            rwnd_limited,
            sndbuf_limited,
        }
    }

    /// What has been heard of its segments so far.
    pub(super) fn arrived(&self) -> Arrived {
        let (segments, marked, twice) = (self.delivered, self.marked, self.duplicates);
        Arrived { segments, marked, twice, lost_again: self.queue.lost_again }
    }

    /// Least round trip in microseconds.
    pub(super) fn min_rtt(&self) -> Option<u64> {
        self.min_rtt.get()
    }

    /// The connection is over.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.writes.clear();
        (self.due, self.unit, self.probe) = (Due::Nothing, None, None);
    }

    /// What is to be counted, given once.
    pub(super) fn take_counted(&mut self) -> Vec<Tally> {
        std::mem::take(&mut self.counted)
    }

    fn count(&mut self, tally: Tally) {
        self.counted.push(tally);
    }

    /// F-RTO has found nothing to send that would tell.
    pub(super) fn stop_frto(&mut self) {
        self.frto = false;
    }

    fn is_reducing(&self) -> bool {
        matches!(self.state, CaState::Cwr | CaState::Recovery)
    }

    /// A segment leaves for the first time.
    pub(super) fn sent(&mut self, at: &Moment<'_>, seq: Seq, end: Seq, tags: Tags) {
        if self.queue.in_flight() == 0 {
            self.window.on_start(at, self.last_data);
        }
        self.last_data = Some(at.now);
        self.queue.push(Sent { seq, end, at: at.now, delivered: self.delivered, tags });
        if self.is_reducing() {
            self.window.prr_out += 1;
        }
        self.has_sent = true;
    }

    /// The data of a SYN has left with it, and is a segment of its own from now on (`tcp_send_syn_data()`).
    pub(super) fn sent_in_syn(&mut self, at: &Moment<'_>, seq: Seq, end: Seq) {
        self.writes.skip(end.since(seq));
        self.waits_for(at, Wait::Busy);
        self.last_data = Some(at.now);
        self.queue.push(Sent { seq, end, at: at.now, delivered: 0, tags: Tags::PUSH });
    }

    /// The SYN is acknowledged, and of its data what lies before `una` (RFC 7413 4.2.1); to `delivered` the two are one.
    pub(super) fn take_syn_data(&mut self, at: &Moment<'_>) {
        while self.queue.first().is_some_and(|sent| sent.end.le(at.una)) {
            self.queue.pop();
        }
        self.queue.trim_first(at.una);
        if self.queue.is_empty() {
            self.waited_for(at, Wait::Busy);
        }
    }

    /// The segment at `place` leaves again; a probe is not counted as a retransmission in flight
    /// (`__tcp_retransmit_skb()`, `tcp_retransmit_skb()`).
    pub(super) fn sent_again(&mut self, at: &Moment<'_>, place: usize, is_probe: bool) {
        if self.queue.in_flight() == 0 {
            self.window.on_start(at, self.last_data);
        }
        let delivered = self.delivered;
        let Some(sent) = self.queue.get_mut(place) else { return };
        (sent.at, sent.delivered) = (at.now, delivered);
        let mut tags = sent.tags | Tags::EVER_RESENT;
        self.resent += 1;
        self.last_data = Some(at.now);
        if !is_probe {
            tags |= Tags::RESENT;
            self.undo.resent(at);
            if self.is_reducing() {
                self.window.prr_out += 1;
            }
        }
        self.queue.retag(place, tags);
    }

    /// The host's own queue did not take a retransmission; no round trip may be measured by that segment any more.
    pub(super) fn failed_to_resend(&mut self, at: &Moment<'_>, place: usize) {
        let Some(sent) = self.queue.get_mut(place) else { return };
        let tags = sent.tags | Tags::EVER_RESENT;
        self.queue.retag(place, tags);
        self.resent += 1;
        self.enter_cwr(at);
    }

    /// A round trip measured by the segment that was acknowledged, in microseconds.
    fn note_round_trip(&mut self, at: &mut Moment<'_>, rto: &mut Rto, (seq, path): (u64, u64), is_delayed: bool) {
        // A lone small segment may have met a delayed acknowledgment: it must not raise the least round trip.
        if !(is_delayed && self.min_rtt().is_some_and(|least| path > least)) {
            let least_step = if path == 0 { at.tick() / 1_000 } else { path };
            self.min_rtt.sample(at.now, least_step, at.knobs.losses.min_rtt_window);
        }
        rto.measured(crate::time::us(seq), (at.una, at.nxt), at.knobs);
        at.srtt = rto.srtt().map(|srtt| srtt.as_nanos() / 1_000);
        at.rto = rto.current(at.knobs);
    }

    fn uses_rack(at: &Moment<'_>) -> bool {
        at.knobs.losses.rack
    }

    /// What the algorithm of congestion control makes of a loss.
    fn reduced(&mut self) -> u32 {
        match self.window.congestion {
            Congestion::Reno => (self.window.cwnd / 2).max(2),
            Congestion::Cubic => self.window.cubic.on_loss(self.window.cwnd),
        }
    }
}
