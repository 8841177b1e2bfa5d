//! A file that is one page.

use std::sync::Arc;

use super::flow::{Flow, Next};
use super::source::Source;
use super::{At, Compression, Item, Limits, Records};
use crate::error::ReadError;

/// See the module.
pub(super) struct Page {
    source: Arc<dyn Source>,
    compression: Compression,
    name: String,
    limits: Limits,
    done: bool,
}

impl Page {
    pub(super) fn open(
        source: Arc<dyn Source>,
        compression: Compression,
        name: &str,
        limits: Limits,
    ) -> Self {
        Self { source, compression, name: name.to_owned(), limits, done: false }
    }
}

impl Records for Page {
    fn next(&mut self) -> Result<Option<Item>, ReadError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let at = At::default();
        let size = self.source.size();
        let mut flow = Flow::open(self.source.clone(), self.compression, 0..size, None)?;
        let mut body = Vec::new();
        loop {
            match flow.next()? {
                Next::Bytes => {
                    let bytes = flow.segment();
                    if body.len() + bytes.len() > self.limits.max_body {
                        let detail = format!("a page of more than {} bytes", self.limits.max_body);
                        return Ok(Some(Item::Broken { at, reason: "too_large", detail }));
                    }
                    body.extend_from_slice(bytes);
                    let n = bytes.len();
                    flow.consume(n);
                }
                Next::Wall(_) => flow.enter(),
                Next::End => return Ok(Some(Item::Html { at, name: self.name.clone(), body })),
                Next::Damage(damage) => {
                    return Ok(Some(Item::Broken { at, reason: damage.reason, detail: damage.detail }));
                }
            }
        }
    }
}
