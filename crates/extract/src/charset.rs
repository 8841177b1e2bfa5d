//! Bytes to text.
use std::borrow::Cow;
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Charset {
    #[default]
    Detect,
    Dclm,
}
#[derive(Debug, thiserror::Error)]
pub enum CharsetError {
    #[error("x")]
    X,
}
pub fn decode<'a>(
    body: &'a [u8],
    _http: Option<&str>,
    _policy: Charset,
) -> Result<(Cow<'a, str>, &'static str), CharsetError> {
    Ok((encoding_rs::WINDOWS_1252.decode(body).0, "windows-1252"))
}
