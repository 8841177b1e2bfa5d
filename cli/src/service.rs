//! What `gristmill coordinator` and `gristmill worker` have in common: workspace, queue, storage, models, the HTTP endpoint,
//! and how they are told to stop.

use crate::config::{Span, read};
use crate::failure::Failure;
use crate::request::{ModelArgs, parse_uri};
use anyhow::{Context as _, anyhow};
use gristmill_queue::{RedisOptions, RedisQueue, Settings};
use gristmill_storage::{S3Settings, Stores, Uri};
use gristmill_telemetry::Registry;
use gristmill_telemetry::http::{Endpoint, Ready};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Default, Serialize, Deserialize, clap::Args)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct ServiceOptions {
    /// Where all jobs keep their objects; coordinators and workers share it
    #[arg(long, value_name = "URI", env = "GRISTMILL_WORKSPACE")]
    workspace: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    queue: QueueOptions,
    #[command(flatten)]
    #[serde(flatten)]
    s3: S3Options,
    /// The folder of models and lists, searched before their addresses [default: models]
    #[arg(long, value_name = "DIR", env = "GRISTMILL_MODELS")]
    models: Option<PathBuf>,
    /// Where what does not fit into memory is sorted [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR", env = "GRISTMILL_SCRATCH")]
    scratch: Option<PathBuf>,
    /// Serve /metrics, /healthz and /readyz here
    #[arg(long, value_name = "HOST:PORT", env = "GRISTMILL_METRICS")]
    metrics: Option<String>,
}

/// The queue. Prefix, lease and attempts must be the same for coordinators and workers.
#[derive(Default, Serialize, Deserialize, clap::Args)]
#[serde(default, rename_all = "kebab-case")]
struct QueueOptions {
    /// The queue: redis://HOST:PORT, or rediss://… for TLS
    #[arg(long, value_name = "URL", env = "GRISTMILL_REDIS", hide_env_values = true)]
    redis: Option<String>,
    /// The user of Redis, in place of the URL's
    #[arg(long, value_name = "NAME", env = "GRISTMILL_REDIS_USER")]
    redis_user: Option<String>,
    /// A file that holds the password of Redis, in place of the URL's
    #[arg(long, value_name = "FILE", env = "GRISTMILL_REDIS_PASSWORD_FILE")]
    redis_password_file: Option<PathBuf>,
    /// Trust servers whose certificates these authorities signed, and no others (PEM)
    #[arg(long, value_name = "FILE", env = "GRISTMILL_REDIS_CA")]
    redis_ca: Option<PathBuf>,
    /// The certificate for a Redis that asks for one (PEM)
    #[arg(long, value_name = "FILE", env = "GRISTMILL_REDIS_CERT")]
    redis_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", env = "GRISTMILL_REDIS_KEY")]
    redis_key: Option<PathBuf>,
    /// Tells queues that share a Redis apart; the same for coordinators and workers [default: gristmill]
    #[arg(long, value_name = "NAME", env = "GRISTMILL_QUEUE_PREFIX")]
    queue_prefix: Option<String>,
    /// A worker not heard of for so long has lost its task; the same for coordinators and workers [default: 60s]
    #[arg(long, value_name = "TIME", env = "GRISTMILL_LEASE")]
    lease: Option<Span>,
    /// A task that fails so often has failed for good; the same for coordinators and workers [default: 4]
    #[arg(long, value_name = "N", env = "GRISTMILL_MAX_ATTEMPTS")]
    max_attempts: Option<u32>,
}

/// S3. Keys come from the standard chain: `AWS_*` variables, profiles, the machine's role.
#[derive(Default, Serialize, Deserialize, clap::Args)]
#[serde(default, rename_all = "kebab-case")]
#[allow(clippy::struct_field_names, reason = "fields are flags")]
struct S3Options {
    /// Another server than AWS
    #[arg(long, value_name = "URL", env = "GRISTMILL_S3_ENDPOINT")]
    s3_endpoint: Option<String>,
    /// The region of buckets
    #[arg(long, value_name = "NAME", env = "GRISTMILL_S3_REGION")]
    s3_region: Option<String>,
    /// Ask for ENDPOINT/BUCKET/KEY in place of BUCKET.ENDPOINT/KEY [default: where an endpoint is given]
    #[arg(long, value_name = "BOOL", env = "GRISTMILL_S3_PATH_STYLE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    s3_path_style: Option<bool>,
    /// Send no credentials: public buckets only
    #[arg(long, value_name = "BOOL", env = "GRISTMILL_S3_ANONYMOUS", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    s3_anonymous: Option<bool>,
}

impl ServiceOptions {
    pub(crate) fn defaults() -> Self {
        let queue = Settings::default();
        Self {
            queue: QueueOptions {
                queue_prefix: Some(queue.prefix),
                lease: Some(Span(queue.lease)),
                max_attempts: Some(queue.max_attempts),
                ..QueueOptions::default()
            },
            models: Some("models".into()),
            scratch: Some(std::env::temp_dir()),
            ..Self::default()
        }
    }

    pub(crate) fn workspace(&self) -> Result<Uri, Failure> {
        parse_uri(required(self.workspace.as_ref(), "workspace", "URI")?)
    }

    /// The queue, not connected yet.
    pub(crate) fn queue(&self) -> Result<RedisQueue, Failure> {
        let queue = &self.queue;
        let default = Settings::default();
        let settings = Settings {
            lease: queue.lease.map_or(default.lease, |span| span.0),
            max_attempts: queue.max_attempts.unwrap_or(default.max_attempts),
            prefix: queue.queue_prefix.clone().unwrap_or(default.prefix),
            ..Settings::default()
        };
        let password = queue.redis_password_file.as_deref().map(|path| {
            let text = String::from_utf8(read(path)?);
            let text = text.map_err(|_| Failure::Request(anyhow!("{} is no text", path.display())))?;
            Ok::<_, Failure>(text.trim_end_matches(['\r', '\n']).to_owned())
        });
        let client_pem = match (&queue.redis_cert, &queue.redis_key) {
            (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
            (None, None) => None,
            _ => return Err(Failure::Request(anyhow!("--redis-cert and --redis-key go together"))),
        };
        let options = RedisOptions {
            username: queue.redis_user.clone(),
            password: password.transpose()?,
            ca_pem: queue.redis_ca.as_deref().map(read).transpose()?,
            client_pem,
            ..RedisOptions::new(required(queue.redis.as_ref(), "redis", "URL")?)
        };
        RedisQueue::new(settings, &options, chance()?).map_err(Failure::request)
    }

    pub(crate) fn stores(&self) -> Stores {
        let s3 = &self.s3;
        Stores::new(gristmill_storage::Settings {
            s3: S3Settings {
                endpoint: s3.s3_endpoint.clone(),
                region: s3.s3_region.clone(),
                path_style: s3.s3_path_style,
                anonymous: s3.s3_anonymous.unwrap_or_default(),
                credentials: None,
            },
            ..gristmill_storage::Settings::default()
        })
    }

    /// Variables by which another process of ours reaches storage as this one does.
    pub(crate) fn storage_variables(&self) -> Vec<(&'static str, String)> {
        let s3 = &self.s3;
        let all = [
            ("GRISTMILL_REDIRECTS", Some("same-host".to_owned())),
            ("GRISTMILL_S3_ENDPOINT", s3.s3_endpoint.clone()),
            ("GRISTMILL_S3_REGION", s3.s3_region.clone()),
            ("GRISTMILL_S3_PATH_STYLE", s3.s3_path_style.map(|flag| flag.to_string())),
            ("GRISTMILL_S3_ANONYMOUS", s3.s3_anonymous.map(|flag| flag.to_string())),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    pub(crate) fn models(&self) -> ModelArgs {
        ModelArgs { models: self.models.clone().unwrap_or_default() }
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.scratch.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Where the HTTP endpoint is to be served, if one is asked for.
    pub(crate) fn metrics(&self) -> Option<&str> {
        self.metrics.as_deref()
    }
}

/// Serves the HTTP endpoint, if one is asked for, for as long as the process runs. Says on stderr where. `register` adds what
/// this role counts.
pub(crate) async fn serve_metrics(
    address: Option<&str>,
    role: &'static str,
    ready: Ready,
    register: impl FnOnce(&mut Registry),
) -> Result<(), Failure> {
    let Some(address) = address else { return Ok(()) };
    let endpoint = Endpoint::bind(address).await;
    let endpoint =
        endpoint.with_context(|| format!("cannot listen on {address}")).map_err(Failure::Request)?;
    eprintln!("gristmill {role}: metrics on http://{}/metrics", endpoint.address().map_err(Failure::job)?);
    let mut registry = gristmill_telemetry::registry(role, env!("CARGO_PKG_VERSION"));
    register(&mut registry);
    tokio::spawn(async move {
        if let Err(error) = endpoint.serve(registry, ready).await {
            tracing::error!("the HTTP endpoint ended: {error}");
        }
    });
    Ok(())
}

/// A value that has no default.
pub(crate) fn required<'a>(value: Option<&'a String>, name: &str, what: &str) -> Result<&'a String, Failure> {
    value.ok_or_else(|| {
        let variable = name.to_uppercase();
        Failure::Request(anyhow!("no {name} is given; use --{name} {what}, GRISTMILL_{variable} or --config"))
    })
}

/// A seed for jitter and unique names: drawn, since no two processes may share it.
pub(crate) fn chance() -> Result<u64, Failure> {
    getrandom::u64().context("no source of chance").map_err(Failure::Job)
}

/// Turns true at the first SIGTERM or SIGINT.
pub(crate) fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let listen = |kind| signal(kind).context("cannot listen for signals").map_err(Failure::Job);
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        // Further signals change nothing: a supervisor may pass on what the terminal has sent already.
        stop.closed().await;
    });
    Ok(stopped)
}

/// Ends the process if it is still there `most` after `stop` turned true.
pub(crate) fn force_exit(mut stop: watch::Receiver<bool>, most: Duration) {
    tokio::spawn(async move {
        if stop.wait_for(|stop| *stop).await.is_ok() {
            tokio::time::sleep(most).await;
            eprintln!("gristmill: not everything came to its end within {} s; leaving it", most.as_secs());
            std::process::exit(1);
        }
    });
}
