//! The parser of packetdrill scripts takes any bytes: `cargo +nightly fuzz run script`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wirefate::drill::{Defines, Script};

fuzz_target!(|bytes: &[u8]| {
    let _ = Script::parse("fuzz.pkt", bytes, &Defines::new());
});
