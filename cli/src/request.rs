//! What several commands take: a recipe with overrides, models, storage.

use crate::failure::Failure;
use crate::recipe::{DclmArgs, Written};
use anyhow::Context as _;
use gristmill_job::resolve::Resolver;
use gristmill_pipeline::Recipe;
use gristmill_storage::{Settings, Stores, Uri};
use std::path::PathBuf;

/// A recipe and what the command line changes in it.
#[derive(clap::Args)]
pub(crate) struct RecipeArgs {
    /// The recipe, a YAML file
    #[arg(required_unless_present = "dclm")]
    pub(crate) recipe: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dclm: DclmArgs,
    /// Override a value of the recipe, e.g. steps.language_filter.threshold=0.7
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Read this in place of the recipe's input (repeatable)
    #[arg(long, value_name = "URI")]
    pub(crate) input: Vec<String>,
    /// Write here in place of the recipe's output path
    #[arg(long, value_name = "URI")]
    pub(crate) output: Option<String>,
}

impl RecipeArgs {
    pub(crate) fn load(&self) -> Result<Recipe, Failure> {
        self.written()?.parse(&self.overrides())
    }

    /// The recipe as it is written.
    pub(crate) fn yaml(&self) -> Result<String, Failure> {
        Ok(self.written()?.into_text())
    }

    fn written(&self) -> Result<Written, Failure> {
        Written::read(self.recipe.as_deref(), &self.dclm)
    }

    /// What the command line changes in it.
    pub(crate) fn overrides(&self) -> Vec<String> {
        let mut overrides = self.set.clone();
        if !self.input.is_empty() {
            // JSON is YAML, and quotes what needs quoting.
            overrides.push(format!("input={}", serde_json::json!(self.input)));
        }
        if let Some(output) = &self.output {
            overrides.push(format!("output.path={}", serde_json::json!(output)));
        }
        overrides
    }
}

/// Where models and lists are found.
#[derive(clap::Args)]
pub(crate) struct ModelArgs {
    /// The folder of models and lists, searched before their addresses
    #[arg(long, value_name = "DIR", env = "GRISTMILL_MODELS", default_value = "models")]
    pub(crate) models: PathBuf,
}

impl ModelArgs {
    pub(crate) fn resolver(&self, stores: &Stores) -> Resolver {
        Resolver::new(stores.clone(), self.models.clone(), cache_folder())
    }
}

/// `$GRISTMILL_CACHE`, else the user's cache folder.
fn cache_folder() -> PathBuf {
    let home = |variable: &str, below: &str| std::env::var_os(variable).map(|v| PathBuf::from(v).join(below));
    home("GRISTMILL_CACHE", "")
        .or_else(|| home("XDG_CACHE_HOME", "gristmill"))
        .or_else(|| home("HOME", ".cache/gristmill"))
        .unwrap_or_else(|| std::env::temp_dir().join("gristmill-cache"))
}

/// Storage, as the environment says: the standard `AWS_*` variables, and `GRISTMILL_S3_…` as services have them.
pub(crate) fn stores() -> Stores {
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let flag = |name: &str| text(name).map(|value| value == "1" || value == "true");
    // On one's own machine one may follow where one likes; a service's attempts are told not to.
    let redirects_anywhere = text("GRISTMILL_REDIRECTS").is_none_or(|value| value != "same-host");
    let mut settings = Settings { redirects_anywhere, ..Settings::default() };
    settings.s3.endpoint = text("GRISTMILL_S3_ENDPOINT");
    settings.s3.region = text("GRISTMILL_S3_REGION");
    settings.s3.path_style = flag("GRISTMILL_S3_PATH_STYLE");
    settings.s3.anonymous = flag("GRISTMILL_S3_ANONYMOUS").unwrap_or_default();
    Stores::new(settings)
}

pub(crate) fn parse_uri(text: &str) -> Result<Uri, Failure> {
    text.parse().map_err(|e: gristmill_storage::UriError| Failure::request(e))
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    build(&mut tokio::runtime::Builder::new_multi_thread())
}

/// The runtime of a process that works on tasks, so many at once. A thread that reads files keeps some megabytes to itself: there
/// are a few for each lane, and not the hundreds that a burst of requests would start.
pub(crate) fn working_runtime(lanes: usize) -> Result<tokio::runtime::Runtime, Failure> {
    build(tokio::runtime::Builder::new_multi_thread().max_blocking_threads(6 + 2 * lanes))
}

fn build(builder: &mut tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Failure> {
    builder.enable_all().build().context("cannot start the runtime").map_err(Failure::Job)
}
