//! Where recipes come from: files that are recipes, and DCLM's configs, which are made into such.

use crate::failure::Failure;
use anyhow::{Context as _, anyhow};
use gristmill_pipeline::Recipe;
use gristmill_pipeline::dclm::{self, Translation};
use std::path::{Path, PathBuf};

/// One of DCLM's configs in place of a recipe.
#[derive(clap::Args)]
pub(crate) struct DclmArgs {
    /// One of DCLM's configs (baselines_configs/*.yaml) in place of a recipe; `gristmill convert` prints what becomes of it
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    pub(crate) dclm: Option<PathBuf>,
    /// Which of the config's sources, where it has several
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

/// A recipe as it is written.
pub(crate) enum Written {
    Recipe { path: PathBuf, yaml: String },
    Dclm { path: PathBuf, translation: Translation },
}

impl Written {
    /// Reads whichever of the two is given.
    pub(crate) fn read(recipe: Option<&Path>, dclm: &DclmArgs) -> Result<Self, Failure> {
        match (recipe, &dclm.dclm) {
            // Said here, for clap requires nothing that conflicts with something else.
            (_, None) if dclm.source.is_some() => Err(Failure::Request(anyhow!(
                "--source is of a config of DCLM's, and none is given (--dclm)"
            ))),
            (_, Some(config)) => Self::translate(config, dclm.source.as_deref()),
            (Some(path), None) => Ok(Self::Recipe { path: path.to_owned(), yaml: read(path, "recipe")? }),
            (None, None) => Err(Failure::Request(anyhow!(
                "give a recipe, one of DCLM's configs (--dclm) or steps (--step)"
            ))),
        }
    }

    /// Makes a recipe of a config.
    pub(crate) fn translate(config: &Path, source: Option<&str>) -> Result<Self, Failure> {
        let yaml = read(config, "DCLM config")?;
        let name = config.file_stem().unwrap_or_default().to_string_lossy();
        let translation = dclm::translate(&yaml, &name, source, &|file| find(config, file));
        let translation = translation.map_err(|error| unusable("DCLM config", config, &error))?;
        Ok(Self::Dclm { path: config.to_owned(), translation })
    }

    /// The recipe with the overrides of a command line.
    pub(crate) fn parse(self, overrides: &[String]) -> Result<Recipe, Failure> {
        match self {
            Self::Recipe { path, yaml } => {
                Recipe::parse(&yaml, overrides).map_err(|error| unusable("recipe", &path, &error))
            }
            Self::Dclm { path, translation } => Recipe::from_tree(translation.tree, overrides)
                .map_err(|error| unusable("DCLM config", &path, &error)),
        }
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Recipe { yaml, .. } => yaml,
            Self::Dclm { translation, .. } => translation.text,
        }
    }
}

fn read(path: &Path, what: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the {what} {}", path.display()))
        .map_err(Failure::Request)
}

fn unusable(what: &str, path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::Request(anyhow!("the {what} {} cannot be used:\n{error}", path.display()))
}

/// A file that DCLM opens from where it is started, the root of its checkout: looked for from all folders above the config, then
/// from the working directory.
fn find(config: &Path, file: &str) -> Option<String> {
    let (config, here) = (std::path::absolute(config).ok()?, std::env::current_dir().ok());
    let folders = config.ancestors().skip(1).map(Path::to_owned).chain(here);
    let found = folders.map(|folder| folder.join(file)).find(|path| path.is_file())?;
    found.into_os_string().into_string().ok()
}
