//! `fasttext`

use super::shared::{add_field, apply, check_key, load_model};
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_classify::preprocess;
use gristmill_classify::tokens::{Token, tokens};
use gristmill_classify::{Model, Scratch};
use gristmill_filters::lines::Edit;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct Fasttext;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The file of a fastText model, `.bin` or `.ftz`.
    model: Option<String>,
    /// The label whose probability is the score, without `__label__`.
    label: Option<String>,
    /// In place of `label`: write this many labels with their probabilities, the likeliest first [1].
    top_k: Option<usize>,
    /// The field that holds what is found.
    key: Option<String>,
    /// Several models that read the same, each with `model`, `key` and `label` or `top_k`; in place of these.
    models: Vec<Classifier>,
    /// What is done to a text before the models read it.
    preprocess: Preprocess,
    /// What is judged by itself.
    level: Level,
    /// Read no more than the first characters of a document, paragraph or line. Without it all of it is read.
    max_chars: Option<usize>,
    /// Of lines or paragraphs: take those out of the text that score less.
    threshold: Option<f64>,
    /// Replace a field that is there; otherwise such a page is broken.
    overwrite: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            model: None,
            label: None,
            top_k: None,
            key: None,
            models: Vec::new(),
            preprocess: Preprocess::Quality,
            level: Level::Document,
            max_chars: None,
            threshold: None,
            overwrite: false,
        }
    }
}

/// A model and what is wanted of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Classifier {
    /// As above.
    model: String,
    /// As above.
    #[serde(default)]
    label: Option<String>,
    /// As above.
    #[serde(default)]
    top_k: Option<usize>,
    /// As above.
    key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Preprocess {
    /// As before DCLM's quality classifier: white space at both ends goes, lines are joined by blanks.
    Quality,
    /// As before DCLM's language identification: newlines are deleted; blanks and ASCII punctuation alone have no label.
    Language,
    /// Nothing.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Level {
    Document,
    /// What an empty line separates.
    Paragraph,
    Line,
}

impl Params {
    fn classifiers(&self) -> Result<Vec<Classifier>, BuildError> {
        let Self { model, label, top_k, key, models, .. } = self;
        match (model, key) {
            (Some(model), Some(key)) if models.is_empty() => {
                let (label, top_k) = (label.clone(), *top_k);
                Ok(vec![Classifier { model: model.clone(), label, top_k, key: key.clone() }])
            }
            (None, None) if label.is_none() && top_k.is_none() && !models.is_empty() => Ok(models.clone()),
            _ if models.is_empty() => Err(BuildError::new("a model needs `model` and `key`")),
            _ => Err(BuildError::new(
                "`models` stands in place of `model`, `label`, `top_k` and `key`; move them into its list",
            )),
        }
    }
}

impl Step for Fasttext {
    const NAME: &'static str = "fasttext";
    const DOC: &'static str = "Classifies documents, or their lines or paragraphs, with fastText models of any kind.\n\n\
        With `label` a score is written: that label's probability, 0 where the model knows nothing of the text. Otherwise \
        `{label: probability}` is, of the likeliest `top_k` labels. Both are what fastText itself predicts; it reports up to 1.00001.\n\n\
        `level: line` and `level: paragraph` write a list, with an entry for each line (what `\\n` separates) or paragraph (what `\\n\\n` \
        separates), `null` where one is blank. With `threshold` those that score less are taken out of the text, blank ones stay, and the list \
        is that of the text that is left; a page of which nothing is left is dropped. For documents `quality_filter` keeps by a score and \
        `language_filter` by labels.\n\n\
        Several models in `models` share the work before the first look at a model, and any number of steps share one copy of a model. Whole texts \
        are read unless `max_chars` says otherwise.";
    const ORIGIN: &'static str =
        "Joulin et al. 2016, arXiv 1607.01759; facebookresearch/fastText, src/fasttext.cc (predict)";
    const EXAMPLE: &'static str = "{model: quality.bin, label: hq, key: quality}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        let classifiers = params.classifiers()?;
        let mut keys = BTreeSet::new();
        for Classifier { key, label, top_k, .. } in &classifiers {
            check_key(key)?;
            if !keys.insert(key) {
                return Err(BuildError::new(format!("two models write the field {key}; give each its own")));
            }
            if label.is_some() && top_k.is_some() {
                return Err(BuildError::new(
                    "`label` asks for one score and `top_k` for many; leave one out",
                ));
            }
            if *top_k == Some(0) {
                return Err(BuildError::new("top_k is 0; nothing would be written"));
            }
        }
        if params.max_chars == Some(0) {
            return Err(BuildError::new("max_chars is 0; nothing would be read"));
        }
        if params.threshold.is_some() {
            if params.level == Level::Document {
                return Err(BuildError::new(
                    "`threshold` is for lines and paragraphs; for documents add a `quality_filter`",
                ));
            }
            if !matches!(&classifiers[..], [Classifier { label: Some(_), .. }]) {
                return Err(BuildError::new("`threshold` needs one model and its `label`"));
            }
        }
        Ok(())
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        let classifiers = params.classifiers().unwrap_or_default();
        classifiers.iter().map(|classifier| Wanted::named(&classifier.model)).collect()
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let mut judges = params
            .classifiers()?
            .into_iter()
            .map(|classifier| Judge::load(classifier, cx))
            .collect::<Result<Vec<_>, _>>()?;
        let params = params.clone();
        let separator = match params.level {
            Level::Document => None,
            Level::Paragraph => Some("\n\n"),
            Level::Line => Some("\n"),
        };
        Ok(Built::text(move |text, fields| {
            let found = match separator {
                None => params.judge(&mut judges, text.as_str()),
                Some(separator) => {
                    let units: Vec<&str> = text.as_str().split(separator).collect();
                    let mut lists = params.judge_units(&mut judges, &units);
                    if let (Some(threshold), [scores]) = (params.threshold, &mut lists[..]) {
                        let edit = retain(&units, scores, separator, threshold);
                        match apply(text, edit) {
                            Verdict::Keep => {}
                            dropped => return dropped,
                        }
                    }
                    lists.into_iter().map(Value::Array).collect()
                }
            };
            for (judge, found) in judges.iter().zip(found) {
                match add_field(fields, &judge.key, params.overwrite, found) {
                    Verdict::Keep => {}
                    broken => return broken,
                }
            }
            Verdict::Keep
        }))
    }
}

/// A model, for one lane.
struct Judge {
    model: Arc<Model>,
    scratch: Scratch,
    wanted: Labels,
    key: String,
}

/// What is wanted of a model.
enum Labels {
    Score(u32),
    Top(usize),
}

impl Judge {
    fn load(
        Classifier { model: name, label, top_k, key }: Classifier,
        cx: &Context,
    ) -> Result<Self, BuildError> {
        /// Labels that an error lists.
        const SHOWN: usize = 10;
        let model = load_model(cx.resources, &name)?;
        let wanted = match label {
            None => Labels::Top(top_k.unwrap_or(1)),
            Some(label) => Labels::Score(model.label(&label).ok_or_else(|| {
                let known: Vec<&str> = model.labels().iter().take(SHOWN).map(String::as_str).collect();
                let more = if model.labels().len() > SHOWN { ", …" } else { "" };
                BuildError::new(format!("{name} has no label {label:?}; it has {}{more}", known.join(", ")))
            })?),
        };
        Ok(Self { model, scratch: Scratch::default(), wanted, key })
    }

    fn judge<'t>(&mut self, tokens: impl IntoIterator<Item = Token<'t>>) -> Value {
        match self.wanted {
            Labels::Score(label) => {
                f64::from(self.model.probability_tokens(&mut self.scratch, tokens, label)).into()
            }
            Labels::Top(k) => {
                let best = self.model.predict_tokens(&mut self.scratch, tokens, k);
                let named = best.iter().filter_map(|best| {
                    let label = self.model.labels().get(best.label as usize)?;
                    Some((label.clone(), f64::from(best.probability).into()))
                });
                named.collect::<Map<_, _>>().into()
            }
        }
    }

    /// What stands for a text that no model is to read.
    fn nothing(&self) -> Value {
        match self.wanted {
            Labels::Score(_) => 0.0.into(),
            Labels::Top(_) => Map::new().into(),
        }
    }
}

impl Params {
    /// What each model says of a text.
    fn judge(&self, judges: &mut [Judge], text: &str) -> Vec<Value> {
        let text = self.max_chars.map_or(text, |max| {
            text.char_indices().nth(max).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
        });
        let input = match self.preprocess {
            Preprocess::Quality => preprocess::quality(text),
            Preprocess::Language => match preprocess::lid_whole_page(text) {
                Some(input) => input,
                None => return judges.iter().map(Judge::nothing).collect(),
            },
            Preprocess::None => Cow::Borrowed(text),
        };
        match judges {
            [judge] => vec![judge.judge(tokens(&input))],
            judges => {
                let words: Vec<Token<'_>> = tokens(&input).collect();
                judges.iter_mut().map(|judge| judge.judge(words.iter().copied())).collect()
            }
        }
    }

    /// The list of each model.
    fn judge_units(&self, judges: &mut [Judge], units: &[&str]) -> Vec<Vec<Value>> {
        let mut lists = vec![Vec::with_capacity(units.len()); judges.len()];
        for unit in units {
            if unit.trim().is_empty() {
                for list in &mut lists {
                    list.push(Value::Null);
                }
                continue;
            }
            for (list, value) in lists.iter_mut().zip(self.judge(judges, unit)) {
                list.push(value);
            }
        }
        lists
    }
}

/// Takes out the units that score below the threshold, and their scores. If only blank ones are left, nothing is.
fn retain(units: &[&str], scores: &mut Vec<Value>, separator: &str, threshold: f64) -> Edit {
    let reaches = |score: &Value| score.as_f64().is_none_or(|score| score >= threshold);
    if scores.iter().all(reaches) {
        return Edit::Unchanged;
    }
    let left = units.iter().zip(&*scores).filter(|(_, score)| reaches(score)).map(|(unit, _)| *unit);
    let left = left.collect::<Vec<_>>().join(separator);
    scores.retain(reaches);
    if scores.iter().all(Value::is_null) { Edit::Gone } else { Edit::Changed(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::check::{check_with, keep};
    use serde_json::json;

    /// A model of three labels, `hq`, `cc` and `ads`, that knows a word for each and the end of a line.
    fn model() -> Vec<u8> {
        let numbers = |numbers: &[i32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let mut bytes = numbers(&[793_712_314, 12, 3, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100, 0, 0]);
        bytes.extend(numbers(&[7, 4, 3, 0, 0, -1, -1]));
        let entries = ["</s>", "good", "shop", "spam", "__label__hq", "__label__cc", "__label__ads"];
        for (entry, is_label) in entries.iter().zip([0, 0, 0, 0, 1, 1, 1]) {
            bytes.extend(entry.as_bytes());
            bytes.extend([0, 1, 0, 0, 0, 0, 0, 0, 0, is_label]);
        }
        let rows: [&[f32]; 2] = [
            &[0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 8.0],
            &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        ];
        for matrix in rows {
            bytes.push(0);
            bytes.extend(numbers(&[(matrix.len() / 3) as i32, 0, 3, 0]));
            bytes.extend(matrix.iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes
    }

    #[track_caller]
    fn check(step: &str, page: &Value, expected: &str) {
        let model = model();
        let files = [("a.bin", &model[..]), ("b.bin", &model[..]), ("none.bin", &b"hello"[..])];
        check_with(&files, &format!("fasttext: {step}"), &page.to_string(), expected);
    }

    /// What fastText says of a text: a label's probability.
    fn score(text: &str, label: &str) -> f64 {
        let model = Model::load(Arc::new(model())).unwrap();
        f64::from(model.probability(&mut Scratch::default(), text, model.label(label).unwrap()))
    }

    #[test]
    fn a_document_is_scored_whole() {
        let text = format!("good{} shop", " word".repeat(5000));
        let scored = |text: &str, score: f64| keep(&json!({"text": text, "q": score}).to_string());
        check(
            "{model: a.bin, label: hq, key: q}",
            &json!({"text": text}),
            &scored(&text, score(&text, "hq")),
        );
        assert_ne!(score(&text, "hq").to_bits(), score("good", "hq").to_bits());
        // Cut after `good`, whatever comes behind; a cut beyond the end is none.
        let step = "{model: a.bin, label: hq, key: q, max_chars: 5}";
        check(step, &json!({"text": text}), &scored(&text, score("good", "hq")));
        check(step, &json!({"text": "é shop"}), &scored("é shop", score("é sho", "hq")));
        check(step, &json!({"text": "shop"}), &scored("shop", score("shop", "hq")));
        check(step, &json!({"text": "x", "q": 1}), "broken: field q is there already");
    }

    #[test]
    fn the_likeliest_labels_are_written() {
        let page = json!({"text": "spam spam good"});
        let (ads, hq) = (score("spam spam good", "ads"), score("spam spam good", "hq"));
        let expected = |found: Value| keep(&json!({"text": "spam spam good", "l": found}).to_string());
        check("{model: a.bin, key: l}", &page, &expected(json!({"ads": ads})));
        check("{model: a.bin, key: l, top_k: 2}", &page, &expected(json!({"ads": ads, "hq": hq})));
    }

    #[test]
    fn preprocessing_is_dclms() {
        let step =
            |how: &str| format!("{{model: a.bin, label: hq, key: q, overwrite: true, preprocess: {how}}}");
        // A line separator of Unicode joins words for fastText; a newline that is deleted does, too.
        for (text, how, read) in [
            ("go\nod\u{2028}good", "quality", "go od good"),
            ("go\nod\u{2028}good", "language", "good\u{2028}good"),
            ("go\nod\u{2028}good", "none", "go od\u{2028}good"),
        ] {
            let expected = keep(&json!({"text": text, "q": score(read, "hq")}).to_string());
            check(&step(how), &json!({"text": text, "q": 0}), &expected);
        }
        check(&step("language"), &json!({"text": " ."}), &keep(&json!({"text": " .", "q": 0.0}).to_string()));
    }

    #[test]
    fn lines_and_paragraphs_are_scored_apart_and_may_go() {
        let (good, shop) = (score("good", "hq"), score("shop", "hq"));
        let page = |text: &str| json!({"text": text});
        let kept = |text: &str, scores: Value| keep(&json!({"text": text, "q": scores}).to_string());
        let lines = "{model: a.bin, label: hq, key: q, level: line";
        let text = "good\n \nshop\ngood";
        check(&format!("{lines}}}"), &page(text), &kept(text, json!([good, null, shop, good])));
        let threshold = format!("{lines}, threshold: 0.5}}");
        check(&threshold, &page(text), &kept("good\n \ngood", json!([good, null, good])));
        check(&threshold, &page("good"), &kept("good", json!([good])));
        check(&threshold, &page(" \n"), &kept(" \n", json!([null, null])));
        check(&threshold, &page("shop\n \nshop"), "drop: nothing left");
        let text = "good\ngood\n\nshop\n\n\n\n";
        let paragraphs = "{model: a.bin, label: hq, key: q, level: paragraph}";
        let scores = json!([score("good good", "hq"), shop, null, null]);
        check(paragraphs, &page(text), &kept(text, scores));
        let found = json!([{"hq": score("good", "hq")}, null, {"cc": score("shop", "cc")}]);
        check("{model: a.bin, key: q, level: line}", &page("good\n\nshop"), &kept("good\n\nshop", found));
    }

    #[test]
    fn several_models_read_a_text_once() {
        let step = "{models: [{model: a.bin, label: hq, key: q}, {model: b.bin, key: l, top_k: 1}, {model: a.bin, label: cc, key: c}]}";
        let expected = json!({
            "text": "good", "q": score("good", "hq"), "l": {"hq": score("good", "hq")}, "c": score("good", "cc"),
        });
        check(step, &json!({"text": "good"}), &keep(&expected.to_string()));
        let step = step.replace("]}", "], level: line}");
        let expected = json!({
            "text": "good\n", "q": [score("good", "hq"), null], "l": [{"hq": score("good", "hq")}, null],
            "c": [score("good", "cc"), null],
        });
        check(&step, &json!({"text": "good\n"}), &keep(&expected.to_string()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (step, why) in [
            ("{}", "a model needs `model` and `key`"),
            ("{model: a.bin, label: hq}", "a model needs `model` and `key`"),
            (
                "{model: a.bin, key: q, models: [{model: b.bin, key: p}]}",
                "`models` stands in place of `model`, `label`, `top_k` and `key`; move them into its list",
            ),
            (
                "{models: [{model: a.bin, key: p}, {model: b.bin, key: p}]}",
                "two models write the field p; give each its own",
            ),
            (
                "{model: a.bin, label: hq, top_k: 2, key: q}",
                "`label` asks for one score and `top_k` for many; leave one out",
            ),
            ("{model: a.bin, key: q, top_k: 0}", "top_k is 0; nothing would be written"),
            ("{model: a.bin, key: q, max_chars: 0}", "max_chars is 0; nothing would be read"),
            (
                "{model: a.bin, label: hq, key: q, threshold: 0.5}",
                "`threshold` is for lines and paragraphs; for documents add a `quality_filter`",
            ),
            (
                "{model: a.bin, key: q, level: line, threshold: 0.5}",
                "`threshold` needs one model and its `label`",
            ),
            ("{model: a.bin, label: hp, key: q}", "a.bin has no label \"hp\"; it has hq, cc, ads"),
            (
                "{model: none.bin, key: q}",
                "none.bin: not a fastText model: the first four bytes are 0x6c6c6568",
            ),
        ] {
            let model = model();
            let files = [("a.bin", &model[..]), ("b.bin", &model[..]), ("none.bin", &b"hello"[..])];
            let outcome =
                crate::steps::check::outcome(&files, &format!("fasttext: {step}"), r#"{"text":"x"}"#);
            assert!(outcome.starts_with(&format!("refused: {why}")), "{step}: {outcome}");
        }
    }
}
