//! Near-duplicates among 528 real texts, against all pairs' exact Jaccard similarities.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use gristmill_dedup::keyfile::{FOOTER_BYTES, Footer, Writer};
use gristmill_dedup::minhash::{PRESETS, Params, Signer, probability};
use gristmill_dedup::sets::{self, Measure, Sets};
use gristmill_dedup::shingle::{Shingler, Unit, jaccard};
use gristmill_dedup::sort::{Noted, Plain, Sorter};
use gristmill_dedup::stream::{Rows, Stream};
use gristmill_dedup::{bucket, components, verify};
use gristmill_tests::{jsonl, shared};

/// Texts in file order, and the listed pairs as places in it.
struct Corpus {
    texts: Vec<String>,
    pairs: BTreeMap<(usize, usize), f64>,
}

fn corpus() -> Option<Corpus> {
    let (documents, pairs) = (shared("data/dedup/docs.jsonl.zst")?, shared("data/dedup/pairs.jsonl.zst")?);
    let documents = jsonl(&documents);
    let place: BTreeMap<&str, usize> = documents
        .iter()
        .enumerate()
        .map(|(at, document)| (document["id"].as_str().expect("an id"), at))
        .collect();
    let pairs = jsonl(&pairs)
        .iter()
        .map(|pair| {
            let at = |key: &str| place[pair[key].as_str().expect("an id")];
            let (a, b) = (at("a"), at("b"));
            ((a.min(b), a.max(b)), pair["jaccard"].as_f64().expect("a number"))
        })
        .collect();
    let texts =
        documents.iter().map(|document| document["text"].as_str().expect("a text").to_owned()).collect();
    Some(Corpus { texts, pairs })
}

#[test]
fn shingles_give_the_exact_similarity_of_every_pair() {
    let Some(Corpus { texts, pairs }) = corpus() else { return };
    let mut shingler = Shingler::new(Unit::Words, 5, 1);
    let sets: Vec<Vec<u64>> = texts
        .iter()
        .map(|text| {
            let mut set = Vec::new();
            shingler.set(text, &mut set);
            set
        })
        .collect();
    let mut found = 0;
    for (a, left) in sets.iter().enumerate() {
        for (b, right) in sets.iter().enumerate().skip(a + 1) {
            let got = jaccard(left, right);
            match pairs.get(&(a, b)) {
                Some(listed) => {
                    found += 1;
                    // The list has six decimals.
                    assert!((got - listed).abs() < 5e-7 + 1e-9, "{a} and {b}: {got}, listed {listed}");
                }
                None => assert!(got < 0.6, "{a} and {b} are not listed and have {got}"),
            }
        }
    }
    assert_eq!(found, pairs.len());
}

/// Places in the corpus.
type Pairs = BTreeSet<(usize, usize)>;
type Edges = Vec<(u64, u64)>;

/// The pairs that meet in at least one band, by way of a key file and its buckets; the stars that connect them; and where the
/// documents of each band are compared.
fn candidates(texts: &[String], params: &Params) -> (Pairs, Edges, Edges) {
    let mut signer = Signer::new(params).expect("possible");
    let mut writer = Writer::<u64, Plain, _, _>::new(64 << 10, || Ok(Cursor::new(Vec::new())));
    let mut keys = Vec::new();
    for (ordinal, text) in (0..).zip(texts) {
        signer.band_keys(text, &mut keys);
        for &key in &keys {
            writer.push(key, ordinal, &[]).expect("memory");
        }
    }
    let mut file = Vec::new();
    writer.finish(&mut file).expect("memory");
    let footer = Footer::<u64>::parse("keys", &file[file.len() - FOOTER_BYTES..]).expect("sound");
    let (mut pairs, mut edges, mut meetings) = (Pairs::new(), Vec::new(), Vec::new());
    for index in 0..16 {
        let (offset, length) = footer.byte_range(index, 16);
        let open =
            || footer.bucket(index, 16, 0, &file[offset as usize..][..length as usize]).expect("sound");
        bucket::edges(&mut open(), |first, other| {
            edges.push((first, other));
            Ok(())
        })
        .expect("sound");
        bucket::meetings(&mut open(), 32, |member, place| {
            meetings.push((member, place));
            Ok(())
        })
        .expect("sound");
        let (mut rows, mut group) = (open(), Vec::new());
        let mut current = None;
        while let Some((key, node)) = rows.row() {
            if current != Some(key) {
                group.clear();
                current = Some(key);
            }
            pairs.extend(group.iter().map(|&member| (member as usize, node as usize)));
            group.push(node);
            rows.advance().expect("sound");
        }
    }
    meetings.sort_unstable();
    meetings.dedup();
    (pairs, edges, meetings)
}

fn labels(edges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let rows = || Ok(Rows::new(edges.to_vec()));
    let mut labels = components::in_memory(edges.len() as u64, rows).expect("memory");
    let mut out = Vec::new();
    while let Some(row) = labels.row() {
        out.push(row);
        labels.advance().expect("memory");
    }
    let scratch = || Ok(Cursor::new(Vec::new()));
    let (mut on_disk, _) = components::by_rounds(&mut Rows::new(edges.to_vec()), 0, scratch).expect("memory");
    for label in &out {
        assert_eq!(on_disk.row().as_ref(), Some(label), "both ways label alike");
        on_disk.advance().expect("memory");
    }
    assert_eq!(on_disk.row(), None);
    out
}

/// Edges of Jaccard similarity 0.8 and above, by way of a set file and two joins.
fn verify(texts: &[String], params: &Params, meetings: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    let mut file = Vec::new();
    let mut writer = sets::Writer::new(&mut file);
    let mut signer = Signer::new(params).expect("possible");
    for (ordinal, text) in (0..).zip(texts) {
        signer.signature(text);
        writer.push(ordinal, signer.shingle_set()).expect("in order");
    }
    writer.finish().expect("memory");
    let set_of = || {
        let mut sets = Sets::open("sets", &file[..], file.len() as u64, 0).expect("sound");
        move |node: u64, out: &mut Vec<u8>| {
            out.extend_from_slice(sets.seek(node)?);
            Ok(())
        }
    };
    let mut sorter = Sorter::<u64, Noted, _, _>::new(1 << 20, || Ok(Cursor::new(Vec::new())));
    verify::attach(&mut Rows::new(meetings), set_of(), |b, a, set| sorter.push(b, a, set)).expect("sound");
    let mut verified = Vec::new();
    let mut attached = sorter.finish().expect("memory");
    verify::compare(&mut attached, set_of(), Measure::Jaccard, 0.8, |a, b, _| {
        verified.push((a.min(b), a.max(b)));
        Ok(())
    })
    .expect("sound");
    verified
}

#[test]
fn bands_find_what_the_s_curve_promises() {
    let Some(Corpus { texts, pairs }) = corpus() else { return };
    for (preset, bands, rows) in PRESETS {
        let met =
            [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9].map(|j| format!("{:.3}", probability(j, bands, rows)));
        println!("{preset} {bands}×{rows}: {}", met.join(" "));
    }
    // The numbers are what these seeds find of the 857 pairs at 0.8 and above, and the components then, of which there
    // are 180 in truth, single documents included; so that a change shows.
    for (preset, similar_found, components_left) in
        [("dclm", 856, 181), ("fineweb", 856, 180), ("olmo", 848, 183)]
    {
        let params = Params::preset(preset).expect("known");
        let (candidates, edges, meetings) = candidates(&texts, &params);
        let (mut promised, mut variance, mut found) = (0.0, 0.0_f64, 0);
        for (pair, &similarity) in pairs.iter().filter(|pair| *pair.1 >= 0.8) {
            let p = probability(similarity, params.bands, params.rows);
            promised += p;
            variance += p * (1.0 - p);
            found += usize::from(candidates.contains(pair));
        }
        // Pairs share documents, so their chances are not independent: versions of one text come and go together. Four
        // standard deviations of independent pairs, and as much again for that.
        let least = promised - 8.0 * variance.sqrt();
        println!("{preset}: {found} of 857 pairs at 0.8 and above, {promised:.1} promised");
        assert!(found as f64 >= least, "{preset}: {found} found, {promised:.1} promised");
        assert_eq!(found, similar_found, "{preset}: {promised:.1} promised");

        // The stars that the buckets emit connect exactly what the candidate pairs connect.
        let all: Vec<(u64, u64)> = candidates.iter().map(|&(a, b)| (a as u64, b as u64)).collect();
        assert_eq!(labels(&edges), labels(&all), "{preset}");

        // Verified at 0.8, nothing else is joined than what is similar, and all that is similar and met is connected.
        let verified = verify(&texts, &params, meetings);
        for (a, b) in &verified {
            let similarity = pairs.get(&(*a as usize, *b as usize));
            assert!(
                similarity.is_some_and(|&similarity| similarity >= 0.8),
                "{preset}: {a} and {b} were joined"
            );
        }
        let joined = labels(&verified);
        let label: BTreeMap<u64, u64> = joined.iter().copied().collect();
        for (a, b) in pairs.iter().filter(|(pair, s)| **s >= 0.8 && candidates.contains(pair)).map(|p| p.0) {
            assert!(label.contains_key(&(*a as u64)), "{preset}: {a} is alone");
            assert_eq!(label.get(&(*a as u64)), label.get(&(*b as u64)), "{preset}: {a} and {b}");
        }
        // A missed pair splits a component only where nothing else connects its documents.
        let roots = joined.iter().filter(|row| row.0 == row.1).count();
        assert_eq!(texts.len() - joined.len() + roots, components_left, "{preset}");
    }
}
