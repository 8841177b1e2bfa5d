//! The lines of an ARPA text (lm/read_arpa.cc).

use super::super::{LoadError, NO_EXTENSION};

/// The text from the next line on.
pub(super) struct Lines<'t> {
    rest: &'t [u8],
    /// Of the last line that was read, from 1 on.
    number: u64,
}

/// What a line says of its n-gram.
pub(super) struct Ngram {
    pub(super) prob: f32,
    pub(super) backoff: f32,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { rest: text, number: 0 }
    }

    /// Says what is wrong with the last line.
    pub(super) fn problem(&self, problem: impl Into<String>) -> LoadError {
        LoadError::Arpa { line: self.number, problem: problem.into() }
    }

    fn next(&mut self) -> Result<&'t [u8], LoadError> {
        if self.rest.is_empty() {
            return Err(LoadError::Damaged(format!("the ARPA file ends with line {}", self.number)));
        }
        self.number += 1;
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The next line that has something in it.
    fn next_filled(&mut self) -> Result<&'t [u8], LoadError> {
        loop {
            let line = self.next()?;
            if !line.trim_ascii().is_empty() {
                return Ok(line);
            }
        }
    }

    /// How many n-grams of each length the text has, as it says at its start.
    pub(super) fn counts(&mut self) -> Result<Vec<u64>, LoadError> {
        loop {
            let line = match self.next_filled() {
                Ok(line) if !line.starts_with(b"#") => line,
                Ok(_) => continue,
                Err(_) => return Err(LoadError::Unknown("it has no line \\data\\".to_owned())),
            };
            if line == b"\\data\\" {
                break;
            }
            let start = String::from_utf8_lossy(line.get(..20).unwrap_or(line));
            return Err(LoadError::Unknown(format!("it starts with {start:?} and not with \\data\\")));
        }
        let mut counts = Vec::new();
        loop {
            let line = self.next()?.trim_ascii();
            if line.is_empty() {
                return Ok(counts);
            }
            let count = std::str::from_utf8(line)
                .ok()
                .and_then(|line| line.strip_prefix("ngram ")?.split_once('='))
                .filter(|(length, _)| length.trim().parse() == Ok(counts.len() + 1))
                .and_then(|(_, count)| count.trim().parse().ok());
            let wanted = counts.len() + 1;
            counts.push(count.ok_or_else(|| self.problem(format!("not the count `ngram {wanted}=…`")))?);
        }
    }

    /// Reads the title of the n-grams of a length.
    pub(super) fn section(&mut self, length: usize) -> Result<(), LoadError> {
        let title = format!("\\{length}-grams:");
        if self.next_filled()? == title.as_bytes() {
            Ok(())
        } else {
            Err(self.problem(format!("not {title}")))
        }
    }

    /// Reads an n-gram of as many words as there is room for.
    pub(super) fn ngram(&mut self, words: &mut [&'t [u8]], may_back_off: bool) -> Result<Ngram, LoadError> {
        let line = self.next_filled()?;
        let (prob, mut rest) = cut(line);
        let prob = number(prob).ok_or_else(|| self.problem("no probability at its start"))?;
        if prob > 0.0 {
            return Err(self.problem(format!("{prob} is the logarithm of no probability")));
        }
        for (at, word) in words.iter_mut().enumerate() {
            (*word, rest) = cut(rest);
            if word.is_empty() {
                return Err(self.problem(format!("{at} words where more were announced")));
            }
        }
        let backoff = match rest {
            [] => 0.0,
            [b'\t', backoff @ ..] => number(backoff)
                .filter(|backoff| backoff.is_finite())
                .ok_or_else(|| self.problem("no backoff at its end"))?,
            _ => return Err(self.problem("something behind the words that is no backoff")),
        };
        if !may_back_off && backoff != 0.0 {
            return Err(self.problem("a backoff of an n-gram of full length"));
        }
        // Until a longer n-gram shows that it begins with this one.
        Ok(Ngram { prob, backoff: if backoff == 0.0 { NO_EXTENSION } else { backoff } })
    }

    /// Reads the end of the text.
    pub(super) fn end(&mut self) -> Result<(), LoadError> {
        if self.next_filled()? != b"\\end\\" {
            return Err(self.problem("not \\end\\"));
        }
        match self.next_filled() {
            Ok(_) => Err(self.problem("something behind \\end\\")),
            Err(_) => Ok(()),
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The first word and what follows it, blanks in front left out.
fn cut(text: &[u8]) -> (&[u8], &[u8]) {
    let start = text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let end = text.iter().position(|byte| is_blank(*byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or_default()
}

fn number(text: &[u8]) -> Option<f32> {
    let number: f32 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    (!number.is_nan()).then_some(number)
}
