//! Arguments are checked before anything is sent.
//!
//! The input schema decides what is right. What is wrong is converted where nothing is lost
//! (see `convert`); all that remains is
//! reported at once. Null stands for an absent value, except for a member of a JSON body, where
//! it is a value that APIs use to clear a field, unless the file says which members can be null.

mod aliases;
mod handles;
mod server_check;

use std::{collections::HashSet, sync::Arc};

use dadl_descriptor::model::{
    Param, ParamKind, ParamLocation, ParamRole, ParamStyle, StreamArgument, Tool, ToolRequest,
    ValueRules,
};
use dadl_text::{names::nearest_name, text};
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use self::{aliases::TakenName, handles::FileHandles};
use super::{
    ArgumentError, ArgumentProblem,
    convert::{self, Conversion, WireFormat},
    style,
};
use crate::catalog::{CatalogEntry, CatalogOperation, EntryParam};

/// The longest jq program that a caller may send, in bytes.
const LONGEST_JQ: usize = dadl_descriptor::jq::LONGEST_PROGRAM;

/// So much of a name that was taken for another one is repeated.
const LONGEST_NAME: usize = 60;

/// The checked values of a call, in the order in which the tool declares its parameters.
#[derive(Debug, Clone)]
pub struct CallArguments {
    params: Arc<[EntryParam]>,
    /// One for each parameter, and in the same order.
    values: Vec<Option<Value>>,
    /// What becomes members of a body that may have any.
    others: Map<String, Value>,
    /// Where the caller named files.
    handles: FileHandles,
    /// What the caller called otherwise.
    taken: Vec<TakenName>,
    /// The parameters, by their places, in which the caller named members of the answer.
    naming: Vec<usize>,
}

impl CallArguments {
    /// Takes arguments that fit as they are; all of them are for parameters.
    fn as_given(
        entry: &CatalogEntry,
        mut arguments: Map<String, Value>,
        taken: Vec<TakenName>,
    ) -> Self {
        let (mut handles, others, naming) = (FileHandles::default(), Map::new(), Vec::new());
        let mut values = Vec::with_capacity(entry.params.len());
        for EntryParam { property, param, .. } in entry.params.iter() {
            let given = arguments.remove(property);
            given.iter().for_each(|value| handles.note(values.len(), value));
            values.push(given.or_else(|| param.default.as_deref().cloned()));
        }
        Self { params: Arc::clone(&entry.params), values, others, handles, taken, naming }
    }

    /// Returns the parameters that have a value.
    pub fn iter(&self) -> impl Iterator<Item = (&Param, &Value)> + Clone {
        self.named().map(|(param, value)| (&*param.param, value))
    }

    /// Returns the value of the parameter with this name on the wire.
    pub fn get(&self, wire_name: &str) -> Option<&Value> {
        self.iter().find(|(param, _)| param.name == wire_name).map(|(_, value)| value)
    }

    /// Returns the arguments of another tool of the same file, which has parameters of the same
    /// names: what was given for those, and the defaults of the others.
    pub(crate) fn of(&self, tool: &Tool) -> Self {
        let (params, values) = tool
            .params
            .iter()
            .map(|param| {
                let given = self.get(&param.name).filter(|_| !param.fixed);
                let value = given.or(param.default.as_deref()).cloned();
                let property = param.name.clone();
                (EntryParam { property, param: param.clone(), listed: false }, value)
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let (others, handles, taken, naming) = Default::default();
        Self { params: params.into(), values, others, handles, taken, naming }
    }

    /// Says which names were taken for others, so that the caller knows them.
    pub(crate) fn taken_note(&self) -> Option<String> {
        let mut taken = self.taken.iter();
        let name = |TakenName { given, property }: &TakenName| {
            format!("`{}` was taken as `{property}`", text::start_of(given, LONGEST_NAME))
        };
        let first = name(taken.next()?);
        Some(taken.fold(first, |all, it| format!("{all}, {}", name(it))))
    }

    /// Returns the value of the parameter that the runtime adds for this.
    pub(crate) fn given(&self, role: ParamRole) -> Option<&Value> {
        self.iter().find(|(param, _)| param.role == role).map(|(_, value)| value)
    }

    /// Returns what the caller gave where members of the answer are named (`_dadl_mcp.members`); a default
    /// is nobody's wish.
    pub(crate) fn named_members(&self) -> impl Iterator<Item = &Value> {
        self.naming.iter().filter_map(|at| self.values.get(*at)?.as_ref())
    }

    /// Returns what the caller says about the stream that the tool answers.
    pub(crate) fn stream_argument(&self, argument: StreamArgument) -> Option<&Value> {
        self.given(ParamRole::Stream(argument))
    }

    /// Returns the caller's jq program; one that is blank is none.
    pub(crate) fn jq(&self) -> Option<&str> {
        let program = self.given(ParamRole::Jq)?.as_str()?;
        (!program.trim().is_empty()).then_some(program)
    }

    /// Returns the values by property name: what the caller gave, as it will be sent, and the
    /// defaults. For a person to look at, and for digests.
    pub fn as_object(&self) -> Map<String, Value> {
        let named = self.named().map(|(param, value)| (param.property.clone(), value.clone()));
        named.chain(self.others.clone()).collect()
    }

    /// Returns what a caller would give to make the same call: all but the values that the operator has
    /// fixed.
    pub(crate) fn as_given_by_caller(&self) -> Map<String, Value> {
        let named = self.named().filter(|(param, _)| !param.param.fixed);
        let named = named.map(|(param, value)| (param.property.clone(), value.clone()));
        named.chain(self.others.clone()).collect()
    }

    /// Returns the values by the names on the wire, as a server gets them.
    pub(crate) fn as_wire(&self) -> Map<String, Value> {
        let named = self.iter().map(|(param, value)| (param.name.clone(), value.clone()));
        named.chain(self.others.clone()).collect()
    }

    /// Returns what no parameter is for, and becomes members of a body that may have any.
    pub(crate) fn others(&self) -> &Map<String, Value> {
        &self.others
    }

    /// Puts `value` in the place of the parameter with this name on the wire; returns whether
    /// there is such a parameter.
    pub(crate) fn set(&mut self, wire_name: &str, value: Value) -> bool {
        let at = self.params.iter().position(|param| param.param.name == wire_name);
        match at.and_then(|at| self.values.get_mut(at)) {
            Some(place) => {
                *place = Some(value);
                true
            }
            None => false,
        }
    }

    /// Returns the parameters that have a value, with their property names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&EntryParam, &Value)> + Clone {
        self.params
            .iter()
            .zip(&self.values)
            .filter_map(|(param, value)| Some((param, value.as_ref()?)))
    }
}

/// Checks the arguments of a call of `entry`, converts them and fills in the defaults.
pub fn check_arguments(
    entry: &CatalogEntry,
    mut arguments: Map<String, Value>,
) -> Result<CallArguments, ArgumentError> {
    let taken = aliases::settle_names(entry, &mut arguments);
    let fixed = take_fixed(entry, &mut arguments);
    if fixed.is_empty() && server_check::takes(entry, &arguments) {
        return Ok(CallArguments::as_given(entry, arguments, taken));
    }
    let (arguments, nulls) = set_nulls_aside(entry, arguments);
    let arguments = Value::Object(arguments);
    let faults = SchemaFaults::find(entry, &arguments);
    let Value::Object(mut arguments) = arguments else { unreachable!("built as an object above") };

    let (others, mut problems) = other_arguments(entry, faults.unknown, &mut arguments);
    problems.extend(fixed);
    problems.extend(faults.unfit);
    let beside = WholeParams::of(entry, &arguments, &nulls, !others.is_empty());
    problems.extend(beside.around_fixed(entry));
    let mut values = Vec::with_capacity(entry.params.len());
    let mut naming = Vec::new();
    let mut handles = FileHandles::default();
    handles.note_others(&others);
    for EntryParam { property, param, .. } in entry.params.iter() {
        let given = match arguments.remove(property) {
            Some(value)
                if faults.mistyped.contains(property) || convert::needs_look(param, &value) =>
            {
                match converted(entry, property, param, value) {
                    Ok(value) => value,
                    Err(problem) => {
                        problems.push(problem);
                        values.push(None);
                        continue;
                    }
                }
            }
            Some(value) => Some(value),
            None if nulls.contains(property) => Some(Value::Null),
            None => None,
        };
        if given.is_some() && param.rules.as_ref().is_some_and(|rules| rules.names_members) {
            naming.push(values.len());
        }
        let is_covered = beside.covers(param);
        let value = match given {
            Some(_) if is_covered && param.form.whole.is_none() => {
                problems.push(beside.either(property));
                None
            }
            Some(value) => {
                handles.note(values.len(), &value);
                Some(value)
            }
            None if is_covered => None,
            None if param.required => {
                let name = property.clone();
                problems.push(ArgumentProblem::Missing { name, kind: param.kind });
                None
            }
            None => param.default.as_deref().cloned(),
        };
        let value = value.filter(|value| !param.omit_false || *value != Value::Bool(false));
        problems.extend(value.as_ref().and_then(|value| misplaced_problem(property, param, value)));
        if let (Some(rules), Some(Value::String(text))) = (&param.rules, &value) {
            problems.extend(violated_rule(property, rules, text));
        }
        values.push(value);
    }
    if let (Some(name), true) = (others.keys().next(), beside.body_is_given()) {
        problems.push(beside.either(name));
    }
    let params = Arc::clone(&entry.params);
    let checked = CallArguments { params, values, others, handles, taken, naming };
    if problems.is_empty() {
        problems = server_check::problems(entry, &checked);
    }
    if problems.is_empty() { Ok(checked) } else { Err(ArgumentError::new(entry, problems)) }
}

/// Takes out the arguments whose values the operator has fixed, and says so of each.
fn take_fixed(entry: &CatalogEntry, arguments: &mut Map<String, Value>) -> Vec<ArgumentProblem> {
    let mut problems = Vec::new();
    for EntryParam { property, param, .. } in entry.fixed_params() {
        for name in [property, &param.name] {
            if arguments.remove(name).is_some() {
                let reason = "is fixed by the operator (`hidden` in `overrides`): leave it out";
                problems.push(ArgumentProblem::value(name, reason));
            }
        }
    }
    problems
}

/// Converts a value that is not of the type of its parameter; `None` is as if it were not given.
fn converted(
    entry: &CatalogEntry,
    property: &str,
    param: &Param,
    value: Value,
) -> Result<Option<Value>, ArgumentProblem> {
    match convert::fit_value(param, WireFormat::of(param, entry.operation()), value) {
        Conversion::Value(value) => Ok(Some(value)),
        Conversion::Absent => Ok(None),
        Conversion::Wrong(value) => Err(ArgumentProblem::wrong_type(property, param, &value)),
        Conversion::Refused(reason) => Err(ArgumentProblem::value(property, reason)),
    }
}

/// Takes what no parameter is for out of the arguments, where the body may have any members;
/// reports the rest. What is nearly the name of a parameter that is missing is a mistake.
fn other_arguments(
    entry: &CatalogEntry,
    unknown: Vec<String>,
    arguments: &mut Map<String, Value>,
) -> (Map<String, Value>, Vec<ArgumentProblem>) {
    let is_open = entry.is_open();
    let (mut others, mut problems) = (Map::new(), Vec::new());
    for name in unknown {
        let nearest = entry.nearest_property(&name).map(str::to_owned);
        let is_mistake = nearest.as_ref().is_some_and(|nearest| {
            let param = entry.params.iter().find(|param| param.property == *nearest);
            let is_missing =
                param.is_some_and(|it| it.param.required) && !arguments.contains_key(nearest);
            // Most servers say nothing of other names, and take none.
            is_missing
                || entry.server_tool().is_some()
                || param.is_some_and(|it| it.param.name == name)
        });
        let is_name = !name.is_empty() && !name.contains(char::is_control);
        match arguments.remove(&name) {
            Some(value) if is_open && is_name && !is_mistake => {
                others.insert(name, value);
            }
            _ => problems.push(ArgumentProblem::Unknown { nearest, name }),
        }
    }
    (others, problems)
}

/// Parameters that are all of the body or of the query, beside others that are its members: a
/// caller gives one or the others.
#[derive(Default)]
struct WholeParams {
    /// The properties of wholes that are given.
    given: Vec<(ParamLocation, String)>,
    /// Of what members are given.
    has_members: Vec<ParamLocation>,
}

impl WholeParams {
    fn of(
        entry: &CatalogEntry,
        arguments: &Map<String, Value>,
        nulls: &HashSet<String>,
        has_others: bool,
    ) -> Self {
        let mut beside = Self::default();
        if entry.params.iter().all(|it| it.param.form.whole.is_none()) {
            return beside;
        }
        for EntryParam { property, param, .. } in entry.params.iter() {
            let Some(location) = param.location() else { continue };
            if !arguments.contains_key(property) && !nulls.contains(property) {
                continue;
            }
            if param.form.whole.is_some() {
                beside.given.push((location, property.clone()));
            } else {
                beside.has_members.push(location);
            }
        }
        if has_others {
            beside.has_members.push(ParamLocation::Body);
        }
        beside
    }

    /// Returns whether a parameter need not be given, because the whole is or its members are.
    fn covers(&self, param: &Param) -> bool {
        let Some(location) = param.location() else { return false };
        if param.form.whole.is_some() {
            self.has_members.contains(&location)
        } else {
            self.given.iter().any(|(other, _)| *other == location)
        }
    }

    fn body_is_given(&self) -> bool {
        self.given.iter().any(|(location, _)| *location == ParamLocation::Body)
    }

    /// Refuses what would take the place of values that the operator has fixed.
    fn around_fixed(&self, entry: &CatalogEntry) -> Vec<ArgumentProblem> {
        let covered = entry.fixed_params().filter(|known| self.covers(&known.param));
        let problem = |EntryParam { property, .. }: &EntryParam| {
            let reason = "is fixed by the operator (`hidden` in `overrides`): leave out what has it as \
                          a part, or is a part of it";
            ArgumentProblem::value(property, reason)
        };
        covered.map(problem).collect()
    }

    fn either(&self, property: &str) -> ArgumentProblem {
        let whole = self.given.iter().map(|(_, whole)| whole.as_str()).collect::<Vec<_>>();
        let reason = format!("cannot be given beside `{}`, which is all of it", whole.join("`, `"));
        ArgumentProblem::value(property, reason)
    }
}

/// Removes nulls of known parameters; returns the properties whose null is a value.
fn set_nulls_aside(
    entry: &CatalogEntry,
    mut arguments: Map<String, Value>,
) -> (Map<String, Value>, HashSet<String>) {
    let mut kept = HashSet::new();
    if !arguments.values().any(Value::is_null) {
        return (arguments, kept);
    }
    arguments.retain(|name, value| {
        let param = value.is_null().then(|| entry.param(name)).flatten();
        let Some(param) = param else { return true };
        if takes_null(param, entry.operation()) {
            kept.insert(name.clone());
        }
        false
    });
    (arguments, kept)
}

/// Returns whether null is a value of a parameter.
fn takes_null(param: &Param, operation: CatalogOperation<'_>) -> bool {
    let is_any = matches!(param.kind, ParamKind::Union(kinds) if kinds.is_any());
    let is_member = param.form.whole.is_none();
    let is_declared = param.form.nullable || (is_any && (is_member || param.required));
    match param.role {
        ParamRole::Sent(ParamLocation::Body) => {
            match operation {
                CatalogOperation::Tool(Tool {
                    request: ToolRequest::Http(http),
                    nulls_declared,
                    ..
                }) if http.body.is_json() => {
                    let is_usual = !nulls_declared
                        && !param.required
                        && param.form.whole.is_none()
                        && param.kind != ParamKind::FileUrl;
                    is_declared || is_usual
                }
                // A server that checks the parameters of a JSON-RPC method refuses null for what was
                // left out.
                CatalogOperation::Tool(Tool { request: ToolRequest::Rpc(_), .. }) => {
                    param.form.nullable
                }
                CatalogOperation::Tool(_) | CatalogOperation::Composite(_) => false,
                CatalogOperation::Server(_) => is_declared,
            }
        }
        // A script tells null from absence, and hands it on.
        ParamRole::Script => is_declared || !param.required,
        ParamRole::Sent(_) | ParamRole::Jq | ParamRole::Stream(_) | ParamRole::Wait => false,
    }
}

/// What the schema finds, apart from what is missing.
#[derive(Default)]
struct SchemaFaults {
    /// The names that no parameter has.
    unknown: Vec<String>,
    /// What the API certainly refuses.
    unfit: Vec<ArgumentProblem>,
    /// The properties whose values are of another type.
    mistyped: HashSet<String>,
}

impl SchemaFaults {
    fn find(entry: &CatalogEntry, arguments: &Value) -> Self {
        let validator = entry.validator();
        let mut faults = Self::default();
        // `is_valid` is many times faster, and most calls are right.
        if validator.is_valid(arguments) {
            return faults;
        }
        for error in validator.iter_errors(arguments) {
            match error.kind() {
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    faults.unknown.extend(unexpected.iter().cloned());
                }
                // Found again in the order of the parameters, with what they must be.
                ValidationErrorKind::Required { .. } => {}
                // Property names hold neither `/` nor `~`, so that the pointer is the name.
                kind => {
                    let pointer = error.instance_path().as_str();
                    let property = pointer.trim_start_matches('/');
                    let is_enforced = entry.param(property).is_some_and(|param| param.enforced);
                    if let Some(reason) = is_enforced.then(|| unfit_reason(kind)).flatten() {
                        faults.unfit.push(ArgumentProblem::value(property, reason));
                    } else {
                        faults.mistyped.insert(property.to_owned());
                    }
                }
            }
        }
        faults
    }
}

/// Says what is wrong with a value of the right type; `None` when its type is wrong.
fn unfit_reason(kind: &ValidationErrorKind) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Pattern { pattern } => format!("does not fit the pattern {pattern}"),
        ValidationErrorKind::MaxLength { limit } => format!("is longer than {limit} characters"),
        ValidationErrorKind::MinLength { limit } => format!("is shorter than {limit} characters"),
        ValidationErrorKind::Maximum { limit } => format!("is more than {limit}"),
        ValidationErrorKind::Minimum { limit } => format!("is less than {limit}"),
        ValidationErrorKind::Enum { options } => format!("is none of {options}"),
        _ => return None,
    })
}

/// Reports a value that can never go where its parameter puts it.
fn misplaced_problem(property: &str, param: &Param, value: &Value) -> Option<ArgumentProblem> {
    let place = match param.role {
        ParamRole::Sent(ParamLocation::Cookie) => "a cookie",
        ParamRole::Sent(ParamLocation::Header) => "a header field",
        ParamRole::Sent(ParamLocation::Path) => "a path",
        ParamRole::Sent(ParamLocation::Body | ParamLocation::Query) => {
            return not_json(property, param, value);
        }
        ParamRole::Script => return None,
        ParamRole::Jq => return not_jq(property, value),
        ParamRole::Stream(argument) => return not_stream(property, argument, value),
        ParamRole::Wait => return not_wait(property, value),
    };
    let is_written = match param.form.style {
        ParamStyle::Listed { .. } => true,
        ParamStyle::Segments => value.is_array(),
        ParamStyle::Json | ParamStyle::Usual => false,
    };
    let reason = match value {
        _ if param.form.style == ParamStyle::Json => return not_json(property, param, value),
        Value::Array(_) | Value::Object(_) if is_written && !has_controls(value) => return None,
        Value::Array(_) | Value::Object(_) if is_written => {
            format!("has control characters, which {place} must not have")
        }
        Value::Object(_) => format!("is an object and cannot be part of {place}"),
        Value::Array(_) if param.is_in(ParamLocation::Path) => {
            format!("is an array and cannot be part of {place}")
        }
        Value::String(text) if text.contains(char::is_control) => {
            format!("has control characters, which {place} must not have")
        }
        Value::String(text) if text.is_empty() && param.is_in(ParamLocation::Path) => {
            "must not be empty: it is part of the path".to_owned()
        }
        _ => return None,
    };
    Some(ArgumentProblem::value(property, reason))
}

/// Reports text that is no JSON where a parameter takes nothing else.
fn not_json(property: &str, param: &Param, value: &Value) -> Option<ArgumentProblem> {
    let is_json = param.form.style != ParamStyle::Json || style::json_text(param, value).is_some();
    (!is_json).then(|| ArgumentProblem::value(property, "is no JSON"))
}

/// Returns whether any text of a value has control characters.
fn has_controls(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(char::is_control),
        Value::Array(items) => items.iter().any(has_controls),
        Value::Object(members) => members
            .iter()
            .any(|(name, member)| name.contains(char::is_control) || has_controls(member)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Reports a text that the API would refuse, or take for something else.
fn violated_rule(property: &str, rules: &ValueRules, text: &str) -> Option<ArgumentProblem> {
    if let Some(misuse) = rules.language.as_ref().and_then(|language| language.misuse(text)) {
        return Some(ArgumentProblem::value(property, misuse.to_string()));
    }
    let choices = &rules.choices;
    if choices.is_empty() || choices.iter().any(|choice| choice == text) {
        return None;
    }
    let words = || choices.iter().map(String::as_str);
    let lower = text.to_ascii_lowercase();
    let same = words().find(|word| word.eq_ignore_ascii_case(&lower));
    Some(ArgumentProblem::Choice {
        name: property.to_owned(),
        meant: same.or_else(|| nearest_name(text, words())).map(str::to_owned),
        choices: Arc::clone(choices),
    })
}

/// Reports a value that says nothing about a stream.
fn not_stream(property: &str, argument: StreamArgument, value: &Value) -> Option<ArgumentProblem> {
    let (fits, reason) = match argument {
        StreamArgument::Duration => {
            (value.as_f64().is_some_and(|number| number > 0.0), "must be more than 0")
        }
        StreamArgument::MaxItems => {
            (value.as_u64().is_some_and(|number| number > 0), "must be at least 1")
        }
        StreamArgument::Open => return None,
        StreamArgument::Subscribe => {
            let items = value.as_array()?;
            let fits = !items.is_empty() && items.iter().all(Value::is_string);
            (fits, "must be names of collections")
        }
    };
    (!fits).then(|| ArgumentProblem::value(property, reason.to_owned()))
}

/// Reports a jq program that is too long; what is wrong with another one is found where it runs.
fn not_jq(property: &str, value: &Value) -> Option<ArgumentProblem> {
    let reason = || format!("is longer than {LONGEST_JQ} bytes");
    let is_long = value.as_str().is_some_and(|text| text.len() > LONGEST_JQ);
    is_long.then(|| ArgumentProblem::value(property, reason()))
}

/// Reports a wait that is none.
fn not_wait(property: &str, value: &Value) -> Option<ArgumentProblem> {
    let is_wait = value.as_u64().is_some();
    (!is_wait).then(|| ArgumentProblem::value(property, "cannot be negative"))
}

#[cfg(test)]
mod tests;
