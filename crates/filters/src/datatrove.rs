//! Filters as FineWeb uses them: FineWeb's own, Gopher's quality rules, C4's. Rules and defaults from huggingface/datatrove 0.10.1,
//! `pipeline/filters/`.
//!
//! Words there are spaCy's; here they are Unicode's (UAX #29), punctuation included. Sentences there are
//! spaCy's; here see [`crate::sentences`].

mod c4;
mod fineweb;
mod gopher;
mod gopher_repetition;

pub use c4::{BadWords, C4, C4Quality, has_paragraphs};
pub use fineweb::FineWeb;
pub use gopher::Gopher;
pub use gopher_repetition::GopherRepetition;

use crate::python::is_blank;

/// The words of a text, white space left out; a run of full stops is one.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut after_stop = false;
    crate::words::tokens(text).filter(move |word| {
        let stop = *word == ".";
        let again = stop && after_stop;
        after_stop = stop;
        !again && !is_blank(word)
    })
}
