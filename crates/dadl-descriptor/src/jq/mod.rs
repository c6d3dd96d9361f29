//! The jq language (<https://jqlang.org/manual/v1.7/>): programs are compiled and run here.
//!
//! The interpreter is `jaq`. Where it differs from jq 1.7, `corrections` bring it closer, and
//! `docs/guide.md` lists what remains. A program reads its input and nothing else: no files, no
//! modules, no environment, no further inputs.
//!
//! Nothing here bounds time, memory or depth: an interpreter cannot be interrupted from outside.
//! Only a process of its own (the module `worker`) may call [`JqProgram::run`].

mod corrections;
mod definitions;
mod error;
mod parse;
mod print;
mod program;
#[cfg(test)]
mod tests;

pub use self::{
    error::{CompileError, RunError},
    program::{JqFilter, JqProgram, LONGEST_PROGRAM},
};
