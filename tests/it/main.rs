//! Integration tests: what a user can see, over real sockets and processes.

mod executor;
mod upstream;
