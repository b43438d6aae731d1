//! The tables of figures, in Markdown, with the bound of each figure that exceeds it.

use tests::function::Function;

use crate::check::bytes_max;
use crate::comparison::Figures;

pub(crate) const COLD_HEAD: &str = "\
| cold start | init ms | x base | first ms | init + first ms | x base | CPU ms | x base | RSS MB | size MB | zip MB |
|---|---|---|---|---|---|---|---|---|---|---|";

pub(crate) const WARM_HEAD: &str = "
| warm, p50 | base us | function us | x |
|---|---|---|---|";

/// A figure, and its bound if it exceeds that.
pub(crate) fn bounded(figure: f64, bound: f64) -> String {
    if figure <= bound { format!("{figure:.2}") } else { format!("**{figure:.2}**, over {bound}") }
}

/// The rows of a base and a function under [`COLD_HEAD`].
pub(crate) fn cold_rows(function: Function, [base, subject]: &[Figures; 2]) -> String {
    // The refresher opens no connection in its init phase.
    let init_max = if function == Function::Refresher { 2.0 } else { 4.5 };
    let base_cells = [
        "base".to_owned(),
        format!("{:.2}", base.init_ms),
        String::new(),
        format!("{:.2}", base.first_ms),
        format!("{:.2}", base.init_plus_first_ms),
        String::new(),
        format!("{:.2}", base.cpu_ms),
        String::new(),
        format!("{:.2}", base.rss_mb),
        format!("{:.2}", base.mb),
        format!("{:.2}", base.zipped_mb),
    ];
    let cells = [
        function.name().to_owned(),
        format!("{:.2}", subject.init_ms),
        bounded(subject.init_ms / base.init_ms, init_max),
        format!("{:.2}", subject.first_ms),
        format!("{:.2}", subject.init_plus_first_ms),
        bounded(subject.init_plus_first_ms / base.init_plus_first_ms, 4.5),
        bounded(subject.cpu_ms, 10.0),
        bounded(subject.cpu_ms / base.cpu_ms, 3.5),
        bounded(subject.rss_mb, 12.0),
        bounded(subject.mb, f64::from(bytes_max(function)) / 1e6),
        format!("{:.2}", subject.zipped_mb),
    ];
    format!("| {} |\n| {} |", base_cells.join(" | "), cells.join(" | "))
}
