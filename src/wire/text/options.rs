//! TCP options as text.

use super::TextError;
use super::reader::Reader;
use crate::wire::{Options, OptionsFull, Seq, TcpOption};
use std::fmt;

/// Prints the list without its brackets; SACK blocks as they stand.
pub(super) fn print(options: &Options, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut at = 0;
    for option in options.iter() {
        f.write_str(if at == 0 { "" } else { "," })?;
        print_one(option, f)?;
        at += len_of(option);
    }
    // What the list's own reading leaves out: padding behind the end of the list, and what is not well-formed.
    let rest = &options.as_bytes()[at..];
    if rest.iter().all(|byte| *byte == 0) {
        return rest.iter().try_for_each(|_| f.write_str(",eol"));
    }
    f.write_str(if at == 0 { "bytes " } else { ",bytes " })?;
    print_hex(rest, f)
}

/// The list with its SACK blocks moved by `offset`.
pub(crate) fn shifted(options: &Options, offset: u32) -> Options {
    let Some(start) = sack_start(options) else { return *options };
    let (head, sack) = options.as_bytes().split_at(start);
    let len = usize::from(sack[1]);
    let mut bytes = head.to_vec();
    bytes.extend_from_slice(&sack[..2]);
    for edge in sack[2..len].chunks_exact(4) {
        let edge = u32::from_be_bytes([edge[0], edge[1], edge[2], edge[3]]);
        bytes.extend_from_slice(&edge.wrapping_add(offset).to_be_bytes());
    }
    // Further SACK options are moved by the same offset.
    let after = Options::from_bytes(&sack[len..]).map_or(Options::NONE, |rest| shifted(&rest, offset));
    bytes.extend_from_slice(after.as_bytes());
    Options::from_bytes(&bytes).unwrap_or(*options)
}

/// Reads the list up to and including its `>`; `None` for `...`.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Options>, TextError> {
    let mut options = Options::NONE;
    reader.skip_spaces();
    if reader.take("...") {
        reader.expect(">", "`>` behind `...`")?;
        return Ok(None);
    }
    if reader.take(">") {
        return Ok(Some(options));
    }
    loop {
        let name = reader.peek_word();
        let column = reader.column();
        read_one(name, reader, &mut options)?
            .map_err(|OptionsFull| TextError::OptionsFull { column, found: name.to_owned() })?;
        reader.skip_spaces();
        if reader.take(">") {
            return Ok(Some(options));
        }
        if !reader.take(",") {
            return Err(reader.unexpected("`,` or `>` behind an option"));
        }
    }
}

fn print_one(option: TcpOption<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let named = |f: &mut fmt::Formatter<'_>, name: &str, data: &[u8]| {
        f.write_str(name)?;
        f.write_str(if data.is_empty() { "" } else { " " })?;
        print_hex(data, f)
    };
    match option {
        TcpOption::End => f.write_str("eol"),
        TcpOption::Nop => f.write_str("nop"),
        TcpOption::Mss(mss) => write!(f, "mss {mss}"),
        TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
        TcpOption::SackPermitted => f.write_str("sackOK"),
        TcpOption::Sack(blocks) => {
            f.write_str("sack")?;
            blocks.iter().try_for_each(|(left, right)| write!(f, " {left}:{right}"))
        }
        TcpOption::Timestamps { val, ecr } => write!(f, "TS val {val} ecr {ecr}"),
        TcpOption::FastOpen(cookie) => named(f, "FO", cookie),
        TcpOption::FastOpenExperimental(cookie) => named(f, "FOEXP", cookie),
        TcpOption::Unknown { kind, data } => named(f, &format!("opt {kind}"), data),
    }
}

fn print_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Bytes that an option of a list takes.
fn len_of(option: TcpOption<'_>) -> usize {
    match option {
        TcpOption::End | TcpOption::Nop => 1,
        TcpOption::Mss(_) => 4,
        TcpOption::WindowScale(_) => 3,
        TcpOption::SackPermitted => 2,
        TcpOption::Sack(blocks) => 2 + 8 * blocks.iter().count(),
        TcpOption::Timestamps { .. } => 10,
        TcpOption::FastOpen(data) | TcpOption::Unknown { data, .. } => 2 + data.len(),
        TcpOption::FastOpenExperimental(cookie) => 4 + cookie.len(),
    }
}

/// Where the first SACK option starts.
fn sack_start(options: &Options) -> Option<usize> {
    let mut at = 0;
    for option in options.iter() {
        if let TcpOption::Sack(_) = option {
            return Some(at);
        }
        at += len_of(option);
    }
    None
}

/// Reads one option, `name` being the word that comes next, and appends it.
fn read_one(name: &str, reader: &mut Reader<'_>, options: &mut Options) -> Result<Result<(), OptionsFull>, TextError> {
    const EXPECTED: &str = "an option: mss, nop, eol, sackOK, wscale, TS, sack, FO, FOEXP, md5, ECN, opt or bytes";
    const NAMES: [&str; 13] =
        ["mss", "nop", "eol", "sackOK", "wscale", "TS", "sack", "FO", "FOEXP", "md5", "ECN", "opt", "bytes"];
    if !NAMES.contains(&name) || !reader.take_word(name) {
        return Err(reader.unexpected(EXPECTED));
    }
    Ok(match name {
        "mss" => options.push(TcpOption::Mss(reader.number_16("the maximum segment size")?)),
        "nop" => options.push(TcpOption::Nop),
        "eol" => options.push(TcpOption::End),
        "sackOK" => options.push(TcpOption::SackPermitted),
        "wscale" => options.push(TcpOption::WindowScale(reader.number_8("the shift of the window scale")?)),
        "TS" => {
            reader.expect_word("val", "`val` behind `TS`")?;
            let val = reader.number(u32::MAX, "the timestamp value")?;
            reader.expect_word("ecr", "`ecr` behind the timestamp value")?;
            options.push(TcpOption::Timestamps { val, ecr: reader.number(u32::MAX, "the echoed timestamp")? })
        }
        "sack" => options.push_sack(read_blocks(reader)?),
        "FO" => options.push(TcpOption::FastOpen(&reader.hex()?)),
        "FOEXP" => options.push(TcpOption::FastOpenExperimental(&reader.hex()?)),
        "md5" => options.push(TcpOption::Unknown { kind: 19, data: &reader.hex()? }),
        "ECN" => {
            let (kind, counters) = read_counters(reader)?;
            options.push(TcpOption::Unknown { kind, data: &counters })
        }
        "opt" => {
            let kind = reader.number_8("the kind of the option")?;
            options.push(TcpOption::Unknown { kind, data: &reader.hex()? })
        }
        _ => options.push_bytes(&reader.hex()?),
    })
}

/// Reads the counters of Accurate ECN (RFC 9768 3.2.3): `e0b 1 ceb 0 e1b 1`, or the other way round.
fn read_counters(reader: &mut Reader<'_>) -> Result<(u8, Vec<u8>), TextError> {
    let (kind, rest) = match reader.peek_word() {
        "e0b" => (172, ["ceb", "e1b"]),
        "e1b" => (174, ["ceb", "e0b"]),
        _ => return Err(reader.unexpected("`e0b` or `e1b` behind `ECN`")),
    };
    let mut counters = Vec::new();
    for name in [if kind == 172 { "e0b" } else { "e1b" }].into_iter().chain(rest) {
        if !reader.take_word(name) {
            break;
        }
        let count = reader.number(0x00ff_ffff, "a counter of 24 bits")?;
        counters.extend_from_slice(&count.to_be_bytes()[1..]);
    }
    Ok((kind, counters))
}

fn read_blocks(reader: &mut Reader<'_>) -> Result<Vec<(Seq, Seq)>, TextError> {
    let mut blocks = Vec::new();
    loop {
        let left = reader.number(u32::MAX, "the left edge of a SACK block")?;
        reader.expect(":", "`:` between the edges of a SACK block")?;
        let right = reader.number(u32::MAX, "the right edge of a SACK block")?;
        blocks.push((Seq(left), Seq(right)));
        if !reader.peek_word().starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(blocks);
        }
    }
}
