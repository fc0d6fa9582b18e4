//! Birth: by the user's active open, or out of a half-open connection.

use super::{Ack, Connection, Keep, Pending, Persist};
use crate::endpoint::State;
use crate::tcp::acks::Acks;
use crate::tcp::handshake::{self, Agreed};
use crate::tcp::newreno::NewReno;
use crate::tcp::rcv::Rcv;
use crate::tcp::rto::Rto;
use crate::tcp::sack::Sacks;
use crate::tcp::sender::Sender;
use crate::tcp::snd::Snd;
use crate::tcp::space::Space;
use crate::tcp::throttle::Throttle;
use crate::tcp::timers::{Timer, Timers};
use crate::tcp::window::Window;
use crate::tcp::{Context, Ports, RecoveryRule, Setup, WindowRule};
use crate::time::HostTime;
use crate::wire::{Segment, Seq};

impl Connection {
    /// Active open, CLOSED -> SYN-SENT (RFC 9293 3.10.1); the SYN leaves at the next `poll_transmit`.
    pub fn open(cx: &mut Context<'_>, ports: Ports, iss: Seq, setup: &Setup) -> Box<Connection> {
        let mut connection = Connection::blank(cx, State::Closed, ports, iss, setup);
        cx.transition(&mut connection.state, State::SynSent, None, None);
        connection
    }

    /// A connection whose SYNs have crossed, still without windows; only [`HalfOpen`] makes these.
    pub(in crate::tcp) fn passive(
        cx: &mut Context<'_>,
        ports: Ports,
        (iss, irs): (Seq, Seq),
        agreed: Agreed,
        setup: &Setup,
    ) -> Box<Connection> {
        let mut connection = Connection::blank(cx, State::Established, ports, iss, setup);
        connection.rcv.synchronize(irs);
        connection.agree(cx, agreed);
        connection
    }

    /// The windows of the two SYNs, and what happened to our SYN-ACK: when it was sent, if only once; how often it was
    /// sent again, and whether it is still to be sent for the first time.
    pub(in crate::tcp) fn synchronized_by(
        &mut self,
        cx: &mut Context<'_>,
        (snd_wnd, rcv_wnd): (u16, u16),
        started: Option<HostTime>,
        retries: u8,
        syn_ack_due: bool,
    ) {
        self.open_window(cx, rcv_wnd);
        self.snd.set_window(u32::from(snd_wnd), self.rcv.irs, self.snd.iss);
        self.start_sending(cx, retries);
        self.rto.total = retries.into();
        self.rto.handshake_done(started.is_none(), cx.knobs);
        if !syn_ack_due {
            self.snd.nxt = self.snd.iss + 1;
            self.snd.max = self.snd.nxt;
            if let Some(started) = started {
                self.rto.sent(self.snd.nxt, started);
            }
        }
        self.start_keepalive(cx);
        self.events |= Pending::CONNECTED;
    }

    /// The segment that completed the handshake: its ACK, data and FIN count as in ESTABLISHED.
    pub(in crate::tcp) fn on_third_segment(&mut self, cx: &mut Context<'_>, seg: &Segment) {
        self.on_segment(cx, seg);
    }

    /// Takes over what the SYNs agreed on.
    pub(super) fn agree(&mut self, cx: &Context<'_>, agreed: Agreed) {
        (self.snd.mss, self.snd.agreed_mss) = (agreed.effective_mss(), agreed.mss);
        if let Some(most) = cx.knobs.whole_buffers {
            for buf in [&mut self.snd.buf, &mut self.rcv.buf] {
                *buf = whole_segments(*buf, agreed.mss).min(most).max(*buf);
            }
        }
        (self.ts, self.sack) = (agreed.ts, agreed.sack);
        self.scales = agreed.shifts.is_some();
        (self.rcv.shift, self.snd.shift) = agreed.shifts.unwrap_or((0, 0));
        if let Some(sender) = &mut self.sender {
            sender.ecn.is_agreed = agreed.ecn;
        }
    }

    /// Our SYN offered this window.
    pub(super) fn open_window(&mut self, cx: &Context<'_>, offered: u16) {
        self.rcv.edge = self.rcv.nxt + u32::from(offered);
        if cx.knobs.window == WindowRule::Linux {
            self.rcv.window = Some(Box::new(Window::new(&self.setup, self.ts.is_some(), u32::from(offered))));
            let mss = handshake::effective_mss(self.setup.mss, self.ts);
            let first_flight = u32::from(offered).min(10 * u32::from(mss));
            self.rcv.space = Some(Box::new(Space::new(cx.now, self.rcv.nxt, first_flight)));
        }
    }

    /// The handshake of an active or simultaneous open is over.
    pub(super) fn established(&mut self, cx: &mut Context<'_>, resent: u8) {
        self.start_sending(cx, resent);
        self.rto.handshake_done(resent > 0, cx.knobs);
        self.start_keepalive(cx);
        cx.transition(&mut self.state, State::Established, None, None);
        self.events |= Pending::CONNECTED | Pending::WRITABLE;
    }

    /// The initial window, after `resent` SYNs that went again.
    pub(super) fn start_sending(&mut self, cx: &Context<'_>, resent: u8) {
        self.recovery.start(self.snd.mss, resent > 0, cx.knobs);
        if self.sender.is_none() {
            return;
        }
        let at = self.moment(cx);
        if let Some(sender) = &mut self.sender {
            sender.start(&at, resent);
        }
        self.wake();
        self.expand_send_buffer();
    }

    pub(super) fn start_keepalive(&mut self, cx: &mut Context<'_>) {
        match self.keepalive(cx) {
            Some(keep) => self.timers.set(cx, Timer::KeepAlive, keep.idle),
            None => self.timers.stop(Timer::KeepAlive),
        }
    }

    pub(super) fn blank(cx: &Context<'_>, state: State, ports: Ports, iss: Seq, setup: &Setup) -> Box<Connection> {
        // First what takes memory of its own, so that the rest is written where it stays.
        let by_segments = cx.knobs.losses.rule == RecoveryRule::Segments;
        let sender = by_segments.then(|| Box::new(Sender::new(iss, cx.knobs, &setup.route)));
        let place = Box::new_uninit();
        let connection = Connection {
            state,
            ports,
            snd: Snd::new(iss, setup.default_mss.min(setup.mss), setup.snd_buf),
            rcv: Rcv::new(setup.rcv_buf, setup.default_mss.min(setup.mss)),
            rto: Rto::new(cx.knobs, setup.route.rto_min),
            recovery: NewReno::new(setup.default_mss.min(setup.mss), false, cx.knobs),
            sender,
            timers: Timers::default(),
            ts: None,
            sack: false,
            scales: false,
            sacks: Sacks::default(),
            read_at: cx.now,
            is_stale: false,
            partial: None,
            ect: false,
            persist: Persist::Idle,
            ack: Ack::None,
            pace: Acks::NEW,
            throttle: Throttle::NEW,
            urgently: None,
            more: false,
            blocked: false,
            starving: false,
            awaited: false,
            cut_off: false,
            keep: Keep { heard: cx.now, probes: 0 },
            last_sent: cx.now,
            events: Pending::empty(),
            error: None,
            soft_error: None,
            shut: false,
            closing: None,
            fast: None,
            setup: setup.clone(),
        };
        Box::write(place, connection)
    }
}

/// `buf` rounded up to a multiple of `mss`, where it holds one.
fn whole_segments(buf: u32, mss: u16) -> u32 {
    let mss = u32::from(mss.max(1));
    if buf < mss { buf } else { buf.checked_next_multiple_of(mss).unwrap_or(buf) }
}
