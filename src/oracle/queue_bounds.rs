use super::{Hears, NodeView, Oracle, Seen};
use crate::endpoint::Event;
use crate::trace::{NodeId, Record, What};
use std::net::SocketAddr;

pub(super) const NAME: &str = "queue-bounds";

/// The queues of a listener hold no more than they may.
///
/// While the run goes on, queues are seen only where everything is recorded; at its end always.
#[derive(Default)]
pub struct QueueBounds;

impl Oracle for QueueBounds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "listen(2)"
    }

    fn needs_state(&self) -> bool {
        true
    }

    fn hears(&self) -> Hears {
        Hears::QUEUES
    }

    fn on_record(&mut self, record: &Record<'_>, seen: &mut Seen<'_>) {
        if let (What::Noted { event: Event::Queue { local, syn, accept }, .. }, Some(node)) =
            (&record.what, record.node)
        {
            self.check(node, *local, *syn, *accept, seen);
        }
    }

    fn at_quiescence(&mut self, nodes: &[NodeView], seen: &mut Seen<'_>) {
        for view in nodes {
            for listener in &view.listeners {
                let (syn, accept) = ((listener.syn, listener.syn_max), (listener.accept, listener.accept_max));
                self.check(view.node, listener.local, syn, accept, seen);
            }
        }
    }
}

impl QueueBounds {
    fn check(&self, node: NodeId, local: SocketAddr, syn: (u32, u32), accept: (u32, u32), seen: &mut Seen<'_>) {
        for (queue, (held, most)) in [("SYN", syn), ("accept", accept)] {
            if held > most {
                let (at, local) = (seen.names.node(node), seen.names.socket(local));
                let text = format!("the {queue} queue of {local} at {at} holds {held}, and may hold {most}");
                seen.violated(self, Some(node), None, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Plant, SERVER, tuple};
    use super::*;
    use crate::endpoint::{ListenView, SocketId};

    #[test]
    fn a_queue_may_be_full() {
        let local = tuple(SERVER).local;
        for (syn, accept, broken) in
            [((4, 4), (3, 3), None), ((5, 4), (3, 3), Some("SYN")), ((4, 4), (4, 3), Some("accept"))]
        {
            let mut noted = Plant::new(QueueBounds);
            noted.note(SERVER, Event::Queue { local, syn, accept });
            let mut viewed = Plant::new(QueueBounds);
            let socket = SocketId(3);
            let listener =
                ListenView { local, socket, syn: syn.0, syn_max: syn.1, accept: accept.0, accept_max: accept.1 };
            viewed.rest(&[NodeView { node: SERVER, up: true, connections: Vec::new(), listeners: vec![listener] }]);
            for plant in [noted, viewed] {
                match broken {
                    None => plant.holds(),
                    Some(queue) => plant.breaks(&[queue, "server:80"]),
                }
            }
        }
    }
}
