//! Layered settings: what flags say, else `GRISTMILL_…` variables, else a file, else the default.
//!
//! The options of a command are one struct of optional values, its [`Layer`]. Flags and variables fill one (clap reads
//! both), the file another, the defaults a third; laid over each other they are the settings in force. The file is a flat
//! map in YAML, and its names are those of the flags. A list is taken whole from one layer: lists are not joined.

use crate::failure::{Failure, Outcome};
use anyhow::{Context as _, anyhow};
use gristmill_pipeline::recipe::tree::{self, Node};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// The options of a command, each of which may be missing.
pub(crate) trait Layer: clap::Args + Serialize + DeserializeOwned {
    /// What holds where nobody says otherwise.
    fn defaults() -> Self;
}

/// Where the settings of a command come from.
#[derive(clap::Args)]
#[allow(clippy::struct_field_names, reason = "fields are flags")]
pub(crate) struct Config<L: Layer> {
    #[command(flatten)]
    given: L,
    /// A file of settings, in YAML: names as those of the flags, which win
    #[arg(long, value_name = "FILE", env = "GRISTMILL_CONFIG")]
    config: Option<PathBuf>,
    /// Print the settings in force, without secrets, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

impl<L: Layer> Config<L> {
    /// The settings in force.
    pub(crate) fn layers(&self) -> Result<L, Failure> {
        let file = match &self.config {
            None => Map::new(),
            Some(path) => {
                let shown = path.display();
                let yaml = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"));
                let entries = read_file::<L>(&yaml.map_err(Failure::Request)?);
                entries.map_err(|why| Failure::Request(anyhow!("{shown}, {why}")))?
            }
        };
        lay(&self.given, file).map_err(Failure::job)
    }
}

/// Lays what is given over a file's entries, and those over the defaults.
fn lay<L: Layer>(given: &L, file: Map<String, Value>) -> serde_json::Result<L> {
    let mut all = entries(&L::defaults())?;
    all.extend(file);
    all.extend(entries(given)?);
    serde_json::from_value(Value::Object(all))
}

/// What a layer says, by name.
fn entries<L: Layer>(layer: &L) -> serde_json::Result<Map<String, Value>> {
    let Value::Object(mut all) = serde_json::to_value(layer)? else { return Ok(Map::new()) };
    all.retain(|_, value| !value.is_null());
    Ok(all)
}

/// The entries of a file, each of which `L` has and can read. The error begins with the line.
fn read_file<L: Layer>(yaml: &str) -> Result<Map<String, Value>, String> {
    let tree = tree::parse(yaml).map_err(|e| format!("line {}: {}", e.line, e.message))?;
    let map = match tree.node {
        Node::Null => return Ok(Map::new()),
        Node::Map(map) => map,
        _ => return Err(format!("line {}: settings are a map of names and values", tree.line)),
    };
    let known = names::<L>();
    let mut all = Map::new();
    for (name, value) in map {
        let line = value.line;
        if !known.contains(&name) {
            return Err(format!("line {line}: there is no setting {name:?}{}", suggestion(&name, &known)));
        }
        let value = value.to_value();
        let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        serde_json::from_value::<L>(alone).map_err(|e| format!("line {line}: {name}: {e}"))?;
        if !value.is_null() {
            all.insert(name, value);
        }
    }
    Ok(all)
}

fn names<L: Layer>() -> Vec<String> {
    let command = L::augment_args(clap::Command::new("settings"));
    command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
}

fn suggestion(given: &str, known: &[String]) -> String {
    let near = known.iter().map(|name| (strsim::damerau_levenshtein(given, name), name));
    let nearest = near.min().filter(|(distance, name)| *distance <= 2.max(name.len() / 3));
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean {name:?}?"))
}

/// Prints settings as a file that can be read back, but for its secrets.
pub(crate) fn print<L: Layer>(settings: &L) -> Outcome {
    let text = show(settings).map_err(Failure::job)?;
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::job)
}

fn show<L: Layer>(settings: &L) -> serde_json::Result<String> {
    let mut text = String::new();
    for (name, value) in entries(settings)? {
        // JSON is YAML.
        let value = match value {
            Value::String(value) => Value::String(without_password(&value)),
            value => value,
        };
        let _ = writeln!(text, "{name}: {value}");
    }
    Ok(text)
}

/// An address without the password that it may hold; anything else as it is.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    // A password may hold anything, so all from the first colon to the last @ is taken for it.
    let rest = match rest.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => format!("{login}@{host}"),
        },
        None => rest.to_owned(),
    };
    let query = query.map_or_else(String::new, |query| {
        let shown: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if name.contains("pass") => format!("{name}=***"),
                _ => pair.to_owned(),
            })
            .collect();
        format!("?{}", shown.join("&"))
    });
    format!("{scheme}://{rest}{query}")
}

/// A length of time: `500ms`, `60s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
        let ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        let ms = number.parse::<u64>().ok().and_then(|n| n.checked_mul(ms)).filter(|ms| *ms > 0);
        let refused = || format!("{text:?} is no length of time; write 500ms, 60s, 5m or 1h");
        ms.map(|ms| Self(Duration::from_millis(ms))).ok_or_else(refused)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = self.0.as_millis();
        if ms.is_multiple_of(1000) { write!(f, "{}s", ms / 1000) } else { write!(f, "{ms}ms") }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The bytes of a file that a setting names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
    #[serde(default, rename_all = "kebab-case")]
    struct Inner {
        #[arg(long)]
        redis: Option<String>,
        #[arg(long)]
        max_attempts: Option<u32>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
    #[serde(default, rename_all = "kebab-case")]
    struct Options {
        #[command(flatten)]
        #[serde(flatten)]
        inner: Inner,
        #[arg(long)]
        lease: Option<Span>,
        #[arg(long)]
        allow: Option<Vec<String>>,
        #[arg(long)]
        name: Option<String>,
    }

    impl Layer for Options {
        fn defaults() -> Self {
            Self {
                inner: Inner { max_attempts: Some(4), ..Inner::default() },
                lease: Some(Span(Duration::from_mins(1))),
                ..Self::default()
            }
        }
    }

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config<Options>,
    }

    /// What `--print-config` prints for a command line and a file.
    fn check(args: &str, file: &str, expected: Result<&str, &str>) {
        let cli = Cli::try_parse_from(args.split(' ').filter(|a| !a.is_empty())).expect("arguments");
        let said = read_file::<Options>(file)
            .map(|file| show(&lay(&cli.config.given, file).expect("layers")).expect("prints"));
        match (said, expected) {
            (Ok(said), Ok(expected)) => assert_eq!(said, expected, "{args} {file}"),
            (Err(said), Err(expected)) => assert!(said.starts_with(expected), "{file}: {said}"),
            (said, expected) => panic!("{said:?}, not {expected:?}"),
        }
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        check("x", "", Ok("max-attempts: 4\nlease: \"60s\"\n"));
        check("x", "max-attempts: 7\nlease: 5m\n", Ok("max-attempts: 7\nlease: \"300s\"\n"));
        check("x --max-attempts 9", "max-attempts: 7\n", Ok("max-attempts: 9\nlease: \"60s\"\n"));
        check("x", "max-attempts:\n", Ok("max-attempts: 4\nlease: \"60s\"\n"));
        check(
            "x --allow c",
            "allow: [a, b]\nname: n\n",
            Ok("max-attempts: 4\nlease: \"60s\"\nallow: [\"c\"]\nname: \"n\"\n"),
        );
    }

    #[test]
    fn a_file_is_checked_entry_by_entry() {
        check(
            "x",
            "name: a\nmax-atempts: 7\n",
            Err("line 2: there is no setting \"max-atempts\"; did you mean \"max-attempts\"?"),
        );
        check("x", "zzz: 7\n", Err("line 1: there is no setting \"zzz\""));
        check("x", "\nmax-attempts: many\n", Err("line 2: max-attempts: invalid type"));
        check("x", "lease: 5\n", Err("line 1: lease: "));
        check("x", "lease: 5 days\n", Err("line 1: lease: \"5 days\" is no length of time"));
        check("x", "- a\n", Err("line 1: settings are a map"));
        check("x", "name: [\n", Err("line "));
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let text = "redis: \"redis://host\"\nmax-attempts: 7\nlease: \"1s\"\nallow: [\"a: b\",\"- c\"]\nname: \"#n\"\n";
        check("x", text, Ok(text));
    }

    #[test]
    fn passwords_are_not_shown() {
        let check = |text: &str, expected: &str| assert_eq!(without_password(text), expected);
        check("redis://user:s3cret@host:6379/0", "redis://user:***@host:6379/0");
        check("rediss://:s3cret@host", "rediss://:***@host");
        check("redis://user:s3/c@r:et@host", "redis://user:***@host");
        check("unix:///run/redis.sock?db=1&pass=s3cret", "unix:///run/redis.sock?db=1&pass=***");
        check("redis://user@host", "redis://user@host");
        check("s3://bucket/a@b:c", "s3://bucket/a@b:c");
        check("/data/a:b@c", "/data/a:b@c");
    }

    #[test]
    fn spans() {
        for (text, ms) in [("500ms", 500), ("60s", 60_000), ("5m", 300_000), ("1h", 3_600_000), ("2 s", 2000)]
        {
            assert_eq!(text.parse::<Span>(), Ok(Span(Duration::from_millis(ms))));
        }
        for text in ["", "5", "0s", "s", "1d", "-1s", "99999999999999999999s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
