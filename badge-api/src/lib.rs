//! The function that serves badges, the redirect behind them, pages, history and health.
//!
//! It only reads and never calls an upstream. It publishes an event to request the refresh of a package. A badge has
//! the status 200, because shields.io shows nothing else, and an error is a badge, too. While the table cannot be read,
//! the status is 503, and the CDN serves its cached copy instead.

mod app;
mod cache;
mod cached_package;
mod feed_reader;
mod history;
mod latest;
mod package_badge;
mod package_reader;
mod pages;
mod paging;
mod refresh_requests;
mod respond;
mod settings;
mod slot_reader;
mod test_badge;

pub use app::App;
pub use settings::Settings;
