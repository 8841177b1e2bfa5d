//! JSON rows to Parquet.
//!
//! Columns are told by the rows themselves: those of the first row group decide, in the order of their first appearance. All
//! columns are optional, so a missing field and `null` are the same here. Whole numbers become INT64, others DOUBLE, strings UTF8, arrays
//! lists, objects groups. Where values of one column do not go together (a string here, a number there; whole numbers that
//! are larger than INT64 or would lose digits as DOUBLE; objects without fields) the column holds their JSON text.
//! A row that does not fit the columns of a begun file is not taken: the caller begins a next file, whose columns are those of both.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};

use super::{Push, WriteError};

/// Rows of a group are held until they are this many raw bytes.
const GROUP_BYTES: usize = 32 << 20;
/// Or this many rows.
const GROUP_ROWS: usize = 100_000;
/// Objects and arrays nest at most this deep in columns of their own; what is deeper is JSON text.
const MAX_DEPTH: usize = 16;
/// An object with more different fields is a map, not a record: it is kept as JSON text.
const MAX_FIELDS: usize = 2000;
/// Whole numbers up to here are exact as DOUBLE.
const EXACT: i64 = 1 << 53;

/// What a column, an element or a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Only nulls so far.
    Null,
    Bool,
    /// Whole numbers; the largest magnitude is known to be exact as DOUBLE or not.
    Int {
        exact: bool,
    },
    Float,
    Text,
    List(Box<Kind>),
    Struct(Vec<(String, Kind)>),
    /// JSON text of whatever there is.
    Json,
}

impl Kind {
    fn of(value: &Value, depth: usize) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) => match number.as_i64() {
                Some(n) => Self::Int { exact: (-EXACT..=EXACT).contains(&n) },
                None if number.is_f64() => Self::Float,
                None => Self::Json,
            },
            Value::String(_) => Self::Text,
            Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => Self::Json,
            Value::Array(values) => Self::List(Box::new(
                values.iter().fold(Self::Null, |kind, value| kind.merge(Self::of(value, depth + 1))),
            )),
            Value::Object(fields) => Self::of_object(fields, depth),
        }
    }

    fn of_object(fields: &Map<String, Value>, depth: usize) -> Self {
        if fields.is_empty() || fields.len() > MAX_FIELDS {
            return Self::Json;
        }
        Self::Struct(fields.iter().map(|(name, value)| (name.clone(), Self::of(value, depth + 1))).collect())
    }

    /// What holds both.
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Bool, Self::Bool) => Self::Bool,
            (Self::Int { exact: a }, Self::Int { exact: b }) => Self::Int { exact: a && b },
            (Self::Float, Self::Float | Self::Int { exact: true })
            | (Self::Int { exact: true }, Self::Float) => Self::Float,
            (Self::Text, Self::Text) => Self::Text,
            (Self::List(a), Self::List(b)) => Self::List(Box::new(a.merge(*b))),
            (Self::Struct(mut a), Self::Struct(b)) => {
                for (name, kind) in b {
                    match a.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => *known = std::mem::replace(known, Self::Null).merge(kind),
                        None => a.push((name, kind)),
                    }
                }
                if a.len() > MAX_FIELDS { Self::Json } else { Self::Struct(a) }
            }
            _ => Self::Json,
        }
    }

    /// Whether a column of this kind, already begun, takes values of the other.
    fn takes(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Null) | (Self::Json, _) => true,
            // What only held nulls is written as text.
            (Self::Null | Self::Text, Self::Text) => true,
            (Self::Bool, Self::Bool) | (Self::Float, Self::Float | Self::Int { exact: true }) => true,
            (Self::Int { .. }, Self::Int { .. }) => true,
            (Self::List(a), Self::List(b)) => a.takes(b),
            (Self::Struct(a), Self::Struct(b)) => {
                b.iter().all(|(name, kind)| a.iter().any(|(known, into)| known == name && into.takes(kind)))
            }
            _ => false,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int { .. } => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Null | Self::Text | Self::Json => DataType::Utf8,
            Self::List(inner) => DataType::List(Arc::new(Field::new("element", inner.data_type(), true))),
            Self::Struct(fields) => DataType::Struct(fields_of(fields)),
        }
    }

    /// A column of these values; `None` where a row has none. The depth is bounded by [`MAX_DEPTH`].
    fn column(&self, values: &[Option<&Value>]) -> Result<ArrayRef, ParquetError> {
        let values: Vec<Option<&Value>> =
            values.iter().map(|value| value.filter(|value| !value.is_null())).collect();
        Ok(match self {
            Self::Bool => {
                let mut column = BooleanBuilder::with_capacity(values.len());
                for value in values {
                    column.append_option(value.and_then(Value::as_bool));
                }
                Arc::new(column.finish())
            }
            Self::Int { .. } => {
                let mut column = Int64Builder::with_capacity(values.len());
                for value in values {
                    column.append_option(value.and_then(Value::as_i64));
                }
                Arc::new(column.finish())
            }
            Self::Float => {
                let mut column = Float64Builder::with_capacity(values.len());
                for value in values {
                    column.append_option(value.and_then(Value::as_f64));
                }
                Arc::new(column.finish())
            }
            Self::Null | Self::Text => {
                let mut column = StringBuilder::new();
                for value in values {
                    column.append_option(value.and_then(Value::as_str));
                }
                Arc::new(column.finish())
            }
            Self::Json => {
                let mut column = StringBuilder::new();
                for value in values {
                    column.append_option(value.map(Value::to_string));
                }
                Arc::new(column.finish())
            }
            Self::List(inner) => {
                let mut elements = Vec::new();
                let mut lengths = Vec::with_capacity(values.len());
                for value in &values {
                    let found = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                    lengths.push(found.len());
                    elements.extend(found.iter().map(Some));
                }
                let field = Arc::new(Field::new("element", inner.data_type(), true));
                let offsets = OffsetBuffer::from_lengths(lengths);
                let elements = inner.column(&elements)?;
                Arc::new(ListArray::try_new(field, offsets, elements, Some(present(&values)))?)
            }
            Self::Struct(fields) => {
                let mut columns = Vec::with_capacity(fields.len());
                for (name, kind) in fields {
                    let inner: Vec<Option<&Value>> =
                        values.iter().map(|value| value.and_then(|value| value.get(name))).collect();
                    columns.push(kind.column(&inner)?);
                }
                Arc::new(StructArray::try_new(fields_of(fields), columns, Some(present(&values)))?)
            }
        })
    }
}

fn present(values: &[Option<&Value>]) -> NullBuffer {
    values.iter().map(Option::is_some).collect::<Vec<_>>().into()
}

fn fields_of(fields: &[(String, Kind)]) -> Fields {
    fields.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect()
}

/// Rows of one file. See the module.
pub(super) struct Rows<W: Write + Send> {
    state: State<W>,
    /// The columns of this file and, where a row did not fit, of that row too.
    columns: Kind,
    /// The columns of this file, once it is begun.
    begun: Option<Kind>,
    held: Vec<Value>,
    held_bytes: usize,
}

enum State<W: Write + Send> {
    New(W),
    Open(Box<ArrowWriter<W>>),
    Failed,
}

impl<W: Write + Send> Rows<W> {
    pub(super) fn new(inner: W, carried: Option<Kind>) -> Self {
        Self {
            state: State::New(inner),
            columns: carried.unwrap_or(Kind::Null),
            begun: None,
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    /// Bytes of the row groups written so far.
    pub(super) fn bytes(&self) -> u64 {
        match &self.state {
            State::Open(writer) => writer.bytes_written() as u64,
            State::New(_) | State::Failed => 0,
        }
    }

    pub(super) fn push(&mut self, row: &str, number: u64) -> Result<Push, WriteError> {
        let refused = |why: String| WriteError::Row { row: number, why };
        let row_value: Value = serde_json::from_str(row).map_err(|error| refused(error.to_string()))?;
        let Value::Object(fields) = &row_value else {
            return Err(refused("it is no JSON object".into()));
        };
        if fields.is_empty() || fields.len() > MAX_FIELDS {
            return Err(refused(format!("{} fields; Parquet takes 1 to {MAX_FIELDS}", fields.len())));
        }
        let kind = Kind::of_object(fields, 0);
        if let Some(begun) = &self.begun
            && !begun.takes(&kind)
        {
            let columns = std::mem::replace(&mut self.columns, Kind::Null);
            self.columns = columns.merge(kind);
            return Ok(Push::NextFile);
        }
        if self.begun.is_none() {
            let merged = self.columns.clone().merge(kind);
            if merged == Kind::Json {
                return Err(refused(format!("more than {MAX_FIELDS} different fields")));
            }
            self.columns = merged;
        }
        self.held_bytes += row.len();
        self.held.push(row_value);
        if self.held_bytes >= GROUP_BYTES || self.held.len() >= GROUP_ROWS {
            self.flush()?;
        }
        Ok(Push::Written)
    }

    /// Writes what is held as a row group.
    fn flush(&mut self) -> Result<(), WriteError> {
        let columns = self.begun.get_or_insert_with(|| self.columns.clone());
        let Kind::Struct(fields) = columns else { return Ok(()) };
        let schema = Arc::new(Schema::new(fields_of(fields)));
        let mut writer = match std::mem::replace(&mut self.state, State::Failed) {
            State::New(inner) => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_created_by("gristmill".into())
                    .set_max_row_group_row_count(None)
                    .build();
                let options =
                    ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                Box::new(ArrowWriter::try_new_with_options(inner, schema.clone(), options).map_err(io)?)
            }
            State::Open(writer) => writer,
            State::Failed => return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()),
        };
        let rows = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        let mut arrays = Vec::with_capacity(fields.len());
        for (name, kind) in fields {
            let values: Vec<Option<&Value>> = rows.iter().map(|row| row.get(name.as_str())).collect();
            arrays.push(kind.column(&values).map_err(io)?);
        }
        let batch = RecordBatch::try_new(schema, arrays).map_err(|error| io(error.into()))?;
        writer.write(&batch).map_err(io)?;
        writer.flush().map_err(io)?;
        self.state = State::Open(writer);
        Ok(())
    }

    /// The underlying writer, and the columns for the next file.
    pub(super) fn finish(mut self) -> Result<(W, Option<Kind>), WriteError> {
        if self.columns == Kind::Null {
            // A file without rows has no columns; one that is empty but whole has one.
            self.columns = Kind::Struct(vec![("text".into(), Kind::Text)]);
        }
        if !self.held.is_empty() || matches!(self.state, State::New(_)) {
            self.flush()?;
        }
        match self.state {
            State::Open(writer) => Ok((writer.into_inner().map_err(io)?, Some(self.columns))),
            _ => Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()),
        }
    }
}

fn io(error: ParquetError) -> WriteError {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(error) => WriteError::Io(*error),
            Err(cause) => WriteError::Io(std::io::Error::other(cause)),
        },
        other => WriteError::Io(std::io::Error::other(other)),
    }
}
