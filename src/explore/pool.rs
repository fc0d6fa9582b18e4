//! The one place with threads: whole runs side by side, never threads inside a run.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// A panic, as it was seen by the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panic {
    pub(super) message: String,
    pub(super) place: String,
}

thread_local! {
    /// `Some` while a run's panic belongs to us: where the hook puts it.
    static CAUGHT: RefCell<Option<Option<Panic>>> = const { RefCell::new(None) };
}

/// Runs `f`; a panic in it is silent and comes back as a value.
pub(super) fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    install_hook();
    CAUGHT.with(|caught| *caught.borrow_mut() = Some(None));
    let result = catch_unwind(AssertUnwindSafe(f));
    let caught = CAUGHT.with(|caught| caught.borrow_mut().take().flatten());
    let unknown = || Panic { message: "a panic without a message".to_owned(), place: "unknown".to_owned() };
    result.map_err(|_| caught.unwrap_or_else(unknown))
}

/// Puts a hook before the one that is there: threads that run a story write the panic down, others go on as before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = CAUGHT.with(|caught| match &mut *caught.borrow_mut() {
                Some(slot) => {
                    *slot = Some(describe(info));
                    true
                }
                None => false,
            });
            if !ours {
                before(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> Panic {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
    Panic {
        message: message.unwrap_or_else(|| "a panic without a message".to_owned()),
        place: info.location().map_or_else(|| "unknown".to_owned(), ToString::to_string),
    }
}

/// How many threads this machine runs at a time.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The name of this thread: the test harness gives each test's its path.
pub(super) fn thread_name() -> String {
    std::thread::current().name().unwrap_or("main").to_owned()
}

/// Calls `f` for every number of `range` on `jobs` threads until one gives something; returns the lowest number that
/// does, whatever the number of threads, with what it gave.
#[expect(clippy::disallowed_methods, reason = "runs side by side; a run itself has one thread")]
pub fn each<R: Send>(
    range: std::ops::Range<u64>,
    jobs: usize,
    f: impl Fn(u64) -> Option<R> + Sync,
) -> Option<(u64, R)> {
    let next = AtomicU64::new(range.start);
    let found: Mutex<Option<(u64, R)>> = Mutex::new(None);
    let lowest = AtomicU64::new(range.end);
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= lowest.load(Ordering::Relaxed) {
                return;
            }
            let Some(result) = f(n) else { continue };
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            if found.as_ref().is_none_or(|(lower, _)| n < *lower) {
                *found = Some((n, result));
                lowest.fetch_min(n, Ordering::Relaxed);
            }
        }
    };
    let jobs = jobs.min(usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX));
    if jobs <= 1 {
        work();
    } else {
        std::thread::scope(|scope| (0..jobs).for_each(|_| drop(scope.spawn(work))));
    }
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_number_wins_whatever_the_number_of_jobs() {
        for jobs in [1, 2, 7] {
            let found = each(0..1_000, jobs, |n| (n % 97 == 96).then_some(n * 2));
            assert_eq!(found, Some((96, 192)));
            assert_eq!(each(0..50, jobs, |_| None::<()>), None);
        }
    }

    #[test]
    fn a_panic_comes_back_as_a_value() {
        let panic = quietly(|| panic!("{} is wrong", 7)).unwrap_err();
        assert_eq!(panic.message, "7 is wrong");
        assert!(panic.place.contains("pool.rs"));
        assert_eq!(quietly(|| 5), Ok(5));
    }
}
