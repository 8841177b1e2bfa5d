//! `starcoder_v2_format_modifier`

use super::shared::check_share;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::python;
use gristmill_filters::sampling::is_sampled;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

pub struct StarcoderV2FormatModifier;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The share of repositories whose files come with their names.
    add_metadata_prob: f64,
    /// Mark files and the repository's name by `<file_sep>` and `<repo_name>`.
    add_sentinels: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { add_metadata_prob: 0.5, add_sentinels: true }
    }
}

impl Step for StarcoderV2FormatModifier {
    const NAME: &'static str = "starcoder_v2_format_modifier";
    const DOC: &'static str = "Makes a text of a repository's files, in StarCoder2's form.\n\n\
        Reads `files` (each with `text` and `filename`) and `repo_name`. Whether names are added is a coin of the record's id and the recipe's \
        seed.";
    const ORIGIN: &'static str = "StarCoder2, arXiv 2402.19173; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{add_metadata_prob: 0.5}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_share("add_metadata_prob", params.add_metadata_prob)
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let (share, sentinels, seed) = (params.add_metadata_prob, params.add_sentinels, cx.seed);
        Ok(Built::map(move |doc| {
            let named = is_sampled(&doc.id, seed, share);
            let name = doc.fields.str("repo_name").map(std::borrow::Cow::into_owned);
            let Some(Value::Array(files)) = doc.fields.value("files") else { return Verdict::broken("no files") };
            let mut text = String::new();
            if named {
                let Some(name) = name else { return Verdict::broken("no repo_name") };
                let _ = write!(text, "<repo_name>{name}");
            }
            for file in files {
                let part = |key: &str| file.get(key).and_then(Value::as_str);
                let (Some(content), Some(filename)) = (part("text"), part("filename").or((!named).then_some(""))) else {
                    return Verdict::broken("a file without text or name");
                };
                let separator = if named { "\n" } else { "" };
                let filename = if named { filename } else { "" };
                let _ = write!(text, "<file_sep>{filename}{separator}{content}");
            }
            if !sentinels {
                let bare = text.replace("<file_sep>", "\n\n").replace("<repo_name>", "");
                python::strip(&bare).clone_into(&mut text);
            }
            doc.set_text(text);
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn files_become_a_text() {
        let page = |text: &str| format!(r#"{{"repo_name":"r","files":[{{"text":"a","filename":"f"}},{{"text":"b"}}]{text}}}"#);
        let step = "starcoder_v2_format_modifier: {add_metadata_prob: 0, add_sentinels: ";
        check(&format!("{step}true}}"), &page(""), keep(&page(r#","text":"<file_sep>a<file_sep>b""#)));
        check(&format!("{step}false}}"), &page(""), keep(&page(r#","text":"a\n\nb""#)));
        check("starcoder_v2_format_modifier: {add_metadata_prob: 1}", &page(""), "broken: a file without text or name");
        check("starcoder_v2_format_modifier: {add_metadata_prob: 1}", "{}", "broken: no files");
        let page = |text: &str| format!(r#"{{"repo_name":"r","files":[{{"text":"a","filename":"f"}}]{text}}}"#);
        let step = "starcoder_v2_format_modifier: {add_metadata_prob: 1}";
        check(step, &page(""), keep(&page(r#","text":"<repo_name>r<file_sep>f\na""#)));
    }
}
