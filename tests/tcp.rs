//! The TCP machines against scripts, against tables of rules, and against each other.

mod tcp {
    mod closes;
    mod end;
    mod flow;
    mod handshakes;
    mod lossy;
    mod pair;
    mod recovery;
    mod script;
    mod table;
    mod timers;
    mod urgent;
}
