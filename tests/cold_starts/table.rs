//! What was measured, as Markdown, beside what it should be.

use tests::function::Function;

use crate::ruler::Measured;

pub(crate) const COLD_HEAD: &str = "\
| cold start | init ms | x base | first ms | init + first ms | x base | CPU ms | x base | RSS MB | size MB |
|---|---|---|---|---|---|---|---|---|---|";

pub(crate) const WARM_HEAD: &str = "
| warm, p50 | base us | function us | x |
|---|---|---|---|";

/// A figure, and its bound if it misses that.
pub(crate) fn verdict(figure: f64, bound: f64) -> String {
    if figure <= bound { format!("{figure:.2}") } else { format!("**{figure:.2}**, over {bound}") }
}

/// The row of a function in [`COLD_HEAD`].
pub(crate) fn cold_row(function: Function, Measured { base, subject }: &Measured) -> String {
    // The refresher, which nobody waits for, opens no connection in advance.
    let init = if function == Function::Refresher { 2.0 } else { 4.5 };
    let cells = [
        function.name().to_owned(),
        format!("{:.2}", subject.init_ms),
        verdict(subject.init_ms / base.init_ms, init),
        format!("{:.2}", subject.first_ms),
        format!("{:.2}", subject.init_plus_first_ms),
        verdict(subject.init_plus_first_ms / base.init_plus_first_ms, 4.5),
        verdict(subject.cpu_ms, 10.0),
        verdict(subject.cpu_ms / base.cpu_ms, 3.5),
        verdict(subject.rss_mb, 12.0),
        // Each has clients of several services.
        verdict(subject.bytes / 1e6, 6.0),
    ];
    let hello = [
        "base".to_owned(),
        format!("{:.2}", base.init_ms),
        String::new(),
        format!("{:.2}", base.first_ms),
        format!("{:.2}", base.init_plus_first_ms),
        String::new(),
        format!("{:.2}", base.cpu_ms),
        String::new(),
        format!("{:.2}", base.rss_mb),
        format!("{:.2}", base.bytes / 1e6),
    ];
    format!("| {} |\n| {} |", hello.join(" | "), cells.join(" | "))
}
