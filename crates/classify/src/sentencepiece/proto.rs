//! A model file: the protocol buffer `ModelProto` of src/sentencepiece_model.proto, as far as encoding needs it.

use super::LoadError;

#[derive(Debug, Default)]
pub(super) struct ModelProto<'f> {
    pub(super) pieces: Vec<Piece<'f>>,
    pub(super) trainer: Trainer,
    pub(super) normalizer: NormalizerSpec<'f>,
}

#[derive(Debug)]
pub(super) struct Piece<'f> {
    pub(super) text: &'f [u8],
    pub(super) score: f32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

#[derive(Debug)]
pub(super) struct Trainer {
    pub(super) model_type: u64,
    pub(super) treat_whitespace_as_suffix: bool,
    pub(super) byte_fallback: bool,
}

#[derive(Debug)]
pub(super) struct NormalizerSpec<'f> {
    pub(super) precompiled_charsmap: &'f [u8],
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
}

impl Default for Trainer {
    fn default() -> Self {
        Self { model_type: 1, treat_whitespace_as_suffix: false, byte_fallback: false }
    }
}

impl Default for NormalizerSpec<'_> {
    fn default() -> Self {
        Self {
            precompiled_charsmap: b"",
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
        }
    }
}

impl<'f> ModelProto<'f> {
    pub(super) fn read(file: &'f [u8]) -> Result<Self, LoadError> {
        let mut model = Self::default();
        let mut message = Message(file);
        while let Some(field) = message.next()? {
            match field {
                (1, Value::Bytes(piece)) => model.pieces.push(Piece::read(piece)?),
                (2, Value::Bytes(trainer)) => model.trainer.read(trainer)?,
                (3, Value::Bytes(normalizer)) => model.normalizer.read(normalizer)?,
                _ => {}
            }
        }
        Ok(model)
    }
}

impl<'f> Piece<'f> {
    fn read(bytes: &'f [u8]) -> Result<Self, LoadError> {
        let mut piece = Self { text: b"", score: 0.0, kind: Kind::Normal };
        let mut message = Message(bytes);
        while let Some(field) = message.next()? {
            match field {
                (1, Value::Bytes(text)) => piece.text = text,
                (2, Value::Fixed32(score)) => piece.score = f32::from_bits(score),
                (3, Value::Varint(kind)) => {
                    piece.kind = match kind {
                        1 => Kind::Normal,
                        2 => Kind::Unknown,
                        3 => Kind::Control,
                        4 => Kind::UserDefined,
                        5 => Kind::Unused,
                        6 => Kind::Byte,
                        // As if it were not there.
                        _ => piece.kind,
                    }
                }
                _ => {}
            }
        }
        Ok(piece)
    }
}

impl Trainer {
    fn read(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let mut message = Message(bytes);
        while let Some(field) = message.next()? {
            match field {
                (3, Value::Varint(model_type)) => self.model_type = model_type,
                (24, Value::Varint(flag)) => self.treat_whitespace_as_suffix = flag != 0,
                (35, Value::Varint(flag)) => self.byte_fallback = flag != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'f> NormalizerSpec<'f> {
    fn read(&mut self, bytes: &'f [u8]) -> Result<(), LoadError> {
        let mut message = Message(bytes);
        while let Some(field) = message.next()? {
            match field {
                (2, Value::Bytes(charsmap)) => self.precompiled_charsmap = charsmap,
                (3, Value::Varint(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Value::Varint(flag)) => self.remove_extra_whitespaces = flag != 0,
                (5, Value::Varint(flag)) => self.escape_whitespaces = flag != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What is left of a message.
struct Message<'f>(&'f [u8]);

enum Value<'f> {
    Varint(u64),
    Bytes(&'f [u8]),
    Fixed32(u32),
    Fixed64,
}

impl<'f> Message<'f> {
    /// The next field's number and value.
    fn next(&mut self) -> Result<Option<(u64, Value<'f>)>, LoadError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.take(8)?;
                Value::Fixed64
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?.first_chunk().copied().unwrap_or_default();
                Value::Fixed32(u32::from_le_bytes(bytes))
            }
            _ => return Err(LoadError::new("it is no protocol buffer, or is damaged")),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, length: u64) -> Result<&'f [u8], LoadError> {
        let split = usize::try_from(length).ok().and_then(|length| self.0.split_at_checked(length));
        let (taken, rest) = split.ok_or_else(|| {
            LoadError::new(format!("it is cut off or damaged: {length} bytes wanted, {} left", self.0.len()))
        })?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, LoadError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or_default();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(LoadError::new("it is no protocol buffer, or is damaged"))
    }
}
