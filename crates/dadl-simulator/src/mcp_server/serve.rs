//! Reads lines, and does what the script says, one thing after the other.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, BufRead, Write},
};

use serde_json::{Map, Value, json};

use super::{
    honest,
    script::{ScriptStep, ServerScript},
    subscribers::Subscribers,
};

/// What is written at once.
const CHUNK: usize = 64 * 1024;

/// Serves until the input ends or the script does, and returns the exit code.
///
/// # Errors
///
/// Those of the streams.
pub fn serve_script(
    script: &ServerScript,
    input: impl BufRead,
    output: impl Write,
    errors: impl Write,
) -> io::Result<u8> {
    let mut server = ScriptedServer {
        script,
        input,
        output,
        errors,
        waiting: VecDeque::new(),
        counts: HashMap::new(),
        answer: Value::Null,
        asked: 0,
        subscribers: Subscribers::default(),
        is_stateless: false,
        seen: Vec::new(),
    };
    server.output.write_all(script.greeting.as_bytes())?;
    server.output.flush()?;
    while let Some(message) = server.next()? {
        if let Some(code) = server.take(&message)? {
            return Ok(code);
        }
    }
    if script.ignores_end {
        loop {
            std::thread::park();
        }
    }
    Ok(0)
}

struct ScriptedServer<'script, Input, Output, Errors> {
    script: &'script ServerScript,
    input: Input,
    output: Output,
    errors: Errors,
    /// Messages that came while another one was waited for.
    waiting: VecDeque<Value>,
    /// How often what was asked.
    counts: HashMap<String, usize>,
    /// The answer to the last request of this server.
    answer: Value,
    /// How many requests this server has sent.
    asked: u64,
    subscribers: Subscribers,
    /// Whether the last request was of the revision without `initialize`.
    is_stateless: bool,
    /// The methods of all messages that were handled, in their order.
    seen: Vec<String>,
}

/// What the words of a script stand for in a request.
struct RequestWords<'request> {
    id: &'request Value,
    params: &'request Value,
    count: usize,
}

impl<Input: BufRead, Output: Write, Errors: Write> ScriptedServer<'_, Input, Output, Errors> {
    /// Returns the next message; nothing at the end of the input.
    fn next(&mut self) -> io::Result<Option<Value>> {
        match self.waiting.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.read(),
        }
    }

    /// Reads the next message; what is none is skipped.
    fn read(&mut self) -> io::Result<Option<Value>> {
        loop {
            let mut line = Vec::new();
            if self.input.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if let Ok(message @ Value::Object(_)) = serde_json::from_slice(&line) {
                return Ok(Some(message));
            }
        }
    }

    /// Waits for a message that is wanted; others are kept for later.
    fn wait_for(&mut self, is_wanted: impl Fn(&Value) -> bool) -> io::Result<Option<Value>> {
        if let Some(at) = self.waiting.iter().position(&is_wanted) {
            return Ok(self.waiting.get(at).cloned());
        }
        while let Some(message) = self.read()? {
            self.waiting.push_back(message.clone());
            if is_wanted(&message) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Does what a message asks for; returns the exit code when that is the end.
    fn take(&mut self, message: &Value) -> io::Result<Option<u8>> {
        let Some(method) = message.get("method").and_then(Value::as_str) else { return Ok(None) };
        self.seen.push(method.to_owned());
        let nothing = Value::Object(Map::new());
        let params = message.get("params").unwrap_or(&nothing);
        let name = ["name", "uri"].iter().find_map(|key| params.get(key)?.as_str());
        let name = name.unwrap_or_default();
        let count = self.counts.entry(format!("{method} {name}")).or_default();
        let round = *count;
        *count += 1;
        let id = message.get("id").unwrap_or(&Value::Null);
        if id.is_null() {
            self.subscribers.take(method, id, params);
        } else {
            self.is_stateless = honest::is_stateless(params);
        }
        let words = RequestWords { id, params, count: round + 1 };
        let usual = [ScriptStep::Answer];
        for step in self.script.steps(method, name, round).unwrap_or(&usual) {
            if let Some(code) = self.run(step, method, &words)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn run(
        &mut self,
        step: &ScriptStep,
        method: &str,
        words: &RequestWords<'_>,
    ) -> io::Result<Option<u8>> {
        match step {
            ScriptStep::Answer if words.id.is_null() => {}
            ScriptStep::Answer => {
                let told = self.subscribers.take(method, words.id, words.params);
                if let Some(told) = told.filter(|_| self.is_stateless) {
                    self.send(&told, words)?;
                    return Ok(None);
                }
                let content = &self.script.content;
                let (key, value) = match honest::answer(method, words.params, content) {
                    Ok(result) => ("result", result),
                    Err(error) => ("error", error.to_json()),
                };
                self.send(&json!({ "jsonrpc": "2.0", "id": words.id, key: value }), words)?;
            }
            ScriptStep::Ask(request) => {
                self.asked += 1;
                let id = json!(format!("of the server {}", self.asked));
                self.send(&self.message(request, Some(&id)), words)?;
                let is_answer = |message: &Value| {
                    message.get("id") == Some(&id) && message.get("method").is_none()
                };
                self.answer = self.wait_for(is_answer)?.unwrap_or_default();
            }
            ScriptStep::Await(method) => {
                let is_it = |message: &Value| message.get("method") == Some(&json!(method));
                self.wait_for(is_it)?;
            }
            ScriptStep::Changed(list) => {
                for told in self.subscribers.changed(list, self.is_stateless) {
                    self.send(&told, words)?;
                }
            }
            ScriptStep::Updated(uri) => {
                for told in self.subscribers.updated(uri) {
                    self.send(&told, words)?;
                }
            }
            ScriptStep::Error(error) => {
                self.send(&json!({ "jsonrpc": "2.0", "id": words.id, "error": error }), words)?;
            }
            ScriptStep::Exit(code) => return Ok(Some(*code)),
            ScriptStep::Notify(notification) => {
                self.send(&self.message(notification, None), words)?;
            }
            ScriptStep::Result(result) => {
                self.send(&json!({ "jsonrpc": "2.0", "id": words.id, "result": result }), words)?;
            }
            ScriptStep::Text { text, times, is_error } => {
                let text = self.filled(text.clone(), words);
                if *is_error {
                    write_often(&mut self.errors, &text, *times)?;
                } else {
                    write_often(&mut self.output, &text, *times)?;
                }
            }
        }
        Ok(None)
    }

    fn message(&self, members: &Value, id: Option<&Value>) -> Value {
        let mut message = json!({ "jsonrpc": "2.0" });
        if let Some(all) = message.as_object_mut() {
            all.extend(id.map(|id| ("id".to_owned(), id.clone())));
            all.extend(members.as_object().cloned().unwrap_or_default());
        }
        message
    }

    fn send(&mut self, message: &Value, words: &RequestWords<'_>) -> io::Result<()> {
        let mut line = self.filled(message.to_string(), words);
        line.push('\n');
        self.output.write_all(line.as_bytes())?;
        self.output.flush()
    }

    /// Puts values where the words are that stand for them.
    fn filled(&self, mut text: String, words: &RequestWords<'_>) -> String {
        let token = || words.params.pointer("/_meta/progressToken").cloned().unwrap_or_default();
        let environment = || {
            let lossy = |it: std::ffi::OsString| it.to_string_lossy().into_owned();
            let all = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value).into()));
            Value::Object(all.collect())
        };
        let directory = || {
            let directory = std::env::current_dir().unwrap_or_default();
            json!(directory.to_string_lossy())
        };
        let values: [(&str, &dyn Fn() -> Value); 10] = [
            ("\"$id\"", &|| words.id.clone()),
            ("\"$token\"", &token),
            ("\"$params\"", &|| words.params.clone()),
            ("\"$count\"", &|| words.count.into()),
            ("\"$answer\"", &|| self.answer.clone()),
            ("\"$subscriptions\"", &|| json!(self.subscribers.uris())),
            ("\"$environment\"", &environment),
            ("\"$directory\"", &directory),
            ("\"$process\"", &|| std::process::id().into()),
            ("\"$seen\"", &|| self.seen.clone().into()),
        ];
        if text.contains("\"$") {
            for (word, value) in values {
                if text.contains(word) {
                    text = text.replace(word, &value().to_string());
                }
            }
        }
        text
    }
}

/// Writes a text many times, without a copy of all of it.
fn write_often(stream: &mut impl Write, text: &str, times: u64) -> io::Result<()> {
    let at_once = (CHUNK / text.len().max(1)).max(1);
    let chunk = text.repeat(usize::try_from(times).unwrap_or(at_once).min(at_once));
    let mut left = times;
    while left > 0 {
        let count = left.min(at_once as u64);
        let length = text.len() * usize::try_from(count).unwrap_or(at_once);
        stream.write_all(chunk.as_bytes().get(..length).unwrap_or_default())?;
        left -= count;
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(script: &Value, input: &[Value]) -> (u8, Vec<Value>, String) {
        let script = ServerScript::read(script).unwrap();
        let input: String = input.iter().map(|message| format!("{message}\n")).collect();
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let code = serve_script(&script, input.as_bytes(), &mut output, &mut errors).unwrap();
        let output = String::from_utf8(output).unwrap();
        let messages = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (code, messages, String::from_utf8(errors).unwrap())
    }

    fn request(id: u32, method: &str, params: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
    }

    #[test]
    fn an_honest_server_speaks_every_revision() {
        let meta = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
        let input = [
            request(1, "initialize", &json!({ "protocolVersion": "2025-06-18" })),
            request(2, "initialize", &json!({ "protocolVersion": "2030-01-01" })),
            request(3, "server/discover", &meta),
            request(4, "server/discover", &json!({})),
            request(5, "tools/list", &meta),
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            request(6, "nothing", &json!({})),
        ];
        let (code, answers, _) = served(&json!({}), &input);
        assert_eq!((code, answers.len()), (0, 6));
        assert_eq!(answers[0]["result"]["protocolVersion"], "2025-06-18");
        assert_eq!(answers[1]["result"]["protocolVersion"], "2025-11-25");
        assert_eq!(answers[2]["result"]["supportedVersions"], json!(["2026-07-28"]));
        assert_eq!(answers[3]["error"]["code"], -32022);
        assert_eq!(answers[4]["result"]["resultType"], "complete");
        assert_eq!(answers[5]["error"]["code"], -32601);
    }

    #[test]
    fn what_a_server_has_may_be_said() {
        let script = json!({
            "resources": [{ "uri": "a:1", "name": "one", "blob": "AA==" }],
            "templates": [{ "uriTemplate": "b:{x}", "name": "b", "text": "any" }],
            "prompts": [{ "name": "p", "messages": [1] }], "completions": { "x": ["ab", "b"] },
            "capabilities": { "resources": {} },
            "on": { "ping": [{ "updated": "a:1" }, { "changed": "prompts" },
                             { "result": { "of": "$subscriptions" } }] },
        });
        let complete = json!({ "argument": { "name": "x", "value": "a" } });
        let (_, answers, _) = served(
            &script,
            &[
                request(1, "resources/list", &json!({})),
                request(2, "resources/read", &json!({ "uri": "b:2" })),
                request(3, "resources/read", &json!({ "uri": "c" })),
                request(4, "prompts/get", &json!({ "name": "p" })),
                request(5, "completion/complete", &complete),
                request(6, "initialize", &json!({})),
                request(7, "resources/subscribe", &json!({ "uri": "a:1" })),
                request(8, "ping", &json!({})),
                request(9, "resources/unsubscribe", &json!({ "uri": "a:1" })),
                request(10, "ping", &json!({})),
            ],
        );
        let result = |at: usize| &answers[at]["result"];
        assert_eq!(result(0)["resources"], json!([{ "uri": "a:1", "name": "one" }]));
        assert_eq!(result(1)["contents"], json!([{ "uri": "b:2", "text": "any" }]));
        assert_eq!(answers[2]["error"]["code"], -32002);
        assert_eq!(result(3)["messages"], json!([1]));
        assert_eq!(result(4)["completion"]["values"], json!(["ab"]));
        assert_eq!(result(5)["capabilities"], json!({ "resources": {} }));
        assert_eq!(answers[7]["params"], json!({ "uri": "a:1" }));
        assert_eq!(answers[8]["method"], "notifications/prompts/list_changed");
        assert_eq!(result(9)["of"], json!(["a:1"]));
        assert_eq!((answers.len(), &result(12)["of"]), (13, &json!([])));
    }

    #[test]
    fn who_listens_is_told_until_that_is_cancelled() {
        let script = json!({ "on": { "ping": [{ "updated": "a:1" }, { "changed": "tools" }] } });
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
        let wanted = json!({ "resourceSubscriptions": ["a:1"], "toolsListChanged": true });
        let ping = |id| request(id, "ping", &json!({ "_meta": meta }));
        let (_, told, _) = served(
            &script,
            &[
                request(
                    1,
                    "subscriptions/listen",
                    &json!({ "_meta": meta, "notifications": wanted }),
                ),
                ping(2),
                json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
                ping(3),
            ],
        );
        let methods: Vec<&str> = told.iter().map(|it| it["method"].as_str().unwrap()).collect();
        let expected = ["subscriptions/acknowledged", "resources/updated", "tools/list_changed"];
        assert_eq!(methods, expected.map(|method| format!("notifications/{method}")));
        for told in told {
            assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        }
    }

    #[test]
    fn a_script_asks_waits_writes_and_ends() {
        let script = json!({ "on": { "tools/call it": [
            { "ask": { "method": "roots/list" } },
            { "await": "notifications/late" },
            { "notify": { "method": "notifications/progress",
                          "params": { "progressToken": "$token", "progress": 1 } } },
            { "result": { "heard": "$answer", "count": "$count", "from": "$params" } },
            { "text": "{\"part\":\"$id\"", "times": 1 },
            { "text": " ", "times": 200_000 },
            { "text": "}\n" },
            { "stderr": "no\n", "times": 2 },
            { "exit": 7 },
        ] } });
        let call = json!({ "name": "it", "_meta": { "progressToken": "t" } });
        let input = [
            request(5, "tools/call", &call),
            request(6, "ping", &json!({})),
            json!({ "jsonrpc": "2.0", "id": "of the server 1", "result": { "roots": [] } }),
            json!({ "jsonrpc": "2.0", "method": "notifications/late" }),
        ];
        let (code, messages, errors) = served(&script, &input);
        assert_eq!((code, errors.as_str()), (7, "no\nno\n"));
        assert_eq!(messages[0]["method"], "roots/list");
        assert_eq!(messages[1]["params"]["progressToken"], "t");
        let result = &messages[2]["result"];
        assert_eq!(result["heard"]["result"], json!({ "roots": [] }));
        assert_eq!((&result["count"], &result["from"]), (&json!(1), &call));
        assert_eq!(messages[3]["part"], 5);
        assert_eq!(messages.len(), 4);
    }
}
