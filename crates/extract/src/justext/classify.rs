//! Which paragraphs are good: first each by itself, then the undecided by their neighbours.

use rustc_hash::FxHashSet;

use super::JustextOptions;
use super::paragraphs::{Paragraph, Paragraphs};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Good,
    NearGood,
    Short,
    Bad,
}

/// Whether each paragraph is good.
pub(super) fn classify(
    paragraphs: &Paragraphs,
    options: &JustextOptions,
    stop_words: &FxHashSet<Box<str>>,
) -> Vec<bool> {
    let mut word = String::new();
    let alone: Vec<Class> = paragraphs
        .list
        .iter()
        .map(|paragraph| {
            let text = paragraphs.text(paragraph);
            by_itself(paragraph, text, options, |text| stop_word_density(text, stop_words, &mut word))
        })
        .collect();
    let mut classes = alone.clone();
    decide_short(&mut classes);
    decide_near_good(&mut classes);
    if !options.no_headings {
        raise_headings(&paragraphs.list, &alone, &mut classes, options.max_heading_distance);
    }
    classes.iter().map(|class| *class == Class::Good).collect()
}

fn by_itself(
    paragraph: &Paragraph,
    text: &str,
    options: &JustextOptions,
    density: impl FnOnce(&str) -> f64,
) -> Class {
    if paragraph.link_chars as f64 / paragraph.chars as f64 > options.max_link_density
        || text.contains('©')
        || text.contains("&copy")
    {
        return Class::Bad;
    }
    if paragraph.chars < options.length_low {
        return if paragraph.link_chars > 0 { Class::Bad } else { Class::Short };
    }
    let density = density(text);
    if density >= options.stopwords_high {
        if paragraph.chars > options.length_high { Class::Good } else { Class::NearGood }
    } else if density >= options.stopwords_low {
        Class::NearGood
    } else {
        Class::Bad
    }
}

/// The share of a text's words that are function words.
fn stop_word_density(text: &str, stop_words: &FxHashSet<Box<str>>, lower: &mut String) -> f64 {
    if stop_words.is_empty() {
        return 0.0;
    }
    let (mut words, mut stops) = (0u32, 0u32);
    for word in text.split_whitespace() {
        words += 1;
        lower.clear();
        if word.is_ascii() {
            lower.push_str(word);
            lower.make_ascii_lowercase();
        } else {
            lower.push_str(&word.to_lowercase());
        }
        stops += u32::from(stop_words.contains(lower.as_str()));
    }
    f64::from(stops) / f64::from(words.max(1))
}

/// For each place the nearest class before it that `counts`; bad at the edge.
fn nearest_before(classes: &[Class], counts: impl Fn(Class) -> bool) -> Vec<Class> {
    let mut last = Class::Bad;
    classes
        .iter()
        .map(|&class| {
            let before = last;
            if counts(class) {
                last = class;
            }
            before
        })
        .collect()
}

/// The same for the nearest class after it.
fn nearest_after(classes: &[Class], counts: impl Fn(Class) -> bool) -> Vec<Class> {
    let reversed: Vec<Class> = classes.iter().rev().copied().collect();
    let mut nearest = nearest_before(&reversed, counts);
    nearest.reverse();
    nearest
}

fn is_decided(class: Class) -> bool {
    matches!(class, Class::Good | Class::Bad)
}

/// Short paragraphs are what is around them; between good and bad they are good if something near good is next to them.
fn decide_short(classes: &mut [Class]) {
    let is_known = |class| class != Class::Short;
    let (before, after) = (nearest_before(classes, is_decided), nearest_after(classes, is_decided));
    let (near_before, near_after) = (nearest_before(classes, is_known), nearest_after(classes, is_known));
    for (at, class) in classes.iter_mut().enumerate().filter(|(_, class)| **class == Class::Short) {
        let is_good = match (before[at], after[at]) {
            (Class::Good, Class::Good) => true,
            (Class::Bad, Class::Bad) => false,
            (before, after) => {
                (before == Class::Bad && near_before[at] == Class::NearGood)
                    || (after == Class::Bad && near_after[at] == Class::NearGood)
            }
        };
        *class = if is_good { Class::Good } else { Class::Bad };
    }
}

/// What is near good is good unless both neighbours are bad; what was decided before counts as a neighbour.
fn decide_near_good(classes: &mut [Class]) {
    let after = nearest_after(classes, is_decided);
    let mut before = Class::Bad;
    for (class, after) in classes.iter_mut().zip(after) {
        if *class == Class::NearGood {
            *class = if before == Class::Bad && after == Class::Bad { Class::Bad } else { Class::Good };
        }
        before = *class;
    }
}

/// Short headings that are near enough before a good paragraph are good.
fn raise_headings(paragraphs: &[Paragraph], alone: &[Class], classes: &mut [Class], max_distance: usize) {
    for at in 0..classes.len() {
        if !paragraphs[at].is_heading || classes[at] != Class::Bad || alone[at] == Class::Bad {
            continue;
        }
        let mut distance = 0;
        // No paragraph is empty, so this ends within the distance.
        for next in at + 1..classes.len() {
            if distance > max_distance {
                break;
            }
            if classes[next] == Class::Good {
                classes[at] = Class::Good;
                break;
            }
            distance += paragraphs[next].chars;
        }
    }
}
