//! The floor as a program: `floor LIST` serves the tools in a file on stdio, `floor LIST ADDRESS` over HTTP.

#![expect(clippy::unwrap_used, reason = "a measurement for people")]

#[path = "../floor.rs"]
mod floor;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [list] => floor::serve(list, None),
        [list, address] => floor::serve(list, Some(address)),
        _ => panic!("floor LIST [ADDRESS]"),
    }
}
