//! Logs, set up in one call; numbers and probes over HTTP ([`http`]).
//!
//! Logs go to stderr, since data goes to stdout. `GRISTMILL_LOG` filters them in the syntax of
//! `tracing-subscriber`'s `EnvFilter` (`warn`, `gristmill=debug`); `GRISTMILL_LOG_FORMAT=json` makes every line an
//! object.

pub mod http;
mod metrics;

pub use metrics::registry;
pub use prometheus_client::registry::Registry;

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// Starts logging for this process. Called once, by `main`; a second call changes nothing.
pub fn init(settings: &Settings) {
    let filter = EnvFilter::try_new(settings.filter.as_deref().unwrap_or("warn"))
        .unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr.with_max_level(tracing::Level::TRACE))
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Only a second call fails.
    let _ = if settings.json { builder.json().try_init() } else { builder.compact().try_init() };
}

/// How to log.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub filter: Option<String>,
    pub json: bool,
}

impl Settings {
    /// From `GRISTMILL_LOG` and `GRISTMILL_LOG_FORMAT`.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            filter: std::env::var("GRISTMILL_LOG").ok(),
            json: std::env::var("GRISTMILL_LOG_FORMAT").is_ok_and(|f| f == "json"),
        }
    }
}
