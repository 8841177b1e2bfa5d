//! From the names of models and lists in a recipe to their bytes.
//!
//! A name is a path, an `s3://` or `https://` address with `#sha256=…`, or the bare name of a file in the models
//! folder. The folder is searched first, whatever the name, so that everything works offline. What comes from an
//! address is fetched once, checked, and kept in the cache folder under its digest.
//!
//! A coordinator keeps what it found in the workspace ([`crate::Workspace::keep`]). So workers need neither models of their own
//! nor the way to where those are published.

use crate::plan::PlannedResource;
use gristmill_pipeline::resources::{Blob, Resource, Resources, Wanted};
use gristmill_storage::{Kind, StoreError, Stores, Uri};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Files from this size on are mapped rather than read: pages that are not needed take no memory.
const MAP_FROM: u64 = 4 << 20;

/// Finds resources.
#[derive(Clone, Debug)]
pub struct Resolver {
    stores: Stores,
    /// The models folder.
    models: PathBuf,
    /// Where what was fetched is kept.
    cache: PathBuf,
}

/// Why a resource cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(
        "resource {name:?} is not there: looked for {} in {}; put the file there, name the folder (--models), or give a path or an address with #sha256=…",
        .candidates.join(" and "),
        .models.display()
    )]
    NotFound { name: String, candidates: Vec<String>, models: PathBuf },
    #[error(
        "{found} has sha256 {actual}, but {expected} is asked for; replace the file or correct the recipe"
    )]
    WrongDigest { found: String, expected: String, actual: String },
    #[error("{name:?}: an address needs #sha256=… so that every worker uses the same bytes")]
    NoDigest { name: String },
    #[error("{name:?}: {why}")]
    BadName { name: String, why: String },
    #[error("cannot read {path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error(
        "cannot keep a copy of {uri} in {cache}: {source}; name a folder that can be written with GRISTMILL_CACHE"
    )]
    Cache { uri: String, cache: String, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Resolver {
    #[must_use]
    pub fn new(stores: Stores, models: PathBuf, cache: PathBuf) -> Self {
        Self { stores, models, cache }
    }

    /// Finds everything a recipe wants, for the plan and for building its steps.
    pub async fn resolve(
        &self,
        wanted: &[Wanted],
    ) -> Result<(BTreeMap<String, PlannedResource>, Resources), ResolveError> {
        let mut planned = BTreeMap::new();
        let mut found = BTreeMap::new();
        for want in wanted {
            if planned.contains_key(&want.name) {
                continue;
            }
            let (candidate, resource) = self.find(want).await?;
            let bytes = (*resource.bytes).as_ref().len() as u64;
            planned.insert(
                want.name.clone(),
                PlannedResource { candidate, sha256: resource.sha256.clone(), bytes },
            );
            found.insert(want.name.clone(), resource);
        }
        Ok((planned, Resources::new(found)))
    }

    /// Finds exactly what a plan names: the same bytes, or an error. What this machine does not have comes from the workspace.
    pub async fn fetch(
        &self,
        planned: &BTreeMap<String, PlannedResource>,
        workspace: &Uri,
    ) -> Result<Resources, ResolveError> {
        let mut found = BTreeMap::new();
        for (name, plan) in planned {
            let kept = self.kept(plan, workspace).await?;
            let resource = match kept {
                Some(resource) => resource,
                None => {
                    let wanted = Wanted { name: name.clone(), candidates: vec![plan.candidate.clone()] };
                    self.find(&wanted).await?.1
                }
            };
            check_digest(&resource.found, &plan.sha256, &resource.sha256)?;
            found.insert(name.clone(), resource);
        }
        Ok(Resources::new(found))
    }

    /// From this machine's files, if they are the right ones, else from the workspace, if a coordinator has kept it there.
    async fn kept(&self, plan: &PlannedResource, workspace: &Uri) -> Result<Option<Resource>, ResolveError> {
        let (uri, _) = parse(&plan.candidate)?;
        if let Some(resource) = self.local(&uri).await?
            && resource.sha256 == plan.sha256
        {
            return Ok(Some(resource));
        }
        let bad = |e: gristmill_storage::UriError| ResolveError::BadName {
            name: workspace.to_string(),
            why: e.to_string(),
        };
        let uri = workspace.join(&crate::workspace::resource_path(&plan.sha256)).map_err(bad)?;
        match self.download(&uri, &plan.sha256).await {
            Ok(resource) => Ok(Some(resource)),
            Err(ResolveError::Store(error)) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, want: &Wanted) -> Result<(String, Resource), ResolveError> {
        for candidate in &want.candidates {
            if let Some(resource) = self.try_candidate(candidate).await? {
                return Ok((candidate.clone(), resource));
            }
        }
        Err(ResolveError::NotFound {
            name: want.name.clone(),
            candidates: want.candidates.clone(),
            models: self.models.clone(),
        })
    }

    async fn try_candidate(&self, candidate: &str) -> Result<Option<Resource>, ResolveError> {
        let (uri, digest) = parse(candidate)?;
        if let Some(resource) = self.local(&uri).await? {
            if let Some(digest) = &digest {
                check_digest(&resource.found, digest, &resource.sha256)?;
            }
            return Ok(Some(resource));
        }
        if matches!(uri, Uri::File(_)) {
            return Ok(None);
        }
        let Some(digest) = digest else { return Err(ResolveError::NoDigest { name: candidate.to_owned() }) };
        self.download(&uri, &digest).await.map(Some)
    }

    /// What lies in the models folder, or where a path leads.
    async fn local(&self, uri: &Uri) -> Result<Option<Resource>, ResolveError> {
        let mut local = vec![self.models.join(uri.file_name())];
        if let Uri::File(path) = uri {
            // A bare name means a model of that name, and never whatever lies where the program was started.
            if path.components().count() > 1 {
                let below = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
                if below {
                    local.insert(0, self.models.join(path));
                }
                local.push(path.clone());
            }
        }
        match local.iter().find(|path| path.is_file()) {
            Some(path) => load(path).await.map(Some),
            None => Ok(None),
        }
    }

    /// What lies at an address, from the cache if it was fetched before.
    async fn download(&self, uri: &Uri, digest: &str) -> Result<Resource, ResolveError> {
        let cached = self.cache.join(digest);
        if !cached.is_file() {
            self.copy(uri, &cached).await?;
        }
        let mut resource = load(&cached).await?;
        resource.found = uri.to_string();
        if resource.sha256 != digest {
            // A later run fetches it again rather than failing on the same bad bytes.
            let _ = std::fs::remove_file(&cached);
            check_digest(&resource.found, digest, &resource.sha256)?;
        }
        Ok(resource)
    }

    async fn copy(&self, uri: &Uri, to: &Path) -> Result<(), ResolveError> {
        use futures::StreamExt;
        let (store, key) = self.stores.open(uri)?;
        let size = store.stat(&key).await?.size;
        tracing::info!(from = %uri, "fetching");
        let cache = |source| ResolveError::Cache {
            uri: uri.to_string(),
            cache: self.cache.display().to_string(),
            source,
        };
        std::fs::create_dir_all(&self.cache).map_err(cache)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.cache).map_err(cache)?;
        let mut pieces = store.read(&key, 0..size).await?;
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece?).map_err(cache)?;
        }
        file.persist(to).map_err(|e| cache(e.error))?;
        Ok(())
    }
}

/// The address and the digest that a name says.
fn parse(candidate: &str) -> Result<(Uri, Option<String>), ResolveError> {
    let bad = |why: String| ResolveError::BadName { name: candidate.to_owned(), why };
    let (location, digest) = match candidate.split_once("#sha256=") {
        Some((location, digest)) => (location, Some(digest.to_ascii_lowercase())),
        None => (candidate, None),
    };
    if let Some(digest) = &digest
        && (digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(bad("a sha256 has 64 hexadecimal digits".to_owned()));
    }
    let uri = location.parse().map_err(|e: gristmill_storage::UriError| bad(e.to_string()))?;
    Ok((uri, digest))
}

fn check_digest(found: &str, expected: &str, actual: &str) -> Result<(), ResolveError> {
    if expected == actual {
        return Ok(());
    }
    Err(ResolveError::WrongDigest {
        found: found.to_owned(),
        expected: expected.to_owned(),
        actual: actual.to_owned(),
    })
}

type Content = dyn AsRef<[u8]> + Send + Sync;

/// Contents by digest, as long as anybody in the process uses them: two jobs with one model map it once.
static CONTENTS: Mutex<BTreeMap<String, Weak<Content>>> = Mutex::new(BTreeMap::new());

async fn load(path: &Path) -> Result<Resource, ResolveError> {
    let (path, shown) = (path.to_owned(), path.display().to_string());
    let io = |source| ResolveError::Io { path: shown.clone(), source };
    let loaded = tokio::task::spawn_blocking(move || read_or_map(&path)).await;
    let (bytes, sha256) = loaded.map_err(|e| io(std::io::Error::other(e)))?.map_err(io)?;
    let mut contents = CONTENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let present = contents.get(&sha256).and_then(Weak::upgrade);
    let bytes = present.unwrap_or_else(|| {
        contents.retain(|_, blob| blob.strong_count() > 0);
        contents.insert(sha256.clone(), Arc::downgrade(&bytes));
        bytes
    });
    Ok(Resource { bytes, found: shown, sha256 })
}

fn read_or_map(path: &Path) -> std::io::Result<(Blob, String)> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < MAP_FROM {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let digest = hex::encode(Sha256::digest(&bytes));
        return Ok((Arc::new(bytes), digest));
    }
    // Read and not mapped for the digest, so that only those pages of the map take memory that are needed.
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(piece.get(..length).unwrap_or_default());
    }
    // SAFETY: a map is sound while nobody changes the file under it. Models are written once, under a name that
    // appears when they are whole; whoever overwrites one in place under a running job breaks this promise as
    // they would break a memory-mapped shared library.
    #[allow(unsafe_code, reason = "models of gigabytes are mapped, not read")]
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok((Arc::new(map), hex::encode(hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_storage::Settings;

    fn resolver(models: &Path) -> Resolver {
        Resolver::new(Stores::new(Settings::default()), models.to_owned(), models.join("cache"))
    }

    async fn find(models: &Path, names: &[&str]) -> String {
        let candidates = names.iter().map(|n| (*n).to_owned()).collect();
        let wanted = Wanted { name: "x".to_owned(), candidates };
        match resolver(models).resolve(&[wanted]).await {
            Ok((planned, _)) => planned.values().map(|p| p.candidate.clone()).collect(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn the_models_folder_comes_first_and_digests_are_checked() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("list.txt"), "abc").expect("write");
        let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(find(folder.path(), &["none.bin", "list.txt"]).await, "list.txt");
        let address = format!("https://models.example/a/list.txt#sha256={sha}");
        assert_eq!(find(folder.path(), &[&address]).await, address);
        let wrong = format!("list.txt#sha256={}", sha.replace('b', "c"));
        assert!(find(folder.path(), &[&wrong]).await.contains("replace the file or correct the recipe"));
        assert!(find(folder.path(), &["list.txt#sha256=12"]).await.contains("64 hexadecimal digits"));
        assert!(find(folder.path(), &["none.bin"]).await.contains("looked for none.bin in"));
        assert!(find(folder.path(), &["https://models.example/none.bin"]).await.contains("#sha256="));
    }

    /// A worker without models, and one with another model of that name.
    #[tokio::test]
    async fn what_a_coordinator_found_comes_from_the_workspace() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).expect("folder");
            path
        };
        std::fs::write(at("coordinator").join("list.txt"), "abc").expect("write");
        std::fs::write(at("other").join("list.txt"), "another").expect("write");
        let (planned, resources) =
            resolver(&at("coordinator")).resolve(&[Wanted::named("list.txt")]).await.expect("found");
        let uri: Uri = folder.path().join("ws").to_str().expect("UTF-8").parse().expect("a URI");
        let workspace = crate::Workspace::open(&Stores::new(Settings::default()), &uri).expect("opens");
        let fetch = async |worker: &str| {
            let fetched = resolver(&at(worker)).fetch(&planned, &uri).await;
            fetched.map(|found| (*found.get("list.txt").expect("found").bytes).as_ref().to_vec())
        };
        let error = fetch("bare").await.expect_err("nobody has kept it").to_string();
        assert!(error.contains("looked for list.txt in"), "{error}");
        let error = fetch("other").await.expect_err("another file").to_string();
        assert!(error.contains("replace the file"), "{error}");

        for _ in 0..2 {
            workspace.keep(resources.get("list.txt").expect("found")).await.expect("keeps");
        }
        for worker in ["coordinator", "bare", "other"] {
            assert_eq!(fetch(worker).await.expect(worker), b"abc");
        }
    }

    #[tokio::test]
    async fn contents_are_held_once() {
        let folder = tempfile::tempdir().expect("folder");
        for (name, content) in [("a.bin", 1_u8), ("b.bin", 1), ("c.bin", 2)] {
            std::fs::write(folder.path().join(name), vec![content; MAP_FROM as usize]).expect("write");
        }
        let bytes = async |name: &str| {
            let wanted = [Wanted::named(name)];
            let (_, resources) = resolver(folder.path()).resolve(&wanted).await.expect("found");
            Arc::clone(&resources.get(name).expect("found").bytes)
        };
        let (a, b, c) = (bytes("a.bin").await, bytes("b.bin").await, bytes("c.bin").await);
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c));
        assert_eq!((*c).as_ref().first(), Some(&2));
    }
}
