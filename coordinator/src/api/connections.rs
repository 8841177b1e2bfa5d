//! Takes in connections: a bounded number of them.
//!
//! One more than that is closed at once, so that its client learns it now rather than at its deadline. A listener that
//! fails, for want of file handles for instance, is tried again after a pause.

use futures::stream::{Stream, unfold};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};

const PAUSE: Duration = Duration::from_millis(100);

/// A connection and the right to have it.
pub(super) struct Connection {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

/// The connections that come to `listener`, of which at most `most` live at once.
pub(super) fn accept(listener: TcpListener, most: usize) -> impl Stream<Item = io::Result<Connection>> {
    let permits = Arc::new(Semaphore::new(most));
    unfold(listener, move |listener| {
        let permits = Arc::clone(&permits);
        async move { Some((Ok(next(&listener, permits).await), listener)) }
    })
}

async fn next(listener: &TcpListener, permits: Arc<Semaphore>) -> Connection {
    let mut said = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot take in a connection: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            if !std::mem::replace(&mut said, true) {
                tracing::warn!("there are as many connections as may be: further ones are closed");
            }
            continue;
        };
        // Small messages must not wait for each other; without it things only go slower.
        let _ = stream.set_nodelay(true);
        return Connection { stream, _permit: permit };
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn one_too_many_is_closed_and_room_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connect = async || TcpStream::connect(address).await.expect("connects");
        let mut accepted = Box::pin(accept(listener, 1));
        let _first = connect().await;
        let held = accepted.next().await.expect("one").expect("taken in");
        let mut second = connect().await;
        let mut next = tokio::spawn(async move { accepted.next().await.map(|r| r.is_ok()) });
        assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0, "closed");
        assert!(!next.is_finished());
        drop(held);
        let _third = connect().await;
        assert_eq!((&mut next).await.ok().flatten(), Some(true));
    }
}
