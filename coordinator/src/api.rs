//! The gRPC side of a [`Coordinator`]: decode, call, encode. Decides nothing.
//!
//! What a request meets, from the outside:
//!
//! 1. `connections`: so many at once, and no more.
//! 2. TLS, with a certificate of the client where one is asked for. A client that speaks plainly to it is told so by
//!    the handshake; a client that says nothing is let go after [`HANDSHAKE_WITHIN`].
//! 3. HTTP/2: bounds on streams and headers, pings for clients that are gone.
//! 4. `auth`: the token says who it is. Health needs none, so that probes need none.
//! 5. The time that a request may take, [`REQUEST_WITHIN`]; a watched job is not bound by it.
//! 6. `limits`, role, and the coordinator's own checks. `status` makes gRPC's codes of what they say.
//!
//! When it is told to stop, it takes in nothing more, ends streams with UNAVAILABLE, and lets requests come to their end
//! for [`DRAIN_WITHIN`].

mod auth;
mod connections;
mod counted;
mod limits;
mod scaler;
mod status;
mod watching;
mod wire;

pub use auth::{Bearer, Role, Tokens, TokensError, new_token};
pub use scaler::serve_scaler;

use crate::service::{Coordinator, JobQuery, Submission, TaskQuery};
use auth::{Caller, Gate};
use futures::stream::Stream;
use gristmill_proto::v1::job_service_server::{JobService, JobServiceServer};
use gristmill_proto::v1::{
    CancelJobRequest, CancelJobResponse, GetJobRequest, GetJobResponse, ListJobsRequest, ListJobsResponse,
    ListTasksRequest, ListTasksResponse, PauseJobRequest, PauseJobResponse, PlanJobRequest, PlanJobResponse,
    ResumeJobRequest, ResumeJobResponse, RetryJobRequest, RetryJobResponse, SubmitJobRequest,
    SubmitJobResponse, WatchJobRequest, WatchJobResponse,
};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder as Reflection;

/// How long a request may take: listing a large input takes minutes.
const REQUEST_WITHIN: Duration = Duration::from_mins(10);
/// How long requests may go on once the coordinator stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Pings to clients, and how long they may take to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// How often the health that clients see is found out, and how long that may take.
const HEALTH_EVERY: Duration = Duration::from_secs(5);
const HEALTH_WITHIN: Duration = Duration::from_secs(3);

/// Certificates of the server, in PEM. No `Debug`: there is a key in it.
pub struct Tls {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
    /// Who signs the certificates of clients; none are asked for without it.
    pub client_ca: Option<Vec<u8>>,
}

/// Why the service cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the certificates cannot be used; give a certificate and its key in PEM: {}", told(.0))]
    Tls(tonic::transport::Error),
    #[error("cannot serve: {}", told(.0))]
    Transport(tonic::transport::Error),
    #[error("the descriptors of the service cannot be used: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Transport errors keep to themselves what they are about.
fn told(error: &tonic::transport::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Serves until `stop` turns true, and for as long as requests take to end then.
pub async fn serve(
    coordinator: Coordinator,
    listener: TcpListener,
    tokens: Tokens,
    tls: Option<Tls>,
    stop: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let tokens = Arc::new(tokens);
    let gate = Gate(Arc::clone(&tokens));
    let (health, health_service) = tonic_health::server::health_reporter();
    let api = Api {
        coordinator: coordinator.clone(),
        planning: Arc::new(Semaphore::new(limits::PLANNING_MAX)),
        stop: stop.clone(),
    };
    let jobs = JobServiceServer::new(api).max_decoding_message_size(limits::MESSAGE_MAX);
    let router = builder(tls)?
        .layer(counted::Counting(coordinator.metrics().clone()))
        .add_service(health_service)
        .add_service(InterceptedService::new(jobs, gate.clone()))
        .add_service(InterceptedService::new(reflection().build_v1()?, gate.clone()))
        .add_service(InterceptedService::new(reflection().build_v1alpha()?, gate));
    let mut stopping = stop.clone();
    let stopped = async move { drop(stopping.wait_for(|stop| *stop).await) };
    let served =
        router.serve_with_incoming_shutdown(connections::accept(listener, limits::CONNECTIONS_MAX), stopped);
    let mut stopping = stop.clone();
    tokio::select! {
        served = served => served.map_err(ServeError::Transport),
        never = tokens.keep_fresh() => match never {},
        never = report_health(&coordinator, &health, stop) => match never {},
        () = async {
            drop(stopping.wait_for(|stop| *stop).await);
            tokio::time::sleep(DRAIN_WITHIN).await;
        } => Ok(()),
    }
}

fn builder(tls: Option<Tls>) -> Result<Server, ServeError> {
    let server = Server::builder()
        .max_concurrent_streams(limits::STREAMS_MAX)
        .http2_max_header_list_size(limits::HEADERS_MAX)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PONG_WITHIN))
        .timeout(REQUEST_WITHIN);
    let Some(tls) = tls else { return Ok(server) };
    let mut config =
        ServerTlsConfig::new().identity(Identity::from_pem(tls.cert, tls.key)).timeout(HANDSHAKE_WITHIN);
    if let Some(ca) = tls.client_ca {
        config = config.client_ca_root(Certificate::from_pem(ca));
    }
    server.tls_config(config).map_err(ServeError::Tls)
}

fn reflection() -> Reflection<'static> {
    Reflection::configure()
        .register_encoded_file_descriptor_set(gristmill_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Says that the service serves while the coordinator is ready.
async fn report_health(
    coordinator: &Coordinator,
    health: &HealthReporter,
    mut stop: watch::Receiver<bool>,
) -> Infallible {
    const ALL: &str = "";
    const JOBS: &str = gristmill_proto::v1::job_service_server::SERVICE_NAME;
    loop {
        let ready =
            !*stop.borrow() && matches!(timeout(HEALTH_WITHIN, coordinator.ready()).await, Ok(Ok(())));
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in [ALL, JOBS] {
            health.set_service_status(service, status).await;
        }
        if *stop.borrow() {
            return std::future::pending().await;
        }
        // A stop, too, is to be told.
        let _ = timeout(HEALTH_EVERY, stop.wait_for(|stop| *stop)).await;
    }
}

struct Api {
    coordinator: Coordinator,
    planning: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Api {
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Status> {
        self.planning.acquire().await.map_err(|_| Status::internal("nobody closes this semaphore"))
    }

    /// Refuses to let others than the submitter and admins control a job. Gives the name of who asks.
    async fn control(&self, caller: Caller, job: &str) -> Result<String, Status> {
        caller.needs(Role::Submit)?;
        caller.controls(job, &self.coordinator.owner(job).await?)?;
        Ok(caller.name)
    }
}

/// The request's message, and who sent it.
fn open<T>(mut request: Request<T>) -> Result<(T, Caller), Status> {
    let caller = request.extensions_mut().remove::<Caller>();
    let caller = caller.ok_or_else(|| Status::internal("the request did not pass the gate"))?;
    Ok((request.into_inner(), caller))
}

#[tonic::async_trait]
impl JobService for Api {
    async fn submit_job(
        &self,
        request: Request<SubmitJobRequest>,
    ) -> Result<Response<SubmitJobResponse>, Status> {
        let (message, caller) = open(request)?;
        caller.needs(Role::Submit)?;
        let submission = Submission {
            priority: wire::urgency(message.priority)?,
            recipe: message.recipe,
            overrides: message.overrides,
            labels: message.labels.into_iter().collect(),
            key: message.key,
            by: caller.name,
        };
        limits::recipe(&submission.recipe, &submission.overrides)?;
        limits::labels(&submission.labels)?;
        limits::key(&submission.key)?;
        let _turn = self.turn().await?;
        let (job, created) = self.coordinator.submit(submission).await?;
        Ok(Response::new(SubmitJobResponse { job: Some((&job).into()), created }))
    }

    async fn plan_job(&self, request: Request<PlanJobRequest>) -> Result<Response<PlanJobResponse>, Status> {
        let (message, caller) = open(request)?;
        caller.needs(Role::Submit)?;
        limits::recipe(&message.recipe, &message.overrides)?;
        let _turn = self.turn().await?;
        let planned = self.coordinator.plan(&message.recipe, &message.overrides).await?;
        Ok(Response::new((&planned).into()))
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> Result<Response<GetJobResponse>, Status> {
        let (message, caller) = open(request)?;
        caller.needs(Role::Read)?;
        let job = self.coordinator.job(&message.id).await?;
        Ok(Response::new(GetJobResponse { job: Some((&job).into()) }))
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        let (message, caller) = open(request)?;
        caller.needs(Role::Read)?;
        let query = JobQuery {
            size: limits::page_size(message.page_size),
            token: message.page_token,
            labels: message.labels.into_iter().collect(),
            states: wire::job_filters(&message.states)?,
        };
        limits::page_token(&query.token)?;
        let page = self.coordinator.jobs(&query).await?;
        let jobs = page.items.iter().map(Into::into).collect();
        Ok(Response::new(ListJobsResponse { jobs, next_page_token: page.next }))
    }

    type WatchJobStream = Pin<Box<dyn Stream<Item = Result<WatchJobResponse, Status>> + Send>>;

    async fn watch_job(
        &self,
        request: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let (message, caller) = open(request)?;
        caller.needs(Role::Read)?;
        let view = self.coordinator.watch(&message.id).await?;
        let interval = watching::interval(message.interval_ms);
        Ok(Response::new(Box::pin(watching::messages(view, self.stop.clone(), interval))))
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobRequest>,
    ) -> Result<Response<CancelJobResponse>, Status> {
        let (message, caller) = open(request)?;
        limits::reason(&message.reason)?;
        let by = self.control(caller, &message.id).await?;
        let job = self.coordinator.cancel(&message.id, &by, &message.reason).await?;
        Ok(Response::new(CancelJobResponse { job: Some((&job).into()) }))
    }

    async fn pause_job(
        &self,
        request: Request<PauseJobRequest>,
    ) -> Result<Response<PauseJobResponse>, Status> {
        let (message, caller) = open(request)?;
        let by = self.control(caller, &message.id).await?;
        let job = self.coordinator.pause(&message.id, &by).await?;
        Ok(Response::new(PauseJobResponse { job: Some((&job).into()) }))
    }

    async fn resume_job(
        &self,
        request: Request<ResumeJobRequest>,
    ) -> Result<Response<ResumeJobResponse>, Status> {
        let (message, caller) = open(request)?;
        let by = self.control(caller, &message.id).await?;
        let job = self.coordinator.resume(&message.id, &by).await?;
        Ok(Response::new(ResumeJobResponse { job: Some((&job).into()) }))
    }

    async fn retry_job(
        &self,
        request: Request<RetryJobRequest>,
    ) -> Result<Response<RetryJobResponse>, Status> {
        let (message, caller) = open(request)?;
        let by = self.control(caller, &message.id).await?;
        let (job, tasks) = self.coordinator.retry(&message.id, &by).await?;
        Ok(Response::new(RetryJobResponse { job: Some((&job).into()), tasks }))
    }

    async fn list_tasks(
        &self,
        request: Request<ListTasksRequest>,
    ) -> Result<Response<ListTasksResponse>, Status> {
        let (message, caller) = open(request)?;
        caller.needs(Role::Read)?;
        let query = TaskQuery {
            job: message.job,
            stage: message.stage.map(|stage| stage as usize),
            states: wire::task_states(&message.states)?,
            size: limits::page_size(message.page_size),
            token: message.page_token,
        };
        limits::page_token(&query.token)?;
        let page = self.coordinator.tasks(&query).await?;
        let tasks = page.items.iter().map(Into::into).collect();
        Ok(Response::new(ListTasksResponse { tasks, next_page_token: page.next }))
    }
}
