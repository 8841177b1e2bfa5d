//! `fault_injection`: for this project's own tests, and for nobody else.
//!
//! It does to the program what hostile documents do, to those documents that hold a given text: the tests of poison and of
//! resuming need that on purpose. It is no part of the list of steps, and no recipe with it is accepted unless the environment has
//! `GRISTMILL_FAULT_INJECTION=1`.

use crate::step::{Context, StepDef};
use crate::{BuildError, Built, Step, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Found by name, and not listed.
pub(super) const HIDDEN: &StepDef = &StepDef::of::<FaultInjection>();

const VARIABLE: &str = "GRISTMILL_FAULT_INJECTION";

pub(super) struct FaultInjection;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// Abort the process.
    abort: Option<String>,
    /// Never come back.
    hang: Option<String>,
    /// Use up the memory.
    exhaust: Option<String>,
    /// Use up the stack.
    overflow: Option<String>,
    /// Panic.
    panic: Option<String>,
    /// Wait so long at every document.
    sleep_ms: u64,
}

impl Step for FaultInjection {
    const NAME: &'static str = "fault_injection";
    const DOC: &'static str = "Does to the program what hostile documents do; for its own tests.\n\n\
        Refused unless the environment has GRISTMILL_FAULT_INJECTION=1.";
    const ORIGIN: &'static str = "this project's tests";
    const EXAMPLE: &'static str = "{abort: surely not in any text}";
    type Params = Params;

    fn check(_: &Params) -> Result<(), BuildError> {
        if std::env::var_os(VARIABLE).is_some_and(|value| value == "1") {
            return Ok(());
        }
        Err(BuildError::new(format!(
            "this step harms the program on purpose and is for its own tests; they set {VARIABLE}=1"
        )))
    }

    fn build(params: &Params, _: &Context) -> Result<Built, BuildError> {
        let Params { abort, hang, exhaust, overflow, panic, sleep_ms } = params;
        let (abort, hang, exhaust) = (abort.clone(), hang.clone(), exhaust.clone());
        let (overflow, panic, sleep) = (overflow.clone(), panic.clone(), Duration::from_millis(*sleep_ms));
        Ok(Built::text(move |text, _| {
            let holds = |wanted: &Option<String>| wanted.as_ref().is_some_and(|w| text.as_str().contains(w));
            if holds(&abort) {
                std::process::abort();
            }
            while holds(&hang) {
                std::hint::spin_loop();
            }
            if holds(&exhaust) {
                use_up_memory();
            }
            if holds(&overflow) {
                std::hint::black_box(use_up_stack(1));
            }
            assert!(!holds(&panic), "a document that panics");
            if !sleep.is_zero() {
                std::thread::sleep(sleep);
            }
            Verdict::Keep
        }))
    }
}

fn use_up_memory() {
    let mut all = Vec::new();
    loop {
        // Written to, or the kernel gives nothing.
        all.push(vec![1_u8; 16 << 20]);
        std::hint::black_box(&all);
    }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn use_up_stack(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 512]);
    use_up_stack(n + 1) + frame.iter().sum::<u64>()
}

#[cfg(test)]
mod tests {
    use crate::steps::{ALL, check::check, find};

    #[test]
    fn it_is_refused_and_not_listed() {
        check(
            "fault_injection: {abort: x}",
            "{}",
            "refused: this step harms the program on purpose and is for its own tests; they set GRISTMILL_FAULT_INJECTION=1",
        );
        assert!(find("fault_injection").is_some());
        assert!(ALL.iter().all(|def| def.name != "fault_injection"));
    }
}
