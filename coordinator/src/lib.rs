//! gristmill-coordinator
