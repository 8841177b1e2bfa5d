//! `external`

use crate::resources::Wanted;
use crate::step::{Context, Needs, Program};
use crate::{BuildError, Built, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub struct External;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The program and its arguments; it is looked for on the PATH.
    command: Vec<String>,
    /// Files that the program needs, its own script perhaps: names as of models and lists. They lie in its working directory under their last names, and are part of the plan by their digests.
    #[serde(default)]
    files: Vec<String>,
    /// Documents given to it before it has to answer.
    #[serde(default = "batch")]
    batch: usize,
    /// Seconds that it may take for one document.
    #[serde(default = "timeout")]
    timeout: u32,
    /// Reasons it may give for dropping a document; any other is counted as `other`.
    #[serde(default)]
    reasons: Vec<String>,
    /// Added to its environment, which has PATH, HOME, LANG, TMPDIR and no more.
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

fn batch() -> usize {
    1
}

fn timeout() -> u32 {
    60
}

/// More documents than that are not worth waiting for.
const BATCH_MAX: usize = 10_000;
/// Every reason is a number in every record.
const REASONS_MAX: usize = 100;

impl Step for External {
    const NAME: &'static str = "external";
    const DOC: &'static str = "Lets a program of your own look at every document: a filter, a modifier, a scorer, a splitter.\n\n\
        The program runs once for each lane. It reads one record a line (JSON, as in the output) from its standard input and answers each, in \
        order, by one line on its standard output: the record, changed or not, to keep it; `null` to drop it; `\"reason\"` to drop it for one \
        of `reasons`; `[record, …]` to put several in its place. It must answer at the latest when it has `batch` lines unanswered, \
        and flush; what it writes to its standard error is logged. At the end of its input it ends.\n\n\
        A document on which the program ends, answers nonsense or takes more than `timeout` seconds is broken, and the program is started \
        again for the others. The same bytes come out only if its answer depends on nothing but the document: `batch` is for speed, and \
        batches are not always full.\n\n\
        A service runs no such programs unless its operator allows it (`--allow-external` of coordinator and workers).";
    const ORIGIN: &'static str =
        "DCLM's own Python mappers (mlfoundations/dclm, baselines/core/factories.py), as a process";
    const EXAMPLE: &'static str =
        "{command: [python3, shout.py], files: [shout.py], batch: 100, reasons: [too loud]}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        if params.command.first().is_none_or(String::is_empty) {
            return Err(BuildError::new("command is a list: the program, then its arguments"));
        }
        if params.command.iter().any(|part| part.contains('\0')) {
            return Err(BuildError::new("command holds a zero byte"));
        }
        if !(1..=BATCH_MAX).contains(&params.batch) {
            return Err(BuildError::new(format!("batch is from 1 to {BATCH_MAX}")));
        }
        if params.timeout == 0 {
            return Err(BuildError::new("timeout is at least 1 second"));
        }
        if params.reasons.len() > REASONS_MAX {
            return Err(BuildError::new(format!("at most {REASONS_MAX} reasons are told apart")));
        }
        if params.environment.keys().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(BuildError::new("a name in environment is empty or holds `=`"));
        }
        let names: BTreeSet<&str> = params.files.iter().map(|name| last_name(name)).collect();
        if names.len() != params.files.len() || names.iter().any(|name| matches!(*name, "" | "." | "..")) {
            return Err(BuildError::new("files need last names, each another"));
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        params.files.iter().map(|name| Wanted::named(name)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let files = params
            .files
            .iter()
            .map(|name| Ok((last_name(name).to_owned(), Arc::clone(&cx.resources.get(name)?.bytes))))
            .collect::<Result<_, BuildError>>()?;
        Ok(Built::Program(Program {
            command: params.command.clone(),
            files,
            environment: params.environment.clone(),
            batch: params.batch,
            timeout: params.timeout,
            reasons: params.reasons.clone(),
        }))
    }
}

/// The last part of a path or address, without its digest.
fn last_name(name: &str) -> &str {
    let path = name.split_once('#').map_or(name, |(path, _)| path);
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::last_name;
    use crate::steps::check::{check, check_with};

    #[test]
    fn impossible_programs_are_refused() {
        for (params, why) in [
            ("{command: []}", "command is a list: the program, then its arguments"),
            ("{command: [a], batch: 0}", "batch is from 1 to 10000"),
            ("{command: [a], timeout: 0}", "timeout is at least 1 second"),
            ("{command: [a], files: [x/a.py, y/a.py]}", "files need last names, each another"),
            ("{command: [a], files: [x/..]}", "files need last names, each another"),
            ("{command: [a], environment: {'a=b': c}}", "a name in environment is empty or holds `=`"),
        ] {
            check(&format!("external: {params}"), "{}", format!("refused: {why}"));
        }
        let refused = "refused: programs of users are not run here; whoever runs the service may allow them (--allow-external)";
        check_with(&[("a.py", "")], "external: {command: [a], files: [a.py]}", "{}", refused);
    }

    #[test]
    fn files_have_last_names() {
        for (name, last) in
            [("a.py", "a.py"), ("s3://b/c/a.py", "a.py"), ("https://x/a.py#sha256=0/0", "a.py"), ("a/", "")]
        {
            assert_eq!(last_name(name), last);
        }
    }
}
