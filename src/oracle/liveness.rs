use super::{Hears, NodeView, Oracle, Seen};
use crate::endpoint::{ConnView, Event, HostFault, SockOpt, State};
use crate::time::Span;
use crate::trace::{Call, Disturbance, LinkId, NodeId, Record, What};
use std::collections::BTreeSet;

pub(super) const NAME: &str = "liveness";

/// When nothing will ever happen again, no connection is in the middle of something.
///
/// Idle ESTABLISHED, CLOSE-WAIT and FIN-WAIT-2 may last: they wait for an application. Hosts that stand still or have
/// a link down are left out.
#[derive(Default)]
pub struct Liveness {
    paused: BTreeSet<NodeId>,
    /// Hosts where an application holds partial segments back.
    corked: BTreeSet<NodeId>,
    down: BTreeSet<LinkId>,
    /// Whether TIME-WAIT is set to last for ever.
    is_time_wait_endless: bool,
}

impl Oracle for Liveness {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.8"
    }

    fn hears(&self) -> Hears {
        Hears::ENDLESS | Hears::OPTIONS | Hears::DISTURBED
    }

    fn on_record(&mut self, record: &Record<'_>, _seen: &mut Seen<'_>) {
        match (&record.what, record.node) {
            (What::Disturbed(Disturbance::Down(link)), _) => {
                self.down.insert(*link);
            }
            (What::Disturbed(Disturbance::Up(link)), _) => {
                self.down.remove(link);
            }
            (What::Disturbed(Disturbance::Host(fault)), Some(node)) => match fault {
                HostFault::Pause => _ = self.paused.insert(node),
                HostFault::Resume | HostFault::Crash | HostFault::Reboot { .. } => _ = self.paused.remove(&node),
                HostFault::Kill | HostFault::LinkDown(_) | HostFault::LinkUp(_) => {}
            },
            (What::Noted { event: Event::Transition { to: State::TimeWait, lasts: Some(Span::MAX), .. }, .. }, _) => {
                self.is_time_wait_endless = true;
            }
            (What::Called(called), Some(node)) if called.call == Call::SetOption(SockOpt::Cork(true)) => {
                self.corked.insert(node);
            }
            _ => {}
        }
    }

    fn at_quiescence(&mut self, nodes: &[NodeView], seen: &mut Seen<'_>) {
        for view in nodes.iter().filter(|view| view.up && !self.paused.contains(&view.node)) {
            let name = seen.names.node(view.node);
            let touches = |link: &LinkId| {
                let link = seen.names.link(*link);
                link.from == name || link.to == name
            };
            if self.down.iter().any(touches) {
                continue;
            }
            for conn in &view.connections {
                if let Some(why) = self.stuck(view.node, conn) {
                    let (local, remote) = (seen.names.socket(conn.tuple.local), seen.names.socket(conn.tuple.remote));
                    let text =
                        format!("{local} is in {} with {remote} and nothing will ever happen: {why}", conn.state);
                    seen.violated(self, Some(view.node), None, text);
                }
            }
        }
    }
}

impl Liveness {
    /// What the connection waits for in vain.
    fn stuck(&self, node: NodeId, view: &ConnView) -> Option<String> {
        match view.state {
            State::SynSent => Some("its SYN is not answered, and no timer runs".to_owned()),
            State::SynReceived => Some("its SYN is not acknowledged, and no timer runs".to_owned()),
            State::FinWait1 | State::Closing | State::LastAck => {
                Some("its FIN is not acknowledged, and no timer runs".to_owned())
            }
            State::TimeWait => (!self.is_time_wait_endless).then(|| "2MSL is never over".to_owned()),
            State::Established | State::CloseWait => self.unfinished(node, view),
            State::Closed | State::Listen | State::FinWait2 => None,
        }
    }

    fn unfinished(&self, node: NodeId, view: &ConnView) -> Option<String> {
        let snd = view.snd?;
        if snd.una.lt(snd.nxt) {
            let n = snd.nxt.since(snd.una);
            return Some(format!("{n} sequence numbers are not acknowledged, and no timer runs"));
        }
        let may_send = snd.wnd > 0 && !self.corked.contains(&node);
        (snd.queued > 0 && may_send).then(|| format!("{} bytes wait, and the window is {}", snd.queued, snd.wnd))
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{CLIENT, Plant, tuple};
    use super::*;
    use crate::endpoint::SndView;
    use crate::wire::Seq;

    fn view(state: State, (una, nxt, wnd, queued): (u32, u32, u32, u64)) -> NodeView {
        let snd = SndView { iss: Seq(0), una: Seq(una), nxt: Seq(nxt), wnd, cwnd: 1, queued };
        let conn = ConnView { tuple: tuple(CLIENT), state, socket: None, snd: Some(snd), rcv: None };
        NodeView { node: CLIENT, up: true, connections: vec![conn], listeners: Vec::new() }
    }

    fn rest(view: NodeView, before: &[Disturbance]) -> Plant<Liveness> {
        let mut plant = Plant::new(Liveness::default());
        for disturbance in before {
            plant.disturb(CLIENT, disturbance.clone());
        }
        plant.rest(&[view]);
        plant
    }

    #[test]
    fn some_states_may_last_and_some_may_not() {
        let idle = (5, 5, 100, 0);
        for state in State::ALL {
            let waits = [State::Closed, State::Listen, State::Established, State::CloseWait, State::FinWait2];
            let plant = rest(view(state, idle), &[]);
            if waits.contains(&state) {
                plant.holds();
            } else {
                plant.breaks(&[state.name(), "client:5000", "server:80"]);
            }
        }
    }

    #[test]
    fn data_does_not_wait_for_nothing() {
        rest(view(State::Established, (5, 9, 100, 4)), &[]).breaks(&["4 sequence numbers"]);
        rest(view(State::Established, (5, 5, 100, 4)), &[]).breaks(&["4 bytes wait, and the window is 100"]);
        rest(view(State::Established, (5, 5, 0, 4)), &[]).holds();
    }

    #[test]
    fn a_host_that_is_down_paused_or_cut_off_is_left_out() {
        let stuck = || view(State::SynSent, (0, 1, 0, 0));
        let (down, up) = (Disturbance::Down(LinkId(0)), Disturbance::Up(LinkId(0)));
        let (pause, resume) = (Disturbance::Host(HostFault::Pause), Disturbance::Host(HostFault::Resume));
        rest(NodeView { up: false, ..stuck() }, &[]).holds();
        rest(stuck(), std::slice::from_ref(&down)).holds();
        rest(stuck(), &[down, up]).breaks(&["SYN-SENT"]);
        rest(stuck(), std::slice::from_ref(&pause)).holds();
        rest(stuck(), &[pause, resume]).breaks(&["SYN-SENT"]);
    }

    #[test]
    fn a_time_wait_that_lasts_for_ever_by_choice_is_no_fault() {
        let mut plant = Plant::new(Liveness::default());
        let (from, to) = (State::FinWait2, State::TimeWait);
        let event = Event::Transition { tuple: tuple(CLIENT), from, to, lasts: Some(Span::MAX), error: None };
        plant.note(CLIENT, event);
        plant.rest(&[view(State::TimeWait, (5, 5, 100, 0))]);
        plant.holds();
    }
}
