"""A model on loopback that follows a play: Anthropic Messages and OpenAI Responses, streamed."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from play import Offer, Shown, size_of, text_of

# What hosts put in front of the tools of the server, which they know as `xo`.
SPACE = "mcp__xo"
DONE = "done"
# What a play yields instead of a tool to try the host's own search for tools.
HOST_SEARCH = "the search of the host"


def named(tool):
    """The name under which Claude Code knows a tool of the server."""
    return f"{SPACE}__{tool}"


class Model:
    """Each request of a host that has tools takes the next step of the play."""

    def __init__(self, play):
        self.play, self.lock = play, threading.Lock()
        self.count = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def call(self, offer, results):
        """The next call as (its id, tool, arguments), if the play has one. `results` are what was shown so
        far, by the ids of the calls."""
        with self.lock:
            if self.play.is_over:
                return None
            if self.count == 0:
                call = self.play.begin(offer)
            elif (last := f"call_{self.count}") in results:
                call = self.play.go_on(Shown(results[last]))
            else:
                return None
            if call is None:
                return None
            self.count += 1
            return f"call_{self.count}", *call


def anthropic(model, body):
    """The answer to a request of the Messages API."""
    tools = [tool for tool in body.get("tools", []) if "name" in tool]
    block = {"type": "text", "text": DONE}
    # Without tools it asks for a title or a summary.
    if tools:
        prefix = named("")
        ours = [tool for tool in tools if tool["name"].startswith(prefix)]
        names = [tool["name"].removeprefix(prefix) for tool in ours]
        texts = json.dumps([body.get("system"), body["messages"]], ensure_ascii=False)
        offer = Offer(names, size_of(ours), texts)
        blocks = [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        results = {
            block["tool_use_id"]: text_of(block.get("content", ""))
            for block in blocks
            if block["type"] == "tool_result"
        }
        if call := model.call(offer, results):
            name = "ToolSearch" if call[1] == HOST_SEARCH else prefix + call[1]
            block = {"type": "tool_use", "id": call[0], "name": name, "input": call[2]}
    is_call = block["type"] == "tool_use"
    stop = {"stop_reason": "tool_use" if is_call else "end_turn", "stop_sequence": None}
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": body.get("model")}
    message |= {"content": [block], **stop, "usage": usage}
    if not body.get("stream"):
        return message
    if is_call:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty = {**block, "text": ""}
        delta = {"type": "text_delta", "text": block["text"]}
    return [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": usage},
        {"type": "message_stop"},
    ]


def openai(model, body):
    """The answer to a request of the Responses API."""
    spaces = [tool for tool in body.get("tools", []) if tool.get("name") == SPACE]
    tools = [inner for space in spaces for inner in space["tools"]]
    texts = [*(space.get("description", "") for space in spaces), json.dumps(body["input"], ensure_ascii=False)]
    offer = Offer([tool["name"] for tool in tools], size_of(tools), "\n".join(texts))
    results = {
        item["call_id"]: text_of(item.get("output") or item.get("tools") or [])
        for item in body["input"]
        if item.get("type") in ("function_call_output", "tool_search_output")
    }
    call = model.call(offer, results)
    if call and call[1] == HOST_SEARCH:
        item = {"type": "tool_search_call", "id": f"item_{call[0]}", "call_id": call[0], "arguments": call[2]}
        item |= {"execution": "client", "status": "completed"}
    elif call:
        item = {"type": "function_call", "id": f"item_{call[0]}", "call_id": call[0]}
        item |= {"namespace": SPACE, "name": call[1], "arguments": json.dumps(call[2])}
    else:
        text = {"type": "output_text", "text": DONE, "annotations": []}
        item = {"type": "message", "role": "assistant", "id": "item_end", "content": [text]}
    usage = {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}}
    usage |= {"output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
    done = {"id": "resp_1", "object": "response", "status": "completed", "output": [item], "usage": usage}
    return [
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]


def _handler(model):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.send(200, "application/json", b"")

        def do_GET(self):
            if self.path.startswith("/v1/models"):
                self.json(200, {"object": "list", "data": [], "models": []})
            else:
                self.json(404, {"error": {"message": "not here"}})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            path = self.path.split("?")[0]
            if path.endswith("/count_tokens"):
                self.json(200, {"input_tokens": 1})
            elif path.endswith("/messages"):
                self.events(anthropic(model, body))
            elif path.endswith("/responses"):
                self.events(openai(model, body))
            else:
                self.json(404, {"error": {"message": "not here"}})

        def json(self, status, value):
            self.send(status, "application/json", json.dumps(value).encode())

        def events(self, events):
            if isinstance(events, dict):
                return self.json(200, events)
            lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
            return self.send(200, "text/event-stream", "".join(lines).encode())

        def send(self, status, content_type, body):
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler
