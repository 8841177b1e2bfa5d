//! A call that failed: why, and what to do.

use crate::display::words::clean;
use crate::failure::Failure;
use rustls::CertificateError;
use std::error::Error;
use std::fmt;
use std::io;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

#[derive(Debug)]
pub(crate) struct CallError {
    server: String,
    tls: bool,
    /// It has answered before.
    known: bool,
    status: Status,
}

/// Why no call reached the server: what the transport says, where it says it in types.
enum Obstacle {
    /// The network's own words.
    Io(io::Error),
    Tls(rustls::Error),
    /// It listens, but what it says is not HTTP/2.
    Protocol,
}

impl CallError {
    pub(super) fn new(server: &str, tls: bool, known: bool, status: Status) -> Self {
        Self { server: server.to_owned(), tls, known, status }
    }

    pub(crate) fn code(&self) -> Code {
        self.status.code()
    }

    /// Whether the same call can only fail in the same way, although nobody answered it.
    pub(crate) fn is_lasting(&self) -> bool {
        match self.obstacle() {
            Some(Obstacle::Tls(_)) => true,
            // An alert after the handshake, of which the transport keeps only this and the text.
            Some(Obstacle::Io(error)) => error.kind() == io::ErrorKind::InvalidData,
            Some(Obstacle::Protocol) | None => false,
        }
    }

    /// Whether the server answered that this is not to be had.
    pub(crate) fn is_refusal(&self) -> bool {
        match self.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => true,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => false,
        }
    }

    fn obstacle(&self) -> Option<Obstacle> {
        let mut at: Option<&(dyn Error + 'static)> = self.status.source();
        let mut protocol = false;
        while let Some(error) = at {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Some(Obstacle::Tls(tls.clone()));
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                // The cause that an io::Error wraps is no source of it.
                if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    return Some(Obstacle::Tls(tls.clone()));
                }
                return Some(Obstacle::Io(io::Error::new(io.kind(), io.to_string())));
            }
            protocol = true;
            at = error.source();
        }
        protocol.then_some(Obstacle::Protocol)
    }

    /// What the server says is wrong with the fields of the request, without what its message says already.
    fn fields(&self) -> Vec<String> {
        let details = self.status.get_error_details();
        let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let lines = violations.iter().map(|v| (clean(&v.field), clean(&v.description)));
        let message = clean(self.status.message());
        // A message may put the field between the line and the complaint.
        let without_line =
            |text: &str| match text.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
                Some((_, complaint)) => complaint.to_owned(),
                None => text.to_owned(),
            };
        let new = lines.filter(|(_, description)| !message.contains(&without_line(description)));
        new.map(|(field, description)| format!("{field}: {description}")).collect()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        match self.obstacle() {
            Some(Obstacle::Tls(error)) => return tls_trouble(f, server, &error),
            Some(Obstacle::Protocol) if self.known => return write!(f, "{server} broke the connection off"),
            Some(Obstacle::Io(error)) if !self.tls && !self.known && is_cut(&error) => {
                return write!(
                    f,
                    "{server} does not answer as a coordinator: {error}; if it asks for TLS, give https://… or --ca"
                );
            }
            Some(Obstacle::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return session_ended(f, server, &error);
            }
            Some(Obstacle::Io(error)) => return write!(f, "{server} cannot be reached: {error}"),
            Some(Obstacle::Protocol) if self.code() != Code::Cancelled => {
                let advice = if self.tls { "" } else { "; if it asks for TLS, give https://… or --ca" };
                return write!(f, "{server} does not answer as a coordinator{advice}");
            }
            Some(Obstacle::Protocol) | None => {}
        }
        // The lines of a message are the complaints about a recipe.
        let message: Vec<String> = self.status.message().lines().map(clean_line).collect();
        let message = message.join("\n");
        match self.code() {
            Code::Unauthenticated => {
                write!(
                    f,
                    "{server} wants to know who asks: {message}; give a token by --token-file or GRISTMILL_TOKEN"
                )?;
            }
            Code::PermissionDenied
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::OutOfRange => f.write_str(&message)?,
            Code::Unimplemented => {
                write!(f, "{server} does not know this call: is it a gristmill coordinator of this version?")?
            }
            Code::Unavailable | Code::DeadlineExceeded => write!(f, "{server} cannot answer now: {message}")?,
            code => write!(f, "{server} failed ({code:?}): {message}")?,
        }
        for field in self.fields() {
            write!(f, "\n{field}")?;
        }
        Ok(())
    }
}

/// A line of a longer message; how far it is indented says what it belongs to.
fn clean_line(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    format!("{}{}", " ".repeat(indent), clean(line))
}

/// A connection that began and was then cut: what a server that speaks TLS does to those who do not.
fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, InvalidData, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | InvalidData | UnexpectedEof)
}

fn tls_trouble(f: &mut fmt::Formatter<'_>, server: &str, error: &rustls::Error) -> fmt::Result {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    match error {
        // Two authorities of one name differ in their signatures.
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => write!(
            f,
            "{server} cannot be trusted: its certificate is signed by none of the authorities known here; give the one that signed it by --ca"
        ),
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            write!(
                f,
                "{server} cannot be trusted: its certificate is for another name; ask it by the name that the certificate has"
            )
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            write!(f, "{server} cannot be trusted: its certificate has expired")
        }
        InvalidCertificate(why) => {
            write!(f, "{server} cannot be trusted: its certificate is not valid ({why})")
        }
        InvalidMessage(_) => write!(f, "{server} does not speak TLS; ask it as http://…, without --ca"),
        AlertReceived(_) => session_ended(f, server, error),
        error => write!(f, "{server}: the TLS handshake failed: {error}"),
    }
}

/// What a server does that asks for a certificate of the client and gets none, or one that it does not know.
fn session_ended(f: &mut fmt::Formatter<'_>, server: &str, error: &dyn Error) -> fmt::Result {
    write!(
        f,
        "{server} ended the TLS session ({error}); if it asks for a certificate of the client, give one that it accepts by --client-cert and --client-key"
    )
}

impl Error for CallError {}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        if error.is_refusal() { Self::request(error) } else { Self::Unreachable(error.into()) }
    }
}

#[cfg(test)]
mod tests;
