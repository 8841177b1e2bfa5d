//! A proxy before a server that spoils one request after another, as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    /// The server does it, and its answer never arrives.
    LoseAnswer,
    /// 503 with the code SlowDown.
    SlowDown,
    /// 500 with the code InternalError.
    Refuse,
    /// The connection is closed before the request is passed on.
    Hangup,
    /// The connection is closed after so many bytes of the answer.
    CutAfter(usize),
    /// The request is passed on after a while.
    Wait(Duration),
}

/// See the module. Moods are for new requests, one each; then all goes well.
pub(crate) struct Proxy {
    port: u16,
    moods: Arc<Mutex<Moods>>,
}

#[derive(Default)]
struct Moods {
    /// For the next requests.
    next: VecDeque<Mood>,
    /// And for so many of a hundred others, chosen by this generator.
    storm: u64,
    state: u64,
    spoiled: u64,
}

impl Moods {
    fn draw(&mut self) -> Option<Mood> {
        let mood = self.next.pop_front().or_else(|| self.storm_mood());
        self.spoiled += u64::from(mood.is_some());
        mood
    }

    fn storm_mood(&mut self) -> Option<Mood> {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = self.state >> 33;
        if number % 100 >= self.storm {
            return None;
        }
        Some(match number / 100 % 6 {
            0 => Mood::LoseAnswer,
            1 => Mood::SlowDown,
            2 => Mood::Refuse,
            3 => Mood::Hangup,
            4 => Mood::CutAfter((number / 600 % 4096) as usize),
            _ => Mood::Wait(Duration::from_millis(number / 600 % 2000)),
        })
    }
}

impl Proxy {
    pub(crate) async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let moods: Arc<Mutex<Moods>> = Arc::default();
        let queue = moods.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let queue = queue.clone();
                tokio::spawn(async move {
                    // An error only ends the connection, which is what a broken proxy does.
                    let _ = serve(client, upstream, &queue).await;
                });
            }
        });
        Self { port, moods }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn moods(&self, moods: &[Mood]) {
        self.moods.lock().expect("unpoisoned").next.extend(moods);
    }

    /// From now on so many of a hundred requests are spoilt, by a seeded choice.
    pub(crate) fn storm(&self, seed: u64, percent: u64) {
        let mut moods = self.moods.lock().expect("unpoisoned");
        (moods.state, moods.storm) = (seed, percent);
    }

    /// How many requests were spoilt.
    pub(crate) fn spoiled(&self) -> u64 {
        self.moods.lock().expect("unpoisoned").spoiled
    }
}

fn refusal(status: &str, code: &str) -> String {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn serve(mut client: TcpStream, upstream: u16, moods: &Mutex<Moods>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    let (mut sent, mut got) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    // Bytes from the client after bytes from the server begin a new request.
    let mut answering = true;
    let mut mood = None;
    let mut left = usize::MAX;
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let n = read?;
                if n == 0 {
                    return Ok(());
                }
                if std::mem::take(&mut answering) {
                    mood = moods.lock().expect("unpoisoned").draw();
                    left = if let Some(Mood::CutAfter(bytes)) = mood { bytes } else { usize::MAX };
                    if let Some(Mood::Wait(time)) = mood {
                        tokio::time::sleep(time).await;
                    }
                    let answer = match mood {
                        Some(Mood::SlowDown) => Some(refusal("503 Slow Down", "SlowDown")),
                        Some(Mood::Refuse) => Some(refusal("500 Internal Server Error", "InternalError")),
                        Some(Mood::Hangup) => Some(String::new()),
                        _ => None,
                    };
                    if let Some(answer) = answer {
                        client.write_all(answer.as_bytes()).await?;
                        client.shutdown().await?;
                        // What is still being sent is read away, so that the answer is not lost to a reset.
                        while client.read(&mut sent).await? > 0 {}
                        return Ok(());
                    }
                }
                server.write_all(&sent[..n]).await?;
            }
            read = server.read(&mut got) => {
                let n = read?;
                if n == 0 {
                    return Ok(());
                }
                // `100 Continue` is no answer yet.
                let interim = got[..n].starts_with(b"HTTP/1.1 100");
                if !interim {
                    answering = true;
                    if matches!(mood, Some(Mood::LoseAnswer)) {
                        return Ok(());
                    }
                }
                let pass = n.min(left);
                client.write_all(&got[..pass]).await?;
                left -= pass;
                if left == 0 {
                    return Ok(());
                }
            }
        }
    }
}
