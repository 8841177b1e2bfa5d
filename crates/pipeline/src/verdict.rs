//! What a step says of a document.

use std::borrow::Cow;

/// Why a document was not kept. Reasons are counted in manifests and metrics, so there must be few of them:
/// a reason never holds data of the document.
pub type Reason = Cow<'static, str>;

/// What a step says of a document. The first verdict that is not `Keep` ends the document's walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on to the next step.
    Keep,
    /// The document is sound but not wanted.
    Drop(Reason),
    /// The document could not be judged: bad bytes, a missing field, a parser that gave up.
    Broken(Reason),
}

impl Verdict {
    /// `Keep` where `keep` holds, else `Drop(reason)`.
    #[must_use]
    pub fn keep_if(keep: bool, reason: &'static str) -> Self {
        if keep { Self::Keep } else { Self::Drop(Cow::Borrowed(reason)) }
    }

    #[must_use]
    pub fn dropped(reason: impl Into<Reason>) -> Self {
        Self::Drop(reason.into())
    }

    #[must_use]
    pub fn broken(reason: impl Into<Reason>) -> Self {
        Self::Broken(reason.into())
    }

    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}
