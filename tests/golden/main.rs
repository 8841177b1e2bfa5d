//! Other people's answers: what DCLM's own code, Resiliparse and fastText say, held against ours.

mod bff;
mod extraction;
mod filters;
mod lid;
mod minhash;
mod warc;
