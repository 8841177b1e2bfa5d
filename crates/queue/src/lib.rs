//! gristmill-queue
