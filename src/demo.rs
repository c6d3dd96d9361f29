//! `dadl-mcp demo`: the main job, shown on an embedded Xen Orchestra.
//!
//! The simulator runs in this process; a second dadl-mcp process serves it over stdio, exactly as
//! an MCP host would start it, and a real MCP client calls its tools. What the client gets is what
//! is printed.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value by name gives null where there is nothing"
)]

use std::{
    io::{self, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResult, ContentBlock, ProgressNotificationParam},
    service::{NotificationContext, RunningService},
};
use serde_json::{Map, Value, json};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
};

use crate::simulator::{SimulatorOptions, XenOrchestra};

/// The environment variable in which the demo's server finds the simulator's token.
const TOKEN_VARIABLE: &str = "CREDENTIAL_XEN_ORCHESTRA_TOKEN";
/// Lines of a long answer that are printed.
const MOST_LINES: usize = 8;
/// The export is large enough to take a moment.
const EXPORT_BYTES: u64 = 256 * 1024 * 1024;
/// How long the bar of a call is.
const BAR: usize = 20;

/// Runs the demo; `program` is the dadl-mcp binary that serves, without the variables `hidden`.
///
/// # Errors
///
/// Any step that does not go as it should.
pub async fn run(
    program: &Path,
    files: &Path,
    hidden: &[&str],
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let options = SimulatorOptions {
        task_duration: Duration::from_secs(2),
        export_size: EXPORT_BYTES,
        ..Default::default()
    };
    let simulator = XenOrchestra::start(options).await.context("cannot start the simulator")?;
    let mut demo = Demo::connect(program, files, hidden, &simulator, out).await?;
    let result = demo.walk(out).await;
    demo.client.cancel().await.context("the server did not end")?;
    // The server ends when its standard input closes.
    demo.server.wait().await.context("the server did not end")?;
    result
}

/// A client that passes on what the server says about the progress of a call.
struct Listener(mpsc::UnboundedSender<ProgressNotificationParam>);

impl ClientHandler for Listener {
    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        // Nobody listens between two calls.
        let _ = self.0.send(progress);
    }
}

/// A connected client and the process that serves it.
struct Demo {
    client: RunningService<RoleClient, Listener>,
    progress: mpsc::UnboundedReceiver<ProgressNotificationParam>,
    server: Child,
    step: u32,
}

impl Demo {
    async fn connect(
        program: &Path,
        files: &Path,
        hidden: &[&str],
        simulator: &XenOrchestra,
        out: &mut dyn Write,
    ) -> anyhow::Result<Self> {
        let url = simulator.url();
        writeln!(out, "A simulated Xen Orchestra listens on {url}.")?;
        writeln!(out, "$ dadl-mcp serve --dadl xen-orchestra --url {url} --access all\n")?;
        let mut command = Command::new(program);
        for name in hidden {
            command.env_remove(name);
        }
        let mut server = command
            .args(["serve", "--dadl", "xen-orchestra", "--url", &url, "--access", "all", "--files"])
            .arg(files)
            .env(TOKEN_VARIABLE, simulator.token())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (Some(stdin), Some(stdout)) = (server.stdin.take(), server.stdout.take()) else {
            bail!("the server has no pipes");
        };
        let (sender, progress) = mpsc::unbounded_channel();
        let client = Listener(sender).serve((stdout, stdin)).await;
        let client = client.context("the MCP handshake failed")?;
        Ok(Self { client, progress, server, step: 0 })
    }

    /// Does the main job, step by step.
    async fn walk(&mut self, out: &mut dyn Write) -> anyhow::Result<()> {
        self.title(out, "Discover the tools")?;
        let tools = self.client.list_all_tools().await?;
        let sample: Vec<&str> = tools.iter().take(6).map(|tool| &*tool.name).collect();
        writeln!(out, "   {} tools: {}, …", tools.len(), sample.join(", "))?;

        self.title(out, "List halted VMs")?;
        let arguments = json!({
            "fields": "id,name_label,power_state", "filter": "power_state:Halted", "limit": 5
        });
        let halted = self.call(out, "list_vms", arguments).await?;
        let vm = items(&halted).iter().find(|vm| vm["name_label"] != "broken-01");
        let Some(id) = vm.and_then(|vm| vm["id"].as_str()).map(str::to_owned) else {
            bail!("the simulator has no halted VM");
        };

        self.title(out, "Read one of them")?;
        let vm = self.quiet_call("get_vm", json!({ "uuid": id })).await?;
        let vm = vm.structured_content.unwrap_or_default();
        let brief = ["name_label", "power_state", "CPUs", "memory", "tags"];
        let brief: Map<String, Value> =
            brief.iter().map(|name| ((*name).to_owned(), vm[*name].clone())).collect();
        shown_call(out, "get_vm", &json!({ "uuid": id }))?;
        shown(out, &Value::Object(brief))?;

        self.title(out, "Watch what changes from now on")?;
        let arguments = json!({ "open": true, "subscribe": ["VM"] });
        let stream = self.call(out, "open_events_stream", arguments).await?;
        let stream = stream.structured_content.unwrap_or_default()["stream"].clone();

        self.title(out, "Start it: the call waits for the task and gives its end")?;
        self.call(out, "start_vm", json!({ "uuid": id })).await?;

        self.title(out, "Migrate it to another host, and hear how far that is")?;
        let vm = self.quiet_call("get_vm", json!({ "uuid": id })).await?;
        let vm = vm.structured_content.unwrap_or_default();
        let hosts = self.quiet_call("list_hosts", json!({ "fields": "id,$pool" })).await?;
        let other = items(&hosts)
            .iter()
            .find(|host| host["$pool"] == vm["$pool"] && host["id"] != vm["$container"]);
        let Some(host) = other.map(|host| host["id"].clone()) else {
            bail!("the simulator has no other host");
        };
        self.call(out, "migrate_vm", json!({ "uuid": id, "hostId": host })).await?;

        self.title(out, "Read what the stream has brought meanwhile")?;
        let arguments = json!({ "stream": stream, "wait": 5, "max_items": 2 });
        self.call(out, "stream_read", arguments).await?;
        self.call(out, "stream_close", json!({ "stream": stream })).await?;

        self.title(out, "Take a snapshot")?;
        let arguments = json!({ "uuid": id, "name_label": "before the change" });
        self.call(out, "snapshot_vm", arguments).await?;

        self.title(out, "Export the VM to a file")?;
        self.call(out, "export_vm_xva", json!({ "uuid": id, "compress": "zstd" })).await?;

        self.title(out, "A mistake is refused before anything is sent")?;
        let arguments = json!({ "uid": id, "wait": "perhaps" });
        self.refused(out, "start_vm", arguments).await?;

        self.title(out, "A failure comes back in the API's own words")?;
        self.refused(out, "get_vm", json!({ "uuid": "no-such-vm" })).await?;

        self.title(out, "A dangerous call needs a person, and this client cannot ask one")?;
        self.refused(out, "delete_vm", json!({ "uuid": id })).await?;

        writeln!(out, "\nAttach it to your own host: dadl-mcp serve --demo")?;
        Ok(())
    }

    fn title(&mut self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        self.step += 1;
        writeln!(out, "\n{}. {title}", self.step)
    }

    /// Calls a tool that should succeed, and prints call and answer.
    async fn call(
        &mut self,
        out: &mut dyn Write,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<CallToolResult> {
        shown_call(out, tool, &arguments)?;
        let result = self.send(tool, arguments, Some(out)).await?;
        if result.is_error == Some(true) {
            bail!("{tool} failed: {}", text(&result));
        }
        match items(&result) {
            [] => shown(out, &result.structured_content.clone().unwrap_or_default())?,
            items => items.iter().try_for_each(|item| shown(out, item))?,
        }
        Ok(result)
    }

    /// Calls a tool that should succeed.
    async fn quiet_call(
        &mut self,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<CallToolResult> {
        let result = self.send(tool, arguments, None).await?;
        if result.is_error == Some(true) {
            bail!("{tool} failed: {}", text(&result));
        }
        Ok(result)
    }

    /// Calls a tool that should be refused, and prints why.
    async fn refused(
        &mut self,
        out: &mut dyn Write,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<()> {
        shown_call(out, tool, &arguments)?;
        let result = self.send(tool, arguments, None).await?;
        if result.is_error != Some(true) {
            bail!("{tool} should have been refused");
        }
        for line in text(&result).lines() {
            writeln!(out, "   ! {line}")?;
        }
        Ok(())
    }

    /// Calls a tool, and prints how far it is where somebody looks.
    async fn send(
        &mut self,
        tool: &'static str,
        arguments: Value,
        mut out: Option<&mut dyn Write>,
    ) -> anyhow::Result<CallToolResult> {
        let Value::Object(arguments) = arguments else { bail!("arguments are an object") };
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let call = self.client.call_tool(request);
        tokio::pin!(call);
        loop {
            tokio::select! {
                result = &mut call => return Ok(result?),
                Some(progress) = self.progress.recv() => {
                    if let Some(out) = &mut out {
                        shown_progress(*out, &progress)?;
                    }
                }
            }
        }
    }
}

/// Returns the items of a list answer.
fn items(result: &CallToolResult) -> &[Value] {
    result
        .structured_content
        .as_ref()
        .and_then(|value| value["result"].as_array())
        .map_or(&[], Vec::as_slice)
}

/// Joins the text of an answer.
fn text(result: &CallToolResult) -> String {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| match block {
            ContentBlock::Text(text) => Some(&*text.text),
            _ => None,
        })
        .collect();
    texts.join("\n")
}

/// Prints a call as one would write it for `dadl-mcp call`.
fn shown_call(out: &mut dyn Write, tool: &str, arguments: &Value) -> io::Result<()> {
    write!(out, "   > {tool}")?;
    for (name, value) in arguments.as_object().into_iter().flatten() {
        match value.as_str() {
            Some(text) if text.contains(' ') => write!(out, " {name}={text:?}")?,
            Some(text) => write!(out, " {name}={text}")?,
            None => write!(out, " {name}={value}")?,
        }
    }
    writeln!(out)
}

/// Prints how far a call is, as a bar where the whole is known.
fn shown_progress(out: &mut dyn Write, progress: &ProgressNotificationParam) -> io::Result<()> {
    let message = progress.message.as_deref().unwrap_or_default();
    let Some(total) = progress.total.filter(|total| *total > 0.0) else {
        return writeln!(out, "   [{}] {message}", "?".repeat(BAR));
    };
    let share = (progress.progress / total).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "between 0 and the length of the bar"
    )]
    let done = (share * BAR as f64) as usize;
    writeln!(out, "   [{}{}] {message}", "#".repeat(done), ".".repeat(BAR.saturating_sub(done)))
}

/// Prints an answer, or the start of a long one.
fn shown(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    let compact = value.to_string();
    if compact.len() <= 160 {
        return writeln!(out, "   {compact}");
    }
    let pretty = serde_json::to_string_pretty(value)?;
    let mut lines = pretty.lines();
    for line in lines.by_ref().take(MOST_LINES) {
        writeln!(out, "   {line}")?;
    }
    match lines.count() {
        0 => Ok(()),
        more => writeln!(out, "   .. {more} lines more"),
    }
}
