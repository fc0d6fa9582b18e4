//! Control bits as letters.

use super::TextError;
use super::reader::Reader;
use crate::wire::Flags;

/// In printing order.
const LETTERS: [(char, Flags); 9] = [
    ('F', Flags::FIN),
    ('S', Flags::SYN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('U', Flags::URG),
    ('E', Flags::ECE),
    ('W', Flags::CWR),
    ('A', Flags::AE),
    ('.', Flags::ACK),
];

/// The flags as letters: `S.`, `FP.`, `-` for none.
pub fn flags_text(flags: Flags) -> String {
    let letters: String = LETTERS.iter().filter(|(_, flag)| flags.contains(*flag)).map(|(letter, _)| letter).collect();
    if letters.is_empty() { "-".to_owned() } else { letters }
}

/// The flags that `text` spells, each letter once, in any order; `-` for none.
pub fn parse_flags(text: &str) -> Result<Flags, TextError> {
    let mut reader = Reader::new(text);
    let flags = read_flags(&mut reader)?;
    reader.end("the end of the flags")?;
    Ok(flags)
}

pub(super) fn read_flags(reader: &mut Reader<'_>) -> Result<Flags, TextError> {
    const EXPECTED: &str = "flags, each of `FSRPUEWA.` once or `-` for none";
    reader.skip_spaces();
    if reader.take("-") {
        return Ok(Flags::empty());
    }
    let mut flags = Flags::empty();
    while let Some(letter) = reader.peek().filter(|c| !c.is_whitespace()) {
        match LETTERS.iter().find(|(known, _)| *known == letter) {
            Some((_, flag)) if !flags.contains(*flag) => flags |= *flag,
            _ => return Err(reader.unexpected(EXPECTED)),
        }
        reader.advance();
    }
    if flags.is_empty() { Err(reader.unexpected(EXPECTED)) } else { Ok(flags) }
}
