//! The recipe: the YAML a user writes, and the only description of a dataset.
//!
//! Reading happens in two strides: text → [`Tree`] (with lines) → [`Recipe`] (typed, every step's parameters
//! checked). All complaints are collected, each with its line and, for a misspelt name, a suggestion.

mod overrides;
mod schema;
pub mod tree;

pub use overrides::{OverrideError, set};
pub use schema::schema;

use crate::step::{Kind, Parsed, Semantics, StepDef};
use crate::steps;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use tree::{Node, Tree};

/// The version of the recipe language that this program reads.
pub const VERSION: u32 = 1;

/// Longer lists of steps are refused before any is looked at: recipes come from strangers, too.
pub const STEPS_MAX: usize = 1000;
/// Nothing is suggested for longer names: comparing takes time, and nobody mistyped them.
const NAME_MAX: usize = 64;

/// A recipe, checked.
#[derive(Clone)]
pub struct Recipe {
    pub head: Head,
    pub steps: Vec<Arc<StepSpec>>,
    /// The recipe as plain JSON with all overrides applied: what the plan and the manifest keep.
    pub canonical: Value,
}

/// A step of a recipe.
pub struct StepSpec {
    /// Its place in the list, from 0.
    pub index: usize,
    pub def: StepDef,
    pub parsed: Box<dyn Parsed>,
}

/// All of a recipe but its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Version of the recipe language: 1.
    #[serde(default = "current_version")]
    pub version: u32,
    /// What the dataset is called.
    pub name: String,
    /// What the recipe is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Paths, globs, folders, `s3://` or `https://` addresses, or files that list such (`*.paths.gz`).
    #[serde(default)]
    pub input: Inputs,
    #[serde(default)]
    pub output: Output,
    /// Seed of every hash and every sample. The same recipe with the same seed gives the same bytes.
    #[serde(default)]
    pub seed: u64,
    /// For steps whose behaviour in DCLM is a defect: do as DCLM's code does, or as it is meant to do. A step's own `semantics` wins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub semantics: Semantics,
    /// How the work is cut.
    #[serde(default)]
    pub tasks: Tasks,
    /// Bounds for single documents.
    #[serde(default)]
    pub limits: Limits,
}

/// One input or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Inputs {
    #[default]
    None,
    One(String),
    Many(Vec<Input>),
}

/// An input, with a format where its name does not tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Input {
    Path(String),
    Formatted(FormattedInput),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormattedInput {
    pub path: String,
    pub format: InputFormat,
}

/// What an input holds. Compression is told from the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    Warc,
    Arc,
    Wet,
    Jsonl,
    Parquet,
    Html,
}

/// Where the dataset goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// A folder or an `s3://` prefix. Data files go to `data/` below it.
    pub path: Option<String>,
    pub format: OutputFormat,
    /// How the data files are cut and named.
    #[serde(skip_serializing_if = "is_default")]
    pub layout: Layout,
    /// A data file is closed once it holds this much, before compression.
    pub shard_size: ByteSize,
}

/// How the data files are cut and named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `data/part-00000-000.jsonl.zst`, …: input files are split and grouped into tasks, and a task's documents written to files of `shard_size`.
    #[default]
    Parts,
    /// DCLM's: for each input file `processed_data/NAME_processed.jsonl.zst` (empty if no document is left), `stats/NAME_stats.jsonl` with a line for each step, and `global_stats.jsonl`. Each input file is a task.
    Dclm,
}

impl Layout {
    /// The folder of the data files, below the output.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Parts => "data",
            Self::Dclm => "processed_data",
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self {
            path: None,
            format: OutputFormat::default(),
            layout: Layout::default(),
            shard_size: ByteSize(512 << 20),
        }
    }
}

/// The format of data files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OutputFormat {
    #[default]
    #[serde(rename = "jsonl.zst")]
    JsonlZst,
    #[serde(rename = "jsonl.gz")]
    JsonlGz,
    #[serde(rename = "jsonl")]
    Jsonl,
    #[serde(rename = "parquet")]
    Parquet,
}

/// How the work is cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tasks {
    /// Input of one task, as stored. Larger inputs are split where their format allows, smaller ones grouped.
    /// By default a 64th of the input, from 8MiB to 128MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// Key ranges that a global dedup is cut into; by default as many as the size of the input asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buckets: Option<u32>,
    /// Memory for what a task of a global dedup sorts and joins, 160MiB by default; what is more goes through the scratch disk,
    /// with the same result. Also for a Bloom filter of a dedup, three quarters of what the worker has by default; one that needs
    /// more is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}

impl Tasks {
    /// Memory for what a task sorts and joins.
    #[must_use]
    pub fn memory(&self) -> ByteSize {
        self.memory.unwrap_or(ByteSize(160 << 20))
    }
}

/// Bounds for single documents. What is beyond them is broken, and counted so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A page's bytes, its encodings undone.
    pub body: ByteSize,
    /// A line of JSON.
    pub line: ByteSize,
    /// Seconds of a processor that a document may take; ten times as many of waiting.
    pub document_time: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: ByteSize(20 << 20), line: ByteSize(32 << 20), document_time: 60 }
    }
}

/// A number of bytes: `1048576`, `512MiB`, `1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(with = "ByteSizeText")]
pub struct ByteSize(pub u64);

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it only says how a size is written")]
enum ByteSizeText {
    Bytes(u64),
    Text(#[schemars(regex(pattern = r"^[0-9]+ ?([kKMGT]i?)?B?$"))] String),
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a size such as 512MiB")
            }
            fn visit_u64<E>(self, n: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(n))
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<ByteSize, E> {
                u64::try_from(n).map(ByteSize).map_err(|_| E::custom("a size cannot be negative"))
            }
            fn visit_str<E: serde::de::Error>(self, s: &str) -> Result<ByteSize, E> {
                s.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no size; write 1048576, 512MiB or 1GB");
        parse_bytes(text).map(Self).ok_or_else(refused)
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim().trim_end_matches('B') {
        "" => 1,
        "k" | "K" => 1_000,
        "Ki" => 1 << 10,
        "M" => 1_000_000,
        "Mi" => 1 << 20,
        "G" => 1_000_000_000,
        "Gi" => 1 << 30,
        "T" => 1_000_000_000_000,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn current_version() -> u32 {
    VERSION
}

impl Inputs {
    #[must_use]
    pub fn list(&self) -> Vec<(String, Option<InputFormat>)> {
        match self {
            Self::None => Vec::new(),
            Self::One(path) => vec![(path.clone(), None)],
            Self::Many(many) => many
                .iter()
                .map(|input| match input {
                    Input::Path(path) => (path.clone(), None),
                    Input::Formatted(f) => (f.path.clone(), Some(f.format)),
                })
                .collect(),
        }
    }
}

/// All that is wrong with a recipe.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RecipeError(pub Vec<Complaint>);

/// One thing that is wrong with a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The line in the recipe, from 1; 0 where no line is to blame.
    pub line: u64,
    /// The value, as a path for `--set`.
    pub path: String,
    pub message: String,
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl Recipe {
    /// Reads a recipe and applies overrides (`key.path=value`) to it.
    pub fn parse(yaml: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let tree = tree::parse(yaml).map_err(|e| complain(e.line, "", e.message))?;
        Self::from_tree(tree, overrides)
    }

    /// Reads a recipe that was parsed before.
    pub fn from_canonical(canonical: &Value) -> Result<Self, RecipeError> {
        // JSON is YAML.
        Self::parse(&canonical.to_string(), &[])
    }

    /// The same recipe with the indexes of some of its steps pinned to a generation.
    pub fn pinned(&self, pins: &BTreeMap<usize, u64>) -> Result<Self, RecipeError> {
        let mut canonical = self.canonical.clone();
        for (place, generation) in pins {
            let Some(spec) = self.steps.get(*place) else { continue };
            let at = format!("/steps/{place}/{}/index", spec.def.name);
            if let (Some(index), Some(written)) = (spec.parsed.index(), canonical.pointer_mut(&at)) {
                *written = index.pinned(*generation);
            }
        }
        Self::from_canonical(&canonical)
    }

    /// Makes a recipe of a tree and applies overrides to it.
    pub fn from_tree(mut tree: Tree, overrides: &[String]) -> Result<Self, RecipeError> {
        for text in overrides {
            set(&mut tree, text).map_err(|e| complain(0, "", format!("--set {text}: {e}")))?;
        }
        let Node::Map(map) = &tree.node else {
            return Err(complain(
                tree.line,
                "",
                "a recipe is a map of name, input, steps and output".to_owned(),
            ));
        };
        let mut complaints = Vec::new();
        let mut head_tree = map.clone();
        let steps_tree = head_tree.shift_remove("steps");
        let head_tree = Tree { line: tree.line, node: Node::Map(head_tree) };
        let head = match serde_path_to_error::deserialize::<_, Head>(&head_tree.to_value()) {
            Ok(head) => Some(head),
            Err(error) => {
                let path: Vec<String> = error.path().iter().map(ToString::to_string).collect();
                let message = explain(&error.inner().to_string(), &["steps"]);
                complaints.push(Complaint { line: head_tree.line_of(&path), path: path.join("."), message });
                None
            }
        };
        if let Some(head) = &head {
            check_head(head, &head_tree, &mut complaints);
        }
        let steps = match &steps_tree {
            Some(tree) => {
                let semantics = head.as_ref().map_or(Semantics::default(), |head| head.semantics);
                parse_steps_as(tree, semantics, &mut complaints)
            }
            None => {
                let message =
                    "a recipe needs steps: a list, one step an entry (`gristmill steps` lists them)";
                complaints.push(Complaint {
                    line: tree.line,
                    path: "steps".to_owned(),
                    message: message.to_owned(),
                });
                Vec::new()
            }
        };
        match head {
            Some(head) if complaints.is_empty() => Ok(Self { head, steps, canonical: tree.to_value() }),
            _ => {
                complaints.sort_by_key(|c| c.line);
                Err(RecipeError(complaints))
            }
        }
    }
}

/// Reads a list of steps, as it stands in a recipe without `semantics`.
pub fn parse_steps(tree: &Tree, complaints: &mut Vec<Complaint>) -> Vec<Arc<StepSpec>> {
    parse_steps_as(tree, Semantics::default(), complaints)
}

/// Reads a list of steps; those that do not say which semantics they have get the one given.
pub fn parse_steps_as(
    tree: &Tree,
    semantics: Semantics,
    complaints: &mut Vec<Complaint>,
) -> Vec<Arc<StepSpec>> {
    let Node::List(list) = &tree.node else {
        complaints.push(Complaint {
            line: tree.line,
            path: "steps".to_owned(),
            message: "steps is a list, one step an entry".to_owned(),
        });
        return Vec::new();
    };
    if list.len() > STEPS_MAX {
        let message = format!("{} steps, and at most {STEPS_MAX} are allowed", list.len());
        complaints.push(Complaint { line: tree.line, path: "steps".to_owned(), message });
        return Vec::new();
    }
    let mut specs = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        match parse_step(index, entry, semantics) {
            Ok(spec) => specs.push(Arc::new(spec)),
            Err(complaint) => complaints.push(complaint),
        }
    }
    specs
}

fn parse_step(index: usize, entry: &Tree, semantics: Semantics) -> Result<StepSpec, Complaint> {
    let at = |line, path: &str, message| Complaint { line, path: format!("steps.{index}{path}"), message };
    let none = Tree { line: entry.line, node: Node::Null };
    let (name, params) = match &entry.node {
        Node::String(name) => (name.as_str(), &none),
        Node::Map(map) if map.len() == 1 => match map.first() {
            Some((name, params)) => (name.as_str(), params),
            None => return Err(at(entry.line, "", "an empty step".to_owned())),
        },
        _ => {
            let message = "a step is its name, or one `name: {parameters}`".to_owned();
            return Err(at(entry.line, "", message));
        }
    };
    let Some(def) = steps::find(name) else {
        let known: Vec<&str> = steps::ALL.iter().map(|def| def.name).collect();
        let message =
            format!("there is no step {name:?}{}; `gristmill steps` lists them", suggestion(name, &known));
        return Err(at(entry.line, "", message));
    };
    let mut value = params.to_value();
    if def.has_semantics {
        if value.is_null() {
            value = Value::Object(serde_json::Map::new());
        }
        if let Value::Object(map) = &mut value {
            let name = if semantics == Semantics::Dclm { "dclm" } else { "fixed" };
            map.entry("semantics").or_insert_with(|| Value::from(name));
        }
    }
    let parsed = def.parse(&value).map_err(|error| {
        let path: Vec<&str> = error.path.iter().map(String::as_str).filter(|p| *p != ".").collect();
        let line = params.line_of(&path).max(entry.line);
        let path = std::iter::once(name).chain(path).collect::<Vec<_>>().join(".");
        at(line, &format!(".{path}"), explain(&error.message, &[]))
    })?;
    Ok(StepSpec { index, def: *def, parsed })
}

/// What to say to a name that no step has.
#[must_use]
pub fn unknown_step(name: &str) -> String {
    let known: Vec<&str> = steps::ALL.iter().map(|def| def.name).collect();
    format!("there is no step {name:?}{}; `gristmill steps` lists them", suggestion(name, &known))
}

fn check_head(head: &Head, tree: &Tree, complaints: &mut Vec<Complaint>) {
    let mut check = |ok: bool, path: &[&str], message: String| {
        if !ok {
            complaints.push(Complaint { line: tree.line_of(path), path: path.join("."), message });
        }
    };
    check(
        head.version == VERSION,
        &["version"],
        format!("this program reads recipes of version {VERSION}, not {}", head.version),
    );
    check(!head.name.trim().is_empty(), &["name"], "a dataset needs a name".to_owned());
    let small = ByteSize(64 << 10);
    check(
        head.output.shard_size >= small,
        &["output", "shard_size"],
        "less than 64KiB makes a file a page".to_owned(),
    );
    check(
        head.output.layout == Layout::Parts || head.output.format != OutputFormat::Parquet,
        &["output", "format"],
        "layout: dclm has one file of JSONL for each input file".to_owned(),
    );
    let size = head.tasks.size.unwrap_or(small);
    check(size >= small, &["tasks", "size"], "less than 64KiB makes a task a page".to_owned());
    check(
        head.tasks.memory() >= ByteSize(256 << 10),
        &["tasks", "memory"],
        "less than 256KiB sorts nothing; 160MiB is usual".to_owned(),
    );
    check(
        head.limits.body >= ByteSize(1 << 10),
        &["limits", "body"],
        "less than 1KiB breaks every page".to_owned(),
    );
    check(
        head.limits.line >= ByteSize(1 << 10),
        &["limits", "line"],
        "less than 1KiB breaks every line".to_owned(),
    );
    check(
        head.limits.body <= ByteSize(1 << 30) && head.limits.line <= ByteSize(1 << 30),
        &["limits"],
        "a single document of more than 1GiB does not fit a worker's memory".to_owned(),
    );
    check(
        (1..=3600).contains(&head.limits.document_time),
        &["limits", "document_time"],
        "a document may take from 1 to 3600 seconds".to_owned(),
    );
    let buckets = head.tasks.buckets.unwrap_or(1);
    check(
        buckets.is_power_of_two() && buckets <= 1024,
        &["tasks", "buckets"],
        "buckets must be a power of two up to 1024".to_owned(),
    );
    for (index, spec) in head.input.list().iter().enumerate() {
        check(!spec.0.is_empty(), &["input", &index.to_string()], "an input has no path".to_owned());
    }
}

/// Serde's message, with a suggestion where it lists the names that would do.
fn explain(message: &str, also: &[&str]) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((given, expected)) if message.starts_with("unknown ") && !expected.is_empty() => {
            let expected: Vec<&str> = expected.iter().chain(also).copied().collect();
            format!("{message}{}", suggestion(given, &expected))
        }
        _ => message.to_owned(),
    }
}

/// `; did you mean "…"?` where one of the names is near.
pub(crate) fn suggestion(given: &str, known: &[&str]) -> String {
    if given.len() > NAME_MAX {
        return String::new();
    }
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 3));
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}

fn complain(line: u64, path: &str, message: String) -> RecipeError {
    RecipeError(vec![Complaint { line, path: path.to_owned(), message }])
}

impl StepSpec {
    /// Whether the step needs the whole corpus.
    #[must_use]
    pub fn is_barrier(&self) -> bool {
        matches!(self.def.kind, Kind::Barrier | Kind::Selection)
    }
}
