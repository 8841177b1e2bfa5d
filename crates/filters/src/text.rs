//! A text with what was measured on it.

use crate::repetition::{Repetitions, Scratch};
use crate::survey::Survey;

/// An owned text. Measurements shared by several filters are taken once and forgotten when the text changes.
#[derive(Clone, Debug, Default)]
pub struct Text {
    string: String,
    survey: Option<Survey>,
    repetitions: Option<Box<Repetitions>>,
}

impl Text {
    #[must_use]
    pub fn new(string: String) -> Self {
        Self { string, survey: None, repetitions: None }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.string
    }

    /// Replaces the text and forgets what was measured.
    pub fn set(&mut self, string: String) {
        *self = Self::new(string);
    }

    #[must_use]
    pub fn into_string(self) -> String {
        self.string
    }

    /// Counts of words and lines, taken in one pass for all filters that need them.
    pub fn survey(&mut self) -> &Survey {
        self.survey.get_or_insert_with(|| Survey::of(&self.string))
    }

    /// The words by Unicode's rules, numbered, for n-grams: tokenised once for all sizes and filters. `scratch` is the lane's.
    pub fn repetitions(&mut self, scratch: &mut Scratch) -> &Repetitions {
        self.repetitions.get_or_insert_with(|| Box::new(Repetitions::of(&self.string, scratch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_forgotten_with_the_text() {
        let mut text = Text::new("one two".to_owned());
        assert_eq!(text.survey().words, 2);
        text.set("three".to_owned());
        assert_eq!(text.survey().words, 1);
        assert_eq!(text.into_string(), "three");
    }
}
