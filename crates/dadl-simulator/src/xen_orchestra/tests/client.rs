//! A small HTTP client and the server it talks to.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{SimulatorOptions, XenOrchestra};

/// A server whose tasks end at once, and who asks it.
pub(super) struct Client {
    pub(super) server: XenOrchestra,
    headers: Vec<(&'static str, String)>,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) async fn new() -> Self {
        Self::with_task_duration(Duration::ZERO).await
    }

    pub(super) async fn with_task_duration(task_duration: Duration) -> Self {
        Self::with(SimulatorOptions {
            task_duration,
            export_size: 200_000,
            record: true,
            ..SimulatorOptions::default()
        })
        .await
    }

    pub(super) async fn with(options: SimulatorOptions) -> Self {
        let server = XenOrchestra::start(options).await.unwrap();
        let headers = vec![("cookie", "authenticationToken=demo-token".to_owned())];
        Self { server, headers }
    }

    /// Sends these headers from now on, and no cookie unless it is among them.
    pub(super) fn identify(&mut self, headers: &[(&'static str, &str)]) {
        self.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    }

    pub(super) async fn get(&self, target: &str) -> Answer {
        self.send(Method::GET, target, "", Bytes::new()).await
    }

    pub(super) async fn post(&self, target: &str, body: &str) -> Answer {
        self.send(Method::POST, target, "application/json", body.to_owned().into()).await
    }

    /// Sends a request. A target that does not start with `/rest/v0` is below it.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        content_type: &str,
        body: Bytes,
    ) -> Answer {
        let (parts, body) = self.open(method, target, content_type, body).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request and leaves the body of the answer to the caller.
    pub(super) async fn open(
        &self,
        method: Method,
        target: &str,
        content_type: &str,
        body: Bytes,
    ) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.server.address()).await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.unwrap();
        tokio::spawn(connection);
        let target = if target.starts_with("/rest/v0") {
            target.to_owned()
        } else {
            format!("/rest/v0{target}")
        };
        let mut request = Request::builder().method(method).uri(target).header("host", "xo");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap()
    }

    /// Returns the objects of a list.
    pub(super) async fn objects(&self, target: &str) -> Vec<Value> {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        answer.json().as_array().unwrap().clone()
    }

    /// Returns the identifier of the first object that a filter (percent-encoded) matches.
    pub(super) async fn find(&self, collection: &str, filter: &str) -> String {
        // Without repositories XO lists no archives; other lists do not mind.
        let target = format!("/{collection}?fields=id&limit=1&filter={filter}&backup-repository=*");
        let objects = self.objects(&target).await;
        let first = objects.first().unwrap_or_else(|| panic!("no {collection} with {filter}"));
        first["id"].as_str().unwrap().to_owned()
    }

    /// Returns one object.
    pub(super) async fn object(&self, target: &str) -> Value {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        answer.json()
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
