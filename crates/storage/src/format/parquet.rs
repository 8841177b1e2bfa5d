//! Parquet rows as JSON objects.
//!
//! Every column of the file is a field of every row, `null` where the row has none. How types are written:
//!
//! | Parquet | JSON |
//! | --- | --- |
//! | booleans, integers | as they are |
//! | FLOAT, DOUBLE, FLOAT16 | numbers; NaN and infinities as `null`, which JSON has no word for |
//! | UTF8, JSON, ENUM | strings |
//! | BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY without a text type | strings: base64 (RFC 4648, with padding) |
//! | DECIMAL | strings, so that no digit is lost: `"12.50"` |
//! | DATE | `"2024-05-18"` |
//! | TIMESTAMP | `"2024-05-18T05:40:08.123Z"`, without `Z` where the column is not adjusted to UTC |
//! | TIME | `"05:40:08.123"` |
//! | LIST, groups, MAP | arrays, objects, objects whose keys are the map's keys as text |
//!
//! Row groups are read one at a time in batches of bounded bytes, by ranged reads. A slice owns the row groups whose first byte it
//! holds. Damage costs the row group it is in.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::source::Source;
use super::{At, Item, Limits, Records};
use crate::error::ReadError;

/// Uncompressed bytes of a batch of rows.
const BATCH_BYTES: i64 = 8 << 20;
/// Rows of a batch at most.
const BATCH_ROWS: i64 = 1024;
/// Bytes fetched at once.
const WINDOW: u64 = 1 << 20;
/// Fetched ranges that are kept: one for each column that is read in turn.
const WINDOWS: usize = 16;
/// Groups and lists nest at most this deep.
const MAX_DEPTH: usize = 64;

/// See the module.
pub(super) struct Rows {
    chunks: Chunks,
    metadata: Option<ArrowReaderMetadata>,
    /// Row groups still to read: number, place.
    groups: VecDeque<(usize, u64)>,
    limits: Limits,
    batches: Option<ParquetRecordBatchReader>,
    batch: Option<(RecordBatch, usize)>,
    at: At,
    pending: Option<Item>,
}

impl Rows {
    pub(super) fn open(
        source: Arc<dyn Source>,
        slice: Range<u64>,
        limits: Limits,
    ) -> Result<Self, ReadError> {
        let chunks = Chunks { inner: Arc::new(Inner { source, state: Mutex::default() }) };
        let mut rows = Self {
            chunks,
            metadata: None,
            groups: VecDeque::new(),
            limits,
            batches: None,
            batch: None,
            at: At { offset: slice.start, index: 0 },
            pending: None,
        };
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = match ArrowReaderMetadata::load(&rows.chunks, options) {
            Ok(metadata) => metadata,
            Err(error) => {
                rows.chunks.failed()?;
                // The slice with the first byte says so for the whole file.
                rows.pending = (slice.start == 0)
                    .then(|| broken(At::default(), format!("no readable Parquet: {error}")));
                return Ok(rows);
            }
        };
        let too_deep = metadata.schema().fields().iter().any(|field| depth(field.data_type()) > MAX_DEPTH);
        if too_deep {
            let detail = format!("columns nest deeper than {MAX_DEPTH}");
            rows.pending = (slice.start == 0).then(|| broken(At::default(), detail));
            return Ok(rows);
        }
        let groups = metadata.metadata().row_groups().iter().map(place).enumerate();
        rows.groups = groups.filter(|(_, place)| slice.contains(place)).collect();
        rows.metadata = Some(metadata);
        Ok(rows)
    }

    /// Opens the next row group.
    fn begin(&mut self) -> Result<bool, ReadError> {
        let Some(metadata) = &self.metadata else { return Ok(false) };
        let Some((number, place)) = self.groups.pop_front() else { return Ok(false) };
        self.at = At { offset: place, index: 0 };
        let group = metadata.metadata().row_group(number);
        let average = (group.total_byte_size() / group.num_rows().max(1)).max(1);
        let rows = (BATCH_BYTES / average).clamp(1, BATCH_ROWS) as usize;
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.chunks.clone(), metadata.clone());
        match builder.with_row_groups(vec![number]).with_batch_size(rows).build() {
            Ok(batches) => self.batches = Some(batches),
            Err(error) => {
                self.chunks.failed()?;
                self.pending = Some(broken(self.at, format!("row group {number}: {error}")));
            }
        }
        Ok(true)
    }

    fn row(&mut self) -> Option<Item> {
        let (batch, next) = self.batch.as_mut()?;
        if *next >= batch.num_rows() {
            self.batch = None;
            return None;
        }
        let row = *next;
        *next += 1;
        let at = self.at;
        self.at.index += 1;
        let mut line = String::new();
        object(
            batch.schema_ref().fields().iter().map(|field| field.name().as_str()).zip(batch.columns()),
            row,
            &mut line,
        );
        if line.len() > self.limits.max_line {
            let detail = format!("a row of {} bytes", line.len());
            return Some(Item::Broken { at, reason: "too_large", detail });
        }
        Some(Item::Json { at, line })
    }
}

impl Records for Rows {
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(item) = self.pending.take() {
                return Ok(Some(item));
            }
            if let Some(item) = self.row() {
                return Ok(Some(item));
            }
            match self.batches.as_mut().map(Iterator::next) {
                Some(Some(Ok(batch))) => self.batch = Some((batch, 0)),
                Some(Some(Err(error))) => {
                    self.chunks.failed()?;
                    self.batches = None;
                    return Ok(Some(broken(
                        self.at,
                        format!("the rest of the row group is damaged: {error}"),
                    )));
                }
                Some(None) | None => {
                    self.batches = None;
                    if !self.begin()? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

fn broken(at: At, detail: String) -> Item {
    Item::Broken { at, reason: "bad_compression", detail }
}

/// Where a row group's first column begins.
fn place(group: &RowGroupMetaData) -> u64 {
    group.columns().iter().map(|column| column.byte_range().0).min().unwrap_or(0)
}

fn depth(kind: &DataType) -> usize {
    // Not recursive: the file says how deep it is.
    let mut deepest = 0;
    let mut open = vec![(kind, 1)];
    while let Some((kind, depth)) = open.pop() {
        deepest = deepest.max(depth);
        match kind {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::Map(field, _) => open.push((field.data_type(), depth + 1)),
            DataType::Struct(fields) => {
                open.extend(fields.iter().map(|field| (field.data_type(), depth + 1)));
            }
            _ => {}
        }
    }
    deepest
}

/// The file as the Parquet reader wants it: pieces by offset, a few fetched ranges kept.
#[derive(Clone)]
struct Chunks {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn Source>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Last used last.
    windows: VecDeque<(u64, Bytes)>,
    /// What a read failed with: kept apart, since the Parquet reader makes text of it.
    error: Option<ReadError>,
}

impl Chunks {
    /// Gives the error of a read that failed, if one did.
    fn failed(&self) -> Result<(), ReadError> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.error.take().map_or(Ok(()), Err)
    }

    fn fetch(&self, start: u64, len: u64) -> Result<Bytes, ParquetError> {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = start.saturating_add(len);
        let held = state.windows.iter().position(|(at, data)| *at <= start && end <= at + data.len() as u64);
        if let Some(window) = held.and_then(|i| state.windows.remove(i)) {
            let from = (start - window.0) as usize;
            let data = window.1.slice(from..from + len as usize);
            state.windows.push_back(window);
            return Ok(data);
        }
        let size = self.inner.source.size();
        if end > size {
            return Err(ParquetError::EOF(format!("bytes {start} to {end} of a file of {size}")));
        }
        match self.inner.source.read_at(start..start.saturating_add(len.max(WINDOW)).min(size)) {
            Ok(data) if data.len() as u64 >= len => {
                let wanted = data.slice(..len as usize);
                if state.windows.len() >= WINDOWS {
                    state.windows.pop_front();
                }
                // A large piece is used once and not kept.
                if data.len() as u64 <= WINDOW {
                    state.windows.push_back((start, data));
                }
                Ok(wanted)
            }
            Ok(data) => Err(ParquetError::EOF(format!("{} of {len} bytes at {start}", data.len()))),
            Err(error) => {
                let text = error.to_string();
                state.error = Some(error);
                Err(ParquetError::General(text))
            }
        }
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.inner.source.size()
    }
}

impl ChunkReader for Chunks {
    type T = Ahead;

    fn get_read(&self, start: u64) -> Result<Ahead, ParquetError> {
        Ok(Ahead { chunks: self.clone(), at: start, piece: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.fetch(start, length as u64)
    }
}

/// Reads on from an offset through the kept ranges: page headers are small and come one after another.
struct Ahead {
    chunks: Chunks,
    at: u64,
    piece: Bytes,
}

impl Read for Ahead {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        const PIECE: u64 = 4 << 10;
        if self.piece.is_empty() {
            let left = self.chunks.len().saturating_sub(self.at);
            if left == 0 {
                return Ok(0);
            }
            self.piece = self.chunks.fetch(self.at, left.min(PIECE)).map_err(std::io::Error::other)?;
            self.at += self.piece.len() as u64;
        }
        let n = out.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut out[..n]);
        Ok(n)
    }
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a Arc<dyn Array>)>, row: usize, out: &mut String) {
    out.push('{');
    for (i, (name, column)) in fields.enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        value(column.as_ref(), row, out);
    }
    out.push('}');
}

/// A JSON string. Writing a `str` cannot fail.
fn string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn array(elements: &dyn Array, out: &mut String) {
    out.push('[');
    for i in 0..elements.len() {
        if i > 0 {
            out.push(',');
        }
        value(elements, i, out);
    }
    out.push(']');
}

fn float(number: f64, out: &mut String) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.push_str(&number.to_string()),
        None => out.push_str("null"),
    }
}

/// One value as JSON. The depth of columns is bounded by [`MAX_DEPTH`].
fn value(column: &dyn Array, row: usize, out: &mut String) {
    macro_rules! whole {
        ($kind:ty) => {{
            let _ = write!(out, "{}", column.as_primitive::<$kind>().value(row));
        }};
    }
    macro_rules! quoted {
        ($text:expr) => {
            match $text {
                Some(text) => string(&text, out),
                None => out.push_str("null"),
            }
        };
    }
    if column.is_null(row) {
        out.push_str("null");
        return;
    }
    match column.data_type() {
        DataType::Null => out.push_str("null"),
        DataType::Boolean => out.push_str(if column.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float16 => float(f64::from(column.as_primitive::<Float16Type>().value(row).to_f32()), out),
        // Through its shortest text, so that 0.1 stays 0.1.
        DataType::Float32 => {
            let number = column.as_primitive::<Float32Type>().value(row);
            float(number.to_string().parse().unwrap_or(f64::from(number)), out);
        }
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row), out),
        DataType::Utf8 => string(column.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => string(column.as_string::<i64>().value(row), out),
        DataType::Utf8View => string(column.as_string_view().value(row), out),
        DataType::Binary => string(&BASE64_STANDARD.encode(column.as_binary::<i32>().value(row)), out),
        DataType::LargeBinary => string(&BASE64_STANDARD.encode(column.as_binary::<i64>().value(row)), out),
        DataType::BinaryView => string(&BASE64_STANDARD.encode(column.as_binary_view().value(row)), out),
        DataType::FixedSizeBinary(_) => {
            string(&BASE64_STANDARD.encode(column.as_fixed_size_binary().value(row)), out);
        }
        DataType::Decimal32(..) => string(&column.as_primitive::<Decimal32Type>().value_as_string(row), out),
        DataType::Decimal64(..) => string(&column.as_primitive::<Decimal64Type>().value_as_string(row), out),
        DataType::Decimal128(..) => {
            string(&column.as_primitive::<Decimal128Type>().value_as_string(row), out);
        }
        DataType::Decimal256(..) => {
            string(&column.as_primitive::<Decimal256Type>().value_as_string(row), out);
        }
        DataType::Date32 => quoted!(date(i64::from(column.as_primitive::<Date32Type>().value(row)))),
        DataType::Date64 => {
            quoted!(date(column.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000)));
        }
        DataType::Timestamp(unit, zone) => {
            let (number, digits) = match unit {
                TimeUnit::Second => (column.as_primitive::<TimestampSecondType>().value(row), 0),
                TimeUnit::Millisecond => (column.as_primitive::<TimestampMillisecondType>().value(row), 3),
                TimeUnit::Microsecond => (column.as_primitive::<TimestampMicrosecondType>().value(row), 6),
                TimeUnit::Nanosecond => (column.as_primitive::<TimestampNanosecondType>().value(row), 9),
            };
            quoted!(timestamp(number, digits, zone.is_some()));
        }
        DataType::Time32(TimeUnit::Second) => {
            string(&time(i64::from(column.as_primitive::<Time32SecondType>().value(row)), 0), out);
        }
        DataType::Time32(_) => {
            string(&time(i64::from(column.as_primitive::<Time32MillisecondType>().value(row)), 3), out);
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            string(&time(column.as_primitive::<Time64NanosecondType>().value(row), 9), out);
        }
        DataType::Time64(_) => {
            string(&time(column.as_primitive::<Time64MicrosecondType>().value(row), 6), out);
        }
        DataType::List(_) => array(column.as_list::<i32>().value(row).as_ref(), out),
        DataType::LargeList(_) => array(column.as_list::<i64>().value(row).as_ref(), out),
        DataType::FixedSizeList(..) => array(column.as_fixed_size_list().value(row).as_ref(), out),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            object(fields.iter().map(|field| field.name().as_str()).zip(columns), row, out);
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                let mut key = String::new();
                value(entries.column(0).as_ref(), i, &mut key);
                if key.starts_with('"') {
                    out.push_str(&key);
                } else {
                    string(&key, out);
                }
                out.push(':');
                value(entries.column(1).as_ref(), i, out);
            }
            out.push('}');
        }
        // Parquet has no others.
        _ => out.push_str("null"),
    }
}

/// A day since 1970 as `2024-05-18` (Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn date(days: i64) -> Option<String> {
    if days.abs() > 4_000_000_000 {
        return None;
    }
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn time(number: i64, digits: u32) -> String {
    let unit = 10_i64.pow(digits);
    let (seconds, rest) = (number.div_euclid(unit), number.rem_euclid(unit));
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest > 0 {
        let _ = write!(text, ".{rest:0width$}", width = digits as usize);
    }
    text
}

fn timestamp(number: i64, digits: u32, utc: bool) -> Option<String> {
    let day = 86_400 * 10_i64.pow(digits);
    let date = date(number.div_euclid(day))?;
    let zone = if utc { "Z" } else { "" };
    Some(format!("{date}T{}{zone}", time(number.rem_euclid(day), digits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (days, expected) in
            [(0, "1970-01-01"), (19_861, "2024-05-18"), (-1, "1969-12-31"), (11_016, "2000-02-29")]
        {
            assert_eq!(date(days).as_deref(), Some(expected));
        }
        let milliseconds = 1_716_010_808_123;
        assert_eq!(timestamp(milliseconds, 3, true).as_deref(), Some("2024-05-18T05:40:08.123Z"));
        assert_eq!(timestamp(-1, 6, false).as_deref(), Some("1969-12-31T23:59:59.999999"));
        assert_eq!(timestamp(i64::MAX, 0, true), None);
        assert_eq!(time(20_408, 0), "05:40:08");
    }
}
