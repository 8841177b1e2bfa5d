//! A coordinator and a worker as strangers meet them: who is refused, how, and what refusals tell.

use crate::queue::server::{Server, path};
use gristmill_proto::v1::job_service_client::JobServiceClient;
use gristmill_proto::v1::{
    CancelJobRequest, GetJobRequest, JobState, ListJobsRequest, ListTasksRequest, PauseJobRequest,
    PlanJobRequest, ResumeJobRequest, SubmitJobRequest, SubmitJobResponse, WatchJobRequest,
};
use gristmill_tests::gristmill;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tokio_stream::StreamExt as _;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt as _;

/// `gristmill coordinator` or `gristmill worker`, on free ports, in a folder of its own.
struct Service {
    child: Child,
    log: PathBuf,
    folder: tempfile::TempDir,
    redis: Server,
}

impl Service {
    /// `None`, and it says so, where there is no Redis. `prepare` writes files and gives further arguments.
    fn start(role: &str, prepare: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let redis = Server::start("redis-server", &[])?;
        let folder = tempfile::tempdir().expect("a folder");
        let more = prepare(folder.path());
        std::fs::write(folder.path().join("in.jsonl"), "{\"text\": \"a line\"}\n").expect("writes");
        let log = folder.path().join("log");
        let file = File::create(&log).expect("a log");
        let mut command = gristmill();
        command.args([role, "--redis", &redis.url(), "--metrics", "127.0.0.1:0"]);
        command.args(["--workspace", &path(&folder.path().join("ws"))]).args(more);
        command.env("GRISTMILL_LOG", "debug").env("NO_COLOR", "1").current_dir(folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("starts");
        Some(Self { child, log, folder, redis })
    }

    /// A coordinator whose recipes may use its folder.
    fn coordinator(prepare: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        Self::start("coordinator", |folder| {
            let mut args = ["--listen", "127.0.0.1:0", "--allow"].map(str::to_owned).to_vec();
            args.push(path(folder));
            args.extend(prepare(folder));
            args
        })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log")
    }

    /// What stands behind these words in the log.
    fn told(&self, words: &str) -> String {
        let began = Instant::now();
        loop {
            let log = self.log();
            // A line counts once it is whole.
            let found = log.lines().filter(|_| log.ends_with('\n')).find_map(|l| l.split_once(words));
            if let Some((_, rest)) = found {
                return rest.split_whitespace().next().unwrap_or_default().to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no {words:?} in:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn address(&self) -> String {
        self.told("listening on ")
    }

    fn endpoint(&self, scheme: &str) -> Endpoint {
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address())).expect("an address");
        endpoint.connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(10))
    }

    async fn channel(&self) -> Channel {
        self.endpoint("http").connect().await.expect("connects")
    }

    async fn client(&self, token: &str) -> Client {
        let bearer = Bearer(token.to_owned());
        JobServiceClient::with_interceptor(self.channel().await, bearer)
    }

    fn recipe(&self, output: &str) -> String {
        let folder = path(self.folder.path());
        format!(
            "name: test\ninput: {folder}/in.jsonl\nsteps:\n- exact_dedup\noutput: {{path: {folder}/{output}}}\n"
        )
    }

    fn stop(&mut self, within: Duration) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, Signal::TERM).expect("it is ours");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(began.elapsed() < within, "it is still there:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks the HTTP endpoint.
    fn ask(&self, page: &str) -> String {
        let told = self.told("metrics on http://");
        let address = told.strip_suffix("/metrics").expect("an address");
        let mut stream = std::net::TcpStream::connect(address).expect("connects");
        write!(stream, "GET {page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("asks");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answers");
        answer
    }

    fn wait_for(&self, page: &str, expected: &str) {
        let began = Instant::now();
        loop {
            let answer = self.ask(page);
            if answer.contains(expected) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{page}: {answer}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Client = JobServiceClient<InterceptedService<Channel, Bearer>>;

/// Sends a token; none if it is empty.
#[derive(Clone)]
struct Bearer(String);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !self.0.is_empty() {
            let header = format!("Bearer {}", self.0).parse().expect("ASCII");
            request.metadata_mut().insert("authorization", header);
        }
        Ok(request)
    }
}

/// Code and reason of a refusal.
#[track_caller]
fn refused<T>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.err().expect("a refusal");
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| {
        assert_eq!(info.domain, "gristmill");
        info.reason.clone()
    });
    (status.code(), reason.unwrap_or_default())
}

fn said(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

async fn submit(client: &mut Client, recipe: &str, key: &str) -> Result<SubmitJobResponse, Status> {
    let request = SubmitJobRequest { recipe: recipe.to_owned(), key: key.to_owned(), ..Default::default() };
    client.submit_job(request).await.map(tonic::Response::into_inner)
}

fn cancel(id: &str) -> CancelJobRequest {
    CancelJobRequest { id: id.to_owned(), reason: String::new() }
}

/// A new token and its entry.
fn new_token(bearer: &str) -> (String, String) {
    let output = gristmill().args(["coordinator", "--new-token", bearer]).output().expect("starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout).trim().to_owned(), text(output.stderr))
}

async fn services(channel: Channel, token: &str) -> Result<Vec<String>, Status> {
    let mut client = ServerReflectionClient::with_interceptor(channel, Bearer(token.to_owned()));
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    let answer: Option<ServerReflectionResponse> = answers.message().await?;
    match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|s| s.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_roles_decide_who_may_do_what() {
    let bearers = ["ann:submit", "bob:submit", "eve:read", "ops:admin"].map(new_token);
    let prepare = |folder: &Path| {
        let file = folder.join("tokens.yaml");
        std::fs::write(&file, bearers.iter().map(|(_, entry)| entry.as_str()).collect::<String>())
            .expect("writes");
        vec!["--tokens".to_owned(), path(&file)]
    };
    let Some(service) = Service::coordinator(prepare) else { return };
    let mut clients = Vec::new();
    for (token, _) in &bearers {
        clients.push(service.client(token).await);
    }
    let [ann, bob, eve, ops] = clients.as_mut_slice() else { panic!("four clients") };
    let recipe = service.recipe("out");

    let list = ListJobsRequest::default;
    let missing = service.client("").await.list_jobs(list()).await;
    assert!(missing.as_ref().is_err_and(|s| s.metadata().contains_key("www-authenticate")));
    assert_eq!(refused(missing), said(Code::Unauthenticated, "TOKEN_MISSING"));
    let wrong = service.client("hunter2hunter2").await.list_jobs(list()).await;
    assert_eq!(refused(wrong), said(Code::Unauthenticated, "TOKEN_UNKNOWN"));
    assert_eq!(refused(submit(eve, &recipe, "").await), said(Code::PermissionDenied, "ROLE_TOO_LOW"));
    assert!(eve.list_jobs(list()).await.is_ok());

    let job = submit(ann, &recipe, "").await.expect("submits").job.expect("a job");
    assert_eq!(job.submitted_by, "ann");
    assert_eq!(refused(eve.cancel_job(cancel(&job.id)).await), said(Code::PermissionDenied, "ROLE_TOO_LOW"));
    assert_eq!(refused(bob.cancel_job(cancel(&job.id)).await), said(Code::PermissionDenied, "NOT_YOUR_JOB"));
    assert_eq!(refused(bob.cancel_job(cancel("none")).await), said(Code::NotFound, "JOB_NOT_FOUND"));
    let paused = ops.pause_job(PauseJobRequest { id: job.id.clone() }).await.expect("pauses").into_inner();
    assert_eq!(paused.job.expect("a job").state(), JobState::Paused);
    ann.resume_job(ResumeJobRequest { id: job.id.clone() }).await.expect("resumes");
    let cancelled = ann.cancel_job(cancel(&job.id)).await.expect("cancels").into_inner().job.expect("a job");
    assert_eq!((cancelled.state(), cancelled.reason.as_str()), (JobState::Cancelled, "cancelled by ann"));
    let again = ann.resume_job(ResumeJobRequest { id: job.id.clone() }).await;
    assert_eq!(refused(again), said(Code::FailedPrecondition, "JOB_IN_OTHER_STATE"));

    // Health is for probes, which have no token.
    let mut health = HealthClient::new(service.channel().await);
    let began = Instant::now();
    for asked in ["", "gristmill.v1.JobService"] {
        loop {
            let request = HealthCheckRequest { service: asked.to_owned() };
            if health.check(request).await.expect("answers").into_inner().status() == ServingStatus::Serving {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{}", service.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let unknown = services(service.channel().await, "").await;
    assert_eq!(refused(unknown), said(Code::Unauthenticated, "TOKEN_MISSING"));
    let [_, _, (read, _), _] = &bearers;
    let names = services(service.channel().await, read).await.expect("reflection");
    assert!(names.iter().any(|name| name == "gristmill.v1.JobService"), "{names:?}");

    let log = service.log();
    assert!(!log.contains("hunter2hunter2"), "{log}");
    assert!(bearers.iter().all(|(token, _)| !log.contains(token.as_str())), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_clearly() {
    let Some(mut service) = Service::coordinator(|_| Vec::new()) else { return };
    let mut client = service.client("").await;
    let recipe = service.recipe("out");

    // A message of 100 MB: either the server says so, or it hangs up on whoever goes on sending.
    let status = submit(&mut client, &"x".repeat(100_000_000), "").await.expect_err("too large");
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(status.message().contains("too large"), "{status:?}");
    let mut client = service.client("").await;
    let large = submit(&mut client, &"#".repeat(2 << 20), "").await;
    assert_eq!(refused(large), said(Code::InvalidArgument, "REQUEST_INVALID"));

    // Files of the machine.
    for uri in ["file:///etc/passwd", "/etc/passwd"] {
        let reading = recipe
            .replace(&format!("input: {}/in.jsonl", path(service.folder.path())), &format!("input: {uri}"));
        assert_ne!(reading, recipe);
        let planned =
            client.plan_job(PlanJobRequest { recipe: reading.clone(), overrides: Vec::new() }).await;
        for status in
            [submit(&mut client, &reading, "").await.expect_err("denied"), planned.expect_err("denied")]
        {
            assert!(status.message().contains("/etc/passwd"), "{status:?}");
            assert!(!format!("{status:?}").contains("root:"), "{status:?}");
            assert_eq!(refused::<()>(Err(status)), said(Code::PermissionDenied, "ADDRESS_NOT_ALLOWED"));
        }
    }

    // Bad YAML, with its line in the details.
    let lines = |status: &Status| -> Vec<(String, String)> {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        violations.into_iter().map(|v| (v.field, v.description)).collect()
    };
    let status = submit(&mut client, "name: x\nsteps: [\n- a: {\n", "").await.expect_err("malformed");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        lines(&status).iter().all(|(_, why)| why.starts_with("line ")) && !lines(&status).is_empty(),
        "{status:?}"
    );
    let misspelt = recipe.replace("- exact_dedup", "- exact_dedup\n- exact_dedupe");
    let status = submit(&mut client, &misspelt, "").await.expect_err("misspelt");
    let [(field, why)] = &lines(&status)[..] else { panic!("{status:?}") };
    assert_eq!(field, "steps.1");
    assert!(why.starts_with("line 5: ") && why.contains("did you mean \"exact_dedup\""), "{why}");

    // A bomb, and a nest.
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").expect("memory");
    }
    for yaml in [bomb, "[".repeat(1 << 20), "- x\n".repeat((1 << 20) / 4)] {
        let began = Instant::now();
        let status = submit(&mut client, &yaml, "").await.expect_err("a bomb");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    // What is not there, and what is taken.
    let unknown = client.get_job(GetJobRequest { id: "../../etc/passwd".to_owned() }).await;
    assert_eq!(refused(unknown), said(Code::NotFound, "JOB_NOT_FOUND"));
    let tasks = ListTasksRequest { job: "none".to_owned(), ..Default::default() };
    assert_eq!(refused(client.list_tasks(tasks).await), said(Code::NotFound, "JOB_NOT_FOUND"));
    let first = submit(&mut client, &recipe, "monday").await.expect("submits");
    let again = submit(&mut client, &recipe, "monday").await.expect("submits again");
    let id = first.job.expect("a job").id;
    assert_eq!((first.created, again.created, again.job.expect("a job").id), (true, false, id.clone()));
    let status = submit(&mut client, &service.recipe("other"), "monday").await.expect_err("taken");
    let details = status.get_error_details();
    assert_eq!(details.error_info().and_then(|info| info.metadata.get("job")), Some(&id));
    assert_eq!(refused::<()>(Err(status)), said(Code::AlreadyExists, "KEY_TAKEN"));
    let states = ListJobsRequest { states: vec![77], ..Default::default() };
    assert_eq!(refused(client.list_jobs(states).await), said(Code::InvalidArgument, "REQUEST_INVALID"));

    // Whoever watches is told when the coordinator goes, and it goes soon.
    let watch = WatchJobRequest { id, interval_ms: 100 };
    let mut watched = client.watch_job(watch).await.expect("watches").into_inner();
    assert!(watched.message().await.expect("a message").is_some());
    service.wait_for("/readyz", "ready");
    let end = tokio::spawn(async move {
        loop {
            match watched.next().await {
                Some(Ok(_)) => {}
                Some(Err(status)) => return status.code(),
                None => return Code::Ok,
            }
        }
    });
    let status = service.stop(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "{}", service.log());
    assert_eq!(end.await.expect("ends"), Code::Unavailable);
}

/// Certificates, in PEM.
struct Certificates {
    ca: String,
    server: (String, String),
    client: (String, String),
}

fn certificates() -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let signed = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &ca).expect("signed").pem(), key.serialize_pem())
    };
    Certificates { server: signed("localhost"), client: signed("client"), ca: ca.pem() }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_certificate_nobody_gets_in() {
    let files = certificates();
    let prepare = |mutual: bool| {
        let files = &files;
        move |folder: &Path| {
            let write = |name: &str, text: &str| {
                std::fs::write(folder.join(name), text).expect("writes");
                path(&folder.join(name))
            };
            let mut args = vec!["--tls-cert".to_owned(), write("cert.pem", &files.server.0)];
            args.extend(["--tls-key".to_owned(), write("key.pem", &files.server.1)]);
            if mutual {
                args.extend(["--tls-client-ca".to_owned(), write("ca.pem", &files.ca)]);
            }
            args
        }
    };
    let tls =
        || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&files.ca)).domain_name("localhost");
    let identity = || Identity::from_pem(&files.client.0, &files.client.1);
    let ask = async |endpoint: Endpoint| {
        let began = Instant::now();
        let channel = endpoint.connect().await.map_err(|e| format!("{e:?}"))?;
        let answer = JobServiceClient::new(channel).list_jobs(ListJobsRequest::default()).await;
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        answer.map(drop).map_err(|e| format!("{e:?}"))
    };

    let Some(service) = Service::coordinator(prepare(false)) else { return };
    let secure = service.endpoint("https").tls_config(tls()).expect("TLS");
    ask(secure).await.expect("TLS works");
    for _ in 0..20 {
        assert!(ask(service.endpoint("http")).await.is_err(), "plainly to a TLS port");
    }
    // Nothing that is printed in ordinary times.
    let loud = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    assert_eq!(service.log().lines().filter(loud).collect::<Vec<_>>(), [""; 0]);

    let Some(service) = Service::coordinator(prepare(true)) else { return };
    let stranger = service.endpoint("https").tls_config(tls()).expect("TLS");
    let refusal = ask(stranger).await.expect_err("no certificate");
    // In TLS 1.3 the client is through its handshake by then: it reads the reason, or finds the connection closed, before
    // its request or under it.
    let told = [
        "CertificateRequired",
        "connection closed",
        "connection was not ready",
        "BrokenPipe",
        "ConnectionReset",
    ];
    assert!(told.iter().any(|reason| refusal.contains(reason)), "{refusal}");
    let known = service.endpoint("https").tls_config(tls().identity(identity())).expect("TLS");
    ask(known).await.expect("a certificate opens");
}

#[test]
fn probes_and_signals() {
    let arguments = |_: &Path| ["--name", "hand", "--lanes", "3"].map(str::to_owned).to_vec();
    let Some(mut worker) = Service::start("worker", arguments) else { return };
    worker.wait_for("/readyz", "200 OK");
    assert!(worker.log().contains("hand works with 3 lanes"), "{}", worker.log());
    assert!(worker.ask("/healthz").contains("200 OK"));
    assert!(worker.ask("/metrics").contains("gristmill_build_info{role=\"worker\""));
    worker.redis.kill();
    worker.wait_for("/readyz", "503");
    worker.redis.up();
    worker.wait_for("/readyz", "200 OK");
    let status = worker.stop(Duration::from_secs(25));
    assert_eq!(status.code(), Some(0), "{}", worker.log());
}

fn print_config(role: &str, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = gristmill();
    command.args([role, "--print-config"]);
    change(&mut command);
    command.output().expect("starts")
}

#[test]
fn settings_come_from_flags_then_variables_then_a_file_and_show_no_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.yaml");
    std::fs::write(
        &file,
        "redis: redis://user:s3cret@host/1\nlease: 10s\nmax-attempts: 5\nqueue-prefix: file\n",
    )
    .expect("writes");
    for role in ["coordinator", "worker"] {
        let output = print_config(role, |command| {
            command.args(["--config", &path(&file), "--lease", "30s"]);
            command.env("GRISTMILL_MAX_ATTEMPTS", "6").env("GRISTMILL_LEASE", "20s");
        });
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        for line in [
            "redis: \"redis://user:***@host/1\"",
            "lease: \"30s\"",
            "max-attempts: 6",
            "queue-prefix: \"file\"",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
    let refusals = [
        ("lanse: 3\n", "line 1: there is no setting \"lanse\"; did you mean \"lanes\"?"),
        ("lease: 10s\nlanes: many\n", "line 2: lanes: invalid type"),
    ];
    for (text, expected) in refusals {
        std::fs::write(&file, text).expect("writes");
        let output = print_config("worker", |command| {
            command.args(["--config", &path(&file)]);
        });
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{said}");
        assert_eq!(output.status.code(), Some(2));
    }
    // A URL that cannot be used is not quoted either.
    let output = gristmill()
        .args(["worker", "--workspace", &path(folder.path()), "--redis", "redis://:s3cret@host:no-port"])
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("redis://host:port") && !said.contains("s3cret"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}
