use super::*;
use proptest::prelude::*;

fn allow(prefixes: &[&str]) -> Allow {
    Allow::only(prefixes.iter().map(|prefix| prefix.parse().expect(prefix)).collect())
}

#[test]
fn locations_are_compared_as_what_they_mean() {
    let folder = tempfile::tempdir().expect("folder");
    let root = folder.path().canonicalize().expect("is there");
    for below in ["data/in", "other", "data2"] {
        std::fs::create_dir_all(root.join(below)).expect("folder");
    }
    for (link, to) in [("data/inside", "data/in"), ("data/out", "other"), ("elsewhere", "data")] {
        std::os::unix::fs::symlink(root.join(to), root.join(link)).expect("link");
    }
    std::os::unix::fs::symlink(root.join("not/there"), root.join("data/dangling")).expect("link");
    let at = |below: &str| format!("{}/{below}", root.display());
    let data = at("data");
    for (prefix, uri, expected) in [
        ("s3://bucket/a", "s3://bucket/a", true),
        ("s3://bucket/a", "s3://bucket/a/x.jsonl", true),
        ("s3://bucket/a/", "s3://bucket/a/*.jsonl", true),
        ("s3://bucket/a", "s3a://bucket/a/x", true),
        ("s3://bucket", "s3://bucket/any/thing", true),
        ("s3://bucket/a", "s3://bucket/ab", false),
        ("s3://bucket/a", "s3://bucket/a*", false),
        ("s3://bucket/a", "s3://bucket/a/../b", false),
        ("s3://bucket/a", "s3://bucket2/a", false),
        ("s3://bucket/a", "s3://bucket//a", false),
        ("s3://bucket/a", "https://bucket/a", false),
        ("https://example.com/crawl", "https://EXAMPLE.com:443/crawl/x", true),
        ("https://Example.com:443/crawl", "https://example.com/crawl/x?y=1", true),
        ("http://example.com", "http://example.com:80/x", true),
        ("https://example.com/crawl", "http://example.com/crawl/x", false),
        ("https://example.com/crawl", "https://example.com:8443/crawl/x", false),
        ("https://example.com/crawl", "https://example.com/crawls", false),
        ("https://example.com/crawl", "https://example.com.evil.org/crawl/x", false),
        ("https://example.com/crawl", "https://example.com/crawl/../secret", false),
        ("https://example.com/crawl", "https://example.com/crawl/%2e%2E/secret", false),
        ("https://example.com/crawl", "https://example.com/crawl/..%2fsecret", false),
        ("https://example.com/crawl", "https://example.com/crawl/.\t./secret", false),
        ("https://example.com/crawl", "https://example.com/crawl/..\\secret", false),
        ("https://example.com/crawl", "https://169.254.169.254/crawl/x", false),
        ("memory://m/a", "memory://m/a/b", true),
        ("memory://m/a", "memory://n/a/b", false),
        (&data, &at("data/in/x.jsonl"), true),
        (&data, &at("data/not/yet/there"), true),
        (&data, &format!("file://{}", at("data/in")), true),
        (&data, &at("data/../data/in"), true),
        (&data, &at("data/inside/x"), true),
        (&data, &at("elsewhere/in/x"), true),
        (&at("elsewhere"), &at("data/in"), true),
        (&data, &at("data2/x"), false),
        (&data, &at("data/../other"), false),
        (&data, &at("data/out/x"), false),
        (&data, &at("data/dangling"), false),
        (&data, &at("data/dangling/x"), false),
        (&data, "s3://bucket/data", false),
        (&data, "relative/x", false),
        (&data, "gs://bucket/x", false),
    ] {
        let got = allow(&[prefix]).check(Use::Input, uri);
        assert_eq!(got.is_ok(), expected, "{uri:?} below {prefix:?}: {got:?}");
        assert_eq!(Allow::everything().check(Use::Input, uri), Ok(()));
    }
    assert!(allow(&[]).check(Use::Input, "s3://bucket/x").is_err());
}

#[test]
fn relative_paths_are_below_where_the_process_runs() {
    let here = std::env::current_dir().expect("a folder");
    let here = here.to_str().expect("UTF-8");
    for (uri, expected) in
        [("src", true), ("./src/../src/lib.rs", true), ("../x", false), ("src/../../x", false)]
    {
        assert_eq!(allow(&[here]).check(Use::Output, uri).is_ok(), expected, "{uri}");
    }
}

#[test]
fn the_workspace_is_opened_only_by_name() {
    let ws: Uri = "s3://bucket/ws".parse().expect("URI");
    for (prefix, what, uri, expected) in [
        ("s3://bucket", Use::Input, "s3://bucket/x", Ok(())),
        ("s3://bucket", Use::Input, "s3://bucket/wsx", Ok(())),
        ("s3://bucket", Use::Listed, "s3://bucket/ws/tokens", Err("--allow with a prefix inside")),
        ("s3://bucket", Use::Output, "s3://bucket/ws/out", Err("--allow with a prefix inside")),
        ("s3://bucket/ws", Use::Input, "s3://bucket/ws/out/data", Ok(())),
        ("s3://bucket/ws/out", Use::Output, "s3://bucket/ws/out/1", Ok(())),
        ("s3://bucket/ws", Use::Output, "s3://bucket/ws/jobs/x", Err("its own objects")),
        ("s3://bucket/ws", Use::Output, "s3://bucket/ws/requests", Err("its own objects")),
        ("s3://bucket/ws", Use::Output, "s3://bucket/ws/jobs2", Ok(())),
    ] {
        let got = allow(&[prefix]).guarding(&ws).check(what, uri).map_err(|denied| denied.to_string());
        match expected {
            Ok(()) => assert_eq!(got, Ok(()), "{uri} below {prefix}"),
            Err(part) => assert!(got.as_ref().is_err_and(|e| e.contains(part)), "{uri}: {got:?}"),
        }
    }
}

#[test]
fn recipes_are_checked_whole() {
    for (yaml, expected) in [
        ("input: /data/x.jsonl", None),
        ("input: file:///etc/passwd", Some("input /etc/passwd is not allowed here")),
        ("input: [/data/a.jsonl, 's3://other/b.jsonl']", Some("input s3://other/b.jsonl")),
        ("input: [{path: /etc/passwd, format: jsonl}]", Some("input /etc/passwd")),
        ("output: {path: /etc/cron.d}", Some("output /etc/cron.d is not allowed here")),
        ("output: {path: /data/out}", None),
    ] {
        let text = format!("name: x\n{yaml}\nsteps: []\n");
        let recipe = Recipe::parse(&text, &[]).expect(yaml);
        let got = allow(&["/data"]).check_recipe(&recipe).map_err(|denied| denied.to_string());
        match expected {
            None => assert_eq!(got, Ok(()), "{yaml}"),
            Some(part) => {
                let denied = got.expect_err(yaml);
                assert!(denied.contains(part) && denied.contains("--allow PREFIX"), "{denied}");
            }
        }
    }
}

#[test]
fn indexes_are_where_recipes_may_write() {
    let workspace = "s3://bucket/ws".parse().expect("URI");
    for (index, expected) in [
        ("/data/index", None),
        ("{at: /data/../etc, extend: true}", Some("index /data/../etc is not allowed here")),
        ("s3://other/index", Some("index s3://other/index is not allowed here")),
        ("s3://bucket/ws/jobs/index", Some("its own objects")),
        ("s3://bucket/ws/indexes/a", None),
    ] {
        for step in ["minhash_dedup: {preset: fineweb, index: ", "exact_dedup: {index: "] {
            let recipe = Recipe::parse(&format!("name: x\nsteps: [{step}{index}}}]\n"), &[]).expect(index);
            let allow = allow(&["/data", "s3://bucket/ws"]).guarding(&workspace);
            let denied = allow.check_recipe(&recipe).err().map(|denied| denied.to_string());
            match (denied, expected) {
                (None, None) => {}
                (Some(denied), Some(part)) => assert!(denied.contains(part), "{denied}"),
                (denied, _) => panic!("{index}: {denied:?}"),
            }
        }
    }
}

#[test]
fn programs_are_run_where_the_operator_says_so() {
    let recipe = Recipe::parse("name: x\nsteps: [{external: {command: [rm]}}]\n", &[]).expect("a recipe");
    let denied = allow(&["/data"]).check_recipe(&recipe).expect_err("not allowed").to_string();
    assert!(denied.contains("program in step 1") && denied.contains("--allow-external"), "{denied}");
    assert_eq!(allow(&["/data"]).with_external(true).check_recipe(&recipe), Ok(()));
    assert_eq!(Allow::everything().check_recipe(&recipe), Ok(()));
}

#[test]
fn models_are_bare_names_or_allowed() {
    let digest = "0".repeat(64);
    for (name, expected) in [
        ("lid.176.bin".to_owned(), true),
        (format!("lid.176.bin#sha256={digest}"), true),
        ("/data/models/m.bin".to_owned(), true),
        ("/etc/passwd".to_owned(), false),
        ("file:///etc/passwd".to_owned(), false),
        ("../m.bin".to_owned(), false),
        ("..".to_owned(), false),
        ("/data/../etc/passwd".to_owned(), false),
        ("sub/m.bin".to_owned(), false),
        (format!("https://models.example/m.bin#sha256={digest}"), false),
        (format!("s3://models/m.bin#sha256={digest}"), true),
    ] {
        let yaml = format!("name: x\nsteps:\n- url_blocklist_filter: {{domains: ['{name}']}}\n");
        let recipe = Recipe::parse(&yaml, &[]).expect(&yaml);
        let got = allow(&["/data", "s3://models"]).models(&recipe);
        assert_eq!(got.is_ok(), expected, "{name}: {got:?}");
    }
}

/// The parts that a spelling of a path is made of.
fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        ".",
        "..",
        "data",
        "x",
        "etc",
        "passwd",
        "etc/passwd",
        "*",
        "{a,..}",
        "proc/self/root",
    ])
}

proptest! {
    #[test]
    fn no_spelling_leads_out_of_the_prefix(
        scheme in prop::sample::select(vec!["", "/", "//", "file:///", "file://localhost/", "/data/", "file:///data/", "../../../../../../../../"]),
        parts in prop::collection::vec(part(), 0..8),
    ) {
        let folder = tempfile::tempdir().expect("folder");
        let spelled = format!("{scheme}{}", parts.join("/"));
        let allowed = folder.path().join("data");
        std::fs::create_dir(&allowed).expect("folder");
        let rules = allow(&[allowed.to_str().expect("UTF-8")]);
        // What the store of files would open.
        let uri: Result<Uri, _> = spelled.parse();
        if let Ok(Uri::File(path)) = uri {
            prop_assert!(rules.check(Use::Input, &spelled).is_err(), "{} is not below the prefix: {:?}", spelled, path);
        }
        // The same below the prefix: what gets through is there.
        let inner = format!("{}/{}", allowed.display(), parts.join("/"));
        if rules.check(Use::Input, &inner).is_ok() {
            let stores = gristmill_storage::Stores::new(gristmill_storage::Settings::default());
            let (store, key) = stores.open(&inner.parse().expect("a path")).expect("opens");
            let opened = store.uri(&key);
            let real = folder.path().canonicalize().expect("is there").join("data");
            prop_assert!(Path::new(&opened).starts_with(&allowed) || Path::new(&opened).starts_with(&real), "{} opens {}", inner, opened);
        }
    }
}
