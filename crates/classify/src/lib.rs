//! gristmill-classify
