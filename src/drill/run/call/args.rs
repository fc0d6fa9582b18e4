//! What a call is given.

use super::{Runner, Stop};
use crate::drill::script::{Call, Expr};
use crate::drill::symbols;
use crate::endpoint::{MsgFlags, SocketId};

impl Runner<'_> {
    /// Checks how many arguments there are.
    pub(super) fn takes(&self, call: &Call, count: std::ops::RangeInclusive<usize>) -> Result<(), Stop> {
        if count.contains(&call.args.len()) {
            return Ok(());
        }
        let wanted = if count.start() == count.end() {
            count.start().to_string()
        } else {
            format!("{} to {}", count.start(), count.end())
        };
        Err(self.fail(format!("{}: expected {wanted} arguments, found {}", call.name, call.args.len())))
    }

    /// A number, written as one or as symbols.
    pub(super) fn number(&self, expr: &Expr) -> Result<i64, Stop> {
        match expr {
            Expr::Int(n) => Ok(*n),
            Expr::Word(word) => symbols::number(word).ok_or_else(|| self.unsupported(format!("the symbol `{word}`"))),
            Expr::Or(left, right) => Ok(self.number(left)? | self.number(right)?),
            other => Err(self.fail(format!("expected a number, found `{other}`"))),
        }
    }

    /// `[5]`: a number that the call reads or writes.
    pub(super) fn bracketed(&self, expr: &Expr) -> Result<i64, Stop> {
        match expr {
            Expr::List(items) if items.len() == 1 => self.number(&items[0]),
            other => Err(self.fail(format!("expected a number in brackets, found `{other}`"))),
        }
    }

    /// The socket that the first argument names.
    pub(super) fn socket(&self, call: &Call) -> Result<usize, Stop> {
        let first = call.args.first().ok_or_else(|| self.fail(format!("{}: expected a descriptor", call.name)))?;
        self.socket_of(first)
    }

    pub(super) fn socket_of(&self, expr: &Expr) -> Result<usize, Stop> {
        let fd = self.number(expr)?;
        self.find(fd).ok_or_else(|| self.fail(format!("no socket has the descriptor {fd}")))
    }

    pub(super) fn live(&self, sock: usize) -> Result<SocketId, Stop> {
        self.socks[sock].live.ok_or_else(|| self.fail("the socket has no descriptor yet"))
    }

    /// Something that the tool makes up: an address, a buffer.
    pub(super) fn ellipsis(&self, call: &Call, n: usize) -> Result<(), Stop> {
        match call.args.get(n) {
            Some(Expr::Ellipsis) => Ok(()),
            // A null pointer: no call here reads what it points to.
            Some(Expr::Int(0) | Expr::Word(_)) => Err(self.unsupported("a null pointer")),
            Some(other) => Err(self.fail(format!("{}: expected `...`, found `{other}`", call.name))),
            None => Err(self.fail(format!("{}: an argument is missing", call.name))),
        }
    }

    /// A length in bytes.
    pub(super) fn length(&self, expr: &Expr) -> Result<u32, Stop> {
        let n = self.number(expr)?;
        u32::try_from(n).map_err(|_| self.fail(format!("{n} is no length of a buffer")))
    }

    pub(super) fn flags(&self, expr: &Expr) -> Result<MsgFlags, Stop> {
        const KNOWN: [(&str, MsgFlags); 9] = [
            ("MSG_OOB", MsgFlags::OOB),
            ("MSG_PEEK", MsgFlags::PEEK),
            ("MSG_MORE", MsgFlags::MORE),
            ("MSG_EOR", MsgFlags::EOR),
            ("MSG_DONTWAIT", MsgFlags::DONTWAIT),
            ("MSG_NOSIGNAL", MsgFlags::NOSIGNAL),
            ("MSG_WAITALL", MsgFlags::WAITALL),
            ("MSG_FASTOPEN", MsgFlags::FASTOPEN),
            ("MSG_TRUNC", MsgFlags::TRUNC),
        ];
        let mut left = self.number(expr)?;
        let mut flags = MsgFlags::empty();
        for (name, flag) in KNOWN {
            let bit = symbols::number(name).unwrap_or(0);
            if left & bit != 0 {
                flags |= flag;
                left &= !bit;
            }
        }
        if left == 0 { Ok(flags) } else { Err(self.unsupported(format!("the flags `{expr}`"))) }
    }

    /// The lengths of a list of buffers, together: `[{..., 100}, {..., 50}]`.
    pub(super) fn buffers(&self, expr: &Expr) -> Result<u32, Stop> {
        let Expr::List(items) = expr else { return Err(self.fail(format!("expected buffers, found `{expr}`"))) };
        let mut total = 0u32;
        for item in items {
            let len = match item {
                Expr::Braces(parts) if parts.len() == 2 && parts[0] == Expr::Ellipsis => self.length(&parts[1])?,
                item => match item.field("iov_len") {
                    Some(len) => self.length(len)?,
                    None => return Err(self.fail(format!("expected a buffer, found `{item}`"))),
                },
            };
            total = total.saturating_add(len);
        }
        Ok(total)
    }
}
