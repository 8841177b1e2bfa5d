//! A web server with one file, which it gives out in good and bad ways by path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Web {
    port: u16,
}

impl Web {
    pub(super) async fn start(data: Bytes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let requests = Arc::new(AtomicU64::new(0));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (data, requests) = (data.clone(), requests.clone());
                tokio::spawn(async move {
                    let _ = serve(client, &data, &requests).await;
                });
            }
        });
        Self { port }
    }

    pub(super) fn uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// One request a connection.
async fn serve(mut client: TcpStream, data: &Bytes, requests: &AtomicU64) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let number = requests.fetch_add(1, Ordering::Relaxed);
    let status = match path {
        "/plain" | "/cut" | "/no-range" | "/replaced" | "/replaced-untagged" => "",
        "/moved" => "302 Found\r\nLocation: /plain",
        "/moved-away" => "302 Found\r\nLocation: http://localhost:9/secret?signature=x",
        "/moved-to-a-port" => "302 Found\r\nLocation: http://127.0.0.1:9/plain",
        "/no-head" if method == "head" => "405 Method Not Allowed",
        "/no-head" => "",
        "/slow-down" if number.is_multiple_of(2) => "503 Slow Down",
        "/slow-down" => "",
        "/secret" => "403 Forbidden",
        "/broken" => "500 Internal Server Error",
        _ => "404 Not Found",
    };
    if !status.is_empty() {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let range = head.split("range: bytes=").nth(1).filter(|_| path != "/no-range");
    // Each answer is of another version, in its bytes and what it says of itself.
    let is_replaced = path.starts_with("/replaced");
    let etag = if is_replaced { format!("\"v{number}\"") } else { "\"v1\"".to_owned() };
    let data = if is_replaced { Bytes::from(vec![number as u8; data.len()]) } else { data.clone() };
    let asked = head.split("if-range: ").nth(1).and_then(|etag| etag.split("\r\n").next());
    let range = range.filter(|_| asked.is_none_or(|asked| asked == etag));
    let range = range.and_then(|range| range.split("\r\n").next()?.split_once('-'));
    let parsed = range.and_then(|(from, to)| {
        let to = if to.is_empty() { usize::MAX } else { to.parse().ok()? };
        Some((from.parse::<usize>().ok()?, to))
    });
    let size = data.len();
    let (status, body) = match parsed {
        None => ("200 OK".to_owned(), data.clone()),
        Some((from, _)) if from >= size => {
            (format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{size}"), Bytes::new())
        }
        Some((from, to)) => {
            let end = size.min(to.saturating_add(1));
            let last = end - 1;
            (
                format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{size}"),
                data.slice(from..end),
            )
        }
    };
    let len = body.len();
    let version = match path {
        "/replaced-untagged" => format!("Last-Modified: {number} seconds after noon"),
        _ => format!("ETag: {etag}"),
    };
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n{version}\r\nConnection: close\r\n\r\n");
    client.write_all(answer.as_bytes()).await?;
    if method != "head" {
        let is_cut = path == "/cut" || is_replaced;
        let sent = if is_cut { body.slice(..len.min(2 << 20)) } else { body };
        client.write_all(&sent).await?;
    }
    client.shutdown().await
}
