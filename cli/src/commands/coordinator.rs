//! `gristmill coordinator`: takes in jobs, plans them, hands out their tasks, publishes their datasets.
//!
//! Any number may share a workspace and a queue. On SIGTERM it takes in nothing more, ends streams and is gone within 10 s;
//! its jobs stay where they are, and any coordinator goes on with them.

use crate::config::{self, Config, Layer, Span, read};
use crate::failure::{Failure, Outcome};
use crate::request::{parse_uri, runtime};
use crate::service::{ServiceOptions, force_exit, required, serve_metrics, stop_signal};
use anyhow::{Context as _, anyhow};
use gristmill_coordinator::api::{Bearer, Tls, Tokens, new_token, serve, serve_scaler};
use gristmill_coordinator::{Allow, AutoscaleSettings, Coordinator, CoordinatorSettings};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// When a coordinator that was told to stop is gone, whatever it is doing.
const GONE_WITHIN: Duration = Duration::from_secs(9);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: Config<Options>,
    /// Print a new token for NAME with a role (read, submit or admin), and on stderr its entry for --tokens; then exit
    #[arg(long, value_name = "NAME:ROLE")]
    new_token: Option<Bearer>,
}

#[derive(Default, Serialize, Deserialize, clap::Args)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Options {
    #[command(flatten)]
    #[serde(flatten)]
    service: ServiceOptions,
    /// Serve gRPC here; port 0 takes any that is free [default: 127.0.0.1:7070]
    #[arg(long, value_name = "HOST:PORT", env = "GRISTMILL_LISTEN")]
    listen: Option<String>,
    /// What recipes may read and write: addresses that begin so (repeatable)
    #[arg(long, value_name = "URI_PREFIX", env = "GRISTMILL_ALLOW", value_delimiter = ',')]
    allow: Option<Vec<String>>,
    /// Let recipes have programs of their own run by the workers (the step `external`)
    #[arg(long, value_name = "BOOL", env = "GRISTMILL_ALLOW_EXTERNAL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    allow_external: Option<bool>,
    /// Keep the files that passes exchange, for debugging
    #[arg(long, value_name = "BOOL", env = "GRISTMILL_KEEP_INTERMEDIATE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    keep_intermediate: Option<bool>,
    #[command(flatten)]
    #[serde(flatten)]
    scaling: ScalingOptions,
    /// Ask clients for a token: a YAML list of {name, role, sha256 or token_file}
    #[arg(long, value_name = "FILE", env = "GRISTMILL_TOKENS")]
    tokens: Option<PathBuf>,
    /// Serve by TLS with this certificate (PEM)
    #[arg(long, value_name = "FILE", env = "GRISTMILL_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", env = "GRISTMILL_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Ask clients for a certificate that these authorities signed (PEM)
    #[arg(long, value_name = "FILE", env = "GRISTMILL_TLS_CLIENT_CA")]
    tls_client_ca: Option<PathBuf>,
}

/// How many workers there should be: what KEDA is told, and the metric gristmill_workers_wanted.
#[derive(Default, Serialize, Deserialize, clap::Args)]
#[serde(default, rename_all = "kebab-case")]
#[allow(clippy::struct_field_names, reason = "fields are flags")]
struct ScalingOptions {
    /// Serve KEDA's protocol for external scalers here; it knows no tokens, so let nobody but KEDA reach it
    #[arg(long, value_name = "HOST:PORT", env = "GRISTMILL_SCALER")]
    scaler: Option<String>,
    /// When the work that is ready should be done [default: 300s]
    #[arg(long, value_name = "TIME", env = "GRISTMILL_SCALER_TARGET")]
    scaler_target: Option<Span>,
    /// Tasks that one worker works on at once [default: 4]
    #[arg(long, value_name = "N", env = "GRISTMILL_SCALER_LANES", value_parser = clap::value_parser!(u32).range(1..=1024))]
    scaler_lanes: Option<u32>,
    /// Ask for no more workers than this [default: 100]
    #[arg(long, value_name = "N", env = "GRISTMILL_SCALER_MAX", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    scaler_max: Option<u32>,
    /// How long a number of workers counts before a lower one does [default: 120s]
    #[arg(long, value_name = "TIME", env = "GRISTMILL_SCALER_SETTLE")]
    scaler_settle: Option<Span>,
}

impl ScalingOptions {
    fn defaults() -> Self {
        let default = AutoscaleSettings::default();
        Self {
            scaler: None,
            scaler_target: Some(Span(default.target)),
            scaler_lanes: Some(default.lanes),
            scaler_max: Some(default.max),
            scaler_settle: Some(Span(default.settle)),
        }
    }

    fn settings(&self) -> AutoscaleSettings {
        let default = AutoscaleSettings::default();
        AutoscaleSettings {
            target: self.scaler_target.map_or(default.target, |span| span.0),
            lanes: self.scaler_lanes.unwrap_or(default.lanes),
            max: self.scaler_max.unwrap_or(default.max),
            settle: self.scaler_settle.map_or(default.settle, |span| span.0),
            ..default
        }
    }
}

impl Layer for Options {
    fn defaults() -> Self {
        Self {
            service: ServiceOptions::defaults(),
            listen: Some("127.0.0.1:7070".to_owned()),
            scaling: ScalingOptions::defaults(),
            ..Self::default()
        }
    }
}

pub(crate) fn run(args: &Args) -> Outcome {
    if let Some(bearer) = &args.new_token {
        return print_token(bearer);
    }
    let options = args.config.layers()?;
    if args.config.print_config {
        return config::print(&options);
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(coordinate(&options));
    // A listing that is being sorted is left to the system.
    runtime.shutdown_background();
    outcome
}

async fn coordinate(options: &Options) -> Outcome {
    let service = &options.service;
    let stop = stop_signal()?;
    force_exit(stop.clone(), GONE_WITHIN);
    let tokens = match &options.tokens {
        Some(path) => Tokens::load(path).context("the tokens cannot be used").map_err(Failure::Request)?,
        None => Tokens::everybody(),
    };
    let tls = options.tls()?;
    let workspace = service.workspace()?;
    let settings = CoordinatorSettings {
        allow: options.allow()?,
        workspace,
        keep_intermediate: options.keep_intermediate.unwrap_or_default(),
        scratch: service.scratch(),
        autoscale: options.scaling.settings(),
    };
    let queue = Arc::new(service.queue()?);
    let address = required(options.listen.as_ref(), "listen", "HOST:PORT")?;
    let listener = listen(address).await?;
    let address = listener.local_addr().map_err(Failure::job)?;
    if options.tokens.is_none() && options.tls_client_ca.is_none() && !address.ip().is_loopback() {
        tracing::warn!("whoever reaches {address} may do anything here: give --tokens or --tls-client-ca");
    }
    let stores = service.stores();
    let resolver = service.models().resolver(&stores);
    let counted = stores.clone();
    let coordinator = Coordinator::start(settings, stores, resolver, queue).map_err(Failure::request)?;
    let (asked, answering) = (coordinator.clone(), coordinator.clone());
    let ready = move || {
        let coordinator = answering.clone();
        Box::pin(async move { coordinator.ready().await }) as _
    };
    serve_metrics(service.metrics(), "coordinator", Box::new(ready), |registry| {
        counted.register(registry);
        asked.register(registry);
    })
    .await?;
    if let Some(address) = &options.scaling.scaler {
        let listener = listen(address).await?;
        eprintln!("gristmill coordinator: scaler on {}", listener.local_addr().map_err(Failure::job)?);
        let scaler = serve_scaler(coordinator.clone(), listener, stop.clone());
        tokio::spawn(async move {
            if let Err(error) = scaler.await {
                tracing::error!("the scaler ended: {error}");
            }
        });
    }
    eprintln!("gristmill coordinator: listening on {address}");
    let mut stopping = stop.clone();
    let stopped = async {
        drop(stopping.wait_for(|stop| *stop).await);
        coordinator.stop().await;
    };
    let served = serve(coordinator.clone(), listener, tokens, tls, stop);
    let (served, ()) = tokio::join!(served, stopped);
    served.map_err(Failure::job)
}

async fn listen(address: &str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}")).map_err(Failure::Request)
}

impl Options {
    fn tls(&self) -> Result<Option<Tls>, Failure> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(Tls {
                cert: read(cert)?,
                key: read(key)?,
                client_ca: self.tls_client_ca.as_deref().map(read).transpose()?,
            })),
            (None, None) if self.tls_client_ca.is_none() => Ok(None),
            _ => Err(Failure::Request(anyhow!("TLS takes --tls-cert and --tls-key together"))),
        }
    }

    fn allow(&self) -> Result<Allow, Failure> {
        let prefixes = self.allow.iter().flatten().map(|prefix| parse_uri(prefix));
        let allow = Allow::only(prefixes.collect::<Result<_, _>>()?);
        Ok(allow.with_external(self.allow_external.unwrap_or_default()))
    }
}

fn print_token(bearer: &Bearer) -> Outcome {
    let (token, entry) = new_token(bearer).context("no source of chance").map_err(Failure::Job)?;
    eprint!("{entry}");
    writeln!(std::io::stdout(), "{token}").map_err(Failure::job)
}
