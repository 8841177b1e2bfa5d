//! gristmill-storage
