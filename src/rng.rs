//! Seeded streams of words: one stream per decision-maker, keyed by the run's seed and the maker's *name*.
//!
//! ChaCha8 is value-stable across releases and machines, and can be entered at any position, so
//! the words at position n depend on (seed, name, n) alone.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// An endless, seekable stream of 64-bit words.
#[derive(Clone, Debug)]
pub struct Stream {
    words: ChaCha8Rng,
}

impl Stream {
    /// The stream of the decision-maker `name` in a run under `seed`.
    pub fn new(seed: u64, name: &str) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..24].copy_from_slice(&xxh3_128_with_seed(name.as_bytes(), 0).to_le_bytes());
        key[24..].copy_from_slice(&xxh3_64_with_seed(name.as_bytes(), 1).to_le_bytes());
        Stream { words: ChaCha8Rng::from_seed(key) }
    }

    /// The next word.
    pub fn word(&mut self) -> u64 {
        self.words.next_u64()
    }

    /// Moves to the word with number `n`, counted from 0.
    pub fn seek(&mut self, n: u64) {
        self.words.set_word_pos(u128::from(n) * 2);
    }

    /// The number of the next word.
    pub fn position(&self) -> u64 {
        u64::try_from(self.words.get_word_pos() / 2).unwrap_or(u64::MAX)
    }
}

/// `word` scaled into `0..size` by multiply-shift: one word in, one value out, never a second try.
pub fn below(word: u64, size: u64) -> u64 {
    let product = u128::from(word) * u128::from(size);
    u64::try_from(product >> 64).expect("the high half of a product of two words is a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These words are part of the determinism contract: a change here changes every digest.
    #[test]
    fn golden_words() {
        let mut stream = Stream::new(7, "client > server/loss");
        let words: Vec<u64> = (0..4).map(|_| stream.word()).collect();
        assert_eq!(words, GOLDEN);
        let mut other = Stream::new(7, "server > client/loss");
        assert_ne!(other.word(), GOLDEN[0]);
        let mut other = Stream::new(8, "client > server/loss");
        assert_ne!(other.word(), GOLDEN[0]);
    }

    const GOLDEN: [u64; 4] = [17667596312354818336, 13040703813188348106, 2962837783596679223, 14692428288588991697];

    #[test]
    fn seeking_finds_the_same_words() {
        let mut stream = Stream::new(1, "x");
        let words: Vec<u64> = (0..100).map(|_| stream.word()).collect();
        for n in [99, 0, 17, 63, 64] {
            stream.seek(n);
            assert_eq!((stream.position(), stream.word()), (n, words[n as usize]));
        }
    }

    #[test]
    fn scaling_covers_the_range() {
        assert_eq!((below(0, 10), below(u64::MAX, 10), below(1 << 63, 10), below(5, 0)), (0, 9, 5, 0));
    }
}
