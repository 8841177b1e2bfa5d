//! The document that walks through a recipe.

use gristmill_filters::Text;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

/// One document: an identity, the bytes it was fetched as (until a step turns them into text), and its record.
///
/// The record is a list of named fields in the order of the input. A field that no step touches keeps its very
/// JSON text, so that it comes out as it went in. The field `text`, where it is a string, lies apart in
/// [`Document::text`], since nearly every step reads it.
#[derive(Debug, Default)]
pub struct Document {
    /// The record's `id` field if it has one, else its `WARC-Record-ID`, else source and offset. Stable: it comes
    /// from the document's origin, never from its position in a task.
    pub id: String,
    /// The input file that it was read from, by its name in the listing.
    pub file: Option<Arc<str>>,
    /// The fetched bytes, present from the reader to the step that extracts the text.
    pub body: Option<Body>,
    pub text: Option<Text>,
    pub fields: Fields,
}

/// A page as it was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The payload, its transfer and content encodings undone.
    pub bytes: Vec<u8>,
    /// The value of the HTTP `Content-Type` header, as sent.
    pub content_type: Option<String>,
}

/// The fields of a record, in order, each name once.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(String, Field)>);

/// The value of a field.
#[derive(Clone, Debug)]
pub enum Field {
    /// Where [`Document::text`] stands in the record.
    Text,
    /// JSON as it was read, and as it will be written: a step that reads a field does not touch it.
    Raw(Raw),
    /// JSON that a step wrote.
    Value(Value),
}

/// JSON text, parsed when somebody asks.
#[derive(Clone, Debug)]
pub struct Raw {
    json: Box<RawValue>,
    parsed: OnceCell<Option<Value>>,
}

impl Raw {
    /// The very text of the input.
    #[must_use]
    pub fn get(&self) -> &str {
        self.json.get()
    }

    /// The value; none for JSON that has no value here, such as half a surrogate pair.
    fn value(&self) -> Option<&Value> {
        self.parsed.get_or_init(|| serde_json::from_str(self.json.get()).ok()).as_ref()
    }
}

/// Why a line is not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("not JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("not a JSON object")]
    NotAnObject,
}

impl Document {
    /// A document from one JSON object. `origin` is called for the identity of a record that has none of its own.
    pub fn from_json(line: &str, origin: impl FnOnce() -> String) -> Result<Self, RecordError> {
        let mut doc: Document = serde_json::from_str(line).map_err(|error| {
            let object = line.trim_start().starts_with('{');
            if error.is_data() && !object { RecordError::NotAnObject } else { RecordError::Json(error) }
        })?;
        doc.id = doc.own_id().unwrap_or_else(origin);
        Ok(doc)
    }

    /// A document of a web archive, in DCLM's record: `text` (once it is there), `url`, `metadata` (the headers of
    /// the archive's record), `warcinfo`.
    #[must_use]
    pub fn from_archive(
        headers: &[(String, String)],
        warcinfo: Option<&str>,
        origin: impl FnOnce() -> String,
    ) -> Self {
        let mut doc = Document::default();
        let mut metadata = serde_json::Map::new();
        for (name, value) in headers {
            match metadata.get_mut(name) {
                // A header may come more than once; all of them are kept.
                Some(Value::String(present)) => {
                    present.push_str(", ");
                    present.push_str(value);
                }
                _ => {
                    metadata.insert(name.clone(), Value::String(value.clone()));
                }
            }
        }
        doc.fields.place_text();
        if let Some(Value::String(uri)) = metadata.get("WARC-Target-URI") {
            doc.fields.set("url", uri.clone());
        }
        doc.fields.set("metadata", metadata);
        if let Some(warcinfo) = warcinfo {
            doc.fields.set("warcinfo", warcinfo);
        }
        doc.id = doc.own_id().unwrap_or_else(origin);
        doc
    }

    /// The identity that the record carries: its `id`, else its `WARC-Record-ID`.
    #[must_use]
    pub fn own_id(&self) -> Option<String> {
        match (self.fields.value("id"), self.fields.get("id")) {
            (Some(Value::String(id)), _) => return Some(id.clone()),
            (Some(Value::Null) | None, _) => {}
            // A number as it was written: as a double, two long ones may be the same.
            (Some(_), Some(Field::Raw(raw))) => return Some(raw.get().to_owned()),
            (Some(other), _) => return Some(other.to_string()),
        }
        let metadata = self.fields.value("metadata")?;
        metadata.get("WARC-Record-ID")?.as_str().map(str::to_owned)
    }

    /// Sets the text, adding the field `text` to a record that has none.
    pub fn set_text(&mut self, text: String) {
        match &mut self.text {
            Some(present) => present.set(text),
            None => {
                self.text = Some(Text::new(text));
                self.fields.place_text();
            }
        }
    }

    /// The record as one line of JSON, without the line end.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        // A Vec takes every byte, and every key is a string: this cannot fail.
        let _ = serde_json::to_writer(out, self);
    }
}

impl Fields {
    /// The value of a field, parsed. Null and absent differ.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        match self.get(name)? {
            Field::Raw(raw) => raw.value(),
            Field::Value(value) => Some(value),
            Field::Text => None,
        }
    }

    /// The value of a string field.
    #[must_use]
    pub fn str(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.get(name)? {
            Field::Raw(raw) => serde_json::from_str::<Cow<'_, str>>(raw.get()).ok(),
            Field::Value(Value::String(s)) => Some(Cow::Borrowed(s)),
            Field::Value(_) | Field::Text => None,
        }
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, field)| field)
    }

    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets a field, in its place if it is there, else at the end. `text` is not set here: see
    /// [`Document::set_text`].
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.put(name.to_owned(), Field::Value(value.into()));
    }

    /// Takes a field out of the record.
    pub fn remove(&mut self, name: &str) -> Option<Field> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// Gives a field another name, in its place. False if there is no such field.
    pub fn rename(&mut self, old: &str, new: &str) -> bool {
        if old == new {
            return self.contains(old);
        }
        if !self.contains(old) {
            return false;
        }
        self.remove(new);
        if let Some((name, _)) = self.0.iter_mut().find(|(n, _)| n == old) {
            new.clone_into(name);
        }
        true
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.0.iter().map(|(name, field)| (name.as_str(), field))
    }

    fn put(&mut self, name: String, field: Field) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, present)) => *present = field,
            None => self.0.push((name, field)),
        }
    }

    fn place_text(&mut self) {
        self.put("text".to_owned(), Field::Text);
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, field) in self.fields.iter() {
            match field {
                Field::Text => {
                    if let Some(text) = &self.text {
                        map.serialize_entry(name, text.as_str())?;
                    }
                }
                Field::Raw(raw) => map.serialize_entry(name, &raw.json)?,
                Field::Value(value) => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Document;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut doc = Document::default();
                while let Some(name) = map.next_key::<String>()? {
                    let json: Box<RawValue> = map.next_value()?;
                    if name == "text" && json.get().starts_with('"') {
                        let text = serde_json::from_str(json.get()).map_err(serde::de::Error::custom)?;
                        doc.set_text(text);
                    } else {
                        if name == "text" {
                            doc.text = None;
                        }
                        doc.fields.put(name, Field::Raw(Raw { json, parsed: OnceCell::new() }));
                    }
                }
                Ok(doc)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(line: &str) -> String {
        let doc = Document::from_json(line, || "origin".to_owned()).expect(line);
        let mut out = Vec::new();
        doc.write_json(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn untouched_fields_come_out_as_they_went_in() {
        for line in [
            r#"{"text":"a","n":1.0,"big":123456789012345678901234567890,"e":1e400}"#,
            r#"{"z":{"b":1,"a":[null,true, "x"]},"text":"ü\n","a":null}"#,
            r#"{"text":["not","a","string"],"id":7}"#,
            r#"{"id":1.50,"metadata":{"n":1.50, "half":"\ud800"},"text":""}"#,
            r"{}",
        ] {
            assert_eq!(round_trip(line), line);
        }
    }

    #[test]
    fn the_last_of_equal_names_wins() {
        assert_eq!(round_trip(r#"{"a":1,"text":"x","a":2,"text":"y"}"#), r#"{"a":2,"text":"y"}"#);
        assert_eq!(round_trip(r#"{"text":"x","text":null}"#), r#"{"text":null}"#);
    }

    #[test]
    fn identity_comes_from_the_record() {
        let id = |line: &str| Document::from_json(line, || "origin".to_owned()).expect(line).id;
        assert_eq!(id(r#"{"id":"a","metadata":{"WARC-Record-ID":"<b>"}}"#), "a");
        assert_eq!(id(r#"{"id":7}"#), "7");
        assert_eq!(id(r#"{"id":12345678901234567890123}"#), "12345678901234567890123");
        assert_eq!(id(r#"{"id":"\ud800"}"#), "origin");
        assert_eq!(id(r#"{"id":null,"metadata":{"WARC-Record-ID":"<b>"}}"#), "<b>");
        assert_eq!(id(r#"{"metadata":"x"}"#), "origin");
    }

    #[test]
    fn what_is_not_a_record_says_so() {
        let error = |line: &str| Document::from_json(line, String::new).expect_err(line).to_string();
        assert_eq!(error("[1]"), "not a JSON object");
        assert!(error("{\"a\":").starts_with("not JSON: EOF"));
        assert!(error("{\"a\":1}x").starts_with("not JSON: trailing characters"));
        assert!(error(r#"{"text":"\ud800"}"#).starts_with("not JSON"));
    }
}
