//! Objects as files below a folder.
//!
//! What is visible is whole: every write goes to a temporary file in the target's folder (its name starts with
//! [`TEMPORARY`], which listings pass over), is synced, and then gets its name by `link(2)` (create) or `rename(2)`
//! (put, upload, publish), and the folder is synced. A process killed at any point leaves at most a temporary file,
//! which [`Store::sweep`] removes.

use std::collections::{BinaryHeap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};

use crate::error::StoreError;
use crate::store::{ByteStream, Created, Entry, Meta, Page, Store, Upload, clamp};

/// How temporary names begin.
pub(crate) const TEMPORARY: &str = ".gristmill-tmp-";

/// Bytes of one piece of a streamed read.
const PIECE: usize = 1 << 20;

/// A folder as an object store; keys are paths below it.
#[derive(Clone, Debug)]
pub struct FileStore {
    root: Arc<PathBuf>,
}

impl FileStore {
    /// A store of the files below `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: Arc::new(root.into()) }
    }

    fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let relative = Path::new(key);
        let plain = relative.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if key.is_empty() || key.ends_with('/') || !plain {
            return Err(StoreError::Invalid {
                uri: self.uri(key),
                why: "not the name of a file: it is empty, ends in a slash or contains `..`".into(),
            });
        }
        Ok(self.root.join(relative))
    }

    /// Runs a system call off the async runtime.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let uri = self.uri(key);
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(StoreError::from_io(&uri, &error)),
            Err(_) => Err(StoreError::Transient { uri, what: "the runtime is shutting down".into() }),
        }
    }
}

#[async_trait]
impl Store for FileStore {
    fn uri(&self, key: &str) -> String {
        self.root.join(key).display().to_string()
    }

    async fn stat(&self, key: &str) -> Result<Meta, StoreError> {
        let path = self.path(key)?;
        self.blocking(key, move || meta(&fs::metadata(path)?)).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StoreError> {
        let path = self.path(key)?;
        self.blocking(key, move || {
            let mut file = File::open(path)?;
            let size = file.metadata().and_then(|m| meta(&m))?.size;
            let range = clamp(&range.unwrap_or(0..size), size);
            file.seek(SeekFrom::Start(range.start))?;
            let mut data = Vec::with_capacity((range.end - range.start) as usize);
            file.take(range.end - range.start).read_to_end(&mut data)?;
            Ok(Bytes::from(data))
        })
        .await
    }

    async fn read(&self, key: &str, range: Range<u64>) -> Result<ByteStream, StoreError> {
        let path = self.path(key)?;
        let (file, range) = self
            .blocking(key, move || {
                let mut file = File::open(path)?;
                let size = file.metadata().and_then(|m| meta(&m))?.size;
                let range = clamp(&range, size);
                file.seek(SeekFrom::Start(range.start))?;
                Ok((file, range))
            })
            .await?;
        let (store, key) = (self.clone(), key.to_owned());
        let state = Some((store, key, file, range.end - range.start));
        let pieces = stream::unfold(state, |state| async move {
            let (store, key, mut file, left) = state?;
            if left == 0 {
                return None;
            }
            let read = store
                .blocking(&key, move || {
                    let mut data = BytesMut::zeroed(left.min(PIECE as u64) as usize);
                    file.read_exact(&mut data)?;
                    Ok((file, data.freeze()))
                })
                .await;
            Some(match read {
                Ok((file, data)) => {
                    let left = left - data.len() as u64;
                    (Ok(data), Some((store, key, file, left)))
                }
                Err(error) => (Err(error), None),
            })
        });
        Ok(pieces.boxed())
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<Created, StoreError> {
        let path = self.path(key)?;
        self.blocking(key, move || {
            if path.symlink_metadata().is_ok() {
                return Ok(Created::Exists);
            }
            let mut temporary = Temporary::beside(&path)?;
            temporary.write_synced(&data)?;
            match fs::hard_link(&temporary.path, &path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Created::Exists),
                Err(error) => return Err(error),
            }
            sync_folder(&path)?;
            Ok(Created::New)
        })
        .await
    }

    async fn put(&self, key: &str, data: Bytes) -> Result<(), StoreError> {
        let path = self.path(key)?;
        self.blocking(key, move || {
            let mut temporary = Temporary::beside(&path)?;
            temporary.write_synced(&data)?;
            temporary.rename_to(&path)
        })
        .await
    }

    async fn upload(&self, key: &str) -> Result<Box<dyn Upload>, StoreError> {
        let path = self.path(key)?;
        let target = path.clone();
        let temporary = self.blocking(key, move || Temporary::beside(&target)).await?;
        Ok(Box::new(FileUpload {
            store: self.clone(),
            key: key.to_owned(),
            path,
            temporary: Some(temporary),
        }))
    }

    async fn publish(&self, from: &str, to: &str) -> Result<Meta, StoreError> {
        let (source, target) = (self.path(from)?, self.path(to)?);
        // The source is looked at first, so that a missing one is named as such and not as the target.
        self.stat(from).await?;
        self.blocking(to, move || {
            let name = Temporary::name_beside(&target)?;
            match fs::hard_link(&source, &name) {
                Ok(()) => {
                    let linked = fs::rename(&name, &target);
                    // `rename` of two names of one file does nothing and keeps both.
                    let _ = fs::remove_file(&name);
                    linked?;
                    sync_folder(&target)?;
                }
                // Other file systems, or one without hard links: copy the bytes.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let mut temporary = Temporary::beside(&target)?;
                    io::copy(&mut File::open(&source)?, &mut temporary.file)?;
                    temporary.file.sync_all()?;
                    temporary.rename_to(&target)?;
                }
                Err(error) => return Err(error),
            }
            meta(&fs::metadata(&target)?)
        })
        .await
    }

    async fn list_page(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (root, prefix, after) = (self.root.clone(), prefix.to_owned(), start_after.map(str::to_owned));
        self.blocking(&prefix.clone(), move || walk(&root, &prefix, after.as_deref(), limit)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        for key in keys {
            let path = self.path(key)?;
            self.blocking(key, move || match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            })
            .await?;
        }
        Ok(())
    }

    async fn sweep(&self, prefix: &str, age: Duration) -> Result<u64, StoreError> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        self.blocking(&prefix.clone(), move || {
            let mut swept = 0;
            let mut folders = vec![start_folder(&root, &prefix)];
            while let Some(folder) = folders.pop() {
                let entries = match fs::read_dir(&folder) {
                    Ok(entries) => entries,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                for entry in entries {
                    let entry = entry?;
                    // Others are at work here: what has just vanished needs no sweeping.
                    let found = match entry.metadata() {
                        Ok(found) => found,
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(error),
                    };
                    if found.is_dir() {
                        folders.push(entry.path());
                    } else if entry.file_name().to_string_lossy().starts_with(TEMPORARY)
                        && found.modified()?.elapsed().is_ok_and(|old| old >= age)
                    {
                        swept += u64::from(fs::remove_file(entry.path()).is_ok());
                    }
                }
            }
            Ok(swept)
        })
        .await
    }
}

struct FileUpload {
    store: FileStore,
    key: String,
    path: PathBuf,
    /// Gone only while a call works on it, or after one failed.
    temporary: Option<Temporary>,
}

impl FileUpload {
    fn take(&mut self) -> Result<Temporary, StoreError> {
        self.temporary.take().ok_or_else(|| StoreError::Invalid {
            uri: self.store.uri(&self.key),
            why: "an upload that failed cannot go on; begin a new one".into(),
        })
    }
}

#[async_trait]
impl Upload for FileUpload {
    async fn write(&mut self, data: Bytes) -> Result<(), StoreError> {
        let mut temporary = self.take()?;
        let temporary = self
            .store
            .blocking(&self.key, move || {
                temporary.file.write_all(&data)?;
                Ok(temporary)
            })
            .await?;
        self.temporary = Some(temporary);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Meta, StoreError> {
        let temporary = self.take()?;
        let path = self.path.clone();
        self.store
            .blocking(&self.key, move || {
                temporary.file.sync_all()?;
                temporary.rename_to(&path)?;
                meta(&fs::metadata(&path)?)
            })
            .await
    }

    async fn abort(self: Box<Self>) -> Result<(), StoreError> {
        // Dropping the temporary file removes it.
        Ok(())
    }
}

/// A file that has no name of its own yet; removed when dropped.
struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    /// An unused temporary name in the folder of `target`, which is made if it is missing.
    fn name_beside(target: &Path) -> io::Result<PathBuf> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = target.parent().unwrap_or(Path::new("/"));
        make_folder(folder)?;
        let mut salt = [0; 8];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(folder.join(format!("{TEMPORARY}{}-{count}-{}", std::process::id(), hex::encode(salt))))
    }

    fn beside(target: &Path) -> io::Result<Self> {
        let path = Self::name_beside(target)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file, renamed: false })
    }

    fn write_synced(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        self.file.sync_all()
    }

    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        sync_folder(target)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a folder and those above it, each entered durably in its parent.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = Some(folder);
    while let Some(path) = at {
        if path.as_os_str().is_empty() || path.is_dir() {
            break;
        }
        missing.push(path);
        at = path.parent();
    }
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => sync_folder(path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(io::Error::from(io::ErrorKind::NotADirectory));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the name of `path` durable by syncing the folder it is in.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn meta(found: &fs::Metadata) -> io::Result<Meta> {
    if found.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let modified = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Meta {
        size: found.len(),
        tag: format!("{:x}-{:x}", modified.as_nanos(), found.len()),
        modified_ms: u64::try_from(modified.as_millis()).ok(),
    })
}

/// The deepest folder that holds everything under `prefix`.
fn start_folder(root: &Path, prefix: &str) -> PathBuf {
    match prefix.rfind('/') {
        Some(slash) => root.join(&prefix[..slash]),
        None => root.to_owned(),
    }
}

/// One page of the files below `root` whose key begins with `prefix`, in byte order of the whole key.
///
/// Folders sort as their name with a slash, so that walking them in order gives the keys in order. The stack holds
/// the next entries of each folder on the way down: no more than a page needs, however many the folder has.
fn walk(root: &Path, prefix: &str, after: Option<&str>, limit: usize) -> io::Result<Page> {
    let mut page = Page::default();
    let base = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    let at_once = limit.saturating_add(1);
    let first = Folder::open(root, base, prefix, after, at_once)?;
    let mut open = HashSet::from([first.canonical.clone()]);
    let mut stack = vec![first];
    while let Some(folder) = stack.last_mut() {
        let Some(key) = folder.next(root, prefix, after, at_once)? else {
            open.remove(&folder.canonical);
            stack.pop();
            continue;
        };
        let path = root.join(&key);
        if key.ends_with('/') {
            if open.insert(path.canonicalize()?) {
                stack.push(Folder::open(root, &key, prefix, after, at_once)?);
            }
            continue;
        }
        if page.entries.len() == limit {
            page.more = true;
            return Ok(page);
        }
        match fs::metadata(&path).and_then(|found| meta(&found)) {
            Ok(meta) => page.entries.push(Entry { key, meta }),
            // Deleted while we walk, or a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

/// A folder being walked.
struct Folder {
    base: String,
    /// Its real path: a link that leads back to a folder being walked is not followed.
    canonical: PathBuf,
    /// The next keys, last first; folders end in a slash.
    keys: Vec<String>,
    /// Where there are more than those: the last of them.
    more_after: Option<String>,
}

impl Folder {
    fn open(root: &Path, base: &str, prefix: &str, after: Option<&str>, at_once: usize) -> io::Result<Self> {
        let path = root.join(base);
        let canonical = path.canonicalize().unwrap_or(path);
        let mut folder = Self { base: base.to_owned(), canonical, keys: Vec::new(), more_after: None };
        folder.read(root, prefix, after, at_once)?;
        Ok(folder)
    }

    fn next(
        &mut self,
        root: &Path,
        prefix: &str,
        after: Option<&str>,
        at_once: usize,
    ) -> io::Result<Option<String>> {
        if self.keys.is_empty() && self.more_after.is_some() {
            self.read(root, prefix, after, at_once)?;
        }
        Ok(self.keys.pop())
    }

    /// Reads the folder and keeps the first keys that may match and come after both marks.
    fn read(&mut self, root: &Path, prefix: &str, after: Option<&str>, at_once: usize) -> io::Result<()> {
        let seen = self.more_after.take();
        let found = match fs::read_dir(root.join(&self.base)) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut first = BinaryHeap::new();
        let mut is_cut = false;
        for entry in found {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidFilename,
                    format!("{}: the name is not UTF-8; rename it", entry.path().display()),
                ));
            };
            if name.starts_with(TEMPORARY) {
                continue;
            }
            let kind = entry.file_type()?;
            let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            let slash = if is_folder { "/" } else { "" };
            let key = format!("{}{name}{slash}", self.base);
            // Everything below a folder begins with its key.
            let matches = key.starts_with(prefix) || (is_folder && prefix.starts_with(&key));
            let later = after
                .is_none_or(|after| key.as_str() > after || (is_folder && after.starts_with(&key)))
                && seen.as_ref().is_none_or(|seen| key > *seen);
            if !matches || !later {
                continue;
            }
            first.push(key);
            if first.len() > at_once {
                first.pop();
                is_cut = true;
            }
        }
        self.keys = first.into_sorted_vec();
        self.more_after = if is_cut { self.keys.last().cloned() } else { None };
        self.keys.reverse();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        crate::conformance::run(Arc::new(store.clone()), "a/b/").await;
        crate::conformance::run(Arc::new(store.clone()), "").await;
        crate::conformance::listings_are_in_byte_order(Arc::new(store), "x/").await;
    }

    #[tokio::test]
    async fn what_a_killed_writer_leaves_is_not_seen_and_swept() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        store.put("x/y", Bytes::from_static(b"1")).await.unwrap();
        let left = folder.path().join("x").join(format!("{TEMPORARY}1-2-3"));
        fs::write(&left, "half").unwrap();
        let page = store.list_page("", None, 10).await.unwrap();
        assert_eq!(page.entries.len(), 1);
        assert_eq!(store.sweep("x/", Duration::from_hours(1)).await.unwrap(), 0);
        assert_eq!(store.sweep("", Duration::ZERO).await.unwrap(), 1);
        assert!(!left.exists());
    }

    #[tokio::test]
    async fn links_are_followed_and_circles_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        store.put("a/x", Bytes::from_static(b"1")).await.unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a/x"), folder.path().join("b")).unwrap();
        let page = store.list_page("", None, 10).await.unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["a/x", "b"]);
    }

    #[tokio::test]
    async fn pages_hold_no_more_than_they_need_and_miss_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        let mut expected = Vec::new();
        for n in 0..30 {
            // Empty folders and links to nothing fill the places of a page, and are no entries of it.
            fs::create_dir(folder.path().join(format!("{n:02}-empty"))).unwrap();
            std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join(format!("{n:02}-link")))
                .unwrap();
            if n % 7 == 3 {
                for name in [format!("{n:02}"), format!("{n:02}-sub/x"), format!("{n:02}-sub/y")] {
                    store.put(&name, Bytes::from_static(b"1")).await.unwrap();
                    expected.push(name);
                }
            }
        }
        expected.sort();
        for limit in [1, 2, 3, 1000] {
            let mut keys: Vec<String> = Vec::new();
            loop {
                let page = store.list_page("", keys.last().map(String::as_str), limit).await.unwrap();
                assert!(page.entries.len() <= limit);
                keys.extend(page.entries.into_iter().map(|entry| entry.key));
                if !page.more {
                    break;
                }
            }
            assert_eq!(keys, expected, "pages of {limit}");
        }
    }

    #[tokio::test]
    async fn names_that_lead_out_are_refused() {
        let store = FileStore::new("/nowhere");
        for key in ["", "a/", "../x", "/etc/passwd", "a/../../x"] {
            assert_eq!(store.stat(key).await.unwrap_err().kind(), crate::Kind::Invalid, "{key}");
        }
    }
}
