//! One call from plan to result: plan, credentials, request (with retries), response.

pub mod outcome;
