//! Where an object lies: `s3://bucket/key`, `https://host/path`, `file:///path` or a plain path.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// A parsed location. `Display` gives back what `parse` takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Uri {
    /// A file or folder of this machine; relative paths stay relative until a store is opened.
    File(PathBuf),
    /// An object or prefix of an S3 bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key or prefix; may be empty.
        key: String,
    },
    /// A web address, read only.
    Http {
        /// Scheme, host and port: `https://data.commoncrawl.org`.
        origin: String,
        /// The path with its query, without the leading slash.
        path: String,
    },
    /// An object of the process's own memory, for tests: `memory://name/key`.
    Memory {
        /// Which of the process's memory stores.
        name: String,
        /// The key or prefix; may be empty.
        key: String,
    },
}

/// Why a location could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Nothing was written.
    #[error("an empty location; give a path, s3://bucket/key or https://host/path")]
    Empty,
    /// A scheme that no store here speaks.
    #[error("{uri}: unknown scheme `{scheme}`; use a path, file://, s3:// or https://")]
    Scheme {
        /// As written.
        uri: String,
        /// The part before `://`.
        scheme: String,
    },
    /// The part that names the bucket or host is missing or impossible.
    #[error("{uri}: {why}")]
    Authority {
        /// As written.
        uri: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name that would lead out of the folder it is joined to.
    #[error("{name}: a name may not be absolute or contain `..`")]
    Escapes {
        /// The name.
        name: String,
    },
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.is_empty() {
            return Err(UriError::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        let bad = |why| UriError::Authority { uri: text.to_owned(), why };
        match scheme {
            "file" => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if path.starts_with('/') {
                    Ok(Self::File(PathBuf::from(path)))
                } else {
                    Err(bad("a file URI has three slashes and an absolute path: file:///data/x"))
                }
            }
            "s3" | "s3a" | "s3n" => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                if !is_bucket(bucket) {
                    return Err(bad("no bucket of that name can exist; write s3://bucket/key"));
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            "https" | "http" => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                if host.is_empty() || host.contains('@') || host.chars().any(char::is_whitespace) {
                    return Err(bad("write https://host/path, without a user or password"));
                }
                Ok(Self::Http { origin: format!("{scheme}://{host}"), path: path.to_owned() })
            }
            "memory" => {
                let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
                Ok(Self::Memory { name: name.to_owned(), key: key.to_owned() })
            }
            _ if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                Err(UriError::Scheme { uri: text.to_owned(), scheme: scheme.to_owned() })
            }
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

/// Bucket names as S3 and its like take them: 3 to 63 letters, digits, dots, dashes and underscores.
fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Self::Http { origin, path } => write!(f, "{origin}/{path}"),
            Self::Memory { name, key } => write!(f, "memory://{name}/{key}"),
        }
    }
}

impl Uri {
    /// This location with `name` below it: `s3://b/jobs` and `1/plan.json` give `s3://b/jobs/1/plan.json`.
    pub fn join(&self, name: &str) -> Result<Self, UriError> {
        let escapes =
            Path::new(name).components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir));
        if escapes {
            return Err(UriError::Escapes { name: name.to_owned() });
        }
        let below = |base: &str| match (base.is_empty() || base.ends_with('/'), name.is_empty()) {
            (_, true) => base.to_owned(),
            (true, false) => format!("{base}{name}"),
            (false, false) => format!("{base}/{name}"),
        };
        Ok(match self {
            Self::File(path) => Self::File(path.join(name)),
            Self::S3 { bucket, key } => Self::S3 { bucket: bucket.clone(), key: below(key) },
            Self::Http { origin, path } => Self::Http { origin: origin.clone(), path: below(path) },
            Self::Memory { name: store, key } => Self::Memory { name: store.clone(), key: below(key) },
        })
    }

    /// The last part of the path, without a query: what formats are told by.
    pub fn file_name(&self) -> &str {
        let path = match self {
            Self::File(path) => path.to_str().unwrap_or_default(),
            Self::S3 { key, .. } | Self::Memory { key, .. } => key,
            Self::Http { path, .. } => path.split(['?', '#']).next().unwrap_or_default(),
        };
        path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// Whether both are the same place, however they are written: slashes at the end or doubled, and `./`, make no difference.
    /// Links are not followed.
    pub fn is_same(&self, other: &Self) -> bool {
        fn same(a: &str, b: &str) -> bool {
            let [a, b] = [a, b].map(|key| key.split('/').filter(|part| !part.is_empty() && *part != "."));
            a.eq(b)
        }
        match (self, other) {
            (Self::File(a), Self::File(b)) => {
                let [a, b] = [a, b].map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
                a.components().eq(b.components())
            }
            (Self::S3 { bucket, key }, Self::S3 { bucket: b, key: k }) => bucket == b && same(key, k),
            (Self::Http { origin, path }, Self::Http { origin: o, path: p }) => origin == o && same(path, p),
            (Self::Memory { name, key }, Self::Memory { name: n, key: k }) => name == n && same(key, k),
            _ => false,
        }
    }

    /// The same of addresses as they are written in recipes; texts that are none are the same if they are equal.
    pub fn are_same(one: &str, other: &str) -> bool {
        match (one.parse::<Self>(), other.parse::<Self>()) {
            (Ok(one), Ok(other)) => one.is_same(&other),
            _ => one == other,
        }
    }

    /// Whether `self` is `prefix` or lies below it, part by part: `s3://b/ab` is not below `s3://b/a`, and a path
    /// with `..` is below nothing.
    pub fn is_within(&self, prefix: &Self) -> bool {
        fn below(key: &str, prefix: &str) -> bool {
            let prefix = prefix.trim_end_matches('/');
            if key.split('/').any(|part| part == "..") {
                return false;
            }
            prefix.is_empty()
                || key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        match (self, prefix) {
            (Self::File(path), Self::File(root)) => {
                !path.components().any(|c| c == Component::ParentDir) && path.starts_with(root)
            }
            (Self::S3 { bucket, key }, Self::S3 { bucket: b, key: p }) => bucket == b && below(key, p),
            (Self::Http { origin, path }, Self::Http { origin: o, path: p }) => origin == o && below(path, p),
            (Self::Memory { name, key }, Self::Memory { name: n, key: p }) => name == n && below(key, p),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_round_trips() {
        for text in [
            "data/x.warc.gz",
            "/data/x",
            "s3://commoncrawl/crawl-data/a b/x.gz",
            "s3://abc/",
            "https://data.commoncrawl.org/x?y=1",
            "http://127.0.0.1:8080/x",
            "memory://t/a/b",
        ] {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(uri.to_string(), text);
            assert_eq!(uri.to_string().parse::<Uri>().unwrap(), uri);
        }
        assert_eq!("file:///a/b".parse::<Uri>().unwrap().to_string(), "/a/b");
        assert_eq!("s3://abc".parse::<Uri>().unwrap().to_string(), "s3://abc/");
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, part) in [
            ("", "empty location"),
            ("gs://b/k", "unknown scheme `gs`"),
            ("s3://", "write s3://bucket/key"),
            ("s3://a_/x y", "write s3://bucket/key"),
            ("file://x", "three slashes"),
            ("https://u:p@h/x", "without a user or password"),
        ] {
            let error = text.parse::<Uri>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn joins_below_only() {
        let base: Uri = "s3://bkt/jobs".parse().unwrap();
        assert_eq!(base.join("1/plan.json").unwrap().to_string(), "s3://bkt/jobs/1/plan.json");
        assert_eq!("s3://bkt".parse::<Uri>().unwrap().join("a").unwrap().to_string(), "s3://bkt/a");
        assert!(base.join("../x").is_err());
        assert!(base.join("/x").is_err());
    }

    #[test]
    fn one_place_is_written_in_many_ways() {
        let here = std::env::current_dir().unwrap().join("data/x").display().to_string();
        for (a, b, expected) in [
            ("s3://bkt/a/b", "s3a://bkt/a/b/", true),
            ("s3://bkt/a/b", "s3://bkt//a/./b", true),
            ("s3://bkt", "s3://bkt/", true),
            ("s3://bkt/a/b", "s3://bkt/a/c", false),
            ("s3://bkt/a", "s3://bk2/a", false),
            ("data/x", "./data//x/", true),
            ("data/x", here.as_str(), true),
            ("file:///data/x", "/data/x/.", true),
            ("/data/x", "/data/x/y", false),
            ("memory://t/a", "memory://t/a/", true),
            ("memory://t/a", "/t/a", false),
        ] {
            let (a, b): (Uri, Uri) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a.is_same(&b), expected, "{a} and {b}");
        }
    }

    #[test]
    fn within_is_by_whole_parts() {
        for (uri, prefix, expected) in [
            ("s3://bkt/a/b", "s3://bkt/a", true),
            ("s3://bkt/ab", "s3://bkt/a", false),
            ("s3://bkt/a/../c", "s3://bkt/a", false),
            ("s3://bk2/a", "s3://bkt/a", false),
            ("/data/x/y", "/data/x", true),
            ("/data/x/../../etc", "/data/x", false),
            ("/data/xy", "/data/x", false),
        ] {
            let (uri, prefix): (Uri, Uri) = (uri.parse().unwrap(), prefix.parse().unwrap());
            assert_eq!(uri.is_within(&prefix), expected, "{uri} within {prefix}");
        }
    }
}
