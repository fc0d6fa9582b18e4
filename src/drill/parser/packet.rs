//! Packets.

use super::super::error::{Mistake, ScriptError};
use super::super::lexer::{Kind, Lexer};
use super::super::script::{IcmpLine, IpInfo, PacketBody, PacketLine, SeqCheck, TcpLine, Tos, TsCheck};
use super::icmp::icmp;
use super::{number, number_8, number_16, number_32};
use crate::wire::{Flags, Options, OptionsText, TextError, parse_flags};
use std::ops::Range;

/// Reads what follows the `<` or `>` of a packet.
pub(super) fn packet(lexer: &mut Lexer<'_>, outbound: bool) -> Result<PacketLine, ScriptError> {
    if let Some(icmp) = quote_first(lexer)? {
        let body = PacketBody::Icmp(icmp);
        return Ok(PacketLine { outbound, ip: IpInfo::default(), ports: None, encapsulated: None, body });
    }
    let ip = ip_info(lexer, outbound)?;
    let mut ports = ports(lexer)?;
    let first = lexer.peek()?;
    let mut encapsulated = None;
    let body = match &first.kind {
        Kind::Word(word) if matches!(word.as_str(), "ipv4" | "ipv6" | "gre" | "GREv0" | "mpls" | "encap" | "psp") => {
            return Err(lexer.error(first.span, Mistake::Unsupported(format!("a packet within `{word}`"))));
        }
        Kind::Word(word) if matches!(word.as_str(), "sctp" | "udplite") => {
            return Err(lexer.error(first.span, Mistake::Unsupported(format!("the protocol {word}"))));
        }
        Kind::Word(word) if word == "udp" => {
            lexer.next()?;
            ports = self::ports(lexer)?.or(ports);
            lexer.expect('(', "`(` before the length of the datagram")?;
            let len = number_16(lexer, "the length of the datagram")?;
            lexer.expect(')', "`)` behind the length of the datagram")?;
            PacketBody::Udp { len }
        }
        Kind::Word(word) if word == "icmp" => {
            lexer.next()?;
            PacketBody::Icmp(icmp(lexer)?)
        }
        _ => {
            let line = segment(lexer, outbound)?;
            encapsulated = encapsulation(lexer)?;
            PacketBody::Tcp(line)
        }
    };
    Ok(PacketLine { outbound, ip, ports, encapsulated, body })
}

/// `[1:1461(1460)] icmp unreachable …`: the oldest scripts say first what a message is about.
fn quote_first(lexer: &mut Lexer<'_>) -> Result<Option<IcmpLine>, ScriptError> {
    let mut ahead = lexer.clone();
    if !ahead.take('[')? || !matches!(ahead.peek()?.kind, Kind::Int(_)) {
        return Ok(None);
    }
    lexer.next()?;
    let mut about = IcmpLine { kind: None, v6_only: false, v4_only: false, quote: None, about_udp: false };
    super::icmp::quote(lexer, &mut about)?;
    let token = lexer.next()?;
    if token.kind != Kind::Word("icmp".to_owned()) {
        return Err(lexer.unexpected(&token, "`icmp` behind what the message is about"));
    }
    Ok(Some(IcmpLine { quote: about.quote, about_udp: about.about_udp, ..icmp(lexer)? }))
}

/// `[ect0]`, `(tos 0x10, ttl 5)`.
fn ip_info(lexer: &mut Lexer<'_>, outbound: bool) -> Result<IpInfo, ScriptError> {
    let end = match lexer.peek()?.kind {
        Kind::Char('(') => ')',
        Kind::Char('[') => ']',
        _ => return Ok(IpInfo::default()),
    };
    lexer.next()?;
    let mut info = IpInfo::default();
    loop {
        let token = lexer.next()?;
        let expected =
            "what is in an IP header: noecn, ect0, ect1, ect01, ce, tos, class, dscp, ecn, ttl, hlim, flowlabel";
        let Kind::Word(word) = &token.kind else { return Err(lexer.unexpected(&token, expected)) };
        match word.as_str() {
            "ect01" if !outbound => return Err(lexer.error(token.span, Mistake::OutboundOnly("`ect01`"))),
            "ect01" => info.tos = Some(Tos::Ect01),
            "tos" | "class" => info.tos = Some(Tos::All(number_8(lexer, "the type of service")?)),
            "ttl" | "hlim" => info.ttl = Some(number_8(lexer, "the time to live")?),
            "flowlabel" => {
                let label = number(lexer, 0xf_ffff, "a flow label of 20 bits")?;
                info.flow_label = u32::try_from(label).ok();
            }
            "dscp" => info.tos = Some(Tos::Dscp(dscp(lexer)?)),
            "ecn" => {
                let token = lexer.next()?;
                let bits = if let Kind::Word(word) = &token.kind { ecn(word) } else { None };
                info.tos = Some(Tos::Ecn(bits.ok_or_else(|| lexer.unexpected(&token, "noecn, ect0, ect1 or ce"))?));
            }
            word => {
                info.tos = Some(Tos::Ecn(ecn(word).ok_or_else(|| lexer.unexpected(&token, expected))?));
            }
        }
        if !lexer.take(',')? {
            break;
        }
    }
    lexer.expect(end, if end == ')' { "`,` or `)`" } else { "`,` or `]`" })?;
    Ok(info)
}

/// The two bits of RFC 3168 5.
fn ecn(word: &str) -> Option<u8> {
    Some(match word {
        "noecn" => 0,
        "ect1" => 1,
        "ect0" => 2,
        "ce" => 3,
        _ => return None,
    })
}

/// A code point by its number or its name (RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622).
fn dscp(lexer: &mut Lexer<'_>) -> Result<u8, ScriptError> {
    let token = lexer.peek()?;
    let Kind::Word(word) = &token.kind else {
        let n = number(lexer, 63, "a code point of 6 bits")?;
        return Ok(u8::try_from(n).unwrap_or(u8::MAX));
    };
    let digit = |at: usize| word.as_bytes().get(at).map_or(0, |b| b.wrapping_sub(b'0'));
    let point = match word.as_str() {
        "ef" => 46,
        "le" => 1,
        "voice" => 44,
        _ if word.len() == 3 && word.starts_with("cs") && digit(2) <= 7 => 8 * digit(2),
        _ if word.len() == 4 && word.starts_with("af") && digit(2) <= 4 && digit(3) <= 3 => 8 * digit(2) + 2 * digit(3),
        _ => return Err(lexer.unexpected(&token, "a code point: a number, cs0 to cs7, af11 to af43, ef, le")),
    };
    lexer.next()?;
    if point == 44 {
        lexer.expect('-', "`voice-admit`")?;
        lexer.next()?;
    }
    Ok(point)
}

/// `1234 > 8080`.
fn ports(lexer: &mut Lexer<'_>) -> Result<Option<(u16, u16)>, ScriptError> {
    if !matches!(lexer.peek()?.kind, Kind::Int(_)) {
        return Ok(None);
    }
    let source = number_16(lexer, "the source port")?;
    lexer.expect('>', "`>` between two ports, or the flags of a segment")?;
    Ok(Some((source, number_16(lexer, "the destination port")?)))
}

/// `/udp(9811 > 8080)`.
pub(super) fn encapsulation(lexer: &mut Lexer<'_>) -> Result<Option<(u16, u16)>, ScriptError> {
    if !lexer.take('/')? {
        return Ok(None);
    }
    if !lexer.take_word("udp")? {
        let token = lexer.next()?;
        return Err(lexer.unexpected(&token, "`udp` behind `/`"));
    }
    lexer.expect('(', "`(` before the ports")?;
    let token = lexer.peek()?;
    let both = ports(lexer)?.ok_or_else(|| lexer.unexpected(&token, "two ports, as in `9811 > 8080`"))?;
    lexer.expect(')', "`)` behind the ports")?;
    Ok(Some(both))
}

/// Reads `start:end(length)`.
pub(super) fn range(
    lexer: &mut Lexer<'_>,
    start: impl Fn(&mut Lexer<'_>, &'static str) -> Result<u32, ScriptError>,
) -> Result<(u32, u16), ScriptError> {
    let from = start(lexer, "a sequence number, as in `1:6(5)`")?;
    lexer.expect(':', "`:` between start and end of the data")?;
    let token = lexer.peek()?;
    let end = number_32(lexer, "the sequence number behind the data")?;
    lexer.expect('(', "`(` before the length of the data")?;
    let len = number_16(lexer, "the length of the data")?;
    lexer.expect(')', "`)` behind the length of the data")?;
    let expected = u64::from(from) + u64::from(len);
    if expected == u64::from(end) || from.wrapping_add(len.into()) == end {
        return Ok((from, len));
    }
    Err(lexer.error(token.span, Mistake::Length { found: end.into(), expected }))
}

/// Reads a segment, from its flags on.
fn segment(lexer: &mut Lexer<'_>, outbound: bool) -> Result<TcpLine, ScriptError> {
    let (word, span) = lexer.raw_word()?;
    let (flags, ace) = flags(&word).map_err(|error| {
        let TextError::Unexpected { found, .. } = error else {
            return lexer.error(span.clone(), Mistake::Options(error));
        };
        let found = if found.is_empty() { word.clone() } else { found };
        let expected = "flags, each of `FSRPUEWA.` once or `-` for none".to_owned();
        lexer.error(span.clone(), Mistake::Unexpected { found, expected })
    })?;
    let (seq, len, seq_check) = if lexer.peek()?.kind == Kind::Ellipsis {
        lexer.next()?;
        lexer.expect('(', "`(` before the length of the data")?;
        let len = number_16(lexer, "the length of the data")?;
        lexer.expect(')', "`)` behind the length of the data")?;
        (0, len, SeqCheck::Ignored)
    } else {
        let (seq, len) = range(lexer, number_32)?;
        (seq, len, if lexer.take('!')? { SeqCheck::Absolute } else { SeqCheck::Relative })
    };
    let ack = if lexer.take_word("ack")? { number_32(lexer, "the acknowledgment number")? } else { 0 };
    let window = if lexer.take_word("win")? { Some(number_16(lexer, "the window")?) } else { None };
    let urgent = if lexer.take_word("urg")? { number_16(lexer, "the urgent pointer")? } else { 0 };
    let (options, ts) = options(lexer, outbound)?;
    if window.is_none() && !outbound {
        return Err(lexer.error(span, Mistake::NoWindow));
    }
    Ok(TcpLine { flags, ace, seq, len, seq_check, ack, window, urgent, options, ts })
}

/// Flags as letters, and whether a digit among them stands for AE, CWR and ECE (`.5`, RFC 9768).
fn flags(word: &str) -> Result<(Flags, bool), TextError> {
    let Some(at) = word.find(|c: char| ('0'..='7').contains(&c)) else { return Ok((parse_flags(word)?, false)) };
    let letters: String = word.chars().filter(|c| !c.is_ascii_digit()).collect();
    let mut flags = if letters.is_empty() { Flags::empty() } else { parse_flags(&letters)? };
    let count = word.as_bytes()[at] - b'0';
    for (bit, flag) in [(4, Flags::AE), (2, Flags::CWR), (1, Flags::ECE)] {
        flags.set(flag, count & bit != 0);
    }
    // As the stock tool has it: `.0` says nothing about the three bits but that they are clear.
    Ok((flags, count != 0))
}

/// Reads `<...>`, `<mss 1460,nop,wscale 7>`, or nothing.
fn options(lexer: &mut Lexer<'_>, outbound: bool) -> Result<(Option<Options>, TsCheck), ScriptError> {
    let open = lexer.peek()?;
    // On the next line, a `<` is behind the time of an event.
    if open.kind != Kind::Char('<') {
        return Ok((Some(Options::NONE), TsCheck::default()));
    }
    lexer.next()?;
    let inner = lexer.raw_until('>', "<", ">")?;
    let text = lexer.text(inner.clone());
    if text.trim() == "..." {
        if outbound {
            return Ok((None, TsCheck::default()));
        }
        return Err(lexer.error(open.span.start..inner.end, Mistake::OutboundOnly("`<...>`")));
    }
    if text.contains("md5 valid") {
        return Err(lexer.error(inner, Mistake::Unsupported("a signature of TCP MD5".to_owned())));
    }
    let Plain { text: plain, places, ts } = Plain::of(lexer, text, inner.start);
    let read = plain.parse::<OptionsText>().map_err(|error| {
        // Columns count from 1, and the first is the `<`.
        let at = places.get(error.column().saturating_sub(2)).copied().unwrap_or(inner.end);
        let len = match &error {
            TextError::Unexpected { found, .. } | TextError::Range { found, .. } => found.len(),
            TextError::Length { .. } | TextError::OptionsFull { .. } => 1,
        };
        lexer.error(at..(at + len).min(inner.end), Mistake::Options(error))
    })?;
    let OptionsText::List(list) = read else { return Ok((None, ts)) };
    let bytes = list.as_bytes().len();
    if bytes % 4 != 0 {
        return Err(lexer.error(open.span.start..inner.end + 1, Mistake::Unpadded { bytes }));
    }
    Ok((Some(list), ts))
}

/// Options in the project's own notation, with the place that each character comes from.
struct Plain {
    text: String,
    places: Vec<usize>,
    ts: TsCheck,
}

impl Plain {
    /// Puts values in for defines, and one spelling for several.
    fn of(lexer: &Lexer<'_>, text: &str, start: usize) -> Plain {
        let mut plain = Plain { text: "<".to_owned(), places: Vec::new(), ts: TsCheck::default() };
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            let (taken, put): (usize, &str) = if rest.starts_with("exp-FO") || rest.starts_with("EXP-FO") {
                (6, "FOEXP")
            } else if rest.starts_with("...") {
                plain.ts.val_ignored = true;
                (3, "0")
            } else if c == '!' {
                plain.ts.ecr_absolute = true;
                (1, " ")
            } else {
                let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let word = word.max(c.len_utf8());
                let own = &rest[..word];
                (word, lexer.defined(own).unwrap_or(own))
            };
            plain.push(put, start + at..start + at + taken);
            at += taken;
        }
        plain.text.push('>');
        plain
    }

    fn push(&mut self, put: &str, from: Range<usize>) {
        self.text.push_str(put);
        let last = from.end.saturating_sub(1).max(from.start);
        self.places.extend((0..put.chars().count()).map(|n| (from.start + n).min(last)));
    }
}
