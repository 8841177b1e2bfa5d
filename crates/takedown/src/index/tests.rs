use super::*;
use gristmill_dedup::stream::Rows;
use gristmill_storage::fault::{Faults, Faulty};
use gristmill_storage::meter::Op;
use gristmill_storage::{MemoryStore, Settings, Store};
use serde_json::json;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// An index in memory. A takedown goes by `faults`, all else past them.
struct World {
    runtime: Runtime,
    memory: Arc<MemoryStore>,
    index: Index,
    faults: Arc<Faults>,
}

const AT: &str = "memory://w/index";

fn stores(store: Arc<dyn Store>) -> Stores {
    let stores = Stores::new(Settings::default());
    stores.replace(&AT.parse().expect("URI"), store).expect("memory");
    stores
}

impl World {
    fn new() -> Self {
        let memory = Arc::new(MemoryStore::new("w"));
        let index = Index::open(&stores(Arc::clone(&memory) as _), &AT.parse().expect("URI")).expect("opens");
        Self { runtime: Runtime::new().expect("a runtime"), memory, index, faults: Arc::default() }
    }

    fn put(&self, path: &str, rows: u64, bytes: Vec<u8>) -> FileEntry {
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let entry = FileEntry { path: path.to_owned(), rows, bytes: bytes.len() as u64, sha256 };
        self.runtime.block_on(self.memory.put(&self.index.key(path), bytes.into())).expect("memory");
        entry
    }

    /// Adds the next generation as a job does: one segment, and a document for each of the sites.
    fn extend(&self, sites: &[&str]) -> u64 {
        let latest = self.runtime.block_on(self.index.latest()).expect("lists");
        let mut generation = match latest {
            0 => Generation::empty(json!({"step": "exact_dedup"})),
            number => self.runtime.block_on(self.index.generation(number)).expect("is there"),
        };
        let (number, first) = (latest + 1, generation.segments());
        let path = |name: &str| format!("{}/{name}", folder(number, "job"));
        let keys = (0..sites.len() as u64).map(|ordinal| (number << 32 | ordinal, ordinal)).collect();
        let (mut written, mut drops) = (Vec::new(), Vec::new());
        keyfile::write_sorted(&mut Rows::<u64>::new(keys), false, &mut written).expect("memory");
        let keys = self.put(&path("keys"), sites.len() as u64, written);
        let mut writer = IdWriter::new(Vec::new()).expect("memory");
        for site in sites {
            writer.push(1, &format!("{number}-{site}"), &format!("http://{site}/{number}")).expect("memory");
        }
        let (count, written) = writer.finish().expect("memory");
        let ids = self.put(&path("ids"), count, written);
        droplist::Writer::new(&mut drops, first, 1, false).finish().expect("memory");
        let drops = self.put(&path("drops"), 0, drops);
        let (to, segments) = (path("segments"), [Segment { keys, sets: None, ids }]);
        let page = self.runtime.block_on(self.index.write_page(&to, &segments)).expect("memory");
        generation.generation = number;
        generation.parts.push(Part {
            generation: number,
            job: format!("job-{number}"),
            input_sha256: String::new(),
            first_segment: first,
            segments: 1,
            documents: sites.len() as u64,
            drops,
            pages: vec![page],
        });
        self.runtime.block_on(self.index.create(&generation)).expect("is free");
        number
    }

    fn take_down(&self, list: &str) -> (Result<Taken, TakedownError>, Vec<u64>) {
        let list = List::parse(list).expect("a list");
        let mut found = list.nothing();
        let faulty = Faulty::new(Arc::clone(&self.memory) as _, Arc::clone(&self.faults));
        let stores = stores(Arc::new(faulty));
        let (handle, at) = (self.runtime.handle(), AT.parse().expect("URI"));
        let taken = take_down(handle, &stores, &at, &list, &HashSet::new(), &mut found);
        (taken, found.counts().to_vec())
    }

    /// A takedown, and each time before it creates its generation another.
    fn overtake(
        &self,
        list: &str,
        times: u64,
        before: impl Fn(&Self),
    ) -> (Result<Taken, TakedownError>, Vec<u64>) {
        let holds: Vec<_> = (1..=times).map(|nth| self.faults.hold(Op::Create, nth)).collect();
        std::thread::scope(|scope| {
            let taken = scope.spawn(|| self.take_down(list));
            for mut hold in holds {
                assert!(self.runtime.block_on(hold.has_come()), "it creates a generation");
                before(self);
                hold.go();
            }
            taken.join().expect("no panic")
        })
    }

    /// The record ids of the latest generation.
    fn ids(&self) -> Vec<String> {
        let stores = stores(Arc::clone(&self.memory) as _);
        let everything = List::parse("domain:a.org\ndomain:b.org").expect("a list");
        let at = AT.parse().expect("URI");
        let mut ids: Vec<String> =
            ids(self.runtime.handle(), &stores, &at, &everything).expect("reads").into_iter().collect();
        ids.sort_unstable();
        ids
    }

    fn files(&self) -> Vec<String> {
        let prefix = self.index.key("files/");
        let page = self.runtime.block_on(self.memory.list_page(&prefix, None, 1000)).expect("lists");
        page.entries.into_iter().map(|entry| entry.key[prefix.len()..].to_owned()).collect()
    }

    fn is_removed(&self, number: u64) -> bool {
        self.runtime.block_on(self.index.is_removed(number)).expect("reads")
    }
}

/// The second round looks at what came after the first, and leaves nothing of that one.
#[test]
fn a_generation_that_comes_between_is_looked_at_too() {
    let world = World::new();
    world.extend(&["a.org", "b.org"]);
    let (taken, found) = world.overtake("domain:a.org", 1, |world| {
        assert_eq!(world.extend(&["b.org", "a.org", "a.org"]), 2);
        assert!(world.files().iter().any(|file| file.starts_with("000002-takedown-")), "{:?}", world.files());
    });
    let taken = taken.expect("is the next");
    assert_eq!(taken, Taken { documents: 3, like_them: 0, generation: Some(3) });
    assert_eq!(found, [3], "none is counted twice");
    assert_eq!(world.ids(), ["1-b.org", "2-b.org"]);
    assert!(world.is_removed(1) && world.is_removed(2));
    let files = world.files();
    // Both segments were written anew, with their drops and pages.
    assert_eq!(files.len(), 2 * 4, "{files:?}");
    assert!(files.iter().all(|file| file.starts_with("000003-takedown-")), "{files:?}");
}

/// Another takedown of another list comes between.
#[test]
fn of_two_takedowns_at_once_both_are_done() {
    let world = World::new();
    world.extend(&["a.org", "b.org", "c.org"]);
    let (taken, _) = world.overtake("domain:a.org", 1, |world| {
        let (handle, at) = (world.runtime.handle(), AT.parse().expect("URI"));
        let list = List::parse("domain:b.org").expect("a list");
        let stores = stores(Arc::clone(&world.memory) as _);
        let other = take_down(handle, &stores, &at, &list, &HashSet::new(), &mut list.nothing());
        assert_eq!(other.expect("is the first").generation, Some(2));
    });
    assert_eq!(taken.expect("is the next").generation, Some(3));
    assert_eq!(world.ids(), Vec::<String>::new());
    assert!(world.files().iter().all(|file| file.starts_with("000003-takedown-")), "{:?}", world.files());
}

#[test]
fn who_is_overtaken_every_time_says_so_and_leaves_nothing() {
    let world = World::new();
    world.extend(&["a.org", "b.org"]);
    let (taken, _) = world.overtake("domain:a.org", ROUNDS.into(), |world| {
        world.extend(&["a.org"]);
    });
    let error = taken.expect_err("comes too late").to_string();
    let number = u64::from(ROUNDS) + 1;
    let part = format!("has a generation {number} by now, by job job-{number}");
    assert!(error.contains(&part) && error.contains("run the takedown again"), "{error}");
    assert_eq!(world.ids().len(), 2 + ROUNDS as usize, "all of it is there still");
    let files = world.files();
    assert!(files.iter().all(|file| !file.contains("takedown")), "{files:?}");
    assert_eq!(files.len(), 4 * (1 + ROUNDS as usize));
    // With nobody else at it the same command does it.
    let (taken, found) = world.take_down("domain:a.org");
    assert_eq!(taken.expect("is alone").documents, found[0]);
    assert_eq!(world.ids(), ["1-b.org"]);
}

#[test]
fn what_nobody_names_goes_and_what_somebody_may_be_about_to_name_stays() {
    let world = World::new();
    world.extend(&["a.org"]);
    world.extend(&["b.org"]);
    let named = world.files();
    for (path, stays) in [
        // A job that came too late, and takedowns that were killed and overtaken.
        ("files/000001-late/00000000.ids", false),
        ("files/000002-takedown-0123456789abcdef/00000000.ids", false),
        ("files/000002-job/more", false),
        // Somebody at work on the next generation.
        ("files/000003-early/00000000.ids", true),
        ("files/000004-job/00000000.ids", true),
        // Not ours.
        ("files/notes.txt", true),
    ] {
        world.put(path, 0, b"x".to_vec());
        let (taken, _) = world.take_down("domain:nowhere.org");
        assert_eq!(taken.expect("does nothing else"), Taken::default());
        assert_eq!(world.files().contains(&path["files/".len()..].to_owned()), stays, "{path}");
        assert!(named.iter().all(|file| world.files().contains(file)), "{path}");
    }
    assert_eq!(world.ids(), ["1-a.org", "2-b.org"]);
}
