//! From errors to gRPC statuses, once.
//!
//! The code says what the client can do; the details are those of `google.rpc`: an `ErrorInfo` with the reason always, a
//! `BadRequest` for what is wrong in a recipe or request, a `RetryInfo` where asking again helps.
//!
//! All of it travels in headers, and many clients take no more than 16 KiB of those, so long texts are cut.

use crate::prepare::PrepareError;
use crate::service::{ServiceError, ServiceErrorKind};
use gristmill_pipeline::recipe::RecipeError;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Whose reasons these are.
const DOMAIN: &str = "gristmill";
/// When to ask again what could not be answered.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Longest message, in bytes.
const MESSAGE_MAX: usize = 1500;
/// Longest field and longest description of what is wrong with it, and all of them together.
const FIELD_MAX: usize = 200;
const DESCRIPTION_MAX: usize = 400;
const VIOLATIONS_MAX: usize = 3000;

impl From<ServiceError> for Status {
    fn from(error: ServiceError) -> Self {
        let code = match error.kind() {
            ServiceErrorKind::Invalid => Code::InvalidArgument,
            ServiceErrorKind::NotFound => Code::NotFound,
            ServiceErrorKind::Denied => Code::PermissionDenied,
            ServiceErrorKind::Exists => Code::AlreadyExists,
            ServiceErrorKind::Precondition => Code::FailedPrecondition,
            ServiceErrorKind::Unavailable => Code::Unavailable,
            ServiceErrorKind::Internal => Code::Internal,
        };
        if code == Code::Internal {
            // The client cannot mend it, so whoever keeps this coordinator must know.
            tracing::error!("a request failed: {error}");
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(reason(&error), DOMAIN, facts(&error));
        let violations = violations(&error);
        if code == Code::InvalidArgument && !violations.is_empty() {
            details.set_bad_request(violations);
        }
        if code == Code::Unavailable {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Self::with_error_details(code, cut(&error.to_string(), MESSAGE_MAX), details)
    }
}

/// A refusal that no error of the coordinator stands for.
pub(super) fn refuse(code: Code, reason: &str, message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

fn reason(error: &ServiceError) -> &'static str {
    match (error, error.kind()) {
        (ServiceError::Stopping, _) => "STOPPING",
        (_, ServiceErrorKind::Denied) => "ADDRESS_NOT_ALLOWED",
        (_, ServiceErrorKind::NotFound) => "JOB_NOT_FOUND",
        (_, ServiceErrorKind::Exists) => "KEY_TAKEN",
        (_, ServiceErrorKind::Precondition) => "JOB_IN_OTHER_STATE",
        (ServiceError::Queue(_), ServiceErrorKind::Unavailable) => "QUEUE_UNAVAILABLE",
        (_, ServiceErrorKind::Unavailable) => "STORAGE_UNAVAILABLE",
        (ServiceError::Invalid { .. }, ServiceErrorKind::Invalid) => "REQUEST_INVALID",
        (_, ServiceErrorKind::Invalid) => "RECIPE_INVALID",
        (_, ServiceErrorKind::Internal) => "INTERNAL",
    }
}

/// For programs, which should not read messages.
fn facts(error: &ServiceError) -> HashMap<String, String> {
    let fact = |name: &str, value: String| HashMap::from([(name.to_owned(), value)]);
    match error {
        ServiceError::NotFound { id } => fact("job", cut(id, FIELD_MAX)),
        ServiceError::KeyTaken { job, .. } => fact("job", job.clone()),
        ServiceError::Illegal(illegal) => fact("state", illegal.state.to_string()),
        _ => HashMap::new(),
    }
}

fn violations(error: &ServiceError) -> Vec<FieldViolation> {
    let one = |field: String, why: String| vec![FieldViolation::new(field, cut(&why, DESCRIPTION_MAX))];
    match error {
        ServiceError::Recipe(error) => complaints(error),
        ServiceError::Prepare(PrepareError::Step { place, step, why }) => {
            one(format!("steps.{place}.{step}"), why.clone())
        }
        ServiceError::Prepare(PrepareError::Resource(error)) => one("steps".to_owned(), error.to_string()),
        ServiceError::Prepare(error) => one("input".to_owned(), error.to_string()),
        ServiceError::Invalid { field, why } => one((*field).to_owned(), why.clone()),
        _ => Vec::new(),
    }
}

fn complaints(error: &RecipeError) -> Vec<FieldViolation> {
    let mut room = VIOLATIONS_MAX;
    let mut violations = Vec::new();
    for complaint in &error.0 {
        let line = if complaint.line > 0 { format!("line {}: ", complaint.line) } else { String::new() };
        let field = cut(&complaint.path, FIELD_MAX);
        let description = cut(&format!("{line}{}", complaint.message), DESCRIPTION_MAX);
        let taken = field.len() + description.len();
        if taken > room {
            break;
        }
        room -= taken;
        violations.push(FieldViolation::new(field, description));
    }
    violations
}

/// At most `most` bytes of it.
fn cut(text: &str, most: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub(ELLIPSIS.len()));
    format!("{}{ELLIPSIS}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_job::lifecycle::IllegalJobEvent;
    use gristmill_job::{JobEvent, JobState};
    use gristmill_pipeline::Recipe;

    fn recipe_error(yaml: &str) -> ServiceError {
        ServiceError::Recipe(Recipe::parse(yaml, &[]).err().expect("it is wrong"))
    }

    #[test]
    fn every_error_has_its_code_and_reason() {
        let check = |error: ServiceError, code: Code, reason: &str, retry: bool| {
            let said = error.to_string();
            let status = Status::from(error);
            assert_eq!(status.code(), code, "{said}");
            let details = status.get_error_details();
            let info = details.error_info().expect("ErrorInfo");
            assert_eq!((info.domain.as_str(), info.reason.as_str()), (DOMAIN, reason), "{said}");
            assert_eq!(details.retry_info().is_some(), retry, "{said}");
        };
        let illegal = IllegalJobEvent { state: JobState::Done, event: JobEvent::Paused.name() };
        let queue = gristmill_queue::Error::Unavailable { server: "h:1".to_owned(), why: "down".to_owned() };
        check(recipe_error("name: a"), Code::InvalidArgument, "RECIPE_INVALID", false);
        check(ServiceError::NotFound { id: "j".to_owned() }, Code::NotFound, "JOB_NOT_FOUND", false);
        let taken = ServiceError::KeyTaken { key: "k".to_owned(), job: "j".to_owned() };
        check(taken, Code::AlreadyExists, "KEY_TAKEN", false);
        check(ServiceError::Illegal(illegal), Code::FailedPrecondition, "JOB_IN_OTHER_STATE", false);
        let invalid = ServiceError::Invalid { field: "labels", why: "x".to_owned() };
        check(invalid, Code::InvalidArgument, "REQUEST_INVALID", false);
        check(ServiceError::Queue(queue), Code::Unavailable, "QUEUE_UNAVAILABLE", true);
        check(ServiceError::Stopping, Code::Unavailable, "STOPPING", true);
        let broken = gristmill_queue::Error::Unexpected { what: "depth" };
        check(ServiceError::Queue(broken), Code::Internal, "INTERNAL", false);
    }

    #[test]
    fn complaints_name_field_and_line() {
        let status = Status::from(recipe_error("name: a\nsteps:\n- language_filter: {treshold: 1}\n"));
        let details = status.get_error_details();
        let violations = &details.bad_request().expect("BadRequest").field_violations;
        let [violation] = violations.as_slice() else { panic!("{violations:?}") };
        assert_eq!(violation.field, "steps.0.language_filter.treshold");
        assert!(violation.description.starts_with("line 3: "), "{violation:?}");
    }

    #[test]
    fn what_is_said_fits_into_headers() {
        let yaml = format!("name: a\nsteps:\n{}", format!("- {}\n", "ä".repeat(2000)).repeat(900));
        let status = Status::from(recipe_error(&yaml));
        // Non-ASCII bytes of the message take three; the details are in base64 and hold the message again.
        let headers = status.message().len() * 3 + status.details().len() * 4 / 3;
        assert!(headers < 14 << 10, "{headers}");
        assert!(status.message().ends_with('…'));
        assert!(!status.get_error_details().bad_request().expect("BadRequest").field_violations.is_empty());
    }
}
