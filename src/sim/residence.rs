use super::Sim;
use crate::endpoint::{ConnView, State, Tuple};
use crate::map::Map;
use crate::time::{SimTime, Span};
use crate::trace::NodeId;

/// How long the connections of one host have stayed in one state, in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Residence {
    /// The state.
    pub state: State,
    /// How many are in it now.
    pub now: u32,
    /// How long the one that came first of them has been in it; zero where there is none.
    pub oldest: Span,
    /// How many stays have ended.
    pub ended: u64,
    /// How long they were together.
    pub total: Span,
    /// The shortest of them; zero where none has ended.
    pub min: Span,
    /// The longest of them.
    pub max: Span,
}

impl Residence {
    /// How long a stay lasted that has ended, on average, rounded down to a nanosecond.
    pub fn mean(&self) -> Option<Span> {
        (self.ended > 0).then(|| self.total / self.ended)
    }
}

/// The clockwork behind [`Residence`]: one look-up a transition, nothing in between.
#[derive(Debug, Default)]
pub(super) struct Residences {
    hosts: Vec<Stays>,
}

#[derive(Debug, Default)]
struct Stays {
    /// Where each connection is, and since when.
    since: Map<Tuple, (State, SimTime)>,
    ended: [Ended; State::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    count: u64,
    total: Span,
    min: Span,
    max: Span,
}

impl Ended {
    fn add(&mut self, stay: Span) {
        self.min = if self.count == 0 { stay } else { self.min.min(stay) };
        self.max = self.max.max(stay);
        self.total = self.total + stay;
        self.count += 1;
    }
}

impl Residences {
    fn of(&mut self, node: NodeId) -> &mut Stays {
        let index = node.0 as usize;
        if self.hosts.len() <= index {
            self.hosts.resize_with(index + 1, Stays::default);
        }
        &mut self.hosts[index]
    }

    pub(super) fn transition(&mut self, at: SimTime, node: NodeId, tuple: Tuple, to: State) {
        let stays = self.of(node);
        let left = match to {
            State::Closed => stays.since.remove(&tuple),
            to => stays.since.insert(tuple, (to, at)),
        };
        if let Some((state, since)) = left {
            stays.ended[state as usize].add(at.since(since));
        }
    }

    /// A host has lost its connections without a word: their stays end here.
    pub(super) fn forget(&mut self, at: SimTime, node: NodeId, lost: &[ConnView]) {
        for view in lost {
            self.transition(at, node, view.tuple, State::Closed);
        }
    }

    fn rows(&self, at: SimTime, node: NodeId, views: &[ConnView]) -> Vec<Residence> {
        let Some(stays) = self.hosts.get(node.0 as usize) else { return Vec::new() };
        let mut rows: Vec<Residence> = State::ALL
            .into_iter()
            .map(|state| {
                let Ended { count: ended, total, min, max } = stays.ended[state as usize];
                Residence { state, now: 0, oldest: Span::ZERO, ended, total, min, max }
            })
            .collect();
        for &(state, since) in views.iter().filter_map(|view| stays.since.get(&view.tuple)) {
            let row = &mut rows[state as usize];
            row.now += 1;
            row.oldest = row.oldest.max(at.since(since));
        }
        rows.retain(|row| row.now > 0 || row.ended > 0);
        rows
    }
}

impl Sim {
    /// Keeps, from now on, how long connections stay in each state, for [`Sim::residence`] and
    /// [`Sim::netstat`]. It costs one look-up a transition, and changes nothing else: no event, no digest.
    pub fn keep_residence(&mut self) {
        self.residences.get_or_insert_default();
    }

    /// How long the connections of `node` have stayed in each state that they were in, in the order of
    /// [`State::ALL`]; none unless [`Sim::keep_residence`] was called, and nothing from before. A stay ends with the
    /// transition out of the state, or with the host's power; LISTEN is no state of a connection. Where the clock of
    /// the host is skewed, these are still lengths of the run's own time.
    pub fn residence(&self, node: NodeId) -> Option<Vec<Residence>> {
        self.residence_of(node, &self.connections(node))
    }

    pub(super) fn residence_of(&self, node: NodeId, views: &[ConnView]) -> Option<Vec<Residence>> {
        self.residences.as_ref().map(|residences| residences.rows(self.now(), node, views))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ms;

    #[test]
    fn states_are_indices() {
        assert!(State::ALL.into_iter().enumerate().all(|(index, state)| state as usize == index));
    }

    #[test]
    fn a_stay_ends_with_the_next_transition_of_the_same_connection() {
        let mut kept = Residences::default();
        let tuple = |port: u16| Tuple {
            local: std::net::SocketAddr::from(([10, 0, 0, 1], port)),
            remote: std::net::SocketAddr::from(([10, 0, 0, 2], 80)),
        };
        let at = |n| SimTime::ZERO + ms(n);
        kept.transition(at(0), NodeId(1), tuple(1), State::SynSent);
        kept.transition(at(5), NodeId(1), tuple(2), State::SynSent);
        kept.transition(at(40), NodeId(1), tuple(1), State::Established);
        kept.transition(at(65), NodeId(1), tuple(2), State::Closed);
        let view = ConnView { tuple: tuple(1), state: State::Established, socket: None, snd: None, rcv: None };
        let rows = kept.rows(at(100), NodeId(1), std::slice::from_ref(&view));
        let none = Residence {
            state: State::SynSent,
            now: 0,
            oldest: Span::ZERO,
            ended: 0,
            total: Span::ZERO,
            min: Span::ZERO,
            max: Span::ZERO,
        };
        let sent = Residence { ended: 2, total: ms(100), min: ms(40), max: ms(60), ..none };
        assert_eq!((sent.mean(), none.mean()), (Some(ms(50)), None));
        assert_eq!(rows, [sent, Residence { state: State::Established, now: 1, oldest: ms(60), ..none }]);
        kept.forget(at(110), NodeId(1), &[view]);
        let rows = kept.rows(at(110), NodeId(1), &[]);
        let gone = Residence { state: State::Established, ended: 1, total: ms(70), min: ms(70), max: ms(70), ..none };
        assert_eq!(rows, [sent, gone]);
        assert!(kept.rows(at(110), NodeId(0), &[]).is_empty());
    }
}
