//! The HTTP endpoint of a service: numbers for Prometheus, and probes for whoever keeps the process running.
//!
//! | path | answers |
//! |---|---|
//! | `/metrics` | the registry, in OpenMetrics text for those who accept it, else in Prometheus' older text |
//! | `/healthz` | 200 as long as the process can answer at all |
//! | `/readyz` | 200 when it can do its work; else 503 and the reason |
//!
//! Anybody who reaches the port may ask, so nothing here is secret, and asking often costs little: whether the service is
//! ready is found out at most once a second, by one asker for all, and given up after [`READY_WITHIN`].

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long the service may take to say whether it is ready.
pub const READY_WITHIN: Duration = Duration::from_secs(3);
/// How long such an answer counts.
const READY_FRESH: Duration = Duration::from_secs(1);

/// Says whether the service is ready, or why not.
pub type Ready = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// A port that is taken, but not served yet.
pub struct Endpoint {
    listener: TcpListener,
}

struct Shared {
    registry: Registry,
    ready: Ready,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Endpoint {
    /// Takes the port: `HOST:PORT`, where port 0 is any that is free.
    pub async fn bind(address: &str) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await? })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers for as long as the process runs.
    pub async fn serve(self, registry: Registry, ready: Ready) -> io::Result<()> {
        let shared = Arc::new(Shared { registry, ready, last: Mutex::default() });
        let routes = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .with_state(shared);
        axum::serve(self.listener, routes).await
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    const OPEN: &str = "application/openmetrics-text";
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &shared.registry) {
        return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response();
    }
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains(OPEN)) {
        let kind = format!("{OPEN}; version=1.0.0; charset=utf-8");
        return ([(header::CONTENT_TYPE, kind)], text).into_response();
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], crate::classic::from_openmetrics(&text)).into_response()
}

async fn readyz(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    match shared.is_ready().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

impl Shared {
    async fn is_ready(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = &*last
            && asked.elapsed() < READY_FRESH
        {
            return answer.clone();
        }
        let late = || Err(format!("no answer within {} s", READY_WITHIN.as_secs()));
        let answer = timeout(READY_WITHIN, (self.ready)()).await.unwrap_or_else(|_| late());
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: SocketAddr, path: &str) -> String {
        ask_for(address, path, "*/*").await
    }

    async fn ask_for(address: SocketAddr, path: &str, accept: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("asks");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        answer
    }

    async fn start(ready: Ready) -> SocketAddr {
        let endpoint = Endpoint::bind("127.0.0.1:0").await.expect("a free port");
        let address = endpoint.address().expect("an address");
        tokio::spawn(endpoint.serve(registry("worker", "1.2.3"), ready));
        address
    }

    #[tokio::test]
    async fn numbers_and_probes() {
        let asked = Arc::new(AtomicU32::new(0));
        let counting = Arc::clone(&asked);
        let ready: Ready = Box::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err("redis does not serve".to_owned()) })
        });
        let address = start(ready).await;
        let check = async |path: &str, expected: &[&str]| {
            let answer = ask(address, path).await;
            for part in expected {
                assert!(answer.contains(part), "{path}: {answer}");
            }
        };
        check("/healthz", &["HTTP/1.1 200", "ok"]).await;
        check("/readyz", &["HTTP/1.1 503", "redis does not serve"]).await;
        check("/readyz", &["HTTP/1.1 503"]).await;
        check("/other", &["HTTP/1.1 404"]).await;
        let build = "gristmill_build_info{role=\"worker\",version=\"1.2.3\"} 1";
        check("/metrics", &["text/plain; version=0.0.4", "process_start_time_seconds ", build]).await;
        let open =
            ask_for(address, "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
        for part in ["application/openmetrics-text; version=1.0.0", build, "# UNIT ", "# EOF"] {
            assert!(open.contains(part), "{open}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "an answer counts for a second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_say_is_not_ready() {
        let ready: Ready = Box::new(|| Box::pin(std::future::pending()));
        let shared = Shared { registry: registry("worker", "1"), ready, last: Mutex::default() };
        assert_eq!(shared.is_ready().await, Err("no answer within 3 s".to_owned()));
    }
}
