use super::fault::{Action, Fault};
use super::flight::Flight;
use super::{Arrived, Fate, Impairment, Link, Loss, Transit};
use crate::choice::{Choices, MakerId};
use crate::time::SimTime;
use crate::wire::Packet;

/// A directed link at work: decides the fate of each packet sent on it, and keeps what is in flight.
pub struct Lane {
    stages: Vec<Stage>,
    up: bool,
    sent: u64,
    flight: Flight,
    held: Vec<(String, Arrived)>,
    /// Stages by their index, and what their choices about the last packet amount to.
    recorded: Vec<(usize, Action)>,
}

/// What is decided about one packet.
#[derive(Debug)]
pub struct Decision {
    /// Its number on the link, counted from 1.
    pub n: u64,
    /// What becomes of it.
    pub fate: Fate,
    sent: SimTime,
    /// What would have become of a packet that a fault holds.
    beneath: Option<Box<Fate>>,
}

/// One impairment with its own randomness.
struct Stage {
    kind: &'static str,
    /// Its kind, with a number from the second of that kind on.
    name: String,
    impairment: Box<dyn Impairment>,
    choices: Choices,
    masked: bool,
}

/// The most extra copies of one packet; what asks for more gets so many.
const COPIES: usize = u8::MAX as usize;

impl Lane {
    /// `link` at work in a run under `seed`. Each impairment has a stream keyed by `name` and its own name
    /// (`client > server/loss`, and `client > server/loss.2` where there is a second one).
    pub fn new(link: &Link, seed: u64, name: &str, first: MakerId) -> Lane {
        let mut stages: Vec<Stage> = Vec::new();
        for (impairment, maker) in link.impairments().into_iter().zip(first.0..) {
            let kind = impairment.name();
            let stage = match stages.iter().filter(|stage| stage.kind == kind).count() {
                0 => kind.to_owned(),
                n => format!("{kind}.{}", n + 1),
            };
            let choices = Choices::random(MakerId(maker), seed, &format!("{name}/{stage}"), impairment.words());
            stages.push(Stage { kind, name: stage, impairment, choices, masked: false });
        }
        let (flight, held, recorded) = (Flight::default(), Vec::new(), Vec::new());
        Lane { stages, up: true, sent: 0, flight, held, recorded }
    }

    /// Decides the fate of `packet`, sent at `now`. `forced` are the faults that meet it. It is on its way once it is
    /// launched.
    pub fn decide(&mut self, now: SimTime, packet: &Packet, forced: &[&Fault]) -> Decision {
        self.sent += 1;
        self.recorded.clear();
        let mut transit = Transit::new(packet, now);
        let held = if forced.is_empty() { None } else { force_all(&mut transit, forced) };
        if !self.up {
            transit.lose(Loss::Down);
        }
        for (index, stage) in self.stages.iter_mut().enumerate().filter(|(_, stage)| !stage.masked) {
            stage.pass(self.sent - 1, &mut transit, forced);
            let taken = stage.choices.taken();
            if !taken.is_empty() {
                self.recorded.extend(stage.impairment.action(taken).map(|action| (index, action)));
            }
        }
        transit.settle();
        let (n, sent, fate) = (self.sent, now, transit.fate(COPIES));
        match held {
            Some(name) if !fate.is_lost() => {
                Decision { n, sent, fate: Fate::Held(name), beneath: Some(Box::new(fate)) }
            }
            _ => Decision { n, sent, fate, beneath: None },
        }
    }

    /// Puts a packet in flight as was decided, if it is not lost; says how many copies there are then of it in flight or
    /// held. `label` comes back with it on arrival.
    pub fn launch(&mut self, decision: Decision, packet: Box<Packet>, label: u64) -> u64 {
        let Decision { n, sent, fate, beneath } = decision;
        let first = Arrived { n, copy: 0, packet, corrupt_bit: None, sent, arrive: sent, label };
        match fate {
            Fate::Delivered(after) => {
                self.flight.push(Arrived { arrive: sent + after, ..first });
                1
            }
            Fate::Lost(_) => 0,
            Fate::Changed { .. } => self.launch_changed(first, &fate, None),
            Fate::Held(name) => beneath.map_or(0, |fate| self.launch_changed(first, &fate, Some(name))),
        }
    }

    /// The same for one that is not simply delivered: the fault `holder` holds it, or it is changed.
    #[cold]
    fn launch_changed(&mut self, mut first: Arrived, fate: &Fate, holder: Option<String>) -> u64 {
        let (after, copies) = match fate {
            Fate::Delivered(after) => (*after, &[][..]),
            Fate::Changed { after, copies, corrupt_bit } => {
                first.corrupt_bit = *corrupt_bit;
                (*after, &copies[..])
            }
            Fate::Lost(_) | Fate::Held(_) => return 0,
        };
        for (&late, copy) in copies.iter().zip(1u8..=u8::MAX) {
            self.flight.push(Arrived { copy, arrive: first.sent + late, ..first.clone() });
        }
        first.arrive = first.sent + after;
        match holder {
            Some(name) => self.held.push((name, first)),
            None => self.flight.push(first),
        }
        1 + copies.len() as u64
    }

    /// [`Lane::decide`] and [`Lane::launch`] in one.
    pub fn send(&mut self, now: SimTime, packet: &Packet, label: u64, forced: &[&Fault]) -> Fate {
        let decision = self.decide(now, packet, forced);
        let fate = decision.fate.clone();
        self.launch(decision, Box::new(packet.clone()), label);
        fate
    }

    /// Lets the packets go that the fault `name` holds; they arrive at `now`.
    pub fn release(&mut self, name: &str, now: SimTime) {
        let (released, held) = std::mem::take(&mut self.held).into_iter().partition(|(by, _)| by == name);
        self.held = held;
        let released: Vec<(String, Arrived)> = released;
        for (_, arrived) in released {
            self.flight.push(Arrived { arrive: now, ..arrived });
        }
    }

    /// When the next packet arrives.
    #[inline]
    pub fn next_arrival(&self) -> Option<SimTime> {
        self.flight.first()
    }

    /// Takes the next packet off the link.
    #[inline]
    pub fn pop(&mut self) -> Option<Arrived> {
        self.flight.pop()
    }

    /// How many packets were sent on it.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Counts a packet that is sent on it and lost by whoever calls this.
    pub fn count(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// How many packets are in flight or held.
    pub fn in_flight(&self) -> u64 {
        (self.flight.len() + self.held.len()) as u64
    }

    /// Cuts or mends it. What is in flight arrives all the same.
    pub fn set_up(&mut self, up: bool) {
        self.up = up;
    }

    /// Takes the impairments of the kind `name` out of action, or the one of that name (`loss.2`); nothing else changes
    /// by it.
    pub fn mask(&mut self, name: &str) {
        for stage in self.stages.iter_mut().filter(|stage| stage.kind == name || stage.name == name) {
            stage.masked = true;
        }
    }

    /// From now on choices are harmless but for what faults with a stage say.
    pub fn replay(&mut self) {
        for stage in &mut self.stages {
            stage.choices.replay();
        }
    }

    /// The choices about the packet just sent that were not harmless: the impairment, and what they amount to.
    /// Repeated in a replay by faults with these impairments as their stages, they make the same fate.
    pub fn recorded(&self) -> impl Iterator<Item = (&str, &Action)> {
        self.recorded.iter().map(|(index, action)| (self.stages[*index].name.as_str(), action))
    }
}

impl Stage {
    fn pass(&mut self, item: u64, transit: &mut Transit<'_>, forced: &[&Fault]) {
        if self.impairment.words() > 0 {
            self.choices.begin(item);
            if self.choices.is_replay() {
                for fault in forced.iter().filter(|fault| fault.stage.as_deref() == Some(&self.name)) {
                    for (call, alternative) in self.impairment.answers(&fault.action) {
                        self.choices.answer(call, alternative);
                    }
                }
            }
        }
        self.impairment.apply(transit, &mut self.choices);
    }
}

/// Does to a packet what faults say that act where the link begins; gives the name under which it is held.
#[cold]
fn force_all(transit: &mut Transit<'_>, forced: &[&Fault]) -> Option<String> {
    let at_the_start = forced.iter().filter(|fault| fault.stage.is_none());
    at_the_start.fold(None, |held, fault| force(transit, fault).or(held))
}

/// Does to a packet what a fault says; gives the name under which it is held.
fn force(transit: &mut Transit<'_>, fault: &Fault) -> Option<String> {
    match &fault.action {
        Action::Drop => transit.lose(Loss::Fault(fault.name.clone())),
        Action::Delay(by) => transit.late = transit.late + *by,
        Action::Duplicate { times, by } => {
            let copies = (1..=u64::from(*times)).take(COPIES).map(|n| transit.arrive + *by * n);
            transit.copies.extend(copies);
        }
        Action::Corrupt(bit) => transit.corrupt_bit = Some(*bit),
        Action::Hold => return Some(fault.name.clone().unwrap_or_else(|| "held".to_owned())),
    }
    None
}
