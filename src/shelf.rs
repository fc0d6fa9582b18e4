//! A list that only grows, in chunks, so that growth moves no more than the first of them.

use std::ops::{Index, IndexMut};

/// Values in each chunk.
const CHUNK: usize = 1 << 10;

/// A list of `T`.
#[derive(Clone, Debug)]
pub(crate) struct Shelf<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Shelf<T> {
        Shelf { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Shelf<T> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, value: T) {
        self.len += 1;
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            // The first chunk grows as any list; those behind it are going to be filled.
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.chunks.push(chunk);
            }
            None => self.chunks.push(vec![value]),
        }
    }

    #[inline]
    pub(crate) fn get(&self, n: usize) -> Option<&T> {
        self.chunks.get(n / CHUNK)?.get(n % CHUNK)
    }
}

impl<T> Index<usize> for Shelf<T> {
    type Output = T;

    #[inline]
    fn index(&self, n: usize) -> &T {
        &self.chunks[n / CHUNK][n % CHUNK]
    }
}

impl<T> IndexMut<usize> for Shelf<T> {
    #[inline]
    fn index_mut(&mut self, n: usize) -> &mut T {
        &mut self.chunks[n / CHUNK][n % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_found_where_it_was_pushed() {
        let mut shelf = Shelf::default();
        assert!(shelf.is_empty() && shelf.get(0).is_none());
        for n in 0..3 * CHUNK + 5 {
            assert_eq!(shelf.len(), n);
            shelf.push(n);
        }
        shelf[CHUNK] += 1;
        for n in 0..3 * CHUNK + 5 {
            assert_eq!(shelf.get(n), Some(&(n + usize::from(n == CHUNK))));
        }
        assert!(shelf.get(shelf.len()).is_none());
    }
}
