//! A backend that answers exactly what a test tells it to, byte by byte.

use std::{
    io,
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

/// Reads the head of a request; `None` when there is none any more.
async fn read_head(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

/// Reads the body that this head announces.
async fn read_body(head: &str, stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<u8>> {
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    Ok(body)
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

    /// A backend whose connections are in the hands of the test.
    pub(crate) async fn by_hand() -> ByHand {
        ByHand { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
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

/// A backend that answers when a test does.
pub(crate) struct ByHand {
    listener: TcpListener,
}

impl ByHand {
    /// The URL without a path.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.listener.local_addr().unwrap())
    }

    /// The base URL, with a path.
    pub(crate) fn url(&self) -> String {
        self.origin() + "/api"
    }

    /// Waits for a connection, and reads nothing.
    pub(crate) async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    /// Waits for a request; who only looks whether somebody listens makes none.
    pub(crate) async fn asked(&self) -> Asked {
        loop {
            let mut stream = BufReader::new(self.accept().await);
            if let Ok(Some(head)) = read_head(&mut stream).await {
                return Asked { head, stream };
            }
        }
    }
}

/// A request whose head has come, and the connection on which it is answered.
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) stream: BufReader<TcpStream>,
}

impl Asked {
    /// Returns whether the head has these words, in any case.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.head.to_ascii_lowercase().contains(&words.to_ascii_lowercase())
    }

    /// Reads the body.
    pub(crate) async fn body(&mut self) -> Vec<u8> {
        read_body(&self.head, &mut self.stream).await.unwrap()
    }

    /// Reads so many bytes of the body.
    pub(crate) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Waits for the next request on this connection.
    pub(crate) async fn next(&mut self) {
        self.head = read_head(&mut self.stream).await.unwrap().expect("a request");
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a whole answer; whoever asked may be gone.
    pub(crate) async fn answer(&mut self, answer: &Answer) {
        let Answer::Bytes(bytes) = answer else { panic!("an answer that does something else") };
        let _ = self.stream.write_all(bytes).await;
    }

    /// Waits until the client has closed the connection; returns how much came before that.
    pub(crate) async fn closed(mut self) -> usize {
        let mut buffer = vec![0; 64 * 1024];
        let mut length = 0;
        // Closing with unread bytes resets the connection, which is as well.
        while let Ok(read @ 1..) = self.stream.read(&mut buffer).await {
            length += read;
        }
        length
    }
}

async fn converse(
    stream: TcpStream,
    script: &Script,
    seen: &Mutex<Vec<String>>,
    arrived: &Notify,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream).await? {
        let body = read_body(&head, &mut stream).await?;
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
