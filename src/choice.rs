//! The one interface for choice: whatever decides something in a run asks `chance` or `pick` here.
//!
//! Random, recorded, enumerated and shrinking runs differ only in the source that answers.
//! Alternative 0 is always the harmless one, and only the other alternatives are recorded.

use crate::rng::{Stream, below};
use std::fmt;
use std::str::FromStr;

/// A probability as a ratio of integers; decisions compare integers, so no float is involved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    num: u32,
    den: u32,
}

/// `n` per cent.
pub const fn percent(n: u32) -> Ratio {
    Ratio::new(n, 100)
}

/// `n` in a thousand.
pub const fn permille(n: u32) -> Ratio {
    Ratio::new(n, 1_000)
}

impl Ratio {
    /// Never.
    pub const ZERO: Ratio = Ratio { num: 0, den: 1 };
    /// Always.
    pub const ONE: Ratio = Ratio { num: 1, den: 1 };

    /// `num` times in `den`; more than `den` counts as always, and `den` 0 as never.
    pub const fn new(num: u32, den: u32) -> Ratio {
        match (num, den) {
            (_, 0) => Ratio::ZERO,
            (num, den) if num >= den => Ratio::ONE,
            (num, den) => Ratio { num, den },
        }
    }

    /// Numerator and denominator.
    pub const fn parts(self) -> (u32, u32) {
        (self.num, self.den)
    }

    /// The probability of the opposite.
    pub const fn complement(self) -> Ratio {
        Ratio { num: self.den - self.num, den: self.den }
    }

    /// Whether this is 0.
    pub const fn is_zero(self) -> bool {
        self.num == 0
    }

    /// Whether `word`, uniform over 64 bits, falls into this share of all words.
    pub fn hit(self, word: u64) -> bool {
        below(word, u64::from(self.den)) < u64::from(self.num)
    }
}

/// `1%`, `0.25%`, `1/3`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millionths = u64::from(self.num) * 100_000_000 / u64::from(self.den);
        if millionths * u64::from(self.den) != u64::from(self.num) * 100_000_000 {
            return write!(f, "{}/{}", self.num, self.den);
        }
        let (whole, part) = (millionths / 1_000_000, millionths % 1_000_000);
        match format!("{part:06}").trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            part => write!(f, "{whole}.{part}%"),
        }
    }
}

/// Why a text is not a probability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatioError;

impl fmt::Display for RatioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probability is written `2%`, `0.05%` or `1/3`, between 0 and 1")
    }
}

impl std::error::Error for RatioError {}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Ratio, RatioError> {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| RatioError);
        let (num, den) = if let Some((num, den)) = text.split_once('/') {
            (number(num)?, number(den)?)
        } else {
            let text = text.trim().strip_suffix('%').ok_or(RatioError)?;
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            if part.len() > 6 || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(RatioError);
            }
            let scale = 10u32.pow(u32::try_from(part.len()).map_err(|_| RatioError)?);
            let part = if part.is_empty() { 0 } else { number(part)? };
            let num = number(whole)?.checked_mul(scale).and_then(|n| n.checked_add(part)).ok_or(RatioError)?;
            (num, 100 * scale)
        };
        if den == 0 || num > den { Err(RatioError) } else { Ok(Ratio::new(num, den)) }
    }
}

/// The number of a decision-maker in this run, in the order of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MakerId(pub u32);

/// Where a choice is taken: the `call`-th question its maker asks about its `item`-th item.
/// For an impairment the item is a packet. Names are made from a site only when one is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Who decides.
    pub maker: MakerId,
    /// About which of its items, counted from 0.
    pub item: u64,
    /// The how-manieth question about that item, counted from 0.
    pub call: u8,
}

/// The alternatives of a [`Choices::pick`]: `0..size`.
#[derive(Clone, Copy, Debug)]
pub struct Domain<'a> {
    /// How many alternatives a random draw has.
    pub size: u64,
    /// The few alternatives worth trying one by one when every sequence is enumerated.
    pub corners: &'a [u64],
}

impl Domain<'_> {
    /// `0..size`, with the two ends as corners.
    pub const fn of(size: u64) -> Domain<'static> {
        Domain { size, corners: &[0] }
    }
}

/// A choice that was taken and was not the harmless one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where.
    pub site: Site,
    /// The alternative, not 0.
    pub alternative: u64,
}

/// Where the answers of one decision-maker come from.
#[derive(Clone, Debug)]
enum Source {
    /// The seed's stream.
    Random,
    /// A recording: the answers given for the item at hand, everything else the default.
    Recorded(Vec<(u8, u64)>),
}

/// One decision-maker's access to choice.
///
/// The maker says once how many words an item takes. [`Choices::begin`] opens an item, and each question reads
/// the next word of that item, so the words offered to item n depend on (seed, name, n) alone.
#[derive(Clone, Debug)]
pub struct Choices {
    maker: MakerId,
    stream: Stream,
    words: u8,
    item: u64,
    call: u8,
    source: Source,
    taken: Vec<Taken>,
}

impl Choices {
    /// The access of `maker`, whose stream is keyed by `seed` and `name` and reads `words` words an item.
    pub fn random(maker: MakerId, seed: u64, name: &str, words: u8) -> Choices {
        Choices {
            maker,
            stream: Stream::new(seed, name),
            words,
            item: 0,
            call: 0,
            source: Source::Random,
            taken: Vec::new(),
        }
    }

    /// Turns the source into a recording: what [`Choices::answer`] says, and the default everywhere else.
    pub fn replay(&mut self) {
        self.source = Source::Recorded(Vec::new());
    }

    /// Whether the answers come from a recording.
    pub fn is_replay(&self) -> bool {
        matches!(self.source, Source::Recorded(_))
    }

    /// Opens item `item`; the words it does not ask for are skipped.
    pub fn begin(&mut self, item: u64) {
        (self.item, self.call) = (item, 0);
        self.taken.clear();
        match &mut self.source {
            Source::Recorded(answers) => answers.clear(),
            Source::Random => {
                let first = item * u64::from(self.words);
                if self.words > 0 && self.stream.position() != first {
                    self.stream.seek(first);
                }
            }
        }
    }

    /// In a recording: the answer to the `call`-th question about the item just opened.
    pub fn answer(&mut self, call: u8, alternative: u64) {
        if let Source::Recorded(answers) = &mut self.source {
            answers.push((call, alternative));
        }
    }

    /// Whether the thing happens that happens with probability `ratio`.
    pub fn chance(&mut self, ratio: Ratio) -> bool {
        let site = self.next_site();
        let hit = match &self.source {
            Source::Random => ratio.hit(self.stream.word()),
            Source::Recorded(answers) => recorded(answers, site.call) != 0,
        };
        self.note(site, u64::from(hit));
        hit
    }

    /// One of `domain`'s alternatives.
    pub fn pick(&mut self, domain: &Domain<'_>) -> u64 {
        let site = self.next_site();
        let alternative = match &self.source {
            Source::Random => below(self.stream.word(), domain.size),
            Source::Recorded(answers) => recorded(answers, site.call),
        };
        self.note(site, alternative);
        alternative
    }

    /// A plain random word: for keys, secrets and initial sequence numbers, which no search varies.
    pub fn word(&mut self) -> u64 {
        self.stream.word()
    }

    /// The choices about the open item that were not the harmless ones.
    pub fn taken(&self) -> &[Taken] {
        &self.taken
    }

    fn next_site(&mut self) -> Site {
        let site = Site { maker: self.maker, item: self.item, call: self.call };
        debug_assert!(
            self.words == 0 || self.call < self.words,
            "{site:?} asks for more words than its maker announced"
        );
        self.call += 1;
        site
    }

    fn note(&mut self, site: Site, alternative: u64) {
        if alternative != 0 {
            self.taken.push(Taken { site, alternative });
        }
    }
}

fn recorded(answers: &[(u8, u64)], call: u8) -> u64 {
    answers.iter().find(|(at, _)| *at == call).map_or(0, |&(_, alternative)| alternative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_read_what_they_print() {
        for text in ["0%", "1%", "0.25%", "2.5%", "1/3", "100%"] {
            assert_eq!(text.parse::<Ratio>().unwrap().to_string(), text);
        }
        for text in ["101%", "4/3", "1/0", "-1%", "1", "%", "1.2.3%", "x%", "1.+5%"] {
            assert_eq!(text.parse::<Ratio>(), Err(RatioError), "{text}");
        }
    }

    #[test]
    fn the_words_of_an_item_do_not_depend_on_the_items_before() {
        let draw = |items: &[u64]| {
            let mut choices = Choices::random(MakerId(0), 3, "a", 2);
            items
                .iter()
                .map(|&n| {
                    choices.begin(n);
                    choices.pick(&Domain::of(1 << 40))
                })
                .collect::<Vec<_>>()
        };
        let all = draw(&[0, 1, 2, 3]);
        assert_eq!(draw(&[0, 2, 3]), [all[0], all[2], all[3]]);
        assert_eq!(draw(&[3, 0]), [all[3], all[0]]);
    }

    #[test]
    fn a_recording_answers_with_the_default_where_it_knows_nothing() {
        let mut choices = Choices::random(MakerId(0), 3, "a", 2);
        choices.replay();
        choices.begin(0);
        choices.answer(1, 42);
        assert!(!choices.chance(Ratio::ONE));
        assert_eq!(choices.pick(&Domain::of(100)), 42);
        let site = Site { maker: MakerId(0), item: 0, call: 1 };
        assert_eq!(choices.taken(), [Taken { site, alternative: 42 }]);
        choices.begin(1);
        assert!(!choices.chance(Ratio::ONE));
    }
}
