//! `pii_masking_modifier`

use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::pii::{ADDRESS, EMAIL, Masker, PHONE};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct PiiMaskingModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    remove_emails: bool,
    /// IPv4 addresses of the open network; private ones and version numbers stay.
    remove_ips: bool,
    /// Telephone numbers with a country or an area code.
    remove_phones: bool,
    email_replacement: String,
    ip_replacement: String,
    phone_replacement: String,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            remove_emails: true,
            remove_ips: true,
            remove_phones: false,
            email_replacement: EMAIL.to_owned(),
            ip_replacement: ADDRESS.to_owned(),
            phone_replacement: PHONE.to_owned(),
        }
    }
}

impl Step for PiiMaskingModifier {
    const NAME: &'static str = "pii_masking_modifier";
    const DOC: &'static str = "Masks e-mail addresses, IP addresses and telephone numbers.\n\n\
        Something of the same kind is put in their place. This finds what is written plainly, and no more.";
    const ORIGIN: &'static str = "FineWeb, arXiv 2406.17557; huggingface/datatrove 0.10.1, pipeline/formatters/pii.py";
    const EXAMPLE: &'static str = "{remove_phones: true}";
    type Params = Params;

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { email_replacement, ip_replacement, phone_replacement, .. } = params.clone();
        let masker = Masker::new(
            params.remove_emails.then_some(email_replacement),
            params.remove_ips.then_some(ip_replacement),
            params.remove_phones.then_some(phone_replacement),
        )
        .map_err(|error| BuildError::new(error.to_string()))?;
        Ok(Built::text(move |text, _| {
            if let Cow::Owned(new) = masker.mask(text.as_str()) {
                text.set(new);
            }
            Verdict::Keep
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::steps::check::{check, keep};

    #[test]
    fn plain_data_is_masked() {
        let page = r#"{"text":"a@b.example, 8.8.8.8, 212-555-1234"}"#;
        check("pii_masking_modifier", page, keep(r#"{"text":"email@example.com, 192.0.2.1, 212-555-1234"}"#));
        let step = "pii_masking_modifier: {remove_emails: false, remove_ips: false, remove_phones: true, phone_replacement: X}";
        check(step, page, keep(r#"{"text":"a@b.example, 8.8.8.8, X"}"#));
    }
}
