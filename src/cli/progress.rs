//! What a command shows while it works: a spinner over what takes long, and the engine's own events on request.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;

/// Shows the engine's events on standard error: -v its milestones, -vv every event.
pub(super) fn trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Virtual time is a field of every event; the wall clock has no place beside it.
    let subscriber = tracing_subscriber::fmt().with_max_level(level).without_time().with_target(false);
    let already = subscriber.with_writer(std::io::stderr).try_init();
    debug_assert!(already.is_ok(), "a command sets this up once");
}

/// Runs `f` with a spinner that appears once it has taken a second.
pub(super) fn over_a_second<R>(name: &str, f: impl FnOnce() -> R) -> R {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.set_message(name.to_owned());
    spinner.enable_steady_tick(Duration::from_secs(1));
    let result = f();
    spinner.finish_and_clear();
    result
}

/// A bar over `count` sims.
pub(super) fn bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr_with_hz(2));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    bar
}
