//! `ken_lm_perplexity_enricher`

use super::shared::{add_field, check_key};
use crate::resources::Wanted;
use crate::step::Context;
use crate::{BuildError, Built, Resources, Step, Verdict};
use gristmill_classify::ccnet::{self, Scratch};
use gristmill_classify::kenlm::Model;
use gristmill_classify::sentencepiece::SentencePiece;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

pub struct KenLmPerplexityEnricher;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The field that holds the perplexity.
    key: String,
    /// Replace a field that is there; otherwise such a page is broken.
    overwrite: bool,
    /// The file of an n-gram model over pieces: a binary of KenLM, or an ARPA text, also packed by gzip.
    model_filename: String,
    /// The file of the SentencePiece model that cuts texts into those pieces.
    tokenizer_filename: String,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            key: "kenlm_perplexity".to_owned(),
            overwrite: false,
            model_filename: "en.arpa.bin".to_owned(),
            tokenizer_filename: "en.sp.model".to_owned(),
        }
    }
}

impl Step for KenLmPerplexityEnricher {
    const NAME: &'static str = "ken_lm_perplexity_enricher";
    const DOC: &'static str = "Measures how surprised a language model of Wikipedia is by the page: its perplexity, as CCNet does.\n\n\
        The text is normalised (blanks at its ends and control characters go, line ends among them; digits are `0`; punctuation is ASCII's), cut into \
        pieces by a SentencePiece model, and scored by a KenLM model as one sentence. The perplexity per piece, the sentence's end included, \
        is rounded to one decimal. The lower it is, the more the page reads like Wikipedia. An empty page has the perplexity of an empty sentence.\n\n\
        Put both models into the models folder: `en.arpa.bin` (4 GB, used as it lies) and `en.sp.model`, from \
        <https://huggingface.co/edugp/kenlm/tree/main/wikipedia>, which DCLM uses, or from CCNet, \
        <https://dl.fbaipublicfiles.com/cc_net/lm/en.arpa.bin> and <https://dl.fbaipublicfiles.com/cc_net/lm/en.sp.model>; other languages are there \
        under their codes. Models of your own may be of any kind that KenLM builds and a unigram or BPE model of SentencePiece.\n\n\
        Pieces are those of SentencePiece up to 0.2.1; 0.2.3 now and then cuts the like of `000` elsewhere, where both cuts are equally likely.";
    const ORIGIN: &'static str =
        "mlfoundations/dclm, baselines/mappers/enrichers/quality_prediction_enrichers_kenlm_model.py";
    const EXAMPLE: &'static str = "{key: kenlm_perplexity}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        check_key(&params.key)
    }

    fn resources(params: &Params) -> Vec<Wanted> {
        vec![Wanted::named(&params.model_filename), Wanted::named(&params.tokenizer_filename)]
    }

    fn build(params: &Params, cx: &Context) -> Result<Built, BuildError> {
        let model = load_model(cx.resources, &params.model_filename)?;
        let pieces = load_pieces(cx.resources, &params.tokenizer_filename)?;
        let mut scratch = Scratch::default();
        let Params { key, overwrite, .. } = params.clone();
        Ok(Built::text(move |text, fields| {
            let perplexity = ccnet::perplexity(&pieces, &model, &mut scratch, text.as_str());
            if !perplexity.is_finite() {
                return Verdict::broken("no finite perplexity");
            }
            add_field(fields, &key, overwrite, perplexity)
        }))
    }
}

fn load_model(resources: &Resources, name: &str) -> Result<Arc<Model>, BuildError> {
    resources.model(name, |resource| {
        Model::load(Arc::clone(&resource.bytes))
            .map_err(|error| BuildError::new(format!("{}: {error}", resource.found)))
    })
}

fn load_pieces(resources: &Resources, name: &str) -> Result<Arc<SentencePiece>, BuildError> {
    resources.model(name, |resource| {
        SentencePiece::load((*resource.bytes).as_ref())
            .map_err(|error| BuildError::new(format!("{}: {error}", resource.found)))
    })
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check_with, keep};

    /// Two words, a blank and a zero, each as likely as its line says.
    const MODEL: &str = "\\data\\\nngram 1=6\nngram 2=1\n\n\\1-grams:\n-3\t<unk>\n-99\t<s>\t0\n-0.5\t</s>\n-1\t▁one\n-2\t0\n-4\t▁\n\n\
        \\2-grams:\n-0.25\t<s> ▁one\n\n\\end\\\n";
    /// `<unk>`, `▁one`, `▁` and `0`, all with a score of 0, so that the pieces that are found first are taken.
    const PIECES: &str = "\n\x09\n\x05<unk>\x18\x02\n\x08\n\x06▁one\n\x05\n\x03▁\n\x03\n\x010";
    const BOTH: &[(&str, &str)] = &[("en.arpa.bin", MODEL), ("en.sp.model", PIECES)];

    #[test]
    fn a_page_gets_its_perplexity() {
        let check = |step: &str, record: &str, expected: String| check_with(BOTH, step, record, expected);
        let step = "ken_lm_perplexity_enricher:";
        // 10 to the power of 0.5; of (0.25 + 0.5) / 2; of (0.25 + 2 + 2 + 0.5) / 4; of (0.25 + 1 + 4 + 3 + 0.5) / 5.
        for (text, perplexity) in
            [("", "3.2"), (" \\n", "3.2"), ("one", "2.4"), ("one4２\\n", "15.4"), ("one one xy", "56.2")]
        {
            let record = format!(r#"{{"text":"{text}"}}"#);
            check(step, &record, keep(&format!(r#"{{"text":"{text}","kenlm_perplexity":{perplexity}}}"#)));
        }
        let there = r#"{"text":"one","p":1}"#;
        check("ken_lm_perplexity_enricher: {key: p}", there, "broken: field p is there already".to_owned());
        check(
            "ken_lm_perplexity_enricher: {key: p, overwrite: true}",
            there,
            keep(r#"{"text":"one","p":2.4}"#),
        );
    }

    #[test]
    fn what_is_impossible_has_no_perplexity() {
        let impossible = MODEL.replace("-2\t0", "-inf\t0");
        let both = [("en.arpa.bin", &*impossible), ("en.sp.model", PIECES)];
        check_with(
            &both,
            "ken_lm_perplexity_enricher:",
            r#"{"text":"one0"}"#,
            "broken: no finite perplexity",
        );
    }

    #[test]
    fn files_that_are_no_models_are_refused() {
        let record = r#"{"text":"one"}"#;
        let check = |resources: &[(&str, &str)], expected: &str| {
            check_with(resources, "ken_lm_perplexity_enricher:", record, format!("refused: {expected}"));
        };
        check(
            &[("en.arpa.bin", "hello"), ("en.sp.model", PIECES)],
            "en.arpa.bin: not a language model: it starts with \"hello\" and not with \\data\\; \
             give an ARPA file or what KenLM's build_binary makes of one",
        );
        check(
            &[("en.arpa.bin", MODEL), ("en.sp.model", "hello")],
            "en.sp.model: not a SentencePiece model that can be used: it is no protocol buffer, or is damaged",
        );
        check(
            &[],
            "resource \"en.arpa.bin\" is not there; put it into the models folder or give its address",
        );
    }
}
