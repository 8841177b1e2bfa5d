//! Functions of a user's own (`func: path.to.module.function`), which DCLM imports.
//!
//! Here a Python of its own runs them, by the step `external`, as DCLM would: the module is read from its file, alone, with
//! the working directory and `baselines` on the path; a factory is called once with the parameters, any other function
//! with a page and the parameters; what it raises is an error of that page.

use super::params::Params;
use super::print::scalar;
use super::pyyaml::INFINITE;
use super::{Files, map_at, text_at};
use crate::recipe::tree::{Node, Tree};

/// Arguments: the module, the function, its parameters as JSON. What functions print must not get among the answers.
const PROGRAM: &str = r#"import functools, importlib, json, sys
out, sys.stdout = sys.stdout, sys.stderr
function, given = getattr(importlib.import_module(sys.argv[1]), sys.argv[2]), json.loads(sys.argv[3])
mapper = function(**given) if hasattr(function, "_is_factory") else functools.partial(function, **given)
for line in sys.stdin:
    try:
        answer = mapper(json.loads(line))
    except Exception as error:
        print(repr(error))
        answer = "error"
    print(json.dumps(answer), file=out, flush=True)
"#;

/// Pages on their way to Python and back.
const BATCH: u64 = 100;

/// The step that runs a function, or why there is none.
pub(super) fn step(line: u64, func: &str, params: &Params, files: Files) -> Result<Tree, String> {
    let (module, function) = func.rsplit_once('.').unwrap_or_default();
    let path = format!("{}.py", module.replace('.', "/"));
    let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".py");
    let found = if module.starts_with('.') { None } else { files(&path) };
    let Some((found, root)) = found.as_deref().and_then(|found| Some((found, found.strip_suffix(&*path)?)))
    else {
        return Err(format!(
            "{func:?} is Python of your own, and {path} is neither in a folder above this config nor in the working directory; put it \
            there, or take the step out, `gristmill convert` the rest and put a program of yours in its place: \
            `- external: {{command: [python3, {0}], files: [{0}], batch: 100}}` (`gristmill steps external`)",
            scalar(&format!("{name}.py")),
        ));
    };
    let list = |texts: &[&str]| {
        let texts = texts.iter().map(|text| text_at(line, text)).collect();
        Tree { line, node: Node::List(texts) }
    };
    let given = params.iter().filter(|(param, _)| !param.starts_with('_') && *param != "module");
    let given: serde_json::Map<_, _> =
        given.map(|(param, value)| (param.clone(), value.to_value())).collect();
    // As Python writes it.
    let given = serde_json::Value::from(given)
        .to_string()
        .replace(&serde_json::Value::from(INFINITE).to_string(), "Infinity");
    let root = root.trim_end_matches('/');
    let path = text_at(line, &format!("{root}:{root}/baselines"));
    let params = [
        ("command", list(&["python3", "-c", PROGRAM, name, function, &given])),
        ("files", list(&[found])),
        ("environment", map_at(line, [("PYTHONPATH", path)])),
        ("batch", Tree { line, node: Node::Number(BATCH.into()) }),
        ("reasons", list(&["error"])),
    ];
    Ok(map_at(line, [("external", map_at(line, params))]))
}
