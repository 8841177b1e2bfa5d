//! Logs and [traces], set up in one call; numbers and probes over HTTP ([`http`]).
//!
//! Logs go to stderr, since data goes to stdout. `GRISTMILL_LOG` filters them in the syntax of
//! `tracing-subscriber`'s `EnvFilter` (`warn`, `gristmill=debug`); `GRISTMILL_LOG_FORMAT=json` makes every line an
//! object, with the ids of its trace where there is one.

mod classic;
pub mod http;
mod logs;
mod metrics;
pub mod traces;

pub use metrics::{memory_limit, registry};
pub use prometheus_client::registry::Registry;
pub use traces::Place;

use logs::WithIds;
use std::io::IsTerminal as _;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::fmt::format::{JsonFields, format};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What was set up; when it goes, the last spans are sent.
pub struct Telemetry {
    _exporting: Option<traces::Exporting>,
}

/// Starts logging for this process, and tracing if a collector is named and the process has a role. Called once, by
/// `main`; a second call changes nothing.
pub fn init(settings: &Settings, role: Option<&'static str>) -> Telemetry {
    let traces = role.map_or(Ok(None), |role| traces::Exporting::start(role, env!("CARGO_PKG_VERSION")));
    let (exporting, tracer, complaint) = match traces {
        Ok(Some((exporting, tracer, complaint))) => (Some(exporting), Some(tracer), complaint),
        Ok(None) => (None, None, None),
        Err(error) => (None, None, Some(format!("no traces are sent: {error}"))),
    };
    // Our own spans, and what was worth a warning within them.
    let ours = FilterFn::new(|of| {
        of.target().starts_with("gristmill") && (of.is_span() || *of.level() <= Level::WARN)
    });
    let ours = ours.with_max_level_hint(LevelFilter::INFO);
    let spans = tracer.map(|tracer| traces::layer(tracer).with_filter(ours));
    let filter = EnvFilter::try_new(settings.filter.as_deref().unwrap_or("warn"))
        .unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if settings.json {
        let objects = WithIds(format().json().with_target(false));
        lines.fmt_fields(JsonFields::new()).event_format(objects).with_filter(filter).boxed()
    } else {
        lines.event_format(format().compact().with_target(false)).with_filter(filter).boxed()
    };
    // Only a second call fails.
    let _ = tracing_subscriber::registry().with(spans).with(lines).try_init();
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    Telemetry { _exporting: exporting }
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
