//! What one pattern leads to.

use futures::TryStreamExt;
use globset::{GlobBuilder, GlobMatcher};

use super::list_file::{is_list, read_list};
use super::{Finds, Found, InputError, Pattern};
use crate::error::Kind;
use crate::store::{Meta, list};
use crate::stores::Stores;
use crate::uri::Uri;

/// Characters that make a pattern a glob.
const SPECIAL: [char; 4] = ['*', '?', '{', '['];

/// Hands everything that `pattern` means to `finds`. A pattern that means nothing is an error.
pub(super) async fn walk(
    stores: &Stores,
    pattern: &Pattern,
    finds: &mut Finds<'_>,
) -> Result<(), InputError> {
    let text = pattern.text.as_str();
    let uri: Uri = text.parse()?;
    if let Uri::Http { .. } = uri {
        return walk_web(stores, pattern, uri, finds).await;
    }
    let (store, key) = stores.open(&uri)?;
    if text.contains(SPECIAL) {
        // A file that really has such a name is meant as it stands.
        return match store.stat(&key).await {
            Ok(meta) => finds.push(one(uri, Some(meta))).await,
            Err(_) => glob(stores, text, finds).await,
        };
    }
    if !text.ends_with('/') && !key.is_empty() {
        match store.stat(&key).await {
            Ok(_) if pattern.format.is_none() && is_list(uri.file_name()) => {
                return read_list(stores, &uri, finds).await;
            }
            Ok(meta) => return finds.push(one(uri, Some(meta))).await,
            // It may be a folder, which some stores know and others do not.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Invalid) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let prefix = if key.is_empty() { String::new() } else { format!("{}/", key.trim_end_matches('/')) };
    let mut entries = list(store, &prefix, None);
    let mut is_empty = true;
    while let Some(entry) = entries.try_next().await? {
        let name = entry.key.get(prefix.len()..).unwrap_or_default();
        if is_hidden(name) || name.is_empty() || name.ends_with('/') {
            continue;
        }
        is_empty = false;
        let uri = uri.join(name)?;
        finds.push(Found { uri, name: name.to_owned(), meta: Some(entry.meta) }).await?;
    }
    if is_empty { Err(InputError::Empty { pattern: text.to_owned() }) } else { Ok(()) }
}

async fn walk_web(
    stores: &Stores,
    pattern: &Pattern,
    uri: Uri,
    finds: &mut Finds<'_>,
) -> Result<(), InputError> {
    if pattern.text.ends_with('/') || pattern.text.contains('*') {
        return Err(InputError::NoListing { pattern: pattern.text.clone() });
    }
    if pattern.format.is_none() && is_list(uri.file_name()) {
        return read_list(stores, &uri, finds).await;
    }
    finds.push(one(uri, None)).await
}

fn one(uri: Uri, meta: Option<Meta>) -> Found {
    let name = uri.file_name().to_owned();
    Found { uri, name, meta }
}

/// Whether a name below a pattern's fixed part has a part that does not count.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(['.', '_']))
}

/// The folder that all matches lie in, and the pattern below it.
fn split_glob(pattern: &str) -> (&str, &str) {
    let special = pattern.find(SPECIAL).unwrap_or(pattern.len());
    let cut = pattern[..special].rfind('/').map_or(0, |slash| slash + 1);
    pattern.split_at(cut)
}

fn matcher(pattern: &str, below: &str) -> Result<GlobMatcher, InputError> {
    let glob = GlobBuilder::new(below).literal_separator(true).build();
    let glob =
        glob.map_err(|error| InputError::Glob { pattern: pattern.to_owned(), why: error.to_string() })?;
    Ok(glob.compile_matcher())
}

async fn glob(stores: &Stores, pattern: &str, finds: &mut Finds<'_>) -> Result<(), InputError> {
    let (base, below) = split_glob(pattern);
    let matcher = matcher(pattern, below)?;
    let base: Uri = if base.is_empty() { Uri::File(".".into()) } else { base.parse()? };
    let (store, key) = stores.open(&base)?;
    let folder = key.trim_end_matches('/');
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    // A prefix of the name before the first special character narrows what a store has to list.
    let fixed = &below[..below.find(SPECIAL).unwrap_or(below.len())];
    let mut entries = list(store, &format!("{prefix}{fixed}"), None);
    let base_is_here = matches!(&base, Uri::File(path) if path.as_os_str() == ".");
    let mut is_empty = true;
    while let Some(entry) = entries.try_next().await? {
        let name = entry.key.get(prefix.len()..).unwrap_or_default();
        let hidden = is_hidden(name) && !is_hidden(below);
        if hidden || !matcher.is_match(name) {
            continue;
        }
        is_empty = false;
        let uri = if base_is_here { Uri::File(name.into()) } else { base.join(name)? };
        finds.push(Found { uri, name: name.to_owned(), meta: Some(entry.meta) }).await?;
    }
    if is_empty { Err(InputError::Empty { pattern: pattern.to_owned() }) } else { Ok(()) }
}
