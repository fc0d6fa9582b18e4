//! The hazards of TCP that RFCs describe, each shown under `rfc9293`, and what the systems do instead.
//!
//! A test is a script that is its own transcript ([`hazards::stage`]): two hosts, a network that delivers what it is told
//! to, numbers as they stand in the segments. What a system is only believed to do is checked by
//! [`check_believed`](hazards::stage::check_believed), which asks that its profile says so.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod hazards {
    mod figures;
    mod rfc1337;
    mod rfc5961;
    mod rfc6191;
    mod stage;
}
