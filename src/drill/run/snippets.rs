//! Snippets of Python: what they see is written down when the script comes to them, what they say is judged at its end.

use super::{Runner, Stop, info};
use crate::drill::python::{Fault, Program};
use crate::drill::report::Failure;
use crate::drill::script::Code;
use crate::endpoint::SockOpt;

/// A snippet, and what its names stood for.
pub(super) struct Snapshot {
    line: usize,
    text: String,
    names: Vec<(&'static str, i64)>,
}

/// Names that the stock tool gives values to and an endpoint need not know.
const OTHERS: [&str; 4] = ["tcpi_", "SK_MEMINFO_", "bbr_", "dctcp_"];

impl Runner<'_> {
    pub(super) fn snapshot(&mut self, code: &Code) -> Result<(), Stop> {
        let Some(n) = self.under_test else { return Err(self.fail("no socket that this code could look at")) };
        let sock = &self.socks[n];
        let live = sock.live.filter(|_| !sock.closed);
        let Some(live) = live else {
            return Err(self.fail("the socket has no descriptor that this code could look at"));
        };
        let host = self.world.host;
        let now = self.world.sim.host_now(host);
        let told = self.world.attempt(|sockets, _| sockets.tcp_info(now, live));
        let told = told.map_err(|errno| self.fail(format!("getsockopt(TCP_INFO): {errno}")))?;
        let mut names = info::fields(&told);
        names.extend(info::SYMBOLS);
        for (name, option) in
            [("SK_MEMINFO_RCVBUF", SockOpt::ReceiveBuffer(0)), ("SK_MEMINFO_SNDBUF", SockOpt::SendBuffer(0))]
        {
            let told = self.world.attempt(|sockets, cx| sockets.get_option(cx, live, option));
            if let Ok(SockOpt::ReceiveBuffer(bytes) | SockOpt::SendBuffer(bytes)) = told {
                names.push((name, bytes.into()));
            }
        }
        self.snapshots.push(Snapshot { line: code.line, text: code.text.clone(), names });
        Ok(())
    }

    /// Runs all snippets as one program.
    pub(super) fn judge_snippets(&mut self) -> Result<(), Stop> {
        let mut program = Program::default();
        let snapshots = std::mem::take(&mut self.snapshots);
        let result = snapshots.into_iter().try_for_each(|Snapshot { line, text, names }| {
            program.set(names);
            program.run(&text).map_err(|(fault, within)| of_fault(fault, line + within))
        });
        program.printed().clone_into(&mut self.printed);
        result
    }
}

fn of_fault(fault: Fault, line: usize) -> Stop {
    match fault {
        Fault::Name(name) if OTHERS.iter().any(|prefix| name.starts_with(prefix)) => {
            Stop::Unsupported { line, what: format!("`{name}`, which the endpoint does not tell") }
        }
        Fault::Beyond(_) => Stop::Unsupported { line, what: fault.to_string() },
        fault => Stop::failed(Failure { line, what: fault.to_string(), ..Failure::default() }),
    }
}
