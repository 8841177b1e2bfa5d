use super::*;
use crate::client::Client;
use crate::client::context::{Connection, Tls};
use std::process::ExitCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic_types::ErrorDetails;

/// What a status says, and the exit code that it ends with.
fn check(status: Status, code: u8, expected: &str) {
    let error = CallError::new("http://host:1", false, false, status);
    assert_eq!(error.to_string(), expected);
    assert_eq!(Failure::from(error).report(), ExitCode::from(code));
}

#[test]
fn refusals_end_with_2_and_the_rest_with_3() {
    check(Status::not_found("there is no job x"), 2, "there is no job x");
    check(Status::permission_denied("this needs the role admin"), 2, "this needs the role admin");
    check(
        Status::unauthenticated("the token is not known"),
        2,
        "http://host:1 wants to know who asks: the token is not known; give a token by --token-file or GRISTMILL_TOKEN",
    );
    check(Status::unavailable("stopping"), 3, "http://host:1 cannot answer now: stopping");
    check(Status::internal("oh"), 3, "http://host:1 failed (Internal): oh");
}

#[test]
fn a_coordinator_that_was_there_is_not_taken_for_something_else() {
    let said = |known| {
        let cut = Status::from_error(Box::new(fmt::Error));
        CallError::new("http://host:1", false, known, cut).to_string()
    };
    assert_eq!(said(true), "http://host:1 broke the connection off");
    assert!(said(false).contains("if it asks for TLS"), "{}", said(false));
}

#[test]
fn fields_that_are_wrong_are_printed_once_with_their_lines() {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("steps.0", "line 3: there is no step \"wrods\"");
    details.add_bad_request_violation("tasks.size", "line 7: a size cannot be \x1b[31mnegative");
    let message = "the recipe cannot be used:\n  line 3: steps.0: there is no step \"wrods\"";
    check(
        Status::with_error_details(tonic::Code::InvalidArgument, message, details),
        2,
        "the recipe cannot be used:\n  line 3: steps.0: there is no step \"wrods\"\ntasks.size: line 7: a size cannot be  [31mnegative",
    );
}

/// What a client says of a server that answers whatever it is told with these bytes.
async fn against(answer: &'static [u8], tls: bool) -> CallError {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = [0; 1024];
            let _ = stream.read(&mut heard).await;
            let _ = stream.write_all(answer).await;
        }
    });
    let scheme = if tls { "https" } else { "http" };
    let tls = tls.then(|| Tls { ca: Some(some_authority()), identity: None });
    let connection = Connection { server: format!("{scheme}://127.0.0.1:{port}"), token: None, tls };
    let client = Client::new(&connection).expect("a client");
    client.job("x").await.expect_err("it is no coordinator")
}

fn some_authority() -> String {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate").cert.pem()
}

#[tokio::test]
async fn plain_talk_to_a_tls_port_and_tls_to_a_plain_one_are_told_apart() {
    // A fatal alert: "protocol version".
    let plain = against(b"\x15\x03\x03\x00\x02\x02\x46", false).await;
    assert!(plain.to_string().contains("if it asks for TLS, give https://"), "{plain}");
    let tls = against(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await;
    assert!(tls.to_string().contains("does not speak TLS"), "{tls}");
    assert!(tls.is_lasting());
}

#[tokio::test]
async fn a_port_where_nobody_listens_cannot_be_reached() {
    let port =
        TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let connection = Connection { server: format!("http://127.0.0.1:{port}"), token: None, tls: None };
    let error = Client::new(&connection).expect("a client").job("x").await.expect_err("nobody is there");
    assert!(error.to_string().contains("cannot be reached: ") && !error.is_refusal(), "{error}");
}
