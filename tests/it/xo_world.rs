//! A simulated Xen Orchestra and good arguments for each tool of the descriptor.

use std::{sync::Mutex, time::Duration};

use dadl_descriptor::model::Tool;
use dadl_simulator::{SimulatorOptions, XenOrchestra};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::{
    every_tool::RawTool,
    harness::{Fixed, Harness},
    mcp_http::Reply,
};

pub(crate) const DESCRIPTOR: &str = include_str!("../../dadl/xen-orchestra.dadl");

/// The bytes of the file that uploads send.
pub(crate) const UPLOAD: usize = 4096;

/// A simulator whose tasks end at once.
pub(crate) struct World {
    pub(crate) simulator: XenOrchestra,
    /// Connections of open streams.
    streams: Mutex<Vec<BufReader<TcpStream>>>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let options = SimulatorOptions {
            record: true,
            export_size: 1024,
            task_duration: Duration::ZERO,
            extras: true,
            ..SimulatorOptions::default()
        };
        let simulator = XenOrchestra::start(options).await.unwrap();
        Self { simulator, streams: Mutex::default() }
    }

    /// A gate and an executor that send this token, with a file to upload.
    pub(crate) fn harness(&self, token: &str) -> Harness {
        harness(&self.simulator.url(), token)
    }

    /// Sends a request without any of our code, and returns status and body.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        login: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.simulator.address()).await.unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /rest/v0{target} HTTP/1.1\r\nHost: xo\r\n{login}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Reply::read(stream).await;
        let text = reply.text().await;
        (reply.status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Does something as the administrator, which must go well.
    pub(crate) async fn act(&self, method: &str, target: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, target, ADMINISTRATOR, body).await;
        assert!((200..300).contains(&status), "{method} {target}: {status} {answer}");
        answer
    }

    /// Returns the first object that a filter matches.
    pub(crate) async fn object(&self, collection: &str, filter: &str) -> Value {
        let filter = utf8_percent_encode(filter, NON_ALPHANUMERIC);
        // Without repositories XO lists no archives; other lists do not mind.
        let target = format!("/{collection}?fields=*&limit=1&filter={filter}&backup-repository=*");
        let objects = self.act("GET", &target, &Value::Null).await;
        objects.get(0).unwrap_or_else(|| panic!("no {collection} with {filter}")).clone()
    }

    /// Returns the identifier of the first object that a filter matches.
    pub(crate) async fn find(&self, collection: &str, filter: &str) -> String {
        let object = self.object(collection, filter).await;
        object["id"].as_str().unwrap().to_owned()
    }

    /// Makes a token of a user who may nothing.
    pub(crate) async fn token_of_nobody(&self) -> String {
        let user = json!({ "name": "nobody", "password": "nobody" });
        let user = self.act("POST", "/users", &user).await;
        // nobody:nobody
        let login = "Authorization: Basic bm9ib2R5Om5vYm9keQ==";
        let target = format!("/users/{}/authentication_tokens", user["id"].as_str().unwrap());
        let (_, answer) = self.send("POST", &target, login, &json!({})).await;
        answer["token"]["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Opens a stream of events that is subscribed to VMs, and returns its identifier.
    pub(crate) async fn stream(&self) -> String {
        let stream = TcpStream::connect(self.simulator.address()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let request =
            format!("GET /rest/v0/events HTTP/1.1\r\nHost: xo\r\n{ADMINISTRATOR}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let id = loop {
            let mut line = String::new();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "no stream");
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                break data["id"].as_str().unwrap().to_owned();
            }
        };
        self.streams.lock().unwrap().push(stream);
        let target = format!("/events/{id}/subscriptions");
        self.act("POST", &target, &json!({ "collection": "VM" })).await;
        id
    }

    /// Returns the least arguments with which a tool does its work, and brings the objects that
    /// they name into a state in which it can.
    pub(crate) async fn arguments(&self, name: &str, tool: &RawTool) -> Map<String, Value> {
        let mut arguments = Map::new();
        let path = tool.path.strip_prefix("/plugins/sdn-controller").unwrap_or(&tool.path);
        let collection = path.split(['/', '.']).nth(1).unwrap();
        for (param, raw) in tool.params.iter().filter(|(_, param)| param.required) {
            let value = match raw.place.as_str() {
                "path" => match param.as_str() {
                    "data_source" => json!("memory"),
                    "format" => json!(if collection.starts_with("vdi") { "raw" } else { "xva" }),
                    "groupId" => json!(self.find("groups", "name:developers").await),
                    "subscriptionId" => json!("VM"),
                    "tag" => json!("new tag"),
                    "userId" => json!(self.find("users", "name:bob").await),
                    _ => json!(self.subject(name, collection, &mut arguments).await),
                },
                _ => self.member(name, param, &raw.kind).await,
            };
            arguments.entry(param.clone()).or_insert(value);
        }
        if tool.content_type.is_some() {
            arguments.insert(Tool::RAW_BODY_PARAM.to_owned(), json!("upload.bin"));
        }
        arguments
    }

    /// Chooses the object that a tool works on; some need another argument that fits.
    async fn subject(
        &self,
        tool: &str,
        collection: &str,
        arguments: &mut Map<String, Value>,
    ) -> String {
        let filter = match tool {
            "start_vm" | "delete_vm" => "name_label:web-06",
            "resume_vm" => "power_state:Suspended",
            "unpause_vm" => {
                let vm = self.find("vms", "name_label:web-01").await;
                let target = format!("/vms/{vm}/actions/pause?sync=true");
                self.act("POST", &target, &Value::Null).await;
                return vm;
            }
            "revert_vm_to_snapshot" => {
                let vm = self.object("vms", "name_label:db-01").await;
                arguments.insert("snapshotId".to_owned(), vm["snapshots"][0].clone());
                "name_label:db-01"
            }
            "forget_host" | "start_host" => {
                let host = self.find("hosts", "name_label:xcp-03").await;
                let target = format!("/hosts/{host}/actions/emergency_shutdown?sync=true");
                self.act("POST", &target, &Value::Null).await;
                return host;
            }
            "connect_server" => {
                let server = self.find("servers", "label:Lab").await;
                let target = format!("/servers/{server}/actions/disconnect?sync=true");
                self.act("POST", &target, &Value::Null).await;
                return server;
            }
            "update_network_traffic_rule" | "update_vif_traffic_rule" => {
                let id = self.find(collection, "").await;
                let rule = json!({
                    "allow": true, "direction": "from", "ipRange": "10.0.0.0/8", "protocol": "IP",
                });
                let actions = format!("/plugins/sdn-controller/{collection}/{id}/actions");
                let target = format!("{actions}/add_traffic_rule?sync=true");
                self.act("POST", &target, &rule).await;
                arguments.insert("oldRule".to_owned(), rule);
                return id;
            }
            "connect_vbd" | "connect_vif" => "!attached?",
            "disconnect_vbd" | "disconnect_vif" => "attached?",
            "delete_network" => "name_label:Storage",
            "delete_user" => "name:bob",
            "delete_vm_template" => "name_label:golden",
            "update_acl_role" | "delete_acl_role" => "name:web",
            "detach_acl_role_from_user" | "detach_acl_role_from_group" => {
                let role = self.find("acl-roles", "name:web").await;
                let member = match tool {
                    "detach_acl_role_from_user" => {
                        format!("users/{}", self.find("users", "name:bob").await)
                    }
                    _ => format!("groups/{}", self.find("groups", "name:developers").await),
                };
                self.act("PUT", &format!("/acl-roles/{role}/{member}"), &Value::Null).await;
                return role;
            }
            "add_event_subscription" | "remove_event_subscription" => return self.stream().await,
            "list_auth_tokens" | "create_auth_token" => return "me".to_owned(),
            "import_vdi_to_existing" | "import_vdi_to_existing_raw" => {
                let storage = self.find("srs", "name_label:nfs").await;
                let body = json!({ "srId": storage, "virtual_size": UPLOAD });
                let disk = self.act("POST", "/vdis", &body).await;
                return disk["id"].as_str().unwrap().to_owned();
            }
            _ => "",
        };
        self.find(collection, filter).await
    }

    /// Chooses a value for a member of the body.
    async fn member(&self, tool: &str, name: &str, kind: &str) -> Value {
        let found = match name {
            "VDI" => self.find("vdis", "").await,
            "VM" | "vmId" => self.find("vms", "").await,
            "action" => "start".to_owned(),
            "bondMode" => "lacp".to_owned(),
            "collection" => "VM".to_owned(),
            "effect" => "allow".to_owned(),
            "host" if tool == "add_host_to_pool" => self.find("hosts", "name_label:lab").await,
            "hostId" => self.find("hosts", "name_label:xcp-02").await,
            "network" | "networkId" => self.find("networks", "").await,
            "pif" => self.find("pifs", "").await,
            "pifIds" => return json!([self.find("pifs", "").await]),
            "resource" => "vm".to_owned(),
            "roleId" => self.find("acl-roles", "name:web").await,
            "snapshotId" => self.find("vm-snapshots", "").await,
            "SR_type" => "nfs".to_owned(),
            "srId" => self.find("srs", "").await,
            "vlan" => return json!(20),
            "template" => {
                let template = self.object("vm-templates", "").await;
                template["uuid"].as_str().unwrap().to_owned()
            }
            _ => {
                return match kind {
                    "boolean" => json!(true),
                    "integer" | "number" => json!(4096),
                    "object" => json!({}),
                    "array" => json!([]),
                    _ => json!("something"),
                };
            }
        };
        found.into()
    }
}

/// A gate and an executor for this address, with a file to upload.
pub(crate) fn harness(url: &str, token: &str) -> Harness {
    let harness = Harness::new(DESCRIPTOR, url, Fixed(Ok(token.to_owned())), |_| {});
    let files = harness.executor.files().directory();
    std::fs::create_dir(files).unwrap();
    std::fs::write(files.join("upload.bin"), vec![7; UPLOAD]).unwrap();
    harness
}

/// The header with which the administrator asks.
pub(crate) const ADMINISTRATOR: &str = "Cookie: authenticationToken=demo-token";
