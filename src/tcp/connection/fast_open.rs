//! Fast Open on the side that connects (RFC 7413 4.2.1; `tcp_send_syn_data()`, `tcp_rcv_fastopen_synack()`).

use super::Connection;
use super::early::Early;
use crate::endpoint::State;
use crate::tcp::timers::Timer;
use crate::tcp::timestamps::clock;
use crate::tcp::{CheckRule, Context, FastOpenAsk, FastOpenCookie, FastOpenKind, FastOpenLearned, Ports, Setup, Tally};
use crate::wire::{Options, Payload, Segment, Seq};

/// What Fast Open adds to a connection.
#[derive(Clone, Debug)]
pub(super) enum Fast {
    /// The SYN waits for what the application writes first.
    Waits,
    /// The first SYN asks for this, and has not left.
    Asks { ask: FastOpenAsk, writer: Writer },
    /// It has left.
    Asked(Asked),
    /// A connection of a listener before the handshake is over.
    Early(Early),
    /// The handshake of such a connection is over.
    WasEarly { data: bool },
}

/// Whether the writer of what did not go into the SYN waits for the connection: what it writes then carries the
/// acknowledgment of the SYN-ACK (`sk_write_pending`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// It waits.
    Waits,
    /// There is nothing more, or it will come back by itself.
    Away,
}

/// A SYN that has asked for something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The option that it had.
    kind: Option<FastOpenKind>,
    /// Whether it carried data.
    data: bool,
    /// Whether that, or data of the SYN-ACK, has arrived (`syn_data_acked`).
    data_acked: bool,
    writer: Writer,
    learned: Option<FastOpenLearned>,
}

/// What the SYN-ACK has made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing was asked.
    Plain,
    /// The data of the SYN was not taken, or not all of it.
    DataLost,
    /// All is well; data in the SYN-ACK counts.
    Well,
}

/// Left free for options that a middlebox may add (`MAX_TCP_OPTION_SPACE`).
const OPTION_SPACE: u32 = 40;
/// The data of a SYN is one piece of memory (`SKB_FRAG_PAGE_ORDER`).
const PIECE: u32 = 32_768;

impl Connection {
    /// Active open, CLOSED -> SYN-SENT, of which the SYN waits for [`Connection::launch`].
    pub fn open_later(cx: &mut Context<'_>, ports: Ports, iss: Seq, setup: &Setup) -> Box<Connection> {
        let mut connection = Connection::open(cx, ports, iss, setup);
        connection.fast = Some(Box::new(Fast::Waits));
        connection
    }

    /// The SYN of [`Connection::open_later`] leaves at the next `poll_transmit` and asks for `ask`; how much of `data`
    /// goes with it. `waits`: the writer waits with the rest until the connection is there.
    pub fn launch(&mut self, _cx: &mut Context<'_>, ask: FastOpenAsk, data: &Payload, waits: bool) -> u32 {
        if !matches!(self.fast.as_deref(), Some(Fast::Waits)) || self.state != State::SynSent {
            return 0;
        }
        let room = match ask {
            FastOpenAsk::Data { mss, .. } => {
                let mss = u32::from(self.setup.mss.min(mss.unwrap_or(u16::MAX)));
                mss.saturating_sub(OPTION_SPACE).min(PIECE).min(self.snd.free())
            }
            FastOpenAsk::Nothing | FastOpenAsk::Cookie(_) => 0,
        };
        let taken = data.len().min(room);
        self.snd.push(data.slice(0..taken));
        let writer = if waits && taken < data.len() { Writer::Waits } else { Writer::Away };
        self.fast = Some(Box::new(Fast::Asks { ask, writer }));
        taken
    }

    /// Whether the SYN waits for what is written first.
    pub fn awaits_data(&self) -> bool {
        matches!(self.fast.as_deref(), Some(Fast::Waits))
    }

    /// What the SYN-ACK has told about Fast Open: given once.
    pub fn poll_fast_open(&mut self) -> Option<FastOpenLearned> {
        match self.fast.as_deref_mut() {
            Some(Fast::Asked(asked)) => asked.learned.take(),
            _ => None,
        }
    }

    /// Whether data of a SYN has been taken, of the peer's or of ours (`TCPI_OPT_SYN_DATA`).
    pub(super) fn has_syn_data(&self) -> bool {
        match self.fast.as_deref() {
            Some(Fast::Asked(asked)) => asked.data_acked,
            Some(Fast::Early(early)) => early.data,
            Some(Fast::WasEarly { data }) => *data,
            Some(Fast::Waits | Fast::Asks { .. }) | None => false,
        }
    }

    /// Completes the first SYN: the option behind the others, and the data. Repeated SYNs have neither (RFC 7413 4.2.1).
    pub(super) fn fill_first_syn(&mut self, options: &mut Options) -> Payload {
        let Some(Fast::Asks { ask, writer }) = self.fast.as_deref() else { return Payload::EMPTY };
        let (cookie, data) = match *ask {
            FastOpenAsk::Nothing => (None, false),
            FastOpenAsk::Cookie(kind) => (Some(FastOpenCookie::request(kind)), false),
            FastOpenAsk::Data { cookie, .. } => (cookie, self.snd.queued() > 0),
        };
        let kind = cookie.filter(|cookie| cookie.write(options)).map(|cookie| cookie.kind());
        let asked = Asked { kind, data, data_acked: false, writer: *writer, learned: None };
        self.fast = Some(Box::new(Fast::Asked(asked)));
        if data { self.snd.data(self.snd.iss + 1, self.snd.queued()) } else { Payload::EMPTY }
    }

    /// The first SYN has left: its data is in flight, as a segment of its own.
    pub(super) fn note_syn_sent(&mut self, cx: &Context<'_>, syn: &Segment) {
        if syn.payload.is_empty() {
            return;
        }
        let at = self.moment(cx);
        let first = self.snd.iss + 1;
        if let Some(sender) = &mut self.sender {
            sender.sent_in_syn(&at, first, syn.end());
        }
    }

    /// Our SYN is acknowledged by `seg`.
    pub(super) fn take_fast_open_answer(&mut self, cx: &mut Context<'_>, seg: &Segment) -> Answer {
        if self.fast.is_none() {
            return Answer::Plain;
        }
        let data_end = self.snd.data_end();
        let at = self.moment(cx);
        let Some(Fast::Asked(asked)) = self.fast.as_deref_mut() else { return Answer::Plain };
        if asked.kind.is_none() && !asked.data {
            return Answer::Plain;
        }
        let (resent, lost) =
            self.sender.as_ref().map_or((false, false), |sender| (sender.resent > 0, !sender.queue.is_empty()));
        // An unsolicited cookie is ignored.
        let answer = asked.kind.and_then(|_| FastOpenCookie::of(&seg.options));
        let unanswered = asked.kind.filter(|_| !resent && answer.is_none() && !asked.data);
        let cookie = answer.filter(|cookie| !cookie.is_request());
        asked.learned = Some(FastOpenLearned { mss: seg.options.mss(), cookie, unanswered });
        if lost {
            if let Some(sender) = &mut self.sender {
                sender.syn_data_lost(&at, data_end);
            }
            cx.count(Tally::FastOpenActiveFail);
            return Answer::DataLost;
        }
        if asked.data {
            cx.count(Tally::FastOpenActive);
        }
        asked.data_acked = asked.data || seg.seq_len() > 1;
        Answer::Well
    }

    /// Whether a writer waits for the end of the handshake with more than the SYN took.
    pub(super) fn writer_waits(&self) -> bool {
        matches!(self.fast.as_deref(), Some(Fast::Asked(asked)) if asked.writer == Writer::Waits)
    }

    /// A timeout has come for the `tries`-th time in a row: networks that swallow Fast Open may do so after the handshake
    /// too (`tcp_fastopen_active_detect_blackhole()`).
    pub(super) fn detect_blackhole(&mut self, cx: &mut Context<'_>, tries: u8, is_over: bool) {
        let used = match self.fast.as_deref() {
            Some(Fast::Asked(asked)) => asked.kind.is_some() || asked.data,
            Some(Fast::WasEarly { data }) => *data,
            _ => false,
        };
        if used && (tries == 2 || (tries < 2 && is_over)) {
            cx.limits.met_blackhole(cx.now, cx.knobs);
            cx.count(Tally::FastOpenActiveFail);
        }
    }

    /// A RST has come out of order, and no data before it: the network may swallow what the peer sends.
    pub(super) fn suspect_blackhole(&mut self, cx: &mut Context<'_>) {
        let asked = matches!(self.fast.as_deref(), Some(Fast::Asked(asked)) if asked.kind.is_some());
        if asked && self.rcv.nxt == self.rcv.irs + 1 {
            cx.limits.met_blackhole(cx.now, cx.knobs);
        }
    }

    /// Whether the SYN-ACK `seg` echoes no timestamp that any of our SYNs had (`tcp_rcv_synsent_state_process()`).
    pub(super) fn echoes_another(&self, cx: &Context<'_>, seg: &Segment) -> bool {
        if cx.knobs.checks != CheckRule::Linux || !cx.knobs.timestamps {
            return false;
        }
        let (Some((_, echo)), Some(first)) = (seg.options.timestamps(), self.rto.since) else { return false };
        let first = clock(first).wrapping_add(self.setup.ts_offset);
        let now = clock(cx.now).wrapping_add(self.setup.ts_offset);
        echo != 0 && echo.wrapping_sub(first) > now.wrapping_sub(first)
    }

    /// RFC 1191 6.4 in SYN-SENT: the next SYN announces less, and goes at once where data made the first one too big
    /// (`tcp_simple_retransmit()`).
    pub(super) fn on_syn_too_big(&mut self, cx: &mut Context<'_>, mtu: u16) -> bool {
        let mss = mtu.saturating_sub(self.setup.overhead).max(8);
        if mss >= self.setup.mss {
            return false;
        }
        self.setup.mss = mss;
        if matches!(self.fast.as_deref(), Some(Fast::Asked(asked)) if asked.data) {
            self.recovery.on_too_big(self.snd.una, self.snd.iss + 1);
            self.rto.resent();
            let rto = self.rto.current(cx.knobs);
            self.timers.set(cx, Timer::Retransmit, rto);
        }
        true
    }
}
