//! What is said about requests becomes part of a tool.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
};

use dadl_text::names::param as names;
use serde_json::{Map, Value as Json};

use super::read::{BodySaid, KindSaid, ParamSaid, PlaceSaid, ToolRules};
use crate::{
    code,
    lower::{context::LowerContext, named, params::header_name, values},
    model::{
        AuthScheme, BodyKind, KindList, ListDelimiter, Param, ParamKind, ParamLocation, ParamRole,
        ParamStyle, Shared, StylePrefix, Tool, WholePart,
    },
};

/// A tool that something is said of.
pub(super) struct TargetTool<'a> {
    pub(super) tool: &'a mut Tool,
    pub(super) auth: &'a AuthScheme,
    /// Other ways to authenticate.
    pub(super) logins: &'a BTreeMap<String, AuthScheme>,
    /// Where the tool is named; `None` where what does not fit is passed over.
    pub(super) name: Option<&'a Range<usize>>,
}

/// Of how many tools something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaidScope {
    /// Of one tool, by its name: what does not fit is a mistake.
    OneTool,
    /// Of all tools: what does not fit is passed over.
    AllTools,
}

impl SaidScope {
    fn is_strict(self) -> bool {
        self == Self::OneTool
    }
}

impl TargetTool<'_> {
    fn scope(&self) -> SaidScope {
        match self.name {
            Some(_) => SaidScope::OneTool,
            None => SaidScope::AllTools,
        }
    }

    /// Says of the tool what `rules` say; `used` learns which of the parameters it has.
    pub(super) fn apply_rules(
        &mut self,
        rules: &ToolRules<'_>,
        used: &mut [bool],
        context: &mut LowerContext<'_>,
    ) {
        self.tool.nulls_declared = rules.nulls_declared.unwrap_or(self.tool.nulls_declared);
        if let Some(accept) = &rules.accept {
            match self.tool.http_mut() {
                Some(http) => http.accept = Some(Box::new(accept.clone())),
                None => self.refuse_rpc("accept", context),
            }
        }
        if let Some(body) = &rules.body {
            self.apply_body(body, context);
        }
        for (said, used) in rules.params.iter().zip(used) {
            *used |= self.apply_param(said, context);
        }
        self.one_query(rules, context);
    }

    fn refuse_rpc(&self, key: &str, context: &mut LowerContext<'_>) {
        if let Some(span) = self.name {
            let message = format!("`{key}` has no meaning in a JSON-RPC request");
            context.error(code::REQUEST_FORM, span, message);
        }
    }

    fn apply_body(&mut self, said: &BodySaid, context: &mut LowerContext<'_>) {
        let scope = self.scope();
        let Some(http) = self.tool.http_mut() else {
            self.refuse_rpc("body", context);
            return;
        };
        let is_raw = matches!(http.body, BodyKind::Raw(_));
        let has_members = !is_raw || http.body.is_json();
        for (key, value, fits, help) in [
            ("open", said.open, has_members, "a body of this type has no members"),
            ("required", said.required, has_members, "write `required: true` for its parameter"),
            ("file", said.file, is_raw, "it is for a parameter that is the whole body"),
        ] {
            if value.is_none() || fits {
                continue;
            }
            if scope.is_strict() {
                let message = format!("`{key}` cannot be said of this body");
                context.error(code::REQUEST_FORM, &said.span, message).help(help);
            }
        }
        let rules = &mut http.rules;
        if has_members {
            rules.open = said.open.unwrap_or(rules.open);
            rules.required = said.required.unwrap_or(rules.required);
        }
        if is_raw {
            rules.only_file = said.file.unwrap_or(rules.only_file);
            let only_file = rules.only_file;
            let in_body =
                |param: &&mut Shared<Param>| only_file && param.is_in(ParamLocation::Body);
            for param in self.tool.params.iter_mut().filter(in_body) {
                param.kind = ParamKind::FileUrl;
                param.form.whole = Some(WholePart::Bytes);
            }
        }
    }

    /// Says something of a parameter; returns whether the tool has it now.
    fn apply_param(&mut self, said: &ParamSaid<'_>, context: &mut LowerContext<'_>) -> bool {
        let scope = self.scope();
        if let (None, Some(wire)) = (said.place, &said.wire) {
            let message = format!("`name` of `{}` has no `in`", said.name);
            context
                .error(code::REQUEST_FORM, &wire.span, message)
                .help("a parameter below `params` of a tool is called as it is on the wire");
            return true;
        }
        let known = self.tool.params.iter().position(|param| param.name == said.name);
        let at = match (said.place, known) {
            (None, Some(at)) => at,
            (None, None) => {
                if scope.is_strict() {
                    unknown_param(said, &self.tool.name, &self.tool.params, context);
                }
                return false;
            }
            (Some(_), Some(_)) => {
                if scope.is_strict() {
                    let message = format!("`{}` has a place below `tools` already", said.name);
                    context
                        .error(code::REQUEST_FORM, &said.span, message)
                        .help("remove `in`, or give one of the two another name");
                }
                return scope.is_strict();
            }
            (Some(place), None) => {
                let Some(param) = self.make_param(said, place, context) else {
                    return scope.is_strict();
                };
                self.tool.params.push(param.into());
                self.tool.params.len() - 1
            }
        };
        let body = self.tool.body().cloned();
        let Some(param) = self.tool.params.get_mut(at) else { return false };
        if !apply_style(param, said, body.as_ref(), scope, context) {
            return scope.is_strict();
        }
        if said.place.is_none() {
            kind_of(param, said, body.as_ref(), scope, context);
        }
        apply_whole(param, said, body.as_ref(), scope, context);
        if param.is_in(ParamLocation::Query)
            && (param.form.spreads() || param.form.whole == Some(WholePart::Query))
        {
            let auths = std::iter::once(self.auth).chain(self.logins.values());
            param.form.not = auths.flat_map(AuthScheme::query_names).map(str::to_owned).collect();
        }
        apply_hints(param, said, &mut self.tool.value_hints, scope, context);
        true
    }

    /// Makes a parameter that only this program has.
    fn make_param(
        &self,
        said: &ParamSaid<'_>,
        place: PlaceSaid,
        context: &mut LowerContext<'_>,
    ) -> Option<Param> {
        let name = said.wire.as_ref().map_or(said.name, |text| text.value);
        if self.tool.http().is_none() {
            self.refuse_rpc("in", context);
            return None;
        }
        let location = match place {
            PlaceSaid::Body => ParamLocation::Body,
            PlaceSaid::Cookie => ParamLocation::Cookie,
            PlaceSaid::Header => ParamLocation::Header,
            PlaceSaid::Query | PlaceSaid::Querystring => ParamLocation::Query,
        };
        let credential = |auth: &AuthScheme| auth.uses_cookie(name);
        let problem = if place != PlaceSaid::Cookie {
            self.wire_problem(said, place, location)
        } else if !is_token(name) {
            Some(format!("`{name}` is no name of a cookie"))
        } else if credential(self.auth) || self.logins.values().any(credential) {
            Some(format!("the cookie `{name}` carries the credential"))
        } else {
            None
        };
        if let Some(problem) = problem {
            context.error(code::REQUEST_FORM, &said.span, problem);
            return None;
        }
        let kind = match &said.kind {
            Some((KindSaid::One(kind), _)) if *kind != ParamKind::FileUrl => *kind,
            Some((_, span)) => {
                let message = format!("`{}` cannot be a file", said.name);
                context.error(code::REQUEST_TYPE, span, message);
                return None;
            }
            None => {
                let message = format!("the parameter `{}` has no `type`", said.name);
                context.error(code::MISSING_KEY, &said.span, message);
                return None;
            }
        };
        let mut param = Param::new(said.name, ParamRole::Sent(location), kind);
        param.form.name = said.wire.as_ref().map(|text| text.value.to_owned());
        param.required = said.required.unwrap_or_default();
        param.description.clone_from(&said.description);
        param.default = said.default.clone().filter(|default| !default.is_null()).map(Box::new);
        if place == PlaceSaid::Querystring {
            param.form.whole = Some(WholePart::Query);
        }
        refuse_default(&param, said, context);
        Some(param)
    }

    /// Returns why a request cannot have a parameter that is called otherwise on the wire.
    fn wire_problem(
        &self,
        said: &ParamSaid<'_>,
        place: PlaceSaid,
        location: ParamLocation,
    ) -> Option<String> {
        let Some(wire) = said.wire.as_ref().map(|text| text.value) else {
            return (place != PlaceSaid::Querystring)
                .then(|| format!("`{}` belongs below `params` of the tool", said.name));
        };
        if place == PlaceSaid::Querystring {
            return Some(format!("`{}` is the whole query, which has no name", said.name));
        }
        let is_usable = match location {
            ParamLocation::Header => names::is_usable(wire),
            _ => names::is_usable_with_blanks(wire),
        };
        if !is_usable {
            return Some(format!("`{wire}` is no name of a parameter"));
        }
        let is_same = |param: &Param| match location {
            ParamLocation::Header => param.wire().eq_ignore_ascii_case(wire),
            _ => param.wire() == wire,
        };
        let params = &self.tool.params;
        if params.iter().any(|param| param.is_in(location) && is_same(param)) {
            return Some(format!("`{wire}` is in the {} already", location.as_str()));
        }
        if params.iter().all(|param| param.name != wire) {
            return Some(format!("no other parameter is called `{wire}`: write it below `params`"));
        }
        if location == ParamLocation::Query
            && std::iter::once(self.auth).chain(self.logins.values()).any(|it| it.uses_query(wire))
        {
            return Some(format!("`{wire}` of the query carries the credential"));
        }
        if location != ParamLocation::Header {
            return None;
        }
        let auths = std::iter::once(self.auth).chain(self.logins.values());
        auths
            .map(|auth| header_name(wire, Some(auth)))
            .find_map(|known| known.err())
            .map(|it| it.to_string())
    }

    /// Reports a second parameter that is the whole query.
    fn one_query(&self, rules: &ToolRules<'_>, context: &mut LowerContext<'_>) {
        let whole = |param: &&Shared<Param>| param.form.whole == Some(WholePart::Query);
        let mut all = self.tool.params.iter().filter(whole);
        let (Some(first), Some(second)) = (all.next(), all.next()) else { return };
        if let Some(said) = rules.params.iter().find(|said| said.name == second.name) {
            let message = format!("`{}` is the whole query already", first.name);
            context.error(code::REQUEST_FORM, &said.span, message);
        }
    }
}

/// Reports a name that the tool has no parameter of.
pub(super) fn unknown_param(
    said: &ParamSaid<'_>,
    tool: &str,
    params: &[Shared<Param>],
    context: &mut LowerContext<'_>,
) {
    let meant = context.nearest(said.name, params.iter().map(|param| param.name.as_str()));
    let message = format!("`{tool}` has no parameter `{}`", said.name);
    context.warning(code::REQUEST_NAME, &said.span, message).meant_or(meant, || {
        "a parameter that only this program has says `in: cookie` or `in: querystring`".to_owned()
    });
}

/// Gives a parameter the type that is said, where it has no place in a request.
pub(super) fn apply_kind(
    param: &mut Param,
    said: &ParamSaid<'_>,
    scope: SaidScope,
    context: &mut LowerContext<'_>,
) {
    kind_of(param, said, None, scope, context);
}

/// Gives a parameter the type that is said.
fn kind_of(
    param: &mut Param,
    said: &ParamSaid<'_>,
    body: Option<&BodyKind>,
    scope: SaidScope,
    context: &mut LowerContext<'_>,
) {
    param.form.nullable = said.nullable.unwrap_or(param.form.nullable);
    let Some((kind, span)) = &said.kind else {
        // What a caller gives to a list in one text may be either.
        if param.kind == ParamKind::String && param.form.style.is_listed() {
            param.kind = ParamKind::Union(KindList::of([ParamKind::Array, ParamKind::String]));
        }
        return;
    };
    let is_json =
        param.form.whole == Some(WholePart::Json) && matches!(body, Some(BodyKind::Raw(_)));
    let is_file = param.kind == ParamKind::FileUrl;
    let problem = match kind {
        // Any JSON may be given inline: what is said is what it should be.
        KindSaid::One(ParamKind::FileUrl) if is_json => None,
        KindSaid::One(kind) if is_json => {
            param.kind = ParamKind::Union(KindList::of([*kind]));
            None
        }
        KindSaid::Files if is_file && body == Some(&BodyKind::Multipart) => {
            param.form.several = true;
            None
        }
        KindSaid::Files => Some("several files go into a field of a multipart body"),
        KindSaid::One(ParamKind::FileUrl) if is_file => None,
        KindSaid::One(ParamKind::FileUrl) => Some("a file is one below `tools` as well"),
        KindSaid::One(ParamKind::String) if param.kind == ParamKind::String => None,
        KindSaid::One(_) if is_file || param.form.whole == Some(WholePart::Text) => {
            Some("a file that is no JSON body has no other type")
        }
        KindSaid::One(kind) => {
            param.kind = *kind;
            None
        }
    };
    match problem {
        Some(problem) if scope.is_strict() => {
            let message = format!("`{}` cannot have this type: {problem}", said.name);
            context.error(code::REQUEST_TYPE, span, message);
        }
        Some(_) => {}
        None => refuse_default(param, said, context),
    }
}

/// Reports a default that is of none of the types.
fn refuse_default(param: &Param, said: &ParamSaid<'_>, context: &mut LowerContext<'_>) {
    let is_wrong = param.default.as_ref().is_some_and(|default| {
        !(named::value_fits(param, default) || param.form.style.is_listed() && default.is_string())
    });
    if is_wrong {
        let message = format!("the default of `{}` is of none of these types", said.name);
        context.error(code::REQUEST_TYPE, &said.span, message);
    }
}

/// Says how a parameter is written; returns whether it fits.
fn apply_style(
    param: &mut Param,
    said: &ParamSaid<'_>,
    body: Option<&BodyKind>,
    scope: SaidScope,
    context: &mut LowerContext<'_>,
) -> bool {
    let mut refuse = |code, span: &Range<usize>, message: String, help: &str| {
        if scope.is_strict() {
            context.error(code, span, message).help(help);
        }
        false
    };
    let location = param.location();
    let is_members = matches!(body, Some(BodyKind::Form | BodyKind::Multipart));
    match (&said.style, said.explode) {
        (Some(word), explode) => match find_style(word.value, explode, location, is_members) {
            Ok(style) => param.form.style = style,
            Err(help) => {
                let message = format!("`{}` cannot be written as `{}`", said.name, word.value);
                return refuse(code::REQUEST_STYLE, &word.span, message, help);
            }
        },
        (None, Some(_)) => {
            let message = format!("`explode` of `{}` has no `style`", said.name);
            return refuse(code::REQUEST_STYLE, &said.span, message, "write `style` as well");
        }
        (None, None) => {}
    }
    if let Some(allow) = said.allow_reserved {
        let is_field = location == Some(ParamLocation::Body) && body == Some(&BodyKind::Form);
        if location != Some(ParamLocation::Query) && !is_field {
            let message = format!("`{}` is neither in the query nor in a form", said.name);
            let help = "`allow_reserved` is about queries and forms";
            return refuse(code::REQUEST_STYLE, &said.span, message, help);
        }
        param.form.allow_reserved = allow;
    }
    if let Some(mime) = &said.content_type {
        if location != Some(ParamLocation::Body) || body != Some(&BodyKind::Multipart) {
            let message = format!("`{}` is no field of a multipart body", said.name);
            let help = "`content_type` of a parameter is that of its field";
            return refuse(code::REQUEST_FORM, &said.span, message, help);
        }
        param.form.content_type = Some(mime.clone());
    }
    true
}

/// Returns the style of this name in a part of a request; else why there is none.
fn find_style(
    word: &str,
    explode: Option<bool>,
    location: Option<ParamLocation>,
    has_fields: bool,
) -> Result<ParamStyle, &'static str> {
    let is = |wanted| location == Some(wanted);
    let is_pairs = is(ParamLocation::Query) || (is(ParamLocation::Body) && has_fields);
    // As OpenAPI has it where nothing is said.
    let is_exploded = explode.unwrap_or(word == "form");
    let listed = |lead, between| ParamStyle::Listed { lead, between, explode: is_exploded };
    let comma = |lead| listed(lead, ListDelimiter::Comma);
    let (style, fits, help) = match word {
        "simple" => (
            comma(StylePrefix::None),
            is(ParamLocation::Path) || is(ParamLocation::Header) || is(ParamLocation::Cookie),
            "`simple` is for paths, headers and cookies",
        ),
        "label" => (comma(StylePrefix::Dot), is(ParamLocation::Path), "`label` is for paths"),
        "matrix" => {
            (comma(StylePrefix::Semicolon), is(ParamLocation::Path), "`matrix` is for paths")
        }
        "form" => (
            comma(StylePrefix::None),
            is_pairs || is(ParamLocation::Cookie),
            "`form` is for queries, forms and cookies",
        ),
        "spaceDelimited" => (
            listed(StylePrefix::None, ListDelimiter::Space),
            is_pairs,
            "`spaceDelimited` is for queries and forms",
        ),
        "tabDelimited" => (
            listed(StylePrefix::None, ListDelimiter::Tab),
            is_pairs,
            "`tabDelimited` is for queries and forms",
        ),
        "pipeDelimited" => (
            listed(StylePrefix::None, ListDelimiter::Pipe),
            is_pairs,
            "`pipeDelimited` is for queries and forms",
        ),
        "deepObject" => (ParamStyle::Usual, is_pairs, "`deepObject` is for queries and forms"),
        "json" => (
            ParamStyle::Json,
            location.is_some() && (!is(ParamLocation::Body) || has_fields),
            "in a JSON body everything is JSON already",
        ),
        "segments" => (ParamStyle::Segments, is(ParamLocation::Path), "`segments` is for paths"),
        _ => {
            return Err("the styles are simple, label, matrix, form, spaceDelimited, \
                        tabDelimited, pipeDelimited, deepObject, json and segments");
        }
    };
    if explode.is_some() && !style.is_listed() && word != "deepObject" {
        return Err("`explode` is about styles of lists");
    }
    if fits { Ok(style) } else { Err(help) }
}

/// Makes a parameter all of the body beside others.
fn apply_whole(
    param: &mut Param,
    said: &ParamSaid<'_>,
    body: Option<&BodyKind>,
    scope: SaidScope,
    context: &mut LowerContext<'_>,
) {
    if said.whole != Some(true) {
        return;
    }
    if body.is_some_and(BodyKind::is_json) && param.is_in(ParamLocation::Body) {
        param.form.whole = Some(WholePart::Json);
        if said.kind.is_none() {
            param.kind = ParamKind::Union(KindList::any());
        }
    } else if scope.is_strict() {
        let message = format!("`{}` cannot be the whole body", said.name);
        context
            .error(code::REQUEST_FORM, &said.span, message)
            .help("`whole` is for a parameter of a JSON body");
    }
}

/// Adds what is known about the values of a parameter.
pub(super) fn apply_hints(
    param: &Param,
    said: &ParamSaid<'_>,
    hints: &mut BTreeMap<String, Map<String, Json>>,
    scope: SaidScope,
    context: &mut LowerContext<'_>,
) {
    let mut wrong = HashSet::new();
    for (keyword, value) in &said.keywords {
        if values::value_fits(keyword, value, param.kind) {
            let hints = hints.entry(param.name.clone()).or_default();
            hints.insert(keyword.clone(), value.clone());
        } else {
            wrong.insert(keyword);
        }
    }
    if !scope.is_strict() {
        return;
    }
    for keyword in said.keywords.keys().filter(|keyword| wrong.contains(keyword)) {
        let message = format!("`{keyword}` does not fit the type of `{}`", param.name);
        context
            .warning(code::VALUE_SCHEMA, &said.span, message)
            .help(format!("it is for {}", values::fits_what(keyword)));
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
