//! What recipes may read and write.
//!
//! A service runs recipes of people who may not read its operator's disk or reach into its network. So a location is
//! opened only if it lies below a prefix that the operator named (`--allow`): input patterns before anything is listed,
//! each listed file before it is looked at (a list may name anything, a link may lead anywhere), the output, indexes, filters, and
//! models that are no bare names.
//!
//! Locations are compared as what they mean, not as they are spelled (`settle`). What cannot be told for certain is
//! refused. A link that somebody with rights on the coordinator's disk changes between the look and the read is not seen.

use gristmill_pipeline::resources::Wanted;
use gristmill_pipeline::steps::external::External;
use gristmill_pipeline::{Recipe, Step as _};
use gristmill_storage::{Guard, Uri};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What recipes may read and write. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Allow(Option<Arc<Rules>>);

#[derive(Clone, Debug)]
struct Rules {
    prefixes: Vec<Uri>,
    workspace: Option<Uri>,
    /// Whether recipes may have programs run (the step `external`).
    external: bool,
}

/// What a location was wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Input,
    /// A file that a pattern or a list led to.
    Listed,
    Output,
    Model,
    /// Documents of earlier jobs.
    Index,
    /// Bloom filters of other jobs, or for them.
    Filter,
    /// A program for the workers to run.
    Program,
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Listed => "listed input",
            Self::Output => "output",
            Self::Model => "model",
            Self::Index => "index",
            Self::Filter => "filter",
            Self::Program => "program",
        })
    }
}

/// A location that this coordinator does not open for recipes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {uri} is not allowed here: {why}")]
pub struct Denied {
    pub what: Use,
    pub uri: String,
    pub why: String,
}

/// Where no prefix helps.
const NO_PREFIX: &str = "it lies below no prefix that the coordinator was started with (--allow PREFIX); use one, or ask its operator";
const OWN: &str =
    "it lies in the coordinator's own workspace; --allow with a prefix inside the workspace opens it";
const NO_PROGRAMS: &str = "the coordinator was not started with --allow-external; its operator decides whether workers run programs of others";
const OWN_FOLDERS: &str = "the coordinator keeps its own objects there; choose another place";

/// Folders of a workspace that no recipe writes to, whatever is allowed.
const KEPT: [&str; 3] = ["jobs", "requests", "keys"];

impl Allow {
    /// Whatever the process itself may do: for a person's own machine.
    #[must_use]
    pub fn everything() -> Self {
        Self(None)
    }

    /// Only what lies below these. A prefix that means nothing certain allows nothing.
    #[must_use]
    pub fn only(prefixes: Vec<Uri>) -> Self {
        let settled = prefixes.iter().filter_map(|prefix| match settle(prefix) {
            Ok(settled) => Some(settled),
            Err(why) => {
                tracing::warn!(%prefix, why, "this prefix allows nothing");
                None
            }
        });
        Self(Some(Arc::new(Rules { prefixes: settled.collect(), workspace: None, external: false })))
    }

    /// Keeps recipes out of the workspace even if a prefix around it is allowed.
    #[must_use]
    pub fn guarding(self, workspace: &Uri) -> Self {
        Self(self.0.map(|rules| {
            let workspace = settle(workspace).ok();
            Arc::new(Rules { prefixes: rules.prefixes.clone(), workspace, external: rules.external })
        }))
    }

    /// Lets recipes have programs run, or not.
    #[must_use]
    pub fn with_external(self, external: bool) -> Self {
        Self(self.0.map(|rules| {
            let (prefixes, workspace) = (rules.prefixes.clone(), rules.workspace.clone());
            Arc::new(Rules { prefixes, workspace, external })
        }))
    }

    /// Checks what a recipe names, before anything is opened.
    pub fn check_recipe(&self, recipe: &Recipe) -> Result<(), Denied> {
        for (pattern, _) in recipe.head.input.list() {
            self.check(Use::Input, &pattern)?;
        }
        if let Some(output) = &recipe.head.output.path {
            self.check(Use::Output, output)?;
        }
        for index in recipe.steps.iter().filter_map(|spec| spec.parsed.index()) {
            self.check(Use::Index, &index.at)?;
        }
        for filter in recipe.steps.iter().flat_map(|spec| spec.parsed.filters()) {
            self.check(Use::Filter, filter)?;
        }
        if self.0.as_ref().is_some_and(|rules| !rules.external)
            && let Some(step) = recipe.steps.iter().find(|spec| spec.def.name == External::NAME)
        {
            let uri = format!("in step {}", step.index + 1);
            return Err(Denied { what: Use::Program, uri, why: NO_PROGRAMS.to_owned() });
        }
        self.models(recipe).map(|_| ())
    }

    /// The models and lists of a recipe, each with those of its names that may be looked for.
    pub fn models(&self, recipe: &Recipe) -> Result<Vec<Wanted>, Denied> {
        let mut wanted: Vec<Wanted> = recipe.steps.iter().flat_map(|spec| spec.parsed.resources()).collect();
        for want in &mut wanted {
            let mut denied = None;
            want.candidates.retain(|candidate| match self.check_model(candidate) {
                Ok(()) => true,
                Err(error) => {
                    denied.get_or_insert(error);
                    false
                }
            });
            if let (true, Some(denied)) = (want.candidates.is_empty(), denied) {
                return Err(denied);
            }
        }
        Ok(wanted)
    }

    /// For whoever lists inputs; none where all may be read.
    #[must_use]
    pub fn guard(&self) -> Option<Guard> {
        let rules = Arc::clone(self.0.as_ref()?);
        Some(Arc::new(move |uri| rules.check(Use::Listed, uri).map_err(Into::into)))
    }

    /// Whether a location, as written, may be used so.
    pub fn check(&self, what: Use, text: &str) -> Result<(), Denied> {
        let Some(rules) = &self.0 else { return Ok(()) };
        match text.parse() {
            Ok(uri) => rules.check(what, &uri),
            Err(error) => Err(Denied { what, uri: text.to_owned(), why: format!("{error}") }),
        }
    }

    /// A bare name is looked up in the operator's folder of models. Everything else is a location.
    fn check_model(&self, candidate: &str) -> Result<(), Denied> {
        let Some(rules) = &self.0 else { return Ok(()) };
        let (location, _) = candidate.split_once("#sha256=").unwrap_or((candidate, ""));
        let uri: Uri = match location.parse() {
            Ok(uri) => uri,
            // It is found nowhere, and whoever looks says better why.
            Err(_) => return Ok(()),
        };
        if let Uri::File(path) = &uri {
            let mut parts = path.components();
            if let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) {
                return Ok(());
            }
            // Below which folder `..` is taken depends on who looks.
            if path.components().any(|part| part == Component::ParentDir) {
                let why = "the path of a model may not contain `..`".to_owned();
                return Err(Denied { what: Use::Model, uri: candidate.to_owned(), why });
            }
        }
        rules.check(Use::Model, &uri)
    }
}

impl Rules {
    fn check(&self, what: Use, uri: &Uri) -> Result<(), Denied> {
        let denied = |why: &str| Denied { what, uri: uri.to_string(), why: why.to_owned() };
        let place = settle(uri).map_err(|why| denied(&why))?;
        let mut covering = self.prefixes.iter().filter(|prefix| place.is_within(prefix)).peekable();
        if covering.peek().is_none() {
            return Err(denied(NO_PREFIX));
        }
        let Some(workspace) = self.workspace.as_ref().filter(|workspace| place.is_within(workspace)) else {
            return Ok(());
        };
        if !covering.any(|prefix| prefix.is_within(workspace)) {
            return Err(denied(OWN));
        }
        let is_kept = |folder: &&str| workspace.join(folder).is_ok_and(|kept| place.is_within(&kept));
        if matches!(what, Use::Output | Use::Index | Use::Filter) && KEPT.iter().any(is_kept) {
            return Err(denied(OWN_FOLDERS));
        }
        Ok(())
    }
}

/// A location in the one spelling that all its spellings share, or why that cannot be told.
fn settle(uri: &Uri) -> Result<Uri, String> {
    match uri {
        Uri::File(path) => settle_file(path).map(Uri::File),
        Uri::Http { origin, path } => settle_web(origin, path),
        Uri::S3 { key, .. } | Uri::Memory { key, .. } if has_dots(key) => {
            Err("a key with the part `..` may mean two things".to_owned())
        }
        Uri::S3 { .. } | Uri::Memory { .. } => Ok(uri.clone()),
    }
}

/// The real path: absolute, `..` resolved by name as the store of files does it, and every link followed as far as the
/// path is there.
fn settle_file(path: &Path) -> Result<PathBuf, String> {
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    let mut plain = PathBuf::from("/");
    for part in absolute.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    for there in plain.ancestors() {
        match there.canonicalize() {
            Ok(real) => {
                let rest = plain.strip_prefix(there).map_err(|error| error.to_string())?;
                return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
            }
            // A link to nothing yet may lead anywhere tomorrow.
            Err(_) if there.is_symlink() => return Err(format!("{} is a link to nothing", there.display())),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(format!("{} cannot be looked at: {error}", there.display())),
        }
    }
    Err("there is no such path".to_owned())
}

/// The host in lower case and without the port that is meant anyway. The path as it is, unless a web client or server might
/// read another path from it.
fn settle_web(origin: &str, path: &str) -> Result<Uri, String> {
    let mut origin = origin.to_ascii_lowercase();
    for (scheme, port) in [("https://", ":443"), ("http://", ":80")] {
        if origin.starts_with(scheme)
            && let Some(without) = origin.strip_suffix(port)
        {
            origin = without.to_owned();
        }
    }
    let odd = |c: char| c == '\\' || c.is_control();
    if path.contains(odd) || has_dots(path) || has_dots(&percent_decoded(path)) {
        return Err("an address with `..`, a backslash or control characters may mean two things".to_owned());
    }
    Ok(Uri::Http { origin, path: path.to_owned() })
}

fn has_dots(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| part == "..")
}

/// A path as a server sees it that decodes before it looks at the parts. What does not decode stays.
fn percent_decoded(path: &str) -> String {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let byte = match tail {
            [high, low, ..] if *first == b'%' => {
                hex::decode([*high, *low]).ok().and_then(|b| b.first().copied())
            }
            _ => None,
        };
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests;
