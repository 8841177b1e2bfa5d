//! `html_content_extraction_modifier`

use super::NoParams;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_extract::{Algorithm, Extractor, JustextOptions};

pub struct HtmlContentExtractionModifier;

impl Step for HtmlContentExtractionModifier {
    const NAME: &'static str = "html_content_extraction_modifier";
    const DOC: &'static str = "Makes text of a text that is HTML: all paragraphs that jusText finds, an empty line between them.\n\n\
        jusText is asked without a list of stop words, and its judgement of the paragraphs is not heard: boilerplate stays. Pages are parsed as \
        lxml does. A page without paragraphs is dropped. For pages from a crawl there is `extract_text`.";
    const ORIGIN: &'static str =
        "jusText 3.0.2 over lxml 6.1 (libxml2 2.14); mlfoundations/dclm, baselines/mappers/modifiers.py";
    const EXAMPLE: &'static str = "{}";
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        let options = JustextOptions {
            all_paragraphs: true,
            lxml: true,
            separator: "\n\n".to_owned(),
            ..JustextOptions::default()
        };
        let mut extractor = Extractor::with(vec![Algorithm::Justext(options)])
            .map_err(|error| BuildError::new(error.to_string()))?;
        Ok(Built::text(move |text, _| match extractor.extract(text.as_str()) {
            Ok(extracted) if extracted.is_empty() => Verdict::dropped("no text"),
            Ok(extracted) => {
                text.set(extracted);
                Verdict::Keep
            }
            Err(error) => Verdict::broken(error.reason()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn pages_become_paragraphs() {
        let step = "html_content_extraction_modifier";
        let page =
            r#"{"text":"<head><title>t</title></head><ul><li>Home<li>b</ul><p>a <i>c</i></p>","url":"u"}"#;
        check(step, page, keep(r#"{"text":"Home\n\nb\n\na c","url":"u"}"#));
        check(step, r#"{"text":"<script>1</script>"}"#, "drop: no text");
        check(step, r#"{"text":""}"#, "drop: no text");
    }
}
