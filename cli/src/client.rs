//! A coordinator, as the client commands see it.
//!
//! Every call has a deadline. A call that found nobody there, or was told to come again, is made again a few times:
//! nothing that can be asked for does harm when it is asked for twice. What then still fails is a [`CallError`], which
//! says what to do about it and with which exit code the command ends. [`Client::follow`] watches a job for as long as it takes.

pub(crate) mod context;
mod error;
mod find;
mod follow;

pub(crate) use context::ConnectionArgs;
pub(crate) use error::CallError;
pub(crate) use follow::Update;

use crate::failure::Failure;
use anyhow::Context as _;
use context::{Connection, Tls};
use gristmill_proto::v1;
use gristmill_proto::v1::job_service_client::JobServiceClient;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Response, Status};

const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const CALL_WAIT: Duration = Duration::from_secs(30);
/// How often a call is made, and how long after the first the second; then twice as long.
const TRIES: u32 = 4;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// A connection on which nothing was heard for so long is asked, and given up when it does not answer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// A page of a thousand jobs with all their counts.
const ANSWER_MAX: usize = 64 << 20;

type Service = JobServiceClient<InterceptedService<Channel, Bearer>>;

/// Speaks for the one who holds the token.
#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    service: Service,
    /// As messages name it.
    server: String,
    tls: bool,
    /// It has answered, so that it is a coordinator, and asked in the right way.
    known: Arc<AtomicBool>,
}

impl Client {
    /// Connects with the first call.
    pub(crate) fn open(args: &ConnectionArgs) -> Result<Self, Failure> {
        let connection = args.resolve()?;
        Self::new(&connection).map_err(Failure::Request)
    }

    fn new(connection: &Connection) -> anyhow::Result<Self> {
        let server = connection.server.clone();
        let wrong = || format!("{server:?} is no address of a server; give HOST:PORT");
        let mut endpoint = Endpoint::from_shared(server.clone()).with_context(wrong)?;
        endpoint = endpoint
            .connect_timeout(CONNECT_WAIT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .tcp_nodelay(true);
        if let Some(tls) = &connection.tls {
            endpoint = endpoint.tls_config(tls_config(tls)).context("the certificates cannot be used")?;
        }
        let bearer = match &connection.token {
            None => None,
            Some(token) => {
                let value = MetadataValue::try_from(format!("Bearer {}", token.reveal()));
                // The error would show the token.
                let mut value =
                    value.map_err(|_| anyhow::anyhow!("the token holds what a header cannot carry"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let service = JobServiceClient::with_interceptor(endpoint.connect_lazy(), Bearer(bearer));
        let service = service.max_decoding_message_size(ANSWER_MAX);
        Ok(Self { service, server, tls: connection.tls.is_some(), known: Arc::default() })
    }

    pub(crate) async fn submit(
        &self,
        request: v1::SubmitJobRequest,
    ) -> Result<v1::SubmitJobResponse, CallError> {
        self.call(request, async |mut service, request| service.submit_job(request).await).await
    }

    pub(crate) async fn job(&self, id: &str) -> Result<v1::Job, CallError> {
        let request = v1::GetJobRequest { id: id.to_owned() };
        let answer = self.call(request, async |mut service, request| service.get_job(request).await).await?;
        Ok(answer.job.unwrap_or_default())
    }

    pub(crate) async fn jobs(&self, request: v1::ListJobsRequest) -> Result<v1::ListJobsResponse, CallError> {
        self.call(request, async |mut service, request| service.list_jobs(request).await).await
    }

    pub(crate) async fn tasks(
        &self,
        request: v1::ListTasksRequest,
    ) -> Result<v1::ListTasksResponse, CallError> {
        self.call(request, async |mut service, request| service.list_tasks(request).await).await
    }

    pub(crate) async fn cancel(&self, id: &str, reason: &str) -> Result<v1::Job, CallError> {
        let request = v1::CancelJobRequest { id: id.to_owned(), reason: reason.to_owned() };
        let answer =
            self.call(request, async |mut service, request| service.cancel_job(request).await).await?;
        Ok(answer.job.unwrap_or_default())
    }

    pub(crate) async fn pause(&self, id: &str) -> Result<v1::Job, CallError> {
        let request = v1::PauseJobRequest { id: id.to_owned() };
        let answer =
            self.call(request, async |mut service, request| service.pause_job(request).await).await?;
        Ok(answer.job.unwrap_or_default())
    }

    pub(crate) async fn resume(&self, id: &str) -> Result<v1::Job, CallError> {
        let request = v1::ResumeJobRequest { id: id.to_owned() };
        let answer =
            self.call(request, async |mut service, request| service.resume_job(request).await).await?;
        Ok(answer.job.unwrap_or_default())
    }

    pub(crate) async fn retry(&self, id: &str) -> Result<v1::RetryJobResponse, CallError> {
        let request = v1::RetryJobRequest { id: id.to_owned() };
        self.call(request, async |mut service, request| service.retry_job(request).await).await
    }

    async fn call<Q: Clone, A>(
        &self,
        request: Q,
        send: impl AsyncFn(Service, Q) -> Result<Response<A>, Status>,
    ) -> Result<A, CallError> {
        let mut wait = TRY_AGAIN_AFTER;
        for tried in 1.. {
            let answer = tokio::time::timeout(CALL_WAIT, send(self.service.clone(), request.clone())).await;
            let late = || Status::deadline_exceeded(format!("no answer within {} s", CALL_WAIT.as_secs()));
            let error = match answer.unwrap_or_else(|_| Err(late())) {
                Ok(answer) => {
                    self.known.store(true, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Err(status) => self.error(status),
            };
            if tried >= TRIES || error.code() != Code::Unavailable || error.is_lasting() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(self.error(Status::unavailable("")))
    }

    fn error(&self, status: Status) -> CallError {
        CallError::new(&self.server, self.tls, self.known.load(Ordering::Relaxed), status)
    }
}

fn tls_config(tls: &Tls) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new();
    config = match &tls.ca {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None => config.with_native_roots(),
    };
    match &tls.identity {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key.reveal())),
        None => config,
    }
}

#[cfg(test)]
mod tests;
