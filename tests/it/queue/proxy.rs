//! A door in front of a server that loses an answer when told to.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A running door. It closes when dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    swallow: Arc<AtomicBool>,
    swallowed: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Proxy {
    /// A door to a port of this machine.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let own_port = listener.local_addr().expect("an address").port();
        let (swallow, swallowed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn({
            let (swallow, swallowed) = (Arc::clone(&swallow), Arc::clone(&swallowed));
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { continue };
                    tokio::spawn(pass(client, server, Arc::clone(&swallow), Arc::clone(&swallowed)));
                }
            }
        });
        Self { port: own_port, swallow, swallowed, task: task.abort_handle() }
    }

    /// The next answer, on whichever connection, is lost, and its connection with it.
    pub(crate) fn swallow_next(&self) {
        self.swallow.store(true, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub(crate) fn swallowed(&self) -> u64 {
        self.swallowed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: TcpStream, swallow: Arc<AtomicBool>, swallowed: Arc<AtomicU64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let questions = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let size = from_server.read(&mut buffer).await?;
            if size == 0 {
                return Ok(());
            }
            if swallow.swap(false, Ordering::SeqCst) {
                swallowed.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            to_client.write_all(&buffer[..size]).await?;
        }
    };
    // Whichever side ends ends both.
    let _: std::io::Result<()> = tokio::select! { ended = questions => ended, ended = answers => ended };
}
