//! Integration tests: what a user can see, over real sockets and processes.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and says where"
)]

mod addresses;
mod answers;
mod api;
mod asked;
mod auth;
mod authorization_server;
mod batches;
mod caller_scripts;
mod cancelling;
mod carried;
mod check;
mod circles;
mod cli;
mod cli_tasks;
mod client_cert;
mod compared;
mod composites;
mod conformance;
mod connection_threads;
mod connections;
mod corpus;
mod corpus_composites;
mod corpus_lists;
mod corpus_requests;
mod credential_flows;
mod danube_cloud;
mod downloads;
mod drift;
mod drift_live;
mod ending;
mod every_tool;
mod examples;
mod executor;
mod fetching;
mod file_names;
mod filters;
mod finding;
mod fit;
mod footprint;
mod harness;
mod health;
mod hints;
mod hostile;
mod hostile_scripts;
mod hosts;
mod hosts_seen;
mod house;
mod import;
mod import_files;
mod import_hosts;
mod import_wire;
mod imports;
mod includes;
mod jq;
mod jq_oracle;
mod jsonrpc;
mod kept;
#[cfg(target_os = "linux")]
mod keyring;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(unix)]
mod known_programs;
mod known_starts;
mod large;
mod layers;
mod live;
mod live_settings;
mod logged;
mod login_trouble;
mod logs;
mod mcp_client;
mod mcp_files;
mod mcp_http;
mod mcp_site;
mod mcp_stdio;
mod mcp_support;
mod mcp_tasks;
mod media;
mod media_types;
mod memory;
mod models_doc;
mod notes;
mod numbers;
mod objects;
mod offered;
mod openapi;
mod openapi_documents;
mod outcomes;
mod overrides;
mod pages;
#[cfg(unix)]
mod pasted;
mod pins;
mod previews;
mod process;
mod promises;
mod questions;
mod real_authorization;
mod recorded;
mod resources;
mod returns;
mod second_host;
mod secrets;
mod seen;
mod server_authorization;
#[cfg(unix)]
mod server_certificates;
mod server_connections;
mod server_http;
mod server_lists;
mod server_prompts;
mod server_questions;
mod server_resources;
mod server_results;
mod server_streams;
mod server_tasks;
mod servers;
mod settles;
mod setup;
mod shown;
#[cfg(target_os = "linux")]
mod signals;
mod simulate;
#[path = "../../crates/dadl-secrets/src/spell.rs"]
mod spell;
mod stored;
mod stored_answers;
mod streams;
mod surfaces;
mod switch;
mod tasks;
#[cfg(unix)]
mod terminal;
mod third_party;
mod tls;
#[cfg(unix)]
mod tool_pins;
#[cfg(unix)]
mod trust;
mod unexpanded;
mod unsure;
mod uploads;
mod upstream;
#[cfg(unix)]
mod wide;
mod wire;
mod working_directory;
mod xo_access;
mod xo_composites;
mod xo_errors;
mod xo_lists;
mod xo_outcomes;
mod xo_proxy;
mod xo_proxy_real;
mod xo_real;
mod xo_samples;
mod xo_types;
mod xo_work;
mod xo_world;
