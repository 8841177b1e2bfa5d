//! Who asks, and what they may ask for.
//!
//! A file of tokens says who there is:
//!
//! ```yaml
//! - name: ann                 # what jobs call their submitter; two entries with one name are one person
//!   role: submit              # read ⊂ submit ⊂ admin
//!   sha256: 9f86d0818…        # of the token, so that the file itself opens nothing
//! - name: ops
//!   role: admin
//!   token_file: /run/secrets/ops-token
//! ```
//!
//! It is read again every few seconds, so tokens come and go without a restart. A file that cannot be used changes
//! nothing: what was read before stays, and the log says so. Tokens are compared as digests, in constant time and with
//! every entry, and are never logged. Without a file everybody is admin.

use super::status::refuse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gristmill_pipeline::recipe::tree::{self, Node, Tree};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

/// How often the file of tokens is read again.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// Larger files of tokens are refused.
const FILE_MAX: u64 = 1 << 20;
/// Longest name of a token.
const NAME_MAX: usize = 64;
/// Bytes of chance in a new token.
const TOKEN_BYTES: usize = 32;

/// What a token is good for; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at jobs.
    Read,
    /// Hand in jobs, and control one's own.
    Submit,
    /// Control everybody's jobs.
    Admin,
}

/// Whoever sent a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Empty where no token is asked for.
    pub(super) name: String,
    pub(super) role: Role,
}

/// Who there is.
pub struct Tokens(Source);

enum Source {
    Everybody,
    File { path: PathBuf, known: RwLock<Arc<Vec<Known>>> },
}

#[derive(PartialEq)]
struct Known {
    name: String,
    role: Role,
    digest: [u8; 32],
}

/// Why a file of tokens cannot be used. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    #[error("cannot read {}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}, line {line}: {why}", .path.display())]
    Bad { path: PathBuf, line: u64, why: String },
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    role: Role,
    sha256: Option<String>,
    token_file: Option<PathBuf>,
}

impl Tokens {
    /// No token is asked for, and everybody is admin.
    #[must_use]
    pub fn everybody() -> Self {
        Self(Source::Everybody)
    }

    pub fn load(path: &Path) -> Result<Self, TokensError> {
        let known = RwLock::new(Arc::new(read(path)?));
        Ok(Self(Source::File { path: path.to_owned(), known }))
    }

    /// Reads the file again and again, for as long as it is polled.
    pub(super) async fn keep_fresh(&self) -> Infallible {
        let mut complaint = String::new();
        loop {
            tokio::time::sleep(REFRESH_EVERY).await;
            let said = match self.refresh() {
                Ok(changed) => {
                    if changed {
                        tracing::info!("took up a changed file of tokens");
                    }
                    String::new()
                }
                Err(error) => error.to_string(),
            };
            if !said.is_empty() && said != complaint {
                tracing::warn!("the tokens read before stay in force: {said}");
            }
            complaint = said;
        }
    }

    /// Says whether anything changed.
    fn refresh(&self) -> Result<bool, TokensError> {
        let Source::File { path, known } = &self.0 else { return Ok(false) };
        let fresh = read(path)?;
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **known != fresh;
        *known = Arc::new(fresh);
        Ok(changed)
    }

    fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let Source::File { known, .. } = &self.0 else {
            return Ok(Caller { name: String::new(), role: Role::Admin });
        };
        let Some(header) = metadata.get("authorization") else {
            return Err(unauthenticated(
                "TOKEN_MISSING",
                "this coordinator asks for a token: send `authorization: Bearer TOKEN`",
            ));
        };
        let header = header.to_str().unwrap_or_default();
        let scheme = "bearer ";
        let token = match header.split_at_checked(scheme.len()) {
            Some((given, token)) if given.eq_ignore_ascii_case(scheme) => token.trim(),
            _ => {
                return Err(unauthenticated(
                    "TOKEN_MISSING",
                    "send the token as `authorization: Bearer TOKEN`",
                ));
            }
        };
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = Arc::clone(&known.read().unwrap_or_else(PoisonError::into_inner));
        let mut caller = None;
        for entry in known.iter() {
            if bool::from(entry.digest.ct_eq(&digest)) {
                caller = Some(Caller { name: entry.name.clone(), role: entry.role });
            }
        }
        caller.ok_or_else(|| {
            unauthenticated(
                "TOKEN_UNKNOWN",
                "this coordinator does not know the token; ask its keeper for one",
            )
        })
    }
}

fn unauthenticated(reason: &str, message: &str) -> Status {
    let mut status = refuse(Code::Unauthenticated, reason, message);
    let hint = tonic::metadata::MetadataValue::from_static("Bearer realm=\"gristmill\"");
    status.metadata_mut().insert("www-authenticate", hint);
    status
}

impl Caller {
    pub(super) fn needs(&self, role: Role) -> Result<(), Status> {
        if self.role >= role {
            return Ok(());
        }
        let message = format!("this takes the role {role}, and {} has the role {}", self.name, self.role);
        Err(refuse(Code::PermissionDenied, "ROLE_TOO_LOW", &message))
    }

    /// Whether this is the caller's own job, or the caller may control everybody's.
    pub(super) fn controls(&self, job: &str, owner: &str) -> Result<(), Status> {
        self.needs(Role::Submit)?;
        if self.role == Role::Admin || self.name == owner {
            return Ok(());
        }
        let message = format!("job {job} is not yours; that takes the role {}", Role::Admin);
        Err(refuse(Code::PermissionDenied, "NOT_YOUR_JOB", &message))
    }
}

/// Stands before a service: lets in who may at least `read`, and says who it is.
#[derive(Clone)]
pub(super) struct Gate(pub(super) Arc<Tokens>);

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = self.0.caller(request.metadata())?;
        caller.needs(Role::Read)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

fn read(path: &Path) -> Result<Vec<Known>, TokensError> {
    let bad = |line, why: &str| TokensError::Bad { path: path.to_owned(), line, why: why.to_owned() };
    // What the parser says may quote what it reads.
    let list = tree::parse(&read_text(path)?).map_err(|e| bad(e.line, "this is not YAML"))?;
    let Node::List(entries) = &list.node else {
        return Err(bad(list.line, "a file of tokens is a list of entries"));
    };
    if entries.is_empty() {
        return Err(bad(list.line, "there is no entry, so nobody could get in"));
    }
    entries.iter().map(|entry| known(entry).map_err(|why| bad(entry.line, &why))).collect()
}

fn known(entry: &Tree) -> Result<Known, String> {
    let written: Written = serde_json::from_value(entry.to_value()).map_err(|_| {
        "an entry has a name, a role (read, submit or admin), and sha256 or token_file; nothing else"
            .to_owned()
    })?;
    check_name(&written.name)?;
    let digest = match (&written.sha256, &written.token_file) {
        (Some(digest), None) => hex::decode(digest).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()),
        (None, Some(path)) => {
            let text = read_text(path).map_err(|e| e.to_string())?;
            if text.trim().is_empty() {
                return Err(format!("{} is empty", path.display()));
            }
            Some(Sha256::digest(text.trim().as_bytes()).into())
        }
        _ => return Err("give either sha256 or token_file".to_owned()),
    };
    let digest = digest.ok_or("sha256 has 64 hexadecimal digits; `sha256sum` makes them")?;
    Ok(Known { name: written.name, role: written.role, digest })
}

fn read_text(path: &Path) -> Result<String, TokensError> {
    let io = |source| TokensError::Io { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(io)?.len() > FILE_MAX {
        return Err(io(std::io::Error::other("it is larger than 1 MiB")));
    }
    std::fs::read_to_string(path).map_err(io)
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!("a name has 1 to {NAME_MAX} letters, digits, '-', '_', '.' or '@'"))
}

impl Role {
    const ALL: [Self; 3] = [Self::Read, Self::Submit, Self::Admin];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Submit => "submit",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whom a new token is for: `NAME:ROLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    name: String,
    role: Role,
}

impl FromStr for Bearer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, role) = text.split_once(':').ok_or("write NAME:ROLE, such as ann:submit")?;
        check_name(name)?;
        let role = Role::ALL.into_iter().find(|known| known.name() == role);
        Ok(Self { name: name.to_owned(), role: role.ok_or("the roles are read, submit and admin")? })
    }
}

/// A fresh token, and the entry for it in the file of tokens.
pub fn new_token(bearer: &Bearer) -> Result<(String, String), getrandom::Error> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    let digest = hex::encode(Sha256::digest(token.as_bytes()));
    let entry = format!("- name: {:?}\n  role: {}\n  sha256: {digest}\n", bearer.name, bearer.role);
    Ok((token, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Case {
        folder: tempfile::TempDir,
        tokens: Tokens,
    }

    fn write(folder: &Path, yaml: &str) -> PathBuf {
        let path = folder.join("tokens.yaml");
        std::fs::write(&path, yaml).expect("writes");
        path
    }

    fn entry(name: &str, role: &str, token: &str) -> String {
        format!("- name: {name}\n  role: {role}\n  sha256: {}\n", hex::encode(Sha256::digest(token)))
    }

    fn case(yaml: &str) -> Case {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = Tokens::load(&write(folder.path(), yaml)).expect("tokens");
        Case { folder, tokens }
    }

    fn caller(tokens: &Tokens, header: Option<&str>) -> Result<Caller, Status> {
        let mut metadata = MetadataMap::new();
        if let Some(header) = header {
            metadata.insert("authorization", header.parse().expect("ASCII"));
        }
        tokens.caller(&metadata)
    }

    #[test]
    fn a_token_says_who_it_is() {
        let case = case(&[entry("ann", "submit", "s3cret"), entry("ops", "admin", "hunter2")].concat());
        let check = |header: Option<&str>, expected: &str| {
            let said = match caller(&case.tokens, header) {
                Ok(caller) => format!("{} {}", caller.name, caller.role),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unauthenticated);
                    assert!(status.metadata().contains_key("www-authenticate"));
                    assert!(!format!("{status:?}").contains("s3cre"), "{status:?}");
                    status.message().to_owned()
                }
            };
            assert!(said.contains(expected), "{header:?}: {said}");
        };
        check(Some("Bearer s3cret"), "ann submit");
        check(Some("bearer hunter2"), "ops admin");
        check(None, "asks for a token");
        check(Some("Bearer s3cre"), "does not know the token");
        check(Some("Bearer "), "does not know the token");
        check(Some("s3cret"), "send the token as");
        check(Some("Basic s3cret"), "send the token as");
        assert_eq!(caller(&Tokens::everybody(), None).map(|c| c.role).ok(), Some(Role::Admin));
    }

    #[test]
    fn roles_contain_each_other() {
        let check = |role: Role, needed: Role, own: bool, expected: [bool; 2]| {
            let caller = Caller { name: "ann".to_owned(), role };
            let owner = if own { "ann" } else { "bob" };
            assert_eq!(
                [caller.needs(needed).is_ok(), caller.controls("j", owner).is_ok()],
                expected,
                "{role}"
            );
        };
        check(Role::Read, Role::Read, true, [true, false]);
        check(Role::Read, Role::Submit, true, [false, false]);
        check(Role::Submit, Role::Submit, true, [true, true]);
        check(Role::Submit, Role::Read, false, [true, false]);
        check(Role::Submit, Role::Admin, false, [false, false]);
        check(Role::Admin, Role::Submit, false, [true, true]);
    }

    #[test]
    fn files_that_cannot_be_used_are_refused_unquoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |yaml: &str, expected: &str| {
            let said =
                Tokens::load(&write(folder.path(), yaml)).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.contains(expected) && !said.contains("s3cret"), "{yaml:?}: {said}");
        };
        check("s3cret", "line 1: a file of tokens is a list");
        check("[]", "nobody could get in");
        check("- name: a\n  role: s3cret\n", "line 1: an entry has a name");
        check("- name: a\n  role: read\n  sha256: s3cret\n", "64 hexadecimal digits");
        check("- name: a\n  role: read\n", "either sha256 or token_file");
        check("- name: a\n  role: read\n  token: s3cret\n", "an entry has a name");
        check("- name: a b\n  role: read\n  sha256: x\n", "a name has 1 to");
        check("- name: a\n  role: read\n  token_file: /nowhere\n", "cannot read /nowhere");
        check("- name: [s3cret\n", "this is not YAML");
    }

    #[test]
    fn a_changed_file_is_taken_up_and_a_bad_one_is_not() {
        let case = case(&entry("ann", "read", "one"));
        assert_eq!(case.tokens.refresh().ok(), Some(false));
        let secret = case.folder.path().join("secret");
        std::fs::write(&secret, "two\n").expect("writes");
        write(
            case.folder.path(),
            &format!("- {{name: bob, role: admin, token_file: {}}}\n", secret.display()),
        );
        assert_eq!(case.tokens.refresh().ok(), Some(true));
        assert!(caller(&case.tokens, Some("Bearer one")).is_err());
        assert!(caller(&case.tokens, Some("Bearer two")).is_ok());
        write(case.folder.path(), "- nonsense");
        assert!(case.tokens.refresh().is_err());
        assert!(caller(&case.tokens, Some("Bearer two")).is_ok());
    }

    #[test]
    fn a_new_token_opens_what_its_entry_says() {
        let bearer: Bearer = "ann:submit".parse().expect("a bearer");
        let (token, entry) = new_token(&bearer).expect("chance");
        assert_eq!(token.len(), 43);
        let case = case(&entry);
        let caller = caller(&case.tokens, Some(&format!("Bearer {token}"))).expect("known");
        assert_eq!((caller.name.as_str(), caller.role), ("ann", Role::Submit));
        for bad in ["ann", "ann:root", ":read", "a b:read"] {
            assert!(bad.parse::<Bearer>().is_err(), "{bad}");
        }
    }
}
