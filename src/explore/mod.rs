//! Running one story under many seeds, and handing a failure back as something a person can use.

mod check;
mod env;
mod pool;
mod report;

pub use check::check;
pub use pool::{each, processors};
