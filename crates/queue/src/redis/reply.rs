//! Redis's answers, taken apart. A shape that was not expected is an error, never a panic or a default.

use bytes::Bytes;
use redis::Value;

use crate::{Error, Result, TaskId};

/// The elements of an array, front to back.
pub(super) struct Fields {
    what: &'static str,
    items: std::vec::IntoIter<Value>,
}

impl Fields {
    /// `what` was asked; appears in errors.
    pub(super) fn of(value: Value, what: &'static str) -> Result<Self> {
        match value {
            Value::Array(items) => Ok(Self { what, items: items.into_iter() }),
            Value::Nil => Ok(Self { what, items: Vec::new().into_iter() }),
            _ => Err(unexpected(what)),
        }
    }

    pub(super) fn next(&mut self) -> Option<Value> {
        self.items.next()
    }

    pub(super) fn fields(&mut self) -> Result<Self> {
        Self::of(self.next().ok_or_else(|| unexpected(self.what))?, self.what)
    }

    /// Text, numbers as text, or `None` for nil.
    pub(super) fn bytes(&mut self) -> Result<Option<Bytes>> {
        match self.next() {
            Some(Value::Nil) => Ok(None),
            Some(Value::BulkString(bytes)) => Ok(Some(Bytes::from(bytes))),
            Some(Value::SimpleString(text)) => Ok(Some(Bytes::from(text))),
            Some(Value::Int(number)) => Ok(Some(Bytes::from(number.to_string()))),
            _ => Err(unexpected(self.what)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?.ok_or_else(|| unexpected(self.what))?;
        String::from_utf8(bytes.into()).map_err(|_| unexpected(self.what))
    }

    pub(super) fn id(&mut self) -> Result<TaskId> {
        TaskId::new(self.text()?)
    }

    /// A number that may be negative.
    pub(super) fn int(&mut self) -> Result<i64> {
        match self.next() {
            Some(Value::Int(number)) => Ok(number),
            Some(Value::BulkString(bytes)) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|t| t.parse().ok())
                .ok_or_else(|| unexpected(self.what)),
            _ => Err(unexpected(self.what)),
        }
    }

    /// A number that may not.
    pub(super) fn count(&mut self) -> Result<u64> {
        u64::try_from(self.int()?).map_err(|_| unexpected(self.what))
    }

    pub(super) fn small(&mut self) -> Result<u32> {
        u32::try_from(self.int()?).map_err(|_| unexpected(self.what))
    }
}

/// A status word.
pub(super) fn word(value: Value, what: &'static str) -> Result<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| unexpected(what)),
        Value::SimpleString(text) => Ok(text),
        _ => Err(unexpected(what)),
    }
}

pub(super) fn unexpected(what: &'static str) -> Error {
    Error::Unexpected { what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<i64>().prop_map(Value::Int),
            proptest::collection::vec(any::<u8>(), 0..8).prop_map(Value::BulkString),
            any::<bool>().prop_map(Value::Boolean),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| proptest::collection::vec(inner, 0..6).prop_map(Value::Array))
    }

    proptest! {
        /// Whatever a server says, taking it apart ends in a value or an error.
        #[test]
        fn any_answer_is_survived(value in value()) {
            let _ = word(value.clone(), "test");
            if let Ok(mut fields) = Fields::of(value, "test") {
                while let Ok(mut inner) = fields.fields() {
                    let _ = (inner.id(), inner.text(), inner.int(), inner.count(), inner.small(), inner.bytes());
                }
            }
        }
    }

    #[test]
    fn answers_are_read_in_order() {
        let items = [
            Value::Int(3),
            Value::BulkString(b"4".to_vec()),
            Value::BulkString(b"job/1".to_vec()),
            Value::Nil,
        ];
        let mut fields = Fields::of(Value::Array(items.into()), "test").expect("an array");
        assert_eq!((fields.count().ok(), fields.small().ok()), (Some(3), Some(4)));
        assert_eq!(fields.id().ok(), TaskId::new("job/1").ok());
        assert_eq!(fields.bytes().ok(), Some(None));
        let missing = fields.text().expect_err("nothing is left");
        assert!(missing.to_string().starts_with("redis answered test in an unknown way"), "{missing}");
    }
}
