//! A text with what was measured on it.

/// An owned text. Measurements shared by several filters are taken once and forgotten when the text changes.
#[derive(Clone, Debug, Default)]
pub struct Text {
    string: String,
}

impl Text {
    #[must_use]
    pub fn new(string: String) -> Self {
        Self { string }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.string
    }

    /// Replaces the text and forgets what was measured.
    pub fn set(&mut self, string: String) {
        self.string = string;
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.string
    }
}
