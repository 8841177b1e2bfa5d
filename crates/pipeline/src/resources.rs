//! Models and lists that steps need, as bytes.
//!
//! A recipe names its resources; somebody outside fetches and checks them; a step asks for them by the name that
//! stands in the recipe. What is built from a resource (a set of domains) is built once for a job and shared by all its lanes; a model,
//! which nothing but its file decides, once for a process.

use crate::BuildError;
use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Bytes that may be a memory map.
pub type Blob = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a step asks for: the name in the recipe, and the names that will do, best first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    pub name: String,
    pub candidates: Vec<String>,
}

impl Wanted {
    /// A resource known by one name only.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), candidates: vec![name.to_owned()] }
    }
}

/// One resource, fetched and checked.
#[derive(Clone)]
pub struct Resource {
    pub bytes: Blob,
    /// Where it was found, for messages.
    pub found: String,
    /// Hex digest: part of the plan, since the same recipe with another model gives other bytes. Models are known by it.
    pub sha256: String,
}

/// Models by type and digest, as long as anybody in the process uses them.
static MODELS: Mutex<BTreeMap<(TypeId, String), Weak<dyn Any + Send + Sync>>> = Mutex::new(BTreeMap::new());

/// The resources of a recipe.
#[derive(Default)]
pub struct Resources {
    found: BTreeMap<String, Resource>,
    built: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

impl Resources {
    #[must_use]
    pub fn new(found: BTreeMap<String, Resource>) -> Self {
        Self { found, built: Mutex::default() }
    }

    pub fn get(&self, name: &str) -> Result<&Resource, BuildError> {
        self.found.get(name).ok_or_else(|| {
            BuildError::new(format!(
                "resource {name:?} is not there; put it into the models folder or give its address"
            ))
        })
    }

    /// A resource as UTF-8 text.
    pub fn text(&self, name: &str) -> Result<&str, BuildError> {
        let resource = self.get(name)?;
        std::str::from_utf8((*resource.bytes).as_ref())
            .map_err(|error| BuildError::new(format!("{} is not UTF-8: {error}", resource.found)))
    }

    /// What `make` builds, built once for each `key` and then shared. The key names all that the result depends
    /// on: the step, the resource, the parameters.
    pub fn shared<T: Send + Sync + 'static>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<T, BuildError>,
    ) -> Result<Arc<T>, BuildError> {
        let key = format!("{key} {}", std::any::type_name::<T>());
        // A panic while building poisons nothing: what is in the map is complete.
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = built.get(&key)
            && let Ok(present) = Arc::clone(present).downcast::<T>()
        {
            return Ok(present);
        }
        let made = Arc::new(make()?);
        built.insert(key, Arc::<T>::clone(&made));
        Ok(made)
    }

    /// What `make` builds of one resource and nothing else: one copy in the process, whatever jobs, steps and lanes use it, and by
    /// whatever names. It stays while these resources do.
    pub fn model<T: Send + Sync + 'static>(
        &self,
        name: &str,
        make: impl FnOnce(&Resource) -> Result<T, BuildError>,
    ) -> Result<Arc<T>, BuildError> {
        let resource = self.get(name)?;
        let model: Arc<Arc<T>> = self.shared(&format!("model {}", resource.sha256), || {
            let key = (TypeId::of::<T>(), resource.sha256.clone());
            let mut models = MODELS.lock().unwrap_or_else(PoisonError::into_inner);
            let alive = models.get(&key).and_then(Weak::upgrade).and_then(|model| model.downcast::<T>().ok());
            if let Some(model) = alive {
                return Ok(model);
            }
            let model = Arc::new(make(resource)?);
            models.retain(|_, model| model.strong_count() > 0);
            models.insert(key, Arc::downgrade(&model) as Weak<dyn Any + Send + Sync>);
            Ok(model)
        })?;
        Ok(Arc::clone(&model))
    }

    /// Name → digest, for the plan.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.found.iter().map(|(name, r)| (name.clone(), r.sha256.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(names: &[&str], digest: &str) -> Resources {
        let resource = Resource { bytes: Arc::new(vec![1]), found: String::new(), sha256: digest.to_owned() };
        Resources::new(names.iter().map(|name| ((*name).to_owned(), resource.clone())).collect())
    }

    /// A type of its own: models are told apart by type and digest, in the whole process.
    struct Made(usize);

    #[test]
    fn a_model_is_built_once_in_a_process() {
        let made = std::sync::atomic::AtomicUsize::new(0);
        let make = |_: &Resource| Ok(Made(made.fetch_add(1, std::sync::atomic::Ordering::SeqCst)));
        let first = resources(&["a", "b"], "digest");
        // Two jobs, two names, and lanes that ask at the same time.
        let second = resources(&["c"], "digest");
        std::thread::scope(|scope| {
            for name in ["a", "b", "a", "b"] {
                scope.spawn(|| assert_eq!(first.model(name, make).map(|made| made.0), Ok(0)));
                scope.spawn(|| assert_eq!(second.model("c", make).map(|made| made.0), Ok(0)));
            }
        });
        // Another file is another model, and one that nobody uses is forgotten.
        assert_eq!(resources(&["a"], "other").model("a", make).map(|made| made.0), Ok(1));
        drop(first);
        assert_eq!(resources(&["a"], "digest").model("a", make).map(|made| made.0), Ok(0));
        drop(second);
        assert_eq!(resources(&["a"], "digest").model("a", make).map(|made| made.0), Ok(2));
    }
}
