//! The record of a run: typed events first; text, ladder, JSON and captures are renderings of them.

mod conns;
mod digest;
mod names;
mod pcapng;
mod record;
mod recorder;

pub use conns::{Belongs, ConnId, Conns, Incarnation, Side};
pub use digest::Digest;
pub use names::{LinkId, LinkName, Names, NodeId, StreamId};
pub use pcapng::{Capture, CaptureError};
pub use record::{Arrived, Call, Called, Disturbance, Done, Record, Sent, What};
pub use recorder::Keep;
pub(crate) use recorder::Recorder;
