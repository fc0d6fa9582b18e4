//! One end of a connection: whichever of the three machines it has, drained as a host would.

use wirefate::endpoint::{Errno, State};
use wirefate::tcp::{
    Closing, ClosingStep, ConnEvent, Connection, Context, Demands, HalfOpen, HalfOpenStep, Handshake, Knobs, Limits,
    Ports, Setup, TcpEvent, reset_for,
};
use wirefate::time::HostTime;
use wirefate::wire::{Flags, Rope, Segment, Seq};

pub(crate) enum Machine {
    Closed,
    Listen,
    Half(HalfOpen),
    Conn(Box<Connection>),
    Closing(Closing),
}

pub(crate) struct End {
    pub(crate) machine: Machine,
    pub(crate) knobs: Knobs,
    pub(crate) setup: Setup,
    pub(crate) iss: Seq,
    pub(crate) now: HostTime,
    pub(crate) limits: Limits,
    pub(crate) events: Vec<TcpEvent>,
    pub(crate) told: Vec<ConnEvent>,
    pub(crate) out: Vec<Segment>,
    pub(crate) received: Rope,
    /// Whether it reads whatever comes.
    pub(crate) reads: bool,
    ports: Ports,
}

impl End {
    pub(crate) fn new(ports: (u16, u16), iss: Seq, knobs: Knobs, setup: Setup) -> End {
        End {
            machine: Machine::Closed,
            knobs,
            setup,
            iss,
            now: HostTime::ZERO,
            limits: Limits::default(),
            events: Vec::new(),
            told: Vec::new(),
            out: Vec::new(),
            received: Rope::new(),
            reads: true,
            ports: Ports { local: ports.0, remote: ports.1 },
        }
    }

    pub(crate) fn state(&self) -> State {
        match &self.machine {
            Machine::Closed => State::Closed,
            Machine::Listen => State::Listen,
            Machine::Half(half) => half.state(),
            Machine::Conn(conn) => conn.state(),
            Machine::Closing(closing) => closing.state(),
        }
    }

    pub(crate) fn error(&self) -> Option<Errno> {
        if let Machine::Conn(conn) = &self.machine { conn.error() } else { None }
    }

    pub(crate) fn conn(&mut self) -> &mut Connection {
        match &mut self.machine {
            Machine::Conn(conn) => conn,
            _ => panic!("no connection"),
        }
    }

    pub(crate) fn open(&mut self) {
        let (ports, iss, setup) = (self.ports, self.iss, self.setup.clone());
        let conn = self.with(|_, cx| Connection::open(cx, ports, iss, &setup));
        self.machine = Machine::Conn(conn);
        self.drain();
    }

    /// A user verb or an option on the connection.
    pub(crate) fn verb<T>(&mut self, verb: impl FnOnce(&mut Connection, &mut Context<'_>) -> T) -> T {
        let done = self.with(|machine, cx| match machine {
            Machine::Conn(conn) => verb(conn, cx),
            _ => panic!("no connection"),
        });
        self.drain();
        done
    }

    pub(crate) fn arrive(&mut self, seg: &Segment) {
        let (ports, iss, setup) = (self.ports, self.iss, self.setup.clone());
        let machine = std::mem::replace(&mut self.machine, Machine::Closed);
        let (next, reset) = self.with(|_, cx| match machine {
            Machine::Closed => (Machine::Closed, true),
            Machine::Listen => listen(cx, ports, iss, &setup, seg),
            Machine::Half(mut half) => match half.on_segment(cx, seg, Demands::default()) {
                HalfOpenStep::Stay => (Machine::Half(half), false),
                HalfOpenStep::Complete => (Machine::Conn(half.complete(cx, seg, &setup)), false),
                HalfOpenStep::Refuse | HalfOpenStep::Listener => (Machine::Half(half), true),
                HalfOpenStep::Gone => (Machine::Listen, false),
                HalfOpenStep::GoneRefused => (Machine::Listen, true),
            },
            Machine::Conn(conn) if conn.state() == State::Closed => (Machine::Conn(conn), true),
            Machine::Conn(mut conn) => {
                conn.on_segment(cx, seg);
                (Machine::Conn(conn), false)
            }
            Machine::Closing(mut closing) => match closing.on_segment(cx, seg) {
                ClosingStep::Reopen => listen(cx, ports, closing.next_iss() + 128_000, &setup, seg),
                _ => (Machine::Closing(closing), false),
            },
        });
        self.machine = next;
        if reset {
            self.out.extend(reset_for(seg));
        }
        self.drain();
    }

    pub(crate) fn on_timeout(&mut self) {
        let machine = std::mem::replace(&mut self.machine, Machine::Closed);
        self.machine = self.with(|_, cx| match machine {
            Machine::Half(mut half) => match half.on_timeout(cx, Demands::default()) {
                HalfOpenStep::Gone => Machine::Listen,
                _ => Machine::Half(half),
            },
            Machine::Conn(mut conn) => {
                conn.on_timeout(cx);
                Machine::Conn(conn)
            }
            Machine::Closing(mut closing) => {
                closing.on_timeout(cx);
                Machine::Closing(closing)
            }
            other => other,
        });
        self.drain();
    }

    pub(crate) fn next_timeout(&self) -> Option<HostTime> {
        match &self.machine {
            Machine::Half(half) => half.poll_timeout(),
            Machine::Conn(conn) => conn.poll_timeout(),
            Machine::Closing(closing) => closing.poll_timeout(),
            _ => None,
        }
    }

    /// Drains as the contract says.
    fn drain(&mut self) {
        loop {
            let mut out = std::mem::take(&mut self.out);
            self.with(|machine, cx| {
                let poll = |cx: &mut Context<'_>| match machine {
                    Machine::Half(half) => half.poll_transmit(cx),
                    Machine::Conn(conn) => conn.poll_transmit(cx),
                    Machine::Closing(closing) => closing.poll_transmit(cx),
                    _ => None,
                };
                out.extend(std::iter::from_fn({
                    let mut poll = poll;
                    move || poll(cx)
                }));
            });
            self.out = out;
            let Machine::Conn(conn) = &mut self.machine else { return };
            self.told.extend(std::iter::from_fn(|| conn.poll_event()));
            if self.reads && conn.readable() > 0 {
                assert!(self.read(usize::MAX) > 0, "what is readable can be read");
                continue;
            }
            if let Some(closing) = conn.poll_closing() {
                if conn.readable() > 0 {
                    self.read(usize::MAX);
                }
                self.machine = Machine::Closing(closing);
            }
            return;
        }
    }

    /// Reads up to `max` bytes of what has come, if there is a connection.
    fn read(&mut self, max: usize) -> usize {
        let mut received = std::mem::take(&mut self.received);
        let len = self.with(|machine, cx| match machine {
            Machine::Conn(conn) => conn.receive(cx, max, Default::default(), &mut received),
            _ => 0,
        });
        self.received = received;
        len
    }

    /// The same as a user's call.
    pub(crate) fn receive(&mut self, max: usize) {
        self.read(max);
        self.drain();
    }

    fn with<T>(&mut self, body: impl FnOnce(&mut Machine, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            now: self.now,
            knobs: &self.knobs,
            limits: &mut self.limits,
            events: &mut self.events,
            detail: true,
            ecn: 0,
        };
        body(&mut self.machine, &mut cx)
    }
}

/// RFC 9293 3.10.7.2: what a listener does.
fn listen(cx: &mut Context<'_>, ports: Ports, iss: Seq, setup: &Setup, seg: &Segment) -> (Machine, bool) {
    if seg.has(Flags::RST) || !seg.has(Flags::SYN | Flags::ACK) && !seg.has(Flags::SYN) && !seg.has(Flags::ACK) {
        return (Machine::Listen, false);
    }
    if seg.has(Flags::ACK) {
        return (Machine::Listen, true);
    }
    let half = HalfOpen::new(cx, ports, seg, iss, setup);
    match cx.knobs.handshake {
        Handshake::ThreeWay => (Machine::Half(half), false),
        Handshake::TwoWay => (Machine::Conn(half.establish(cx, setup)), false),
    }
}
