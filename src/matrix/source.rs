//! Where it is written what is to happen, and where a profile says that it does otherwise.

use super::cell::{Kind, SegSeq};
use crate::endpoint::State;
use crate::host::{Behaviour, Confidence, Profile};
use std::fmt;

/// A line of a profile that is about some segments in some states.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Whose.
    pub profile: Profile,
    /// Which.
    pub behaviour: Behaviour,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Behaviour { name, value, source, confidence, .. } = self.behaviour;
        let doubt = if confidence == Confidence::Unverified { " ?" } else { "" };
        write!(f, "{}: {name}: {value}{doubt} ({source})", self.profile)
    }
}

/// What the two profiles say about `kinds` in `state`, where they do not say the same.
///
/// A behaviour is about them where its name says so: `RST in TIME-WAIT`, `SYN, data in SYN-RECEIVED, ESTABLISHED`,
/// `URG in any state`, `any segment in CLOSED`. A kind named by its control bit stands for all that have it: `RST` is
/// RST and RST-ACK, `SYN` is SYN, SYN-ACK and SYN-FIN.
pub(super) fn sources(pair: (Profile, Profile), state: State, kinds: &[Kind]) -> Vec<Source> {
    lines(pair, |name| is_about(name, state, kinds))
}

/// The behaviour that says when an acknowledgment leaves, under the name that every profile gives it.
pub(super) const DELAYED_ACK: &str = "delayed ACK";

/// What the two profiles say under this name, where they do not say the same.
pub(super) fn named(pair: (Profile, Profile), name: &str) -> Vec<Source> {
    lines(pair, |other| other == name)
}

fn lines((left, right): (Profile, Profile), is_wanted: impl Fn(&str) -> bool) -> Vec<Source> {
    let mut found = Vec::new();
    for (profile, other) in [(left, right), (right, left)] {
        let is_shared = |line: &Behaviour| {
            other.behaviours().iter().any(|known| (known.name, known.value) == (line.name, line.value))
        };
        let wanted = profile.behaviours().iter().filter(|line| is_wanted(line.name) && !is_shared(line));
        found.extend(wanted.map(|&behaviour| Source { profile, behaviour }));
    }
    found
}

fn is_about(name: &str, state: State, kinds: &[Kind]) -> bool {
    let Some((what, place)) = name.split_once(" in ") else { return false };
    let here = place == "any state" || place.split(", ").any(|name| name == state.name());
    let named = |kind: &Kind| what.split(", ").any(|name| stands_for(name, *kind));
    here && (what == "any segment" || kinds.iter().any(named))
}

fn stands_for(name: &str, kind: Kind) -> bool {
    match name {
        "SYN" => matches!(kind, Kind::Syn | Kind::SynAck | Kind::SynFin),
        "FIN" => matches!(kind, Kind::Fin | Kind::FinAck),
        "RST" => matches!(kind, Kind::Rst | Kind::RstAck),
        _ => name == kind.name(),
    }
}

/// The passage that governs these segments in this state.
pub(super) fn rule(state: State, kinds: &[Kind], seqs: &[SegSeq]) -> String {
    match state {
        State::Closed => return "RFC 9293 3.10.7.1".to_owned(),
        State::Listen => return "RFC 9293 3.10.7.2".to_owned(),
        State::SynSent => return "RFC 9293 3.10.7.3".to_owned(),
        _ => {}
    }
    let outside = seqs.iter().all(|seq| matches!(seq, SegSeq::OutsideLeft | SegSeq::OutsideRight));
    let mut steps: Vec<&str> = Vec::new();
    for kind in kinds {
        let step = match kind {
            Kind::Rst | Kind::RstAck => "second; RFC 5961 3.2",
            Kind::Syn | Kind::SynAck | Kind::SynFin => "fourth; RFC 5961 4.2",
            _ if outside => "first",
            Kind::Ack | Kind::Fin => "fifth; RFC 5961 5.2",
            Kind::Urg => "sixth and seventh; RFC 6093",
            Kind::Data => "seventh",
            Kind::FinAck => "eighth",
        };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    format!("RFC 9293 3.10.7.4, {}", steps.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_behaviour_says_in_its_name_what_it_is_about() {
        for (name, state, kind, is) in [
            ("RST in TIME-WAIT", State::TimeWait, Kind::RstAck, true),
            ("RST in TIME-WAIT", State::CloseWait, Kind::Rst, false),
            ("RST in TIME-WAIT", State::TimeWait, Kind::Syn, false),
            ("SYN, data in SYN-RECEIVED, ESTABLISHED", State::Established, Kind::Data, true),
            ("URG in any state", State::FinWait1, Kind::Urg, true),
            ("any segment in CLOSED", State::Closed, Kind::Fin, true),
            ("TIME-WAIT", State::TimeWait, Kind::Rst, false),
        ] {
            assert_eq!(is_about(name, state, &[kind]), is, "{name}, {state}, {kind}");
        }
    }

    #[test]
    fn every_profile_says_when_it_acknowledges() {
        for profile in Profile::ALL {
            assert!(profile.behaviours().iter().any(|line| line.name == DELAYED_ACK), "{profile}");
        }
    }

    #[test]
    fn a_profile_and_itself_need_no_source() {
        for profile in Profile::ALL {
            for state in State::ALL {
                assert!(sources((profile, profile), state, &Kind::ALL).is_empty());
            }
        }
    }
}
