//! From records to documents.

use gristmill_pipeline::{Body, Document};
use gristmill_storage::{Item, WarcRecord};

/// What a record turned out to be.
pub enum Reading {
    /// Boxed: a document is large beside the others.
    Document(Box<Document>),
    /// A record that is no document, by kind.
    Skipped(String),
    /// Counted among the documents: where one should have been there is none.
    Broken { reason: String, detail: String },
}

/// Reads a record of the input file called `name`.
#[must_use]
pub fn read(item: Item, name: &str) -> Reading {
    let at = item.at();
    let origin = || format!("{name}#{at}");
    match item {
        Item::Json { line, .. } => match Document::from_json(&line, origin) {
            Ok(doc) => Reading::Document(Box::new(doc)),
            Err(error) => Reading::Broken { reason: "bad_json".to_owned(), detail: error.to_string() },
        },
        Item::Warc(record) => archived(*record, origin),
        Item::Html { name: page, body, .. } => {
            let stem = page.trim_end_matches(".gz").trim_end_matches(".htm").trim_end_matches(".html");
            let headers = [("WARC-Record-ID".to_owned(), stem.to_owned())];
            let mut doc = Document::from_archive(&headers, None, origin);
            doc.fields.remove("metadata");
            stem.clone_into(&mut doc.id);
            doc.fields.set("id", stem);
            // The name says it.
            doc.body = Some(Body { bytes: body, content_type: Some("text/html".to_owned()) });
            Reading::Document(Box::new(doc))
        }
        Item::Skipped { kind, .. } => Reading::Skipped(kind),
        Item::Broken { reason, detail, .. } => Reading::Broken { reason: reason.to_owned(), detail },
    }
}

fn archived(record: WarcRecord, origin: impl FnOnce() -> String) -> Reading {
    let mut doc = Document::from_archive(&record.headers, record.warcinfo.as_deref(), origin);
    if record.record_type == "conversion" {
        return match String::from_utf8(record.body) {
            Ok(text) => {
                doc.set_text(text);
                Reading::Document(Box::new(doc))
            }
            Err(error) => Reading::Broken { reason: "bad_utf8".to_owned(), detail: error.to_string() },
        };
    }
    let content_type = match &record.http {
        Some(http) => http.header("Content-Type"),
        None => record.header("Content-Type"),
    };
    let content_type = content_type.map(str::to_owned);
    doc.body = Some(Body { bytes: record.body, content_type });
    Reading::Document(Box::new(doc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_storage::At;

    #[test]
    fn identity_is_the_records_own_or_its_origin() {
        let at = At { offset: 7, index: 0 };
        let id = |line: &str| match read(Item::Json { at, line: line.to_owned() }, "a/b.jsonl") {
            Reading::Document(doc) => doc.id,
            Reading::Skipped(kind) => kind,
            Reading::Broken { reason, detail } => format!("{reason}: {detail}"),
        };
        assert_eq!(id(r#"{"id":"x"}"#), "x");
        assert_eq!(id(r#"{"text":"x"}"#), "a/b.jsonl#7");
        assert!(id("{").starts_with("bad_json: "));
    }

    #[test]
    fn a_page_file_is_named_by_its_stem() {
        let item = Item::Html { at: At::default(), name: "a/b.html.gz".to_owned(), body: b"<p>".to_vec() };
        let Reading::Document(doc) = read(item, "x") else { panic!("no document") };
        assert_eq!(doc.id, "a/b");
        assert_eq!(serde_json::to_string(&doc).expect("JSON"), r#"{"id":"a/b"}"#);
    }
}
