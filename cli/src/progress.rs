//! How far a run is: a bar per stage on a terminal, plain lines elsewhere.

use gristmill_coordinator::View;
use gristmill_worker::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How often a bar is drawn, and a line printed.
const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress until it is told that the job has ended.
pub(crate) struct Display {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Display {
    pub(crate) fn start(view: watch::Receiver<View>, progress: Arc<Progress>) -> Self {
        let (end, ended) = oneshot::channel();
        let terminal = std::io::stderr().is_terminal();
        Self { end, task: tokio::spawn(show(view, progress, ended, terminal)) }
    }

    pub(crate) async fn finish(self) {
        let _ = self.end.send(());
        let _ = self.task.await;
    }
}

async fn show(
    mut view: watch::Receiver<View>,
    progress: Arc<Progress>,
    mut ended: oneshot::Receiver<()>,
    terminal: bool,
) {
    let mut tick = tokio::time::interval(if terminal { BAR_EVERY } else { LINE_EVERY });
    let mut stage: Option<StageDisplay> = None;
    loop {
        let ended = tokio::select! {
            _ = &mut ended => true,
            changed = view.changed() => changed.is_err(),
            _ = tick.tick() => false,
        };
        let now = view.borrow_and_update().clone();
        if now.stages > 0 {
            if stage.as_ref().is_none_or(|s| s.last.stage != now.stage) {
                if let Some(mut before) = stage.take() {
                    // The view of its end may have been overtaken by the next stage's.
                    before.last.tasks_done = before.last.tasks;
                    before.close(&progress);
                }
                stage = Some(StageDisplay::open(now.clone(), terminal));
            }
            if let Some(stage) = &mut stage {
                stage.update(now, &progress, terminal);
            }
        }
        if ended {
            if let Some(last) = stage.take() {
                last.close(&progress);
            }
            return;
        }
    }
}

struct StageDisplay {
    bar: ProgressBar,
    started: Instant,
    printed: Instant,
    last: View,
    seen: u64,
    kept: u64,
}

impl StageDisplay {
    fn open(view: View, terminal: bool) -> Self {
        let bar = if terminal { ProgressBar::new(view.tasks) } else { ProgressBar::hidden() };
        let template = "{prefix} {bar:24} {pos}/{len} tasks  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(format!("[{}/{}] {:<28}", view.stage + 1, view.stages, view.title));
        let now = Instant::now();
        Self { bar, started: now, printed: now, last: view, seen: 0, kept: 0 }
    }

    fn count(&mut self, progress: &Progress) {
        if let Some(stage) = progress.stage(self.last.stage) {
            self.seen = stage.seen.load(Ordering::Relaxed);
            self.kept = stage.kept.load(Ordering::Relaxed);
        }
    }

    fn update(&mut self, view: View, progress: &Progress, terminal: bool) {
        self.last = view;
        self.count(progress);
        self.bar.set_position(self.last.tasks_done);
        self.bar.set_message(self.message());
        if !terminal && self.printed.elapsed() >= LINE_EVERY {
            self.printed = Instant::now();
            self.print();
        }
    }

    fn message(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let mut parts = Vec::new();
        if self.seen > 0 {
            let rate = self.seen as f64 / seconds;
            let kept = 100.0 * self.kept as f64 / self.seen as f64;
            parts.push(format!("{} documents, {rate:.0}/s, {kept:.1} % kept", self.seen));
        }
        let fresh = self.last.tasks_done - self.last.tasks_found_done;
        let left = self.last.tasks - self.last.tasks_done;
        if fresh > 0 && left > 0 {
            let eta = Duration::from_secs_f64(seconds / fresh as f64 * left as f64);
            parts.push(format!("{} left", indicatif::HumanDuration(eta)));
        }
        parts.join(", ")
    }

    fn print(&self) {
        let View { stage, stages, title, tasks, tasks_done, .. } = &self.last;
        let message = self.message();
        let message = if message.is_empty() { message } else { format!("  {message}") };
        eprintln!("[{}/{stages}] {title}: {tasks_done}/{tasks} tasks{message}", stage + 1);
    }

    fn close(mut self, progress: &Progress) {
        self.count(progress);
        self.bar.set_position(self.last.tasks_done);
        if self.bar.is_hidden() {
            self.print();
        } else {
            self.bar.finish();
        }
    }
}
