//! Time and memory grow with the page, not with its square: each bomb eight times as large, for every algorithm.
//!
//! What is measured is this thread's time on a processor and the bytes it holds at once, so that a busy machine does not
//! matter; what is allowed is three times as much as linear growth. Run by `make soak`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use gristmill_extract::charset::{self, Charset};

mod bombs;

/// Parts of the smaller bomb, and how many times as large the larger is.
const PARTS: usize = 20_000;
const LARGER: usize = 8;
/// More than this many times as much is no linear growth: squares make it 64.
const ALLOWED: u32 = 3 * LARGER as u32;
/// What a bomb may cost whatever its size: too little to measure, or a budget that is there from the start.
const FREE_TIME: Duration = Duration::from_millis(100);
const FREE_BYTES: usize = 4 << 20;

/// The system's allocator, counting for each thread what it holds and what it held at most.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

fn held(more: usize, less: usize) {
    let now = HELD.get().saturating_add(more).saturating_sub(less);
    HELD.set(now);
    MOST.set(MOST.get().max(now));
}

// SAFETY: everything is handed on as it came; the counters are numbers that need no memory of their own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while the one is copied into the other.
        held(size, 0);
        held(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        held(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How long this thread has been on a processor, or since `start` where the system does not say.
fn processor_time(start: Instant) -> Duration {
    // The system counts when it looks at the thread: on ticks, else now.
    std::thread::yield_now();
    let on_processor = std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|line| line.split(' ').next()?.parse().ok());
    on_processor.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// The least time of a few runs, and the most that one of them held beside what was held before.
fn cost(runs: usize, mut run: impl FnMut()) -> (Duration, usize) {
    let mut least = Duration::MAX;
    let mut most = 0;
    for _ in 0..runs {
        let before = HELD.get();
        MOST.set(before);
        let start = Instant::now();
        let from = processor_time(start);
        run();
        least = least.min(processor_time(start).saturating_sub(from));
        most = most.max(MOST.get() - before);
    }
    (least, most)
}

/// Complains if the larger run costs out of proportion to the smaller.
fn compare(what: &str, small: (Duration, usize), large: (Duration, usize), complaints: &mut Vec<String>) {
    let slow = large.0 > FREE_TIME.max(ALLOWED * small.0);
    let big = large.1 > FREE_BYTES.max(ALLOWED as usize * small.1);
    if slow || big {
        complaints.push(format!("{what}: {small:?}, and {LARGER} times as large {large:?}"));
    }
}

#[test]
#[ignore = "a minute; run by make soak"]
fn extraction_is_linear() {
    let mut complaints = Vec::new();
    for (name, make) in bombs::all() {
        let (small, large) = (make(PARTS), make(LARGER * PARTS));
        // New ones for each bomb, so that none has the buffers of the last.
        for (extractor_name, mut extractor) in bombs::extractors() {
            let mut costs = |page: &str, runs| cost(runs, || drop(extractor.extract(page)));
            let (small, large) = (costs(&small, 3), costs(&large, 2));
            compare(&format!("{name}, {extractor_name}"), small, large, &mut complaints);
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
#[ignore = "beside the other; run by make soak"]
fn detection_is_linear() {
    let kinds: [(&str, &[u8]); 12] = [
        ("metas", b"<meta charset=x>"),
        (
            "metas that disagree",
            b"<meta charset=big5><meta http-equiv=content-type content='charset=koi8-r'>",
        ),
        ("open meta", b"<meta charset='"),
        ("open comments", b"<!--<meta charset=big5>"),
        ("labels in labels", b"charset charset="),
        ("byte order marks", b"\xef\xbb\xbf\xff\xfe"),
        ("half of UTF-8", b"\xc3\xe2\x82\xf0\x9f"),
        ("UTF-8 and not", b"\xc3\xbc\xfc"),
        ("escapes", b"\x1b$B0l\x1b(B"),
        ("escapes alone", b"\x1b"),
        ("NULs", b"a\0"),
        ("two bytes each", b"\x81\x30\xa4\xa2\xff"),
    ];
    let mut complaints = Vec::new();
    for (name, part) in kinds {
        for label in [None, Some("utf-8"), Some("gb18030"), Some("iso-2022-jp"), Some("utf-16le")] {
            let costs = |n: usize| {
                let body = part.repeat(n);
                cost(3, || drop(charset::decode(&body, label, Charset::Detect)))
            };
            compare(&format!("{name}, {label:?}"), costs(PARTS), costs(LARGER * PARTS), &mut complaints);
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
