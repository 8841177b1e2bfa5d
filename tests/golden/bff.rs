//! DCLM's `dedup/bff` on 2,772 documents in one file: what is left of each, in three modes.

use gristmill_dedup::bff::{Deduper, Grams, Mode, Params};
use gristmill_dedup::bloom::{Filter, Size};
use gristmill_tests::{jsonl, shared};
use serde_json::Value;
use sha1::{Digest, Sha1};

#[test]
fn bloom_dedup_leaves_what_dclm_leaves() {
    let (Some(expected), Some(pages), Some(terms)) = (
        shared("golden/bff.jsonl.zst"),
        shared("golden/docs.jsonl.zst"),
        shared("data/dedup/docs.jsonl.zst"),
    ) else {
        return;
    };
    let documents = [jsonl(&terms), jsonl(&pages)].concat();
    let expected = jsonl(&expected);
    assert_eq!(documents.len(), expected.len());
    for (name, mode, left) in [
        ("old-both", Mode::OldBoth, 1280),
        ("paragraph", Mode::Paragraph, 2262),
        ("document", Mode::Document, 1445),
    ] {
        let params = Params { mode, ..Params::default() };
        let mut grams = Grams::new(params, 1).expect("possible");
        let mut deduper = Deduper::new(params, true).expect("possible");
        let text = |document: &Value| document["text"].as_str().expect("a text").to_owned();
        let ngrams = documents.iter().map(|document| grams.encode(0, &text(document), &mut Vec::new())).sum();
        let mut filter = Filter::new(Size::for_items(ngrams, 1e-12).expect("possible"), 1);
        let mut kept = 0;
        for (document, expected) in documents.iter().zip(&expected) {
            assert_eq!(document["id"], expected["id"]);
            let text = text(document);
            let found = deduper.document(&text, &mut grams, &mut filter);
            let got = found
                .left(&text, mode)
                .map(|left| (hex::encode(Sha1::digest(left.as_bytes())), left.chars().count()));
            let want = &expected[name];
            let id = &document["id"];
            match got {
                None => assert!(want.is_null(), "{name}: {id} went, and stays in DCLM"),
                Some((sha1, chars)) => {
                    kept += 1;
                    assert_eq!(want["text_sha1"].as_str(), Some(&sha1[..]), "{name}: {id}");
                    assert_eq!(want["chars"].as_u64(), Some(chars as u64), "{name}: {id}");
                    if let Some(contained) = want["contained"].as_u64() {
                        assert_eq!(found.contained, contained, "{name}: {id}");
                    }
                }
            }
        }
        assert_eq!(kept, left, "{name}");
    }
}
