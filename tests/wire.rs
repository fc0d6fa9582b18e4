//! Packets, their bytes and their text: each turns into the others and back, and nothing that arrives makes them panic.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test for no part of it")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{RngAlgorithm, RngSeed};
use std::net::IpAddr;
use wirefate::wire::{
    Body, BodyText, Datagram, Flags, Icmp, IcmpKind, Notation, Options, Packet, Payload, Segment, SegmentText, Seq,
    TcpOption, emit, flags_text, parse, parse_flags, parse_raw, quote_of,
};

/// The same cases on every machine and in every run.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(9293),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn data(max: usize) -> impl Strategy<Value = Payload> {
    vec(any::<u8>(), 0..=max).prop_map(Payload::from)
}

fn bytes_of(option: TcpOption<'_>) -> Vec<u8> {
    let mut options = Options::NONE;
    options.push(option).unwrap();
    options.as_bytes().to_vec()
}

fn sack_bytes(blocks: Vec<(u32, u32)>) -> Vec<u8> {
    let mut options = Options::NONE;
    options.push_sack(blocks.into_iter().map(|(left, right)| (Seq(left), Seq(right)))).unwrap();
    options.as_bytes().to_vec()
}

/// One option as its bytes: each kind we know, kinds we do not, and now and then plain bytes.
fn option_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u16>().prop_map(|mss| bytes_of(TcpOption::Mss(mss))),
        any::<u8>().prop_map(|shift| bytes_of(TcpOption::WindowScale(shift))),
        select(vec![TcpOption::SackPermitted, TcpOption::Nop, TcpOption::End]).prop_map(bytes_of),
        any::<(u32, u32)>().prop_map(|(val, ecr)| bytes_of(TcpOption::Timestamps { val, ecr })),
        vec(any::<(u32, u32)>(), 1..=4).prop_map(sack_bytes),
        vec(any::<u8>(), 0..=16).prop_map(|cookie| bytes_of(TcpOption::FastOpen(&cookie))),
        vec(any::<u8>(), 0..=16).prop_map(|cookie| bytes_of(TcpOption::FastOpenExperimental(&cookie))),
        (2u8.., vec(any::<u8>(), 0..=10)).prop_map(|(kind, data)| bytes_of(TcpOption::Unknown { kind, data: &data })),
        vec(any::<u8>(), 0..=3),
    ]
}

/// Options, padded as whoever builds a segment pads them.
fn options() -> impl Strategy<Value = Options> {
    vec(option_bytes(), 0..=6).prop_map(|list| {
        let mut options = Options::NONE;
        for bytes in list {
            // What does not fit any more is left out.
            let _ = options.push_bytes(&bytes);
        }
        options.padded()
    })
}

fn flags() -> impl Strategy<Value = Flags> {
    (0u16..512).prop_map(Flags::from_bits_truncate)
}

fn segment() -> impl Strategy<Value = Segment> {
    let numbers = (any::<(u16, u16, u32, u32)>(), any::<(u16, u16)>());
    (numbers, flags(), options(), data(64)).prop_map(|(numbers, flags, options, payload)| {
        let ((src_port, dst_port, seq, ack), (window, urgent)) = numbers;
        Segment { src_port, dst_port, seq: Seq(seq), ack: Seq(ack), flags, window, urgent, options, payload }
    })
}

fn icmp_kind() -> impl Strategy<Value = IcmpKind> {
    let plain = vec![
        IcmpKind::NetUnreachable,
        IcmpKind::HostUnreachable,
        IcmpKind::ProtocolUnreachable,
        IcmpKind::PortUnreachable,
        IcmpKind::AdminProhibited,
        IcmpKind::TimeExceeded,
    ];
    prop_oneof![6 => select(plain), 1 => any::<u16>().prop_map(|mtu| IcmpKind::TooBig { mtu })]
}

/// A quote as our network makes it, or any bytes.
fn quote() -> impl Strategy<Value = Payload> {
    let real = packet_of(segment().prop_map(Body::Tcp)).prop_map(|packet| quote_of(&packet));
    prop_oneof![real, data(64)]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        3 => segment().prop_map(Body::Tcp),
        1 => (any::<u16>(), any::<u16>(), data(64))
            .prop_map(|(src_port, dst_port, payload)| Body::Udp(Datagram { src_port, dst_port, payload })),
        1 => (icmp_kind(), quote()).prop_map(|(kind, quote)| Body::Icmp(Icmp { kind, quote })),
    ]
}

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (a.into(), b.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (a.into(), b.into())),
    ]
}

fn packet_of(body: impl Strategy<Value = Body>) -> impl Strategy<Value = Packet> {
    (addresses(), any::<(u8, u8, bool)>(), body).prop_map(|((src, dst), (ttl, tos, dont_fragment), body)| Packet {
        ttl,
        tos,
        dont_fragment: dont_fragment || src.is_ipv6(),
        ..Packet::new(src, dst, body)
    })
}

fn packet() -> impl Strategy<Value = Packet> {
    packet_of(body())
}

fn notation() -> impl Strategy<Value = Notation> {
    any::<(u32, u32, bool, bool)>().prop_map(|(seq, ack, options, window)| Notation {
        seq_base: Seq(seq),
        ack_base: Seq(ack),
        options,
        window,
    })
}

/// A word of the notation, or something near one.
fn word() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let words = vec![
        "S", "S. ", "P. ", "-", " ", "1:6(5)", "0:0(0)", "1", ":", "(", ")", " ack 1", " win 502", " win 70000", " urg ",
        " <", "mss 1460", ",", "nop", "eol", "sackOK", "TS val 1 ecr 2", "sack 1:2", " 3:4", "FO", " 0a0b", "opt 99 0",
        "bytes 02", "...", ">", "udp ", "icmp ", "frag_needed mtu 14", " [", "]", "raw (4)", "é", "4294967295:0(1)",
    ];
    prop_oneof![8 => select(words).prop_map(str::to_owned), 1 => any::<u32>().prop_map(|n| n.to_string())]
}

/// A line of the notation with one character changed.
fn damaged_line() -> impl Strategy<Value = String> {
    (body(), notation(), any::<Index>(), select(" .,:<>()[]0f9Sé".chars().collect::<Vec<_>>())).prop_map(
        |(body, notation, at, put)| {
            let mut line: Vec<char> = BodyText::of(&body, notation).to_string().chars().collect();
            let at = at.index(line.len());
            line[at] = put;
            line.into_iter().collect()
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn packets_survive_their_bytes(packet in packet()) {
        let bytes = emit(&packet);
        prop_assert_eq!(bytes.len(), packet.len() as usize);
        prop_assert_eq!(parse(&bytes), Ok(packet.clone()));
        let raw = parse_raw(&bytes).unwrap();
        prop_assert_eq!((raw.src, raw.dst, raw.ttl, raw.tos), (packet.src, packet.dst, packet.ttl, packet.tos));
        prop_assert_eq!(emit(&raw), bytes);
    }

    /// The fields that a packet does not keep may hold anything: they come back zero, all others as they were.
    #[test]
    fn bytes_survive_their_packet(packet in packet(), noise in any::<[u8; 4]>(), trailer in vec(any::<u8>(), 0..8)) {
        let canonical = emit(&packet);
        let mut bytes = canonical.clone();
        if packet.src.is_ipv4() {
            bytes[4..6].copy_from_slice(&noise[..2]);
            bytes[6] |= noise[2] & 0x80;
            refresh_ipv4_checksum(&mut bytes);
        } else {
            bytes[1] |= noise[0] & 0x0F;
            bytes[2..4].copy_from_slice(&noise[1..3]);
        }
        bytes.extend_from_slice(&trailer);
        prop_assert_eq!(emit(&parse(&bytes).unwrap()), canonical);
    }

    /// But for what no checksum covers: the start of the IPv6 header, up to its addresses.
    #[test]
    fn a_flipped_bit_is_seen(packet in packet(), place in any::<Index>()) {
        let mut bytes = emit(&packet);
        let first = if packet.src.is_ipv4() { 0 } else { 64 };
        let bit = first + place.index(bytes.len() * 8 - first);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(parse(&bytes).is_err(), "bit {} flipped unseen", bit);
    }

    #[test]
    fn options_without_padding_come_back_padded(segment in segment(), bytes in vec(any::<u8>(), 0..=40)) {
        let options = Options::from_bytes(&bytes).unwrap();
        let carrying = |options| {
            let segment = Segment { options, ..segment.clone() };
            Packet::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), Body::Tcp(segment))
        };
        prop_assert_eq!(parse(&emit(&carrying(options))), Ok(carrying(options.padded())));
        prop_assert_eq!(options.padded().as_bytes().len(), options.padded_len() as usize);
    }

    #[test]
    fn no_bytes_panic(first in select(vec![0x45, 0x46, 0x60, 0x00]), rest in vec(any::<u8>(), 0..120)) {
        let bytes = [&[first][..], &rest].concat();
        let _ = parse_raw(&bytes);
        if let Ok(packet) = parse(&bytes) {
            prop_assert_eq!(parse(&emit(&packet)), Ok(packet));
        }
        let _ = Icmp { kind: IcmpKind::TimeExceeded, quote: Payload::from(bytes) }.quoted();
    }

    /// Cut and garbled packets, the IPv4 checksum made right again so that the reading goes on behind it.
    #[test]
    fn no_damaged_packet_panics(packet in packet(), at in any::<Index>(), byte in any::<u8>(), cut in 0usize..80) {
        let mut bytes = emit(&packet);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut).max(1));
        if bytes[0] >> 4 == 4 && bytes.len() >= 20 {
            refresh_ipv4_checksum(&mut bytes);
        }
        if let Ok(packet) = parse(&bytes) {
            prop_assert_eq!(parse(&emit(&packet)), Ok(packet));
        }
        let _ = Icmp { kind: IcmpKind::TimeExceeded, quote: Payload::from(bytes) }.quoted();
    }

    #[test]
    fn any_option_bytes_survive_their_text(bytes in vec(any::<u8>(), 0..=40), base in any::<u32>()) {
        let options = Options::from_bytes(&bytes).unwrap();
        prop_assert!(options.iter().count() <= bytes.len());
        let segment = Segment { options, ..Segment::default() };
        let text = SegmentText::of(&segment, Notation::relative(Seq(0), Seq(base)));
        let again: SegmentText = text.to_string().parse().unwrap();
        prop_assert_eq!(&again, &text);
        prop_assert_eq!(again.into_segment(Seq(0), Seq(base), Payload::EMPTY).unwrap().options, options);
    }

    #[test]
    fn segments_survive_their_text(segment in segment(), seq in any::<u32>(), ack in any::<u32>()) {
        let text = SegmentText::of(&segment, Notation::relative(Seq(seq), Seq(ack))).to_string();
        let read: SegmentText = text.parse().unwrap();
        prop_assert!(read.matches(&segment, Seq(seq), Seq(ack)), "{}", text);
        let again = read.into_segment(Seq(seq), Seq(ack), segment.payload.clone()).unwrap();
        prop_assert_eq!(again, Segment { src_port: 0, dst_port: 0, ..segment });
    }

    #[test]
    fn text_survives_being_read(body in body(), notation in notation()) {
        let text = BodyText::of(&body, notation);
        prop_assert_eq!(text.to_string().parse(), Ok(text));
    }

    #[test]
    fn flags_survive_their_text(flags in flags()) {
        prop_assert_eq!(parse_flags(&flags_text(flags)), Ok(flags));
    }

    #[test]
    fn no_text_panics(text in any::<String>(), words in vec(word(), 0..12), line in damaged_line()) {
        for text in [text, words.concat(), line] {
            let _ = parse_flags(&text);
            match text.parse::<BodyText>() {
                Ok(body) => prop_assert_eq!(body.to_string().parse(), Ok(body)),
                Err(error) => prop_assert!(error.column() <= text.chars().count() + 1, "{}", error),
            }
        }
    }

    #[test]
    fn quotes_name_the_packet(packet in packet_of(segment().prop_map(Body::Tcp))) {
        let segment = packet.segment().unwrap();
        let quoted = Icmp { kind: IcmpKind::HostUnreachable, quote: quote_of(&packet) }.quoted().unwrap();
        prop_assert_eq!((quoted.src, quoted.dst, quoted.protocol), (packet.src, packet.dst, 6));
        prop_assert_eq!(Some((quoted.src_port, quoted.dst_port)), packet.ports());
        prop_assert_eq!(quoted.seq, Some(segment.seq));
        prop_assert_eq!(quoted.payload_len, packet.src.is_ipv6().then(|| segment.payload.len()));
    }
}

fn refresh_ipv4_checksum(bytes: &mut [u8]) {
    let len = (usize::from(bytes[0] & 0xF) * 4).clamp(20, bytes.len()) & !1;
    bytes[10..12].fill(0);
    let sum: u32 = bytes[..len].chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let folded = (folded & 0xFFFF) + (folded >> 16);
    let checksum = !u16::try_from(folded).unwrap();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
}
