//! Compares a descriptor with what an API says about itself.
//!
//! Where a descriptor writes a value into the path for which the document has a placeholder with a
//! list of values (`/vms/{id}.xva` for `/vms/{id}.{format}`), each value needs its tool.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use dadl_descriptor::{
    model::{
        AccessLevel, AuthScheme, BodyKind, Descriptor, KindList, Param, ParamKind, ParamLocation,
        ParamStyle, RestOperation, Tool,
    },
    offer::{ServerOffer, ToolAvailability, UnmetNeed, standing},
};
use dadl_text::names::{
    nearest_loosely,
    path::{anonymous, path_placeholders},
};
use serde_json::Value;

use super::{
    hint::{AccessHint, AccessWord},
    matching::{self, FixedSegments, PathTargets, path_input},
    model::{ApiModel, ApiOperation, BodyEncoding, OperationInput},
    read::media_essence,
    text,
};

/// So many values of an enumeration are named in a message.
const MAX_NAMED: usize = 12;

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The API has an operation that the descriptor lacks.
    MissingOperation,
    /// The descriptor has an operation that the API lacks.
    UnknownOperation,
    /// The API calls the operation deprecated, the descriptor does not.
    Deprecated,
    /// The operation has a parameter that the tool lacks.
    MissingParameter,
    /// The tool has a parameter that the operation lacks.
    UnknownParameter,
    /// A parameter goes elsewhere.
    Place,
    /// A parameter is required on one side only.
    Required,
    /// A parameter has another type.
    Type,
    /// A parameter has other values.
    Enum,
    /// The body has another media type.
    Body,
    /// The tool is given to models more generously than the API would.
    Access,
}

impl DifferenceKind {
    /// Everything that can differ.
    pub const ALL: [Self; 11] = [
        Self::MissingOperation,
        Self::UnknownOperation,
        Self::Deprecated,
        Self::MissingParameter,
        Self::UnknownParameter,
        Self::Place,
        Self::Required,
        Self::Type,
        Self::Enum,
        Self::Body,
        Self::Access,
    ];

    /// Returns the word for it, as files of exceptions have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingOperation => "missing-operation",
            Self::UnknownOperation => "unknown-operation",
            Self::Deprecated => "deprecated",
            Self::MissingParameter => "missing-parameter",
            Self::UnknownParameter => "unknown-parameter",
            Self::Place => "place",
            Self::Required => "required",
            Self::Type => "type",
            Self::Enum => "enum",
            Self::Body => "body",
            Self::Access => "access",
        }
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiDifference {
    /// What differs.
    pub what: DifferenceKind,
    /// Method and path, as the side has it that has the operation; the document's if both do.
    pub operation: String,
    /// The tool, if the descriptor has one.
    pub tool: Option<String>,
    /// The parameter, if the difference is about one.
    pub parameter: Option<String>,
    /// What the two sides say.
    pub message: String,
    /// Where it is in the document: a JSON Pointer (RFC 6901).
    pub place: Option<String>,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct DriftReport {
    /// The differences: by operation, then by tool.
    pub differences: Vec<ApiDifference>,
    /// How many operations both sides have.
    pub shared: usize,
    /// What the API lacks because of its version or its plugins, as the descriptor has it, which is no
    /// difference.
    pub left_out: Vec<UnmetNeed>,
    /// How many deprecated operations of the API the descriptor leaves out, which is no difference.
    pub deprecated_left_out: usize,
}

/// Compares `descriptor` with `api`.
pub fn drift(descriptor: &Descriptor, api: &ApiModel) -> DriftReport {
    let targets = PathTargets::new(api, descriptor.base_url.as_deref());
    let mut drift = DriftReport::default();
    let mut covered: HashMap<usize, Vec<FixedSegments>> = HashMap::new();
    let mut unmatched = Vec::new();
    for tool in &descriptor.tools {
        let (Some(http), Some(target)) = (tool.http(), targets.of(tool)) else {
            unmatched.push(tool);
            continue;
        };
        covered.entry(target.operation).or_default().push(target.fixed.clone());
        let Some(operation) = api.operations.get(target.operation) else { continue };
        let pair = ToolOperation { descriptor, tool, http, operation, fixed: &target.fixed };
        pair.compare(&mut drift.differences);
    }
    if let AuthScheme::Session(session) = &descriptor.auth {
        let login = &session.login;
        if let Some(target) = targets.find(login.method, login.path.as_str()) {
            covered.entry(target.operation).or_default().push(Vec::new());
        }
    }
    for (index, operation) in api.operations.iter().enumerate() {
        match covered.get(&index) {
            Some(fixed) => {
                drift.shared += 1;
                drift.differences.extend(uncovered(operation, fixed));
            }
            None if operation.deprecated => drift.deprecated_left_out += 1,
            // No call of it could succeed, or the API gives it to no model.
            None if operation.hopeless.is_some() => {}
            None if operation.hint.as_ref().is_some_and(|hint| hint.word == AccessWord::No) => {}
            None => drift.differences.push(missing_difference(operation)),
        }
    }
    let mut methods: HashMap<String, Vec<&'static str>> = HashMap::new();
    for operation in &api.operations {
        methods.entry(anonymous(&operation.path)).or_default().push(operation.method.as_str());
    }
    let version = api.version.as_deref().and_then(|version| version.parse().ok());
    let offer = ServerOffer { version, ..ServerOffer::default() };
    for tool in unmatched {
        match known_lack(descriptor, tool, &offer) {
            Some(lack) => drift.left_out.push(lack),
            // The document is about one host.
            None if tool.elsewhere().is_some() => {}
            None => drift.differences.push(unknown_difference(tool, &methods)),
        }
    }
    drift.differences.sort_by(|left, right| {
        let key = |it: &ApiDifference| {
            let path = it.operation.split_once(' ').map_or("", |(_, path)| path);
            (path.to_owned(), it.operation.clone(), it.tool.clone(), it.what, it.parameter.clone())
        };
        key(left).cmp(&key(right))
    });
    drift
}

/// Returns why a server of this version may lack a tool, where the descriptor says so.
fn known_lack(descriptor: &Descriptor, tool: &Tool, offer: &ServerOffer) -> Option<UnmetNeed> {
    let fit = descriptor.fit.as_ref()?;
    let is_newer = match (fit.since.get(&tool.name), offer.version) {
        (Some(since), Some(version)) => *since > version,
        _ => false,
    };
    if !is_newer && !fit.needs.contains_key(&tool.name) {
        return None;
    }
    match standing(descriptor, &tool.name, Some(offer)) {
        ToolAvailability::Lacks(lack) | ToolAvailability::Unknown(Some(lack)) => Some(lack),
        ToolAvailability::Has | ToolAvailability::Unknown(None) => None,
    }
}

fn missing_difference(operation: &ApiOperation) -> ApiDifference {
    let called = operation.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    ApiDifference {
        what: DifferenceKind::MissingOperation,
        operation: operation.line(),
        tool: None,
        parameter: None,
        message: format!("the descriptor has no tool for it{called}"),
        place: Some(operation.place.clone()),
    }
}

fn unknown_difference(tool: &Tool, methods: &HashMap<String, Vec<&'static str>>) -> ApiDifference {
    let path = tool.path().as_str();
    let methods = methods.get(&anonymous(path)).map(Vec::as_slice).unwrap_or_default();
    let message = if methods.is_empty() {
        "the API has no such path".to_owned()
    } else {
        format!("the API has the path with {} only", methods.join(", "))
    };
    ApiDifference {
        what: DifferenceKind::UnknownOperation,
        operation: tool.line(),
        tool: Some(tool.name.clone()),
        parameter: None,
        message,
        place: None,
    }
}

/// Reports the values of a placeholder that no tool writes into its path.
fn uncovered(operation: &ApiOperation, covered: &[FixedSegments]) -> Vec<ApiDifference> {
    let mut found = Vec::new();
    for (number, name) in path_placeholders(&operation.path).enumerate() {
        let fixed: Vec<&String> = covered
            .iter()
            .filter_map(|fixed| fixed.iter().find(|(at, _)| *at == number))
            .map(|(_, value)| value)
            .collect();
        // A tool that leaves the placeholder takes all values.
        if fixed.is_empty() || covered.iter().any(|it| !it.iter().any(|(at, _)| *at == number)) {
            continue;
        }
        let Some(input) = path_input(operation, name) else { continue };
        let texts = input.values.iter().filter_map(Value::as_str);
        let missing: Vec<&str> =
            texts.filter(|value| !fixed.iter().any(|fixed| fixed == value)).collect();
        if !missing.is_empty() {
            found.push(ApiDifference {
                what: DifferenceKind::Enum,
                operation: operation.line(),
                tool: None,
                parameter: Some(name.to_owned()),
                message: format!("no tool has {} in its path", join_names(&missing)),
                place: Some(input.place.clone()),
            });
        }
    }
    found
}

/// A tool and the operation that it calls.
struct ToolOperation<'a> {
    descriptor: &'a Descriptor,
    tool: &'a Tool,
    http: &'a RestOperation,
    operation: &'a ApiOperation,
    fixed: &'a [(usize, String)],
}

impl ToolOperation<'_> {
    fn compare(&self, found: &mut Vec<ApiDifference>) {
        self.deprecation(found);
        self.access(found);
        let mut used = BTreeSet::new();
        let mut missing: Vec<&OperationInput> = Vec::new();
        self.in_path(&mut used, found);
        let raw = matches!(self.operation.body, BodyEncoding::Raw(_));
        for input in self.operation.inputs.iter().filter(|it| it.location != ParamLocation::Path) {
            if raw
                && input.location == ParamLocation::Body
                && self.whole_body(input, &mut used, found)
            {
                continue;
            }
            match self.param(input) {
                Some((at, param)) => {
                    used.insert(at);
                    self.values(input, param, found);
                }
                None if self.is_covered(input, &mut used) => {}
                None => missing.push(input),
            }
        }
        let params = self.tool.params.iter().enumerate().filter(|(at, _)| !used.contains(at));
        let others: Vec<(usize, &Param, ParamLocation)> =
            params.filter_map(|(at, param)| Some((at, &**param, param.location()?))).collect();
        let mut moved = BTreeSet::new();
        for input in missing {
            let same = others.iter().find(|(_, param, _)| param.wire() == input.wire());
            if let Some((at, param, location)) =
                same.filter(|_| !raw || input.location != ParamLocation::Body)
            {
                moved.insert(*at);
                let message = format!(
                    "the API has it in the {}, the tool in the {}",
                    input.location.as_str(),
                    location.as_str()
                );
                found.push(self.difference(
                    DifferenceKind::Place,
                    Some(&input.name),
                    message,
                    &input.place,
                ));
                self.values(input, param, found);
                continue;
            }
            let names = others.iter().map(|(_, param, _)| param.name.as_str());
            let mut message = format!(
                "the tool lacks {} {} in the {}",
                if input.required { "the required" } else { "the optional" },
                text::kind_word(input.kind),
                input.location.as_str()
            );
            if let Some(near) = nearest_loosely(&input.name, names) {
                message.push_str(&format!("; it has `{near}`"));
            }
            found.push(self.difference(
                DifferenceKind::MissingParameter,
                Some(&input.name),
                message,
                &input.place,
            ));
        }
        for (at, param, location) in others {
            if moved.contains(&at) || self.is_unsaid(param) {
                continue;
            }
            let message = format!("the API has no such parameter in the {}", location.as_str());
            found.push(self.difference(
                DifferenceKind::UnknownParameter,
                Some(&param.name),
                message,
                &self.operation.place,
            ));
        }
        self.body(found);
    }

    fn deprecation(&self, found: &mut Vec<ApiDifference>) {
        if self.operation.deprecated && self.tool.deprecated.is_none() {
            let message = "the API calls it deprecated, the tool is not marked".to_owned();
            let place = &self.operation.place;
            found.push(self.difference(DifferenceKind::Deprecated, None, message, place));
        }
    }

    fn access(&self, found: &mut Vec<ApiDifference>) {
        let access = self.tool.access.as_ref();
        let hint = self.operation.hint.as_ref();
        let Some(AccessHint { word, key, .. }) =
            hint.filter(|hint| hint.word.is_exceeded_by(access))
        else {
            return;
        };
        let least = word.least().as_ref().map_or("", AccessLevel::as_str).to_owned();
        let level = access.map_or("", AccessLevel::as_str);
        let message = format!(
            "the API says {word} of it ({key}), and the tool has the level {level}, not {least}",
        );
        found.push(self.difference(DifferenceKind::Access, None, message, &self.operation.place));
    }

    fn difference(
        &self,
        what: DifferenceKind,
        parameter: Option<&str>,
        message: String,
        place: &str,
    ) -> ApiDifference {
        ApiDifference {
            what,
            operation: self.operation.line(),
            tool: Some(self.tool.name.clone()),
            parameter: parameter.map(str::to_owned),
            message,
            place: Some(place.to_owned()),
        }
    }

    /// Compares the parameters of the path, which are told apart by their order.
    fn in_path(&self, used: &mut BTreeSet<usize>, found: &mut Vec<ApiDifference>) {
        for (at, input) in matching::in_path(self.tool, self.operation, self.fixed) {
            used.insert(at);
            if let Some(param) = self.tool.params.get(at) {
                self.values(input, param, found);
            }
        }
        for (at, param) in self.tool.params.iter().enumerate() {
            if param.is_in(ParamLocation::Path) {
                used.insert(at);
            }
        }
    }

    fn param(&self, input: &OperationInput) -> Option<(usize, &Param)> {
        let at = matching::matching_param(self.tool, input)?;
        Some((at, self.tool.params.get(at)?))
    }

    /// Compares the one parameter that is the whole body, whatever its name is.
    fn whole_body(
        &self,
        input: &OperationInput,
        used: &mut BTreeSet<usize>,
        found: &mut Vec<ApiDifference>,
    ) -> bool {
        let in_body: Vec<(usize, &Param)> = self
            .tool
            .params
            .iter()
            .enumerate()
            .filter(|(_, param)| param.is_in(ParamLocation::Body))
            .map(|(at, param)| (at, &**param))
            .collect();
        match in_body.as_slice() {
            // The runtime adds one.
            [] => matches!(self.http.body, BodyKind::Raw(_) | BodyKind::Multipart),
            [(at, param)] if matches!(self.http.body, BodyKind::Raw(_)) => {
                used.insert(*at);
                if input.required && !param.required && param.default.is_none() {
                    self.requiredness(input, param, found);
                }
                true
            }
            // Members where the document has an unknown body: no less than it says.
            several => {
                used.extend(several.iter().map(|(at, _)| *at));
                matches!(self.http.body, BodyKind::Json | BodyKind::JsonAs(_))
                    && input.kind == ParamKind::FileUrl
            }
        }
    }

    /// Returns whether the parameter is sent without being one of the tool.
    fn is_covered(&self, input: &OperationInput, used: &mut BTreeSet<usize>) -> bool {
        let Self { tool, http, descriptor, .. } = self;
        match input.location {
            ParamLocation::Query => {
                let fixed = http.path.query().unwrap_or_default();
                let in_path = fixed
                    .split('&')
                    .any(|pair| pair.split('=').next().is_some_and(|name| name == input.name));
                let in_auth = descriptor.auth.uses_query(&input.name);
                in_path || in_auth || self.is_of_pages(&input.name)
            }
            ParamLocation::Header => {
                let is = |name: &str| name.eq_ignore_ascii_case(&input.name);
                tool.headers.iter().any(|(name, _)| is(name.as_str()))
                    || tool.idempotency.as_ref().is_some_and(|name| is(name.as_str()))
                    || http::HeaderName::from_bytes(input.name.as_bytes())
                        .is_ok_and(|name| descriptor.auth.uses_header(&name))
            }
            ParamLocation::Body if tool.nest_body_keys => {
                let prefix = format!("{}.", input.name);
                let nested: Vec<usize> = tool
                    .params
                    .iter()
                    .enumerate()
                    .filter(|(_, it)| it.is_in(ParamLocation::Body) && it.name.starts_with(&prefix))
                    .map(|(at, _)| at)
                    .collect();
                used.extend(&nested);
                !nested.is_empty()
            }
            _ => false,
        }
    }

    fn is_of_pages(&self, name: &str) -> bool {
        let Some(pages) = &self.http.pagination else { return false };
        pages.strategy.param() == Some(name) || pages.limit_param.as_deref() == Some(name)
    }

    /// Returns whether the document has the parameter, though `import` could not write it.
    fn is_unsaid(&self, param: &Param) -> bool {
        self.operation.unsaid.iter().any(|(location, name)| {
            param.is_in(*location) && name.eq_ignore_ascii_case(&param.name)
        })
    }

    fn values(&self, input: &OperationInput, param: &Param, found: &mut Vec<ApiDifference>) {
        if input.location != ParamLocation::Path && input.required != param.required {
            // A default is what a call without the parameter sends.
            if !(input.required && param.default.is_some()) {
                self.requiredness(input, param, found);
            }
        }
        if !input.kinds.is_empty() && !is_said(param, input) {
            let theirs: Vec<&str> = input.kinds.iter().map(|kind| text::kind_word(*kind)).collect();
            let own = match param.kind {
                ParamKind::Union(kinds) => kinds.to_string(),
                kind => text::kind_word(kind).to_owned(),
            };
            let message = format!("the API takes {}, the tool {own}", theirs.join(" or "));
            found.push(self.difference(
                DifferenceKind::Type,
                Some(&input.name),
                message,
                &input.place,
            ));
        }
        if let Some(message) = self.enumeration(input, param) {
            found.push(self.difference(
                DifferenceKind::Enum,
                Some(&input.name),
                message,
                &input.place,
            ));
        }
    }

    fn requiredness(&self, input: &OperationInput, param: &Param, found: &mut Vec<ApiDifference>) {
        let word = |required| if required { "required" } else { "optional" };
        let message =
            format!("the API has it {}, the tool {}", word(input.required), word(param.required));
        found.push(self.difference(
            DifferenceKind::Required,
            Some(&input.name),
            message,
            &input.place,
        ));
    }

    /// Compares the values of the document with what a caller can read: the descriptions.
    fn enumeration(&self, input: &OperationInput, param: &Param) -> Option<String> {
        let all_boolean = input.values.iter().all(Value::is_boolean);
        if input.values.is_empty() || (all_boolean && param.kind == ParamKind::Boolean) {
            return None;
        }
        let own = param.description.as_deref().unwrap_or_default();
        if own.contains(&text::shown_values(&input.values))
            || (input.values.len() > text::MAX_VALUES
                && own.contains(&format!("{} values", input.values.len())))
        {
            return None;
        }
        let shown: Vec<String> = input.values.iter().map(text::shown_value).collect();
        let default = param.default.as_deref().map(text::shown_value);
        let is_said = |value: &String| {
            // A description may have another mark where a value was cut.
            let start = value.trim_end_matches('…');
            default.as_ref() == Some(value)
                || mentions(own, start)
                || mentions(&self.tool.description, start)
        };
        let unsaid: Vec<&str> =
            shown.iter().filter(|value| !is_said(value)).map(String::as_str).collect();
        let listed = listed_values(own, &shown);
        let extra: Vec<&str> =
            listed.into_iter().filter(|word| !shown.iter().any(|value| value == word)).collect();
        match (unsaid.is_empty(), extra.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("the descriptions do not name {}", join_names(&unsaid))),
            (true, false) => Some(format!("the API does not take {}", join_names(&extra))),
            (false, false) => Some(format!(
                "the descriptions do not name {}, and the API does not take {}",
                join_names(&unsaid),
                join_names(&extra)
            )),
        }
    }

    fn body(&self, found: &mut Vec<ApiDifference>) {
        let has_body = self.tool.params.iter().any(|param| param.is_in(ParamLocation::Body));
        let theirs = match &self.operation.body {
            BodyEncoding::None => return,
            BodyEncoding::Json(None) => "application/json",
            BodyEncoding::Json(Some(media)) | BodyEncoding::Raw(media) => media.as_str(),
            BodyEncoding::Form => "application/x-www-form-urlencoded",
            BodyEncoding::Multipart => "multipart/form-data",
        };
        let own = match &self.http.body {
            BodyKind::Json if !has_body => return,
            BodyKind::Json => "application/json",
            BodyKind::JsonAs(mime) | BodyKind::Raw(mime) => mime.essence_str(),
            BodyKind::Form => "application/x-www-form-urlencoded",
            BodyKind::Multipart => "multipart/form-data",
        };
        let fits = |media: &str| {
            let media = media_essence(media);
            media == own
                || media == "*/*"
                || (media == "text/json" && own == "application/json")
                || media.strip_suffix("/*").is_some_and(|kind| own.starts_with(kind))
        };
        if fits(theirs) || self.operation.media.iter().any(|media| fits(media)) {
            return;
        }
        let message = format!("the API takes a body in {theirs}, the tool sends {own}");
        found.push(self.difference(DifferenceKind::Body, None, message, &self.operation.place));
    }
}

/// Returns whether the type of a parameter is what the document says: one type is one of several, since
/// a descriptor may have no use for the others, and a list of types has all of them and no more.
fn is_said(param: &Param, input: &OperationInput) -> bool {
    let ParamKind::Union(own) = param.kind else { return input.kinds.contains(&param.kind) };
    let theirs = KindList::of(input.kinds.iter().copied());
    // What is one text on the wire can be given as a list.
    let is_one_text = matches!(param.form.style, ParamStyle::Listed { explode: false, .. })
        && theirs.contains(ParamKind::String);
    let is_same = |theirs: KindList| {
        let (own, theirs) = (numbers(own), numbers(theirs));
        let has = |kinds: &[ParamKind], kind| kinds.contains(&kind);
        own.is_empty() == theirs.is_empty()
            && theirs.iter().all(|kind| has(&own, *kind))
            && own
                .iter()
                .all(|kind| has(&theirs, *kind) || (*kind == ParamKind::Array && is_one_text))
    };
    is_same(theirs) || input.union.is_some_and(is_same)
}

/// Returns the types of a list, without the difference between numbers.
fn numbers(kinds: KindList) -> Vec<ParamKind> {
    let number = |kind| if kind == ParamKind::Integer { ParamKind::Number } else { kind };
    kinds.iter().map(number).collect()
}

/// Returns whether a text has a value as a word of its own.
fn mentions(text: &str, value: &str) -> bool {
    if value.is_empty() {
        return true;
    }
    let is_part = |other: char| other.is_alphanumeric() || other == '_';
    text.match_indices(value).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at + value.len()..).and_then(|tail| tail.chars().next());
        let begins = value.starts_with(is_part);
        let ends = value.ends_with(is_part);
        !(begins && before.is_some_and(is_part) || ends && after.is_some_and(is_part))
    })
}

/// Returns the words of a list of values: behind "One of", or a description that is a list.
fn listed_values<'text>(text: &'text str, values: &[String]) -> Vec<&'text str> {
    let behind = text.find("ne of ").and_then(|at| text.get(at + "ne of ".len()..));
    let list = match behind {
        Some(rest) => rest.split(". ").next().unwrap_or_default(),
        None => text.rsplit_once(": ").map_or(text, |(_, list)| list),
    };
    let words: Vec<&str> = list
        .trim_end_matches('.')
        .split(',')
        .flat_map(|part| part.split(" or "))
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    let is_list = words.len() >= 2 && words.iter().all(|word| !word.contains(' '));
    let known = words.iter().filter(|word| values.iter().any(|value| value == *word)).count();
    if is_list && known * 2 >= words.len() { words } else { Vec::new() }
}

fn join_names(values: &[&str]) -> String {
    let shown: Vec<&str> = values.iter().take(MAX_NAMED).copied().collect();
    let more = values.len() - shown.len();
    let list = shown.join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}
