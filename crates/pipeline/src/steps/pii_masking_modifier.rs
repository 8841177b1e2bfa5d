//! `pii_masking_modifier`

use super::shared::OneOrMany;
use crate::step::Context;
use crate::{BuildError, Built, Step, Verdict};
use gristmill_filters::pii::{ADDRESSES, ADDRESSES_V6, EMAILS, Masker, Options, PHONES};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

pub struct PiiMaskingModifier;

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    remove_emails: bool,
    /// IPv4 addresses.
    remove_ips: bool,
    /// IPv6 addresses.
    remove_ipv6: bool,
    /// Telephone numbers: with a country behind a plus, or North America's with their area code.
    remove_phones: bool,
    /// Leave addresses of private networks and other special ones alone.
    only_remove_public_ips: bool,
    /// Leave IPv4 addresses alone that are a part of longer numbers or follow `version` and the like.
    keep_versions: bool,
    /// What takes turns in the place of e-mail addresses, from the first on in each text.
    email_replacement: OneOrMany,
    ip_replacement: OneOrMany,
    ipv6_replacement: OneOrMany,
    phone_replacement: OneOrMany,
}

impl Default for Params {
    fn default() -> Self {
        let many = |texts: &[&str]| OneOrMany::Many(texts.iter().map(|text| (*text).to_owned()).collect());
        Self {
            remove_emails: true,
            remove_ips: true,
            remove_ipv6: true,
            remove_phones: false,
            only_remove_public_ips: true,
            keep_versions: true,
            email_replacement: many(&EMAILS),
            ip_replacement: many(&ADDRESSES),
            ipv6_replacement: many(&ADDRESSES_V6),
            phone_replacement: many(&PHONES),
        }
    }
}

impl Step for PiiMaskingModifier {
    const NAME: &'static str = "pii_masking_modifier";
    const DOC: &'static str = "Masks e-mail addresses, IP addresses and telephone numbers.\n\n\
        Something of the same kind is put in their place. This finds what is written plainly, and no more. With `keep_versions: false`, \
        `remove_ipv6: false` it does to a text what datatrove's `PIIFormatter` does, version numbers such as `1.2.3.4` included. datatrove's \
        replacements take turns over all documents that a process sees; here they begin anew with each, so that a document's text depends on nothing else.";
    const ORIGIN: &'static str = "FineWeb, arXiv 2406.17557; huggingface/datatrove 0.10.1, pipeline/formatters/pii.py; telephone numbers: \
        Dolma, arXiv 2402.00159, and ITU-T E.164";
    const EXAMPLE: &'static str = "{remove_phones: true}";
    type Params = Params;

    fn check(params: &Params) -> Result<(), BuildError> {
        let all = [
            ("email_replacement", &params.email_replacement),
            ("ip_replacement", &params.ip_replacement),
            ("ipv6_replacement", &params.ipv6_replacement),
            ("phone_replacement", &params.phone_replacement),
        ];
        match all.iter().find(|(_, texts)| texts.to_vec().is_empty()) {
            Some((name, _)) => Err(BuildError::new(format!("{name} is empty; '' puts nothing in its place"))),
            None => Ok(()),
        }
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let masker = Masker::new(Options {
            emails: params.remove_emails.then(|| params.email_replacement.to_vec()),
            addresses: params.remove_ips.then(|| params.ip_replacement.to_vec()),
            addresses_v6: params.remove_ipv6.then(|| params.ipv6_replacement.to_vec()),
            phones: params.remove_phones.then(|| params.phone_replacement.to_vec()),
            public_only: params.only_remove_public_ips,
            keep_versions: params.keep_versions,
        })
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
        let page = r#"{"text":"a@b.example, 8.8.8.8, v1.2.3.4, 2606:4700::1111, 212-555-1234, c@d.example"}"#;
        let masked = r#"{"text":"email@example.com, 22.214.171.124, v1.2.3.4, 2001:db8::1, 212-555-1234, firstname.lastname@example.org"}"#;
        check("pii_masking_modifier", page, keep(masked));
        let step = "pii_masking_modifier: {remove_emails: false, remove_ips: false, remove_ipv6: false, remove_phones: true, phone_replacement: X}";
        check(step, page, keep(&page.replace("212-555-1234", "X")));
        let step = "pii_masking_modifier: {keep_versions: false, ip_replacement: [X, Y]}";
        check(step, r#"{"text":"8.8.8.8 v1.2.3.4 10.0.0.1"}"#, keep(r#"{"text":"X vY 10.0.0.1"}"#));
        let step = "pii_masking_modifier: {only_remove_public_ips: false, ip_replacement: X}";
        check(step, r#"{"text":"8.8.8.8 10.0.0.1"}"#, keep(r#"{"text":"X X"}"#));
        let step = "pii_masking_modifier: {ip_replacement: []}";
        check(step, page, "refused: ip_replacement is empty; '' puts nothing in its place");
    }
}
