//! `starcoder_v2_repo_splitter`

use crate::step::{Context, Needs};
use crate::{BuildError, Built, Document, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub struct StarcoderV2RepoSplitter;

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// A repository with more files is split.
    max_files: usize,
    /// Take out the field `text` of what is split.
    delete_content: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_files: 1000, delete_content: true }
    }
}

impl Step for StarcoderV2RepoSplitter {
    const NAME: &'static str = "starcoder_v2_repo_splitter";
    const DOC: &'static str = "Splits repositories of many files into documents of at most `max_files` each.\n\n\
        Each part has the fields of the whole and its share of `files`, in order. Stands before `starcoder_v2_format_modifier`.";
    const ORIGIN: &'static str =
        "StarCoder2, arXiv 2402.19173; mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{max_files: 1000}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        match params.max_files {
            0 => Err(BuildError::new("max_files is 1 or more; a part without files has no use")),
            _ => Ok(()),
        }
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { max_files, delete_content } = *params;
        Ok(Built::split(move |doc| {
            let Some(Value::Array(files)) = doc.fields.value("files") else {
                return Err(Verdict::broken("no files"));
            };
            if files.len() <= max_files {
                let id = doc.id.clone();
                let whole = std::mem::take(doc);
                doc.id = id;
                return Ok(vec![whole]);
            }
            let mut files = files.clone().into_iter().peekable();
            if delete_content {
                doc.text = None;
                doc.fields.remove("text");
            }
            // The files keep their place in the record, which is copied without them.
            doc.fields.set("files", Value::Null);
            let mut record = Vec::new();
            doc.write_json(&mut record);
            let record = String::from_utf8_lossy(&record);
            let mut parts = Vec::new();
            while files.peek().is_some() {
                let mut part = Document::from_json(&record, || doc.id.clone())
                    .map_err(|_| Verdict::broken("not a record"))?;
                part.fields.set("files", files.by_ref().take(max_files).collect::<Vec<Value>>());
                parts.push(part);
            }
            Ok(parts)
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn large_repositories_are_split() {
        let step = "starcoder_v2_repo_splitter: {max_files: 2}";
        let page = |id: &str, files: &str, text: &str| {
            format!(r#"{{"id":"{id}","files":[{files}]{text},"repo_name":"r","n":1.0}}"#)
        };
        let files = |numbers: &[u32]| {
            numbers.iter().map(|n| format!(r#"{{"text":"{n}"}}"#)).collect::<Vec<_>>().join(",")
        };
        let whole = page("a", &files(&[1, 2]), r#","text":"t""#);
        check(step, &whole, keep(&whole));
        check(
            step,
            &page("a", &files(&[1, 2, 3, 4, 5]), r#","text":"t""#),
            [("a#0", &[1, 2][..]), ("a#1", &[3, 4]), ("a#2", &[5])]
                .map(|(id, numbers)| keep(&page(id, &files(numbers), "")))
                .join("\n"),
        );
        let step = "starcoder_v2_repo_splitter: {max_files: 1, delete_content: false}";
        check(
            step,
            &page("a", &files(&[1, 2]), r#","text":"t""#),
            [("a#0", 1), ("a#1", 2)]
                .map(|(id, number)| keep(&page(id, &files(&[number]), r#","text":"t""#)))
                .join("\n"),
        );
        check(step, "{}", "broken: no files");
        check(step, r#"{"files":"x"}"#, "broken: no files");
        let refusal = "refused: max_files is 1 or more; a part without files has no use";
        check("starcoder_v2_repo_splitter: {max_files: 0}", "{}", refusal);
    }
}
