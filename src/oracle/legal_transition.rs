use super::ends::Ends;
use super::{Hears, Oracle, Seen};
use crate::endpoint::{Event, HostFault, State, Tuple};
use crate::map::Map;
use crate::trace::{Belongs, Disturbance, NodeId, Point, Record, Seat, What};

pub(super) const NAME: &str = "legal-transition";

/// Connections move along the edges of the state diagram, each from where it was.
#[derive(Default)]
pub struct LegalTransition {
    /// Where each connection is that is not closed, by its seat.
    seats: Ends<Taken, Seat>,
    /// The same for those of whose SYN nobody knows, by host and 4-tuple.
    strays: Map<(NodeId, Point, Point), Taken>,
    hosts: Vec<Host>,
}

/// Who has a seat, and in which state.
#[derive(Clone, Copy)]
struct Taken {
    state: State,
    node: NodeId,
    life: u32,
}

#[derive(Clone, Copy, Default)]
struct Host {
    /// How often its power was cut or came back: what it had before counts no more.
    life: u32,
    /// Its power is cut: what it says of connections that end by that needs no beginning.
    is_down: bool,
}

impl Oracle for LegalTransition {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.3.2"
    }

    fn needs_state(&self) -> bool {
        true
    }

    fn hears(&self) -> Hears {
        Hears::NOTED | Hears::DISTURBED
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        let Some(node) = record.node else { return };
        match &record.what {
            What::Noted { conn, event: Event::Transition { tuple, from, to, .. } } => {
                self.moved(node, (*conn, tuple), (*from, *to), seen);
            }
            What::Disturbed(Disturbance::Host(fault @ (HostFault::Crash | HostFault::Reboot { .. }))) => {
                let host = self.host(node);
                host.life += 1;
                host.is_down = *fault == HostFault::Crash;
            }
            _ => {}
        }
    }
}

impl LegalTransition {
    fn host(&mut self, node: NodeId) -> &mut Host {
        let index = node.0 as usize;
        if self.hosts.len() <= index {
            self.hosts.resize(index + 1, Host::default());
        }
        &mut self.hosts[index]
    }

    /// Notes where a connection is now, and says where it was.
    fn take_seat(&mut self, seat: Option<Seat>, node: NodeId, tuple: &Tuple, to: State) -> Option<State> {
        let life = self.host(node).life;
        let is_mine = |taken: &Taken| taken.node == node && taken.life == life;
        let taken = (to != State::Closed).then_some(Taken { state: to, node, life });
        let stray = |tuple: &Tuple| (node, Point::from(tuple.local), Point::from(tuple.remote));
        let Some(seat) = seat else {
            let known = match taken {
                Some(taken) => self.strays.insert(stray(tuple), taken),
                None => self.strays.remove(&stray(tuple)),
            };
            return known.filter(is_mine).map(|taken| taken.state);
        };
        let known = match taken {
            Some(taken) => self.seats.insert(seat, taken),
            None => self.seats.remove(&seat),
        };
        let mut known = known.filter(is_mine);
        if known.is_none() && !self.strays.is_empty() {
            known = self.strays.remove(&stray(tuple)).filter(is_mine);
        }
        known.map(|taken| taken.state)
    }

    fn moved(
        &mut self,
        node: NodeId,
        (conn, tuple): (Option<Belongs>, &Tuple),
        (from, to): (State, State),
        seen: &mut Seen<'_>,
    ) {
        let seat = conn.and_then(|conn| seen.conns.seat(conn));
        let known = self.take_seat(seat, node, tuple, to);
        if to == State::Closed && self.host(node).is_down {
            return;
        }
        // A passive connection comes from LISTEN or from nothing, whichever its host says.
        let is_from_there = match known {
            Some(known) => known == from,
            None => matches!(from, State::Closed | State::Listen),
        };
        if !is_from_there || !is_edge(from, to) {
            let was = (!is_from_there).then(|| known.unwrap_or(State::Closed));
            self.report(node, tuple, (from, to), was, seen);
        }
    }

    /// A connection went where it must not go, or from where it was not.
    #[cold]
    fn report(&self, node: NodeId, tuple: &Tuple, (from, to): (State, State), was: Option<State>, seen: &mut Seen<'_>) {
        let (local, remote) = (seen.names.socket(tuple.local), seen.names.socket(tuple.remote));
        let why = match was {
            Some(was) => format!(", but was in {was}"),
            None => ": there is no such edge".to_owned(),
        };
        let text = format!("{local} > {remote} at {} went from {from} to {to}{why}", seen.names.node(node));
        seen.violated(self, Some(node), None, text);
    }
}

/// Whether figure 5 of RFC 9293, with the text around it, has this edge.
fn is_edge(from: State, to: State) -> bool {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived, SynSent, TimeWait,
    };
    match from {
        // Any state is left for CLOSED by ABORT, RST or a timeout.
        _ if to == Closed => true,
        Closed => matches!(to, Listen | SynSent | SynReceived | Established),
        // With SYN cookies (RFC 4987 3.6) SYN-RECEIVED leaves no trace.
        Listen => matches!(to, SynSent | SynReceived | Established),
        SynSent => matches!(to, SynReceived | Established),
        // RFC 9293 3.10.7.4: a RST sends it back to LISTEN (second), a FIN on to CLOSE-WAIT (eighth).
        SynReceived => matches!(to, Listen | Established | FinWait1 | CloseWait),
        Established => matches!(to, FinWait1 | CloseWait),
        FinWait1 => matches!(to, FinWait2 | Closing | TimeWait),
        FinWait2 | Closing => to == TimeWait,
        CloseWait => to == LastAck,
        LastAck => false,
        // RFC 9293 3.6.1, MAY-2: a new SYN may open the connection anew.
        TimeWait => matches!(to, Listen | SynReceived),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{CLIENT, Plant, SERVER};
    use super::*;
    use State::{Closed, Established, FinWait1, FinWait2, LastAck, SynReceived, SynSent, TimeWait};

    fn path(states: &[State]) -> Plant<LegalTransition> {
        let mut plant = Plant::new(LegalTransition::default());
        for step in states.windows(2) {
            plant.transition(CLIENT, step[0], step[1]);
        }
        plant
    }

    #[test]
    fn lives_follow_the_diagram() {
        let live = [Closed, SynSent, Established, FinWait1, FinWait2, TimeWait, Closed, SynSent, SynReceived, Closed];
        path(&live).holds();
        path(&[Closed, SynSent, Established, LastAck]).breaks(&["from ESTABLISHED to LAST-ACK: there is no such edge"]);
        path(&[Closed, SynSent, Established, Established]).breaks(&["no such edge"]);
    }

    #[test]
    fn a_transition_starts_where_the_last_one_ended() {
        let mut plant = path(&[Closed, SynSent]);
        plant.transition(CLIENT, Established, FinWait1);
        plant.breaks(&["went from ESTABLISHED to FIN-WAIT-1, but was in SYN-SENT", "client:5000"]);
    }

    #[test]
    fn a_crash_forgets_everything_at_one_host() {
        let mut plant = path(&[Closed, SynSent, Established]);
        plant.transition(SERVER, State::Listen, SynReceived);
        plant.disturb(CLIENT, Disturbance::Host(HostFault::Crash));
        plant.transition(CLIENT, Established, Closed);
        plant.disturb(CLIENT, Disturbance::Host(HostFault::Reboot { quiet: crate::time::Span::ZERO }));
        plant.transition(CLIENT, Closed, SynSent);
        plant.transition(SERVER, SynReceived, Established);
        plant.holds();
    }
}
