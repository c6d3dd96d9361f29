//! Bounds a list, and says how to get the rest.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use url::Url;

use crate::{
    call::Arguments,
    catalog::Entry,
    descriptor::model::{PageStrategy, Pagination},
};

/// Cuts an array to `max_items`; returns the sentence that says so.
pub(crate) fn cut(value: &mut Value, max_items: Option<usize>) -> Option<String> {
    let items = value.as_array_mut()?;
    let most = max_items.filter(|most| items.len() > *most)?;
    let total = items.len();
    items.truncate(most);
    Some(format!("cut to the first {most} of {total} items; narrow the call to see the others"))
}

/// What an answer says about the page after it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct NextPage {
    /// Arguments that bring it, when they are known.
    pub(crate) arguments: Option<Map<String, Value>>,
    /// A sentence for the caller.
    pub(crate) note: Option<String>,
}

/// Works out the page after this one; `body` is the whole answer, `items` the length of its list.
pub(crate) fn next(
    entry: &Entry,
    pagination: &Pagination,
    arguments: &Arguments,
    headers: &HeaderMap,
    body: Option<&Value>,
    items: Option<usize>,
) -> NextPage {
    let number = |name: &Option<String>| {
        name.as_deref().and_then(|name| arguments.get(name)).and_then(Value::as_u64)
    };
    let limit = number(&pagination.limit_param).or(pagination.limit_default);
    let full = items.zip(limit).is_some_and(|(items, limit)| limit > 0 && items as u64 >= limit);
    let says_more =
        pagination.has_more.as_ref().and_then(|path| path.first(body?)).and_then(Value::as_bool);
    let more = says_more.unwrap_or(full);
    let next = match &pagination.strategy {
        PageStrategy::Cursor { param, next } => next
            .as_ref()
            .and_then(|path| path.first(body?))
            .filter(|cursor| !cursor.is_null() && cursor.as_str() != Some(""))
            .filter(|_| says_more != Some(false))
            .and_then(|cursor| Some((param.as_deref()?, cursor.clone()))),
        PageStrategy::LinkHeader { param } => link_next(headers, param.as_deref())
            .and_then(|value| Some((param.as_deref()?, Value::String(value)))),
        PageStrategy::Offset { param } if more => {
            let at = number(param).unwrap_or(0) + items.unwrap_or(0) as u64;
            param.as_deref().map(|param| (param, json!(at)))
        }
        PageStrategy::Page { param } if more => {
            let page = number(param).unwrap_or(1) + 1;
            param.as_deref().map(|param| (param, json!(page)))
        }
        PageStrategy::Offset { .. } | PageStrategy::Page { .. } => None,
    };
    if let Some((wire, value)) = next {
        let property = property(entry, wire);
        let note = format!("there may be more: call again with {property}={value}");
        let arguments = Map::from_iter([(property, value)]);
        return NextPage { arguments: Some(arguments), note: Some(note) };
    }
    // No parameter brings the next page, but a larger limit may bring more.
    let note = more.then(|| match (items, &pagination.limit_param) {
        (Some(items), Some(param)) => {
            let property = property(entry, param);
            format!("this page is full ({items} items): there may be more; raise {property}")
        }
        _ => "there is more than this page shows".to_owned(),
    });
    NextPage { arguments: None, note }
}

/// Returns the name under which hosts know a wire parameter.
fn property(entry: &Entry, wire: &str) -> String {
    entry
        .params
        .iter()
        .find(|known| known.param.name == wire)
        .map_or_else(|| wire.to_owned(), |known| known.property.clone())
}

/// Takes the value of `param` from the target of `rel="next"` (RFC 8288).
fn link_next(headers: &HeaderMap, param: Option<&str>) -> Option<String> {
    let param = param?;
    headers
        .get_all(http::header::LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(",").map(str::trim))
        .filter_map(|link| link.strip_prefix('<')?.split_once('>'))
        .find(|(_, parameters)| {
            parameters.split(';').any(|parameter| {
                let parameter = parameter.trim();
                parameter.eq_ignore_ascii_case("rel=next")
                    || parameter.eq_ignore_ascii_case("rel=\"next\"")
            })
        })
        .and_then(|(target, _)| {
            // Only the query matters; a relative target needs some base to be read.
            let base = Url::parse("http://base.invalid/").ok()?;
            let url = base.join(target).ok()?;
            let pair = url.query_pairs().find(|(name, _)| name == param)?;
            Some(pair.1.into_owned())
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let mut value = json!([1, 2, 3]);
        let note = cut(&mut value, Some(2)).unwrap();
        assert_eq!(value, json!([1, 2]));
        assert!(note.contains("first 2 of 3"), "{note}");
        assert_eq!(cut(&mut value, Some(2)), None);
        assert_eq!(cut(&mut json!({"a": 1}), Some(0)), None);
    }

    #[test]
    fn the_next_page_is_read_from_the_link_header() {
        let mut headers = HeaderMap::new();
        headers.append(
            http::header::LINK,
            HeaderValue::from_static(
                r#"</x?page=1>; rel="prev", <https://api.example/x?per_page=5&page=3>; rel="next""#,
            ),
        );
        assert_eq!(link_next(&headers, Some("page")), Some("3".to_owned()));
        assert_eq!(link_next(&headers, Some("cursor")), None);
    }
}
