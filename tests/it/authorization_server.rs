//! An MCP server that lets nobody in without a token, and the authorization server that gives them: two
//! origins of this machine, as honest or hostile as a test says.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::{Url, form_urlencoded};

/// Changes a document before it is sent.
type Change = Box<dyn Fn(&mut Value) + Send + Sync>;

/// What the two are like.
pub(crate) struct Temper {
    /// The challenge of the server; HERE is its origin.
    pub(crate) challenge: String,
    /// What the server says of itself; `None` when it says nothing.
    pub(crate) resource: Option<Change>,
    /// What the authorization server says of itself; `None` when it says nothing.
    pub(crate) issuer: Option<Change>,
    /// What is answered instead, by path.
    pub(crate) instead: BTreeMap<String, (u16, String)>,
    /// Whether the login is at the server itself.
    pub(crate) is_one: bool,
    /// Whether refresh tokens are given.
    pub(crate) refreshes: bool,
    /// What is granted besides.
    pub(crate) adds: String,
    /// The right that a token needs.
    pub(crate) needs: Option<String>,
    /// Whether anybody may come in.
    pub(crate) is_open: bool,
}

impl Default for Temper {
    fn default() -> Self {
        Self {
            challenge: r#"Bearer resource_metadata="HERE/.well-known/oauth-protected-resource/mcp", scope="read write""#.to_owned(),
            resource: Some(Box::new(|_| ())),
            issuer: Some(Box::new(|_| ())),
            instead: BTreeMap::new(),
            is_one: false,
            refreshes: true,
            adds: String::new(),
            needs: None,
            is_open: false,
        }
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `METHOD /path`.
    pub(crate) line: String,
    pub(crate) fields: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// A member of a form.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The credential that came with it.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.fields.get("authorization").map(|value| value.to_str().unwrap())
    }
}

/// What a code or a token is for.
#[derive(Debug, Clone, Default)]
struct Grant {
    client: String,
    scope: String,
    resource: String,
    redirect: String,
    challenge: String,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) temper: Temper,
    /// Everything that was asked, of both.
    pub(crate) asked: Vec<Asked>,
    /// By client: where its browsers may go.
    clients: BTreeMap<String, String>,
    codes: BTreeMap<String, Grant>,
    access: BTreeMap<String, Grant>,
    refresh: BTreeMap<String, Grant>,
    pub(crate) revoked: BTreeSet<String>,
    count: usize,
    here: String,
    there: String,
}

/// Both of them.
pub(crate) struct Protected {
    world: Arc<Mutex<World>>,
    /// The origin of the server.
    pub(crate) here: String,
    /// The origin of the authorization server.
    pub(crate) there: String,
}

impl Protected {
    pub(crate) async fn start(temper: Temper) -> Self {
        Self::speaking(temper, None, None).await
    }

    /// Starts both, each of which may speak TLS.
    pub(crate) async fn speaking(
        temper: Temper,
        here: Option<TlsAcceptor>,
        there: Option<TlsAcceptor>,
    ) -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let here = Self::serve(&world, here).await;
        let mut there = Self::serve(&world, there).await;
        if temper.is_one {
            there.clone_from(&here);
        }
        {
            let mut world = world.lock().unwrap();
            world.temper = temper;
            (world.here, world.there) = (here.clone(), there.clone());
        }
        Self { world, here, there }
    }

    /// Serves; returns the origin.
    async fn serve(world: &Arc<Mutex<World>>, acceptor: Option<TlsAcceptor>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let world = Arc::clone(world);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let world = Arc::clone(&world);
                let service = service_fn(move |request: Request<Incoming>| {
                    let world = Arc::clone(&world);
                    async move { Ok::<_, Infallible>(answer(&world, request).await) }
                });
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let builder = http1::Builder::new();
                    match acceptor {
                        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                        // Who does not trust the certificate goes away during the handshake.
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            drop(builder.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        format!("{scheme}://{address}")
    }

    /// The URL of the server.
    pub(crate) fn url(&self) -> Url {
        Url::parse(&format!("{}/mcp", self.here)).unwrap()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The requests with this line, in their order.
    pub(crate) fn asked(&self, line: &str) -> Vec<Asked> {
        self.world().asked.iter().filter(|asked| asked.line == line).cloned().collect()
    }

    /// Ends all access tokens.
    pub(crate) fn end_access(&self) {
        self.world().access.clear();
    }

    /// Ends all refresh tokens.
    pub(crate) fn end_refresh(&self) {
        self.world().refresh.clear();
    }

    /// Forgets all clients.
    pub(crate) fn forget_clients(&self) {
        self.world().clients.clear();
    }
}

async fn answer(world: &Mutex<World>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let asked = Asked {
        line: format!("{} {}", head.method, head.uri.path()),
        fields: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let mut world = world.lock().unwrap();
    world.asked.push(asked.clone());
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let (status, fields, body) = world.answer(head.uri.path(), &query, &asked);
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
    for (name, value) in fields {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

type Parts = (u16, Vec<(&'static str, String)>, String);

fn json_answer(status: u16, value: &Value) -> Parts {
    (status, vec![("content-type", "application/json".to_owned())], value.to_string())
}

fn refusal(code: &str) -> Parts {
    json_answer(400, &json!({ "error": code }))
}

impl World {
    fn answer(&mut self, path: &str, query: &BTreeMap<String, String>, asked: &Asked) -> Parts {
        if let Some((status, text)) = self.temper.instead.get(path).cloned() {
            return match status {
                300..400 => (status, vec![("location", text)], String::new()),
                status => (status, Vec::new(), text),
            };
        }
        let resource = "/.well-known/oauth-protected-resource";
        match path {
            "/mcp" => self.server(asked),
            _ if path.starts_with(resource) => match &self.temper.resource {
                Some(change) => {
                    let mut document = json!({
                        "resource": format!("{}/mcp", self.here),
                        "authorization_servers": [self.there],
                        "scopes_supported": ["read", "write", "admin"],
                    });
                    change(&mut document);
                    json_answer(200, &document)
                }
                None => json_answer(404, &json!({})),
            },
            "/.well-known/oauth-authorization-server" => self.describe_issuer(),
            "/register" => self.register(asked),
            "/authorize" => self.authorize(query),
            "/token" => self.token(asked),
            "/revoke" => {
                let token = asked.form("token").unwrap();
                self.refresh.remove(&token);
                self.revoked.insert(token);
                (200, Vec::new(), String::new())
            }
            _ => json_answer(404, &json!({})),
        }
    }

    fn server(&self, asked: &Asked) -> Parts {
        let token = asked.authorization().and_then(|it| it.strip_prefix("Bearer "));
        let grant = token.and_then(|token| self.access.get(token));
        if self.temper.is_open {
            return json_answer(200, &json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
        }
        let challenge = self.temper.challenge.replace("HERE", &self.here);
        let Some(grant) = grant else {
            return (401, vec![("www-authenticate", challenge)], String::new());
        };
        let lacks = |needs: &&String| !grant.scope.split(' ').any(|scope| scope == needs.as_str());
        if let Some(needs) = self.temper.needs.as_ref().filter(lacks) {
            let field = format!(r#"Bearer error="insufficient_scope", scope="{needs}""#);
            return (403, vec![("www-authenticate", field)], String::new());
        }
        assert_eq!(grant.resource, format!("{}/mcp", self.here), "a token of another server");
        json_answer(200, &json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))
    }

    fn describe_issuer(&self) -> Parts {
        let Some(change) = &self.temper.issuer else { return json_answer(404, &json!({})) };
        let there = &self.there;
        let mut document = json!({
            "issuer": there,
            "authorization_endpoint": format!("{there}/authorize"),
            "token_endpoint": format!("{there}/token"),
            "registration_endpoint": format!("{there}/register"),
            "revocation_endpoint": format!("{there}/revoke"),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
        });
        change(&mut document);
        json_answer(200, &document)
    }

    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}-of-{}", self.count, self.there.rsplit(':').next().unwrap())
    }

    fn register(&mut self, asked: &Asked) -> Parts {
        let given: Value = serde_json::from_str(&asked.body).unwrap();
        let client = self.next("client");
        let redirect = given["redirect_uris"][0].as_str().unwrap().to_owned();
        self.clients.insert(client.clone(), redirect);
        json_answer(201, &json!({ "client_id": client, "token_endpoint_auth_method": "none" }))
    }

    fn authorize(&mut self, query: &BTreeMap<String, String>) -> Parts {
        let get = |name: &str| query.get(name).cloned().unwrap_or_default();
        assert_eq!(
            (get("response_type"), get("code_challenge_method")),
            ("code".into(), "S256".into())
        );
        let grant = Grant {
            client: get("client_id"),
            scope: get("scope"),
            resource: get("resource"),
            redirect: get("redirect_uri"),
            challenge: get("code_challenge"),
        };
        if let Some(redirect) = self.clients.get(&grant.client) {
            assert_eq!(*redirect, grant.redirect, "not what was registered");
        }
        let code = self.next("code");
        let mut back = Url::parse(&grant.redirect).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &get("state"))
            .append_pair("iss", &self.there);
        self.codes.insert(code, grant);
        (302, vec![("location", back.to_string())], String::new())
    }

    fn token(&mut self, asked: &Asked) -> Parts {
        let resource = asked.form("resource").expect("the resource");
        let grant = match asked.form("grant_type").unwrap().as_str() {
            "authorization_code" => {
                let grant = self.codes.remove(&asked.form("code").unwrap());
                let Some(grant) = grant else { return refusal("invalid_grant") };
                let digest = Sha256::digest(asked.form("code_verifier").unwrap().as_bytes());
                if URL_SAFE_NO_PAD.encode(digest) != grant.challenge {
                    return refusal("invalid_grant");
                }
                assert_eq!(asked.form("redirect_uri").unwrap(), grant.redirect);
                grant
            }
            "refresh_token" => match self.refresh.remove(&asked.form("refresh_token").unwrap()) {
                Some(grant) => grant,
                None => return refusal("invalid_grant"),
            },
            "client_credentials" => Grant {
                scope: asked.form("scope").unwrap_or_default(),
                client: asked.form("client_id").unwrap_or_default(),
                resource: resource.clone(),
                ..Grant::default()
            },
            _ => return refusal("unsupported_grant_type"),
        };
        assert_eq!(resource, grant.resource, "a token for something else");
        let (access, refresh) = (self.next("access"), self.next("refresh"));
        let mut given = json!({ "access_token": access, "token_type": "Bearer", "expires_in": 3600, "scope": format!("{}{}", grant.scope, self.temper.adds) });
        if self.temper.refreshes && !grant.challenge.is_empty() {
            given["refresh_token"] = refresh.as_str().into();
            self.refresh.insert(refresh, grant.clone());
        }
        self.access.insert(access, grant);
        json_answer(200, &given)
    }
}
