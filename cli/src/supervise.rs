//! A process that stands by another: `gristmill worker` and `gristmill run` do their work in a child, so that a document that
//! kills the process does not end the command.
//!
//! [`guard`] is called first thing. In the process that the user started it does not come back: it starts the same command as
//! a child, passes signals on, and ends with the child's exit code. A child that dies by a signal is started again, with
//! the names of the tasks that were in hand: those attempts are then made in processes of their own, where the
//! document is found ([`gristmill_worker::isolated`]). After [`BARREN_MAX`] deaths in a row without a single attempt come to its
//! end it gives up.
//!
//! Whoever kills this process with SIGKILL takes the child with it. From a terminal, Ctrl-C reaches both processes, and the child
//! once more by being passed on: it must not mind being told twice.

use crate::request::ModelArgs;
use gristmill_worker::{Isolation, Notes};
use rustix::process::{Pid, Signal};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, exit};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// How the child knows that it is one: `PID:PATH`, the parent's process id and the file of notes.
const VARIABLE: &str = "GRISTMILL_SUPERVISED";
/// The exit code of a child that wants to be started afresh (`EX_TEMPFAIL`).
const RENEW: i32 = 75;
/// Deaths in a row, without an attempt that came to its end in between, after which the command fails.
const BARREN_MAX: u32 = 5;
/// The first pause before a child is started again after a barren life; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// Tasks in hand at deaths that are remembered.
const SUSPECTS_MAX: usize = 4096;

/// Comes back in the child, which shall do the work, and nowhere else. Comes back, too, where no child can be started: the
/// work is then done without one.
pub(crate) fn guard() {
    if let Some(parent) = std::env::var(VARIABLE).ok().as_deref().and_then(parent_of) {
        bind_to(parent);
        return;
    }
    let stand_by = || -> io::Result<i32> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(stand_by())
    };
    match stand_by() {
        Ok(code) => exit(code),
        Err(error) => tracing::warn!("nobody stands by this process: {error}"),
    }
}

/// How a worker of this process makes attempts in processes of their own. `renew`: it ends with [`renew`] when it is worn.
pub(crate) fn isolation(models: &ModelArgs, renew: bool) -> Isolation {
    let models = models.models.clone();
    let program = std::env::current_exe().unwrap_or_else(|_| "gristmill".into());
    let supervised = std::env::var(VARIABLE).ok();
    let (notes, suspects) = supervised.as_deref().and_then(take_notes).unzip();
    Isolation {
        command: Arc::new(move || {
            let mut command = std::process::Command::new(&program);
            command.arg("attempt").arg("--models").arg(&models).env_remove(VARIABLE);
            command
        }),
        suspects: Arc::new(suspects.unwrap_or_default()),
        renew: renew && notes.is_some(),
        notes: notes.map(Arc::new),
    }
}

/// Ends this process, so that a fresh one takes its place.
pub(crate) fn renew() -> ! {
    tracing::info!("ending, to be started afresh: threads that hang burn this process");
    exit(RENEW)
}

fn parent_of(value: &str) -> Option<Pid> {
    Pid::from_raw(value.split_once(':')?.0.parse().ok()?)
}

/// Opens the notes that the parent will read, and takes the suspects out of them.
fn take_notes(value: &str) -> Option<(Notes, BTreeSet<String>)> {
    let path = value.split_once(':')?.1;
    let file = File::options().read(true).write(true).open(path).ok()?;
    // The parent has it open: without a name nothing of it stays behind.
    let _ = std::fs::remove_file(path);
    Notes::take(file).ok()
}

/// Dies with the parent.
fn bind_to(parent: Pid) {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if rustix::process::getppid() != Some(parent) {
        exit(1);
    }
    #[cfg(not(target_os = "linux"))]
    std::thread::spawn(move || {
        while rustix::process::getppid() == Some(parent) {
            std::thread::sleep(Duration::from_secs(1));
        }
        exit(1);
    });
}

/// Starts children until one ends by itself; gives its exit code.
async fn stand_by() -> io::Result<i32> {
    let mut passed_on = PassedOn::new()?;
    let mut suspects = BTreeSet::new();
    let mut barren = 0;
    loop {
        let mut notes = tempfile::Builder::new().prefix("gristmill-notes-").tempfile()?;
        Notes::hand_over(notes.as_file_mut(), &suspects)?;
        let status = passed_on.child(notes.path()).await?;
        let Some(signal) = status.signal() else {
            match status.code() {
                Some(RENEW) if !passed_on.any => continue,
                Some(RENEW) => return Ok(0),
                code => return Ok(code.unwrap_or(1)),
            }
        };
        if passed_on.any {
            return Ok(128 + signal);
        }
        let left = Notes::read(notes.as_file_mut())?;
        barren = if left.ended == 0 { barren + 1 } else { 0 };
        let tasks = left.in_hand.len();
        eprintln!("gristmill: the process died ({status}) with {tasks} tasks in hand");
        suspects.extend(left.in_hand);
        while suspects.len() > SUSPECTS_MAX {
            suspects.pop_first();
        }
        if barren >= BARREN_MAX {
            eprintln!(
                "gristmill: giving up: it died {barren} times in a row and finished nothing in between"
            );
            return Ok(1);
        }
        if barren > 0 {
            tokio::select! {
                () = tokio::time::sleep(PAUSE * 2_u32.pow(barren - 1)) => {}
                signal = passed_on.next() => return Ok(128 + signal.as_raw()),
            }
        }
        eprintln!("gristmill: starting it again; it makes those attempts in processes of their own");
    }
}

/// The signals that are passed on to the child.
struct PassedOn {
    interrupt: Signals,
    terminate: Signals,
    hangup: Signals,
    quit: Signals,
    /// Whether there was one: the child is then meant to end.
    any: bool,
}

impl PassedOn {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            any: false,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.quit.recv() => Signal::QUIT,
        }
    }

    /// Runs the command of this process in a child, to its end.
    async fn child(&mut self, notes: &std::path::Path) -> io::Result<ExitStatus> {
        let mut child = tokio::process::Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(VARIABLE, format!("{}:{}", std::process::id(), notes.display()))
            .spawn()?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        loop {
            tokio::select! {
                status = child.wait() => return status,
                signal = self.next() => {
                    self.any = true;
                    if let Some(pid) = pid {
                        let _ = rustix::process::kill_process(pid, signal);
                    }
                }
            }
        }
    }
}
