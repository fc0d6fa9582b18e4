//! The TCP machines against scripts, against tables of rules, and against each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tcp {
    mod closes;
    mod end;
    mod flow;
    mod handshakes;
    mod life;
    mod lossy;
    mod pair;
    mod recovery;
    mod script;
    mod syn_received;
    mod table;
    mod timers;
    mod urgent;
}
