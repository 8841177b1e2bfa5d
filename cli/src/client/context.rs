//! Which coordinator, and as whom: from flags, the environment and a file of contexts.
//!
//! A value is taken from the first of these that has it:
//! 1. flags;
//! 2. the context that `--context` names;
//! 3. the environment;
//! 4. the context that `GRISTMILL_CONTEXT` names, or else the current one of the file. It is left alone where a flag
//!    names a server, and the current one where the environment does: a token goes to no server that it was not written
//!    down for.

mod file;

use crate::failure::Failure;
use anyhow::{Context as _, anyhow, bail};
use file::{Config, Entry};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// How to reach a coordinator.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The coordinator: HOST:PORT, http://… or https://… [env: GRISTMILL_SERVER]
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// A file that holds the token [env: GRISTMILL_TOKEN_FILE; the token itself: GRISTMILL_TOKEN]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust certificates signed by this authority, and no others; asks for TLS [env: GRISTMILL_CA]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The client's certificate, where the coordinator wants one [env: GRISTMILL_CLIENT_CERT]
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// Its key [env: GRISTMILL_CLIENT_KEY]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// A context of the configuration file, in place of its current one [env: GRISTMILL_CONTEXT]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The configuration file [env: GRISTMILL_CLIENT_CONFIG] [default: ~/.config/gristmill/config.yaml]
    #[arg(long, value_name = "FILE")]
    client_config: Option<PathBuf>,
}

/// All that is needed to connect.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// With its scheme.
    pub(super) server: String,
    pub(super) token: Option<Secret>,
    pub(super) tls: Option<Tls>,
}

/// PEM texts.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    /// Absent: the authorities that the machine trusts.
    pub(super) ca: Option<String>,
    pub(super) identity: Option<(String, Secret)>,
}

/// Never printed.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What one source says.
#[derive(Default)]
struct Layer {
    server: Option<String>,
    token: Option<Token>,
    ca: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
}

enum Token {
    Given(Secret),
    File(PathBuf),
}

impl ConnectionArgs {
    pub(super) fn resolve(&self) -> Result<Connection, Failure> {
        let mut warnings = Vec::new();
        let result = self.resolve_in(&|name| std::env::var_os(name), &mut warnings);
        for warning in warnings {
            eprintln!("gristmill: warning: {warning}");
        }
        result.map_err(Failure::Request)
    }

    fn resolve_in(
        &self,
        env: &dyn Fn(&str) -> Option<OsString>,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Connection> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let (config, named) = self.config(&env)?;
        let flags = Layer {
            server: self.server.clone(),
            token: self.token_file.clone().map(Token::File),
            ca: self.ca.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
        };
        let environment = Layer {
            server: text(&env, "GRISTMILL_SERVER")?,
            token: match text(&env, "GRISTMILL_TOKEN")? {
                Some(token) => Some(Token::Given(Secret(token))),
                None => env("GRISTMILL_TOKEN_FILE").map(|path| Token::File(path.into())),
            },
            ca: env("GRISTMILL_CA").map(PathBuf::from),
            client_cert: env("GRISTMILL_CLIENT_CERT").map(PathBuf::from),
            client_key: env("GRISTMILL_CLIENT_KEY").map(PathBuf::from),
        };
        let layers = if let Some(name) = &self.context {
            vec![flags, config.context(name, named.as_deref(), warnings)?, environment]
        } else if let Some(name) = text(&env, "GRISTMILL_CONTEXT")?
            && flags.server.is_none()
        {
            vec![flags, environment, config.context(&name, named.as_deref(), warnings)?]
        } else if let Some(name) = config.current.clone()
            && flags.server.is_none()
            && environment.server.is_none()
        {
            vec![flags, environment, config.context(&name, named.as_deref(), warnings)?]
        } else {
            vec![flags, environment]
        };
        connection(layers, warnings)
    }

    /// The configuration, and where it lies if it is there.
    fn config(&self, env: &dyn Fn(&str) -> Option<OsString>) -> anyhow::Result<(Config, Option<PathBuf>)> {
        let given = self.client_config.clone().or_else(|| env("GRISTMILL_CLIENT_CONFIG").map(PathBuf::from));
        if let Some(path) = given {
            return Ok((Config::read(&path)?, Some(path)));
        }
        let below = |variable: &str, path: &str| env(variable).map(|folder| PathBuf::from(folder).join(path));
        let usual = below("XDG_CONFIG_HOME", "gristmill/config.yaml")
            .or_else(|| below("HOME", ".config/gristmill/config.yaml"));
        match usual {
            Some(path) if path.exists() => Ok((Config::read(&path)?, Some(path))),
            usual => Ok((Config::default(), usual)),
        }
    }
}

fn text(env: &dyn Fn(&str) -> Option<OsString>, name: &str) -> anyhow::Result<Option<String>> {
    // The error of a variable that is no text would show it, and it may be the token.
    env(name).map(|value| value.into_string().map_err(|_| anyhow!("{name} is not text"))).transpose()
}

impl Config {
    fn context(&self, name: &str, path: Option<&Path>, warnings: &mut Vec<String>) -> anyhow::Result<Layer> {
        let shown =
            path.map_or_else(|| "the configuration file".to_owned(), |path| path.display().to_string());
        let Some(entry) = self.contexts.get(name) else {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            bail!("{shown} has no context {name:?}; it has: {known}");
        };
        if let (Some(_), Some(path)) = (&entry.token, path) {
            warn_if_others_read(path, warnings);
        }
        let Entry { server, token, token_file, ca, client_cert, client_key } = entry.clone();
        let token = match (token, token_file) {
            (Some(_), Some(_)) => {
                bail!("context {name:?} of {shown} has both token and token_file; leave one")
            }
            (Some(token), None) => Some(Token::Given(token)),
            (None, file) => file.map(Token::File),
        };
        let folder = path.and_then(Path::parent);
        let beside = |file: PathBuf| folder.map_or_else(|| file.clone(), |folder| folder.join(&file));
        Ok(Layer {
            server,
            token: match token {
                Some(Token::File(file)) => Some(Token::File(beside(file))),
                token => token,
            },
            ca: ca.map(beside),
            client_cert: client_cert.map(beside),
            client_key: client_key.map(beside),
        })
    }
}

fn connection(layers: Vec<Layer>, warnings: &mut Vec<String>) -> anyhow::Result<Connection> {
    let mut merged = Layer::default();
    for layer in layers {
        merged.server = merged.server.or(layer.server);
        merged.token = merged.token.or(layer.token);
        merged.ca = merged.ca.or(layer.ca);
        // A certificate and a key belong together.
        if merged.client_cert.is_none() && merged.client_key.is_none() {
            (merged.client_cert, merged.client_key) = (layer.client_cert, layer.client_key);
        }
    }
    let server = merged.server.context(
        "no server is named; give --server HOST:PORT, set GRISTMILL_SERVER, or name a context in ~/.config/gristmill/config.yaml",
    )?;
    let identity = match (merged.client_cert, merged.client_key) {
        (Some(certificate), Some(key)) => Some((read(&certificate)?, Secret(read(&key)?))),
        (None, None) => None,
        _ => bail!(
            "a client's certificate needs its key, and a key its certificate; give --client-cert and --client-key"
        ),
    };
    let ca = merged.ca.map(|path| read(&path)).transpose()?;
    let (server, tls) = address(&server, ca.is_some() || identity.is_some())?;
    let token = match merged.token {
        Some(Token::Given(token)) => Some(token),
        Some(Token::File(path)) => {
            let token = read(&path)?;
            warn_if_others_read(&path, warnings);
            Some(Secret(token))
        }
        None => None,
    };
    let token = token.map(|Secret(token)| Secret(token.trim().to_owned()));
    if token.as_ref().is_some_and(|token| token.reveal().is_empty()) {
        bail!("the token is empty");
    }
    if token.is_some() && !tls && !is_local(&server) {
        warnings
            .push(format!("the token goes to {server} unencrypted; use https:// where others can listen"));
    }
    Ok(Connection { server, token, tls: tls.then_some(Tls { ca, identity }) })
}

/// The address with its scheme, and whether it is asked by TLS.
fn address(text: &str, certificates: bool) -> anyhow::Result<(String, bool)> {
    let (tls, rest) = match text.split_once("://") {
        None => (certificates, text),
        Some(("https", rest)) => (true, rest),
        Some(("http", _)) if certificates => {
            bail!("{text} is asked without TLS, but certificates are given; use https://")
        }
        Some(("http", rest)) => (false, rest),
        Some((scheme, _)) => {
            bail!("{text}: unknown scheme {scheme:?}; give HOST:PORT, http://… or https://…")
        }
    };
    let rest = rest.trim_end_matches('/');
    let port = rest.rsplit_once(':').map(|(_, port)| port);
    let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    if rest.contains('/') || rest.contains('@') || !(has_port || text.starts_with("https://")) {
        bail!("{text:?} is no address of a server; give HOST:PORT");
    }
    Ok((format!("{}://{rest}", if tls { "https" } else { "http" }), tls))
}

fn is_local(server: &str) -> bool {
    let host = server.trim_start_matches("http://").rsplit_once(':').map_or(server, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn warn_if_others_read(path: &Path, warnings: &mut Vec<String>) {
    use std::os::unix::fs::PermissionsExt as _;
    let others = std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o044 != 0);
    if others {
        warnings.push(format!("{0} holds a token and others can read it; chmod 600 {0}", path.display()));
    }
}

#[cfg(test)]
mod tests;
