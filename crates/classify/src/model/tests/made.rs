//! Small model files of every kind, made of nothing: the weights are arbitrary.

/// What a file is to hold.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) loss: i32,
    pub(super) word_ngrams: i32,
    pub(super) minn: i32,
    pub(super) maxn: i32,
    /// Pairs of bucket and row in a pruned model.
    pub(super) kept: Option<Vec<(i32, i32)>>,
    pub(super) quantising: Option<Quantising>,
}

#[derive(Clone, Copy)]
pub(super) struct Quantising {
    pub(super) part_columns: u32,
    pub(super) norms: bool,
    pub(super) output: bool,
}

const DIM: u32 = 5;
const BUCKETS: u32 = 64;
const WORDS: [&[u8]; 5] = [b"</s>", b"kari", b"mote", b"caf\xe9", "ñandú".as_bytes()];
const LABELS: [(&[u8], i64); 3] = [(b"__label__a", 9), (b"__label__b\xe9", 4), (b"other", 4)];

impl Default for Made {
    fn default() -> Self {
        Self { loss: 3, word_ngrams: 2, minn: 0, maxn: 0, kept: None, quantising: None }
    }
}

impl Made {
    /// Where the dictionary ends and the matrices begin.
    pub(super) fn matrices_at(&self) -> usize {
        self.head().len()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = self.head();
        let ngrams = self.kept.as_ref().map_or(BUCKETS as usize, Vec::len);
        matrix(&mut out, WORDS.len() + ngrams, self.quantising);
        matrix(&mut out, LABELS.len(), self.quantising.filter(|quantising| quantising.output));
        out
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut numbers = vec![793_712_314, 12, DIM as i32, 5, 5, 1, 5, self.word_ngrams, self.loss, 3];
        numbers.extend([BUCKETS as i32, self.minn, self.maxn, 100]);
        put(&mut out, &numbers);
        out.extend(1e-4_f64.to_le_bytes());
        let entries = WORDS.len() + LABELS.len();
        put(&mut out, &[entries as i32, WORDS.len() as i32, LABELS.len() as i32]);
        out.extend(1000_i64.to_le_bytes());
        out.extend(self.kept.as_ref().map_or(-1, |kept| kept.len() as i64).to_le_bytes());
        let words = WORDS.iter().map(|word| (*word, 10, 0));
        for (name, count, kind) in words.chain(LABELS.iter().map(|(name, count)| (*name, *count, 1))) {
            out.extend(name);
            out.push(0);
            out.extend(count.to_le_bytes());
            out.push(kind);
        }
        for (bucket, row) in self.kept.iter().flatten() {
            put(&mut out, &[*bucket, *row]);
        }
        out
    }
}

fn put(out: &mut Vec<u8>, numbers: &[i32]) {
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// Floats between -1 and 1 that differ.
fn floats(out: &mut Vec<u8>, count: usize) {
    out.extend((0..count).flat_map(|at| ((at * 7919 % 2003) as f32 / 1001.5 - 1.0).to_le_bytes()));
}

/// A byte that says whether it is quantised, and the matrix.
fn matrix(out: &mut Vec<u8>, rows: usize, quantising: Option<Quantising>) {
    out.push(u8::from(quantising.is_some()));
    if let Some(quantising) = quantising {
        out.push(u8::from(quantising.norms));
    }
    out.extend((rows as i64).to_le_bytes());
    out.extend(i64::from(DIM).to_le_bytes());
    let Some(quantising) = quantising else { return floats(out, rows * DIM as usize) };
    let parts = DIM.div_ceil(quantising.part_columns);
    let codes = rows * parts as usize;
    put(out, &[codes as i32]);
    out.extend((0..codes).map(|at| (at * 101) as u8));
    quantizer(out, DIM, quantising.part_columns);
    if quantising.norms {
        out.extend((0..rows).map(|at| (at * 59) as u8));
        quantizer(out, 1, 1);
    }
}

fn quantizer(out: &mut Vec<u8>, columns: u32, part_columns: u32) {
    let parts = columns.div_ceil(part_columns);
    let last = columns - (parts - 1) * part_columns;
    put(out, &[columns as i32, parts as i32, part_columns as i32, last as i32]);
    floats(out, columns as usize * 256);
}
