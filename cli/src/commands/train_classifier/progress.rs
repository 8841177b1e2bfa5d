//! A line on stderr every few seconds, while something takes long.

use crate::display::words;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// Says how far something is until it is dropped.
pub(super) struct Progress {
    /// None where nothing is to be said. Closing it ends the thread.
    done: Option<mpsc::Sender<()>>,
}

impl Progress {
    /// `line` gets the seconds gone by. It is printed at once, and then with the time.
    pub(super) fn start(quiet: bool, line: impl Fn(f64) -> String + Send + 'static) -> Self {
        if quiet {
            return Self { done: None };
        }
        let (done, waiting) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let start = Instant::now();
            eprintln!("{}", line(0.0));
            while waiting.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let seconds = start.elapsed().as_secs_f64();
                eprintln!("{}, {}", line(seconds), words::duration(seconds));
            }
        });
        Self { done: Some(done) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done.take();
    }
}
