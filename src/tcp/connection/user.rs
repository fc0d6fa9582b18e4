//! SEND, RECEIVE and the socket options (RFC 9293 3.9.1).

use super::{Ack, Connection};
use crate::endpoint::{Congestion, MsgFlags, State};
use crate::tcp::knobs::{KeepAlive, Linger2};
use crate::tcp::rcv::Reader;
use crate::tcp::snd::End;
use crate::tcp::timers::Timer;
use crate::tcp::{AckRule, Context, Setup};
use crate::time::Span;
use crate::wire::{Payload, Rope};

impl Connection {
    /// Queues as much of `data` as the buffer takes; how much. In SYN-SENT and SYN-RECEIVED it waits for ESTABLISHED.
    pub fn send(&mut self, cx: &mut Context<'_>, data: &Payload, flags: MsgFlags) -> u32 {
        let may = matches!(self.state, State::SynSent | State::SynReceived | State::Established | State::CloseWait);
        if !may || self.snd.end == End::Closed {
            return 0;
        }
        let least = cx.limits.starved.map_or(u32::MAX, |least| least.saturating_sub(self.snd.queued()));
        let full = self.unsent() >= self.setup.notsent_lowat;
        let taken = if full { 0 } else { data.len().min(self.snd.free()).min(least) };
        self.starving = !full && taken < data.len() && taken < self.snd.free();
        self.blocked = taken < data.len() || self.snd.free() == taken;
        if taken == 0 {
            return 0;
        }
        self.read_at = cx.now;
        self.snd.push(data.slice(0..taken));
        self.more = flags.contains(MsgFlags::MORE);
        let (all, is_open) = (taken == data.len(), self.more);
        self.note_written(cx, taken, (all, is_open, false));
        if flags.contains(MsgFlags::OOB) && taken == data.len() {
            // RFC 6093 3.1: the urgent pointer will name the byte after the last one.
            self.snd.up = Some(self.snd.data_end());
        }
        taken
    }

    /// A write waits for the connection to be established: what it brings can carry the acknowledgment of the peer's SYN.
    pub fn await_opening(&mut self, _cx: &mut Context<'_>) {
        self.awaited |= self.state == State::SynSent;
    }

    /// Moves up to `max` bytes to the end of `into`; how many. With `MSG_OOB` it gives the urgent byte instead; without
    /// it a read stops in front of that byte, and the next one skips it (or gives it, with `SO_OOBINLINE`).
    pub fn receive(&mut self, cx: &mut Context<'_>, max: usize, flags: MsgFlags, into: &mut Rope) -> usize {
        let (read, peek) = (self.rcv.read_seq(), flags.contains(MsgFlags::PEEK));
        if flags.contains(MsgFlags::OOB) {
            let Some(urgent) = &mut self.rcv.urgent else { return 0 };
            return if self.setup.oob_inline { 0 } else { urgent.take(&self.rcv.queue, read, peek, into) };
        }
        let mut max = max;
        if let Some(urgent) = self.rcv.urgent {
            let ahead = urgent.distance(read) as usize;
            if ahead > 0 {
                max = max.min(ahead);
            } else if max > 0 && !self.rcv.queue.is_empty() {
                if !self.setup.oob_inline && !peek {
                    self.rcv.queue.drop_front(1);
                }
                if !peek {
                    self.rcv.urgent = None;
                } else if !self.setup.oob_inline {
                    let rest = self.rcv.queue.copy_range(1, max);
                    let len = rest.len() as usize;
                    into.push(rest);
                    return len;
                }
            }
        }
        if peek {
            let seen = self.rcv.queue.copy_range(0, max);
            let len = seen.len() as usize;
            into.push(seen);
            return len;
        }
        let taken = self.rcv.queue.take_into(max, into);
        self.rcv.note_read();
        self.rcv.moderate(cx.now, self.setup.rcv_buf_most);
        if cx.knobs.acks == AckRule::Linux && taken > 0 && self.ack != Ack::None {
            // tcp_cleanup_rbuf()
            let is_empty = self.rcv.window.as_ref().map_or(self.rcv.queue.is_empty(), |window| window.is_empty());
            if self.owes_a_segment() || (is_empty && self.pace.goes_with_read()) {
                self.ack = Ack::Now;
            }
        }
        self.offer_window();
        taken
    }

    /// Tells the peer of the room that reading made, where it is worth a segment (RFC 9293 3.8.6.2.2).
    fn offer_window(&mut self) {
        let receives = matches!(self.state, State::Established | State::FinWait1 | State::FinWait2);
        if !receives || self.rcv.reader == Reader::Gone || self.rcv.at_end() {
            return;
        }
        // A window that has doubled is news; a smaller step travels with the next acknowledgment.
        if self.rcv.window.as_ref().is_some_and(|window| !window.is_narrow(self.rcv.wnd())) {
            return;
        }
        let opened = self.rcv.next_edge(self.setup.mss).since(self.rcv.nxt);
        if opened > 0 && opened / 2 >= self.rcv.wnd() {
            self.ack = Ack::Now;
        }
    }

    /// The options as they stand.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// `TCP_NODELAY`; what waited leaves at the next `poll_transmit`.
    pub fn set_nodelay(&mut self, _cx: &mut Context<'_>, on: bool) {
        self.setup.nodelay = on;
        if let Some(sender) = &mut self.sender {
            sender.is_pushed |= on;
        }
        self.wake();
    }

    /// `TCP_CORK`; pulling it lets what waited leave at the next `poll_transmit`.
    pub fn set_cork(&mut self, _cx: &mut Context<'_>, on: bool) {
        self.setup.cork = on;
        self.more &= on;
        self.wake();
    }

    /// `TCP_QUICKACK`.
    pub fn set_quick_ack(&mut self, cx: &mut Context<'_>, on: bool) {
        if cx.knobs.acks == AckRule::Linux {
            // tcp_sock_set_quickack(): a hint for now, not a setting.
            self.pace.set_interactive(!on);
        } else {
            self.setup.quick_ack = on;
        }
        if on && self.ack != Ack::None {
            self.ack = Ack::Now;
        }
    }

    /// `SO_OOBINLINE`.
    pub fn set_oob_inline(&mut self, _cx: &mut Context<'_>, on: bool) {
        self.setup.oob_inline = on;
    }

    /// `SO_KEEPALIVE` with its times.
    pub fn set_keepalive(&mut self, cx: &mut Context<'_>, keepalive: Option<KeepAlive>) {
        let before = std::mem::replace(&mut self.setup.keepalive, keepalive);
        if !self.state.is_synchronized() || self.state == State::TimeWait {
            return;
        }
        match (before, keepalive) {
            // tcp_sock_set_keepidle_locked(): the silence so far counts; other times only change what comes next.
            (Some(old), Some(new)) if old.idle != new.idle => {
                let silent = cx.now.since(self.keep.heard);
                self.timers.set(cx, Timer::KeepAlive, new.idle.saturating_sub(silent));
            }
            (Some(_), Some(_)) => {}
            _ => self.start_keepalive(cx),
        }
    }

    /// `TCP_USER_TIMEOUT`; none is the system's default.
    pub fn set_user_timeout(&mut self, _cx: &mut Context<'_>, timeout: Option<Span>) {
        self.setup.user_timeout = timeout;
    }

    /// `TCP_NOTSENT_LOWAT` in bytes.
    pub fn set_notsent_lowat(&mut self, _cx: &mut Context<'_>, bytes: u32) {
        self.setup.notsent_lowat = bytes;
    }

    /// `TCP_SYNCNT`.
    pub fn set_syn_count(&mut self, _cx: &mut Context<'_>, count: u8) {
        self.setup.syn_count = Some(count);
    }

    /// `TCP_CONGESTION`.
    pub fn set_congestion(&mut self, cx: &mut Context<'_>, congestion: Congestion) {
        let at = self.moment(cx);
        if let Some(sender) = &mut self.sender {
            sender.set_congestion(&at, congestion);
        }
    }

    /// `TCP_LINGER2`.
    pub fn set_linger2(&mut self, _cx: &mut Context<'_>, linger2: Linger2) {
        self.setup.linger2 = linger2;
    }

    /// `SO_SNDBUF` in bytes.
    pub fn set_send_buffer(&mut self, _cx: &mut Context<'_>, bytes: u32) {
        (self.snd.buf, self.setup.snd_buf, self.setup.snd_buf_most) = (bytes, bytes, bytes);
    }

    /// `SO_RCVBUF` in bytes; a smaller one never takes back a window that was offered.
    pub fn set_receive_buffer(&mut self, _cx: &mut Context<'_>, bytes: u32) {
        (self.rcv.buf, self.setup.rcv_buf, self.setup.rcv_buf_most) = (bytes, bytes, bytes);
        if self.state != State::SynSent {
            self.offer_window();
        }
    }

    /// `TCP_MAXSEG` after the handshake: segments carry no more than this.
    pub fn set_max_seg(&mut self, _cx: &mut Context<'_>, mss: u16) {
        self.snd.mss = self.snd.mss.min(mss.max(1));
        self.snd.agreed_mss = self.snd.agreed_mss.min(mss.max(1));
    }
}
