//! The function that looks up packages: on a schedule, and when a badge or an operator requests one.
//!
//! It is the only function that calls NuGet, GitHub and the issuer of ID tokens, and the only writer of packages and of
//! the issuer's keys. A failure upstream never removes what is known.

mod app;
mod invocation;
mod issuer_keys;
mod lookup_limits;
mod refresher;
mod report;
mod requests;
mod schedule;
mod settings;
mod tokens;
mod transition;
mod upstream;
mod waiting_line;

pub use app::App;
pub use invocation::{Invocation, InvocationResult};
pub use report::Report;
pub use settings::Settings;
pub use upstream::{UpstreamTimeouts, base_url, documents};
