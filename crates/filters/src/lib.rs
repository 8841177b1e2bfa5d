//! gristmill-filters
