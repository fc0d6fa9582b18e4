use super::ends::Ends;
use super::evidence::{Coming, End, Sending, packet_name};
use super::{Hears, Oracle, Seen};
use crate::trace::{Record, Side};
use crate::wire::Flags;

pub(super) const NAME: &str = "mtu";

/// No segment larger than the peer can take: options and data within the MSS that reached the sender in a SYN.
#[derive(Default)]
pub struct Mtu {
    senders: Ends<Limit>,
}

/// The largest MSS that any SYN told, and whether the sender was reported.
struct Limit {
    mss: u32,
    is_reported: bool,
}

/// RFC 9293 3.7.1, SHLD-5 and MUST-15: what to assume where a SYN has no MSS option.
const DEFAULT_V4: u32 = 536;
const DEFAULT_V6: u32 = 1220;

/// Systems defend themselves against tiny MSS values: Linux takes none below 48, FreeBSD none below 216.
const FLOOR: u32 = 216;

impl Oracle for Mtu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "RFC 9293 3.7.1"
    }

    fn hears(&self) -> Hears {
        Hears::SYNS | Hears::DATA | Hears::DONE
    }

    fn on_sending(&mut self, sending: &Sending<'_>, seen: &mut Seen<'_>) {
        let segment = sending.segment;
        let Some(limit) = self.senders.get_mut(&sending.end) else { return };
        // RFC 9293 3.7.1, MUST-16: Eff.snd.MSS is what the MSS leaves after the options.
        let size = segment.options.padded_len() + segment.payload.len();
        if limit.is_reported || segment.payload.is_empty() || segment.has(Flags::SYN) || size <= limit.mss {
            return;
        }
        limit.is_reported = true;
        let mss = limit.mss;
        sending.violates(self, seen, |seen| {
            format!(
                "{} sent {} bytes of data and {} of options in {}: {size} bytes, but {} takes {}",
                sending.end.describe(seen),
                segment.payload.len(),
                segment.options.padded_len(),
                packet_name(seen, sending.packet),
                if sending.end.side == Side::Opener { "the answering end" } else { "the opening end" },
                mss,
            )
        });
    }

    fn on_coming(&mut self, coming: &Coming<'_>, seen: &mut Seen<'_>) {
        if !coming.segment.has(Flags::SYN) {
            return;
        }
        let is_v4 = seen.conns.get(coming.end.conn).is_none_or(|conn| conn.opener.is_ipv4());
        let default = if is_v4 { DEFAULT_V4 } else { DEFAULT_V6 };
        let mss = coming.segment.options.mss().map_or(default, u32::from).max(FLOOR);
        let limit = self.senders.get_or_insert_with(coming.end, || Limit { mss, is_reported: false });
        limit.mss = limit.mss.max(mss);
    }

    fn on_done(&mut self, end: End, _record: &Record<'_>, _seen: &mut Seen<'_>) {
        self.senders.discard(&end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::plant::{Dir, Plant, data, segment, syn, with_options};
    use super::*;
    use crate::wire::TcpOption;

    fn open(options: &[TcpOption<'_>]) -> Plant<Mtu> {
        let mut plant = Plant::new(Mtu::default());
        plant.pass(Dir::Up, syn(0));
        plant.pass(Dir::Down, with_options(segment(Flags::SYN | Flags::ACK, 0, 1, ""), options));
        plant
    }

    #[test]
    fn segments_stay_within_the_mss_that_was_told() {
        let mut plant = open(&[TcpOption::Mss(1000)]);
        plant.send(Dir::Up, data(1, 1, &"x".repeat(1000)));
        plant.holds();
        plant.send(Dir::Up, data(1, 1, &"x".repeat(1001)));
        plant.breaks(&["1001 bytes of data", "client > server #3", "takes 1000"]);
    }

    #[test]
    fn options_take_their_share() {
        let stamps = [TcpOption::Nop, TcpOption::Nop, TcpOption::Timestamps { val: 1, ecr: 1 }];
        let mut plant = open(&[TcpOption::Mss(1000)]);
        plant.send(Dir::Up, with_options(data(1, 1, &"x".repeat(988)), &stamps));
        plant.holds();
        plant.send(Dir::Up, with_options(data(1, 1, &"x".repeat(989)), &stamps));
        plant.breaks(&["12 of options"]);
    }

    #[test]
    fn silence_means_536() {
        let mut plant = open(&[]);
        plant.send(Dir::Up, data(1, 1, &"x".repeat(536)));
        plant.holds();
        plant.send(Dir::Up, data(1, 1, &"x".repeat(537)));
        plant.breaks(&["takes 536"]);
    }
}
