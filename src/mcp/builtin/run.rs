//! Runs the built-in tools.

use rmcp::{RoleServer, service::RequestContext};
use serde_json::{Map, Value};

use super::{BuiltinTool, api_script, api_tools, result_tool, stream_tools, task_tools};
use crate::{
    executor::CallContext,
    mcp::{McpServer, consent::ConsentRetry, server::ToolAnswer},
};

impl BuiltinTool {
    /// Runs it.
    pub(in crate::mcp) async fn run(
        self,
        server: &McpServer,
        arguments: Map<String, Value>,
        retry: ConsentRetry,
        context: &RequestContext<RoleServer>,
        carried: &CallContext<'_>,
    ) -> ToolAnswer {
        Ok(match self {
            Self::ApiSearch => api_tools::search(server, arguments),
            Self::ApiRead => {
                return api_tools::read(server, arguments, retry, context, carried).await;
            }
            Self::ApiChange => {
                return api_tools::change(server, arguments, retry, context, carried).await;
            }
            Self::ApiScript => {
                return api_script::run(server, arguments, retry, context, carried).await;
            }
            Self::TaskWait => {
                return task_tools::wait_for_task(server, arguments, retry, context, carried).await;
            }
            Self::TaskCancel => {
                return task_tools::cancel_task(server, arguments, retry, context, carried).await;
            }
            Self::TaskList => task_tools::list_tasks(server, arguments, carried),
            Self::StreamRead => stream_tools::read_stream(server, arguments, context).await,
            Self::StreamList => stream_tools::list_streams(server, arguments, context),
            Self::StreamClose => stream_tools::close_stream(server, arguments, context),
            Self::ReadResult => result_tool::read_result(server, arguments, context).await,
        })
    }
}
