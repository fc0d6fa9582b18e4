//! Directed links: pipelines of impairments that decide the fate of each packet, and the packets in flight.
//!
//! An [`Impairment`] is a value with one method, in a file of its own. A [`Link`] is what a user writes down; a
//! [`Lane`] is a link at work: it owns the impairments' state and randomness, and the queue of what is in flight.

mod burst;
mod corrupt;
mod delay;
mod dist;
mod duplicate;
mod fate;
mod fault;
mod flight;
mod impairment;
mod jitter;
mod lane;
mod lifetime;
mod link;
mod loss;
mod mtu;
mod rate;
mod reorder;

pub use dist::{Dist, DistError};
pub use fate::{Fate, Loss};
pub use fault::{Action, Facts, Fault, FaultError, Selector};
pub use flight::Arrived;
pub use impairment::{Impairment, Transit};
pub use lane::{Decision, Lane};
pub use link::Link;

#[cfg(test)]
mod tests;
