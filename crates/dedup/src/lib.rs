//! gristmill-dedup
