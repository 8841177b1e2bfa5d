//! Which documents are to go: a text of one entry a line.
//!
//! ```text
//! # a comment
//! https://example.com/page?x=1      this address
//! prefix:https://example.com/dir/   every address that begins so
//! domain:example.com                every address of that host, or of one below it
//! id:<urn:uuid:…>                   the document of this record id
//! ```
//!
//! Addresses are compared after this: `http` and `https` are the same, and so is nothing; a user and a password, the ports 80 and 443, a
//! dot at the end of the host and what comes after `#` do not count; the host is in lower case; an empty path is `/`. All else
//! counts as it is written: path, query, `www.`, percent signs. Ids are compared as they are written.

use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

/// The entries.
#[derive(Debug, Default)]
pub struct List {
    entries: Vec<String>,
    urls: HashMap<String, usize>,
    prefixes: HashMap<String, usize>,
    /// In bytes, of the prefixes.
    lengths: BTreeSet<usize>,
    domains: HashMap<String, usize>,
    ids: HashMap<String, usize>,
    sha256: String,
}

/// An entry that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the list, {entry:?}: {why}")]
pub struct ListError {
    pub line: usize,
    pub entry: String,
    pub why: &'static str,
}

/// How many documents each entry of a list named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found(Vec<u64>);

impl List {
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let mut list = Self::default();
        let mut distinct = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let entry = line.trim();
            if entry.is_empty() || entry.starts_with('#') {
                continue;
            }
            let wrong = |why| ListError { line: number + 1, entry: entry.to_owned(), why };
            let place = list.entries.len();
            if let Some(id) = entry.strip_prefix("id:") {
                list.ids.entry(id.trim().to_owned()).or_insert(place);
            } else if let Some(domain) = entry.strip_prefix("domain:") {
                let domain = host(domain.trim());
                if domain.is_empty() || domain.contains(['/', ':']) {
                    return Err(wrong("write domain:example.com"));
                }
                list.domains.entry(domain).or_insert(place);
            } else if let Some(prefix) = entry.strip_prefix("prefix:") {
                if !prefix.contains("://") {
                    return Err(wrong("write prefix:https://example.com/dir/"));
                }
                let prefix = normal(prefix);
                list.lengths.insert(prefix.len());
                list.prefixes.entry(prefix).or_insert(place);
            } else if entry.contains("://") {
                list.urls.entry(normal(entry)).or_insert(place);
            } else {
                return Err(wrong(
                    "an address has http:// or https:// before it; others begin with prefix:, domain: or id:",
                ));
            }
            distinct.insert(entry);
            list.entries.push(entry.to_owned());
        }
        let mut hash = Sha256::new();
        for entry in distinct {
            hash.update(entry);
            hash.update("\n");
        }
        list.sha256 = hex::encode(hash.finalize());
        Ok(list)
    }

    /// As they are written.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Of the entries, whatever their order.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Nothing found yet.
    #[must_use]
    pub fn nothing(&self) -> Found {
        Found(vec![0; self.entries.len()])
    }

    /// Whether a document is meant. Each entry that names it is counted.
    pub fn names(&self, id: &str, url: &str, found: &mut Found) -> bool {
        let mut named = false;
        let mut count = |place: Option<&usize>| {
            if let Some(count) = place.and_then(|place| found.0.get_mut(*place)) {
                *count += 1;
                named = true;
            }
        };
        count(self.ids.get(id).filter(|_| !id.is_empty()));
        if url.is_empty() {
            return named;
        }
        let url = normal(url);
        count(self.urls.get(&url));
        for length in self.lengths.range(..=url.len()) {
            count(url.get(..*length).and_then(|start| self.prefixes.get(start)));
        }
        if !self.domains.is_empty() {
            let mut host = url.split(['/', ':']).next();
            while let Some(name) = host {
                count(self.domains.get(name));
                host = name.split_once('.').map(|(_, below)| below);
            }
        }
        named
    }
}

impl Found {
    /// For each entry of the list, in its order.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.0
    }
}

/// An address as it is compared: see the module.
fn normal(url: &str) -> String {
    let url = url.trim();
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), url),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = host(authority.rsplit('@').next().unwrap_or_default());
    let authority =
        [":80", ":443"].iter().find_map(|port| authority.strip_suffix(port)).unwrap_or(&authority);
    let authority = authority.trim_end_matches('.');
    let slash = if path.starts_with('/') { "" } else { "/" };
    match scheme.as_str() {
        "" | "http" | "https" => format!("{authority}{slash}{path}"),
        other => format!("{other}://{authority}{slash}{path}"),
    }
}

fn host(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_as_the_module_says() {
        for (url, expected) in [
            ("https://Example.COM", "example.com/"),
            ("http://example.com:80/", "example.com/"),
            ("HTTPS://user:pw@example.com.:443/A?b=C#d", "example.com/A?b=C"),
            ("http://example.com?q", "example.com/?q"),
            ("http://example.com:8080/x", "example.com:8080/x"),
            ("ftp://Example.com/x", "ftp://example.com/x"),
            ("http://www.example.com/%7Ea", "www.example.com/%7Ea"),
            ("example.com/x", "example.com/x"),
        ] {
            assert_eq!(normal(url), expected, "{url}");
        }
    }

    #[test]
    fn entries_name_documents() {
        let list = List::parse(
            "# what a lawyer wrote\n\nhttps://a.org/1\nprefix:http://b.org/dir/\n domain:Evil.example\nid:<urn:x>\nprefix:http://b.org/dir/sub\n",
        )
        .expect("a list");
        assert_eq!(list.entries().len(), 5);
        let mut found = list.nothing();
        for (id, url, expected) in [
            ("1", "http://a.org/1#top", true),
            ("2", "http://a.org/1/", false),
            ("3", "http://a.org/1?x", false),
            ("4", "https://b.org/dir/x", true),
            ("5", "https://b.org/dir/sub/x", true),
            ("6", "https://b.org/dir", false),
            ("7", "http://www.evil.example:8080/x", true),
            ("8", "http://evil.example", true),
            ("9", "http://notevil.example", false),
            ("a", "http://evil.example.org/", false),
            ("<urn:x>", "", true),
            ("", "", false),
        ] {
            assert_eq!(list.names(id, url, &mut found), expected, "{id} {url}");
        }
        assert_eq!(found.counts(), [1, 2, 2, 1, 1]);
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for (text, line) in [
            ("\nexample.com/x", 2),
            ("prefix:example.com", 1),
            ("domain:https://example.com/", 1),
            ("domain:", 1),
            ("regex:.*", 1),
        ] {
            assert_eq!(List::parse(text).map(|_| ()).map_err(|error| error.line), Err(line), "{text}");
        }
        let sha = |text: &str| List::parse(text).expect("a list").sha256;
        assert_eq!(sha("id:a\nid:b"), sha("# x\nid:b\n\n id:a\nid:a"));
        assert_ne!(sha("id:a"), sha("id:b"));
    }
}
