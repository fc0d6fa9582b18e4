//! ICMP messages.

use super::super::error::ScriptError;
use super::super::lexer::{Kind, Lexer};
use super::super::script::IcmpLine;
use super::{number, number_16, number_32, packet};
use crate::wire::IcmpKind;

/// Which version of IP knows a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Both,
    V4,
    V6,
}

/// Codes of `unreachable`: those of IPv4 but for `communication_prohibited` in the order of their numbers, 0 to 15.
const CODES: [(&str, Of, Option<IcmpKind>); 22] = [
    ("net_unreachable", Of::Both, Some(IcmpKind::NetUnreachable)),
    ("host_unreachable", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("protocol_unreachable", Of::V4, Some(IcmpKind::ProtocolUnreachable)),
    ("port_unreachable", Of::Both, Some(IcmpKind::PortUnreachable)),
    ("frag_needed", Of::V4, Some(IcmpKind::TooBig { mtu: 0 })),
    ("source_route_failed", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("net_unknown", Of::V4, Some(IcmpKind::NetUnreachable)),
    ("host_unknown", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("source_host_isolated", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("net_prohibited", Of::V4, Some(IcmpKind::AdminProhibited)),
    ("host_prohibited", Of::V4, Some(IcmpKind::AdminProhibited)),
    ("net_unreachable_for_tos", Of::V4, Some(IcmpKind::NetUnreachable)),
    ("host_unreachable_for_tos", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("packet_filtered", Of::V4, Some(IcmpKind::AdminProhibited)),
    ("precedence_violation", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("precedence_cutoff", Of::V4, Some(IcmpKind::HostUnreachable)),
    ("communication_prohibited", Of::V4, Some(IcmpKind::AdminProhibited)),
    ("no_route", Of::V6, Some(IcmpKind::NetUnreachable)),
    ("admin_prohibited", Of::V6, Some(IcmpKind::AdminProhibited)),
    ("not_neighbour", Of::V6, Some(IcmpKind::HostUnreachable)),
    ("beyond_scope", Of::V6, Some(IcmpKind::HostUnreachable)),
    ("address_unreachable", Of::V6, Some(IcmpKind::HostUnreachable)),
];

/// Types with their meaning without a code.
const TYPES: [(&str, Of, Option<IcmpKind>); 18] = [
    ("unreachable", Of::Both, Some(IcmpKind::NetUnreachable)),
    ("packet_too_big", Of::V6, Some(IcmpKind::TooBig { mtu: 0 })),
    ("time_exceeded", Of::Both, Some(IcmpKind::TimeExceeded)),
    ("parameter_problem", Of::Both, None),
    ("source_quench", Of::V4, None),
    ("redirect", Of::V4, None),
    ("echo_request", Of::Both, None),
    ("echo_reply", Of::Both, None),
    ("timestamp_request", Of::V4, None),
    ("timestamp_reply", Of::V4, None),
    ("information_request", Of::V4, None),
    ("information_reply", Of::V4, None),
    ("address_mask_request", Of::V4, None),
    ("address_mask_reply", Of::V4, None),
    ("router_solicitation", Of::V6, None),
    ("router_advertisement", Of::V6, None),
    ("neighbor_solicitation", Of::V6, None),
    ("neighbor_advertisement", Of::V6, None),
];

/// Codes of `time_exceeded`; a datagram that was never put together again says nothing about the path.
const TIME_CODES: [(&str, Of, Option<IcmpKind>); 4] = [
    ("ttl_exceeded_in_transit", Of::V4, Some(IcmpKind::TimeExceeded)),
    ("frag_reass_exceeded", Of::V4, None),
    ("exceeded_hop_limit", Of::V6, Some(IcmpKind::TimeExceeded)),
    ("exceeded_frag_time", Of::V6, None),
];

/// Codes of `parameter_problem`: hosts ignore but one, the ICMPv6 for a protocol that nobody knows.
const PROBLEMS: [(&str, Of, Option<IcmpKind>); 1] =
    [("unknown_next_header", Of::V6, Some(IcmpKind::ProtocolUnreachable))];

/// Reads what follows `icmp`.
pub(super) fn icmp(lexer: &mut Lexer<'_>) -> Result<IcmpLine, ScriptError> {
    let token = lexer.next()?;
    let Kind::Word(name) = &token.kind else { return Err(lexer.unexpected(&token, "a type of ICMP message")) };
    let Some(&(_, mut of, mut kind)) = TYPES.iter().find(|(known, ..)| known == name) else {
        return Err(lexer.unexpected(&token, "a type of ICMP message: unreachable, packet_too_big, time_exceeded, …"));
    };
    let code = lexer.peek()?;
    if let Kind::Word(word) = &code.kind
        && !matches!(word.as_str(), "mtu" | "id")
    {
        lexer.next()?;
        let codes: &[_] = match name.as_str() {
            "unreachable" => &CODES,
            "time_exceeded" => &TIME_CODES,
            "parameter_problem" => &PROBLEMS,
            _ => &[],
        };
        match codes.iter().find(|(known, ..)| known == word) {
            Some(&(_, code_of, code_kind)) => (of, kind) = (if of == Of::Both { code_of } else { of }, code_kind),
            None if name == "unreachable" && numbered(word).is_some() => kind = numbered(word).unwrap_or(kind),
            // Codes by their number change nothing for messages that hosts ignore.
            None if kind.is_none() => {}
            None => return Err(lexer.unexpected(&code, "a code of this type of ICMP message, `mtu` or `[`")),
        }
    }
    if lexer.take_word("mtu")? {
        let next_hop = number_16(lexer, "the MTU of the next hop")?;
        if let Some(IcmpKind::TooBig { mtu }) = &mut kind {
            *mtu = next_hop;
        } else {
            return Err(lexer.unexpected(&token, "a message that has an MTU: unreachable frag_needed, packet_too_big"));
        }
    }
    if lexer.take_word("id")? {
        number_16(lexer, "the identifier of an echo")?;
    }
    let mut line = IcmpLine { kind, v6_only: of == Of::V6, v4_only: of == Of::V4, quote: None, about_udp: false };
    if lexer.take('[')? {
        quote(lexer, &mut line)?;
    }
    Ok(line)
}

/// What `code_7` of `unreachable` means.
fn numbered(word: &str) -> Option<Option<IcmpKind>> {
    let code: usize = word.strip_prefix("code_")?.parse().ok()?;
    CODES.get(code).filter(|_| code < 16).map(|(.., kind)| *kind)
}

/// Reads what the message is about, behind `[`.
pub(super) fn quote(lexer: &mut Lexer<'_>, line: &mut IcmpLine) -> Result<(), ScriptError> {
    if lexer.take_word("udp")? {
        line.about_udp = true;
        lexer.expect('(', "`(` before the length")?;
        number(lexer, u16::MAX.into(), "the length of the datagram")?;
        lexer.expect(')', "`)` behind the length")?;
    } else if lexer.take_word("raw")? {
        lexer.expect('(', "`(` before the length")?;
        number(lexer, u16::MAX.into(), "the length of the message")?;
        lexer.expect(')', "`)` behind the length")?;
    } else {
        let (start, len) = packet::range(lexer, number_32)?;
        line.quote = Some((start, len.into()));
        packet::encapsulation(lexer)?;
    }
    lexer.expect(']', "`]` behind what the message is about")
}
