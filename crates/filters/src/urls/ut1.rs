//! The archives in which Toulouse University publishes its lists, UT1.
//!
//! <https://dsi.ut-capitole.fr/blacklists/>: `blacklists.tar.gz` has a folder for each category, `adult.tar.gz` and its like have one. A
//! category's files are `domains`, `urls` and `expressions`, one entry a line; older names of categories are symbolic links to newer
//! ones. Archives are read as a stream, twice: to see what is there, and for what is wanted.
//!
//! **Failure.** [`Ut1Error`]. **Cost.** Linear in the archive; memory for the entries that are wanted, and no more than a limit.

use super::Blocklist;
use flate2::read::MultiGzDecoder;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

/// Why an archive gives no lists.
#[derive(Debug, thiserror::Error)]
pub enum Ut1Error {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("no tar archive: byte {at} of its contents begins no file")]
    NotTar { at: u64 },
    #[error("ends in the midst, at byte {at} of its contents or behind it")]
    Truncated { at: u64 },
    #[error("line {line} of {category}/expressions is no regular expression: {source}")]
    Expression { category: String, line: usize, source: Box<regex::Error> },
    #[error("holds more than {limit} bytes of entries")]
    TooLarge { limit: usize },
}

/// Entries that all lists of an archive may have, in bytes. The whole of UT1 is a tenth of that.
const MAX_BYTES: usize = 1 << 30;
/// A longer line is no entry.
const MAX_LINE: u64 = 1 << 16;

/// What to take out of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'w> {
    /// All categories if none is named.
    pub categories: &'w [String],
    pub expressions: bool,
}

/// The lists of an archive by category, in the order in which they were asked for; those that are asked for and not there are
/// `missing`.
#[derive(Debug, Default)]
pub struct Ut1 {
    pub lists: Vec<(String, Blocklist)>,
    pub missing: Vec<String>,
    /// The categories that the archive has.
    pub there: Vec<String>,
}

/// Reads an archive, compressed or not.
pub fn read(archive: &[u8], wishes: Wishes) -> Result<Ut1, Ut1Error> {
    let contents = Contents::look(archive)?;
    let there: Vec<String> = contents.categories.iter().chain(contents.links.keys()).cloned().collect();
    // Nothing named: everything, links being only other names.
    let names = if wishes.categories.is_empty() {
        contents.categories.iter().cloned().collect()
    } else {
        wishes.categories.to_vec()
    };
    let (names, missing): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| contents.categories.contains(contents.target(name)));
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, name) in names.iter().enumerate() {
        places.entry(contents.target(name)).or_default().push(place);
    }
    let mut found: BTreeMap<String, Blocklist> = BTreeMap::new();
    let mut bytes = 0;
    walk(archive, |entry, content| {
        if let Some((category, file)) = entry.list()
            && places.contains_key(category)
        {
            let list = found.entry(category.to_owned()).or_default();
            let before = list.bytes();
            fill(list, category, file, content, wishes.expressions, MAX_BYTES - bytes)?;
            bytes += list.bytes() - before;
        }
        Ok(())
    })?;
    let mut lists: Vec<(String, Blocklist)> =
        names.iter().map(|name| (name.clone(), Blocklist::default())).collect();
    for (category, mut list) in found {
        list.shrink_to_fit();
        // One category under several names counts under the first.
        let place = places.get(&*category).and_then(|places| places.first());
        if let Some((_, free)) = place.and_then(|&place| lists.get_mut(place)) {
            *free = list;
        }
    }
    Ok(Ut1 { lists, missing, there })
}

fn fill(
    list: &mut Blocklist,
    category: &str,
    file: File,
    content: &mut dyn Read,
    expressions: bool,
    limit: usize,
) -> Result<(), Ut1Error> {
    let start = list.bytes();
    match file {
        File::Domains | File::Urls => lines(content, |_, line| {
            if file == File::Domains {
                list.add_domain(line)
            } else {
                list.add_url(line)
            }
            if list.bytes() - start > limit { Err(Ut1Error::TooLarge { limit: MAX_BYTES }) } else { Ok(()) }
        }),
        File::Expressions if expressions => {
            let mut all = Vec::new();
            lines(content, |number, line| {
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    all.push((number, line.to_owned()));
                }
                Ok(())
            })?;
            let refused = |line, source| Ut1Error::Expression { category: category.to_owned(), line, source };
            // One at a time first, so that the line is known.
            for (number, line) in &all {
                let alone = Blocklist::default().set_expressions(&[line]);
                alone.map_err(|source| refused(*number, Box::new(source)))?;
            }
            let all: Vec<&String> = all.iter().map(|(_, line)| line).collect();
            list.set_expressions(&all).map_err(|source| refused(1, Box::new(source)))
        }
        File::Expressions => Ok(()),
    }
}

/// Calls `each` with every line and its number. Bytes that are no UTF-8 are replaced; lines that are too long are cut.
fn lines(
    content: &mut dyn Read,
    mut each: impl FnMut(usize, &str) -> Result<(), Ut1Error>,
) -> Result<(), Ut1Error> {
    let mut reader = BufReader::new(content);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        each(number, &String::from_utf8_lossy(&line))?;
    }
    Ok(())
}

/// What an archive has.
#[derive(Debug, Default)]
struct Contents {
    categories: BTreeSet<String>,
    /// Other names of categories.
    links: BTreeMap<String, String>,
}

impl Contents {
    fn look(archive: &[u8]) -> Result<Self, Ut1Error> {
        let mut contents = Self::default();
        walk(archive, |entry, _| {
            if let Some((category, _)) = entry.list() {
                contents.categories.insert(category.to_owned());
            } else if let Some(target) = &entry.link {
                let last =
                    |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
                contents.links.insert(last(&entry.path), last(target));
            }
            Ok(())
        })?;
        let Self { categories, links } = &mut contents;
        links.retain(|_, target| categories.contains(target));
        Ok(contents)
    }

    fn target<'n>(&'n self, name: &'n str) -> &'n str {
        if self.categories.contains(name) { name } else { self.links.get(name).map_or(name, |target| target) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum File {
    Domains,
    Urls,
    Expressions,
}

/// One entry of a tar archive.
struct Entry {
    path: String,
    is_file: bool,
    link: Option<String>,
}

impl Entry {
    /// The category and the kind of list that a file is.
    fn list(&self) -> Option<(&str, File)> {
        if !self.is_file {
            return None;
        }
        let (folder, name) = self.path.rsplit_once('/')?;
        let file = match name {
            "domains" => File::Domains,
            "urls" => File::Urls,
            "expressions" => File::Expressions,
            _ => return None,
        };
        let category = folder.rsplit('/').next()?;
        (!category.is_empty() && category != ".").then_some((category, file))
    }
}

/// Calls `each` with every entry of an archive and its content.
fn walk(
    archive: &[u8],
    mut each: impl FnMut(&Entry, &mut dyn Read) -> Result<(), Ut1Error>,
) -> Result<(), Ut1Error> {
    let mut reader: Box<dyn Read + '_> = if archive.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(archive))
    } else {
        Box::new(archive)
    };
    let mut at = 0;
    loop {
        let mut header = [0; 512];
        reader.read_exact(&mut header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Ut1Error::Truncated { at },
            _ => error.into(),
        })?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let (entry, size) = parse(&header).ok_or(Ut1Error::NotTar { at })?;
        let mut content = reader.by_ref().take(size);
        each(&entry, &mut content)?;
        let padded = size.div_ceil(512) * 512;
        let rest = content.limit() + padded - size;
        let skipped = io::copy(&mut reader.by_ref().take(rest), &mut io::sink())?;
        if skipped < rest {
            return Err(Ut1Error::Truncated { at });
        }
        at += 512 + padded;
    }
}

/// An entry and the size of its content. None for what is no header, by its sum.
fn parse(header: &[u8; 512]) -> Option<(Entry, u64)> {
    let text = |from: usize, to: usize| {
        let field = header.get(from..to).unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
    };
    let octal = |from, to| u64::from_str_radix(text(from, to).trim(), 8).ok();
    // The sum is taken with blanks in its own place.
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*byte) })
        .sum();
    if octal(148, 156)? != sum {
        return None;
    }
    let kind = header[156];
    let size = octal(124, 136)?;
    let (name, prefix) = (text(0, 100), text(345, 500));
    let is_ustar = header.get(257..262) == Some(b"ustar");
    let path = if is_ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name };
    let entry = Entry {
        path,
        is_file: matches!(kind, 0 | b'0'),
        link: matches!(kind, b'1' | b'2').then(|| text(157, 257)),
    };
    Some((entry, if matches!(kind, b'1' | b'2') { 0 } else { size }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::urls::{Address, Blocked};
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn header(path: &str, kind: u8, size: usize, link: &str) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..263].copy_from_slice(b"ustar\0");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        header[154] = 0;
        header
    }

    fn archive() -> Vec<u8> {
        let mut tar = Vec::new();
        for (path, content) in [
            ("blacklists/README", "domains"),
            ("blacklists/adult/domains", "Bad.example\nworse.example\n"),
            ("blacklists/adult/urls", "fine.example/bad\n"),
            ("blacklists/adult/expressions", "(^|[-/.])(rude|ruder)([-/.]|$)\n"),
            ("blacklists/adult/usage", "black\n"),
            ("blacklists/games/domains", "games.example"),
        ] {
            tar.extend(header(path, b'0', content.len(), ""));
            tar.extend(content.as_bytes());
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.extend(header("blacklists/porn", b'2', 0, "adult"));
        tar.extend(header("blacklists/gone", b'2', 0, "elsewhere"));
        tar.extend(vec![0; 1024]);
        tar
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn wished(archive: &[u8], categories: &[&str], expressions: bool) -> Result<Ut1, Ut1Error> {
        let categories: Vec<String> = categories.iter().map(|name| (*name).to_owned()).collect();
        read(archive, Wishes { categories: &categories, expressions })
    }

    fn judge(ut1: &Ut1, url: &str) -> Option<(String, Blocked)> {
        let address = Address::of(url).expect(url).expect(url);
        ut1.lists.iter().find_map(|(category, list)| Some((category.clone(), list.judge(&address)?)))
    }

    #[test]
    fn categories_are_found() {
        for archive in [archive(), gzip(&archive())] {
            let all = wished(&archive, &[], true).expect("lists");
            assert_eq!(all.there, ["adult", "games", "porn"]);
            let blocked = |url| judge(&all, url);
            assert_eq!(blocked("http://a.bad.example/"), Some(("adult".to_owned(), Blocked::Domain)));
            assert_eq!(blocked("http://fine.example/bad/x"), Some(("adult".to_owned(), Blocked::Url)));
            assert_eq!(blocked("http://x.example/ruder"), Some(("adult".to_owned(), Blocked::Expression)));
            assert_eq!(blocked("http://games.example/"), Some(("games".to_owned(), Blocked::Domain)));
            assert_eq!(blocked("http://x.example/"), None);

            let some = wished(&archive, &["games", "porn", "gone"], false).expect("lists");
            assert_eq!(some.missing, ["gone"]);
            assert_eq!(judge(&some, "http://bad.example/"), Some(("porn".to_owned(), Blocked::Domain)));
            assert_eq!(judge(&some, "http://x.example/ruder"), None);
            let games = wished(&archive, &["games"], true).expect("lists");
            assert_eq!(judge(&games, "http://bad.example/"), None);
        }
    }

    #[test]
    fn what_is_no_archive_says_so() {
        let error = |bytes: &[u8]| wished(bytes, &[], true).expect_err("no archive").to_string();
        assert_eq!(error(b""), "ends in the midst, at byte 0 of its contents or behind it");
        assert_eq!(error(&[1; 2000]), "no tar archive: byte 0 of its contents begins no file");
        let archive = archive();
        assert_eq!(error(&archive[..1024]), "ends in the midst, at byte 1024 of its contents or behind it");
        assert!(error(&gzip(&archive)[..100]).starts_with("ends in the midst"));
        let mut bad = gzip(&archive);
        bad[2] = 0;
        assert!(error(&bad).starts_with("cannot be read: "), "{}", error(&bad));
        let mut bad = archive.clone();
        let at = bad.windows(5).position(|window| window == b"(rude").expect("there");
        bad[at] = b')';
        assert!(
            error(&bad).starts_with("line 1 of adult/expressions is no regular expression"),
            "{}",
            error(&bad)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn damage_is_an_error_or_lists(at: prop::sample::Index, byte: u8, cut: prop::sample::Index, compressed: bool) {
            let mut bytes = if compressed { gzip(&archive()) } else { archive() };
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = wished(&bytes, &["adult"], true);
            bytes.truncate(cut.index(bytes.len()));
            let _ = wished(&bytes, &["adult"], true);
        }
    }
}
