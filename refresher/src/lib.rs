//! The function that keeps packages warm: by the clock, and when a reader asks for one.
//!
//! It is the only part that talks to NuGet and GitHub, and the only writer of packages. What fails upstream
//! never takes away what is known.

mod app;
mod budgets;
mod event;
mod refresh;
mod schedule;
mod tokens;
mod upstream;

pub use app::{App, Settings, SettingsError};
pub use event::{Answer, Event};
pub use schedule::Report;
pub use upstream::Patience;
