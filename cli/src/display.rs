//! How far a job is, for people and for programs. All of it works on the message that a coordinator sends,
//! [`v1::Job`]; `run`, which has no coordinator to ask, makes the same message of its own view.
//!
//! - [`plain`]: a line when something happened, and every 10 seconds.
//! - [`bars`]: a bar per stage, for `run` on a terminal. Its output stays.
//! - [`live`]: the whole terminal, for `watch`; what it draws is a pure function in [`screen`].
//! - [`json`]: messages as JSON, for `--json`.
//! - [`words`]: numbers, times and names as all of these write them.

pub(crate) mod bars;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod plain;
mod screen;
pub(crate) mod words;

use bars::Bars;
use gristmill_proto::v1;
use plain::Plain;
use std::io::{IsTerminal as _, Stderr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How often `run` looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Shows on stderr how far `run` is, until it is told that the job has ended.
pub(crate) struct Display {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

enum Form {
    Plain(Plain<Stderr>),
    Bars(Bars),
}

impl Display {
    /// Bars on a terminal, lines elsewhere.
    pub(crate) fn start<V>(views: watch::Receiver<Arc<V>>) -> Self
    where
        V: Send + Sync + 'static,
        v1::Job: for<'a> From<&'a V>,
    {
        let form = if std::io::stderr().is_terminal() {
            Form::Bars(Bars::default())
        } else {
            Form::Plain(Plain::new(std::io::stderr()))
        };
        let (end, ended) = oneshot::channel();
        Self { end, task: tokio::spawn(show(views, form, ended)) }
    }

    /// Shows the last of it.
    pub(crate) async fn finish(self) {
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

async fn show<V>(mut views: watch::Receiver<Arc<V>>, mut form: Form, mut ended: oneshot::Receiver<()>)
where
    v1::Job: for<'a> From<&'a V>,
{
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut end = false;
    while !end {
        tokio::select! {
            _ = &mut ended => end = true,
            _ = tick.tick() => {}
        }
        let view = Arc::clone(&views.borrow_and_update());
        let job = v1::Job::from(&*view);
        // A display that cannot be written to is no reason to end the job.
        let _ = match &mut form {
            Form::Plain(plain) => plain.update(&job, Instant::now()),
            Form::Bars(bars) => {
                bars.update(&job);
                Ok(())
            }
        };
        if end {
            let _ = match &mut form {
                Form::Plain(plain) => plain.close(&job),
                Form::Bars(bars) => {
                    bars.close();
                    Ok(())
                }
            };
        }
    }
}
