//! SipHash-2-4 (Aumasson and Bernstein, 2012): 64 bits of a keyed hash, by which Fast Open cookies are made.

/// The hash of `data` under `key`.
pub(super) fn siphash(key: &[u8; 16], data: &[u8]) -> u64 {
    let (low, high) = key.split_at(8);
    let (k0, k1) = (word(low), word(high));
    let mut state = State([
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ]);
    let blocks = data.chunks_exact(8);
    let rest = blocks.remainder();
    blocks.for_each(|block| state.absorb(word(block)));
    // The last block ends with the length.
    state.absorb(word(rest) | (data.len() as u64) << 56);
    state.0[2] ^= 0xff;
    (0..4).for_each(|_| state.round());
    state.0.into_iter().fold(0, |hash, part| hash ^ part)
}

/// Up to eight bytes as a little-endian number.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

struct State([u64; 4]);

impl State {
    fn absorb(&mut self, block: u64) {
        self.0[3] ^= block;
        self.round();
        self.round();
        self.0[0] ^= block;
    }

    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
        a = a.rotate_left(32).wrapping_add(d);
        c = c.wrapping_add(b);
        (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
        self.0 = [a, b, c.rotate_left(32), d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix A of the paper: the key 00 01 … 0f, the message 00 01 … 0e.
    #[test]
    fn the_paper_s_example() {
        let key = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(siphash(&key, &message), 0xa129_ca61_49be_45e5);
    }
}
