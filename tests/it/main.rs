//! Integration tests: what a user can see, over real sockets and processes.

mod every_tool;
mod executor;
mod harness;
mod layers;
mod tls;
mod upstream;
