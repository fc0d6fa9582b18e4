//! wirefate's own host with somebody who meddles: alters what it sends, hides what it tells, stops its clock.

use std::net::{IpAddr, SocketAddr};
use wirefate::choice::MakerId;
use wirefate::endpoint::{
    Attach, ConnView, Cx, Effect, Endpoint, Errno, Event, Family, HostFault, IfaceId, ListenView, MsgFlags, Readiness,
    Shutdown, SockOpt, SocketId, SocketKind, Sockets, Streams,
};
use wirefate::host::{Host, HostConfig, Profile};
use wirefate::time::HostTime;
use wirefate::wire::{Body, Packet, Payload, Rope, Segment};

type Meddle<T> = Box<dyn FnMut(T) -> Option<T>>;
type Look<T> = Box<dyn Fn(T) -> Option<T>>;

/// A host, and what is done to its packets, events and views on their way out; nothing at first.
pub(crate) struct Meddling {
    host: Host,
    effects: Vec<Effect>,
    streams: Streams,
    segments: Meddle<Segment>,
    events: Meddle<Event>,
    views: Look<ConnView>,
    listeners: Look<ListenView>,
    has_timers: bool,
    shows_state: bool,
}

impl Meddling {
    pub(crate) fn new(name: &str) -> Meddling {
        Meddling {
            host: Host::new(HostConfig::named(name).profile(Profile::Rfc9293), 1).expect("the defaults are right"),
            effects: Vec::new(),
            streams: Streams::new(1, name, MakerId(0)),
            segments: Box::new(Some),
            events: Box::new(Some),
            views: Box::new(Some),
            listeners: Box::new(Some),
            has_timers: true,
            shows_state: true,
        }
    }

    /// It sends what `f` makes of a segment.
    pub(crate) fn sending(self, f: impl FnMut(Segment) -> Option<Segment> + 'static) -> Meddling {
        Meddling { segments: Box::new(f), ..self }
    }

    /// It tells what `f` makes of an event.
    pub(crate) fn telling(self, f: impl FnMut(Event) -> Option<Event> + 'static) -> Meddling {
        Meddling { events: Box::new(f), ..self }
    }

    /// It shows what `f` makes of a connection.
    pub(crate) fn showing(self, f: impl Fn(ConnView) -> Option<ConnView> + 'static) -> Meddling {
        Meddling { views: Box::new(f), ..self }
    }

    /// It shows what `f` makes of a listener.
    pub(crate) fn showing_listeners(self, f: impl Fn(ListenView) -> Option<ListenView> + 'static) -> Meddling {
        Meddling { listeners: Box::new(f), ..self }
    }

    /// It shows no connections and no listeners.
    pub(crate) fn shy(self) -> Meddling {
        Meddling { shows_state: false, ..self.showing(|_| None).showing_listeners(|_| None) }
    }

    /// Its timers never fire.
    pub(crate) fn without_timers(self) -> Meddling {
        Meddling { has_timers: false, ..self }
    }

    /// Calls the host, and lets out what it asks for.
    fn inside<R>(&mut self, cx: &mut Cx<'_>, f: impl FnOnce(&mut Host, &mut Cx<'_>) -> R) -> R {
        let mut inner = Cx::new(cx.now(), &mut self.effects, &mut self.streams, cx.detail());
        let result = f(&mut self.host, &mut inner);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Send(iface, packet) => match *packet {
                    Packet { body: Body::Tcp(segment), src, dst, .. } => {
                        if let Some(segment) = (self.segments)(segment) {
                            cx.send(iface, Packet::new(src, dst, Body::Tcp(segment)));
                        }
                    }
                    other => cx.send(iface, other),
                },
                Effect::Note(event) => (self.events)(event).into_iter().for_each(|event| cx.note(event)),
                Effect::Ready(socket, readiness) => cx.ready(socket, readiness),
            }
        }
        result
    }
}

impl Endpoint for Meddling {
    fn on_attach(&mut self, cx: &mut Cx<'_>, attach: &Attach) {
        self.inside(cx, |host, cx| host.on_attach(cx, attach));
    }

    fn on_packet(&mut self, cx: &mut Cx<'_>, iface: IfaceId, packet: &Packet) {
        self.inside(cx, |host, cx| host.on_packet(cx, iface, packet));
    }

    fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        self.inside(cx, Host::on_timeout);
    }

    fn next_timeout(&self) -> Option<HostTime> {
        self.host.next_timeout().filter(|_| self.has_timers)
    }

    fn on_fault(&mut self, cx: &mut Cx<'_>, fault: HostFault) {
        self.inside(cx, |host, cx| host.on_fault(cx, fault));
    }

    fn sockets(&mut self) -> Option<&mut dyn Sockets> {
        Some(self)
    }

    fn connections(&self, visit: &mut dyn FnMut(ConnView)) {
        self.host.connections(&mut |view| (self.views)(view).into_iter().for_each(&mut *visit));
    }

    fn shows_state(&self) -> bool {
        self.shows_state
    }

    fn listeners(&self, visit: &mut dyn FnMut(ListenView)) {
        self.host.listeners(&mut |view| (self.listeners)(view).into_iter().for_each(&mut *visit));
    }
}

macro_rules! as_the_host_does {
    ($($call:ident($($name:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $call(&mut self, cx: &mut Cx<'_>, $($name: $kind),*) -> Result<$result, Errno> {
            self.inside(cx, |host, cx| host.$call(cx, $($name),*))
        })*
    };
}

impl Sockets for Meddling {
    as_the_host_does! {
        socket(family: Family, kind: SocketKind) -> SocketId;
        bind(socket: SocketId, local: SocketAddr) -> ();
        listen(socket: SocketId, backlog: u32) -> ();
        accept(socket: SocketId) -> (SocketId, SocketAddr);
        connect(socket: SocketId, remote: SocketAddr) -> ();
        send(socket: SocketId, data: &Payload, flags: MsgFlags) -> u32;
        recv(socket: SocketId, max: usize, flags: MsgFlags, into: &mut Rope) -> usize;
        send_to(socket: SocketId, data: &Payload, to: SocketAddr, flags: MsgFlags) -> u32;
        recv_from(socket: SocketId) -> (Payload, SocketAddr);
        shutdown(socket: SocketId, how: Shutdown) -> ();
        close(socket: SocketId) -> ();
        abort(socket: SocketId) -> ();
        set_option(socket: SocketId, option: SockOpt) -> ();
        get_option(socket: SocketId, option: SockOpt) -> SockOpt;
    }

    fn readiness(&self, socket: SocketId) -> Readiness {
        self.host.readiness(socket)
    }

    fn local_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno> {
        self.host.local_addr(socket)
    }

    fn peer_addr(&self, socket: SocketId) -> Result<SocketAddr, Errno> {
        self.host.peer_addr(socket)
    }

    fn addresses(&self) -> Vec<IpAddr> {
        self.host.addresses()
    }
}
