//! Models and lists that steps need, as bytes.
//!
//! A recipe names its resources; somebody outside fetches and checks them; a step asks for them by the name that
//! stands in the recipe. What is built from a resource (a model, a set of domains) is built once per process and
//! shared by all lanes.

use crate::BuildError;
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

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
    /// Hex digest: part of the plan, since the same recipe with another model gives other bytes.
    pub sha256: String,
}

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
        let mut built = self.built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(present) = built.get(&key)
            && let Ok(present) = Arc::clone(present).downcast::<T>()
        {
            return Ok(present);
        }
        let made = Arc::new(make()?);
        built.insert(key, Arc::<T>::clone(&made));
        Ok(made)
    }

    /// Name → digest, for the plan.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.found.iter().map(|(name, r)| (name.clone(), r.sha256.clone())).collect()
    }
}
