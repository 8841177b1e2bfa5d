//! What DCLM, Gopher, C4, RefinedWeb and FineWeb measure and change in a text. Pure; knows no Document.

mod text;

pub use text::Text;
