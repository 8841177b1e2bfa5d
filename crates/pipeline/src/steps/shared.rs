//! What several steps have in common.

pub(super) mod languages;
pub mod sentences;
pub mod source;

use crate::{BuildError, Fields, Resources, Text, Verdict};
use gristmill_classify::Model;
use gristmill_filters::lines::Edit;
use gristmill_filters::phrases;
use gristmill_filters::pickle::{self, PickledList};
use gristmill_filters::python;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// What an exact dedup stores of a unit: 128 bits and a record id of 47 bytes, and the pair that it may be in.
pub(super) const EXACT_KEY_BYTES: u64 = 90;

/// One string or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// Where a phrase must stand.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    #[default]
    Any,
    Prefix,
    Suffix,
}

impl From<Location> for phrases::Location {
    fn from(location: Location) -> Self {
        match location {
            Location::Any => Self::Any,
            Location::Prefix => Self::Prefix,
            Location::Suffix => Self::Suffix,
        }
    }
}

/// The entries of a list that a recipe names: the lines of a text, or what a Python pickle holds.
pub(super) fn read_list(resources: &Resources, name: &str) -> Result<Vec<String>, BuildError> {
    Ok(read_list_or_regex(resources, name)?.words)
}

/// The same with what a pickled regex says of its words.
pub(super) fn read_list_or_regex(resources: &Resources, name: &str) -> Result<PickledList, BuildError> {
    let file = name.split("#sha256=").next().unwrap_or_default().to_lowercase();
    if [".pkl", ".pickle"].iter().any(|end| file.ends_with(end)) {
        let resource = resources.get(name)?;
        return pickle::read((*resource.bytes).as_ref())
            .map_err(|error| BuildError::new(format!("{} is no list: {error}", resource.found)));
    }
    let words = python::lines(resources.text(name)?).map(str::to_owned).collect();
    Ok(PickledList { words, regex: None })
}

/// A fastText model that a recipe names, loaded once in the process.
pub(super) fn load_model(resources: &Resources, name: &str) -> Result<Arc<Model>, BuildError> {
    resources.model(name, |resource| {
        Model::load(Arc::clone(&resource.bytes))
            .map_err(|error| BuildError::new(format!("{}: {error}", resource.found)))
    })
}

/// Puts an edit into effect.
pub(super) fn apply(text: &mut Text, edit: Edit) -> Verdict {
    match edit {
        Edit::Unchanged => Verdict::Keep,
        Edit::Changed(new) => {
            text.set(new);
            Verdict::Keep
        }
        Edit::Gone => Verdict::dropped("nothing left"),
    }
}

/// Changes the texts of a question and its answers, as RedPajama stores them.
pub(super) fn edit_posts(
    fields: &mut Fields,
    mut edit: impl FnMut(&str) -> Result<String, Verdict>,
) -> Verdict {
    let no_text = || Verdict::broken("a post without text");
    let mut edit_post = |post: &mut Value| match post.get_mut("text") {
        Some(Value::String(text)) => edit(text).map(|edited| *text = edited),
        _ => Err(no_text()),
    };
    let Some(mut question) = fields.value("question").cloned() else { return Verdict::broken("no question") };
    let mut answers = fields.value("answers").cloned();
    let edited = edit_post(&mut question).and_then(|()| match &mut answers {
        Some(Value::Array(answers)) => answers.iter_mut().try_for_each(edit_post),
        Some(_) => Err(no_text()),
        None => Ok(()),
    });
    if let Err(verdict) = edited {
        return verdict;
    }
    fields.set("question", question);
    if let Some(answers) = answers {
        fields.set("answers", answers);
    }
    Verdict::Keep
}

/// Sets a field that a step adds; broken if it is there and must not be overwritten, as in DCLM.
pub(super) fn add_field(fields: &mut Fields, key: &str, overwrite: bool, value: impl Into<Value>) -> Verdict {
    if !overwrite && fields.contains(key) {
        return Verdict::broken(format!("field {key} is there already"));
    }
    fields.set(key, value);
    Verdict::Keep
}

/// A text as it is, anything else as JSON.
pub(super) fn as_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// A number as Python has it: `true` and `false` are 1 and 0.
#[must_use]
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        other => other.as_f64(),
    }
}

/// Refuses a key that is the text or nothing.
pub(super) fn check_key(key: &str) -> Result<(), BuildError> {
    match key {
        "" => Err(BuildError::new("a field needs a name")),
        "text" => Err(BuildError::new("the field `text` is the document's text; choose another key")),
        _ => Ok(()),
    }
}

const KEYS_MAX: usize = 100;

/// Refuses a list of keys that is empty, or names one twice.
pub(super) fn check_keys(keys: &[String]) -> Result<(), BuildError> {
    if keys.is_empty() {
        return Err(BuildError::new("a score needs a field"));
    }
    if keys.len() > KEYS_MAX {
        return Err(BuildError::new(format!(
            "{} scores, and at most {KEYS_MAX} are taken together",
            keys.len()
        )));
    }
    for (place, key) in keys.iter().enumerate() {
        check_key(key)?;
        if keys.iter().take(place).any(|before| before == key) {
            return Err(BuildError::new(format!("the field {key:?} stands there twice")));
        }
    }
    Ok(())
}

/// Refuses bounds that nothing can be between.
pub(super) fn check_bounds<T: PartialOrd + std::fmt::Display>(
    min: T,
    max: Option<T>,
) -> Result<(), BuildError> {
    match max {
        Some(max) if max < min => {
            Err(BuildError::new(format!("nothing is at least {min} and at most {max}")))
        }
        _ => Ok(()),
    }
}

/// Refuses what is no share.
pub(super) fn check_share(name: &str, share: f64) -> Result<(), BuildError> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(BuildError::new(format!("{name} is a share, from 0 to 1, not {share}")))
}
