//! The two matrices of a model: rows are added up (input) or multiplied with a vector (output).
//!
//! Three forms. `Dense` stays in the blob, whatever its alignment: a float is read from four bytes, which costs the same load.
//! `Quantised` is a byte per few columns and a table of what the bytes stand for (product quantisation). `Decoded` is a quantised
//! one written out at load, where that takes no more than [`MAX_DECODED_BYTES`].
//!
//! Floats are added in the order of fastText's `src/densematrix.cc` and `src/productquantizer.cc` and never fused or regrouped, so sums are
//! the same to the last bit as in a C++ library built without `-march=native`. Columns do not meet in a sum of rows,
//! so that one is vectorised over columns; a product with a row does go column by column, and is done for several rows at once.

use std::ops::Range;

use crate::ModelError;
use crate::prefetch::prefetch;
use crate::reader::Reader;
use crate::sums::{self, CODES, Cell, Pairs};

/// Quantised matrices are written out up to this size: some 160,000 rows of 100 columns.
pub const MAX_DECODED_BYTES: u64 = 64 << 20;
/// Rows that are multiplied at once: a product is a chain of additions, each waiting for the one before.
const PRODUCTS: usize = 8;

/// A matrix of `rows` × `columns` floats.
pub(crate) struct Matrix {
    pub(crate) rows: u64,
    pub(crate) columns: usize,
    form: Form,
}

enum Form {
    Dense {
        bytes: Range<usize>,
    },
    /// Rows are divided by their norms where there are any.
    Decoded {
        cells: Vec<f32>,
        norms: Option<Vec<f32>>,
    },
    Quantised(Quantised),
}

struct Quantised {
    /// `parts` bytes a row.
    codes: Range<usize>,
    parts: usize,
    /// Columns of a part; the last may have fewer.
    part_columns: usize,
    /// For each part, what each code stands for.
    centroids: Vec<f32>,
    /// A byte a row, and what it stands for.
    norms: Option<(Range<usize>, Vec<f32>)>,
}

/// What a matrix is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Rows are added up.
    Input,
    /// Rows are multiplied with a vector.
    Output,
}

/// See [`Matrix::adder`].
pub(crate) struct Adder<'m> {
    cells: Cells<'m>,
    columns: usize,
}

enum Cells<'m> {
    Bytes(&'m [[u8; 4]]),
    Floats(&'m [f32]),
    Quantised(&'m Quantised, &'m [u8]),
}

impl Adder<'_> {
    /// Has a row fetched from memory, since it will be added soon.
    #[inline]
    pub(crate) fn expect(&self, row: u32) {
        let start = row as usize * self.columns;
        match self.cells {
            Cells::Bytes(cells) => prefetch(cells.get(start..start + self.columns).unwrap_or_default()),
            Cells::Floats(cells) => prefetch(cells.get(start..start + self.columns).unwrap_or_default()),
            Cells::Quantised(quantised, blob) => quantised.expect(blob, row),
        }
    }

    /// Adds rows to `sum`, one after the other. Rows that are not there add nothing.
    pub(crate) fn add(&self, rows: &[u32], sum: &mut [f32]) {
        match self.cells {
            Cells::Bytes(cells) => sums::add(cells, rows, sum),
            Cells::Floats(cells) => sums::add(cells, rows, sum),
            Cells::Quantised(quantised, blob) => quantised.add(blob, rows, sum),
        }
    }
}

impl Matrix {
    pub(crate) fn read_dense(reader: &mut Reader<'_>, section: &'static str) -> Result<Self, ModelError> {
        let rows = reader.count(section, "its number of rows")?;
        let columns = reader.count(section, "its number of columns")?;
        let bytes = reader.skip(section, rows.saturating_mul(columns).saturating_mul(4))?;
        Ok(Self { rows, columns: columns as usize, form: Form::Dense { bytes } })
    }

    pub(crate) fn read_quantised(
        reader: &mut Reader<'_>,
        blob: &[u8],
        max_decoded: u64,
        role: Role,
        section: &'static str,
    ) -> Result<Self, ModelError> {
        let has_norms = reader.bool(section)?;
        let rows = reader.count(section, "its number of rows")?;
        let columns = reader.count(section, "its number of columns")?;
        let size = reader.count32(section, "the size of its codes")?;
        let codes = reader.skip(section, size.into())?;
        let (centroids, parts, part_columns) = read_quantizer(reader, columns, section)?;
        if rows.checked_mul(parts as u64) != Some(size.into()) {
            return Err(reader.corrupt(section, format!("{size} codes for {rows} rows of {parts} parts")));
        }
        let norms = if has_norms {
            let codes = reader.skip(section, rows)?;
            Some((codes, read_quantizer(reader, 1, section)?.0))
        } else {
            None
        };
        let quantised = Quantised { codes, parts, part_columns, centroids, norms };
        let columns = columns as usize;
        let cells = rows.saturating_mul(columns as u64);
        let form = if cells.saturating_mul(4) <= max_decoded {
            quantised.decode(blob, columns, rows as usize, role)
        } else {
            Form::Quantised(quantised)
        };
        Ok(Self { rows, columns, form })
    }

    /// The rows, to be added up.
    pub(crate) fn adder<'m>(&'m self, blob: &'m [u8]) -> Adder<'m> {
        let cells = match &self.form {
            Form::Dense { bytes } => Cells::Bytes(blob.get(bytes.clone()).unwrap_or_default().as_chunks().0),
            Form::Decoded { cells, .. } => Cells::Floats(cells),
            Form::Quantised(quantised) => Cells::Quantised(quantised, blob),
        };
        Adder { cells, columns: self.columns }
    }

    /// The product of one row with `vector`.
    pub(crate) fn product(&self, blob: &[u8], row: usize, vector: &[f32]) -> f32 {
        let mut out = [0.0];
        self.products(blob, row, vector, &mut out);
        out[0]
    }

    /// The products of the rows from `first` on with `vector`, one for each place in `out`.
    pub(crate) fn products(&self, blob: &[u8], first: usize, vector: &[f32], out: &mut [f32]) {
        match &self.form {
            Form::Dense { bytes } => {
                let cells = blob.get(bytes.clone()).unwrap_or_default().as_chunks().0;
                products(cells, first, vector, out);
            }
            Form::Decoded { cells, norms } => {
                products(cells, first, vector, out);
                if let Some(norms) = norms {
                    for (out, norm) in out.iter_mut().zip(norms.iter().skip(first)) {
                        *out *= norm;
                    }
                }
            }
            Form::Quantised(quantised) => {
                let codes = blob.get(quantised.codes.clone()).unwrap_or_default();
                for (row, out) in (first..).zip(out) {
                    let mut product = 0.0;
                    let columns = vector.chunks(quantised.part_columns);
                    for (vector, part) in columns.zip(quantised.row(codes, row)) {
                        for (x, cell) in vector.iter().zip(part) {
                            product += x * cell;
                        }
                    }
                    *out = product * quantised.norm(blob, row);
                }
            }
        }
    }

    /// Memory beyond the blob.
    pub(crate) fn bytes(&self) -> usize {
        let floats = |floats: &Vec<f32>| size_of_val(&**floats);
        match &self.form {
            Form::Dense { .. } => 0,
            Form::Decoded { cells, norms } => floats(cells) + norms.as_ref().map_or(0, floats),
            Form::Quantised(quantised) => {
                floats(&quantised.centroids) + quantised.norms.as_ref().map_or(0, |(_, norms)| floats(norms))
            }
        }
    }
}

/// The centroids, the number of parts and the columns of a part.
fn read_quantizer(
    reader: &mut Reader<'_>,
    columns: u64,
    section: &'static str,
) -> Result<(Vec<f32>, usize, usize), ModelError> {
    let dim = reader.count32(section, "the quantiser's dimension")?;
    let parts = reader.count32(section, "the quantiser's number of parts")?;
    let part_columns = reader.count32(section, "the width of a part")?;
    let last_columns = reader.count32(section, "the width of the last part")?;
    let fits = part_columns > 0
        && u64::from(dim) == columns
        && parts == dim.div_ceil(part_columns)
        && (1..=part_columns).contains(&last_columns)
        && (u64::from(parts).saturating_sub(1)) * u64::from(part_columns) + u64::from(last_columns)
            == columns;
    if !fits {
        return Err(reader.corrupt(
            section,
            format!("{columns} columns quantised as {dim} in {parts} parts of {part_columns}, the last of {last_columns}"),
        ));
    }
    let centroids = reader.floats(section, u64::from(dim) * CODES as u64)?;
    Ok((centroids, parts as usize, part_columns as usize))
}

impl Quantised {
    /// The parts of a row as their codes have them, without the norm.
    #[inline]
    fn row<'q>(&'q self, codes: &'q [u8], row: usize) -> impl Iterator<Item = &'q [f32]> {
        // All parts but the last have the same width, and so do the tables of all but the last.
        let tables = self.centroids.chunks(CODES * self.part_columns);
        let codes = codes.get(row * self.parts..(row + 1) * self.parts).unwrap_or_default();
        tables.zip(codes).map(|(table, code)| {
            let width = table.len() / CODES;
            let start = usize::from(*code) * width;
            table.get(start..start + width).unwrap_or_default()
        })
    }

    #[inline]
    fn expect(&self, blob: &[u8], row: u32) {
        let start = self.codes.start + row as usize * self.parts;
        prefetch(blob.get(start..start + self.parts).unwrap_or_default());
    }

    /// Adds rows to `sum`, one after the other. Pairs of columns, which is what fastText makes by default, have a way of their own.
    fn add(&self, blob: &[u8], rows: &[u32], sum: &mut [f32]) {
        let codes = blob.get(self.codes.clone()).unwrap_or_default();
        let done = if self.part_columns == 2 {
            let norms = self
                .norms
                .as_ref()
                .map(|(codes, norms)| (blob.get(codes.clone()).unwrap_or_default(), &**norms));
            sums::add_pairs(&Pairs { codes, parts: self.parts, centroids: &self.centroids, norms }, rows, sum)
        } else {
            0
        };
        let Some(rest) = sum.get_mut(done * self.part_columns..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        for row in rows {
            let norm = self.norm(blob, *row as usize);
            let columns = rest.chunks_mut(self.part_columns);
            for (sum, part) in columns.zip(self.row(codes, *row as usize).skip(done)) {
                for (sum, cell) in sum.iter_mut().zip(part) {
                    *sum += norm * cell;
                }
            }
        }
    }

    #[inline]
    fn norm(&self, blob: &[u8], row: usize) -> f32 {
        let Some((codes, norms)) = &self.norms else { return 1.0 };
        let code = blob.get(codes.clone()).and_then(|codes| codes.get(row));
        code.and_then(|code| norms.get(usize::from(*code))).copied().unwrap_or_default()
    }

    /// Norms go into the cells of an input matrix, as C++ multiplies them in before it adds; those of an output matrix are multiplied
    /// with the finished product.
    fn decode(&self, blob: &[u8], columns: usize, rows: usize, role: Role) -> Form {
        let codes = blob.get(self.codes.clone()).unwrap_or_default();
        let mut cells = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            let norm = if role == Role::Input { self.norm(blob, row) } else { 1.0 };
            for part in self.row(codes, row) {
                cells.extend(part.iter().map(|cell| norm * cell));
            }
        }
        let norms = (role == Role::Output && self.norms.is_some())
            .then(|| (0..rows).map(|row| self.norm(blob, row)).collect());
        Form::Decoded { cells, norms }
    }
}

fn products<C: Cell>(cells: &[C], first: usize, vector: &[f32], out: &mut [f32]) {
    let columns = vector.len();
    let cells = cells.get(first * columns..).unwrap_or_default();
    let (groups, rest) = out.as_chunks_mut::<PRODUCTS>();
    let grouped = groups.len() * PRODUCTS;
    for (group, out) in groups.iter_mut().enumerate() {
        let mut rows = [&cells[..0]; PRODUCTS];
        for (at, row) in (group * PRODUCTS..).zip(&mut rows) {
            *row = cells.get(at * columns..(at + 1) * columns).unwrap_or_default();
        }
        let mut sums = [0.0; PRODUCTS];
        for (column, x) in vector.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum += row.get(column).map_or(f32::NAN, |cell| cell.get()) * x;
            }
        }
        *out = sums;
    }
    for (at, out) in (grouped..).zip(rest) {
        let row = cells.get(at * columns..(at + 1) * columns).unwrap_or_default();
        let mut sum = 0.0;
        for (cell, x) in row.iter().zip(vector) {
            sum += cell.get() * x;
        }
        *out = sum;
    }
}
