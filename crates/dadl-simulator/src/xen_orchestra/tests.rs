//! Tests over a real socket: against captured answers, of actions and streams, and one call of
//! every operation in the table.

mod actions;
mod client;
mod every_operation;
mod samples;
mod streams;
