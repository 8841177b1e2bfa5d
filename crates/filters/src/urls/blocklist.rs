//! Block lists of domains and of URLs, as the UT1 lists of Toulouse University are laid out.
//!
//! <https://dsi.ut-capitole.fr/blacklists/>: a folder for each category, in it `domains` (one a line, which stands for all hosts below
//! it) and `urls` (host and path without a scheme, which stands for all pages below it).

use super::{HostError, StringSet, bare_host, netloc};
use crate::python::lower;

/// Why a page is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    Domain,
    Url,
}

/// Domains and URLs to keep away from.
#[derive(Clone, Debug, Default)]
pub struct Blocklist {
    domains: StringSet,
    urls: StringSet,
}

impl Blocklist {
    /// Entries are compared in lower case, without `www.`; blank lines and those that start with `#` are passed over.
    pub fn new<'l>(
        domains: impl IntoIterator<Item = &'l str>,
        urls: impl IntoIterator<Item = &'l str>,
    ) -> Self {
        let entry = |line: &'l str| {
            let line = lower(line.trim()).into_owned();
            (!line.is_empty() && !line.starts_with('#')).then_some(line)
        };
        let urls = urls.into_iter().filter_map(entry).map(|url| {
            let (host, path) = url.split_once('/').unwrap_or((&url, ""));
            format!("{}/{}", bare_host(host), path.trim_end_matches('/'))
        });
        let domains = domains.into_iter().filter_map(entry).map(|host| bare_host(&host).to_owned());
        Self { domains: StringSet::new(domains), urls: StringSet::new(urls) }
    }

    /// Whether a URL's host or one of its parents is in the list of domains, or the URL or a page above it in that of URLs.
    pub fn judge(&self, url: &str) -> Result<Option<Blocked>, HostError> {
        let host = netloc(url)?;
        let lowered = lower(&host);
        let bare = bare_host(&lowered);
        if bare.is_empty() {
            return Ok(None);
        }
        let mut parent = Some(bare);
        while let Some(domain) = parent {
            if self.domains.contains(domain) {
                return Ok(Some(Blocked::Domain));
            }
            parent = domain.split_once('.').map(|(_, parent)| parent);
        }
        if self.urls.is_empty() {
            return Ok(None);
        }
        let path = url.split_once("//").map_or("", |(_, rest)| rest.get(host.len()..).unwrap_or_default());
        let path = lower(path.split(['?', '#']).next().unwrap_or_default()).into_owned();
        let page = format!("{bare}/{}", path.trim_matches('/'));
        // The page, and every folder above it down to the host.
        let mut at = page.len();
        loop {
            let above = page.get(..at).unwrap_or_default();
            let entry = if above.len() == bare.len() { &format!("{above}/") } else { above };
            if self.urls.contains(entry) {
                return Ok(Some(Blocked::Url));
            }
            match above.rfind('/') {
                Some(slash) => at = slash,
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_stand_for_hosts_and_urls_for_pages_below_them() {
        let list = Blocklist::new(
            ["bad.example", "# a comment", "", "WWW.worse.example"],
            ["fine.example/bad/", "www.fine.example/Page.html", "host.example"],
        );
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
            ("mailto:x@bad.example", None),
        ] {
            assert_eq!(list.judge(url), Ok(expected), "{url}");
        }
        assert_eq!(list.judge("http://[x/"), Err(HostError::Brackets));
    }
}
