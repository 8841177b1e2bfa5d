//! Other people's answers: what DCLM's own code, datatrove, ftfy, Resiliparse and fastText say, held against ours.

mod bff;
mod extraction;
mod filters;
mod ftfy;
mod langdetect;
mod lid;
mod minhash;
mod warc;
