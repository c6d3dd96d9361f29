//! Takes a filter apart as far as its own language matters little: items with blanks between them,
//! some of which have a bracket.

/// Brackets may be so deep.
const DEEPEST: usize = 40;

/// What stands between two blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilterItem<'text> {
    /// The text; before the bracket, where there is one.
    pub(super) text: &'text str,
    /// What is in the bracket.
    pub(super) inside: Option<Vec<Self>>,
}

/// A part of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemPiece<'text> {
    /// Nobody looks into it: `"text"`, `/expression/i`.
    Closed(&'text str),
    /// `'text'`, without its quotes.
    Single(&'text str),
    /// Anything else.
    Open(&'text str),
}

/// Takes a filter apart; `None` when its brackets or quotes do not fit together.
pub(super) fn parse_items(text: &str) -> Option<Vec<FilterItem<'_>>> {
    let mut reader = FilterReader { text, at: 0 };
    let items = reader.read_items(0)?;
    (reader.at == text.len()).then_some(items)
}

/// Takes the text of an item apart.
pub(super) fn split_pieces(text: &str) -> Vec<ItemPiece<'_>> {
    let mut pieces = Vec::new();
    let mut reader = FilterReader { text, at: 0 };
    let mut start = 0;
    while let Some(next) = reader.next() {
        let begin = reader.at;
        let Some(closed) = reader.closed(next, start) else {
            reader.at += next.len_utf8();
            continue;
        };
        if let Some(open) = text.get(start..begin).filter(|open| !open.is_empty()) {
            pieces.push(ItemPiece::Open(open));
        }
        pieces.push(closed);
        start = reader.at;
    }
    if let Some(open) = text.get(start..).filter(|open| !open.is_empty()) {
        pieces.push(ItemPiece::Open(open));
    }
    pieces
}

struct FilterReader<'text> {
    text: &'text str,
    at: usize,
}

impl<'text> FilterReader<'text> {
    /// Reads items up to the end of the text or of the bracket.
    fn read_items(&mut self, depth: usize) -> Option<Vec<FilterItem<'text>>> {
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            match self.next() {
                None | Some(')') => return Some(items),
                Some(_) => items.push(self.item(depth)?),
            }
        }
    }

    fn item(&mut self, depth: usize) -> Option<FilterItem<'text>> {
        let start = self.at;
        while let Some(next) = self.next() {
            if next == ')' || (next.is_whitespace() && !self.goes_on(start)) {
                break;
            }
            if next.is_whitespace() {
                self.skip_blanks();
            } else if next == '(' {
                let text = self.text.get(start..self.at)?.trim_end();
                self.at += 1;
                let inside = (depth < DEEPEST).then(|| self.read_items(depth + 1)).flatten()?;
                // A bracket that is not closed is the API's to find.
                self.next().filter(|next| *next == ')')?;
                self.at += 1;
                return Some(FilterItem { text, inside: Some(inside) });
            } else if self.closed(next, start).is_none() {
                // Quotes and slashes that have no end hold everything else.
                if next == '"' {
                    return None;
                }
                self.at += next.len_utf8();
            }
        }
        Some(FilterItem { text: self.text.get(start..self.at)?, inside: None })
    }

    /// Returns whether an item goes on behind the blanks: `name: value`, `name :value`, `! a`, `| (a b)`.
    fn goes_on(&self, start: usize) -> bool {
        let so_far = self.text.get(start..self.at).unwrap_or_default();
        let behind = self.rest().trim_start();
        let is_half = so_far.ends_with(':') || so_far == "!" || so_far.ends_with(":!");
        let is_lead = so_far == "|" || so_far.ends_with(":|");
        let has_name = !so_far.ends_with(['=', '<', '>', '|', '&']);
        is_half || (is_lead && behind.starts_with('(')) || (has_name && behind.starts_with(':'))
    }

    /// Reads what nobody looks into, where a term of an item that begins at `start` may begin.
    fn closed(&mut self, next: char, start: usize) -> Option<ItemPiece<'text>> {
        let begin = self.at;
        let before = self.text.get(start..begin).unwrap_or_default();
        let is_begin = before.trim_end().ends_with(['!', ':', '=', '>', '<']) || before.is_empty();
        let end = match next {
            '"' => self.end_of(begin, '"')?,
            '\'' if is_begin => self.end_of(begin, '\'')?,
            '/' if is_begin => {
                let end = self.end_of(begin, '/')?;
                end + usize::from(self.text.get(end..).is_some_and(|rest| rest.starts_with('i')))
            }
            _ => return None,
        };
        self.at = end;
        let whole = self.text.get(begin..end)?;
        Some(match whole.strip_prefix('\'').and_then(|inside| inside.strip_suffix('\'')) {
            Some(inside) => ItemPiece::Single(inside),
            None => ItemPiece::Closed(whole),
        })
    }

    /// Finds the end of what is between two `quote`s; a backslash takes the next one along.
    fn end_of(&self, begin: usize, quote: char) -> Option<usize> {
        let mut is_escaped = false;
        let inside = self.text.get(begin + 1..)?;
        let length = inside.char_indices().find_map(|(at, next)| {
            let ends = next == quote && !is_escaped;
            is_escaped = next == '\\' && !is_escaped;
            ends.then_some(at)
        })?;
        Some(begin + 1 + length + 1)
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'text str {
        self.text.get(self.at..).unwrap_or_default()
    }
}
