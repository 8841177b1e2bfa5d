//! gristmill-extract
