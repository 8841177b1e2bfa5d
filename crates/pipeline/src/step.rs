//! What a step is.
//!
//! A step is one file under `steps/` and one line in the list of [`steps`](crate::steps): its name, doc, parameters,
//! code and tests stand together. The reference docs, the JSON schema of recipes and the tests over all steps are
//! made from that list.

use crate::resources::{Blob, Resources, Wanted};
use crate::selection::Selection;
use crate::{Document, Fields, IndexUse, Verdict};
use gristmill_dedup::bff;
use gristmill_dedup::sets::Measure;
use gristmill_dedup::substring::Unit;
use gristmill_filters::Text;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A step of a recipe, as its file declares it.
pub trait Step: 'static {
    /// The name in recipes: DCLM's where DCLM has the step, else the field's.
    const NAME: &'static str;
    /// Markdown. The first line says in one sentence what the step does.
    const DOC: &'static str;
    /// The paper, or the repository and file, that the rule and its constants come from.
    const ORIGIN: &'static str;
    /// Parameters as one would write them in a recipe, in YAML.
    const EXAMPLE: &'static str;
    const KIND: Kind = Kind::Map;
    /// What the document must have when it comes here.
    const NEEDS: Needs = Needs::Text;
    /// Whether `semantics` is among the parameters: the recipe's choice is then the default.
    const HAS_SEMANTICS: bool = false;
    /// The parameter that is meant where a recipe gives the step a value in place of parameters.
    const SHORT: Option<&'static str> = None;

    type Params: DeserializeOwned + JsonSchema + Send + Sync;

    /// Refuses values that no document could pass or that contradict each other.
    fn check(_params: &Self::Params) -> Result<(), BuildError> {
        Ok(())
    }

    /// The models and lists that these parameters name.
    fn resources(_params: &Self::Params) -> Vec<Wanted> {
        Vec::new()
    }

    /// Of a barrier: the stages that find what goes.
    fn way(_params: &Self::Params) -> Way {
        if Self::KIND == Kind::Selection { Way::Rank } else { Way::Join }
    }

    /// Addresses of filters that are read or written, and no models.
    fn filters(_params: &Self::Params) -> Vec<&str> {
        Vec::new()
    }

    /// Of a barrier: whether it writes which documents it joined. The files are part of the dataset.
    fn clusters(_params: &Self::Params) -> bool {
        false
    }

    /// Of a barrier: the index of earlier jobs' documents that these parameters name.
    fn index(_params: &Self::Params) -> Option<&IndexUse> {
        None
    }

    /// Of a barrier that takes an index: all that decides which documents meet and are joined. An index is of one such.
    fn joins_by(_params: &Self::Params, _seed: u64) -> Value {
        Value::Null
    }

    /// The step at work: called once for each lane, since what comes out may keep buffers of its own.
    fn build(params: &Self::Params, cx: &Context) -> Result<Built, BuildError>;
}

/// Whether a step looks at one document or needs them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Map,
    /// Looks at one document and changes nothing; what it saw is summed up once the pass is over.
    Observe,
    /// Joins documents of the whole corpus that are the same.
    Barrier,
    /// Ranks the documents of the whole corpus.
    Selection,
}

/// How a barrier finds what goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Documents that share a key are joined.
    Join,
    /// They are compared first.
    VerifyAndJoin,
    /// Documents are held against Bloom filters, one after the other, in so many groups.
    Filter { groups: u32 },
    /// What documents consist of is compared window by window, where anything of it repeats.
    Spans,
    /// Scores of all documents are ranked.
    Rank,
}

/// What a document must have for a step. The chain answers for documents that lack it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// The fetched bytes: the step must stand before the text is extracted.
    Body,
    Text,
}

/// What to do where DCLM's code does not do what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semantics {
    /// What the code does, to the letter.
    Dclm,
    /// What it is meant to do.
    #[default]
    Fixed,
}

/// What a step may use while it is built.
pub struct Context<'a> {
    pub resources: &'a Resources,
    /// The seed of the recipe, for hashes and sampling.
    pub seed: u64,
}

/// A step at work.
pub enum Built {
    Map(Box<dyn MapStep>),
    Split(Box<dyn SplitStep>),
    Alternatives(Box<dyn AlternativesStep>),
    Observe(Box<dyn ObserveStep>),
    /// A user's program, which somebody else has to start.
    Program(Program),
    Barrier(Barrier),
    Selection(Selection),
    Bloom(Bloom),
    Spans(Spans),
}

/// Looks at one document at a time, in any order.
pub trait MapStep: Send {
    fn apply(&mut self, doc: &mut Document) -> Verdict;
}

/// Makes several documents of one. Their identities are given by the chain: the one's, and a number.
pub trait SplitStep: Send {
    fn split(&mut self, doc: &mut Document) -> Result<Vec<Document>, Verdict>;
}

/// Makes several texts of one page, of which the first that the steps after it keep counts. There may be one such step in
/// a recipe.
pub trait AlternativesStep: Send {
    /// The best first; at least one.
    fn alternatives(&mut self, doc: &mut Document) -> Result<Vec<Alternative>, Verdict>;
}

/// A text, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    pub by: &'static str,
    pub text: String,
}

impl Alternative {
    /// The field that says who made a document's text.
    pub const FIELD: &'static str = "extractor";

    /// Makes it the text of a document.
    pub fn give(self, doc: &mut Document) {
        doc.set_text(self.text);
        doc.fields.set(Self::FIELD, self.by);
    }
}

/// Notes a value of each document that passes; what they come to over the whole corpus stands in the manifest.
pub trait ObserveStep: Send {
    fn observe(&mut self, doc: &Document) -> Option<Observed>;
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    Number(f64),
    Text(String),
}

/// Takes many documents at once. The answers come in the order of the documents, one for each.
pub trait BatchStep: Send {
    /// Documents that are worth waiting for.
    fn size(&self) -> usize;
    /// An error is the step's own: no document is to blame.
    fn apply(&mut self, docs: &mut [Document]) -> Result<Vec<Answer>, StepError>;
}

/// What becomes of a document of a batch.
#[derive(Debug)]
pub enum Answer {
    Verdict(Verdict),
    /// These take its place.
    Documents(Vec<Document>),
}

/// A user's program, as a recipe describes it.
pub struct Program {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Files that lie in its working directory: name there, and contents.
    pub files: Vec<(String, Blob)>,
    /// Added to its environment, which is otherwise bare.
    pub environment: BTreeMap<String, String>,
    /// Documents given to it before it has to answer.
    pub batch: usize,
    /// Seconds it may take for one document.
    pub timeout: u32,
    /// Reasons that it may give for dropping a document; any other is counted as `other`.
    pub reasons: Vec<String>,
}

/// Starts users' programs. Only who may run them has one of these.
pub trait Programs: Send + Sync {
    fn start(&self, program: Program) -> Result<Box<dyn BatchStep>, BuildError>;
}

/// A step that needs the whole corpus: a global dedup. The map pass before it signs every document, or the units that
/// it consists of; what shares a key is joined, and all but one of those joined go.
pub struct Barrier {
    pub signer: Signer,
    /// Why the documents that go are dropped.
    pub reason: &'static str,
    /// What is stored for an ordinary document while documents meet, for estimates.
    pub bytes_per_document: u64,
    /// Components with more members are left alone, and counted.
    pub max_component: Option<u64>,
    /// What is told of the documents that are joined.
    pub report: Report,
}

/// What a dedup tells of the documents that it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A row for each of them, in files of the dataset.
    pub clusters: bool,
    /// In the documents themselves, none of which is dropped.
    pub annotate: bool,
    /// In the documents that stay: how many others there were.
    pub count: bool,
    /// In the same: so many of their record ids at most.
    pub listed: usize,
}

impl Report {
    /// Whether there is anything to tell.
    #[must_use]
    pub fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// Gives a document the keys under which it may meet others.
pub enum Signer {
    /// One key at most for each unit: all units that share it are the same, and the one of the lowest rank stays.
    Exact(Exact),
    /// Many keys: documents that share one are joined, if they are similar, and what is joined is joined through others, too.
    Fuzzy(Fuzzy),
}

impl Signer {
    /// The record id in a rank.
    #[must_use]
    pub fn id<'r>(&self, rank: &'r [u8]) -> &'r [u8] {
        match self {
            Self::Exact(units) => units.id(rank),
            Self::Fuzzy(fuzzy) => fuzzy.signer.id(rank),
        }
    }
}

pub struct Fuzzy {
    pub signer: Box<dyn FuzzySigner>,
    /// How similar documents that share a key must be to be joined. None: any that share one are.
    pub verify: Option<Similarity>,
    pub guard: Option<SourceGuard>,
}

/// Keeps a dedup from wiping out a source: one that would lose more keeps all its documents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceGuard {
    /// Of its documents, those that may go at most.
    pub share: f64,
    /// Sources of fewer documents are not guarded.
    pub min_documents: u64,
}

pub trait FuzzySigner: Send {
    /// Writes the document's keys into the list, which is empty. A document without any meets no other.
    fn keys(&mut self, doc: &Document, keys: &mut Vec<u64>);
    /// What the document signed last consists of: hashes, sorted, each once.
    fn set(&mut self) -> &[u64];
    /// Writes the document's rank: of joined documents the one whose rank's bytes are the lowest stays.
    fn rank(&mut self, doc: &Document, rank: &mut Vec<u8>);
    /// The record id in a rank that this wrote.
    fn id<'r>(&self, rank: &'r [u8]) -> &'r [u8];
    /// Writes the name of the document's source, where sources are guarded.
    fn source(&mut self, doc: &Document, source: &mut Vec<u8>);
}

/// A dedup by Bloom filters: a document is held against the n-grams of all that came before it in its group.
#[derive(Clone, Debug, PartialEq)]
pub struct Bloom {
    pub params: bff::Params,
    /// Of the hashes, and of the groups.
    pub seed: u64,
    /// Groups that are deduplicated apart, each with a filter of its own.
    pub groups: u32,
    /// The share of unknown n-grams that a filter may take for known ones once it is full.
    pub fp_rate: f64,
    /// N-grams that a filter has room for, if its group has fewer.
    pub expected_ngrams: u64,
    /// Whether documents are only told what would go.
    pub annotate: bool,
    /// Where the filters of an earlier job lie, to begin with.
    pub load: Option<String>,
    /// Whether what stays is inserted; else the filters are only asked.
    pub update: bool,
    /// Where the filters go in the end.
    pub save: Option<String>,
}

/// A dedup of spans of text: windows of so many units that occur more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    pub length: usize,
    pub unit: Unit,
    /// Of the hashes.
    pub seed: u64,
}

/// A bound on what two documents share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    pub measure: Measure,
    pub threshold: f64,
}

/// A document cut into units that are deduplicated exactly: the document itself, or its lines, or the members of a list.
pub trait ExactUnits: Send {
    /// Calls `unit` for every unit in order, with its key, if it has one, and its rank: of units with one key the one
    /// whose rank's bytes are the lowest stays.
    fn sign(&mut self, doc: &Document, unit: &mut dyn FnMut(Option<u128>, &[u8]));
    /// The record id in a rank that this wrote for a document that is one unit.
    fn id<'r>(&self, rank: &'r [u8]) -> &'r [u8] {
        rank
    }
    /// Takes the units out for whose place in the document `gone` says yes. Called only if there are any.
    fn remove(&mut self, doc: &mut Document, gone: &dyn Fn(u32) -> bool) -> Verdict;
}

pub type Exact = Box<dyn ExactUnits>;

impl Built {
    /// A map over the text and the other fields.
    pub fn text(f: impl FnMut(&mut Text, &mut Fields) -> Verdict + Send + 'static) -> Self {
        struct OverText<F>(F);
        impl<F: FnMut(&mut Text, &mut Fields) -> Verdict + Send> MapStep for OverText<F> {
            fn apply(&mut self, doc: &mut Document) -> Verdict {
                match &mut doc.text {
                    Some(text) => (self.0)(text, &mut doc.fields),
                    None => Verdict::broken(NO_TEXT),
                }
            }
        }
        Self::Map(Box::new(OverText(f)))
    }

    /// A step that makes several documents of one.
    pub fn split(f: impl FnMut(&mut Document) -> Result<Vec<Document>, Verdict> + Send + 'static) -> Self {
        struct Over<F>(F);
        impl<F: FnMut(&mut Document) -> Result<Vec<Document>, Verdict> + Send> SplitStep for Over<F> {
            fn split(&mut self, doc: &mut Document) -> Result<Vec<Document>, Verdict> {
                (self.0)(doc)
            }
        }
        Self::Split(Box::new(Over(f)))
    }

    /// A step that makes several texts of a page.
    pub fn alternatives(
        f: impl FnMut(&mut Document) -> Result<Vec<Alternative>, Verdict> + Send + 'static,
    ) -> Self {
        struct Over<F>(F);
        impl<F: FnMut(&mut Document) -> Result<Vec<Alternative>, Verdict> + Send> AlternativesStep for Over<F> {
            fn alternatives(&mut self, doc: &mut Document) -> Result<Vec<Alternative>, Verdict> {
                (self.0)(doc)
            }
        }
        Self::Alternatives(Box::new(Over(f)))
    }

    /// A step that notes a value of each document.
    pub fn observe(f: impl FnMut(&Document) -> Option<Observed> + Send + 'static) -> Self {
        struct Over<F>(F);
        impl<F: FnMut(&Document) -> Option<Observed> + Send> ObserveStep for Over<F> {
            fn observe(&mut self, doc: &Document) -> Option<Observed> {
                (self.0)(doc)
            }
        }
        Self::Observe(Box::new(Over(f)))
    }

    /// A map over the whole document.
    pub fn map(f: impl FnMut(&mut Document) -> Verdict + Send + 'static) -> Self {
        struct Over<F>(F);
        impl<F: FnMut(&mut Document) -> Verdict + Send> MapStep for Over<F> {
            fn apply(&mut self, doc: &mut Document) -> Verdict {
                (self.0)(doc)
            }
        }
        Self::Map(Box::new(Over(f)))
    }
}

/// The reason for documents without the text that a step needs.
pub const NO_TEXT: &str = "no text";
/// The reason for documents without the bytes that a step needs.
pub const NO_BODY: &str = "no body";

/// Why a step cannot be built from its parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

impl BuildError {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Why a step cannot go on, whatever the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StepError(String);

impl StepError {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// A step in the list, its types erased.
#[derive(Clone, Copy)]
pub struct StepDef {
    pub name: &'static str,
    pub doc: &'static str,
    pub origin: &'static str,
    pub example: &'static str,
    pub kind: Kind,
    pub needs: Needs,
    pub has_semantics: bool,
    pub short: Option<&'static str>,
    schema: fn(&mut SchemaGenerator) -> Schema,
    parse: fn(&Value) -> Result<Box<dyn Parsed>, ParamError>,
}

/// Parameters that do not fit.
#[derive(Debug)]
pub struct ParamError {
    /// Where in the parameters, outermost name first.
    pub path: Vec<String>,
    pub message: String,
}

/// A step with its parameters, checked.
pub trait Parsed: Send + Sync {
    fn resources(&self) -> Vec<Wanted>;
    fn way(&self) -> Way;
    fn filters(&self) -> Vec<&str>;
    fn clusters(&self) -> bool;
    fn index(&self) -> Option<&IndexUse>;
    fn joins_by(&self, seed: u64) -> Value;
    fn build(&self, cx: &Context) -> Result<Built, BuildError>;
}

struct Typed<S: Step>(S::Params);

impl<S: Step> Parsed for Typed<S> {
    fn resources(&self) -> Vec<Wanted> {
        S::resources(&self.0)
    }

    fn way(&self) -> Way {
        S::way(&self.0)
    }

    fn filters(&self) -> Vec<&str> {
        S::filters(&self.0)
    }

    fn clusters(&self) -> bool {
        S::clusters(&self.0)
    }

    fn index(&self) -> Option<&IndexUse> {
        S::index(&self.0)
    }

    fn joins_by(&self, seed: u64) -> Value {
        S::joins_by(&self.0, seed)
    }

    fn build(&self, cx: &Context) -> Result<Built, BuildError> {
        S::build(&self.0, cx)
    }
}

impl StepDef {
    #[must_use]
    pub const fn of<S: Step>() -> Self {
        Self {
            name: S::NAME,
            doc: S::DOC,
            origin: S::ORIGIN,
            example: S::EXAMPLE,
            kind: S::KIND,
            needs: S::NEEDS,
            has_semantics: S::HAS_SEMANTICS,
            short: S::SHORT,
            schema: |generator| generator.subschema_for::<S::Params>(),
            parse: |value| {
                let params: S::Params =
                    serde_path_to_error::deserialize(value).map_err(|error| ParamError {
                        path: error.path().iter().map(ToString::to_string).collect(),
                        message: error.inner().to_string(),
                    })?;
                S::check(&params)
                    .map_err(|error| ParamError { path: Vec::new(), message: error.to_string() })?;
                Ok(Box::new(Typed::<S>(params)))
            },
        }
    }

    /// Parses and checks the parameters; `null` stands for none, and a text or number for the one that is meant by it.
    pub fn parse(&self, params: &Value) -> Result<Box<dyn Parsed>, ParamError> {
        match (params, self.short) {
            (Value::Null, _) => (self.parse)(&Value::Object(serde_json::Map::new())),
            (Value::String(_) | Value::Number(_), Some(name)) => (self.parse)(&json!({ name: params })),
            _ => (self.parse)(params),
        }
    }

    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    /// The JSON schema of the parameters, alone.
    #[must_use]
    pub fn params_schema(&self) -> Value {
        let mut generator = SchemaGenerator::default();
        let mut schema = (self.schema)(&mut generator).to_value();
        // A struct comes as a reference to its definition.
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).map(str::to_owned)
            && let Some(definition) = generator.definitions().get(name.trim_start_matches("#/$defs/"))
        {
            schema = definition.clone();
        }
        if let Value::Object(schema) = &mut schema {
            schema.insert("$defs".to_owned(), Value::Object(generator.take_definitions(true)));
        }
        schema
    }

    /// The first line of the doc.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.doc.trim_start().lines().next().unwrap_or_default()
    }
}
