//! Other people's answers: what DCLM's own code, datatrove, ftfy, Resiliparse, jusText, Beautiful Soup, fastText, KenLM and SentencePiece say, held against ours.

mod bff;
mod datatrove;
mod extraction;
mod filters;
mod ftfy;
mod kenlm;
mod langdetect;
mod lid;
mod lxml;
mod minhash;
mod sentences;
mod trained;
mod warc;
