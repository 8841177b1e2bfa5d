//! The key file of a map task: all its documents' keys, sorted, readable by key range.
//!
//! One file per task however many buckets there are: a bucket task reads the footer, then one byte range.
//!
//! ```text
//! blocks (see block.rs), a new one at each of the 1,024 key ranges' borders
//! 1,024 × u40   bytes of blocks in each key range
//! u64 entries | u64 bytes of blocks | u64 xxh3 of the blocks | u32 key bits | u32 1 if rows have notes
//! u64 xxh3 of the footer up to here | u32 version | 4 bytes zero | 8 bytes magic
//! ```
//!
//! The footer has a fixed length, [`FOOTER_BYTES`], so the last bytes of an object are one ranged read. In the
//! file of one task rows hold ordinals (places of documents in the task's stored output); the reader adds the
//! task's shard and yields nodes ([`node`]). A file merged from several tasks' files ([`merge_into`]) holds
//! nodes, and so does one of pairs of documents ([`Writer::push_node`], [`Spread`]); those are read as shard 0.
//!
//! Anything that is not as written is [`Error::Corrupt`] with file and offset: a missing or short file, a
//! flipped bit, blocks in the wrong place, rows out of order.

use std::io::{self, Read, Write};
use std::marker::PhantomData;

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::block::{self, RANGES, Reader};
use crate::sort::{Notes, Scratch, Sorter};
use crate::stream::{Key, Merge, Stream};

const MAGIC: &[u8; 8] = b"gmkeys\r\n";
const VERSION: u32 = 2;
const TAIL: usize = 64;
/// Bytes of a key range's size.
const SIZE: usize = 5;
/// Length of the footer: read this many bytes from the end of the file, then call [`Footer::parse`].
pub const FOOTER_BYTES: usize = SIZE * RANGES + TAIL;

/// A document: the number of its shard in the job (upper 32 bits) and its ordinal there.
#[must_use]
pub fn node(shard: u32, ordinal: u32) -> u64 {
    u64::from(shard) << 32 | u64::from(ordinal)
}

/// The shard and the ordinal of a node.
#[must_use]
pub fn shard_and_ordinal(node: u64) -> (u32, u32) {
    ((node >> 32) as u32, node as u32)
}

/// Nodes as keys: moved up so far that key ranges are runs of shards.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    zeros: u32,
}

impl Spread {
    /// For the nodes of so many shards.
    #[must_use]
    pub fn over(shards: u32) -> Self {
        Self { zeros: shards.saturating_sub(1).leading_zeros() }
    }

    /// The key of a node.
    #[must_use]
    pub fn key(self, node: u64) -> u64 {
        node << self.zeros
    }

    /// The node of a key.
    #[must_use]
    pub fn node(self, key: u64) -> u64 {
        key >> self.zeros
    }

    /// Rows whose keys are spread nodes, as rows whose keys are nodes.
    pub fn nodes<S: Stream<Key = u64>>(self, rows: S) -> SpreadRows<S> {
        SpreadRows { rows, spread: self }
    }
}

/// Rows by node: [`Spread::nodes`].
pub struct SpreadRows<S> {
    rows: S,
    spread: Spread,
}

impl<S: Stream<Key = u64>> Stream for SpreadRows<S> {
    type Key = u64;

    #[inline]
    fn row(&self) -> Option<(u64, u64)> {
        self.rows.row().map(|(key, node)| (self.spread.node(key), node))
    }

    #[inline]
    fn note(&self) -> &[u8] {
        self.rows.note()
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Error> {
        self.rows.advance()
    }
}

/// Gathers a task's keys within a memory budget and writes its key file.
///
/// `N` is [`Plain`](crate::sort::Plain) or [`Noted`](crate::sort::Noted); `K` is `u64` for MinHash bands and
/// `u128` for exact keys.
pub struct Writer<K, N, S, F> {
    sorter: Sorter<K, N, S, F>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Rows in the file.
    pub entries: u64,
    /// Bytes of the whole file.
    pub bytes: u64,
}

impl<K: Key, N: Notes, S: Scratch, F: FnMut() -> io::Result<S>> Writer<K, N, S, F> {
    /// A writer that holds about `memory_bytes` and spills into files that `scratch` makes.
    pub fn new(memory_bytes: usize, scratch: F) -> Self {
        Self { sorter: Sorter::new(memory_bytes, scratch) }
    }

    /// Adds one key of the document at `ordinal`. `note` is ignored where `N` is `Plain`.
    #[inline]
    pub fn push(&mut self, key: K, ordinal: u32, note: &[u8]) -> Result<(), Error> {
        self.sorter.push(key, u64::from(ordinal), note)
    }

    /// Adds one key of a whole node: read the file as shard 0.
    #[inline]
    pub fn push_node(&mut self, key: K, node: u64, note: &[u8]) -> Result<(), Error> {
        self.sorter.push(key, node, note)
    }

    /// Sorts and writes the file. An empty file is a footer.
    pub fn finish(self, out: impl Write) -> Result<Summary, Error> {
        let mut sorted = self.sorter.finish()?;
        write_sorted(&mut sorted, N::PRESENT, out)
    }
}

/// Merges `inputs` into one key file of nodes: the inner level of a merge tree where a job has too many key
/// files to open at once. Read the result as shard 0. `notes` says whether the inputs have them.
pub fn merge_into<S: Stream>(inputs: Vec<S>, notes: bool, out: impl Write) -> Result<Summary, Error> {
    write_sorted(&mut Merge::new(inputs), notes, out)
}

/// Writes rows that come in order as a key file.
pub fn write_sorted<S: Stream>(rows: &mut S, notes: bool, out: impl Write) -> Result<Summary, Error> {
    let mut blocks = block::Writer::new(out, notes, true);
    while let Some((key, node)) = rows.row() {
        blocks.push(key, node, rows.note())?;
        rows.advance()?;
    }
    let done = blocks.into_inner()?;
    let mut footer = Vec::with_capacity(FOOTER_BYTES);
    for (range, &size) in done.sizes.iter().enumerate() {
        let bytes = size.to_le_bytes();
        let (low, high) = bytes.split_at(SIZE);
        if high.iter().any(|byte| *byte != 0) {
            return Err(Error::Invalid(format!(
                "key range {range} holds {size} bytes, more than 1 TiB: use smaller tasks"
            )));
        }
        footer.extend_from_slice(low);
    }
    footer.extend_from_slice(&done.entries.to_le_bytes());
    footer.extend_from_slice(&done.bytes.to_le_bytes());
    footer.extend_from_slice(&done.checksum.to_le_bytes());
    footer.extend_from_slice(&S::Key::BITS.to_le_bytes());
    footer.extend_from_slice(&u32::from(notes).to_le_bytes());
    footer.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
    footer.extend_from_slice(&VERSION.to_le_bytes());
    footer.extend_from_slice(&[0; 12]);
    footer.extend_from_slice(MAGIC);
    debug_assert_eq!(footer.len(), FOOTER_BYTES);
    let mut out = done.out;
    out.write_all(&footer)?;
    out.flush()?;
    Ok(Summary { entries: done.entries, bytes: done.bytes + FOOTER_BYTES as u64 })
}

/// What a key file's last [`FOOTER_BYTES`] bytes say.
#[derive(Clone, Debug)]
pub struct Footer<K> {
    file: String,
    /// Rows in the file.
    pub entries: u64,
    /// Bytes of blocks, which begin at offset 0.
    pub data_bytes: u64,
    /// xxh3 of the blocks.
    pub checksum: u64,
    /// Whether rows have notes.
    pub notes: bool,
    /// `offsets[i]..offsets[i + 1]` holds key range i.
    offsets: Vec<u64>,
    key: PhantomData<K>,
}

/// The bits of the keys of a file with these last [`FOOTER_BYTES`] bytes, for who cannot know.
pub fn key_bits(file: &str, bytes: &[u8]) -> Result<u32, Error> {
    match Footer::<u64>::parse(file, bytes) {
        Ok(_) => Ok(u64::BITS),
        Err(_) => Footer::<u128>::parse(file, bytes).map(|_| u128::BITS),
    }
}

impl<K: Key> Footer<K> {
    /// Parses and checks a footer. `file` is the name for error messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::corrupt(file, 0, what);
        let Ok(bytes) = <&[u8; FOOTER_BYTES]>::try_from(bytes) else {
            return Err(corrupt(&format!(
                "{} bytes are no key file's footer of {FOOTER_BYTES}: the file is cut short",
                bytes.len()
            )));
        };
        let (sizes, tail) = bytes.split_at(SIZE * RANGES);
        if tail.last_chunk::<8>() != Some(MAGIC) {
            return Err(corrupt("it does not end like a key file"));
        }
        let number = |at: usize| block::le_u64(tail, at);
        let small = |at: usize| block::le_u32(tail, at);
        if small(40) != VERSION {
            return Err(corrupt(&format!(
                "version {} is not {VERSION}: it was written by another release",
                small(40)
            )));
        }
        if xxh3_64(&bytes[..SIZE * RANGES + 32]) != number(32) {
            return Err(corrupt("the footer's checksum does not match"));
        }
        if small(24) != K::BITS {
            return Err(corrupt(&format!("its keys have {} bits, not {}", small(24), K::BITS)));
        }
        let mut offsets = Vec::with_capacity(RANGES + 1);
        let mut offset = 0;
        offsets.push(0);
        for size in sizes.chunks_exact(SIZE) {
            offset += size.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            offsets.push(offset);
        }
        if offset != number(8) {
            return Err(corrupt("its ranges do not add up"));
        }
        Ok(Self {
            file: file.to_owned(),
            entries: number(0),
            data_bytes: number(8),
            checksum: number(16),
            notes: small(28) == 1,
            offsets,
            key: PhantomData,
        })
    }

    /// The bytes that hold bucket `bucket` of `buckets` equal key ranges: `(offset, length)`. The length may be 0.
    ///
    /// # Panics
    /// If `buckets` is not a power of two up to [`RANGES`], or `bucket` is not below it.
    pub fn byte_range(&self, bucket: usize, buckets: usize) -> (u64, u64) {
        assert!(
            buckets.is_power_of_two() && buckets <= RANGES && bucket < buckets,
            "bucket {bucket} of {buckets}: take a power of two up to {RANGES}"
        );
        let width = RANGES / buckets;
        let (start, end) = (self.offsets[bucket * width], self.offsets[(bucket + 1) * width]);
        (start, end - start)
    }

    /// Reads one bucket's rows from `input`, which yields the bytes of [`byte_range`](Self::byte_range).
    /// `shard` is the file's shard, 0 for a merged file.
    pub fn bucket<R: Read>(
        &self,
        bucket: usize,
        buckets: usize,
        shard: u32,
        input: R,
    ) -> Result<Reader<K, R>, Error> {
        let (offset, length) = self.byte_range(bucket, buckets);
        Reader::new(&self.file, input, offset, offset + length, self.notes, node(shard, 0))
    }

    /// Reads all rows from the beginning of the file.
    pub fn all<R: Read>(&self, shard: u32, input: R) -> Result<Reader<K, R>, Error> {
        self.bucket(0, 1, shard, input)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::sort::{Noted, Plain};

    fn write<K: Key, N: Notes>(rows: &[(K, u32)], budget: usize) -> Vec<u8> {
        let mut writer = Writer::<K, N, _, _>::new(budget, || Ok(Cursor::new(Vec::new())));
        for &(key, ordinal) in rows {
            writer.push(key, ordinal, format!("<urn:uuid:{ordinal}>").as_bytes()).expect("memory");
        }
        let mut out = Vec::new();
        let summary = writer.finish(&mut out).expect("memory");
        assert_eq!(summary.bytes, out.len() as u64);
        out
    }

    fn read<K: Key>(bytes: &[u8], bucket: usize, buckets: usize) -> Result<Vec<(K, u64, String)>, Error> {
        let footer = Footer::<K>::parse("test", &bytes[bytes.len().saturating_sub(FOOTER_BYTES)..])?;
        let (offset, length) = footer.byte_range(bucket, buckets);
        let part = bytes.get(offset as usize..(offset + length) as usize).unwrap_or(&[]);
        let mut reader = footer.bucket(bucket, buckets, 3, part)?;
        let mut out = Vec::new();
        while let Some((key, node)) = reader.row() {
            out.push((key, node, String::from_utf8_lossy(reader.note()).into_owned()));
            reader.advance()?;
        }
        Ok(out)
    }

    fn keys<K: Key>(count: u32, spread: impl Fn(u128) -> u128) -> Vec<(K, u32)> {
        (0..count)
            .map(|i| {
                let hash = xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes());
                (K::narrow(spread(hash)), i)
            })
            .collect()
    }

    fn check<K: Key, N: Notes>(rows: &[(K, u32)]) {
        let bytes = write::<K, N>(rows, 1 << 20);
        let spilled = write::<K, N>(rows, 0);
        assert_eq!(bytes, spilled, "a spill shows in the bytes");
        let mut expected: Vec<(K, u64, String)> = rows
            .iter()
            .map(|&(k, o)| {
                (k, node(3, o), if N::PRESENT { format!("<urn:uuid:{o}>") } else { String::new() })
            })
            .collect();
        expected.sort_by(|a, b| (a.0, &a.2, a.1).cmp(&(b.0, &b.2, b.1)));
        for buckets in [1, 2, 64, 1024] {
            let mut got = Vec::new();
            for bucket in 0..buckets {
                got.extend(read::<K>(&bytes, bucket, buckets).expect("sound"));
            }
            assert_eq!(got, expected, "{buckets} buckets");
        }
    }

    #[test]
    fn every_bucket_count_reads_the_same_rows() {
        check::<u64, Plain>(&keys(5000, |h| h));
        check::<u64, Noted>(&keys(5000, |h| h));
        check::<u128, Noted>(&keys(5000, |h| h));
        check::<u128, Plain>(&keys(3000, |h| h >> (h % 128)));
        // Skew: one key for all, and all in the last range.
        check::<u64, Plain>(&keys(5000, |_| 7));
        check::<u64, Noted>(&keys(5000, |_| 7));
        check::<u64, Plain>(&keys(500, |h| u128::from(u64::MAX) - h % 3));
        check::<u64, Plain>(&[]);
    }

    #[test]
    fn files_merge_into_one_that_reads_alike() {
        let all = keys::<u64>(4000, |h| (h % 500) << 54);
        let files: Vec<Vec<u8>> = all.chunks(700).map(|rows| write::<u64, Noted>(rows, 0)).collect();
        let footers: Vec<Footer<u64>> = files
            .iter()
            .map(|f| Footer::parse("part", &f[f.len() - FOOTER_BYTES..]).expect("sound"))
            .collect();
        let open = || footers.iter().zip(&files).map(|(h, f)| h.all(3, &f[..]).expect("sound")).collect();
        let mut merged = Vec::new();
        merge_into(open(), true, &mut merged).expect("memory");
        let footer = Footer::<u64>::parse("merged", &merged[merged.len() - FOOTER_BYTES..]).expect("sound");
        let (mut one, mut many) = (footer.all(0, &merged[..]).expect("sound"), Merge::new(open()));
        while let Some(row) = many.row() {
            assert_eq!((one.row(), one.note()), (Some(row), many.note()));
            one.advance().expect("sound");
            many.advance().expect("sound");
        }
        assert_eq!(one.row(), None);
    }

    #[test]
    fn spread_nodes_are_read_by_runs_of_shards() {
        for (shards, buckets) in [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (5, 2), (700, 1024), (u32::MAX, 4)]
        {
            let spread = Spread::over(shards);
            let at = |part: u64| (u64::from(shards - 1) * part / 7) as u32;
            let mut pairs: Vec<(u64, u64)> =
                (0..8).map(|part| (node(at(part), 5), node(at(7 - part), u32::MAX))).collect();
            let mut writer = Writer::<u64, Plain, _, _>::new(0, || Ok(Cursor::new(Vec::new())));
            for &(a, b) in &pairs {
                writer.push_node(spread.key(a), b, &[]).expect("memory");
            }
            let mut bytes = Vec::new();
            writer.finish(&mut bytes).expect("memory");
            let footer = Footer::<u64>::parse("pairs", &bytes[bytes.len() - FOOTER_BYTES..]).expect("sound");
            let mut got = Vec::new();
            for bucket in 0..buckets {
                let (offset, length) = footer.byte_range(bucket, buckets);
                let part = &bytes[offset as usize..(offset + length) as usize];
                let mut rows = spread.nodes(footer.bucket(bucket, buckets, 0, part).expect("sound"));
                while let Some(row) = rows.row() {
                    let width = u64::from(shards).next_power_of_two() / buckets as u64;
                    assert_eq!((row.0 >> 32) / width.max(1), bucket as u64, "{shards} shards");
                    got.push(row);
                    rows.advance().expect("sound");
                }
            }
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(got, pairs, "{shards} shards");
        }
    }

    #[test]
    fn band_keys_cost_less_than_their_width() {
        let bytes = write::<u64, Plain>(&keys(200_000, |h| h), 64 << 20);
        let per_row = bytes.len() as f64 / 200_000.0;
        assert!(per_row < 10.0, "{per_row} bytes a row");
    }

    #[test]
    fn every_bit_of_a_blocks_header_counts() {
        let sound = write::<u64, Noted>(&keys(900, |h| h), 1 << 20);
        let length = u32::from_le_bytes([sound[0], sound[1], sound[2], sound[3]]) as usize;
        // The headers of the first two blocks, but for the two bytes in each that say nothing.
        for block in [0, block::HEADER + length] {
            for at in (0..6).chain(8..block::HEADER).map(|at| block + at) {
                for bit in 0..8 {
                    let mut flipped = sound.clone();
                    flipped[at] ^= 1 << bit;
                    let read = read::<u64>(&flipped, 0, 1);
                    assert!(matches!(read, Err(Error::Corrupt { .. })), "bit {bit} of byte {at}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_flipped_bit_or_a_cut_is_seen(at in 0_usize..60_000, bit in 0_u8..8, cut in 1_usize..60_000) {
            let sound = write::<u64, Noted>(&keys(900, |h| h), 1 << 20);
            let mut flipped = sound.clone();
            let at = at % sound.len();
            flipped[at] ^= 1 << bit;
            // 12 bytes between version and magic, and the two that pad a block's header, say nothing.
            match read::<u64>(&flipped, 0, 1) {
                Err(Error::Corrupt { .. }) => {}
                Err(other) => panic!("{other}"),
                Ok(rows) => prop_assert_eq!(rows, read::<u64>(&sound, 0, 1).unwrap()),
            }
            let short = &sound[..sound.len() - (cut % sound.len()).max(1)];
            let cut_is_seen = matches!(read::<u64>(short, 0, 1), Err(Error::Corrupt { .. }));
            prop_assert!(cut_is_seen);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let length = bytes.len() as u64;
            let Ok(mut reader) = Reader::<u64, _>::new("foreign", &bytes[..], 0, length, true, 0) else {
                return Ok(());
            };
            while reader.row().is_some() && reader.advance().is_ok() {}
        }
    }
}
