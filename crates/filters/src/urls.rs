//! URLs: those of pages, judged by their words and hosts, and those within texts, taken out.

mod blocklist;
mod host;
mod list;
mod removal;
mod set;
pub mod ut1;

pub use blocklist::{Address, Blocked, Blocklist};
pub use host::{HostError, bare_host, netloc};
pub use list::{Case, WordList};
pub use removal::UrlRemover;
pub use set::StringSet;

/// Top-level domains as of DCLM's list: IANA's root zone database (<https://www.iana.org/domains/root/db>), names without the dot,
/// those in other scripts as written there (some with a U+200E behind them).
pub const TOP_LEVEL_DOMAINS: &str = include_str!("../data/tlds.txt");
