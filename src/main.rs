//! The `dadl-mcp` command.

fn main() {}
