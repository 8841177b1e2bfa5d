//! `stackexchange_html_extraction_modifier`

use super::NoParams;
use super::shared::edit_posts;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};
use gristmill_extract::{Algorithm, Extractor};

pub struct StackexchangeHtmlExtractionModifier;

impl Step for StackexchangeHtmlExtractionModifier {
    const NAME: &'static str = "stackexchange_html_extraction_modifier";
    const DOC: &'static str = "Makes text of question and answers that are HTML: all that stands between the tags.\n\n\
        That is Beautiful Soup's `get_text()` where lxml parses: scripts, styles, templates and the readings of ruby go, white space between \
        tags becomes one blank or line feed. A record without a question is broken.";
    const ORIGIN: &'static str = "RedPajama-Data v1, stack_exchange; mlfoundations/dclm, baselines/mappers/modifiers.py; Beautiful Soup 4.15 \
        over lxml 6.1 (libxml2 2.14)";
    const EXAMPLE: &'static str = "{}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        let mut extractor = Extractor::with(vec![Algorithm::BeautifulSoup])
            .map_err(|error| BuildError::new(error.to_string()))?;
        Ok(Built::map(move |doc| {
            edit_posts(&mut doc.fields, |html| {
                extractor.extract(html).map_err(|error| Verdict::broken(error.reason()))
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn posts_become_text() {
        check(
            "stackexchange_html_extraction_modifier",
            r#"{"question":{"text":"<p>a &lt; b?</p>\n\n<pre><code>x\n\n</code></pre>","n":1},"answers":[{"text":"<p>c<br/>d"}]}"#,
            keep(r#"{"question":{"text":"a < b?\nx\n\n","n":1},"answers":[{"text":"cd"}]}"#),
        );
        check(
            "stackexchange_html_extraction_modifier",
            r#"{"question":{"text":""}}"#,
            keep(r#"{"question":{"text":""}}"#),
        );
        check("stackexchange_html_extraction_modifier", "{}", "broken: no question");
        check(
            "stackexchange_html_extraction_modifier",
            r#"{"question":{"text":1}}"#,
            "broken: a post without text",
        );
    }
}
