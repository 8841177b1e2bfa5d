//! DCLM's own configs (mlfoundations/dclm, baselines/baselines_configs/*.yaml), made into recipes.
//!
//! Such a config is a list of sources, each with steps: `func`, the name of a function, and beside it the function's
//! parameters. Our steps have DCLM's names and parameters, so most of it is said as it stands. What else there is:
//!
//! - `_aggregate` below a step: steps `aggregate` behind it;
//! - `commit`: nothing, since tasks are committed as a whole and take checkpoints;
//! - functions by the path of their module: the step `external`, see [`custom`];
//! - what PyYAML and Python read otherwise than a recipe is read: see [`pyyaml`] and [`params`].
//!
//! Rules: baselines/core/{processor,factories}.py and ray_processing/{process,dedup_jsonl}.py there.

mod custom;
mod params;
mod print;
mod pyyaml;
#[cfg(test)]
mod tests;

use crate::recipe::tree::{Node, Tree};
use crate::recipe::{Complaint, RecipeError, VERSION, parse_steps_as, suggestion, unknown_step};
use crate::step::Semantics;
use crate::steps;
use indexmap::IndexMap;
use print::{comment, flow, scalar};
use pyyaml::{Comment, Loaded};
use std::fmt::Write as _;

/// Finds a file that DCLM's code would open by a relative path: where it lies, if it is there.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A recipe made of a config.
#[derive(Clone, Debug)]
pub struct Translation {
    /// For people, with comments on what was changed or is needed.
    pub text: String,
    /// The same, each value with its line in the config.
    pub tree: Tree,
}

/// Makes a recipe of one source of a config; which one has to be said where there are several. `name` is that of the config.
pub fn translate(
    yaml: &str,
    name: &str,
    source: Option<&str>,
    files: Files,
) -> Result<Translation, RecipeError> {
    let Loaded { tree, comments } = pyyaml::load(yaml).map_err(RecipeError)?;
    let sources = Source::all(&tree).map_err(RecipeError)?;
    let source = choose(&sources, source).map_err(|complaint| RecipeError(vec![complaint]))?;
    let mut writer = Writer { files, steps: Vec::new(), complaints: Vec::new() };
    for entry in source.steps {
        writer.entry(entry);
    }
    if !writer.complaints.is_empty() {
        return Err(RecipeError(writer.complaints));
    }
    let remarks = Remarks::new(source, &comments);
    Ok(Translation {
        text: text(name, source, &writer.steps, &remarks),
        tree: recipe(name, source.line, writer.steps),
    })
}

/// One source of a config.
struct Source<'t> {
    name: &'t str,
    line: u64,
    steps: &'t [Tree],
    /// The lines that are its own, with the comments above it and below.
    lines: std::ops::Range<u64>,
}

impl<'t> Source<'t> {
    /// A list of sources, as all of DCLM's configs are; or, older, a map from their names, or one source alone.
    fn all(tree: &'t Tree) -> Result<Vec<Self>, Vec<Complaint>> {
        let mut complaints = Vec::new();
        let named: Vec<(Option<&str>, &Tree)> = match &tree.node {
            Node::List(list) => list.iter().map(|entry| (None, entry)).collect(),
            Node::Map(map) if map.contains_key("steps") => vec![(Some(""), tree)],
            Node::Map(map) => map.iter().map(|(name, entry)| (Some(&**name), entry)).collect(),
            _ => {
                let message = "a config of DCLM is a list of sources: `- source: NAME`, and its `steps`";
                return Err(vec![complain(tree.line, "", message)]);
            }
        };
        let mut sources: Vec<Self> = Vec::new();
        for (name, entry) in named {
            match Self::of(name, entry) {
                Ok(mut source) => {
                    let start = sources.last().map_or(0, |previous| previous.lines.end);
                    source.lines = start..last_line(entry).max(start) + 1;
                    sources.push(source);
                }
                Err(complaint) => complaints.push(complaint),
            }
        }
        if let Some(last) = sources.last_mut() {
            last.lines.end = u64::MAX;
        }
        if complaints.is_empty() { Ok(sources) } else { Err(complaints) }
    }

    fn of(name: Option<&'t str>, entry: &'t Tree) -> Result<Self, Complaint> {
        let Node::Map(map) = &entry.node else {
            let message = "a source is a map with `source` and `steps`";
            return Err(complain(entry.line, name.unwrap_or_default(), message));
        };
        let name = match (map.get("source"), name) {
            (Some(Tree { node: Node::String(name), .. }), _) => name,
            (Some(other), _) => return Err(complain(other.line, "source", "the name of a source is a text")),
            (None, Some(name)) => name,
            (None, None) => return Err(complain(entry.line, "", "a source needs its name: `source: NAME`")),
        };
        match map.get("steps") {
            Some(Tree { node: Node::List(steps), .. }) => {
                Ok(Self { name, line: entry.line, steps, lines: 0..0 })
            }
            Some(other) => Err(complain(other.line, "steps", "steps is a list, one `func: NAME` an entry")),
            None => Err(complain(entry.line, name, "a source needs `steps`")),
        }
    }
}

fn complain(line: u64, path: &str, message: impl Into<String>) -> Complaint {
    Complaint { line, path: path.to_owned(), message: message.into() }
}

/// A text that stands on a line.
fn text_at(line: u64, text: &str) -> Tree {
    Tree { line, node: Node::String(text.to_owned()) }
}

/// A map that stands on a line.
fn map_at<const N: usize>(line: u64, entries: [(&str, Tree); N]) -> Tree {
    Tree { line, node: Node::Map(entries.map(|(name, value)| (name.to_owned(), value)).into()) }
}

fn choose<'s, 't>(sources: &'s [Source<'t>], wanted: Option<&str>) -> Result<&'s Source<'t>, Complaint> {
    let complain = |message: String| complain(0, "", message);
    let names: Vec<&str> = sources.iter().map(|source| source.name).collect();
    match wanted {
        // Of two with one name DCLM, too, knows only the last.
        Some(wanted) => sources.iter().rfind(|source| source.name == wanted).ok_or_else(|| {
            let hint = suggestion(wanted, &names);
            complain(format!("there is no source {wanted:?}{hint}; this config has {}", listed(&names)))
        }),
        None => match (sources.last(), names.iter().any(|name| *name != names[0])) {
            (Some(only), false) => Ok(only),
            (None, _) => Err(complain("this config has no source".to_owned())),
            _ => Err(complain(format!(
                "this config has several sources: choose one of {} by --source",
                listed(&names)
            ))),
        },
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ")
}

/// Where the last value of a tree stands.
fn last_line(tree: &Tree) -> u64 {
    match &tree.node {
        Node::List(list) => list.iter().map(last_line).max().unwrap_or_default().max(tree.line),
        Node::Map(map) => map.values().map(last_line).max().unwrap_or_default().max(tree.line),
        _ => tree.line,
    }
}

/// A step of the recipe and what stands above it.
struct Written {
    notes: Vec<String>,
    /// The lines of the config that it was made of.
    lines: std::ops::RangeInclusive<u64>,
    /// Nothing where only the notes are left.
    step: Option<Tree>,
}

/// Makes steps of entries.
struct Writer<'a> {
    files: Files<'a>,
    steps: Vec<Written>,
    complaints: Vec<Complaint>,
}

impl Writer<'_> {
    fn complain(&mut self, line: u64, path: &str, message: String) {
        self.complaints.push(complain(line, path, message));
    }

    fn entry(&mut self, entry: &Tree) {
        let lines = entry.line..=last_line(entry);
        let map = match &entry.node {
            Node::Map(map) => map,
            Node::String(text) if text == "commit" => {
                let note =
                    "DCLM commits here; tasks are committed as a whole, and long ones take checkpoints"
                        .to_owned();
                self.steps.push(Written { notes: vec![note], lines, step: None });
                return;
            }
            Node::String(text) if steps::find(text).is_some() => {
                return self.complain(entry.line, "", format!("write `func: {text}`"));
            }
            _ => return self.complain(entry.line, "", "a step is `commit`, or a map with `func`".to_owned()),
        };
        let func = match map.get("func") {
            Some(Tree { node: Node::String(func), .. }) => func,
            Some(other) => {
                return self.complain(other.line, "func", "the name of a function is a text".to_owned());
            }
            None => return self.complain(entry.line, "", "a step needs `func: NAME`".to_owned()),
        };
        let mut params = map.clone();
        params.shift_remove("func");
        let aggregates = params.shift_remove("_aggregate");
        let mut notes = Vec::new();
        if let Some(step) = self.step(entry.line, func, &params, &mut notes) {
            self.steps.push(Written { notes, lines: lines.clone(), step: Some(step) });
        }
        if let Some(aggregates) = aggregates {
            self.aggregates(&aggregates, &lines);
        }
    }

    fn step(
        &mut self,
        line: u64,
        func: &str,
        given: &params::Params,
        notes: &mut Vec<String>,
    ) -> Option<Tree> {
        // DCLM's own functions, named by their place in its repository.
        let own = func.strip_prefix("baselines.mappers.").and_then(|path| path.rsplit('.').next());
        let name = own.filter(|name| steps::find(name).is_some()).unwrap_or(func);
        if name.contains('.') {
            return custom::step(line, func, given, self.files)
                .map_err(|message| self.complain(line, "func", message))
                .ok();
        }
        if steps::find(name).is_none() {
            self.complain(line, "func", unknown_step(name));
            return None;
        }
        let params = params::fit(name, line, given, self.files, notes);
        let step = if params.is_empty() {
            text_at(line, name)
        } else {
            map_at(line, [(name, Tree { line, node: Node::Map(params) })])
        };
        self.check(&step);
        Some(step)
    }

    /// What DCLM's `_aggregate` sums up behind a step.
    fn aggregates(&mut self, tree: &Tree, lines: &std::ops::RangeInclusive<u64>) {
        let Node::Map(map) = &tree.node else {
            return self.complain(
                tree.line,
                "_aggregate",
                "_aggregate is a map from keys to what is wanted of them".to_owned(),
            );
        };
        for (key, wanted) in map {
            let line = wanted.line;
            let mut params = IndexMap::from([("key".to_owned(), text_at(line, key))]);
            let mut notes = Vec::new();
            match &wanted.node {
                Node::String(_) => _ = params.insert("type".to_owned(), wanted.clone()),
                Node::Map(map) => {
                    for (name, value) in map {
                        // Without a transform there is nobody to take its parameters.
                        if name == "type" || map.contains_key("transform") {
                            params.insert(name.clone(), value.clone());
                        } else {
                            notes.push(format!("Left out, since DCLM does nothing with it here: {name}"));
                        }
                    }
                }
                _ => {
                    let message = "an aggregate is its type, or a map with `type`".to_owned();
                    self.complain(line, &format!("_aggregate.{key}"), message);
                    continue;
                }
            }
            let step = map_at(line, [("aggregate", Tree { line, node: Node::Map(params) })]);
            self.check(&step);
            // The step before has the lines, and so the comments.
            let end = *lines.end();
            self.steps.push(Written { notes, lines: end + 1..=end, step: Some(step) });
        }
    }

    /// Has a step's parameters checked by the step itself.
    fn check(&mut self, step: &Tree) {
        let list = Tree { line: step.line, node: Node::List(vec![step.clone()]) };
        let mut found = Vec::new();
        parse_steps_as(&list, Semantics::Dclm, &mut found);
        self.complaints.extend(found.into_iter().map(|complaint| Complaint {
            line: complaint.line,
            path: complaint.path.trim_start_matches("steps.0").trim_start_matches('.').to_owned(),
            message: format!("{}{}", complaint.message, yaml_hint(&complaint.message)),
        }));
    }
}

/// What to say where YAML 1.1 reads something else than was meant.
fn yaml_hint(message: &str) -> &'static str {
    let given_text = message.strip_prefix("invalid type: string \"").and_then(|rest| rest.split('"').next());
    match given_text {
        Some("None") => "; PyYAML reads None as text, so write null or leave it out",
        Some(text) if text.parse::<f64>().is_ok() => {
            "; PyYAML reads it as text: a number has no quotes, and before an exponent a dot, as in 1.0e-3"
        }
        _ if message.starts_with("invalid type: boolean") => {
            "; PyYAML reads yes, no, on and off as booleans: put quotes around what is text"
        }
        _ if message.contains("untagged enum") => {
            "; put quotes around entries that PyYAML reads as numbers or booleans"
        }
        _ => "",
    }
}

/// The comments of a source, at the steps where they stand.
struct Remarks<'c> {
    head: Vec<&'c str>,
    /// With the lines that they belong to.
    others: Vec<(u64, &'c str)>,
}

impl<'c> Remarks<'c> {
    fn new(source: &Source, comments: &'c [Comment]) -> Self {
        let entries: Vec<(u64, u64)> =
            source.steps.iter().map(|entry| (entry.line, last_line(entry))).collect();
        let own = comments
            .iter()
            .filter(|comment| source.lines.contains(&comment.line) && !comment.text.is_empty());
        let (mut head, mut others) = (Vec::new(), Vec::new());
        for comment in own {
            let within = |(first, last): (u64, u64)| {
                first <= comment.line && (comment.is_beside || comment.line <= last)
            };
            let entry = match entries.iter().rfind(|entry| within(**entry)) {
                Some((first, _)) => Some(*first),
                None if comment.line < source.line || comment.is_beside => None,
                // It is about what comes next.
                None => entries
                    .iter()
                    .map(|(first, _)| *first)
                    .find(|first| *first > comment.line)
                    .or(Some(u64::MAX)),
            };
            match entry {
                Some(line) => others.push((line, &*comment.text)),
                None => head.push(&*comment.text),
            }
        }
        Self { head, others }
    }
}

/// The recipe, for people.
fn text(name: &str, source: &Source, steps: &[Written], remarks: &Remarks) -> String {
    let mut out = String::new();
    let of =
        if source.name.is_empty() { String::new() } else { format!("source {} of ", scalar(source.name)) };
    comment(&mut out, "", &format!("Made of {of}DCLM's config {}.", scalar(name)));
    comment(
        &mut out,
        "",
        "Input and output are those given to the command (--input, --output), or written here.",
    );
    for text in &remarks.head {
        comment(&mut out, "", text);
    }
    let _ = writeln!(out, "version: {VERSION}\nname: {}", scalar(name));
    comment(&mut out, "", "As DCLM's code does, its slips included; `fixed` does as it is meant to do.");
    out.push_str("semantics: dclm\n");
    out.push_str(if steps.iter().any(|written| written.step.is_some()) { "steps:\n" } else { "steps: []\n" });
    for written in steps {
        for (_, text) in remarks.others.iter().filter(|(line, _)| written.lines.contains(line)) {
            comment(&mut out, "  ", text);
        }
        for note in &written.notes {
            comment(&mut out, "  ", note);
        }
        if let Some(step) = &written.step {
            print::step(&mut out, step);
        }
    }
    for (_, text) in remarks.others.iter().filter(|(line, _)| *line == u64::MAX) {
        comment(&mut out, "  ", text);
    }
    let _ = writeln!(out, "output: {}", flow(&output(0)));
    out
}

fn recipe(name: &str, line: u64, steps: Vec<Written>) -> Tree {
    let steps = steps.into_iter().filter_map(|written| written.step).collect();
    map_at(
        line,
        [
            ("version", Tree { line, node: Node::Number(VERSION.into()) }),
            ("name", text_at(line, name)),
            ("semantics", text_at(line, "dclm")),
            ("steps", Tree { line, node: Node::List(steps) }),
            ("output", output(line)),
        ],
    )
}

/// DCLM's names for the files of the dataset, and its statistics.
fn output(line: u64) -> Tree {
    map_at(line, [("layout", text_at(line, "dclm"))])
}
