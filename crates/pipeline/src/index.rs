//! What a recipe says of an index: the documents of earlier jobs that a dedup's documents may meet, too.

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// `index: URI`, or `index: {at: URI, generation: 3, extend: true}`.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "IndexForm")]
pub struct IndexUse {
    /// A folder or an `s3://` prefix.
    pub at: String,
    /// The state of the index that is read. None: the latest there is when the job is handed in.
    pub generation: Option<u64>,
    /// Whether the job's documents become the index's next generation.
    pub extend: bool,
}

/// How it is written.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it only says how an index is written")]
enum IndexForm {
    At(String),
    Map(IndexMap),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IndexMap {
    /// A folder or an `s3://` prefix.
    at: String,
    /// The state of the index that is read: 0 is the one before the first. Without, the latest when the job is handed in.
    #[serde(default)]
    generation: Option<u64>,
    /// Whether the job's documents become the index's next generation.
    #[serde(default)]
    extend: bool,
}

impl<'de> Deserialize<'de> for IndexUse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = IndexUse;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address, or {at: an address, extend: true}")
            }

            fn visit_str<E>(self, at: &str) -> Result<IndexUse, E> {
                Ok(IndexUse { at: at.to_owned(), generation: None, extend: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<IndexUse, A::Error> {
                let map = IndexMap::deserialize(MapAccessDeserializer::new(map))?;
                Ok(IndexUse { at: map.at, generation: map.generation, extend: map.extend })
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl IndexUse {
    /// As it stands in a recipe, with the generation.
    #[must_use]
    pub fn pinned(&self, generation: u64) -> Value {
        json!({"at": self.at, "generation": generation, "extend": self.extend})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_an_address_or_more() {
        let read = |value: Value| serde_json::from_value::<IndexUse>(value).map_err(|e| e.to_string());
        let at = |generation, extend| IndexUse { at: "s3://bucket/i".to_owned(), generation, extend };
        assert_eq!(read(json!("s3://bucket/i")), Ok(at(None, false)));
        assert_eq!(read(json!({"at": "s3://bucket/i", "extend": true})), Ok(at(None, true)));
        assert_eq!(read(at(None, true).pinned(3)), Ok(at(Some(3), true)));
        for (value, part) in [
            (json!({"extend": true}), "missing field `at`"),
            (json!({"at": "x", "extends": true}), "unknown field `extends`"),
            (json!({"at": "x", "generation": -1}), "invalid value"),
            (json!(["x"]), "an address, or {at"),
        ] {
            let error = read(value).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
    }
}
