use wirefate::Span;
use wirefate::rng::{Stream, below};
use wirefate::time::ns;

/// Everything that a story decides, from one stream of words.
pub(crate) struct Draw(Stream);

impl Draw {
    pub(crate) fn new(seed: u64) -> Draw {
        Draw(Stream::new(seed, "story"))
    }

    /// A number in `0..size`.
    pub(crate) fn below(&mut self, size: u64) -> u64 {
        below(self.0.word(), size)
    }

    /// A number in `least..=most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// A number in `least..=most`, small ones as likely as great ones.
    pub(crate) fn scaled(&mut self, least: u64, most: u64) -> u64 {
        let bits = u64::from(u64::BITS - (most - least).leading_zeros());
        let shift = self.below(bits + 1);
        least + self.below((1u64 << shift).min(most - least + 1))
    }

    /// True `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.index(all.len())].clone()
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index")
    }

    pub(crate) fn span(&mut self, least: Span, most: Span) -> Span {
        ns(self.between(least.as_nanos(), most.as_nanos()))
    }

    pub(crate) fn small(&mut self, least: u32, most: u32) -> u32 {
        u32::try_from(self.between(least.into(), most.into())).expect("between two of 32 bits")
    }

    pub(crate) fn port(&mut self, least: u16, most: u16) -> u16 {
        u16::try_from(self.between(least.into(), most.into())).expect("between two of 16 bits")
    }

    pub(crate) fn size(&mut self, least: u64, most: u64) -> usize {
        usize::try_from(self.scaled(least, most)).expect("a size")
    }
}
