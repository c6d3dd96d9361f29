//! Files at `https` URLs: what is refused, and that a name cannot lead elsewhere after the check.

use std::{
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use dadl_mcp::{
    config::{BackendSettings, FileHosts, FileSettings},
    files::{FileStore, HostResolver},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    api::api,
    harness::{Fixed, Harness},
    tls,
    upstream::{Answer, Upstream},
};

const TOOLS: &str = api!(auth: "type: bearer, credential: fake_token", backend: r#"
  tools:
    attach:
      method: POST
      path: /attachments
      access: read
      description: "Attaches."
      content_type: multipart/form-data
      max_body_size: 1KB
      params: { file: { type: file_url, in: body, required: true } }
"#);

/// Gives the answers of a test, one after the other; the last one again and again.
struct Scripted {
    answers: Vec<&'static str>,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(answers: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { answers: answers.to_vec(), asked: Mutex::default() })
    }
}

/// The store owns its resolver, and the test asks it as well.
struct Shared(Arc<Scripted>);

impl HostResolver for Shared {
    fn resolve(
        &self,
        host: String,
    ) -> futures_util::future::BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut asked = self.0.asked.lock().unwrap();
        let answer = self.0.answers.get(asked.len()).or(self.0.answers.last()).unwrap();
        let addresses = answer.split(' ').map(|text| text.parse().unwrap()).collect();
        asked.push(host);
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// A TLS server for `files.example` that gives these answers in order.
struct Source {
    port: u16,
    ca_file: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
    _home: tempfile::TempDir,
}

impl Source {
    async fn start(answers: Vec<Vec<u8>>) -> Self {
        let (acceptor, pem) = tls::acceptor("files.example");
        let home = tempfile::tempdir().unwrap();
        let ca_file = home.path().join("ca.pem");
        std::fs::write(&ca_file, pem).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap_or_default();
                seen.lock().unwrap().push(String::from_utf8_lossy(&request[..length]).into());
                let answer = answers.next().expect("one answer for each connection");
                let answer = String::from_utf8_lossy(&answer).replace("PORT", &port.to_string());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, ca_file, requests, _home: home }
    }

    fn url(&self, path: &str) -> String {
        format!("https://files.example:{}{path}", self.port)
    }

    /// Settings that let the server have a private address.
    fn private(&self) -> FileSettings {
        FileSettings {
            allow_hosts: vec![format!("files.example:{}", self.port)],
            allow_private: true,
            ca_file: Some(self.ca_file.clone()),
            ..FileSettings::default()
        }
    }
}

fn public() -> FileSettings {
    FileSettings { allow_public: true, ..FileSettings::default() }
}

struct Bench {
    harness: Harness,
    upstream: Upstream,
    resolver: Arc<Scripted>,
}

impl Bench {
    async fn new(settings: FileSettings, addresses: &[&'static str]) -> Self {
        Self::with_hosts(settings, FileHosts::default(), addresses).await
    }

    /// The same with what is said of the one backend.
    async fn with_hosts(
        settings: FileSettings,
        hosts: FileHosts,
        addresses: &[&'static str],
    ) -> Self {
        let upstream = Upstream::start(vec![Answer::json(200, "{}")]).await;
        let resolver = Scripted::new(addresses);
        let shared = Arc::new(Shared(Arc::clone(&resolver)));
        let files = |directory| {
            FileStore::with_parts(directory, settings, Arc::new(SystemTime::now), shared)
        };
        let credential = Fixed(Ok("s3cr3t-token-value".to_owned()));
        let change = |backend: &mut BackendSettings| backend.file_hosts = hosts;
        let harness = Harness::with_files(TOOLS, &upstream.url(), credential, change, files);
        Self { harness, upstream, resolver }
    }

    async fn attach(&self, url: &str) -> Result<String, String> {
        match self.harness.call("attach", json!({ "file": url })).await {
            Ok(_) => Ok(self.upstream.requests().pop().unwrap()),
            Err(error) => Err(error.for_model()),
        }
    }

    /// Checks that nothing is fetched and nothing is sent.
    async fn refuses(&self, url: &str, reason: &str) {
        let error = self.attach(url).await.unwrap_err();
        assert!(error.contains(reason), "{url}: {error}");
        assert!(self.upstream.requests().is_empty(), "{url}");
    }
}

fn ok(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}").into_bytes()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn no_url_is_fetched_unless_the_operator_says_so() {
    let bench = Bench::new(FileSettings::default(), &["1.1.1.1"]).await;
    bench.refuses("https://files.example/a", "not in `allow_hosts` of `files`").await;
    bench.refuses("http://files.example/a", "a URL without TLS").await;
    bench.refuses("HTTPS://files.example/a", "not in `allow_hosts` of `files`").await;
    assert!(bench.resolver.asked.lock().unwrap().is_empty(), "no name is looked up either");
}

#[tokio::test]
async fn a_backend_may_have_hosts_of_its_own() {
    let source = Source::start(vec![ok("Content-Length: 3", "abc")]).await;
    let settings =
        FileSettings { ca_file: Some(source.ca_file.clone()), ..FileSettings::default() };
    let hosts = |allow_private| FileHosts {
        hosts: vec![format!("files.example:{}", source.port)],
        allow_private,
    };
    let bench = Bench::with_hosts(settings.clone(), hosts(true), &["127.0.0.1"]).await;
    bench.refuses("https://other.example/a", "not in `allow_hosts` of `files`").await;
    let sent = bench.attach(&source.url("/a")).await.unwrap();
    assert!(sent.contains("\r\n\r\nabc\r\n"), "{sent}");
    let bench = Bench::with_hosts(settings.clone(), hosts(false), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "files.example has no public address").await;
    let bench = Bench::new(settings, &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "not in `allow_hosts` of `files`").await;
    assert_eq!(source.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_reached() {
    for addresses in [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1 192.168.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "100.64.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "fe80::1",
    ] {
        let bench = Bench::new(public(), &[addresses]).await;
        bench.refuses("https://files.example/a", "files.example has no public address").await;
        assert_eq!(*bench.resolver.asked.lock().unwrap(), ["files.example"]);
    }
    // Being named is not enough.
    let named =
        FileSettings { allow_hosts: vec!["files.example".to_owned()], ..FileSettings::default() };
    let bench = Bench::new(named, &["127.0.0.1"]).await;
    bench.refuses("https://files.example/a", "no public address").await;
}

#[tokio::test]
async fn a_number_that_leads_inside_is_not_reached() {
    let bench = Bench::new(public(), &["1.1.1.1"]).await;
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "169.254.169.254",
        "[::1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
    ] {
        bench.refuses(&format!("https://{host}/a"), "which is no public address").await;
    }
}

#[tokio::test]
async fn an_allowed_file_is_streamed_without_a_credential() {
    let source =
        Source::start(vec![ok("Content-Type: image/png\r\nContent-Length: 5", "bytes")]).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    let sent = bench.attach(&source.url("/dir/a%20b.png?sig=1")).await.unwrap();
    assert!(
        sent.contains("filename=\"a b.png\"\r\nContent-Type: image/png\r\n\r\nbytes\r\n--"),
        "{sent}"
    );
    assert!(sent.contains("content-length: "), "{sent}");
    let request = source.requests.lock().unwrap().remove(0);
    assert!(request.starts_with("GET /dir/a%20b.png?sig=1 HTTP/1.1\r\n"), "{request}");
    let request = request.to_lowercase();
    assert!(!request.contains("authorization") && !request.contains("cookie"), "{request}");
    assert!(!request.contains("s3cr3t"), "{request}");
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_checked_each_time() {
    // The first connection is allowed to be private, the second one meets another answer of the
    // same name: the guard stands where the connection is made, not before.
    let source = Source::start(vec![redirect("https://other.example:PORT/x")]).await;
    let settings = FileSettings { allow_public: true, ..source.private() };
    let bench = Bench::new(settings, &["127.0.0.1", "127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "other.example has no public address").await;
    assert_eq!(*bench.resolver.asked.lock().unwrap(), ["files.example", "other.example"]);
    assert_eq!(source.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn redirects_take_the_same_way() {
    for (to, reason) in [
        ("https://169.254.169.254/latest/meta-data", "leads to 169.254.169.254"),
        ("http://files.example/a", "redirects to a URL that is not https"),
        ("https://127.0.0.1:PORT/a", "leads to 127.0.0.1"),
        ("https://u:p@files.example:PORT/", "holds a user name or a password"),
        ("https://files.example:22/", "on files.example:22, which is not in `allow_hosts`"),
        ("file:///etc/passwd", "not https"),
    ] {
        let source = Source::start(vec![redirect(to)]).await;
        let settings = FileSettings { allow_public: true, ..source.private() };
        let bench = Bench::new(settings, &["127.0.0.1"]).await;
        bench.refuses(&source.url("/a"), reason).await;
    }
    let hops = vec![redirect("/b"), ok("Content-Length: 2", "ok")];
    let source = Source::start(hops).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    let sent = bench.attach(&source.url("/a")).await.unwrap();
    assert!(sent.contains("filename=\"b\""), "{sent}");
    let endless = vec![redirect("/a"); 6];
    let source = Source::start(endless).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "redirects without end").await;
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_sent() {
    let announced = ok("Content-Length: 2000", "");
    let source = Source::start(vec![announced]).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "has 2000 bytes, more than the 1024 bytes").await;
    // Where the size is not announced, sending breaks off.
    let unknown = ok("Connection: close", &"x".repeat(2000));
    let source = Source::start(vec![unknown]).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "turned out larger").await;
    let settings = |source: &Source| FileSettings { max_upload_bytes: 10, ..source.private() };
    let source = Source::start(vec![ok("Content-Length: 11", "")]).await;
    let bench = Bench::new(settings(&source), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "larger than 10 bytes (`max_upload_size` of `files`)").await;
    let source = Source::start(vec![ok("Connection: close", &"x".repeat(11))]).await;
    let bench = Bench::new(settings(&source), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "larger than 10 bytes (`max_upload_size` of `files`)").await;
}

#[tokio::test]
async fn an_answer_that_is_no_file_is_an_error() {
    let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    let source = Source::start(vec![missing]).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "cannot be fetched: HTTP 404").await;
    let source = Source::start(vec![ok("Content-Length: 9", "short")]).await;
    let bench = Bench::new(source.private(), &["127.0.0.1"]).await;
    bench.refuses(&source.url("/a"), "broke off while it was sent").await;
}
