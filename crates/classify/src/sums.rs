//! Adding up rows: the loops in which a model of words and word n-grams spends its time.
//!
//! Each column is summed by itself, row after row, so that wider registers change the time and not a bit of the sum.
//! The loops are compiled twice, for any processor and for those with AVX2, and the right one is chosen when it runs.

/// Columns whose sums are held in registers while rows go by: 12 of the 16 registers of AVX2.
const WIDE: usize = 96;
/// The same for the columns that are left, and for those left then.
const NARROW: usize = 16;
const NARROWEST: usize = 4;
/// Pairs of columns whose sums are held in registers; their tables, 16 KiB, stay in the first-level cache meanwhile.
const PAIRS: usize = 8;
/// Values of a code.
pub(crate) const CODES: usize = 256;

/// A float that may lie anywhere.
pub(crate) trait Cell: Copy {
    fn get(self) -> f32;
}

impl Cell for f32 {
    #[inline]
    fn get(self) -> f32 {
        self
    }
}

impl Cell for [u8; 4] {
    #[inline]
    fn get(self) -> f32 {
        f32::from_le_bytes(self)
    }
}

/// A matrix of which two columns at a time are a code.
pub(crate) struct Pairs<'p> {
    /// `parts` a row.
    pub(crate) codes: &'p [u8],
    pub(crate) parts: usize,
    /// For each part, what each code stands for.
    pub(crate) centroids: &'p [f32],
    /// A code a row, and what it stands for.
    pub(crate) norms: Option<(&'p [u8], &'p [f32])>,
}

/// Compiles `$body` with and without AVX2, as `$name`.
macro_rules! for_each_processor {
    ($(#[$doc:meta])* fn $name:ident $(<$cell:ident: $bound:ident>)? ($($argument:ident: $kind:ty),*) $(-> $returned:ty)? = $body:ident) => {
        $(#[$doc])*
        pub(crate) fn $name $(<$cell: $bound>)? ($($argument: $kind),*) $(-> $returned)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide $(<$cell: $bound>)? ($($argument: $kind),*) $(-> $returned)? {
                    $body($($argument),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has what the function needs.
                    return unsafe { wide($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}

for_each_processor! {
    /// Adds rows to `sum`, one after the other. Rows that are not there add nothing.
    fn add<C: Cell>(cells: &[C], rows: &[u32], sum: &mut [f32]) = add_rows
}

for_each_processor! {
    /// Adds rows to `sum`, one after the other, but for a last part of one column. Returns how many parts are done.
    fn add_pairs(pairs: &Pairs<'_>, rows: &[u32], sum: &mut [f32]) -> usize = add_row_pairs
}

#[inline(always)]
fn add_rows<C: Cell>(cells: &[C], rows: &[u32], sum: &mut [f32]) {
    let columns = sum.len();
    let (wide, rest) = sum.as_chunks_mut::<WIDE>();
    let (narrow, rest) = rest.as_chunks_mut::<NARROW>();
    let (narrowest, rest) = rest.as_chunks_mut::<NARROWEST>();
    let mut at = 0;
    for sum in wide {
        add_columns(cells, rows, columns, at, sum);
        at += WIDE;
    }
    for sum in narrow {
        add_columns(cells, rows, columns, at, sum);
        at += NARROW;
    }
    for sum in narrowest {
        add_columns(cells, rows, columns, at, sum);
        at += NARROWEST;
    }
    if rest.is_empty() {
        return;
    }
    for row in rows {
        let start = *row as usize * columns + at;
        if let Some(cells) = cells.get(start..start + rest.len()) {
            for (sum, cell) in rest.iter_mut().zip(cells) {
                *sum += cell.get();
            }
        }
    }
}

/// `N` columns stay in registers while all rows are added. Where rows come from far away, the first of these passes waits for
/// many of them at once.
#[inline(always)]
fn add_columns<C: Cell, const N: usize>(
    cells: &[C],
    rows: &[u32],
    columns: usize,
    at: usize,
    sum: &mut [f32; N],
) {
    let mut lanes = *sum;
    for row in rows {
        let start = *row as usize * columns + at;
        if let Some(cells) = cells.get(start..).and_then(|cells| cells.first_chunk::<N>()) {
            for (lane, cell) in lanes.iter_mut().zip(cells) {
                *lane += cell.get();
            }
        }
    }
    *sum = lanes;
}

#[inline(always)]
fn add_row_pairs(pairs: &Pairs<'_>, rows: &[u32], sum: &mut [f32]) -> usize {
    // Tables of 256 pairs, one a part: as many as there are pairs of columns.
    let tables = pairs.centroids.as_chunks::<2>().0.as_chunks::<CODES>().0;
    let (groups, rest) = sum.as_chunks_mut::<2>().0.as_chunks_mut::<PAIRS>();
    let (tables_of_groups, tables_of_rest) = tables.as_chunks::<PAIRS>();
    let mut done = 0;
    for (sum, tables) in groups.iter_mut().zip(tables_of_groups) {
        add_parts(pairs, tables, rows, done, sum);
        done += PAIRS;
    }
    for (sum, table) in rest.iter_mut().zip(tables_of_rest) {
        add_parts(pairs, std::array::from_ref(table), rows, done, std::array::from_mut(sum));
        done += 1;
    }
    done
}

/// `N` parts, the first of which is number `at`, stay in registers while they are added for all rows.
#[inline(always)]
fn add_parts<const N: usize>(
    pairs: &Pairs<'_>,
    tables: &[[[f32; 2]; CODES]; N],
    rows: &[u32],
    at: usize,
    sum: &mut [[f32; 2]; N],
) {
    let mut lanes = *sum;
    for row in rows {
        let start = *row as usize * pairs.parts + at;
        let Some(codes) = pairs.codes.get(start..).and_then(|codes| codes.first_chunk::<N>()) else {
            continue;
        };
        let mut cells: [[f32; 2]; N] = std::array::from_fn(|at| tables[at][usize::from(codes[at])]);
        if let Some((codes, norms)) = pairs.norms {
            let norm = codes.get(*row as usize).and_then(|code| norms.get(usize::from(*code)));
            let norm = norm.copied().unwrap_or_default();
            cells.as_flattened_mut().iter_mut().for_each(|cell| *cell *= norm);
        }
        for (lane, cell) in lanes.as_flattened_mut().iter_mut().zip(cells.as_flattened()) {
            *lane += cell;
        }
    }
    *sum = lanes;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers between -1 and 1 that differ.
    fn floats(count: usize) -> Vec<f32> {
        (0..count).map(|at| (at * 7919 % 20_011) as f32 / 10_005.5 - 1.0).collect()
    }

    fn bits(floats: &[f32]) -> Vec<u32> {
        floats.iter().map(|float| float.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn columns_are_summed_row_after_row(columns in 1_usize..320, rows in prop::collection::vec(0_u32..42, 0..90)) {
            let cells = floats(40 * columns);
            let bytes: Vec<[u8; 4]> = cells.iter().map(|cell| cell.to_le_bytes()).collect();
            let mut expected = floats(columns);
            // Rows 40 and 41 are not there.
            for row in rows.iter().filter(|row| **row < 40) {
                for (sum, cell) in expected.iter_mut().zip(&cells[*row as usize * columns..]) {
                    *sum += cell;
                }
            }
            let (mut got, mut got_of_bytes) = (floats(columns), floats(columns));
            add(&cells, &rows, &mut got);
            add(&bytes, &rows, &mut got_of_bytes);
            prop_assert_eq!(bits(&got), bits(&expected));
            prop_assert_eq!(bits(&got_of_bytes), bits(&expected));
        }

        #[test]
        fn pairs_are_summed_like_what_they_stand_for(columns in 1_usize..70, with_norms: bool, rows in prop::collection::vec(0_u32..42, 0..90)) {
            let parts = columns.div_ceil(2);
            let centroids = floats(columns * CODES);
            let codes: Vec<u8> = (0..40 * parts).map(|at| (at * 101 + at / 7) as u8).collect();
            let norms = with_norms.then(|| ((0_u32..40).map(|row| (row * 59) as u8).collect::<Vec<u8>>(), floats(CODES)));
            let pairs = Pairs {
                codes: &codes,
                parts,
                centroids: &centroids,
                norms: norms.as_ref().map(|(codes, norms)| (&codes[..], &norms[..])),
            };
            let mut got = floats(columns);
            let done = add_pairs(&pairs, &rows, &mut got);
            prop_assert_eq!(done, columns / 2);
            let mut expected = floats(columns);
            for row in rows.iter().filter(|row| **row < 40) {
                let norm = norms.as_ref().map_or(1.0, |(codes, norms)| norms[usize::from(codes[*row as usize])]);
                for (column, sum) in expected.iter_mut().enumerate().take(done * 2) {
                    let code = usize::from(codes[*row as usize * parts + column / 2]);
                    *sum += norm * centroids[(column / 2 * CODES + code) * 2 + column % 2];
                }
            }
            prop_assert_eq!(bits(&got), bits(&expected));
        }
    }
}
