//! Counts panics, also those that are caught: by tokio in tasks, and by event sources in their functions.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`, and counts the panics of this thread meanwhile. `None` if `work` itself panicked.
pub(super) fn count<T>(work: impl FnOnce() -> T) -> (Option<T>, usize) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            previous(panic);
        }));
    });
    let before = PANICS.get();
    let output = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    (output, PANICS.get() - before)
}
