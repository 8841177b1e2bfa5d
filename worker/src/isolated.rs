//! An attempt in a process of its own: how a document that kills the process is found.
//!
//! ```text
//! worker                                     child: `gristmill attempt`
//!   spec, one line of JSON        stdin ──▶    an end of file here means that the worker is gone: exit
//!   reads what is in hand     ◀── stdout      an unlinked file, not a pipe: first the slot (hand.rs), noted
//!   reads the answer          ◀──             before each document, then, at a fixed place, the answer
//!   SIGTERM: stop              ──▶             a checkpoint where it is worth it, then the answer "stopped"
//! ```
//!
//! A child that dies by a signal leaves in its slot what it had in hand: that is poison. The kernel may also kill it for
//! what others did to the memory, so what SIGKILL hit must be in hand twice. A child that dies with nothing in hand is
//! an ordinary failure.
//!
//! Its memory is bounded by a share of the machine's, so that a document that eats memory aborts the child and nothing else; it
//! is also the first that the kernel chooses when memory runs out.

use crate::filter_memory::FilterMemory;
use crate::hand::{Hand, Held, Order, SLOT_BYTES, Slot, read_from};
use crate::notes::Notes;
use crate::open_job::Jobs;
use crate::task::Attempt;
use crate::watch::{Abandoned, Ended, on_thread};
use crate::{Metrics, STOP_WITHIN, TaskError};
use gristmill_job::resolve::Resolver;
use gristmill_job::{Place, Poison, TaskRecord};
use gristmill_storage::{Stores, Uri};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::{oneshot, watch};

/// How attempts get a process of their own. The worker does not know the program that it is part of.
#[derive(Clone)]
pub struct Isolation {
    /// Makes the command of a child: the program with what makes it call [`serve`], and with the worker's storage and
    /// models.
    pub command: Arc<dyn Fn() -> std::process::Command + Send + Sync>,
    /// Ids of tasks that were in hand when the process before this one died.
    pub suspects: Arc<BTreeSet<String>>,
    /// Where the tasks in hand are noted for whoever looks after this process.
    pub notes: Option<Arc<Notes>>,
    /// End once a thread was left behind, since somebody starts this process anew.
    pub renew: bool,
}

/// An attempt, as the child is told of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) workspace: String,
    pub(crate) job: String,
    pub(crate) stage: usize,
    pub(crate) task: u64,
    pub(crate) name: String,
    pub(crate) scratch: PathBuf,
    pub(crate) checkpoint_ms: u64,
    pub(crate) look_back: bool,
    pub(crate) poison: Vec<Poison>,
    /// Bytes of memory.
    pub(crate) memory: u64,
    pub(crate) allow_external: bool,
}

/// How the attempt ended, as the worker is told.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done(Box<TaskRecord>),
    Failed(TaskError),
    Poisoned(Poison),
}

impl From<Ended> for Answer {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Done(record) => Self::Done(Box::new(record)),
            Ended::Failed(error) => Self::Failed(error),
            Ended::Poisoned(poison) => Self::Poisoned(poison),
        }
    }
}

impl From<Answer> for Ended {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Done(record) => Self::Done(*record),
            Answer::Failed(error) => Self::Failed(error),
            Answer::Poisoned(poison) => Self::Poisoned(poison),
        }
    }
}

/// An answer has at most [`gristmill_job::PROBLEMS_PER_TASK`] problems and a name for each file.
const ANSWER_MAX: u64 = 256 << 20;
/// How often the slot is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Times that SIGKILL may hit the attempt at one place after another before it is taken for the machine's trouble.
const KILLS_MAX: u32 = 3;

/// Makes an attempt in a child. `looked` is called now and then with what is in hand.
pub(crate) async fn in_child(
    isolation: &Isolation,
    spec: &Spec,
    mut orders: watch::Receiver<Order>,
    looked: impl Fn(&Held),
) -> Ended {
    let mut killed_at: Option<Place> = None;
    for _ in 0..=KILLS_MAX {
        let (status, file) = match one_child(isolation, spec, &mut orders, &looked).await {
            Ok(ended) => ended,
            Err(error) => {
                return Ended::Failed(error.during("cannot make the attempt in a process of its own"));
            }
        };
        if *orders.borrow() != Order::GoOn && !status.success() {
            return Ended::Failed(TaskError::stopped());
        }
        if status.success() {
            return answer(&file);
        }
        let held = Slot::read(&file).ok().flatten().unwrap_or_default();
        match (death(status), held.place) {
            (Death::Crash(signal), Some(place)) => {
                return Ended::Poisoned(Poison {
                    place,
                    id: held.id,
                    why: format!("kills the process ({signal})"),
                });
            }
            (Death::Killed, Some(place)) if killed_at == Some(place) => {
                return Ended::Poisoned(Poison {
                    place,
                    id: held.id,
                    why: "kills the process (SIGKILL, as when memory runs out)".to_owned(),
                });
            }
            (Death::Killed, Some(place)) => killed_at = Some(place),
            (_, _) => {
                return Ended::Failed(TaskError::retry(format!("the attempt's process ended with {status}")));
            }
        }
    }
    Ended::Failed(TaskError::retry(
        "the attempt's process is killed again and again, each time elsewhere; is there enough memory for these lanes?",
    ))
}

/// Runs one child to its end, whatever that is.
async fn one_child(
    isolation: &Isolation,
    spec: &Spec,
    orders: &mut watch::Receiver<Order>,
    looked: &impl Fn(&Held),
) -> Result<(ExitStatus, File), TaskError> {
    let file = tempfile::tempfile_in(&spec.scratch)?;
    let mut command = (isolation.command)();
    // A terminal's Ctrl-C is for the worker, which passes it on.
    command.stdin(Stdio::piped()).stdout(Stdio::from(file.try_clone()?)).process_group(0);
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    let mut stdin = child.stdin.take().ok_or_else(|| TaskError::fatal("a child without stdin"))?;
    let mut line = serde_json::to_vec(spec).map_err(|e| TaskError::fatal(e.to_string()))?;
    line.push(b'\n');
    // A child that dies early closes its end: how it died says more.
    let _ = stdin.write_all(&line).await;
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut patience = None;
    orders.mark_changed();
    loop {
        tokio::select! {
            status = child.wait() => {
                let status = status?;
                if let Ok(Some(held)) = Slot::read(&file) {
                    looked(&held);
                }
                return Ok((status, file));
            }
            Ok(()) = orders.changed() => {
                let order = *orders.borrow_and_update();
                match order {
                    Order::GoOn => {}
                    Order::Stop => {
                        patience.get_or_insert_with(|| Instant::now() + STOP_WITHIN);
                        if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                            let _ = rustix::process::kill_process(pid, Signal::TERM);
                        }
                    }
                    Order::Drop => child.start_kill()?,
                }
            }
            _ = tick.tick() => {
                if let Ok(Some(held)) = Slot::read(&file) {
                    looked(&held);
                }
                if patience.is_some_and(|until| Instant::now() >= until) {
                    child.start_kill()?;
                }
            }
        }
    }
}

fn answer(file: &File) -> Ended {
    let answer = read_from(file, SLOT_BYTES, ANSWER_MAX)
        .map_err(|e| e.to_string())
        .and_then(|json| serde_json::from_slice::<Answer>(&json).map_err(|e| e.to_string()));
    match answer {
        Ok(answer) => answer.into(),
        Err(why) => Ended::Failed(TaskError::retry(format!("the attempt's process left no answer: {why}"))),
    }
}

enum Death {
    /// By a signal that a program brings upon itself.
    Crash(&'static str),
    Killed,
    /// By its own exit, or by a signal that somebody sent.
    Other,
}

fn death(status: ExitStatus) -> Death {
    let Some(signal) = status.signal().and_then(Signal::from_named_raw) else { return Death::Other };
    match signal {
        Signal::ABORT => Death::Crash("SIGABRT"),
        Signal::SEGV => Death::Crash("SIGSEGV"),
        Signal::BUS => Death::Crash("SIGBUS"),
        Signal::ILL => Death::Crash("SIGILL"),
        Signal::FPE => Death::Crash("SIGFPE"),
        Signal::TRAP => Death::Crash("SIGTRAP"),
        Signal::KILL => Death::Killed,
        _ => Death::Other,
    }
}

/// The child: makes the attempt that stdin tells, and answers on stdout. Does not come back: threads that hang end with
/// the process.
pub async fn serve(stores: Stores, resolver: Resolver) -> io::Result<std::convert::Infallible> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let (send, spec) = oneshot::channel();
    std::thread::spawn(move || {
        let mut lines = io::stdin().lock().lines();
        let _ = send.send(lines.next());
        // The worker says nothing more: what comes is its end.
        for _ in lines {}
        std::process::exit(1);
    });
    let line = spec.await.ok().flatten().transpose()?.unwrap_or_default();
    let spec: Spec = serde_json::from_str(&line).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "this command is for workers, which tell it what to do on stdin",
        )
    })?;
    bound_memory(spec.memory);
    let hand = Arc::new(Hand::noting(Slot::new(file.try_clone()?)));
    let answer = match attempt(stores, resolver, spec, hand).await {
        Ok(ended) => Answer::from(ended),
        Err(error) => Answer::Failed(error),
    };
    file.write_all_at(&serde_json::to_vec(&answer)?, SLOT_BYTES)?;
    io::stderr().flush()?;
    std::process::exit(0);
}

async fn attempt(
    stores: Stores,
    resolver: Resolver,
    spec: Spec,
    hand: Arc<Hand>,
) -> Result<Ended, TaskError> {
    let workspace: Uri = spec.workspace.parse().map_err(|e| TaskError::fatal(format!("{e}")))?;
    let metrics = Metrics::default();
    let open = Jobs::new(stores, workspace, resolver, metrics.clone()).get(&spec.job).await?;
    let attempt = Attempt {
        stage: spec.stage,
        task: spec.task,
        name: spec.name,
        handle: tokio::runtime::Handle::current(),
        scratch: spec.scratch,
        inputs: open.inputs(spec.stage, spec.task).await?,
        checkpoint_every: Duration::from_millis(spec.checkpoint_ms),
        look_back: spec.look_back,
        poison: spec.poison,
        hand,
        open,
        allow_external: spec.allow_external,
        // Filters are the worker's own: no attempt at one comes here.
        filter_memory: Arc::new(FilterMemory::new(Some(0))),
        metrics,
    };
    let (order, orders) = watch::channel(Order::GoOn);
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        terminated.recv().await;
        order.send_replace(Order::Stop);
        // Kept: a channel without a sender tells nothing any more.
        std::future::pending::<()>().await;
    });
    Ok(on_thread(Arc::new(attempt), orders, &Abandoned::default(), |_| {}).await)
}

/// Bounds what this process may allocate, and offers it to the kernel as the first to go. Best effort.
fn bound_memory(bytes: u64) {
    let present = rustix::process::getrlimit(Resource::Data);
    let lower = |limit: Option<u64>| Some(limit.map_or(bytes, |limit| limit.min(bytes)));
    let bound = Rlimit { current: lower(present.current), maximum: lower(present.maximum) };
    if let Err(error) = rustix::process::setrlimit(Resource::Data, bound) {
        tracing::warn!("cannot bound the memory of an attempt: {error}");
    }
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Memory that an attempt needs whatever its documents are.
const MEMORY_MIN: u64 = 1 << 30;

/// What one of so many lanes may use of the machine's memory, or of the container's.
pub(crate) fn share_of_memory(lanes: usize) -> u64 {
    gristmill_telemetry::memory_limit().map_or(u64::MAX, |total| share(total, lanes))
}

fn share(total: u64, lanes: usize) -> u64 {
    // A quarter stays for the worker itself and for what else runs here.
    let all = total / 4 * 3;
    (all / lanes.max(1) as u64).max(MEMORY_MIN.min(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskErrorKind;

    #[test]
    fn a_share_is_never_too_small_to_work_with() {
        let gib = 1 << 30;
        assert_eq!(share(64 * gib, 8), 6 * gib);
        assert_eq!(share(8 * gib, 64), gib);
        assert_eq!(share(gib, 4), gib / 4 * 3);
    }

    #[test]
    fn answers_come_back() {
        let failed = Answer::Failed(TaskError { kind: TaskErrorKind::Retry, message: "x".to_owned() });
        let json = serde_json::to_string(&failed).expect("JSON");
        let back = Ended::from(serde_json::from_str::<Answer>(&json).expect("parses"));
        assert!(matches!(back, Ended::Failed(error) if error.kind == TaskErrorKind::Retry));
    }

    /// A worker whose children are a shell script.
    async fn child(script: &'static str, held: Option<Place>) -> Ended {
        let held = held.map(|place| Held { place: Some(place), id: "d".to_owned(), ..Held::default() });
        let folder = tempfile::tempdir().expect("folder");
        let note = folder.path().join("note");
        let file = File::create(&note).expect("creates");
        if let Some(held) = &held {
            let hand = Hand::noting(Slot::new(file));
            hand.takes(held.place.expect("a place"));
            hand.named(&held.id);
        }
        let isolation = Isolation {
            command: Arc::new(move || {
                let mut command = std::process::Command::new("sh");
                command.args(["-c", &format!("cat {}; {script}", note.display())]);
                command
            }),
            suspects: Arc::default(),
            notes: None,
            renew: false,
        };
        let spec = Spec {
            workspace: String::new(),
            job: String::new(),
            stage: 0,
            task: 0,
            name: String::new(),
            scratch: folder.path().to_owned(),
            checkpoint_ms: 0,
            look_back: false,
            poison: Vec::new(),
            memory: 0,
            allow_external: false,
        };
        let (_order, orders) = watch::channel(Order::GoOn);
        in_child(&isolation, &spec, orders, |_| {}).await
    }

    #[tokio::test]
    async fn what_a_dead_child_had_in_hand_is_poison() {
        let place = Place::Document { number: 7 };
        let poisoned = |ended, why: &str| match ended {
            Ended::Poisoned(poison) => {
                assert_eq!((poison.place, poison.id.as_str()), (place, "d"));
                assert!(poison.why.contains(why), "{}", poison.why);
            }
            other => panic!("{other:?}"),
        };
        poisoned(child("kill -ABRT $$", Some(place)).await, "SIGABRT");
        poisoned(child("kill -SEGV $$", Some(place)).await, "SIGSEGV");
        poisoned(child("kill -KILL $$", Some(place)).await, "SIGKILL");
        for (script, held) in [
            ("kill -ABRT $$", None),
            ("kill -TERM $$", Some(place)),
            ("exit 3", Some(place)),
            ("exit 0", None),
        ] {
            let ended = child(script, held).await;
            assert!(
                matches!(&ended, Ended::Failed(error) if error.kind == TaskErrorKind::Retry),
                "{script}: {ended:?}"
            );
        }
    }
}
