//! The `wirefate` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Runs make and drop many small things; this makes them some percent faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    wirefate::cli::main()
}
