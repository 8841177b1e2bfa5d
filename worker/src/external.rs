//! Users' programs: the step `external`, as a process beside each lane.
//!
//! ```text
//! lane      one record a line, after at most `batch` of them an empty line  ──▶  program's standard input
//!      ◀──  one answer a line (a record, null, "reason", [records])               its standard output
//!      ◀──  logged                                                                 its standard error
//! ```
//!
//! A batch in which the program ends, answers nonsense or is silent for too long is gone through again from the first
//! document without an answer, one at a time, so that only the document to blame is broken. A program that never
//! answers anything is not the documents' fault: the attempt fails and says what the program wrote last.
//!
//! The program has an environment and a working directory of its own, and dies with its lane.

use crate::hand::Hand;
use gristmill_pipeline::step::{Answer, BatchStep, Program, Programs, StepError};
use gristmill_pipeline::{BuildError, Document, Verdict};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An answer of more bytes is nonsense.
const ANSWER_MAX: u64 = 256 << 20;
/// Lines of its standard error that are logged, and bytes of one.
const LOGGED_LINES: usize = 100;
const LOGGED_BYTES: usize = 1000;
/// Variables of our environment that the program gets. Not those of storage: they hold secrets.
const PASSED_ON: [&str; 8] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"];
/// Documents in a row that may fail before the program has answered any.
const NEVER_ANSWERED_MAX: u32 = 3;
/// How long a program that answered everything may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs users' programs.
#[derive(Clone)]
pub struct Processes {
    scratch: PathBuf,
    hand: Option<Arc<Hand>>,
}

impl Processes {
    /// `scratch`: where the programs' working directories lie.
    #[must_use]
    pub fn new(scratch: PathBuf) -> Self {
        Self { scratch, hand: None }
    }

    /// Those of an attempt: while they work, no document's time runs.
    pub(crate) fn of_attempt(scratch: PathBuf, hand: Arc<Hand>) -> Self {
        Self { scratch, hand: Some(hand) }
    }
}

impl Programs for Processes {
    fn start(&self, program: Program) -> Result<Box<dyn BatchStep>, BuildError> {
        let folder = tempfile::Builder::new().prefix("gristmill-external-").tempdir_in(&self.scratch);
        let folder = folder.map_err(|e| {
            BuildError::new(format!("cannot make a working directory in {}: {e}", self.scratch.display()))
        })?;
        for (name, bytes) in &program.files {
            std::fs::write(folder.path().join(name), (**bytes).as_ref())
                .map_err(|e| BuildError::new(format!("cannot write {name} for the program: {e}")))?;
        }
        let mut external = External {
            program,
            folder,
            running: None,
            hand: self.hand.clone(),
            answered: false,
            failures: 0,
        };
        // A command that does not exist is known before any document is read.
        external.running = Some(external.spawn().map_err(|e| BuildError::new(e.to_string()))?);
        Ok(Box::new(external))
    }
}

struct External {
    program: Program,
    folder: TempDir,
    running: Option<Running>,
    hand: Option<Arc<Hand>>,
    /// Whether it ever gave an answer that made sense.
    answered: bool,
    /// Documents that failed before that.
    failures: u32,
}

/// Why a program gave no answer.
enum Failure {
    Ended(Option<ExitStatus>),
    Silent,
    Nonsense(&'static str),
}

impl Failure {
    /// A reason to count by: there are few of them.
    fn reason(&self) -> String {
        match self {
            Self::Ended(status) => match status.map(|status| (status.code(), status.signal())) {
                Some((Some(code), _)) => format!("external: the program ended with {code}"),
                Some((_, Some(signal))) => format!("external: the program was ended by signal {signal}"),
                _ => "external: the program ended".to_owned(),
            },
            Self::Silent => "external: no answer in time".to_owned(),
            Self::Nonsense(what) => format!("external: {what}"),
        }
    }
}

impl BatchStep for External {
    fn size(&self) -> usize {
        self.program.batch
    }

    fn apply(&mut self, docs: &mut [Document]) -> Result<Vec<Answer>, StepError> {
        if let Some(hand) = &self.hand {
            hand.writing();
        }
        let mut answers = Vec::with_capacity(docs.len());
        if docs.len() > 1 {
            // What fails here is tried again below.
            let _ = self.ask(docs, &mut answers)?;
        }
        while let Some(doc) = docs.get_mut(answers.len()) {
            let fresh = self.running.is_none();
            let one = std::slice::from_mut(doc);
            let mut failed = self.ask(one, &mut answers)?;
            if failed.is_some() && !fresh {
                // It may have been the state that it was in.
                failed = self.ask(one, &mut answers)?;
            }
            if let Some(failure) = failed {
                self.note_failure(&failure)?;
                answers.push(Answer::Verdict(Verdict::broken(failure.reason())));
            }
        }
        Ok(answers)
    }
}

impl External {
    /// Asks about documents; adds the answers that came, and says why the rest did not.
    fn ask(
        &mut self,
        docs: &mut [Document],
        answers: &mut Vec<Answer>,
    ) -> Result<Option<Failure>, StepError> {
        let mut lines = Vec::new();
        for doc in docs.iter() {
            doc.write_json(&mut lines);
            lines.push(b'\n');
        }
        lines.push(b'\n');
        let running = match self.running.take() {
            Some(running) => running,
            None => self.spawn()?,
        };
        let time = Duration::from_secs(u64::from(self.program.timeout)) * docs.len().try_into().unwrap_or(1);
        let until = Instant::now() + time;
        // Nobody to read them: seen as an end of the answers.
        let _ = running.questions.send(lines);
        for doc in docs {
            let left = until.saturating_duration_since(Instant::now());
            let failure = match running.answers.recv_timeout(left) {
                Ok(line) => match self.understand(doc, &line) {
                    Ok(answer) => {
                        self.answered = true;
                        answers.push(answer);
                        continue;
                    }
                    Err(what) => Failure::Nonsense(what),
                },
                Err(RecvTimeoutError::Timeout) => Failure::Silent,
                Err(RecvTimeoutError::Disconnected) => return Ok(Some(Failure::Ended(running.end()))),
            };
            running.kill();
            return Ok(Some(failure));
        }
        self.running = Some(running);
        Ok(None)
    }

    fn understand(&self, doc: &mut Document, line: &[u8]) -> Result<Answer, &'static str> {
        let line = std::str::from_utf8(line).map_err(|_| "an answer that is not UTF-8")?;
        let record =
            |line: &str| Document::from_json(line, String::new).map_err(|_| "an answer that is no record");
        match line.trim_ascii().bytes().next() {
            Some(b'{') => {
                let answer = record(line)?;
                // Its identity and its page, if it still has one, stay the document's.
                (doc.text, doc.fields) = (answer.text, answer.fields);
                Ok(Answer::Verdict(Verdict::Keep))
            }
            Some(b'n') if line.trim_ascii() == "null" => Ok(Answer::Verdict(Verdict::dropped("null"))),
            Some(b'"') => {
                let said: String = serde_json::from_str(line).map_err(|_| "an answer that is not JSON")?;
                let known = self.program.reasons.contains(&said);
                Ok(Answer::Verdict(Verdict::dropped(if known { said } else { "other".to_owned() })))
            }
            Some(b'[') => {
                let parts: Vec<Box<serde_json::value::RawValue>> =
                    serde_json::from_str(line).map_err(|_| "an answer that is not JSON")?;
                Ok(Answer::Documents(parts.iter().map(|part| record(part.get())).collect::<Result<_, _>>()?))
            }
            _ => Err("an answer that is not JSON"),
        }
    }

    /// A program that never answers is broken itself.
    fn note_failure(&mut self, failure: &Failure) -> Result<(), StepError> {
        if self.answered {
            return Ok(());
        }
        self.failures += 1;
        if self.failures < NEVER_ANSWERED_MAX {
            return Ok(());
        }
        Err(StepError::new(format!(
            "{} never gave an answer ({}); try it by hand, or with `gristmill try`, and see what it writes to its standard error",
            self.program.command.join(" "),
            failure.reason()
        )))
    }

    fn spawn(&self) -> Result<Running, StepError> {
        let (name, arguments) =
            self.program.command.split_first().ok_or_else(|| StepError::new("the command is empty"))?;
        let mut command = Command::new(name);
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.envs(PASSED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.envs(&self.program.environment);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what it starts ends with it.
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| {
            StepError::new(format!(
                "cannot start {name}: {e}; install it on every machine, or list it in files"
            ))
        })?;
        let threads = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let Some(((input, output), errors)) = threads else {
            return Err(StepError::new("the program has no pipes"));
        };
        let (questions, asked) = sync_channel(1);
        // One answer waits for each question at most: a program that says more than it was asked has to wait.
        let (answered, answers) = sync_channel(1);
        let spawned = thread("external-in", move || write_all(&asked, input))
            .and_then(|()| thread("external-out", move || read_lines(output, &answered)))
            .and_then(|()| thread("external-log", move || log_lines(errors)));
        let running = Running { child: Mutex::new(child), questions, answers };
        match spawned {
            Ok(()) => Ok(running),
            Err(error) => {
                running.kill();
                Err(StepError::new(format!("cannot start a thread: {error}")))
            }
        }
    }
}

impl Drop for External {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.leave();
        }
    }
}

/// A process, and the threads that talk to it: with pipes alone both sides could wait for each other.
struct Running {
    child: Mutex<Child>,
    questions: SyncSender<Vec<u8>>,
    answers: Receiver<Vec<u8>>,
}

impl Running {
    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it and all that it started.
    fn kill(self) {
        self.end();
    }

    fn end(self) -> Option<ExitStatus> {
        let mut child = self.child();
        // It closed its output; if it does not end of itself at once, it is made to.
        let until = Instant::now() + Duration::from_millis(200);
        let mut status = None;
        while status.is_none() && Instant::now() < until {
            status = child.try_wait().ok().flatten();
            if status.is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        kill_group(&child);
        let _ = child.kill();
        let waited = child.wait().ok();
        status.or(waited)
    }

    /// Ends it kindly: its input ends.
    fn leave(self) {
        let Self { child, questions, answers } = self;
        drop(questions);
        let mut child = child.into_inner().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + END_WITHIN;
        while Instant::now() < until {
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
            // What it says now nobody asked for.
            let _ = answers.recv_timeout(Duration::from_millis(10));
        }
        kill_group(&child);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

fn write_all(asked: &Receiver<Vec<u8>>, mut input: ChildStdin) {
    while let Ok(lines) = asked.recv() {
        // A program that does not read to the end is heard by its output.
        if input.write_all(&lines).and_then(|()| input.flush()).is_err() {
            return;
        }
    }
}

/// Hands on the lines that are not empty, without their ends.
fn read_lines(output: impl Read, answered: &SyncSender<Vec<u8>>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(ANSWER_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if !line.trim_ascii().is_empty() && answered.send(line).is_err() {
            return;
        }
    }
}

fn log_lines(errors: impl Read) {
    let mut errors = BufReader::new(errors);
    let mut logged = 0;
    loop {
        let mut line = Vec::new();
        match errors.by_ref().take(LOGGED_BYTES as u64).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if logged < LOGGED_LINES {
            logged += 1;
            tracing::warn!("external program: {}", String::from_utf8_lossy(&line).trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn external(script: &str, batch: usize) -> Result<Box<dyn BatchStep>, BuildError> {
        let program = Program {
            command: vec!["sh".to_owned(), "filter.sh".to_owned()],
            files: vec![("filter.sh".to_owned(), Arc::new(script.as_bytes().to_vec()))],
            environment: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            batch,
            timeout: 2,
            reasons: vec!["dull".to_owned()],
        };
        Processes::new(std::env::temp_dir()).start(program)
    }

    fn docs(texts: &[&str]) -> Vec<Document> {
        let record = |text: &&str| serde_json::json!({"text": text}).to_string();
        texts
            .iter()
            .map(|text| Document::from_json(&record(text), || "id".to_owned()).expect("a record"))
            .collect()
    }

    /// What a script says of texts: a line for each.
    fn said(script: &str, batch: usize, texts: &[&str]) -> Result<Vec<String>, StepError> {
        let mut external = external(script, batch).expect("starts");
        let mut all = Vec::new();
        for chunk in texts.chunks(batch) {
            let mut docs = docs(chunk);
            let answers = external.apply(&mut docs)?;
            assert_eq!(answers.len(), docs.len());
            all.extend(docs.iter().zip(answers).map(|(doc, answer)| match answer {
                Answer::Verdict(Verdict::Keep) => serde_json::to_string(doc).expect("JSON"),
                Answer::Verdict(Verdict::Drop(reason)) => format!("drop {reason}"),
                Answer::Verdict(Verdict::Broken(reason)) => format!("broken {reason}"),
                Answer::Documents(parts) => format!("{} parts", parts.len()),
            }));
        }
        Ok(all)
    }

    /// Answers line by line, as a script of its own.
    const ECHO: &str = r#"while read -r line; do case "$line" in
        "") ;;
        *gone*) echo null ;;
        *dull*) echo '"dull"' ;;
        *odd*) echo '"whatever 1234"' ;;
        *two*) echo '[{"text":"a"},{"text":"b"}]' ;;
        *greet*) echo "{\"text\":\"$GREETING$SECRET\"}" ;;
        *noise*) echo "what?" ;;
        *crash*) exit 3 ;;
        *sleep*) sleep 60 ;;
        *) echo "$line" ;;
    esac; done"#;

    #[test]
    fn programs_keep_drop_change_and_split() {
        let texts = ["x", "gone", "dull", "odd", "two", "greet"];
        let expected =
            [r#"{"text":"x"}"#, "drop null", "drop dull", "drop other", "2 parts", r#"{"text":"hello"}"#];
        for batch in [1, 4, 100] {
            assert_eq!(said(ECHO, batch, &texts).expect("answers"), expected, "batches of {batch}");
        }
    }

    #[test]
    fn only_the_document_to_blame_is_broken() {
        let texts = ["a", "noise", "b", "crash", "c", "sleep", "d"];
        for batch in [1, 3, 7] {
            let said = said(ECHO, batch, &texts).expect("answers");
            let broken =
                |at: usize| said[at].strip_prefix("broken external: ").unwrap_or_else(|| panic!("{said:?}"));
            assert_eq!(broken(1), "an answer that is not JSON");
            assert_eq!(broken(3), "the program ended with 3");
            assert_eq!(broken(5), "no answer in time");
            for (at, text) in [(0, "a"), (2, "b"), (4, "c"), (6, "d")] {
                assert_eq!(said[at], format!(r#"{{"text":"{text}"}}"#), "batches of {batch}");
            }
        }
    }

    #[test]
    fn a_batch_larger_than_any_pipe_goes_through() {
        let long = "x".repeat(200_000);
        let texts = vec![long.as_str(); 20];
        assert_eq!(said("exec cat", 20, &texts).expect("answers").len(), 20);
        // Reads everything before it answers anything: the empty line says when.
        let sorted = r#"held=""; while read -r line; do if [ -z "$line" ]; then printf '%s' "$held"; held=""; else held="$held$line
"; fi; done"#;
        assert_eq!(said(sorted, 3, &["a", "b", "c", "d"]).expect("answers").len(), 4);
    }

    #[test]
    fn a_program_that_never_answers_is_no_document_s_fault() {
        let error = said("exit 1", 1, &["a", "b", "c", "d"]).expect_err("never answers").to_string();
        assert!(error.contains("sh filter.sh never gave an answer"), "{error}");
        let program = Program {
            command: vec!["surely-no-such-program".to_owned()],
            files: Vec::new(),
            environment: BTreeMap::new(),
            batch: 1,
            timeout: 1,
            reasons: Vec::new(),
        };
        let refused =
            Processes::new(std::env::temp_dir()).start(program).map(|_| ()).expect_err("no such program");
        assert!(refused.to_string().contains("cannot start surely-no-such-program"), "{refused}");
    }
}
