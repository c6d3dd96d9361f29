//! A backend that answers exactly what a test tells it to, byte by byte.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// One scripted answer.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, then the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, then the connection closes.
    Close(Vec<u8>),
    /// These bytes, then silence until the client goes away.
    Hang(Vec<u8>),
    /// The head, then zeros until the client goes away.
    Endless(Vec<u8>),
}

impl Answer {
    /// A JSON answer with this status.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::full(status, &[("Content-Type", "application/json")], body.as_bytes())
    }

    /// A whole answer.
    pub(crate) fn full(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str("\r\n");
        Self::Bytes([bytes.as_bytes(), body].concat())
    }

    /// A redirect.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::full(status, &[("Location", location)], b"")
    }
}

/// What is answered.
enum Script {
    /// The answers to the requests in order; the last one is given again and again.
    InOrder(Vec<Answer>),
    /// The answer to each `METHOD /path`; a `*` stands for one segment.
    Routes(Vec<(String, Answer)>),
}

impl Script {
    /// The answer to the request of this number and head.
    fn answer(&self, number: usize, head: &str) -> Answer {
        match self {
            Self::InOrder(answers) => answers.get(number).or(answers.last()).unwrap().clone(),
            Self::Routes(routes) => {
                let asked = request_line(head);
                let found = routes.iter().find(|(pattern, _)| fits(&asked, pattern));
                found.map_or_else(|| Answer::json(404, "{}"), |(_, answer)| answer.clone())
            }
        }
    }
}

fn fits(asked: &str, pattern: &str) -> bool {
    let mut segments = asked.split('/');
    pattern.split('/').all(|one| segments.next().is_some_and(|it| one == "*" || one == it))
        && segments.next().is_none()
}

/// The method and the path of a request, without its query.
pub(crate) fn request_line(head: &str) -> String {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    format!("{method} {}", target.split('?').next().unwrap())
}

/// Reads the head and the body of a request; `None` when there is none any more.
pub(crate) async fn read_request(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
        let line = head[start..].trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some((head, body)))
}

/// The backend.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    arrived: Arc<Notify>,
    gone: Arc<Notify>,
}

impl Upstream {
    /// Gives `answers` to the requests in order; the last one is given again and again.
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        Self::run(Script::InOrder(answers)).await
    }

    /// Answers by `METHOD /path`, where a `*` stands for one segment; what fits none is 404.
    pub(crate) async fn routes(routes: &[(&str, Answer)]) -> Self {
        let own = |(pattern, answer): &(&str, Answer)| ((*pattern).to_owned(), answer.clone());
        Self::run(Script::Routes(routes.iter().map(own).collect())).await
    }

    async fn run(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let arrived = Arc::new(Notify::new());
        let gone = Arc::new(Notify::new());
        let (seen, closed) = (Arc::clone(&requests), Arc::clone(&gone));
        let came = Arc::clone(&arrived);
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, closed) = (Arc::clone(&seen), Arc::clone(&closed));
                let came = Arc::clone(&came);
                let script = Arc::clone(&script);
                tokio::spawn(async move {
                    // A client that goes away in the middle is part of some tests.
                    let _ = converse(stream, &script, &seen, &came).await;
                    closed.notify_one();
                });
            }
        });
        Self { address, requests, arrived, gone }
    }

    /// The base URL, with a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }

    /// The requests so far: head and body, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests that nobody has taken yet.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// Waits until a request has come.
    pub(crate) async fn request_arrived(&self) {
        self.arrived.notified().await;
    }

    /// Waits until a connection has ended.
    pub(crate) async fn connection_closed(&self) {
        self.gone.notified().await;
    }
}

async fn converse(
    stream: TcpStream,
    script: &Script,
    seen: &Mutex<Vec<String>>,
    arrived: &Notify,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = read_request(&mut stream).await? {
        let answer = {
            let mut seen = seen.lock().unwrap();
            let answer = script.answer(seen.len(), &head);
            seen.push(head + &String::from_utf8_lossy(&body));
            answer
        };
        arrived.notify_one();
        match &answer {
            Answer::Bytes(bytes) => stream.write_all(bytes).await?,
            Answer::Close(bytes) => {
                stream.write_all(bytes).await?;
                stream.shutdown().await?;
                return Ok(());
            }
            Answer::Hang(bytes) => {
                stream.write_all(bytes).await?;
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await?;
                return Ok(());
            }
            Answer::Endless(bytes) => {
                stream.write_all(bytes).await?;
                let zeros = vec![b'0'; 64 * 1024];
                loop {
                    stream.write_all(&zeros).await?;
                }
            }
        }
    }
    Ok(())
}
