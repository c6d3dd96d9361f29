//! The differences as SARIF 2.1.0, which code hosts show beside the descriptor.

use dadl_openapi::{
    drift::{DifferenceKind, DriftReport},
    exceptions::JudgedDifferences,
};
use serde_json::{Value, json};

use super::{
    super::report::sarif::{self, uri},
    AcceptedDifferences, ComparedSides,
};

/// The rule of an exception that no difference needs.
const STALE: &str = "stale";
/// The rule of a tool that the server's version or plugins lack.
const LEFT_OUT: &str = "left-out";

/// Makes the log.
pub(super) fn sarif_log(
    compared: &ComparedSides,
    excepted: &AcceptedDifferences<'_>,
    drift: &DriftReport,
    judged: &JudgedDifferences<'_>,
) -> Value {
    let rules = DifferenceKind::ALL.iter().map(|what| what.as_str()).chain([STALE, LEFT_OUT]);
    let rules: Vec<Value> = rules.map(|id| json!({ "id": id })).collect();
    let place = |file: &str, line: usize| {
        json!([{"physicalLocation": {
            "artifactLocation": {"uri": uri(file)},
            "region": {"startLine": line},
        }}])
    };
    let of_tool =
        |tool: Option<&str>| place(compared.source.name(), tool.map_or(1, |it| compared.line(it)));
    let differences = judged.left.iter().map(|it| {
        let parameter = it.parameter.as_ref().map(|it| format!(" `{it}`")).unwrap_or_default();
        let text = format!("{}{parameter}: {}", it.operation, it.message);
        let mut locations = of_tool(it.tool.as_deref());
        let first = locations.get_mut(0).and_then(Value::as_object_mut);
        if let (Some(pointer), Some(first)) = (&it.place, first) {
            let place = json!([{ "fullyQualifiedName": pointer }]);
            first.insert("logicalLocations".to_owned(), place);
        }
        sarif_result(it.what.as_str(), "error", &text, locations)
    });
    let file = excepted.from.as_deref().filter(|_| excepted.are_strict);
    let stale = file.into_iter().flat_map(|file| {
        judged.stale.iter().map(move |it| {
            let text = format!("no difference needs this exception any more: {}", it.about());
            sarif_result(STALE, "error", &text, place(file, it.line))
        })
    });
    let left_out = drift
        .left_out
        .iter()
        .map(|lack| sarif_result(LEFT_OUT, "note", &lack.to_string(), of_tool(Some(&lack.tool))));
    let results: Vec<Value> = differences.chain(stale).chain(left_out).collect();
    sarif::sarif_log(rules, results)
}

fn sarif_result(rule: &str, level: &str, text: &str, locations: Value) -> Value {
    json!({
        "ruleId": rule,
        "level": level,
        "message": {"text": text},
        "locations": locations,
    })
}
