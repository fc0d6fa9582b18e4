//! Urgent data both ways (RFC 9293 3.8.5, RFC 6093).

use super::end::End;
use super::script::{OURS, check, segment};
use wirefate::endpoint::MsgFlags;
use wirefate::tcp::{ConnEvent, Knobs, Setup};
use wirefate::wire::Rope;

const OPEN: &str = "open
    = CLOSED -> SYN-SENT
    > S 0:0(0)
    < S. 0:0(0) ack 1 win 5000
    = SYN-SENT -> ESTABLISHED
    > . 1:1(0) ack 1\n";

#[test]
fn the_pointer_names_the_byte_after_urgent_data_until_that_is_acknowledged() {
    let script = "oob 3
         > PU. 1:4(3) ack 1 urg 3
         oob 5
         send 4
         < . 1:1(0) ack 4 win 5000
         > PU. 4:13(9) ack 1 urg 5
         < . 1:1(0) ack 13 win 5000
         send 2
         > P. 13:15(2) ack 1";
    check(&format!("{OPEN}{script}"));
}

fn receiver(oob_inline: bool) -> End {
    let mut end = End::new((1000, 80), OURS, Knobs::default(), Setup { oob_inline, ..Setup::default() });
    end.reads = false;
    end.open();
    end.arrive(&segment("S. 0:0(0) ack 1 win 5000"));
    let mut seg = segment("PU. 1:11(10) ack 1 win 5000 urg 4");
    seg.payload = "abcDefghij".into();
    end.arrive(&seg);
    assert!(end.told.contains(&ConnEvent::Urgent));
    end
}

fn read(end: &mut End, flags: MsgFlags) -> Vec<u8> {
    let mut into = Rope::new();
    end.verb(|conn, cx| conn.receive(cx, 100, flags, &mut into));
    into.to_payload().to_vec()
}

#[test]
fn the_urgent_byte_is_read_out_of_line_and_skipped_in_line() {
    let mut end = receiver(false);
    assert_eq!(end.conn().readable(), 9);
    assert_eq!(read(&mut end, MsgFlags::OOB | MsgFlags::PEEK), b"D");
    assert_eq!(read(&mut end, MsgFlags::OOB), b"D");
    assert_eq!(read(&mut end, MsgFlags::OOB), b"", "once");
    assert_eq!(read(&mut end, MsgFlags::empty()), b"abc", "a read stops at the mark");
    assert!(end.conn().at_mark());
    assert_eq!(read(&mut end, MsgFlags::PEEK), b"efghij");
    assert_eq!(read(&mut end, MsgFlags::empty()), b"efghij");
    assert!(!end.conn().has_urgent());
}

#[test]
fn inline_the_urgent_byte_is_a_byte_like_others() {
    let mut end = receiver(true);
    assert_eq!(end.conn().readable(), 10);
    assert_eq!(read(&mut end, MsgFlags::OOB), b"");
    assert_eq!(read(&mut end, MsgFlags::empty()), b"abc");
    assert!(end.conn().at_mark());
    assert_eq!(read(&mut end, MsgFlags::empty()), b"Defghij");
}
