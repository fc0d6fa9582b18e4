//! What selective acknowledgments tell the peer (RFC 2018 4, RFC 2883 4).

use crate::wire::{Options, Seq, TcpOption};

/// The blocks that the next acknowledgments carry.
#[derive(Clone, Debug, Default)]
pub(super) struct Sacks {
    /// What waits ahead of the next expected number, the run that grew last first.
    blocks: Vec<(Seq, Seq)>,
    /// What came twice, told once.
    twice: Option<(Seq, Seq)>,
}

impl Sacks {
    /// The run `block` of what waits ahead has grown.
    pub(super) fn grew(&mut self, block: (Seq, Seq)) {
        self.blocks.retain(|&(left, right)| right.lt(block.0) || left.gt(block.1));
        self.blocks.insert(0, block);
    }

    /// `block` has come: what is remembered grows by it, whatever else waits beside it; the run of longest ago is
    /// forgotten where there are `most` (`tcp_sack_new_ofo_skb()`, `tcp_sack_maybe_coalesce()`).
    pub(super) fn came(&mut self, mut block: (Seq, Seq), most: u8) {
        let before = self.blocks.len();
        self.blocks.retain(|&(left, right)| {
            let apart = right.lt(block.0) || left.gt(block.1);
            if !apart {
                block = (block.0.min(left), block.1.max(right));
            }
            apart
        });
        if self.blocks.len() == before {
            self.blocks.truncate(usize::from(most).saturating_sub(1));
        }
        self.blocks.insert(0, block);
    }

    /// Nothing waits ahead any more.
    pub(super) fn forget(&mut self) {
        self.blocks.clear();
    }

    /// All before `nxt` is in order now.
    pub(super) fn advance(&mut self, nxt: Seq) {
        self.blocks.retain(|&(_, right)| right.gt(nxt));
    }

    /// `from..to` came although it was there (RFC 2883 4: "the first block ... reports the duplicate").
    pub(super) fn came_twice(&mut self, from: Seq, to: Seq) {
        self.twice = Some((from, to));
    }

    /// More of the same segment came although it was there: one duplicate is told, so what lies apart from it is not
    /// (`tcp_dsack_extend()`). Whether it is the first.
    pub(super) fn came_twice_too(&mut self, from: Seq, to: Seq) -> bool {
        let Some((first, last)) = self.twice else {
            self.twice = Some((from, to));
            return true;
        };
        if from.le(last) && first.le(to) {
            self.twice = Some((first.min(from), last.max(to)));
        }
        false
    }

    /// Nothing came twice that is still to be told.
    pub(super) fn forget_twice(&mut self) {
        self.twice = None;
    }

    /// How many runs are told before the one that `block` joins, or before there is one of its own.
    pub(super) fn place_of(&self, block: (Seq, Seq)) -> usize {
        let apart = |&&(left, right): &&(Seq, Seq)| right.lt(block.0) || left.gt(block.1);
        self.blocks.iter().take_while(apart).count()
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.twice.is_none()
    }

    /// How many bytes the option will take, padding included, beside timestamps or alone.
    pub(super) fn option_len(&self, timestamps: bool) -> u32 {
        let blocks = self.blocks.len() + usize::from(self.twice.is_some());
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX).min(if timestamps { 3 } else { 4 });
        if blocks > 0 { 4 + 8 * blocks } else { 0 }
    }

    /// Writes as many blocks as fit behind what is there, padded by two NOPs; `dsack`: what came twice first.
    pub(super) fn write(&mut self, dsack: bool, options: &mut Options) {
        let room = Options::MAX.saturating_sub(options.as_bytes().len() + 4) / 8;
        let blocks: Vec<_> =
            self.twice.take().filter(|_| dsack).into_iter().chain(self.blocks.iter().copied()).take(room).collect();
        let before = *options;
        let padded = [TcpOption::Nop, TcpOption::Nop].into_iter().try_for_each(|nop| options.push(nop));
        if blocks.is_empty() || padded.and_then(|()| options.push_sack(blocks)).is_err() {
            *options = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sacks: &mut Sacks) -> Vec<(u32, u32)> {
        let mut options = Options::NONE;
        sacks.write(true, &mut options);
        options.sack().map(|blocks| blocks.iter().map(|(a, b)| (a.0, b.0)).collect()).unwrap_or_default()
    }

    #[test]
    fn the_run_that_grew_last_comes_first_and_duplicates_before_it() {
        let mut sacks = Sacks::default();
        sacks.grew((Seq(10), Seq(20)));
        sacks.grew((Seq(40), Seq(50)));
        sacks.grew((Seq(10), Seq(25)));
        assert_eq!(told(&mut sacks), [(10, 25), (40, 50)]);
        sacks.came_twice(Seq(1), Seq(5));
        assert_eq!(told(&mut sacks), [(1, 5), (10, 25), (40, 50)]);
        assert_eq!(told(&mut sacks), [(10, 25), (40, 50)], "a duplicate is told once");
        sacks.came_twice(Seq(1), Seq(5));
        let mut options = Options::NONE;
        sacks.write(false, &mut options);
        assert_eq!(options.sack().map(|blocks| blocks.iter().count()), Some(2), "or not at all");
        assert_eq!(told(&mut sacks), [(10, 25), (40, 50)]);
        sacks.grew((Seq(10), Seq(50)));
        assert_eq!(told(&mut sacks), [(10, 50)]);
        sacks.advance(Seq(50));
        assert!(sacks.is_empty());
    }

    #[test]
    fn a_run_that_was_forgotten_is_not_joined() {
        let mut sacks = Sacks::default();
        for n in [2, 4, 6, 8, 10] {
            sacks.came((Seq(n * 10), Seq(n * 10 + 5)), 4);
        }
        assert_eq!(told(&mut sacks), [(100, 105), (80, 85), (60, 65), (40, 45)]);
        // What lies between the forgotten run and one that is remembered joins the latter only.
        sacks.came((Seq(25), Seq(40)), 4);
        assert_eq!(told(&mut sacks), [(25, 45), (100, 105), (80, 85), (60, 65)]);
        sacks.came((Seq(45), Seq(60)), 4);
        assert_eq!(told(&mut sacks), [(25, 65), (100, 105), (80, 85)]);
    }

    #[test]
    fn timestamps_leave_room_for_three() {
        let mut sacks = Sacks::default();
        assert_eq!(sacks.option_len(false), 0);
        sacks.grew((Seq(100), Seq(105)));
        assert_eq!([true, false].map(|ts| sacks.option_len(ts)), [12, 12]);
        sacks = Sacks::default();
        (0..5).for_each(|n| sacks.grew((Seq(n * 10), Seq(n * 10 + 5))));
        assert_eq!([true, false].map(|ts| sacks.option_len(ts)), [28, 36]);
        assert_eq!(told(&mut sacks).len(), 4);
        let mut options = Options::NONE;
        crate::tcp::timestamps::write(1, 2, &mut options);
        sacks.write(true, &mut options);
        assert_eq!(options.sack().map(|blocks| blocks.iter().count()), Some(3));
    }
}
