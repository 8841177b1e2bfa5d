use bytes::Bytes;

use super::*;
use crate::stores::Settings;

async fn stores(keys: &[(&str, &str)]) -> Stores {
    let stores = Stores::new(Settings::default());
    for (key, data) in keys {
        let (store, key) = stores.open(&format!("memory://t/{key}").parse().unwrap()).unwrap();
        store.put(&key, Bytes::from((*data).to_owned())).await.unwrap();
    }
    stores
}

async fn list(stores: &Stores, texts: &[&str], format: Option<Format>) -> Result<Vec<Input>, InputError> {
    let patterns: Vec<Pattern> =
        texts.iter().map(|&text| Pattern { text: text.to_owned(), format }).collect();
    Lister::new(stores).list(&patterns).await?.iter()?.collect()
}

async fn names(stores: &Stores, patterns: &[&str]) -> Result<Vec<String>, String> {
    let listing = list(stores, patterns, None).await.map_err(|error| error.to_string())?;
    Ok(listing.into_iter().map(|input| input.name).collect())
}

#[tokio::test]
async fn patterns() {
    let stores = stores(&[
        ("a/1.warc.gz", "x"),
        ("a/2.warc.gz", "x"),
        ("a/sub/3.jsonl.zst", "x"),
        ("a/_tmp/4.jsonl", "x"),
        ("a/.hidden.jsonl", "x"),
        ("b/1.warc.gz", "x"),
        ("c/readme.md", "x"),
        ("lists/warc.paths", "crawl-data/x/1.warc.gz\n\n# note\ncrawl-data/x/2.warc.gz\n"),
        ("lists/own.txt", "../nothing.warc.gz\n"),
        ("lists/beside.txt", "one.html\nmemory://t/a/1.warc.gz\n"),
        ("lists/one.html", "x"),
        ("lists/empty.txt", "\n"),
        ("crawl-data/x/1.warc.gz", "x"),
        ("crawl-data/x/2.warc.gz", "x"),
    ])
    .await;
    for (patterns, expected) in [
        (&["memory://t/a/1.warc.gz"][..], Ok(&["1.warc.gz"][..])),
        (&["memory://t/a"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
        (&["memory://t/a/"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
        (&["memory://t/a/*.gz"], Ok(&["1.warc.gz", "2.warc.gz"])),
        (&["memory://t/a/**/*.{zst,gz}"], Ok(&["1.warc.gz", "2.warc.gz", "sub/3.jsonl.zst"])),
        (&["memory://t/*/1.warc.gz"], Ok(&["a/1.warc.gz", "b/1.warc.gz"])),
        (&["memory://t/a/1.warc.gz", "memory://t/b/1.warc.gz"], Ok(&["t/a/1.warc.gz", "t/b/1.warc.gz"])),
        (&["memory://t/a/?.warc.gz", "memory://t/a/1.warc.gz"], Ok(&["1.warc.gz", "2.warc.gz"])),
        (&["memory://t/lists/warc.paths"], Ok(&["crawl-data/x/1.warc.gz", "crawl-data/x/2.warc.gz"])),
        (&["memory://t/lists/beside.txt"], Ok(&["one.html", "t/a/1.warc.gz"])),
        (&["memory://t/none"], Err("nothing there matches")),
        (&["memory://t/a/*.parquet"], Err("nothing there matches")),
        (&["memory://t/c"], Err("tells no format")),
        (&["memory://t/lists/own.txt"], Err("line 1: ../nothing.warc.gz: a name may not")),
        (&["memory://t/lists/empty.txt"], Err("names no files")),
        (&["memory://t/a/{1"], Err("unclosed alternate")),
        (&["https://example.com/x/"], Err("cannot be listed")),
        (&["gs://x/y"], Err("unknown scheme")),
    ] {
        let got = names(&stores, patterns).await;
        match expected {
            Ok(expected) => {
                assert_eq!(got, Ok(expected.iter().map(|&s| s.to_owned()).collect()), "{patterns:?}");
            }
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{patterns:?}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn local_files_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("in/_x")).unwrap();
    for name in ["in/a.jsonl", "in/b.data", "in/_x/c.jsonl"] {
        std::fs::write(folder.path().join(name), "{}").unwrap();
    }
    let stores = Stores::new(Settings::default());
    let pattern = folder.path().join("in").display().to_string();
    assert!(list(&stores, &[&pattern], None).await.unwrap_err().to_string().contains("b.data"));
    let inputs = list(&stores, &[&pattern], Some(Format::Jsonl)).await.unwrap();
    assert_eq!(inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["a.jsonl", "b.data"]);
    assert_eq!(inputs[0].size, 2);
    let missing = folder.path().join("in/none.jsonl").display().to_string();
    assert!(list(&stores, &[&missing], None).await.unwrap_err().to_string().contains("none.jsonl"));
}
