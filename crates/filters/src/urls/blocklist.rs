//! Block lists of domains, URLs and expressions, as the UT1 lists of Toulouse University are written.

use super::{HostError, StringSet, bare_host, netloc};
use crate::python::lower;
use regex::{RegexSet, RegexSetBuilder};

/// Why a page is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    Domain,
    Url,
    Expression,
}

/// Domains, URLs and expressions to keep away from.
#[derive(Clone, Debug, Default)]
pub struct Blocklist {
    domains: StringSet,
    urls: StringSet,
    expressions: RegexSet,
}

/// A URL made ready to be looked up in block lists.
#[derive(Clone, Debug)]
pub struct Address {
    /// Host and path, in lower case, without user, port, `www.`, query and fragment: `host/path`.
    page: String,
    /// The length of the host.
    host: usize,
    /// All but the scheme, in lower case.
    whole: String,
}

impl Address {
    /// None for a URL without a host.
    pub fn of(url: &str) -> Result<Option<Self>, HostError> {
        let host = netloc(url)?;
        let lowered = lower(&host);
        let bare = bare_host(&lowered);
        if bare.is_empty() {
            return Ok(None);
        }
        let rest = url.split_once("//").map_or("", |(_, rest)| rest);
        let path = rest.get(host.len()..).unwrap_or_default();
        let path = lower(path.split(['?', '#']).next().unwrap_or_default());
        let page = format!("{bare}/{}", path.trim_matches('/'));
        Ok(Some(Self { page, host: bare.len(), whole: lower(rest).into_owned() }))
    }

    /// The host, and the domains above it.
    fn domains(&self) -> impl Iterator<Item = &str> {
        let host = self.page.get(..self.host);
        std::iter::successors(host, |domain| domain.split_once('.').map(|(_, parent)| parent))
    }

    /// The page, and every folder above it down to the host.
    fn pages(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(&*self.page), |page| {
            let slash = page.get(..page.len() - 1)?.rfind('/')?;
            // The root keeps its slash.
            page.get(..slash.max(self.host + usize::from(slash == self.host)))
        })
    }
}

impl Blocklist {
    /// Adds a domain, which stands for all hosts below it. Lists are compared in lower case, without `www.`; blank lines and those
    /// that start with `#` are passed over.
    pub fn add_domain(&mut self, line: &str) {
        if let Some(domain) = entry(line) {
            self.domains.insert(bare_host(&domain));
        }
    }

    /// Adds a URL without a scheme, which stands for all pages below it.
    pub fn add_url(&mut self, line: &str) {
        if let Some(url) = entry(line) {
            let (host, path) = url.split_once('/').unwrap_or((&url, ""));
            self.urls.insert(&format!("{}/{}", bare_host(host), path.trim_end_matches('/')));
        }
    }

    /// Sets the regexes that block a URL they are found in, in any case. Fails on the first that is none.
    pub fn set_expressions<S: AsRef<str>>(&mut self, expressions: &[S]) -> Result<(), regex::Error> {
        self.expressions = RegexSetBuilder::new(expressions).case_insensitive(true).build()?;
        Ok(())
    }

    /// To be called when all entries are there.
    pub fn shrink_to_fit(&mut self) {
        self.domains.shrink_to_fit();
        self.urls.shrink_to_fit();
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty() && self.urls.is_empty() && self.expressions.is_empty()
    }

    /// Bytes that the entries take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.domains.bytes() + self.urls.bytes()
    }

    /// Whether a URL's host or one of its parents is in the list of domains, the URL or a page above it in that of URLs, or an
    /// expression is found in it.
    #[must_use]
    pub fn judge(&self, address: &Address) -> Option<Blocked> {
        if address.domains().any(|domain| self.domains.contains(domain)) {
            return Some(Blocked::Domain);
        }
        if !self.urls.is_empty() && address.pages().any(|page| self.urls.contains(page)) {
            return Some(Blocked::Url);
        }
        self.expressions.is_match(&address.whole).then_some(Blocked::Expression)
    }
}

fn entry(line: &str) -> Option<String> {
    let line = line.trim();
    (!line.is_empty() && !line.starts_with('#')).then(|| lower(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_stand_for_hosts_and_urls_for_pages_below_them() {
        let mut list = Blocklist::default();
        for domain in ["bad.example", "# a comment", "", "WWW.worse.example"] {
            list.add_domain(domain);
        }
        for url in ["fine.example/bad/", "www.fine.example/Page.html", "host.example", "dir.example/a/b"] {
            list.add_url(url);
        }
        list.set_expressions(&[r"(^|[-\.?+=/_0-9])(poker|roulette)([-\.?+=/_0-9]|$)"]).expect("a regex");
        for (url, expected) in [
            ("https://bad.example/", Some(Blocked::Domain)),
            ("https://a.b.BAD.example:8080/x", Some(Blocked::Domain)),
            ("https://www.worse.example", Some(Blocked::Domain)),
            ("https://notbad.example/", None),
            ("http://fine.example/bad", Some(Blocked::Url)),
            ("http://www.fine.example/bad/deep/er?q#f", Some(Blocked::Url)),
            ("http://fine.example/badly", None),
            ("http://fine.example/page.html", Some(Blocked::Url)),
            ("http://fine.example/", None),
            ("http://host.example/any", Some(Blocked::Url)),
            ("http://host.example", Some(Blocked::Url)),
            ("http://dir.example/a", None),
            ("http://dir.example/a/b/c/d", Some(Blocked::Url)),
            ("http://x.example/Play-POKER?now", Some(Blocked::Expression)),
            ("http://x.example/?poker", Some(Blocked::Expression)),
            ("http://pokers.example/", None),
        ] {
            let address = Address::of(url).expect(url).expect(url);
            assert_eq!(list.judge(&address), expected, "{url}");
        }
        assert!(matches!(Address::of("mailto:x@bad.example"), Ok(None)));
        assert!(matches!(Address::of("http://[x/"), Err(HostError::Brackets)));
    }
}
