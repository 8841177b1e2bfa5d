//! Cases where Resiliparse, HTML or both surprise: small pages, and what the installed packages of both versions answered.
//! `surprises.jsonl` has a case a line; a null answer means that the options must be refused.

use gristmill_extract::{Extractor, Options, Version};
use serde_json::Value;

fn options(case: &Value, version: Version) -> Options {
    let given = &case["options"];
    let flag = |name: &str, default: bool| given.get(name).map_or(default, |value| value == true);
    let skip = given["skip_elements"].as_array().cloned().unwrap_or_default();
    let d = Options::default();
    Options {
        version,
        main_content: flag("main_content", d.main_content),
        preserve_formatting: flag("preserve_formatting", d.preserve_formatting),
        list_bullets: flag("list_bullets", d.list_bullets),
        alt_texts: flag("alt_texts", d.alt_texts),
        links: flag("links", d.links),
        form_fields: flag("form_fields", d.form_fields),
        noscript: flag("noscript", d.noscript),
        comments: flag("comments", d.comments),
        post_meta: flag("post_meta", d.post_meta),
        hidden_elements: flag("hidden_elements", d.hidden_elements),
        skip_elements: skip.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        max_nodes: d.max_nodes,
    }
}

#[test]
fn surprises() {
    for line in include_str!("surprises.jsonl").lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let html = case["html"].as_str().expect("html is text");
        for (version, key) in [(Version::V0_14_7, "v0_14_7"), (Version::V2_0_1, "v2_0_1")] {
            let extractor = Extractor::new(options(&case, version));
            match case[key].as_str() {
                None => assert!(extractor.is_err(), "{line}"),
                Some(expected) => {
                    let text = extractor.expect("options are right").extract(html);
                    assert_eq!(text.as_deref(), Ok(expected), "{version:?}: {line}");
                }
            }
        }
    }
}

/// Texts are the 0.14.7 package's, but for `|=`, at which that gives up.
#[test]
fn selectors() {
    let page = "<!doctype html><body><div id=Main class='a b'><p lang=en-GB>1<span data-x=yZ>2</span></p><i>3</i></div>\
                <p><b>4</b></p>";
    for (selector, expected) in [
        ("span", "1\n\n3\n\n4"),
        ("*", ""),
        ("div > p", "3\n\n4"),
        ("div i, b", "12"),
        (".b", "4"),
        (".a.b span", "1\n\n3\n\n4"),
        ("#Main > i", "12\n\n4"),
        ("[data-x]", "1\n\n3\n\n4"),
        ("span[data-x=yZ]", "1\n\n3\n\n4"),
        ("span[data-x=yz]", "12\n\n3\n\n4"),
        ("span[data-x=yz i]", "1\n\n3\n\n4"),
        ("p[lang|='en']", "3\n\n4"),
        ("p[lang^=\"en\"] > span", "1\n\n3\n\n4"),
        ("[lang$=GB], [lang*=x]", "3\n\n4"),
        ("div[class~=b]", "4"),
        ("p b span", "12\n\n3\n\n4"),
    ] {
        let options =
            Options { main_content: false, skip_elements: vec![selector.to_owned()], ..Options::default() };
        let text = Extractor::new(options).expect("a selector").extract(page);
        assert_eq!(text.as_deref(), Ok(expected), "{selector}");
    }
    for wrong in ["", "p[", "p >", "a + b", "p:first-child", ",", ".", "[x=", "a,", "[x='y"] {
        let options = Options { skip_elements: vec![wrong.to_owned()], ..Options::default() };
        assert!(Extractor::new(options).is_err(), "{wrong}");
    }
}
