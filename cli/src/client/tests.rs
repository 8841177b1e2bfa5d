//! Calls and watches against a server whose answers are written down here.

use super::context::{Connection, Tls};
use super::*;
use gristmill_proto::v1::job_service_server::{JobService, JobServiceServer};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_stream::Stream;
use tonic::transport::{Server, ServerTlsConfig};

/// Answers with what is left of its script; each watch is one list of messages, and its end.
#[derive(Clone, Default)]
struct Script(std::sync::Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Errors before the first good answer.
    errors: Vec<Code>,
    watches: Vec<Vec<v1::JobState>>,
    tokens: Vec<String>,
}

impl Script {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panicked")
    }

    async fn serve(&self) -> (SocketAddr, JoinHandle<()>) {
        self.serve_by(Server::builder()).await
    }

    async fn serve_by(&self, mut server: Server) -> (SocketAddr, JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = server.add_service(JobServiceServer::new(self.clone()));
        let task = tokio::spawn(async move {
            let _ = server.serve_with_incoming(incoming).await;
        });
        (address, task)
    }
}

fn client(address: SocketAddr) -> Client {
    let token = serde_json::from_str("\"sesame\"").ok();
    Client::new(&Connection { server: format!("http://{address}"), token, tls: None }).expect("a client")
}

fn job_in(state: v1::JobState) -> v1::Job {
    v1::Job { id: "x".to_owned(), state: state.into(), ..v1::Job::default() }
}

#[tonic::async_trait]
impl JobService for Script {
    async fn get_job(
        &self,
        request: Request<v1::GetJobRequest>,
    ) -> Result<Response<v1::GetJobResponse>, Status> {
        let mut state = self.state();
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        state.tokens.extend(token.map(str::to_owned));
        match state.errors.pop() {
            Some(code) => Err(Status::new(code, "as written")),
            None => Ok(Response::new(v1::GetJobResponse { job: Some(job_in(v1::JobState::Running)) })),
        }
    }

    type WatchJobStream = Pin<Box<dyn Stream<Item = Result<v1::WatchJobResponse, Status>> + Send>>;

    async fn watch_job(
        &self,
        _: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let states = self.state().watches.pop().ok_or_else(|| Status::not_found("no more"))?;
        let message = |state| Ok(v1::WatchJobResponse { job: Some(job_in(state)) });
        let ends = states.last() == Some(&v1::JobState::Done);
        let cut = (!ends).then(|| Err(Status::unavailable("going down")));
        let messages: Vec<_> = states.into_iter().map(message).chain(cut).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(messages))))
    }

    async fn submit_job(
        &self,
        _: Request<v1::SubmitJobRequest>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn plan_job(
        &self,
        _: Request<v1::PlanJobRequest>,
    ) -> Result<Response<v1::PlanJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_jobs(
        &self,
        _: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_job(
        &self,
        _: Request<v1::CancelJobRequest>,
    ) -> Result<Response<v1::CancelJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn pause_job(
        &self,
        _: Request<v1::PauseJobRequest>,
    ) -> Result<Response<v1::PauseJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn resume_job(
        &self,
        _: Request<v1::ResumeJobRequest>,
    ) -> Result<Response<v1::ResumeJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn retry_job(
        &self,
        _: Request<v1::RetryJobRequest>,
    ) -> Result<Response<v1::RetryJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_tasks(
        &self,
        _: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tokio::test]
async fn a_coordinator_that_is_not_ready_is_asked_again_with_the_token_each_time() {
    let script = Script::default();
    script.state().errors = vec![Code::Unavailable; 2];
    let (address, _server) = script.serve().await;
    let job = client(address).job("x").await.expect("the third answer");
    assert_eq!(job.state(), v1::JobState::Running);
    assert_eq!(script.state().tokens, ["Bearer sesame"; 3]);
}

#[tokio::test]
async fn a_refusal_is_not_asked_for_twice() {
    let script = Script::default();
    script.state().errors = vec![Code::PermissionDenied; 2];
    let (address, _server) = script.serve().await;
    let error = client(address).job("x").await.expect_err("it is refused");
    assert_eq!((error.code(), error.is_refusal()), (Code::PermissionDenied, true));
    assert_eq!(script.state().tokens.len(), 1);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_coordinator_went_down_until_the_job_has_ended() {
    use v1::JobState::{Done, Running};
    let script = Script::default();
    script.state().watches = vec![vec![Running, Done], vec![Running, Running]];
    let (address, _server) = script.serve().await;
    let mut updates = client(address).follow("x");
    let mut seen = Vec::new();
    while let Some(update) = updates.recv().await {
        seen.push(match update.expect("nothing is refused") {
            Update::Job(job) => job.state(),
            Update::Lost(_) => v1::JobState::Unspecified,
        });
    }
    assert_eq!(seen, [Running, Running, v1::JobState::Unspecified, Running, Done]);
}

#[tokio::test]
async fn a_watch_of_what_is_not_there_ends_with_the_refusal() {
    let (address, _server) = Script::default().serve().await;
    let mut updates = client(address).follow("x");
    let error = updates.recv().await.expect("an update").expect_err("there is no job");
    assert_eq!(error.code(), Code::NotFound);
    assert!(updates.recv().await.is_none());
}

/// A certificate for this host and its key, as PEM.
fn certificate() -> (String, String) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn secret(text: &str) -> super::context::Secret {
    serde_json::from_value(text.into()).expect("a text")
}

#[tokio::test]
async fn tls_says_which_certificate_is_missing_or_wrong() {
    let (cert, key) = certificate();
    let (client_cert, client_key) = certificate();
    let config = ServerTlsConfig::new().identity(Identity::from_pem(&cert, &key));
    let open = Server::builder().tls_config(config.clone()).expect("TLS");
    let mutual = config.client_ca_root(Certificate::from_pem(&client_cert));
    let mutual = Server::builder().tls_config(mutual).expect("TLS");
    let (open, _open) = Script::default().serve_by(open).await;
    let (mutual, _mutual) = Script::default().serve_by(mutual).await;
    let ask = async |server: String, ca: &str, identity: Option<(&str, &str)>| {
        let identity = identity.map(|(cert, key)| (cert.to_owned(), secret(key)));
        let tls = server.starts_with("https").then(|| Tls { ca: Some(ca.to_owned()), identity });
        let client = Client::new(&Connection { server, token: None, tls }).expect("a client");
        client.job("x").await.map_or_else(|error| error.to_string(), |job| job.id)
    };
    let check = |said: String, part: &str| assert!(said.contains(part), "{said}");

    assert_eq!(ask(format!("https://{open}"), &cert, None).await, "x");
    check(ask(format!("https://{open}"), &client_cert, None).await, "give the one that signed it by --ca");
    check(ask(format!("http://{open}"), "", None).await, "if it asks for TLS, give https://");
    let me = Some((client_cert.as_str(), client_key.as_str()));
    assert_eq!(ask(format!("https://{mutual}"), &cert, me).await, "x");
    check(ask(format!("https://{mutual}"), &cert, None).await, "CertificateRequired");
    let wrong = Some((cert.as_str(), key.as_str()));
    check(ask(format!("https://{mutual}"), &cert, wrong).await, "one that it accepts by --client-cert");
}
