//! The parameters of DCLM's functions as those of our steps.
//!
//! Names and meanings are the same. What is done here is what Python does by itself: numbers of any kind and infinity
//! where a count is wanted, a text where its characters are wanted, `None` for what is not given, parameters that a
//! function takes and does not look at. And files are found where DCLM's functions would find them.

use super::pyyaml::INFINITE;
use super::{Files, text_at};
use crate::StepDef;
use crate::recipe::tree::{Node, Tree};
use crate::steps;
use indexmap::IndexMap;
use serde_json::{Number, Value};

pub(super) type Params = IndexMap<String, Tree>;

/// Fits the parameters of a step and notes what the recipe's reader should know of them.
pub(super) fn fit(name: &str, line: u64, given: &Params, files: Files, notes: &mut Vec<String>) -> Params {
    let schema = steps::find(name).map(StepDef::params_schema).unwrap_or_default();
    let mut fitted = Params::new();
    for (param, value) in given {
        if param.starts_with('_') || param == "module" {
            // DCLM's own, and never handed to the function.
            continue;
        }
        if is_ignored(name, param, given, value) {
            notes.push(format!("Left out, since DCLM does nothing with it here: {param}"));
            continue;
        }
        let wanted = Wanted::of(&schema, param);
        let Some(node) = wanted.fit(param, &value.node) else { continue };
        fitted.insert(param.clone(), Tree { line: value.line, node });
    }
    if name == "url_substring_filter"
        && matches!(given.get("ignore_chars"), Some(Tree { node: Node::String(_), .. }))
    {
        notes.push("DCLM takes a text of ignore_chars character by character".to_owned());
    }
    if DRAWS.contains(&name) {
        notes.push("DCLM draws anew in every run; here the seed and the document decide".to_owned());
    }
    find_files(name, line, &mut fitted, files, notes);
    fitted
}

/// Steps whose counterparts in DCLM use chance without a seed.
const DRAWS: [&str; 2] = ["random_sampling_filter", "starcoder_v2_format_modifier"];

/// The normalizers of DCLM's `exact_dedup`; it takes any other name for none.
const NORMALIZERS: [&str; 5] = [
    "normalize_url",
    "normalize_timestamps",
    "normalize_whitespace_and_lowercase",
    "hash_text",
    "ccnet_dedup_normalizer",
];

/// Parameters that DCLM takes without a word and does nothing with, or nothing that matters here.
fn is_ignored(name: &str, param: &str, given: &Params, value: &Tree) -> bool {
    let text = |tree: &Tree| if let Node::String(text) = &tree.node { text.clone() } else { String::new() };
    match (name, param) {
        ("page_length_filter", "length_type" | "min_length" | "max_length") => false,
        // The rest is for splitting, and characters need none.
        ("page_length_filter", _) => given.get("length_type").is_some_and(|kind| text(kind) == "char"),
        // Where it keeps its own files.
        ("exact_dedup", "working_dir" | "sync_to_input") => true,
        ("exact_dedup", "normalize" | "selection_normalize") => {
            value.node != Node::Null && !NORMALIZERS.contains(&&*text(value))
        }
        _ => false,
    }
}

/// What the schema of a step says of a parameter.
#[derive(Default)]
struct Wanted {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    string: bool,
    array: bool,
    /// Something that has a definition of its own: an enum, mostly.
    other: bool,
}

impl Wanted {
    fn of(schema: &Value, param: &str) -> Self {
        let mut wanted = Self::default();
        match schema.get("properties").and_then(|properties| properties.get(param)) {
            Some(property) => wanted.add(property),
            None => wanted.other = true,
        }
        wanted
    }

    fn add(&mut self, schema: &Value) {
        for part in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            self.add(part);
        }
        match schema.get("type") {
            Some(Value::String(kind)) => self.add_type(kind),
            Some(Value::Array(kinds)) => {
                for kind in kinds.iter().filter_map(Value::as_str) {
                    self.add_type(kind);
                }
            }
            _ => self.other |= schema.get("anyOf").is_none(),
        }
    }

    fn add_type(&mut self, kind: &str) {
        match kind {
            "null" => self.null = true,
            "boolean" => self.boolean = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "string" => self.string = true,
            "array" => self.array = true,
            _ => self.other = true,
        }
    }

    /// The value as the step takes it; nothing where it is the same as not giving it.
    fn fit(&self, param: &str, node: &Node) -> Option<Node> {
        let counts = self.integer && !self.number;
        let flag = self.boolean && !self.number && !self.integer;
        Some(match node {
            Node::Null if self.null => return None,
            Node::Number(n) if n.as_f64() == Some(INFINITE) && self.null => return None,
            Node::Number(n) if counts => Node::Number(whole(param, n)),
            // Python takes any number but 0 for true; but `remove_empty` it compares with True itself.
            Node::Number(n) if flag && param != "remove_empty" => Node::Bool(n.as_f64() != Some(0.0)),
            Node::String(text) if self.array && param == "ignore_chars" => Node::List(
                text.chars().map(|c| Tree { line: 0, node: Node::String(c.to_string()) }).collect(),
            ),
            Node::String(_) if self.array && !self.string && !self.other && param == "allowed_extensions" => {
                Node::List(vec![Tree { line: 0, node: node.clone() }])
            }
            node => node.clone(),
        })
    }
}

/// The count that does the same as a number where counts are compared with it.
fn whole(param: &str, number: &Number) -> Number {
    let Some(value) = number.as_f64().filter(|_| number.as_u64().is_none()) else { return number.clone() };
    match param.split('_').next() {
        Some("min" | "num") => Number::from(value.ceil().max(0.0) as u64),
        Some("max") if value >= 0.0 => Number::from(value.floor() as u64),
        _ if value.fract() == 0.0 && value >= 0.0 => Number::from(value as u64),
        _ => number.clone(),
    }
}

/// Where DCLM keeps models of quality, from the root of its repository.
const QUALITY_MODELS: &str = "baselines/mappers/enrichers/quality_prediction_enrichment_models/";
const LANGUAGE_MODEL: &str = "baselines/mappers/enrichers/language_id_enrichment_models/lid.176.bin";
/// DCLM's list of top-level domains is built in.
const TLDS: &str = "baselines/mappers/iana_tlds.txt";

/// Lists of DCLM's repository: where they are published, with what is in them.
const PUBLISHED: [(&str, &str); 3] = [
    (
        "baselines/mappers/banlists/refinedweb_banned_words_strict_reverse_engineered.txt",
        "https://raw.githubusercontent.com/mlfoundations/dclm/main/baselines/mappers/banlists/refinedweb_banned_words_strict_reverse_engineered.txt#sha256=88933938dd7459c788145126dceffd3db3b856b1d091dcc1d994c417e75c35ff",
    ),
    (
        "baselines/mappers/banlists/refinedweb_banned_words_hard_reverse_engineered.txt",
        "https://raw.githubusercontent.com/mlfoundations/dclm/main/baselines/mappers/banlists/refinedweb_banned_words_hard_reverse_engineered.txt#sha256=f3c17480a9fbe7aefbed474cb9ec1f05c5105f17b814dbbedd11c11b7b67a3ba",
    ),
    (
        "baselines/mappers/banlists/refinedweb_banned_words_soft_reverse_engineered.txt",
        "https://raw.githubusercontent.com/mlfoundations/dclm/main/baselines/mappers/banlists/refinedweb_banned_words_soft_reverse_engineered.txt#sha256=933835a07e4bb9c50301ec6e02be2aa707256134c6e840bf12488682565ea742",
    ),
];

/// Files that DCLM's set-up fetches (its setup.py and README), by their last names, and where people find them.
const ELSEWHERE: [(&str, &str); 7] = [
    (
        "refinedweb_banned_domains_curated.txt",
        "Hugging Face: mlfoundations/refinedweb_banned_domains_curated",
    ),
    (
        "ldnoobw.txt",
        "the file `en` of github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words",
    ),
    (
        "fasttext_oh_eli5.bin",
        "Hugging Face: mlfoundations/fasttext-oh-eli5, openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train.bin",
    ),
    ("model.bin", "https://wmtis.s3.eu-west-1.amazonaws.com/quality_prediction_model/model.bin"),
    ("en.arpa.bin", "https://huggingface.co/edugp/kenlm/tree/main/wikipedia"),
    ("en.sp.model", "https://huggingface.co/edugp/kenlm/tree/main/wikipedia"),
    ("lid.176.bin", "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.bin"),
];

/// The models that DCLM's functions take where their configs name none: step, parameter, file.
const DEFAULTS: [(&str, &str, &str); 3] = [
    ("classify_fasttext_hq_prob_enricher", "model_filename", "model.bin"),
    ("ken_lm_perplexity_enricher", "model_filename", "en.arpa.bin"),
    ("ken_lm_perplexity_enricher", "tokenizer_filename", "en.sp.model"),
];

fn find_files(name: &str, line: u64, params: &mut Params, files: Files, notes: &mut Vec<String>) {
    for (param, folder) in
        [("banlist_from_fname", ""), ("tlds_filepath", ""), ("model_filename", QUALITY_MODELS)]
    {
        if let Some(Tree { node: Node::String(given), .. }) = params.get_mut(param)
            && !given.contains("://")
            && !given.starts_with('/')
            && given != TLDS
        {
            let path = format!("{folder}{given}");
            let published = PUBLISHED.iter().find(|(known, _)| *known == path).map(|(_, address)| *address);
            match files(&path).or_else(|| published.map(str::to_owned)) {
                Some(found) => *given = found,
                None => notes.push(needs(given)),
            }
        }
    }
    for (_, param, file) in DEFAULTS.iter().filter(|(step, ..)| *step == name) {
        if params.contains_key(*param) {
            continue;
        }
        match files(&format!("{QUALITY_MODELS}{file}")) {
            Some(found) => _ = params.insert((*param).to_owned(), text_at(line, &found)),
            None => notes.push(needs(file)),
        }
    }
    let language = name.starts_with("detect_lang_");
    if language
        && matches!(params.get("model"), Some(Tree { node: Node::String(model), .. }) if model == "fasttext")
    {
        let found = files(LANGUAGE_MODEL);
        let folder = found.as_deref().and_then(|path| path.strip_suffix("/lid.176.bin"));
        notes.push(
            folder.map_or_else(
                || needs("lid.176.bin"),
                |folder| format!("Needs lid.176.bin: --models {folder}"),
            ),
        );
    }
}

fn needs(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let elsewhere = ELSEWHERE.iter().find(|(known, _)| *known == last);
    let where_from = elsewhere.map_or_else(String::new, |(_, place)| format!(" ({place})"));
    format!("Needs {last} in the models folder{where_from}")
}
