//! `dadl-mcp demo`: the main job, shown on an embedded Xen Orchestra.
//!
//! A second process serves it over stdio with `serve --demo`, exactly as an MCP host would start it,
//! and a real MCP client calls its tools. What the client gets is what is printed.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value by name gives null where there is nothing"
)]

mod client;

use std::{collections::BTreeMap, io, path::Path};

use anyhow::{Context as _, bail};
use rmcp::model::{CallToolResult, ContentBlock, ProgressNotificationParam};
use serde_json::{Map, Value, json};
use tokio::process::Command;

use self::client::DemoClient;
use crate::config::shell::shell_quoted;

/// Lines of a long answer that are printed.
const MOST_LINES: usize = 8;
/// How long the bar of a call is.
const BAR: usize = 20;
/// Longer values are not in the line of a change.
const MOST_CHANGE: usize = 40;

/// Where the demo is shown.
pub(crate) trait DemoStage {
    /// Shows a line, which stays.
    fn line(&mut self, line: &str) -> io::Result<()>;

    /// Shows how far a call is, in the place of what was said of that before.
    fn progress(&mut self, line: &str) -> io::Result<()>;

    /// Shows the objects of a list.
    fn list(&mut self, items: &[Value]) -> io::Result<()>;
}

/// Runs the demo; `program` is the dadl-mcp binary that serves, without the variables `hidden`.
///
/// # Errors
///
/// Any step that does not go as it should.
pub(crate) async fn run(
    program: &Path,
    files: &Path,
    hidden: &[&str],
    out: &mut dyn DemoStage,
) -> anyhow::Result<()> {
    let mut demo = Demo::connect(program, files, hidden, out).await?;
    let result = demo.walk(out).await;
    demo.client.end().await.context("the server did not end")?;
    result
}

/// A connected client and the process that serves it.
struct Demo {
    client: DemoClient,
    step: u32,
}

impl Demo {
    async fn connect(
        program: &Path,
        files: &Path,
        hidden: &[&str],
        out: &mut dyn DemoStage,
    ) -> anyhow::Result<Self> {
        out.line("$ dadl-mcp serve --demo")?;
        let mut command = Command::new(program);
        for name in hidden {
            command.env_remove(name);
        }
        command.args(["serve", "--demo", "--files"]).arg(files);
        let client = DemoClient::connect(command).await;
        let client = client.with_context(|| program.display().to_string())?;
        Ok(Self { client, step: 0 })
    }

    /// Does the main job, step by step.
    async fn walk(&mut self, out: &mut dyn DemoStage) -> anyhow::Result<()> {
        self.title(out, "Discover the tools")?;
        let tools = self.tools().await?;
        let sample: Vec<&str> = tools.iter().take(6).map(String::as_str).collect();
        out.line(&format!("   {} tools: {}, ..", tools.len(), sample.join(", ")))?;

        self.title(out, "List halted VMs")?;
        let arguments = json!({
            "fields": "id,name_label,power_state", "filter": "power_state:Halted", "limit": 5
        });
        let halted = self.call(out, "list_vms", arguments).await?;
        let vm = items(&halted).iter().find(|vm| vm["name_label"] != "broken-01");
        let Some(id) = vm.and_then(|vm| vm["id"].as_str()).map(str::to_owned) else {
            bail!("there is no halted VM");
        };

        self.title(out, "Read one of them")?;
        let vm = self.quiet_call("get_vm", json!({ "uuid": id })).await?;
        let known = vm.structured_content.unwrap_or_default();
        let brief = ["name_label", "power_state", "CPUs", "memory", "tags"];
        let brief: Map<String, Value> =
            brief.iter().map(|name| ((*name).to_owned(), known[*name].clone())).collect();
        shown_call(out, "get_vm", &json!({ "uuid": id }))?;
        shown(out, &Value::Object(brief))?;

        self.title(out, "Watch what changes from now on")?;
        let arguments = json!({ "open": true, "subscribe": ["VM"] });
        let stream = self.call(out, "open_events_stream", arguments).await?;
        let stream = stream.structured_content.unwrap_or_default()["stream"].clone();

        self.title(out, "Start it: the call waits for the task and gives its end")?;
        self.call(out, "start_vm", json!({ "uuid": id })).await?;

        let names = self.migrate(out, &id).await?;
        self.read_changes(out, &stream, known, &names).await?;

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

        out.line("\nAttach it to your own host, which can ask you:\n")?;
        for host in ["claude", "codex"] {
            out.line(&format!("    {host} mcp add xo -- dadl-mcp serve --demo"))?;
        }
        Ok(())
    }

    /// Moves a VM to another host of its pool; returns the names of hosts and pools.
    async fn migrate(
        &mut self,
        out: &mut dyn DemoStage,
        id: &str,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        self.title(out, "Migrate it to another host, and hear that it goes on")?;
        let vm = self.quiet_call("get_vm", json!({ "uuid": id })).await?;
        let vm = vm.structured_content.unwrap_or_default();
        let fields = "id,name_label,$pool";
        let hosts = self.quiet_call("list_hosts", json!({ "fields": fields })).await?;
        let pools = self.quiet_call("list_pools", json!({ "fields": fields })).await?;
        let other = items(&hosts)
            .iter()
            .find(|host| host["$pool"] == vm["$pool"] && host["id"] != vm["$container"]);
        let Some(host) = other.map(|host| host["id"].clone()) else {
            bail!("there is no other host");
        };
        self.call(out, "migrate_vm", json!({ "uuid": id, "hostId": host })).await?;
        Ok(names(items(&hosts).iter().chain(items(&pools))))
    }

    /// Tells what changed in a VM since it was `known`, as an open stream brought it.
    async fn read_changes(
        &mut self,
        out: &mut dyn DemoStage,
        stream: &Value,
        mut known: Value,
        names: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        self.title(out, "Read what the stream has brought meanwhile")?;
        let arguments = json!({ "stream": stream, "wait": 5, "max_items": 20 });
        shown_call(out, "stream_read", &arguments)?;
        let read = self.quiet_call("stream_read", arguments).await?.structured_content;
        let of_vm = |item: &&Value| item["event"] == "update" && item["data"]["id"] == known["id"];
        let updates = read.iter().filter_map(|read| read["items"].as_array()).flatten();
        let updates: Vec<Value> = updates.filter(of_vm).map(|item| item["data"].clone()).collect();
        for update in updates {
            let name = update["name_label"].as_str().unwrap_or("?").to_owned();
            for change in changes(&known, &update, names) {
                out.line(&format!("   VM {name}: {change}"))?;
            }
            known = update;
        }
        if known["power_state"] != "Running" {
            bail!("the stream did not bring that the VM runs");
        }
        self.call(out, "stream_close", json!({ "stream": stream })).await?;
        Ok(())
    }

    fn title(&mut self, out: &mut dyn DemoStage, title: &str) -> io::Result<()> {
        self.step += 1;
        out.line(&format!("\n{}. {title}", self.step))
    }

    /// Calls a tool that should succeed, and prints call and answer.
    async fn call(
        &mut self,
        out: &mut dyn DemoStage,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<CallToolResult> {
        shown_call(out, tool, &arguments)?;
        let result = self.send(tool, arguments, Some(out)).await?;
        if result.is_error == Some(true) {
            bail!("{tool} failed: {}", text(&result));
        }
        match items(&result) {
            [] => shown(out, &brief(result.structured_content.clone().unwrap_or_default()))?,
            items => out.list(items)?,
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
        out: &mut dyn DemoStage,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<()> {
        shown_call(out, tool, &arguments)?;
        let result = self.send(tool, arguments, None).await?;
        if result.is_error != Some(true) {
            bail!("{tool} should have been refused");
        }
        for line in text(&result).lines() {
            out.line(&format!("   ! {line}"))?;
        }
        Ok(())
    }

    /// Calls a tool, and prints how far it is where somebody looks.
    async fn send(
        &mut self,
        tool: &'static str,
        arguments: Value,
        mut out: Option<&mut dyn DemoStage>,
    ) -> anyhow::Result<CallToolResult> {
        let params = json!({ "name": tool, "arguments": arguments });
        let mut shown = |progress: &ProgressNotificationParam| match &mut out {
            Some(out) => out.progress(&progress_line(progress)),
            None => Ok(()),
        };
        let result = self.client.request("tools/call", params, &mut shown).await?;
        Ok(serde_json::from_value(result)?)
    }

    /// Returns the names of all tools.
    async fn tools(&mut self) -> anyhow::Result<Vec<String>> {
        let (mut tools, mut params) = (Vec::new(), json!({}));
        loop {
            let page = self.client.request("tools/list", params, &mut |_| Ok(())).await?;
            let names = page["tools"].as_array().into_iter().flatten();
            tools.extend(names.filter_map(|tool| tool["name"].as_str().map(str::to_owned)));
            let Some(cursor) = page["nextCursor"].as_str() else { return Ok(tools) };
            params = json!({ "cursor": cursor });
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
fn shown_call(out: &mut dyn DemoStage, tool: &str, arguments: &Value) -> io::Result<()> {
    let mut line = format!("   > {tool}");
    for (name, value) in arguments.as_object().into_iter().flatten() {
        line += &match value.as_str() {
            Some(text) => format!(" {}", shell_quoted(&format!("{name}={text}"))),
            None => format!(" {}", shell_quoted(&format!("{name}:={value}"))),
        };
    }
    out.line(&line)
}

/// Says how far a call is, with a bar where the whole is known.
fn progress_line(progress: &ProgressNotificationParam) -> String {
    let message = progress.message.as_deref().unwrap_or_default();
    let Some(total) = progress.total.filter(|total| *total > 0.0) else {
        return format!("   {message}");
    };
    let share = (progress.progress / total).clamp(0.0, 1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "between 0 and the length of the bar"
    )]
    let done = (share * BAR as f64) as usize;
    format!("   [{}{}] {message}", "#".repeat(done), ".".repeat(BAR.saturating_sub(done)))
}

/// Returns what names the objects of lists.
fn names<'a>(objects: impl Iterator<Item = &'a Value>) -> BTreeMap<String, String> {
    let text = |object: &Value, member: &str| object[member].as_str().map(str::to_owned);
    objects.filter_map(|object| Some((text(object, "id")?, text(object, "name_label")?))).collect()
}

/// Says what is different in an object, a line for each of its members.
fn changes(before: &Value, after: &Value, names: &BTreeMap<String, String>) -> Vec<String> {
    let shown = |value: &Value| match value.as_str() {
        Some(text) => names.get(text).map_or(text, String::as_str).to_owned(),
        None => value.to_string(),
    };
    let members = after.as_object().into_iter().flatten();
    let changed = members.filter(|(name, value)| before[name.as_str()] != **value);
    changed
        .map(|(name, value)| {
            let (old, new) = (shown(&before[name.as_str()]), shown(value));
            if old.len().max(new.len()) > MOST_CHANGE {
                format!("{name} changed")
            } else {
                format!("{name} {old} -> {new}")
            }
        })
        .collect()
}

/// Returns what is worth a line of the end of a task, and everything of another answer.
fn brief(answer: Value) -> Value {
    let Some(task) = answer["task"].as_object() else { return answer };
    let members = ["state", "progress", "message"];
    let members =
        members.iter().filter_map(|name| Some(((*name).to_owned(), task.get(*name)?.clone())));
    Value::Object(members.collect())
}

/// Prints an answer, or the start of a long one.
fn shown(out: &mut dyn DemoStage, value: &Value) -> io::Result<()> {
    let compact = value.to_string();
    if compact.len() <= 160 {
        return out.line(&format!("   {compact}"));
    }
    let pretty = serde_json::to_string_pretty(value)?;
    let mut lines = pretty.lines();
    for line in lines.by_ref().take(MOST_LINES) {
        out.line(&format!("   {line}"))?;
    }
    match lines.count() {
        0 => Ok(()),
        more => out.line(&format!("   .. {more} lines more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_drawn_where_the_whole_is_known() {
        let mut progress: ProgressNotificationParam = serde_json::from_value(json!({
            "progressToken": 1, "progress": 30, "total": 100, "message": "half done",
        }))
        .unwrap();
        assert_eq!(progress_line(&progress), "   [######..............] half done");
        for total in [None, Some(0.0)] {
            progress.total = total;
            assert_eq!(progress_line(&progress), "   half done");
        }
    }

    #[test]
    fn changes_are_told_by_member_and_name() {
        let before = json!({
            "power_state": "Halted", "$container": "p1", "tags": ["a"], "same": 1,
            "other": "x".repeat(50),
        });
        let after = json!({
            "power_state": "Running", "$container": "h1", "tags": [], "same": 1, "other": "y",
            "new": null,
        });
        let names = [("p1", "the pool"), ("h1", "host-01")]
            .map(|(id, name)| (id.to_owned(), name.to_owned()));
        let names = BTreeMap::from(names);
        let expected = [
            "power_state Halted -> Running",
            "$container the pool -> host-01",
            "tags [\"a\"] -> []",
            "other changed",
        ];
        assert_eq!(changes(&before, &after, &names), expected);
    }
}
