//! The floor: a server of the protocol library that has a list, gives fixed answers, and does nothing else.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock},
};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::local::LocalSessionManager,
    },
};
use serde_json::json;

/// A machine of about 1 KB.
pub(crate) fn machine(number: u32) -> String {
    let tags: Vec<String> = (0..56).map(|tag| format!("tag-of-vm-{tag:02}")).collect();
    let memory =
        json!({ "size": 4_294_967_296_u64, "dynamic": [1_073_741_824, 4_294_967_296_u64] });
    json!({
        "uuid": format!("770aa52a-fd42-8faf-f167-8c5c{number:08}"), "name_label": "a web server",
        "power_state": "Running", "memory": memory, "tags": tags,
    })
    .to_string()
}

/// A list of them of 1 MB.
pub(crate) fn machines() -> String {
    let count = u32::try_from(1_000_000 / (machine(0).len() + 1)).unwrap();
    format!("[{}]", (0..count).map(machine).collect::<Vec<_>>().join(","))
}

/// What is answered, without work of its own.
fn answer(tool: &str) -> String {
    static MACHINES: LazyLock<String> = LazyLock::new(machines);
    match tool {
        "get_vm" => machine(0),
        _ => MACHINES.clone(),
    }
}

#[derive(Clone)]
struct Floor {
    tools: Arc<[Tool]>,
}

impl ServerHandler for Floor {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(vec![ContentBlock::text(answer(&request.name))]).into())
    }
}

/// Serves the tools in a file; with an address over HTTP, else on stdio.
pub(crate) fn serve(list: &str, address: Option<&str>) {
    let tools: Vec<Tool> = serde_json::from_slice(&std::fs::read(list).unwrap()).unwrap();
    let floor = Floor { tools: tools.into() };
    let Some(address) = address else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let served = floor.serve(rmcp::transport::io::stdio_pipes()).await.unwrap();
            served.waiting().await.unwrap();
        });
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let config = StreamableHttpServerConfig::default().with_json_response(true);
        let sessions = Arc::new(LocalSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(floor.clone()), sessions, config);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = service.clone();
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.handle(request).await) }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), answer));
        }
    });
}
