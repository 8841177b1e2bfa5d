//! From the mean of a text's rows to the probabilities of its labels.
//!
//! Rules from fastText's `src/loss.cc`. Scores are `log(p + 1e-5)` and the probability reported is their exponential: 1e-5 too much,
//! and so up to 1.00001. One-vs-all and negative sampling look the sigmoid up in a table of 512 steps from -8 to 8.
//! A hierarchical softmax goes down the tree depth first, left before right, and leaves out what has less than 1e-5 and what cannot come
//! in among the k best.

use crate::ModelError;
use crate::dictionary::Label;
use crate::heap::{Best, Scored};
use crate::matrix::Matrix;
use crate::reader::Reader;

const SIGMOID_STEPS: i32 = 512;
const SIGMOID_MAX: f32 = 8.0;
/// fastText counts a node that has not been made yet as this often seen.
const UNMADE: i64 = 1_000_000_000_000_000;

/// How the output matrix is turned into probabilities.
pub(crate) enum Loss {
    /// One distribution over all labels.
    Softmax,
    /// Each label by itself (one-vs-all; negative sampling predicts alike). Holds the sigmoid.
    Sigmoid(Box<[f32]>),
    /// A Huffman tree of decisions.
    Hierarchical(Tree),
}

/// Nodes below the number of labels are leaves; the others follow in the order in which they were made, the root last.
pub(crate) struct Tree {
    leaves: usize,
    /// Left and right of each inner node.
    children: Box<[[u32; 2]]>,
}

/// Buffers that one text after the other uses.
#[derive(Default)]
pub(crate) struct Buffers {
    output: Vec<f32>,
    path: Vec<(u32, f32)>,
    pub(crate) best: Vec<Scored>,
}

/// `log(p + 1e-5)`, in double precision and rounded once.
fn score(probability: f32) -> f32 {
    (f64::from(probability) + 1e-5).ln() as f32
}

impl Loss {
    /// A sigmoid read from a table, as training did.
    pub(crate) fn sigmoid() -> Self {
        let at = |step: i32| {
            let x = (step * 2 * SIGMOID_MAX as i32) as f32 / SIGMOID_STEPS as f32 - SIGMOID_MAX;
            (1.0 / (1.0 + f64::from((-x).exp()))) as f32
        };
        Self::Sigmoid((0..=SIGMOID_STEPS).map(at).collect())
    }

    /// Fills `buffers.best` with the `k` best labels, best first. It stays empty if the model holds numbers that are none.
    pub(crate) fn predict(
        &self,
        output: &Matrix,
        blob: &[u8],
        hidden: &[f32],
        k: usize,
        buffers: &mut Buffers,
    ) {
        let Buffers { output: values, path, best: entries } = buffers;
        let labels = output.rows as usize;
        let mut best = Best::new(entries, k);
        if let Self::Hierarchical(tree) = self {
            if tree.walk(output, blob, hidden, path, &mut best) {
                best.sort();
            } else {
                entries.clear();
            }
            return;
        }
        values.resize(labels, 0.0);
        output.products(blob, 0, hidden, values);
        if values.iter().any(|value| value.is_nan()) {
            return;
        }
        match self {
            Self::Sigmoid(table) => values.iter_mut().for_each(|value| *value = look_up(table, *value)),
            _ => softmax(values),
        }
        for (label, probability) in (0..).zip(values) {
            let score = score(*probability);
            if !score.is_nan() && !best.refuses(score) {
                best.push(Scored { score, label });
            }
        }
        best.sort();
    }
}

fn softmax(values: &mut [f32]) {
    let highest = values.iter().fold(f32::NEG_INFINITY, |highest, value| value.max(highest));
    let mut sum = 0.0;
    for value in &mut *values {
        // The exponential is taken in double precision in C++, and only there.
        *value = f64::from(*value - highest).exp() as f32;
        sum += *value;
    }
    for value in values {
        *value /= sum;
    }
}

fn look_up(table: &[f32], x: f32) -> f32 {
    if x < -SIGMOID_MAX {
        return 0.0;
    }
    if x > SIGMOID_MAX {
        return 1.0;
    }
    let step = (x + SIGMOID_MAX) * SIGMOID_STEPS as f32 / SIGMOID_MAX / 2.0;
    table.get(step as usize).copied().unwrap_or(1.0)
}

impl Tree {
    /// The Huffman tree over labels in the order of the dictionary, which is by falling count.
    pub(crate) fn new(labels: &[Label], reader: &Reader<'_>) -> Result<Self, ModelError> {
        let leaves = labels.len();
        let mut counts: Vec<i64> = labels.iter().map(|label| label.count).collect();
        let mut children = Vec::with_capacity(leaves - 1);
        let (mut leaf, mut node) = (leaves, leaves);
        for _ in 1..leaves {
            let mut take = || {
                let leaf_count = leaf.checked_sub(1).and_then(|last| counts.get(last).copied());
                let node_count = counts.get(node).copied();
                match (leaf_count, node_count) {
                    (Some(leaf_count), other) if leaf_count < other.unwrap_or(UNMADE) => {
                        leaf -= 1;
                        Some((leaf, leaf_count))
                    }
                    (_, Some(node_count)) => {
                        node += 1;
                        Some((node - 1, node_count))
                    }
                    // C++ would make the node its own child here.
                    (_, None) => None,
                }
            };
            let (Some(left), Some(right)) = (take(), take()) else {
                return Err(
                    reader.corrupt("the dictionary", "that a label was seen more than 1e15 times".into())
                );
            };
            children.push([left.0 as u32, right.0 as u32]);
            counts.push(left.1.saturating_add(right.1));
        }
        Ok(Self { leaves, children: children.into_boxed_slice() })
    }

    /// Says whether all went well; it does not where a weight is no number.
    fn walk(
        &self,
        output: &Matrix,
        blob: &[u8],
        hidden: &[f32],
        path: &mut Vec<(u32, f32)>,
        best: &mut Best<'_>,
    ) -> bool {
        let lowest = score(0.0);
        let root = (self.leaves + self.children.len() - 1) as u32;
        path.clear();
        path.push((root, 0.0));
        while let Some((node, so_far)) = path.pop() {
            if so_far < lowest || best.refuses(so_far) {
                continue;
            }
            let inner = (node as usize).checked_sub(self.leaves);
            let Some((inner, [left, right])) =
                inner.and_then(|inner| Some((inner, self.children.get(inner)?)))
            else {
                best.push(Scored { score: so_far, label: node });
                continue;
            };
            let product = output.product(blob, inner, hidden);
            if product.is_nan() {
                return false;
            }
            let go_right = (1.0 / f64::from(1.0 + (-product).exp())) as f32;
            let go_left = (1.0 - f64::from(go_right)) as f32;
            path.push((*right, so_far + score(go_right)));
            path.push((*left, so_far + score(go_left)));
        }
        true
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.children)
    }
}
