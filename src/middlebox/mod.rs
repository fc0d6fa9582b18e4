//! Endpoints that forward between their interfaces: a [`Router`], a [`Nat`], a stateful [`Firewall`].
//!
//! All three learn their routes from [`Attach::Route`](crate::endpoint::Attach), take 1 off the TTL of what passes,
//! and answer with ICMP where there is no way on. They have no sockets: what is addressed to a middlebox itself is
//! dropped. Sessions are forgotten when the first packet after their end comes by, so no timer is ever set.

mod firewall;
mod flow;
mod forwarder;
mod nat;
mod requote;
mod router;
mod sessions;

pub use firewall::Firewall;
pub use forwarder::Refusal;
pub use nat::Nat;
pub use router::Router;
pub use sessions::Limits;

#[cfg(test)]
mod tests;
