use super::*;
use gristmill_storage::Settings;
use proptest::prelude::*;
use serde_json::json;

fn file(path: &str) -> FileEntry {
    FileEntry { path: path.to_owned(), rows: 1, bytes: 2, sha256: "ab".repeat(32) }
}

fn part(generation: u64, first_segment: u32, segments: u32) -> Part {
    Part {
        generation,
        job: format!("job-{generation}"),
        input_sha256: "cd".repeat(32),
        first_segment,
        segments,
        documents: 10,
        drops: file("files/x/drops"),
        pages: (0..u64::from(segments).div_ceil(PAGE_TASKS)).map(|n| file(&format!("files/x/{n}"))).collect(),
    }
}

fn generation(parts: Vec<Part>) -> Generation {
    let generation = parts.last().map_or(0, |part| part.generation);
    Generation { generation, parts, ..Generation::empty(json!({"step": "minhash_dedup", "ngram": 5})) }
}

#[test]
fn segments_are_numbered_through_all_parts() {
    let index = generation(vec![part(1, 0, 3), part(2, 3, 0), part(3, 3, 2001)]);
    assert_eq!(Generation::parse(&index.to_bytes()), Ok(index.clone()));
    assert_eq!((index.segments(), index.documents()), (2004, 30));
    let of = |segment| index.part_of(segment).map(|part| part.generation);
    assert_eq!(
        [0, 2, 3, 2003, 2004].map(of),
        [Some(1), Some(1), Some(3), Some(3), None],
        "the second part has none"
    );
}

#[test]
fn what_is_no_generation_says_why() {
    let broken = |change: fn(&mut Value)| {
        let mut json: Value =
            serde_json::from_slice(&generation(vec![part(1, 0, 1), part(2, 1, 2)]).to_bytes()).expect("JSON");
        change(&mut json);
        Generation::parse(json.to_string().as_bytes()).expect_err("no generation")
    };
    for (change, why) in [
        ((|json| json["format"] = json!(2)) as fn(&mut Value), "it is of format 2"),
        (|json| json["format"] = json!("1"), "it names no format"),
        (|json| json["more"] = json!(1), "unknown field `more`"),
        (|json| json["parts"][1]["first_segment"] = json!(2), "part 1 begins with segment 2"),
        (|json| json["parts"][1]["segments"] = json!(u32::MAX), "more than 2^32 segments"),
        (|json| json["parts"][1]["segments"] = json!(0), "part 1 has 1 pages"),
        (|json| json["parts"][0]["drops"]["path"] = json!("../x"), "\"../x\" is no path below the index"),
        (|json| json["parts"][0]["pages"][0]["path"] = json!("/etc/x"), "\"/etc/x\" is no path"),
    ] {
        let error = broken(change);
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn of_two_that_write_one_generation_one_wins() {
    let stores = Stores::new(Settings::default());
    let index = Index::open(&stores, &"memory://indexes/a/b".parse().expect("URI")).expect("opens");
    assert_eq!(index.latest().await.expect("lists"), 0);
    let missing = index.generation(1).await.expect_err("none is there").to_string();
    assert!(missing.starts_with("there is no index at memory://indexes/a/b"), "{missing}");
    let first = generation(vec![part(1, 0, 3)]);
    index.create(&first).await.expect("is the first");
    index.create(&first).await.expect("made it itself");
    let mut other = first.clone();
    other.parts[0].job = "another".to_owned();
    let taken = index.create(&other).await.expect_err("comes too late").to_string();
    assert!(taken.contains("has a generation 1 already, by job job-1") && taken.contains("anew"), "{taken}");
    index.create(&generation(vec![part(1, 0, 3), part(2, 3, 1)])).await.expect("goes on");
    assert_eq!(index.latest().await.expect("lists"), 2);
    assert_eq!(index.generation(1).await.expect("stays"), first);
    let none = index.generation(3).await.expect_err("is to come").to_string();
    assert!(none.contains("its latest is 2: give a smaller number"), "{none}");

    index.remove(1).await.expect("is replaced");
    let gone = index.generation(1).await.expect_err("is gone").to_string();
    assert!(gone.contains("a takedown removed it: name a later one"), "{gone}");
    assert!(index.create(&first).await.is_err(), "its number stays taken");

    let segment = Segment { keys: file("files/x/k"), sets: None, ids: file("files/x/i") };
    let written = index.write_page("files/x/0", &[segment.clone(), segment.clone()]).await.expect("writes");
    let mut two = Part { pages: vec![written], ..part(1, 0, 2) };
    assert_eq!(index.page(&two, 0).await.expect("reads"), [segment.clone(), segment]);
    two.segments = 3;
    let short = index.page(&two, 0).await.expect_err("one is missing").to_string();
    assert!(short.contains("it has 2 segments"), "{short}");
    two.pages[0].sha256 = "00".repeat(32);
    let other = index.page(&two, 0).await.expect_err("is another").to_string();
    assert!(other.contains("its sha256 is"), "{other}");
}

#[tokio::test]
async fn who_wrote_a_generation_is_known_when_a_takedown_took_it_away() {
    let stores = Stores::new(Settings::default());
    let index = Index::open(&stores, &"memory://indexes/written".parse().expect("URI")).expect("opens");
    let (input, other) = ("cd".repeat(32), "ef".repeat(32));
    assert!(!index.written(1, "job-1", &input).await.expect("is free"));
    let first = generation(vec![part(1, 0, 3)]);
    index.create(&first).await.expect("is the first");
    assert!(index.written(1, "job-1", &input).await.expect("is its own"));
    for (job, input) in [("job-2", &input), ("job-1", &other)] {
        let taken = index.written(1, job, input).await.expect_err("is another's").to_string();
        assert!(taken.contains("has a generation 1 already, by job job-1"), "{taken}");
    }
    // A takedown writes the next and takes this one away.
    index.create(&Generation { generation: 2, ..first }).await.expect("goes on");
    index.remove(1).await.expect("is replaced");
    assert!(index.is_removed(1).await.expect("reads") && !index.is_removed(2).await.expect("reads"));
    assert!(index.written(1, "job-1", &input).await.expect("was its own"));
    assert!(index.written(1, "job-2", &input).await.is_err());
    let taken = index.written(2, "job-1", &input).await.expect_err("is no job's").to_string();
    assert!(taken.contains("has a generation 2 already, by a takedown"), "{taken}");
    assert!(!index.written(3, "job-1", &input).await.expect("is free"));
}

proptest! {
    #[test]
    fn damaged_manifests_are_read_or_refused(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = generation(vec![part(1, 0, 3), part(2, 3, 1001)]).to_bytes().to_vec();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(read) = Generation::parse(&bytes) {
            prop_assert!(read.parts.iter().all(|part| !part.drops.path.contains("..")));
            // What is read is written the same, and sums do not overflow.
            prop_assert_eq!(Generation::parse(&read.to_bytes()), Ok(read.clone()));
            for segment in [0, 3, 1003, 1004, u32::MAX] {
                let part = read.part_of(segment);
                prop_assert_eq!(part.is_some(), segment < read.segments());
            }
        }
    }
}
