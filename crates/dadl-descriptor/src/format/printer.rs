//! Prints the tokens of a text one after the other, with the spaces between them made new.
//!
//! The scanner gives the order of the tokens; some of them have no text there (`-`, `:`, the
//! header of a block scalar), so those are read from what lies between. What lies between two
//! tokens is otherwise spaces, line breaks and comments.

use std::ops::Range;

use serde_saphyr::granit_parser::{Options, ScalarStyle, Scanner, StrInput, TokenType};

use super::quotes::is_plain_word;

/// A text in the one layout.
pub(super) struct FormattedText {
    pub(super) text: String,
    /// The comments from top to bottom, without the spaces at their ends.
    pub(super) comments: Vec<String>,
}

/// What this printer does not understand, and where.
pub(super) struct UnsupportedSyntax {
    pub(super) offset: usize,
    pub(super) message: &'static str,
}

type PrintResult<T = ()> = Result<T, UnsupportedSyntax>;

/// An open block collection.
#[derive(Clone, Copy)]
struct OpenCollection {
    kind: CollectionKind,
    /// Its column in the old text and in the new one.
    old: usize,
    new: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CollectionKind {
    Mapping,
    Sequence,
    /// A sequence whose dashes are in the column of the key above, which the scanner does not
    /// tell apart from the mapping.
    Flush,
}

/// What was printed last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastPrinted {
    Alias,
    Colon,
    Comma,
    Dash,
    /// A document marker or a directive.
    Marker,
    Open,
    /// An anchor or a tag.
    Property,
    Scalar,
    Start,
}

/// What lies between two tokens.
#[derive(Default)]
struct TokenGap<'text> {
    comments: Vec<GapComment<'text>>,
    /// Whether a line break comes directly before the next token.
    breaks: bool,
    /// Whether an empty line does.
    blank: bool,
    /// Whether there is anything at all.
    is_empty: bool,
}

struct GapComment<'text> {
    text: &'text str,
    /// Whether it has a line of its own.
    own_line: bool,
    blank_before: bool,
    column: usize,
    /// The spaces before it.
    spaces: usize,
}

/// A token with text.
struct TextToken<'text> {
    kind: TokenType<'text>,
    span: Range<usize>,
}

struct YamlPrinter<'text> {
    text: &'text str,
    /// What comes before this is printed.
    at: usize,
    /// Whether an empty line would be text, because a block scalar keeps those at its end.
    keeps: bool,
    /// Whether a collection begins behind a dash, on its line.
    joins: bool,
    out: String,
    comments: Vec<String>,
    levels: Vec<OpenCollection>,
    /// The levels when the last token was printed: a comment may belong to one that ended.
    before: Vec<OpenCollection>,
    /// The key of each level that is being printed, for the path.
    keys: Vec<String>,
    flow: usize,
    last: LastPrinted,
    /// The column of the next token if it has to begin a line.
    line_at: Option<usize>,
    /// Whether an empty line has to be before it.
    wants_blank: bool,
    /// Whether the next scalar is a key.
    is_key: bool,
    /// The key before the value that is printed, in block or flow.
    key: String,
    /// Whether the tool before took several lines.
    tool_is_long: bool,
    has_tool: bool,
}

/// Prints `text`, which has Unix line breaks and has been parsed without an error.
pub(super) fn print_yaml(text: &str) -> PrintResult<FormattedText> {
    let mut tokens = Vec::new();
    for token in Scanner::with_options(StrInput::new(text), options()) {
        let Ok(token) = token else {
            return Err(UnsupportedSyntax { offset: 0, message: "this is not YAML" });
        };
        let span = token.span().byte_range().unwrap_or_default();
        tokens.push(TextToken { kind: token.token_type().clone(), span });
    }
    let mut printer = YamlPrinter::new(text);
    for (index, token) in tokens.iter().enumerate() {
        printer.print_token(token, tokens.get(index + 1..).unwrap_or_default())?;
    }
    printer.finish_text()
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options
}

impl<'text> YamlPrinter<'text> {
    fn new(text: &'text str) -> Self {
        Self {
            text,
            at: 0,
            keeps: false,
            joins: false,
            out: String::with_capacity(text.len() + text.len() / 8),
            comments: Vec::new(),
            levels: Vec::new(),
            before: Vec::new(),
            keys: Vec::new(),
            flow: 0,
            last: LastPrinted::Start,
            line_at: None,
            wants_blank: false,
            is_key: false,
            key: String::new(),
            tool_is_long: false,
            has_tool: false,
        }
    }

    fn print_token(&mut self, token: &TextToken<'text>, rest: &[TextToken<'text>]) -> PrintResult {
        match &token.kind {
            TokenType::StreamStart | TokenType::StreamEnd => {}
            TokenType::BlockMappingStart => self.open_collection(CollectionKind::Mapping, rest),
            TokenType::BlockSequenceStart => self.open_collection(CollectionKind::Sequence, rest),
            TokenType::BlockEnd => {
                self.end_flush();
                self.levels.pop();
                self.keys.truncate(self.levels.len());
            }
            TokenType::Key => self.print_key(token, rest)?,
            TokenType::Value => self.print_value()?,
            TokenType::BlockEntry => self.print_entry()?,
            TokenType::FlowSequenceStart | TokenType::FlowMappingStart => {
                self.print_span(&token.span, LastPrinted::Open)?;
                self.flow += 1;
            }
            TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd => {
                self.flow = self.flow.saturating_sub(1);
                self.print_span(&token.span, LastPrinted::Scalar)?;
            }
            TokenType::FlowEntry => self.print_span(&token.span, LastPrinted::Comma)?,
            TokenType::Alias(_) => self.print_span(&token.span, LastPrinted::Alias)?,
            TokenType::Anchor(_) | TokenType::Tag(..) => {
                self.print_span(&token.span, LastPrinted::Property)?
            }
            TokenType::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, _) => {
                self.block_scalar(&token.span)?;
            }
            TokenType::Scalar(style, value) => self.print_scalar(&token.span, *style, value)?,
            TokenType::DocumentStart if self.out.is_empty() => {
                self.print_span(&token.span, LastPrinted::Marker)?;
                self.line_at = Some(0);
            }
            _ => return self.fail("directives and further documents are not formatted"),
        }
        Ok(())
    }

    fn fail<T>(&self, message: &'static str) -> PrintResult<T> {
        Err(UnsupportedSyntax { offset: self.at, message })
    }

    fn finish_text(mut self) -> PrintResult<FormattedText> {
        let gap = self.gap(self.text.len())?;
        self.line_at = None;
        self.comments(&gap, 0, None);
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        Ok(FormattedText { text: self.out, comments: self.comments })
    }

    /// Returns the column of a place in the old text, in bytes.
    fn column(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        at - before.rfind('\n').map_or(0, |line| line + 1)
    }

    fn new_column(&self) -> usize {
        self.levels.last().map_or(0, |level| level.new)
    }

    /// The column of something inside of the current collection.
    fn inner_column(&self) -> usize {
        match self.levels.last() {
            Some(level) => level.new + 2,
            None => 0,
        }
    }

    fn open_collection(&mut self, kind: CollectionKind, rest: &[TextToken<'text>]) {
        let old = match kind {
            // The scanner's token has no place; the dash is the next thing in the text.
            CollectionKind::Sequence => self.peek(),
            _ => rest
                .iter()
                .find(|token| !token.span.is_empty())
                .map_or(self.at, |token| token.span.start),
        };
        let new = self.inner_column();
        // A property would belong to the first key if it stood on the same line.
        let stays = self.last == LastPrinted::Dash;
        self.levels.push(OpenCollection { kind, old: self.column(old), new });
        self.keys.resize(self.levels.len(), String::new());
        self.line_at = Some(new).filter(|_| !stays);
        self.joins = stays;
        if self.is_tools() {
            self.has_tool = false;
        }
    }

    /// Returns where the next thing that is no comment begins.
    fn peek(&self) -> usize {
        let mut at = self.at;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            at += rest.len() - rest.trim_start().len();
            let rest = rest.trim_start();
            if !rest.starts_with('#') {
                return at;
            }
            at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn end_flush(&mut self) {
        if self.levels.last().is_some_and(|level| level.kind == CollectionKind::Flush) {
            self.levels.pop();
            self.keys.truncate(self.levels.len());
        }
    }

    /// Returns whether the current mapping is that of the tools or composites.
    fn is_tools(&self) -> bool {
        let path: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        self.levels.len() == 3 && matches!(path.as_slice(), ["backend", "tools" | "composites", _])
    }

    fn print_key(&mut self, token: &TextToken<'text>, rest: &[TextToken<'text>]) -> PrintResult {
        let begins = self.peek();
        let next = rest.iter().find(|next| !next.span.is_empty()).map(|next| next.span.start);
        let is_explicit = self.text.get(begins..).is_some_and(|rest| rest.starts_with('?'))
            && next != Some(begins);
        if is_explicit {
            self.at = token.span.start;
            return self.fail("a key that is written with `?` is not formatted");
        }
        self.is_key = true;
        if self.flow > 0 {
            return Ok(());
        }
        self.end_flush();
        if !self.joins {
            self.line_at = Some(self.new_column());
        }
        if self.is_tools() {
            let is_long = rest.iter().take(5).any(|next| next.kind == TokenType::BlockMappingStart);
            self.wants_blank = self.has_tool && (is_long || self.tool_is_long);
            self.tool_is_long = is_long;
            self.has_tool = true;
        }
        Ok(())
    }

    fn print_value(&mut self) -> PrintResult {
        let at = self.peek();
        if !self.text.get(at..).is_some_and(|rest| rest.starts_with(':')) {
            return self.fail("a `:` is not where it is expected");
        }
        self.is_key = false;
        self.print_span(&(at..at + 1), LastPrinted::Colon)
    }

    fn print_entry(&mut self) -> PrintResult {
        if self.levels.last().is_some_and(|level| level.kind == CollectionKind::Mapping) {
            let old = self.column(self.peek());
            let new = self.inner_column();
            self.levels.push(OpenCollection { kind: CollectionKind::Flush, old, new });
            self.keys.resize(self.levels.len(), String::new());
        }
        let at = self.peek();
        if !self.text.get(at..).is_some_and(|rest| rest.starts_with('-')) {
            return self.fail("a `-` is not where it is expected");
        }
        if !self.joins {
            self.line_at = Some(self.new_column());
        }
        self.print_span(&(at..at + 1), LastPrinted::Dash)
    }

    /// Reads what is between here and `end`.
    fn gap(&mut self, end: usize) -> PrintResult<TokenGap<'text>> {
        let text = self.text.get(self.at..end).unwrap_or_default();
        let mut gap = TokenGap { is_empty: text.is_empty(), ..TokenGap::default() };
        let mut breaks = 0;
        let mut offset = 0;
        while let Some(next) = text.get(offset..).and_then(|rest| rest.chars().next()) {
            match next {
                '\n' => {
                    breaks += 1;
                    offset += 1;
                }
                ' ' | '\t' | '\r' => offset += 1,
                '#' => {
                    let rest = text.get(offset..).unwrap_or_default();
                    let line = rest.split('\n').next().unwrap_or_default();
                    let lead = text.get(..offset).unwrap_or_default();
                    gap.comments.push(GapComment {
                        text: line.trim_end(),
                        own_line: breaks > 0 || self.last == LastPrinted::Start,
                        blank_before: breaks > 1,
                        column: self.column(self.at + offset),
                        spaces: lead.len() - lead.trim_end_matches(' ').len(),
                    });
                    breaks = 0;
                    offset += line.len();
                }
                _ => {
                    self.at += offset;
                    return self.fail("something is not where it is expected");
                }
            }
        }
        gap.breaks = breaks > 0;
        gap.blank = breaks > 1;
        self.at = end;
        Ok(gap)
    }

    /// Prints the comments of a gap; `next` is the level of the token behind it.
    fn comments(&mut self, gap: &TokenGap<'text>, indent: usize, next: Option<OpenCollection>) {
        self.wants_blank &= !self.keeps;
        let blank_anywhere = gap.blank || gap.comments.iter().any(|it| it.blank_before);
        for comment in &gap.comments {
            self.comments.push(comment.text.to_owned());
            if !comment.own_line {
                let spaces = if self.out.is_empty() { 0 } else { comment.spaces.max(1) };
                self.out.extend(std::iter::repeat_n(' ', spaces));
                self.out.push_str(comment.text);
                continue;
            }
            let column =
                if self.flow > 0 { indent } else { self.comment_column(comment.column, next) };
            let blank = comment.blank_before || (self.wants_blank && !blank_anywhere);
            self.wants_blank &= blank_anywhere;
            self.break_line(blank, column);
            self.out.push_str(comment.text);
        }
        self.wants_blank &= !blank_anywhere;
    }

    /// Returns the column of a comment: that of the collection it was in.
    fn comment_column(&self, old: usize, next: Option<OpenCollection>) -> usize {
        if let Some(level) = next.filter(|level| level.old == old) {
            return level.new;
        }
        let open = self.before.iter().chain(&self.levels);
        let inside: Vec<&OpenCollection> = open.filter(|level| level.old <= old).collect();
        let Some(deepest) = inside.iter().map(|level| level.old).max() else { return 0 };
        let columns = inside.iter().filter(|level| level.old == deepest).map(|level| level.new);
        // Of a list in the column of its key, what stands in that column means the key.
        let column = if deepest == old { columns.min() } else { columns.max() };
        column.unwrap_or_default()
    }

    fn break_line(&mut self, blank: bool, column: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
            if blank {
                self.out.push('\n');
            }
        }
        self.out.extend(std::iter::repeat_n(' ', column));
    }

    /// Prints what goes before a token whose text is at `span`.
    fn lead(&mut self, span: &Range<usize>, kind: LastPrinted) -> PrintResult {
        let gap = self.gap(span.start)?;
        let next = self.levels.last().copied();
        let is_close = self.text.get(span.clone()).is_some_and(|text| matches!(text, "]" | "}"));
        let depth = 2 * self.flow;
        let in_flow = self.new_column() + depth + if self.flow > 0 || is_close { 0 } else { 2 };
        let column = match self.line_at.take() {
            Some(column) => Some(column),
            // A dash stays with its value, unless a comment is between them.
            None if self.last == LastPrinted::Dash && gap.comments.is_empty() => None,
            None if kind == LastPrinted::Colon || kind == LastPrinted::Comma => None,
            None if self.joins => Some(self.new_column()),
            None => (gap.breaks || !gap.comments.is_empty()).then_some(in_flow),
        };
        let has_comment = !gap.comments.is_empty();
        if has_comment && column.is_none() {
            return self.fail("a comment before `:` or `,` is not formatted");
        }
        self.comments(&gap, in_flow, next);
        let is_first = self.last == LastPrinted::Start && !has_comment;
        match column {
            Some(column) if !is_first => {
                let blank = gap.blank || self.wants_blank;
                self.break_line(blank, column);
            }
            Some(_) => {}
            None => {
                if self.is_apart(kind, is_close, &gap) {
                    self.out.push(' ');
                }
            }
        }
        self.wants_blank = false;
        Ok(())
    }

    /// Returns whether a space is between the last token and the next.
    fn is_apart(&self, kind: LastPrinted, is_close: bool, gap: &TokenGap<'_>) -> bool {
        match (self.last, kind) {
            (LastPrinted::Start, _) => false,
            // `*a:` would be an alias of another name.
            (LastPrinted::Alias, LastPrinted::Colon) => true,
            // `a:,` would be read differently by some.
            (LastPrinted::Colon, _) => true,
            (_, LastPrinted::Colon | LastPrinted::Comma) => false,
            (LastPrinted::Open, _) => !gap.is_empty,
            (_, _) if is_close => !gap.is_empty,
            _ => true,
        }
    }

    fn print_span(&mut self, span: &Range<usize>, kind: LastPrinted) -> PrintResult {
        self.lead(span, kind)?;
        self.out.push_str(self.text.get(span.clone()).unwrap_or_default());
        self.done(span.end, kind);
        Ok(())
    }

    fn done(&mut self, end: usize, kind: LastPrinted) {
        self.at = end;
        self.last = kind;
        self.keeps = false;
        self.joins = false;
        self.before.clone_from(&self.levels);
    }

    fn print_scalar(
        &mut self,
        span: &Range<usize>,
        style: ScalarStyle,
        value: &str,
    ) -> PrintResult {
        let text = self.text.get(span.clone()).unwrap_or_default();
        if self.is_key {
            value.clone_into(&mut self.key);
            if self.flow == 0
                && let Some(key) = self.keys.last_mut()
            {
                value.clone_into(key);
            }
        }
        // Prose looks best when all of it is quoted, or none.
        let is_prose = !self.is_key && self.key == "description";
        if text.is_empty() {
            // A value that is not there.
            return Ok(());
        }
        self.lead(span, LastPrinted::Scalar)?;
        let inner = self.inner_column() + 2 * self.flow;
        let mut lines = text.split('\n');
        let first = lines.next().unwrap_or_default();
        let is_single = !text.contains('\n');
        let unquoted = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => text.get(1..text.len() - 1),
            _ => None,
        };
        if is_single && unquoted == Some(value) && !is_prose && is_plain_word(value, self.flow > 0)
        {
            self.out.push_str(value);
        } else {
            self.out.push_str(if is_single { first } else { end_trimmed(first) });
            let mut lines = lines.peekable();
            while let Some(line) = lines.next() {
                self.out.push('\n');
                let line = line.trim_start_matches([' ', '\t']);
                let line = if lines.peek().is_some() { end_trimmed(line) } else { line };
                if !line.is_empty() {
                    self.out.extend(std::iter::repeat_n(' ', inner));
                    self.out.push_str(line);
                }
            }
        }
        self.done(span.end, LastPrinted::Scalar);
        Ok(())
    }

    fn block_scalar(&mut self, span: &Range<usize>) -> PrintResult {
        let header_at = self.peek();
        let rest = self.text.get(header_at..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let mark_end = line.find([' ', '\t']).unwrap_or(line.len());
        let (mark, tail) = line.split_at_checked(mark_end).unwrap_or((line, ""));
        if !mark.starts_with(['|', '>']) || self.levels.is_empty() {
            return self.fail("a block of text is not where it is expected");
        }
        self.lead(&(header_at..header_at + mark.len()), LastPrinted::Scalar)?;
        let has_digit = mark.contains(|mark: char| mark.is_ascii_digit());
        let keeps = mark.contains('+');
        self.out.extend(mark.chars().map(|mark| if mark.is_ascii_digit() { '2' } else { mark }));
        let comment = tail.trim();
        if !comment.is_empty() {
            self.comments.push(comment.to_owned());
            let spaces = tail.len() - tail.trim_start_matches(' ').len();
            self.out.extend(std::iter::repeat_n(' ', spaces.max(1)));
            self.out.push_str(comment);
        }
        let body_at = (header_at + line.len() + 1).min(self.text.len());
        let body = self.text.get(body_at..span.end.max(body_at)).unwrap_or_default();
        let mut lines: Vec<&str> = body.split('\n').collect();
        // What is behind the last line break belongs to the next token.
        if body.ends_with('\n') || lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        let is_blank = |line: &&str| line.bytes().all(|byte| byte == b' ');
        let filled = lines.iter().find(|line| !is_blank(line));
        let lead = |line: &&str| line.len() - line.trim_start_matches(' ').len();
        let indent = match filled {
            Some(_) if has_digit => self.column(span.start),
            Some(line) => lead(line),
            None => usize::MAX,
        };
        let mut taken = body_at;
        let mut count = lines.len();
        if !keeps {
            // Blank lines at the end say nothing; the next token decides about one.
            // More spaces than the indentation are text.
            let is_text = |line: &&str| !is_blank(line) || line.len() > indent;
            count = lines.iter().rposition(is_text).map_or(0, |last| last + 1);
        }
        let inner = self.inner_column();
        for line in lines.iter().take(count) {
            self.out.push('\n');
            let content = line.get(indent..).unwrap_or_default();
            if !content.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', inner));
                self.out.push_str(content);
            }
            taken += line.len() + 1;
        }
        // The line break behind the last line is left for the next token to see.
        let end = if count == 0 { header_at + line.len() } else { taken - 1 };
        self.done(end.min(self.text.len()), LastPrinted::Scalar);
        self.keeps = keeps;
        Ok(())
    }
}

/// Cuts the spaces at the end of a line inside of a quoted or plain text, where they mean nothing;
/// an escaped one does.
fn end_trimmed(line: &str) -> &str {
    let trimmed = line.trim_end_matches([' ', '\t']);
    if trimmed.ends_with('\\') { line } else { trimmed }
}
