//! The configuration file of the client.
//!
//! ```yaml
//! current: laptop
//! contexts:
//!   laptop: {server: 127.0.0.1:7433}
//!   cluster:
//!     server: https://gristmill.example.org
//!     token_file: cluster.token      # or token; files lie beside this one
//!     ca: cluster-ca.pem             # and client_cert, client_key
//! ```

use super::Secret;
use anyhow::{Context as _, anyhow};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) current: Option<String>,
    #[serde(default)]
    pub(super) contexts: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) server: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca: Option<PathBuf>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

impl Config {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let yaml = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&yaml).map_err(|why| anyhow!("{shown}: {why}"))
    }

    fn parse(yaml: &str) -> Result<Self, String> {
        if yaml.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut options = serde_saphyr::Options::default();
        // A snippet of the file could show a token.
        options.with_snippet = false;
        serde_saphyr::from_str_with_options(yaml, options).map_err(|error| error.to_string())
    }
}
