//! The `wirefate` command: run a sim, test them all, look around in the catalogue.
//!
//! Exit codes: 0 held, 1 an expectation or oracle failed, 2 bad input, 3 the tool's own failure.

mod args;
mod catalogue;
mod drill;
mod golden;
mod list;
mod matrix;
mod netstat;
mod profile;
mod progress;
mod run;
mod snapshot;
mod states;
mod test;
mod watch;

use args::{Args, Command};
use clap::Parser;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// How a command ended, short of its own failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Held,
    Broken,
}

/// Why a command could not do its work.
#[derive(Debug)]
enum Trouble {
    /// What was given is wrong.
    Input(miette::Report),
    /// What was given is wrong, in one line and a way out.
    Usage { what: String, help: String },
    /// The world around the tool failed it.
    Own { what: String, error: io::Error },
}

impl Trouble {
    fn own(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Trouble {
        move |error| Trouble::Own { what: what.to_string(), error }
    }

    fn usage(what: impl fmt::Display, help: impl fmt::Display) -> Trouble {
        Trouble::Usage { what: what.to_string(), help: help.to_string() }
    }
}

impl From<crate::scenario::Errors> for Trouble {
    fn from(errors: crate::scenario::Errors) -> Trouble {
        Trouble::Input(errors.into())
    }
}

impl From<crate::scenario::Error> for Trouble {
    fn from(error: crate::scenario::Error) -> Trouble {
        Trouble::Input(error.into())
    }
}

/// Runs the command line of this process.
#[expect(clippy::print_stderr, reason = "a command tells its user what went wrong")]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let shown = error.print();
            let bad = error.use_stderr() || shown.is_err();
            return ExitCode::from(if bad { 2 } else { 0 });
        }
    };
    let result = match args.command {
        Command::Run(args) => run::run(&args),
        Command::Test(args) => test::test(&args),
        Command::Netstat(args) => netstat::netstat(&args),
        Command::Golden(args) => golden::golden(&args),
        Command::Drill(args) => drill::drill(&args),
        Command::Profile(args) => profile::profile(&args),
        Command::Matrix(args) => matrix::matrix(&args),
        Command::States(args) => states::states(&args),
        Command::List(args) => list::list(&args),
        Command::Show(args) => list::show(&args),
    };
    match result {
        Ok(End::Held) => ExitCode::SUCCESS,
        Ok(End::Broken) => ExitCode::from(1),
        // Whoever reads our output has seen enough.
        Err(Trouble::Own { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Trouble::Own { what, error }) => {
            eprintln!("wirefate: {what}: {error}");
            ExitCode::from(3)
        }
        Err(Trouble::Usage { what, help }) => {
            eprintln!("wirefate: {what}\n  help: {help}");
            ExitCode::from(2)
        }
        Err(Trouble::Input(report)) => {
            eprintln!("{report:?}");
            ExitCode::from(2)
        }
    }
}
