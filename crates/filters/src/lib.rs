//! What DCLM, Gopher, C4, RefinedWeb and FineWeb measure and change in a text. Pure; knows no Document.
//!
//! Reading order: [`Text`] (a text and what was measured on it), [`survey`] (one pass that counts words and lines), [`repetition`]
//! (Gopher's tests), [`words`] (Unicode's words), [`lines`] (what changes a text line by line), [`phrases`] (boilerplate), [`urls`]
//! (of pages and within texts), [`datatrove`] (FineWeb's filters), [`refinedweb`] (its corrections of lines), [`ftfy`] (broken text),
//! [`python`] (Python's notion of characters, which all rules are written in), [`pickle`] (lists that Python stored).
//!
//! **Exactness.** What DCLM's code says of a text is said here: characters are Python 3.11's, words are fastText's, `uniseg`'s or
//! `str.split()`'s, shares are compared in the same floating-point operations. **Failure.** Nothing fails on a text; lists and patterns
//! of users are refused when they are built. **Cost.** Linear in the text, without an allocation per word; buffers that outlive a text are
//! the caller's ([`repetition::Scratch`]).

pub mod datatrove;
pub mod ftfy;
pub mod latex;
pub mod lines;
pub mod phrases;
pub mod pickle;
pub mod pii;
pub mod python;
pub mod refinedweb;
pub mod repetition;
pub mod sampling;
pub mod sentences;
pub mod splitter;
pub mod survey;
mod text;
pub mod urls;
pub mod words;

pub use text::Text;
