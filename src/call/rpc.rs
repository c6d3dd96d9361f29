//! A JSON-RPC 2.0 request object (section 4 of its specification).

use std::fmt;

use serde_json::{Map, Value, json};

/// A request with named parameters; no batch and no notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcCall {
    /// What the answer must repeat. A plan has 0; who sends it gives it a number of its own.
    pub id: u64,
    /// The name of the method.
    pub method: String,
    /// The members of `params`: what the caller gave, and the defaults of the descriptor. Many
    /// servers refuse a call with a member that they do not know.
    pub params: Map<String, Value>,
}

impl RpcCall {
    /// Returns the request object.
    pub fn to_json(&self) -> Value {
        json!({ "id": self.id, "jsonrpc": "2.0", "method": self.method, "params": self.params })
    }
}

/// Names the call in messages: the method, without its arguments.
impl fmt::Display for RpcCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.method)
    }
}
