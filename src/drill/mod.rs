//! packetdrill scripts, run in virtual time.
//!
//! A script says what an application calls on a host, what its peer sends, and what the host must send, each at its
//! time ([`Script`]). It is run against one real endpoint, which need not be ours: any
//! [`Endpoint`](crate::endpoint::Endpoint) that offers [`Sockets`](crate::endpoint::Sockets) will do; the remote end of
//! the wire is played by the runner. Judging follows the stock tool; `docs/drill.md` tells how, and how to write scripts.

mod config;
mod error;
mod lexer;
mod parser;
pub mod python;
mod report;
mod run;
mod script;
mod shell;
mod symbols;
mod sysctls;

pub use config::Variant;
pub use error::{Mistake, ScriptError};
pub use parser::Defines;
pub use report::{Failure, Verdict};
pub use run::{Make, Run, Site, Wanted, run};
pub use script::{
    Action, Call, Code, Command, Event, Expr, IcmpLine, IpInfo, OptionLine, PacketBody, PacketLine, Script, SeqCheck,
    TcpLine, Tos, TsCheck, When,
};
pub use sysctls::Platform;

/// The ways to run a script: over IPv4, over IPv4 with sockets of IPv6, over IPv6, as far as its ICMP messages are not
/// of another version; and plainly, where it names addresses or has such messages.
pub fn variants(script: &Script) -> Vec<Variant> {
    let fits = |variant: &Variant| match variant {
        Variant::Plain => script.fixes_addresses(),
        _ => !config::Config::of(script, *variant).is_err_and(|misfit| misfit.is_of_other_version()),
    };
    Variant::ALL.into_iter().filter(fits).collect()
}

/// Reads a script as it is to be run in one way, and runs it: what a runner of suites does. `given` are defines from
/// outside; those in the script's own option lines win.
pub fn run_text(
    name: &str,
    bytes: &[u8],
    variant: Variant,
    platform: Platform,
    given: &Defines,
    wanted: Wanted,
    make: &Make<'_>,
) -> Run {
    let mut defines = variant.defines();
    defines.insert(platform.name().to_owned(), "1".to_owned());
    defines.extend(given.clone());
    let script = Script::parse(name, bytes, &defines).and_then(|script| {
        let own = config::own_defines(&script.options);
        if own.is_empty() {
            return Ok(script);
        }
        defines.extend(own);
        Script::parse(name, bytes, &defines)
    });
    match script {
        Ok(script) => run(&script, variant, platform, wanted, make),
        Err(error) => Run {
            verdict: run::of_error(&error),
            warnings: Vec::new(),
            printed: String::new(),
            trace: None,
            pcap: None,
        },
    }
}
