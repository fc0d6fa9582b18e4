//! The `wirefate` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    wirefate::cli::main()
}
