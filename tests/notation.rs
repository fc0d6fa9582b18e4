//! The notation of packets, line by line.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]

use wirefate::wire::{
    Body, BodyText, Datagram, Flags, Icmp, IcmpKind, Notation, Options, Packet, Payload, PayloadLength, Segment,
    SegmentText, Seq, TcpOption, TextError, flags_text, parse_flags, quote_of,
};

const ISS: Seq = Seq(4_000_000_000);
const IRS: Seq = Seq(77);

fn read(text: &str) -> SegmentText {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn segment(text: &str) -> Segment {
    let text = read(text);
    let payload = vec![7; text.len as usize].into();
    text.into_segment(ISS, IRS, payload).unwrap()
}

#[test]
fn lines_print_as_they_were_read() {
    for line in [
        "S 0:0(0) win 64240 <mss 1460,sackOK,TS val 0 ecr 0,nop,wscale 7>",
        "S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 0 ecr 1000,nop,wscale 7>",
        "S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,eol,eol>",
        ". 1:1(0) ack 1 win 502",
        "P. 1:6(5) ack 1 win 502",
        "FP. 1:6(5) ack 1 win 502",
        "F. 1:1(0) ack 1",
        "R 1:1(0)",
        "- 1:1(0)",
        "SEW 0:0(0) win 1",
        "SE. 0:0(0) ack 1 win 1",
        "FSRPUEWA. 4294967290:4(10) ack 4294967295 win 65535 urg 65535",
        "PU. 1:6(5) ack 1 win 502 urg 5",
        ". 1:1(0) ack 1 win 502 <nop,nop,sack 1:1001 2001:3001>",
        ". 1:1(0) ack 1 <...>",
        ". 1:1(0) ack 1 <>",
        "S 0:0(0) win 1 <FO>",
        "S 0:0(0) win 1 <FO 3021b9d889017eeb,nop,nop>",
        "S 0:0(0) win 1 <FOEXP>",
        "S 0:0(0) win 1 <FOEXP 3021b9d889017eeb>",
        "S 0:0(0) win 1 <opt 99,opt 100 0102,nop,nop>",
        "S 0:0(0) win 1 <opt 2 05>",
        "S 0:0(0) win 1 <eol,bytes 0102>",
        "S 0:0(0) win 1 <nop,bytes 02>",
        "udp (100)",
        "raw (40)",
        "icmp net_unreachable",
        "icmp host_unreachable",
        "icmp protocol_unreachable",
        "icmp port_unreachable [1]",
        "icmp admin_prohibited",
        "icmp time_exceeded",
        "icmp frag_needed mtu 1400 [1:1461(1460)]",
    ] {
        assert_eq!(line.parse::<BodyText>().map(|text| text.to_string()), Ok(line.to_owned()));
    }
}

#[test]
fn spaces_case_and_order_are_forgiven_where_nothing_is_meant_by_them() {
    assert_eq!(
        read("  .P  1 : 6 ( 5 )  ack 1   < nop , sack 1:2  3:4 > ").to_string(),
        "P. 1:6(5) ack 1 <nop,sack 1:2 3:4>"
    );
    assert_eq!(read("S 0:0(0) <FO 3021B9D889017EEB>").to_string(), "S 0:0(0) <FO 3021b9d889017eeb>");
}

#[test]
fn segments_are_relative_to_their_bases() {
    let sent = segment("P. 1:6(5) ack 1 win 502 <nop,nop,sack 11:21,nop,sack 31:41>");
    assert_eq!((sent.seq, sent.ack, sent.window, sent.payload.len()), (Seq(4_000_000_001), Seq(78), 502, 5));
    let mut options = Options::NONE;
    for option in [TcpOption::Nop, TcpOption::Nop] {
        options.push(option).unwrap();
    }
    options.push_sack([(Seq(88), Seq(98))]).unwrap();
    options.push(TcpOption::Nop).unwrap();
    options.push_sack([(Seq(108), Seq(118))]).unwrap();
    assert_eq!(sent.options, options);
    assert_eq!(
        SegmentText::of(&sent, Notation::ABSOLUTE).to_string(),
        "P. 4000000001:4000000006(5) ack 78 win 502 <nop,nop,sack 88:98,nop,sack 108:118>"
    );
    let arrival = Notation { seq_base: ISS, ack_base: IRS, options: false, window: false };
    assert_eq!(SegmentText::of(&sent, arrival).to_string(), "P. 1:6(5) ack 1");
}

#[test]
fn what_is_not_written_is_harmless() {
    let ack = segment(". 1:1(0)");
    assert_eq!((ack.ack, ack.window, ack.urgent, ack.options), (IRS, u16::MAX, 0, Options::NONE));
    assert_eq!(segment("R 1:1(0)").ack, Seq(0));
    let wrong = read("P. 1:6(5)").into_segment(ISS, IRS, Payload::EMPTY);
    assert_eq!(wrong, Err(PayloadLength { written: 5, given: 0 }));
}

#[test]
fn a_pattern_leaves_open_what_it_does_not_say() {
    let seen = segment("P. 1:6(5) ack 1 win 502 <nop,nop,TS val 5 ecr 6>");
    for (pattern, holds) in [
        ("P. 1:6(5)", true),
        ("P. 1:6(5) ack 1", true),
        ("P. 1:6(5) ack 1 win 502", true),
        ("P. 1:6(5) <...>", true),
        ("P. 1:6(5) <nop,nop,TS val 5 ecr 6>", true),
        ("P. 1:6(5) urg 0", true),
        (". 1:6(5)", false),
        ("P. 2:7(5)", false),
        ("P. 1:5(4)", false),
        ("P. 1:6(5) ack 2", false),
        ("P. 1:6(5) win 501", false),
        ("P. 1:6(5) urg 1", false),
        ("P. 1:6(5) <>", false),
        ("P. 1:6(5) <nop,nop,TS val 5 ecr 7>", false),
    ] {
        assert_eq!(read(pattern).matches(&seen, ISS, IRS), holds, "{pattern}");
    }
    assert!(read("R 1:1(0) <>").matches(&segment("R 1:1(0)"), ISS, IRS));
}

#[test]
fn icmp_shows_what_it_quotes() {
    let about = Body::Tcp(segment("P. 1:6(5) ack 1 win 502"));
    let text = |about: &Packet, kind| {
        let error = Body::Icmp(Icmp { kind, quote: quote_of(about) });
        // The error travels against the stream that it quotes.
        BodyText::of(&error, Notation::relative(IRS, ISS)).to_string()
    };
    let v4 = Packet::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), about.clone());
    assert_eq!(text(&v4, IcmpKind::HostUnreachable), "icmp host_unreachable [1]");
    let v6 = Packet::new([1; 16].into(), [2; 16].into(), about);
    assert_eq!(text(&v6, IcmpKind::TooBig { mtu: 1280 }), "icmp frag_needed mtu 1280 [1:6(5)]");
    let udp = Packet::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Body::Udp(Datagram::default()));
    assert_eq!(text(&udp, IcmpKind::PortUnreachable), "icmp port_unreachable");
}

#[test]
fn flags_are_letters() {
    assert_eq!(flags_text(Flags::FIN | Flags::PSH | Flags::ACK), "FP.");
    assert_eq!(flags_text(Flags::empty()), "-");
    assert_eq!(parse_flags(".PF"), Ok(Flags::FIN | Flags::PSH | Flags::ACK));
    assert_eq!(parse_flags("-"), Ok(Flags::empty()));
    for (wrong, column) in [("", 1), ("PP", 2), ("P-", 2), ("p", 1), ("S. x", 4), ("Sé", 2)] {
        assert_eq!(parse_flags(wrong).map_err(|error| error.column()), Err(column), "{wrong}");
    }
}

#[test]
fn mistakes_name_their_place() {
    for (text, error) in [
        ("", "column 1: the text ends where flags, each of `FSRPUEWA.` once or `-` for none is expected"),
        ("X. 1:6(5)", "column 1: found `X.`, expected flags, each of `FSRPUEWA.` once or `-` for none"),
        ("P. 1:6", "column 7: the text ends where `(` before the length of the data is expected"),
        ("P. 1-6(5)", "column 5: found `-6`, expected `:` between start and end of the data"),
        ("P. 1:7(5)", "column 6: found the end 7, expected 6"),
        ("P. 1:6(5) ak 1", "column 11: found `ak`, expected `ack`, `win`, `urg`, options in `<>` or the end"),
        ("P. 1:6(5) ack", "column 14: the text ends where the acknowledgment number is expected"),
        ("P. 1:6(5) win 1 ack 1", "column 17: found `ack`, expected `urg`, options in `<>` or the end"),
        ("P. 1:6(5) win 70000", "column 15: found 70000, expected a number up to 65535"),
        ("P. 4294967296:1(5)", "column 4: found 4294967296, expected a number up to 4294967295"),
        (". 1:1(0) <mss>", "column 14: found `>`, expected the maximum segment size"),
        (". 1:1(0) <mss 9", "column 16: the text ends where `,` or `>` behind an option is expected"),
        (". 1:1(0) <FO 123>", "column 14: found `123`, expected bytes in hexadecimal, two digits each"),
        (". 1:1(0) <TS val 1>", "column 19: found `>`, expected `ecr` behind the timestamp value"),
        ("icmp frag_needed", "column 17: the text ends where `mtu` behind `frag_needed` is expected"),
        ("udp 100", "column 5: found `100`, expected `(` before the length"),
        ("udp (100) x", "column 11: found `x`, expected the end of the packet"),
    ] {
        assert_eq!(text.parse::<BodyText>().map_err(|error| error.to_string()), Err(error.to_owned()), "{text}");
    }
    let full = format!(". 1:1(0) <{}mss 1460>", "TS val 1 ecr 2,".repeat(4));
    let expected = TextError::OptionsFull { column: 71, found: "mss".to_owned() };
    assert_eq!(full.parse::<BodyText>(), Err(expected));
}
