//! What an endpoint does with every kind of segment in every state of TCP: a table, found by trying.
//!
//! A [`Matrix`] is made of experiments. For each of the eleven states an endpoint is brought there by socket calls and
//! by segments of a scripted peer, never by touching its state; then one segment arrives, and what comes back, where
//! the connection goes and what its application sees is one [`Cell`]. So it runs on any [`Endpoint`] that offers
//! sockets; one that does not show its state leaves that column open.
//!
//! [`Matrix`]'s `Display` folds cells of the same outcome into rows that a human can read; [`Diff`] shows the rows in
//! which two differ; [`Diagram`] draws the states and how they were left.
//!
//! ```
//! use wirefate::endpoint::State;
//! use wirefate::host::{Host, HostConfig};
//! use wirefate::matrix::{Kind, Matrix, SegAck, SegSeq};
//!
//! let config = HostConfig::named("subject");
//! let matrix = Matrix::of(|| Box::new(Host::new(config.clone(), 1).expect("it has no sysctls of its own")));
//! let outcome = matrix.outcome(State::Established, Kind::Rst, SegSeq::Inside, SegAck::Old).expect("it was reached");
//! // RFC 5961 3.2: a reset in the window that is not exact is challenged.
//! assert_eq!(outcome.state, Some(State::Established));
//! assert_eq!(outcome.replies[0].text, ". 100:100(0) ack 100");
//! ```
//!
//! [`Endpoint`]: crate::endpoint::Endpoint

mod cell;
mod diagram;
mod diff;
mod experiment;
mod fold;
mod moves;
mod reach;
mod source;
mod stage;
mod text;

pub use cell::{Cell, Kind, Outcome, Reply, SegAck, SegSeq, View};
pub use diagram::{Diagram, Edge};
pub use diff::{Diff, Difference};
pub use experiment::{Block, Matrix, Numbers, Start};
pub use fold::Row;
pub use moves::Move;
pub use source::Source;
pub use stage::NotReached;
