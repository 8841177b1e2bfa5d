//! What DCLM, Gopher, C4, RefinedWeb and FineWeb measure and change in a text. Pure; knows no Document.
//!
//! Reading order: [`Text`] (a text and what was measured on it), [`survey`] (one pass that counts words and lines), [`repetition`]
//! (Gopher's tests), [`words`] (Unicode's words), [`lines`] (what changes a text line by line), [`python`] (Python's notion of
//! characters, which all rules are written in).

pub mod datatrove;
pub mod latex;
pub mod lines;
pub mod phrases;
pub mod pii;
pub mod python;
pub mod repetition;
pub mod sampling;
pub mod sentences;
pub mod splitter;
pub mod survey;
mod text;
pub mod urls;
pub mod words;

pub use text::Text;
