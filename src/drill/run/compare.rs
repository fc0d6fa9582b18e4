//! Whether a segment is the one that a script expects.

use crate::drill::script::{IpInfo, SeqCheck, TcpLine, Tos};
use crate::wire::{Flags, Options, OptionsText, Segment, SegmentText, Seq};

/// What differs first, in the order in which the stock tool looks.
pub(super) fn difference(expected: &TcpLine, actual: &Segment) -> Option<String> {
    let wanted = expected.options.map(|options| options.padded());
    let found = actual.options.padded();
    let field = |name: &str, expected: &dyn std::fmt::Display, actual: &dyn std::fmt::Display| {
        Some(format!("{name}: expected {expected}, found {actual}"))
    };
    if let Some(wanted) = wanted
        && wanted.padded_len() != found.padded_len()
    {
        return field("length of the options", &wanted.padded_len(), &found.padded_len());
    }
    if let Some((name, wanted, found)) = flag_difference(expected, actual.flags) {
        return field(name, &u8::from(wanted), &u8::from(found));
    }
    if expected.seq_check != SeqCheck::Ignored && Seq(expected.seq) != actual.seq {
        return field("sequence number", &expected.seq, &actual.seq.0);
    }
    if Seq(expected.ack) != actual.ack {
        return field("acknowledgment number", &expected.ack, &actual.ack.0);
    }
    if let Some(window) = expected.window
        && window != actual.window
    {
        return field("window", &window, &actual.window);
    }
    if expected.urgent != actual.urgent {
        return field("urgent pointer", &expected.urgent, &actual.urgent);
    }
    match wanted {
        Some(wanted) if masked(&wanted) != masked(&found) => Some("the options differ".to_owned()),
        _ => None,
    }
}

/// The first flag that differs: its name, and whether it is set.
fn flag_difference(expected: &TcpLine, actual: Flags) -> Option<(&'static str, bool, bool)> {
    const NAMES: [(&str, Flags); 6] = [
        ("FIN", Flags::FIN),
        ("SYN", Flags::SYN),
        ("RST", Flags::RST),
        ("PSH", Flags::PSH),
        ("ACK", Flags::ACK),
        ("URG", Flags::URG),
    ];
    const ECN: [(&str, Flags); 3] = [("ECE", Flags::ECE), ("CWR", Flags::CWR), ("AE", Flags::AE)];
    let mut all = NAMES.into_iter().chain(ECN);
    all.find_map(|(name, flag)| {
        let (wanted, found) = (expected.flags.contains(flag), actual.contains(flag));
        (wanted != found).then_some((name, wanted, found))
    })
}

/// The bytes of a list without those that are not compared: timestamps.
fn masked(options: &Options) -> Vec<u8> {
    super::sock::with_ts(options, 0, 0).as_bytes().to_vec()
}

/// What differs in the IP header.
pub(super) fn ip_difference(expected: &IpInfo, tos: u8, ttl: u8) -> Option<String> {
    let bits = tos & 3;
    let wrong = match expected.tos {
        Some(Tos::Ecn(wanted)) if wanted != bits => format!("ECN bits: expected {wanted}, found {bits}"),
        Some(Tos::Ect01) if bits != 1 && bits != 2 => format!("ECN bits: expected 1 or 2, found {bits}"),
        Some(Tos::Dscp(wanted)) if wanted != tos >> 2 => format!("DSCP: expected {wanted}, found {}", tos >> 2),
        Some(Tos::All(wanted)) if wanted != tos => format!("type of service: expected {wanted:#04x}, found {tos:#04x}"),
        _ => match expected.ttl {
            Some(wanted) if wanted != ttl => format!("time to live: expected {wanted}, found {ttl}"),
            _ => return None,
        },
    };
    Some(wrong)
}

/// Whether two segments that follow each other may be taken for one that the host cut in two: only FIN, PSH and CWR
/// may differ.
pub(super) fn continues(before: &Segment, next: &Segment) -> Result<(), String> {
    let may = Flags::FIN | Flags::PSH | Flags::CWR;
    if before.flags - may != next.flags - may {
        return Err("the flags of its parts differ".to_owned());
    }
    if before.seq + before.payload.len() != next.seq {
        return Err("its parts do not follow each other".to_owned());
    }
    if before.ack != next.ack || before.urgent != next.urgent || before.window != next.window {
        return Err("acknowledgment number, window or urgent pointer of its parts differ".to_owned());
    }
    if before.options.padded_len() != next.options.padded_len() {
        return Err("the options of its parts differ in length".to_owned());
    }
    Ok(())
}

/// The expected segment in the notation.
pub(super) fn expected_text(line: &TcpLine) -> String {
    let text = SegmentText {
        flags: line.flags,
        start: line.seq,
        len: line.len.into(),
        ack: (line.flags.contains(Flags::ACK) || line.ack != 0).then_some(line.ack),
        window: line.window,
        urgent: (line.urgent != 0).then_some(line.urgent),
        options: match line.options {
            Some(options) if options.is_empty() => OptionsText::Unwritten,
            Some(options) => OptionsText::List(options),
            None => OptionsText::Any,
        },
    };
    text.to_string()
}
