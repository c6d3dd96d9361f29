//! What hosts are told about the built-in tools.

/// What hosts are told about one.
pub(super) struct ToolListing {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) properties: &'static [ListedProperty],
    pub(super) effect: CallEffect,
}

/// A parameter: its name, its type in JSON Schema, and what it is.
pub(super) struct ListedProperty {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) description: &'static str,
    pub(super) is_required: bool,
}

impl ListedProperty {
    const fn required(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self { name, kind, description, is_required: true }
    }

    const fn optional(name: &'static str, kind: &'static str, description: &'static str) -> Self {
        Self { name, kind, description, is_required: false }
    }
}

/// What a call changes, in the words of the protocol.
pub(super) struct CallEffect {
    pub(super) is_read_only: bool,
    pub(super) is_destructive: bool,
    pub(super) is_idempotent: bool,
    pub(super) is_open_world: bool,
}

const TOOL: ListedProperty = ListedProperty::optional("tool", "string", "");
const ARGUMENTS: ListedProperty = ListedProperty::optional("arguments", "object", "");

pub(super) const API_SEARCH: ToolListing = ToolListing {
    name: "api_search",
    title: "API search",
    description: "Find tools of the API by what they do or by a name pattern (`*snapshot*`). Answers \
                  signatures; api_read and api_change call them.",
    properties: &[
        ListedProperty::required("queries", "strings", "A few words each"),
        ListedProperty::optional("backend", "string", ""),
    ],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: false,
    },
};

pub(super) const API_READ: ToolListing = ToolListing {
    name: "api_read",
    title: "API read",
    description: "Call one tool that only reads, or run code over such tools: to count, filter, join or \
                  sum, code is cheaper and right. It is the body of an async JavaScript function, e.g. \
                  `const vms = await api.list_vms({}); return vms.length`. You get what it returns.",
    properties: &[TOOL, ARGUMENTS, ListedProperty::optional("code", "string", "")],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: true,
    },
};

pub(super) const API_CHANGE: ToolListing = ToolListing {
    name: "api_change",
    title: "API change",
    description: "Call any one tool.",
    properties: &[ListedProperty::required("tool", "string", ""), ARGUMENTS],
    effect: CallEffect {
        is_read_only: false,
        is_destructive: true,
        is_idempotent: false,
        is_open_world: true,
    },
};

pub(super) const API_SCRIPT: ToolListing = ToolListing {
    name: "api_script",
    title: "API script",
    description: "Run code as api_read does, over tools that change something as well: for many alike \
                  changes. No dangerous tool is called from it.",
    properties: &[ListedProperty::required("code", "string", "")],
    effect: CallEffect {
        is_read_only: false,
        is_destructive: true,
        is_idempotent: false,
        is_open_world: true,
    },
};

const TASK: ListedProperty = ListedProperty::required("task", "string", "Its handle");

pub(super) const TASK_WAIT: ToolListing = ToolListing {
    name: "task_wait",
    title: "Task wait",
    description: "Wait for a task that a call began: its outcome, or its progress while it goes on.",
    properties: &[
        TASK,
        ListedProperty::optional("wait", "integer", "Seconds to wait; 0 looks once"),
    ],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: true,
    },
};

pub(super) const TASK_CANCEL: ToolListing = ToolListing {
    name: "task_cancel",
    title: "Task cancel",
    description: "Ask a task to stop; not every one can be, as the answer says.",
    properties: &[TASK],
    effect: CallEffect {
        is_read_only: false,
        is_destructive: true,
        is_idempotent: true,
        is_open_world: true,
    },
};

pub(super) const TASK_LIST: ToolListing = ToolListing {
    name: "task_list",
    title: "Task list",
    description: "The tasks that your calls began, newest first, as they were last seen; task_wait \
                  looks anew.",
    properties: &[],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: false,
    },
};

const STREAM: ListedProperty = ListedProperty::required("stream", "string", "Handle");

pub(super) const STREAM_READ: ToolListing = ToolListing {
    name: "stream_read",
    title: "Stream read",
    description: "Take what a stream has brought since the last read. `state`: open, reconnecting, \
                  ended; {gap}: items may be missing; `dropped` came too fast; `left` wait for the next read.",
    properties: &[
        STREAM,
        ListedProperty::optional("wait", "number", "Seconds to wait for items, else 0"),
        ListedProperty::optional("max_items", "integer", "1000 by default"),
    ],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: false,
        is_open_world: false,
    },
};

pub(super) const STREAM_LIST: ToolListing = ToolListing {
    name: "stream_list",
    title: "Stream list",
    description: "The streams that the session has open.",
    properties: &[],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: false,
    },
};

pub(super) const STREAM_CLOSE: ToolListing = ToolListing {
    name: "stream_close",
    title: "Stream close",
    description: "Close an open stream.",
    properties: &[STREAM],
    effect: CallEffect {
        is_read_only: false,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: false,
    },
};

pub(super) const READ_RESULT: ToolListing = ToolListing {
    name: "read_result",
    title: "Read result",
    description: "Read an answer that was cut and stored: by jq, by text to find, or from an item or line \
                  on, counted from 0.",
    properties: &[
        ListedProperty::required("file", "string", ""),
        ListedProperty::optional("jq", "string", ""),
        ListedProperty::optional("find", "string", ""),
        ListedProperty::optional("from", "integer", ""),
        ListedProperty::optional("count", "integer", ""),
    ],
    effect: CallEffect {
        is_read_only: true,
        is_destructive: false,
        is_idempotent: true,
        is_open_world: false,
    },
};
