//! `move_url_modifier`

use super::NoParams;
use crate::step::{Context, Needs};
use crate::{BuildError, Built, Step, Verdict};

pub struct MoveUrlModifier;

impl Step for MoveUrlModifier {
    const NAME: &'static str = "move_url_modifier";
    const DOC: &'static str = "Copies the WARC header `WARC-Target-URI` into the field `url`.\n\n\
        DCLM's code raises on a record without that header, which loses the page; here it is broken, and counted.";
    const ORIGIN: &'static str = "mlfoundations/dclm, baselines/mappers/modifiers/metadata_modifiers.py";
    const EXAMPLE: &'static str = "{}";
    const NEEDS: Needs = Needs::Nothing;
    type Params = NoParams;

    fn build(_: &NoParams, _: &Context) -> Result<Built, BuildError> {
        Ok(Built::map(|doc| {
            let uri = doc.fields.value("metadata").and_then(|m| m.get("WARC-Target-URI")).cloned();
            let Some(uri) = uri else { return Verdict::broken("no WARC-Target-URI") };
            doc.fields.set("url", uri);
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn copies_the_header() {
        let step = "move_url_modifier: {}";
        check(
            step,
            r#"{"text":"t","metadata":{"WARC-Target-URI":"https://a.example/"}}"#,
            keep(r#"{"text":"t","metadata":{"WARC-Target-URI":"https://a.example/"},"url":"https://a.example/"}"#),
        );
    }

    #[test]
    fn trap_t6_a_page_on_which_dclm_raises_is_broken() {
        // DCLM loses such pages and counts them apart; so does the tally, with the reason.
        for page in [r#"{"text":"t","metadata":{}}"#, r#"{"text":"t"}"#, r#"{"text":"t","metadata":"x"}"#] {
            check("move_url_modifier", page, "broken: no WARC-Target-URI");
        }
    }
}
