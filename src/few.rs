//! A queue that mostly holds one value, which needs no memory of its own.

use std::collections::VecDeque;

/// A queue of `T`. Small as long as it holds one: such queues are moved about more often than they are long.
#[derive(Clone, Debug)]
pub(crate) struct Few<T> {
    /// Nothing only where the queue is empty.
    first: Option<T>,
    #[allow(clippy::box_collection, reason = "a quarter of its size where there is none")]
    others: Option<Box<VecDeque<T>>>,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few { first: None, others: None }
    }
}

impl<T> Few<T> {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.as_ref().map_or(0, |others| others.len())
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.as_mut()
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        match self.others.as_mut().and_then(|others| others.back_mut()) {
            None => self.first.as_mut(),
            last => last,
        }
    }

    pub(crate) fn get(&self, n: usize) -> Option<&T> {
        match n.checked_sub(1) {
            None => self.first.as_ref(),
            Some(n) => self.others.as_ref()?.get(n),
        }
    }

    pub(crate) fn push_back(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.others.get_or_insert_default().push_back(value);
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let next = self.others.as_mut().and_then(|others| others.pop_front());
        std::mem::replace(&mut self.first, next)
    }

    /// Drops everything, keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.first = None;
        if let Some(others) = &mut self.others {
            others.clear();
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.iter_from(0)
    }

    /// All but the first `n`.
    pub(crate) fn iter_from(&self, n: usize) -> impl DoubleEndedIterator<Item = &T> {
        let first = self.first.iter().filter(move |_| n == 0);
        first.chain(self.others.iter().flat_map(move |others| others.range(n.saturating_sub(1).min(others.len())..)))
    }

    /// How many at the front fit `fits`, where all that fit come before all that do not.
    pub(crate) fn partition_point(&self, fits: impl Fn(&T) -> bool) -> usize {
        if !self.first.as_ref().is_some_and(&fits) {
            return 0;
        }
        1 + self.others.as_ref().map_or(0, |others| others.partition_point(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec(any::<Option<u8>>(), 0..60)) {
            let (mut few, mut model) = (Few::default(), VecDeque::new());
            for step in steps {
                match step {
                    Some(value) => {
                        few.push_back(value);
                        model.push_back(value);
                    }
                    None => prop_assert_eq!(few.pop_front(), model.pop_front()),
                }
                prop_assert_eq!(few.front(), model.front());
                prop_assert_eq!(few.back_mut().copied(), model.back().copied());
                for n in 0..=model.len() {
                    prop_assert_eq!(few.get(n), model.get(n));
                    prop_assert!(few.iter_from(n).eq(model.range(n..)));
                    prop_assert_eq!(few.partition_point(|_| true), few.len());
                }
                prop_assert!(few.iter().rev().eq(model.iter().rev()));
            }
            few.clear();
            prop_assert_eq!(few.len(), 0);
        }

        #[test]
        fn what_fits_is_counted(fitting in 0usize..6, others in 0usize..6) {
            let mut few = Few::default();
            (0..fitting + others).for_each(|n| few.push_back(n));
            prop_assert_eq!(few.partition_point(|&n| n < fitting), fitting);
        }
    }
}
