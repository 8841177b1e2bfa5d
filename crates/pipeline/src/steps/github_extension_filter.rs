//! `github_extension_filter`

use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

pub struct GithubExtensionFilter;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The field with the file's name.
    filename_key: String,
    /// Ends of names to keep; by default those of RedPajama.
    allowed_extensions: Option<Vec<String>>,
}

impl Default for Params {
    fn default() -> Self {
        Self { filename_key: "filename".to_owned(), allowed_extensions: None }
    }
}

/// RedPajama-Data v1, data_prep/github/github_run_filter.py.
const REDPAJAMA: &str = ".asm .bat .cmd .c .h .cs .cpp .hpp .c++ .h++ .cc .hh .C .H .cmake .css .dockerfile .f90 .f .f03 .f08 .f77 .f95 \
    .for .fpp .go .hs .html .java .js .jl .lua .md .markdown .php .php3 .php4 .php5 .phps .phpt .pl .pm .pod .perl .ps1 .psd1 \
    .psm1 .py .rb .rs .sql .scala .sh .bash .command .zsh .ts .tsx .tex .vb Dockerfile Makefile .xml .rst .m .smali";

impl Step for GithubExtensionFilter {
    const NAME: &'static str = "github_extension_filter";
    const DOC: &'static str =
        "Keeps files whose name has one of some ends.\n\nA record without a name is dropped.";
    const ORIGIN: &'static str =
        "RedPajama-Data v1, github; mlfoundations/dclm, baselines/mappers/filters/content_filters.py";
    const EXAMPLE: &'static str = "{filename_key: filename, allowed_extensions: [.rs, .py]}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let key = params.filename_key.clone();
        let ends = match &params.allowed_extensions {
            Some(ends) => ends.clone(),
            None => REDPAJAMA.split_whitespace().map(str::to_owned).collect(),
        };
        Ok(Built::map(move |doc| {
            let name = doc.fields.str(&key);
            if name.is_none() && doc.fields.contains(&key) {
                return Verdict::broken(format!("field {key} is no name"));
            }
            let name = name.unwrap_or_default();
            Verdict::keep_if(ends.iter().any(|end| name.ends_with(&**end)), "other extension")
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn names_have_ends() {
        for (page, kept) in
            [(r#"{"filename":"a/b.rs"}"#, true), (r#"{"filename":"b.bin"}"#, false), ("{}", false)]
        {
            check(
                "github_extension_filter",
                page,
                if kept { keep(page) } else { "drop: other extension".to_owned() },
            );
        }
        check("github_extension_filter", r#"{"filename":null}"#, "broken: field filename is no name");
        let page = r#"{"f":"b.bin"}"#;
        check("github_extension_filter: {filename_key: f, allowed_extensions: [.bin]}", page, keep(page));
    }
}
