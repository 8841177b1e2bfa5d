//! How a command fails, and with which exit code.

use std::io::ErrorKind;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request was wrong: nothing was done. Exit code 2.
    Request(anyhow::Error),
    /// The job failed on the way. Exit code 1.
    Job(anyhow::Error),
    /// The coordinator could not be reached, or could not answer. Exit code 3.
    Unreachable(anyhow::Error),
    /// Somebody stopped looking at a job that goes on. Exit code 130, as of a command that was interrupted.
    Left(anyhow::Error),
}

impl Failure {
    pub(crate) fn request(error: impl Into<anyhow::Error>) -> Self {
        Self::Request(error.into())
    }

    pub(crate) fn job(error: impl Into<anyhow::Error>) -> Self {
        Self::Job(error.into())
    }

    /// Prints the failure and gives its exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (error, code) = match self {
            Self::Request(error) => (error, 2),
            Self::Job(error) => (error, 1),
            Self::Unreachable(error) => (error, 3),
            Self::Left(error) => (error, 130),
        };
        // Whoever reads our output may stop early (`| head`): that is no failure of ours.
        if error.chain().any(is_broken_pipe) {
            return ExitCode::SUCCESS;
        }
        let mut message = error.to_string();
        // Many errors tell their cause themselves.
        for cause in error.chain().skip(1).map(ToString::to_string).filter(|cause| !cause.is_empty()) {
            if !message.contains(&cause) {
                message = format!("{message}: {cause}");
            }
        }
        eprintln!("gristmill: {}", message.trim_end().replace('\n', "\n  "));
        ExitCode::from(code)
    }
}

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}

pub(crate) type Outcome = Result<(), Failure>;
