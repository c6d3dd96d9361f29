//! The YAML that descriptors are written in, read in one pass.
//!
//! It knows block and flow collections, keys and scalars of one line, plain scalars of several, block scalars,
//! comments, anchors and aliases. Whatever else is in a text, a mistake among it, is [`Unusual`]: then the full parser, which needs
//! ten times as long, reads the text from its beginning and says what there is to say.
//!
//! **Invariant:** a text that is read here gives the nodes, spans and findings that the full parser gives.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use memchr::{memchr, memchr2, memchr3, memchr3_iter};

use super::{TreeBuilder, YamlValue, scalar::resolve_plain};

/// The text has something that the full parser should read.
#[derive(Debug)]
pub(super) struct Unusual;

type Read<T = ()> = Result<T, Unusual>;

/// YAML allows a little more.
const LONGEST_KEY: usize = 1_000;

/// Reads `text` into `builder`; where that fails, the builder is of no more use.
pub(super) fn read<'text>(text: &'text str, builder: &mut TreeBuilder<'text, '_>) -> Read {
    if !is_usual_text(text) {
        return Err(Unusual);
    }
    let mut reader =
        UsualReader { text, at: 0, line: 0, builder, anchors: HashMap::new(), last_anchor: 0 };
    reader.skip_to_token();
    if reader.is_end() {
        return Err(Unusual);
    }
    reader.block_node(None, 0)?;
    if reader.is_end() { Ok(()) } else { Err(Unusual) }
}

/// Returns whether a text has lines that end in `\n`, and otherwise only what is printed.
fn is_usual_text(text: &str) -> bool {
    // Whole chunks, so that many bytes are looked at in one step.
    let is_usual_chunk = |chunk: &[u8]| {
        chunk.iter().fold(true, |is_usual, byte| {
            is_usual & ((*byte >= b' ') | (*byte == b'\n')) & (*byte != 0x7F)
        })
    };
    text.ends_with('\n')
        && text.as_bytes().chunks(4096).all(is_usual_chunk)
        && memchr3_iter(0xC2, 0xE2, 0xEF, text.as_bytes()).all(|at| is_usual_char(text, at))
}

/// Returns whether the character at a byte is printed and ends no line; those that do not begin with the bytes
/// C2, E2 and EF do.
fn is_usual_char(text: &str, at: usize) -> bool {
    let character = text.get(at..).and_then(|rest| rest.chars().next());
    !matches!(
        character,
        Some('\u{80}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
    )
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n')
}

fn is_flow_indicator(byte: u8) -> bool {
    matches!(byte, b',' | b'[' | b']' | b'{' | b'}')
}

/// Returns whether a line of a plain scalar can begin so and mean nothing else.
fn begins_text(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"(./$+<=_~".contains(&byte)
}

/// What a scalar is in: it ends at other characters there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collection {
    Block,
    Flow,
}

/// Where the items of a block sequence are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SequenceIndent {
    /// Deeper than the key.
    Deeper,
    /// As deep as the key.
    Level,
}

/// A scalar of one line, and its bytes.
struct LineScalar<'text> {
    value: YamlValue<'text>,
    span: Range<usize>,
}

/// The text, and how far it is read.
struct UsualReader<'text, 'build, 'findings> {
    text: &'text str,
    at: usize,
    /// Where the line begins.
    line: usize,
    builder: &'build mut TreeBuilder<'text, 'findings>,
    anchors: HashMap<&'text str, usize>,
    last_anchor: usize,
}

impl<'text> UsualReader<'text, '_, '_> {
    /// Returns a byte; zero, which no usual text has, behind the end.
    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or_default()
    }

    fn next(&self) -> u8 {
        self.byte(self.at)
    }

    fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Returns how many bytes of the line are before this one: characters too, since indentation has
    /// no others.
    fn column(&self) -> usize {
        self.at - self.line
    }

    fn rest(&self) -> &'text [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn slice(&self, range: Range<usize>) -> &'text str {
        self.text.get(range).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        while self.next() == b' ' {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        self.at += memchr(b'\n', self.rest()).map_or(self.rest().len(), |end| end + 1);
        self.line = self.at;
    }

    /// Returns whether a comment begins here: nothing or a space stands before it.
    fn is_comment(&self) -> bool {
        self.next() == b'#' && (self.at == self.line || self.byte(self.at - 1) == b' ')
    }

    fn is_line_end(&self) -> bool {
        self.next() == b'\n' || self.is_comment()
    }

    /// Goes on to what is not a space, a line break or a comment.
    fn skip_to_token(&mut self) {
        loop {
            self.skip_spaces();
            if !self.is_line_end() {
                return;
            }
            self.skip_line();
        }
    }

    /// Goes on to the next line that has something; nothing else may be on this one.
    fn end_line(&mut self) -> Read {
        self.skip_spaces();
        if !self.is_line_end() {
            return Err(Unusual);
        }
        self.skip_to_token();
        Ok(())
    }

    fn put(&mut self, scalar: LineScalar<'text>, anchor: usize) -> Read {
        self.builder.scalar(scalar.value, scalar.span, anchor).map_err(|_| Unusual)
    }

    fn close(&mut self) -> Read {
        self.builder.close(self.at).map_err(|_| Unusual)
    }

    /// Reads what begins a line; `outer` is the column of the collection that it is in.
    fn block_node(&mut self, outer: Option<usize>, anchor: usize) -> Read {
        match self.next() {
            b'-' if is_blank(self.byte(self.at + 1)) => {
                self.block_sequence(anchor, SequenceIndent::Deeper)
            }
            b'[' | b'{' => {
                self.flow_collection(anchor)?;
                self.end_line()
            }
            _ => {
                let scalar = self.line_scalar(Collection::Block)?;
                if self.is_key(&scalar) {
                    return self.block_mapping(scalar, anchor);
                }
                let scalar = match outer {
                    Some(column) => self.whole_scalar(scalar, column)?,
                    None => scalar,
                };
                self.put(scalar, anchor)?;
                self.end_line()
            }
        }
    }

    /// Returns whether a scalar that was read is a key, and stops at its colon then.
    fn is_key(&mut self, scalar: &LineScalar<'text>) -> bool {
        let end = self.at;
        self.skip_spaces();
        let is_short = self.at - scalar.span.start <= LONGEST_KEY;
        if is_short && self.next() == b':' && is_blank(self.byte(self.at + 1)) {
            return true;
        }
        self.at = end;
        false
    }

    /// Reads the mapping whose first key was read.
    fn block_mapping(&mut self, first: LineScalar<'text>, anchor: usize) -> Read {
        let (start, column) = (first.span.start, first.span.start - self.line);
        self.builder.open_mapping(start, anchor).map_err(|_| Unusual)?;
        let mut key = first;
        loop {
            self.put(key, 0)?;
            self.mapping_value(column)?;
            if self.is_end() || self.column() < column {
                return self.close();
            }
            if self.column() > column {
                return Err(Unusual);
            }
            key = self.line_scalar(Collection::Block)?;
            if !self.is_key(&key) {
                return Err(Unusual);
            }
        }
    }

    /// Reads from the colon behind a key to the token behind the value.
    fn mapping_value(&mut self, column: usize) -> Read {
        let colon = self.at;
        self.at += 1;
        self.skip_spaces();
        let anchor = self.anchor()?;
        if !self.is_line_end() {
            return self.value_on_line(column, anchor);
        }
        self.skip_to_token();
        if !self.is_end() && self.column() > column {
            return self.block_node(Some(column), anchor);
        }
        let is_item = self.next() == b'-' && is_blank(self.byte(self.at + 1));
        if !self.is_end() && self.column() == column && is_item {
            return self.block_sequence(anchor, SequenceIndent::Level);
        }
        if anchor != 0 {
            return Err(Unusual);
        }
        self.put(LineScalar { value: YamlValue::Null, span: colon..colon }, 0)
    }

    /// Reads a value that begins on the line of its key or its dash, and to the token behind it.
    fn value_on_line(&mut self, column: usize, anchor: usize) -> Read {
        match self.next() {
            b'|' | b'>' => return self.block_scalar(column, anchor),
            b'*' if anchor == 0 => self.alias()?,
            b'[' | b'{' => self.flow_collection(anchor)?,
            _ => {
                let scalar = self.line_scalar(Collection::Block)?;
                let scalar = self.whole_scalar(scalar, column)?;
                self.put(scalar, anchor)?;
            }
        }
        self.end_line()
    }

    /// Reads a sequence from its first dash on.
    fn block_sequence(&mut self, anchor: usize, indent: SequenceIndent) -> Read {
        let (dash, column) = (self.at, self.column());
        let spaces = self.rest().iter().skip(1).take_while(|byte| **byte == b' ').count();
        let start = match indent {
            SequenceIndent::Deeper => dash,
            // As the full parser has it.
            SequenceIndent::Level => dash + 1 + spaces,
        };
        self.builder.open_sequence(start, anchor).map_err(|_| Unusual)?;
        loop {
            self.at += 1;
            self.sequence_item(column, indent)?;
            if self.is_end() || self.column() < column {
                return self.close();
            }
            let is_item = self.next() == b'-' && is_blank(self.byte(self.at + 1));
            match indent {
                _ if self.column() > column => return Err(Unusual),
                _ if is_item => {}
                SequenceIndent::Deeper => return Err(Unusual),
                SequenceIndent::Level => return self.close(),
            }
        }
    }

    /// Reads from behind a dash to the token behind the item.
    fn sequence_item(&mut self, column: usize, indent: SequenceIndent) -> Read {
        self.skip_spaces();
        let anchor = self.anchor()?;
        if self.is_line_end() {
            self.skip_to_token();
            let is_item = indent == SequenceIndent::Deeper && self.column() > column;
            let is_there = is_item && !self.is_end();
            return if is_there { self.block_node(Some(column), anchor) } else { Err(Unusual) };
        }
        if matches!(self.next(), b'|' | b'>' | b'*' | b'[' | b'{') {
            return self.value_on_line(column, anchor);
        }
        let scalar = self.line_scalar(Collection::Block)?;
        if !self.is_key(&scalar) {
            let scalar = self.whole_scalar(scalar, column)?;
            self.put(scalar, anchor)?;
            return self.end_line();
        }
        // The anchor is that of the key.
        if anchor == 0 { self.block_mapping(scalar, 0) } else { Err(Unusual) }
    }

    /// Reads the name of an anchor or an alias behind its mark.
    fn anchor_name(&mut self) -> Read<&'text str> {
        let is_of_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let start = self.at + 1;
        self.at = start + self.rest().iter().skip(1).take_while(is_of_name).count();
        if start == self.at { Err(Unusual) } else { Ok(self.slice(start..self.at)) }
    }

    /// Reads an anchor; zero is none.
    fn anchor(&mut self) -> Read<usize> {
        if self.next() != b'&' {
            return Ok(0);
        }
        let name = self.anchor_name()?;
        if !is_blank(self.next()) {
            return Err(Unusual);
        }
        self.skip_spaces();
        self.last_anchor += 1;
        self.anchors.insert(name, self.last_anchor);
        Ok(self.last_anchor)
    }

    fn alias(&mut self) -> Read {
        let start = self.at;
        let name = self.anchor_name()?;
        let anchor = self.anchors.get(name).ok_or(Unusual)?;
        self.builder.alias(*anchor, start..self.at).map_err(|_| Unusual)
    }

    /// Goes on to the next token of a flow collection.
    fn skip_to_flow_token(&mut self) -> Read {
        self.skip_to_token();
        // At the beginning of a line, it could be the end of the document.
        if self.is_end() || self.column() == 0 { Err(Unusual) } else { Ok(()) }
    }

    fn flow_collection(&mut self, anchor: usize) -> Read {
        let start = self.at;
        let is_mapping = self.next() == b'{';
        let opened = match is_mapping {
            true => self.builder.open_mapping(start, anchor),
            false => self.builder.open_sequence(start, anchor),
        };
        opened.map_err(|_| Unusual)?;
        let end = if is_mapping { b'}' } else { b']' };
        loop {
            self.at += 1;
            self.skip_to_flow_token()?;
            if self.next() == end {
                break;
            }
            if is_mapping {
                self.flow_key()?;
            }
            self.flow_value()?;
            self.skip_to_flow_token()?;
            if self.next() == end {
                break;
            }
            if self.next() != b',' {
                return Err(Unusual);
            }
        }
        self.at += 1;
        self.close()
    }

    /// Reads a key and its colon.
    fn flow_key(&mut self) -> Read {
        let key = self.line_scalar(Collection::Flow)?;
        if !self.is_key(&key) {
            return Err(Unusual);
        }
        self.put(key, 0)?;
        self.at += 1;
        self.skip_to_flow_token()
    }

    fn flow_value(&mut self) -> Read {
        let anchor = self.anchor()?;
        if anchor != 0 {
            self.skip_to_flow_token()?;
        }
        match self.next() {
            b'[' | b'{' => self.flow_collection(anchor),
            b'*' if anchor == 0 => self.alias(),
            _ => {
                let scalar = self.line_scalar(Collection::Flow)?;
                self.put(scalar, anchor)
            }
        }
    }

    /// Reads a scalar that ends on its line.
    fn line_scalar(&mut self, place: Collection) -> Read<LineScalar<'text>> {
        let start = self.at;
        let value = match self.next() {
            b'"' => YamlValue::String(self.double_quoted()?),
            b'\'' => YamlValue::String(self.single_quoted()?),
            _ => resolve_plain(self.plain(place)?.into()),
        };
        Ok(LineScalar { value, span: start..self.at })
    }

    /// Reads the lines that go on with a scalar that is no key: those of a plain one that are deeper than
    /// `column`, that of its collection. Between two of them is a space, or the empty lines.
    fn whole_scalar(&mut self, first: LineScalar<'text>, column: usize) -> Read<LineScalar<'text>> {
        let start = first.span.start;
        if matches!(self.byte(start), b'"' | b'\'') {
            return Ok(first);
        }
        let (mut end, mut line) = (self.at, self.line);
        let mut text: Option<String> = None;
        loop {
            self.skip_spaces();
            if self.next() != b'\n' {
                break;
            }
            self.skip_line();
            let breaks = self.skip_empty_lines(usize::MAX);
            if self.is_end() || self.column() <= column || self.next() == b'#' {
                break;
            }
            // What else begins a line could mean something.
            if !begins_text(self.next()) {
                return Err(Unusual);
            }
            let part = self.plain(Collection::Block)?;
            (end, line) = (self.at, self.line);
            self.skip_spaces();
            if self.next() == b':' {
                return Err(Unusual);
            }
            self.at = end;
            let text = text.get_or_insert_with(|| self.slice(first.span.clone()).to_owned());
            match breaks {
                0 => text.push(' '),
                breaks => text.extend(std::iter::repeat_n('\n', breaks)),
            }
            text.push_str(part);
        }
        (self.at, self.line) = (end, line);
        Ok(match text {
            Some(text) => LineScalar { value: resolve_plain(text.into()), span: start..end },
            None => first,
        })
    }

    fn double_quoted(&mut self) -> Read<Cow<'text, str>> {
        self.at += 1;
        let mut owned: Option<String> = None;
        loop {
            let part = self.at;
            self.at += memchr3(b'"', b'\\', b'\n', self.rest()).ok_or(Unusual)?;
            let part = self.slice(part..self.at);
            if let Some(text) = &mut owned {
                text.push_str(part);
            }
            match self.next() {
                b'"' => {
                    self.at += 1;
                    return Ok(owned.map_or(Cow::Borrowed(part), Cow::Owned));
                }
                b'\\' => {
                    let escaped = match self.byte(self.at + 1) {
                        byte @ (b'"' | b'\\' | b'/') => char::from(byte),
                        b'n' => '\n',
                        b't' => '\t',
                        _ => return Err(Unusual),
                    };
                    self.at += 2;
                    owned.get_or_insert_with(|| part.to_owned()).push(escaped);
                }
                _ => return Err(Unusual),
            }
        }
    }

    fn single_quoted(&mut self) -> Read<Cow<'text, str>> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += memchr2(b'\'', b'\n', self.rest()).ok_or(Unusual)?;
            match (self.next(), self.byte(self.at + 1)) {
                (b'\'', b'\'') => self.at += 2,
                (b'\'', _) => break,
                _ => return Err(Unusual),
            }
        }
        let text = self.slice(start..self.at);
        self.at += 1;
        Ok(if text.contains('\'') { text.replace("''", "'").into() } else { text.into() })
    }

    fn plain(&mut self, place: Collection) -> Read<&'text str> {
        let start = self.at;
        match self.next() {
            b'-' if self.column() > 0 && self.byte(start + 1).is_ascii_alphanumeric() => {}
            b'-' | b'?' | b':' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'%' | b'@' | b'`' => {
                return Err(Unusual);
            }
            // Three of them would end the document.
            b'.' if self.column() == 0 => return Err(Unusual),
            byte if is_flow_indicator(byte) => return Err(Unusual),
            _ => {}
        }
        let mut end = start;
        loop {
            let byte = self.next();
            match byte {
                b'\n' => break,
                b' ' => {
                    self.at += 1;
                    if self.next() == b'#' {
                        break;
                    }
                    continue;
                }
                b':' => {
                    let after = self.byte(self.at + 1);
                    let is_mark = place == Collection::Flow && is_flow_indicator(after);
                    if is_mark || is_blank(after) {
                        break;
                    }
                }
                _ if place == Collection::Flow && is_flow_indicator(byte) => break,
                _ => {}
            }
            self.at += 1;
            end = self.at;
        }
        self.at = end;
        if start == end { Err(Unusual) } else { Ok(self.slice(start..end)) }
    }

    /// Reads a block scalar from its mark to the token behind it; `column` is that of the collection.
    fn block_scalar(&mut self, column: usize, anchor: usize) -> Read {
        let is_folded = self.next() == b'>';
        self.at += 1;
        let chomping = self.next();
        if matches!(chomping, b'-' | b'+') {
            self.at += 1;
        }
        let mark = self.at;
        self.skip_spaces();
        if self.next() != b'\n' && (self.at == mark || !self.is_comment()) {
            return Err(Unusual);
        }
        self.skip_line();
        let (indent, mut breaks) = self.block_indent()?;
        if indent <= column {
            return Err(Unusual);
        }
        let start = self.at;
        let mut text = String::new();
        let (mut is_first, mut was_indented) = (true, false);
        loop {
            let is_indented = self.next() == b' ';
            let is_joined = is_folded && !is_first && !was_indented && !is_indented;
            if is_joined && breaks == 0 {
                text.push(' ');
            } else if !is_first && !is_joined {
                text.push('\n');
            }
            text.extend(std::iter::repeat_n('\n', breaks));
            let content = self.at;
            self.skip_line();
            text.push_str(self.slice(content..self.at - 1));
            (is_first, was_indented) = (false, is_indented);
            breaks = self.skip_empty_lines(indent);
            if self.column() < indent {
                break;
            }
        }
        if chomping != b'-' {
            text.push('\n');
        }
        if chomping == b'+' {
            text.extend(std::iter::repeat_n('\n', breaks));
        }
        let span = start..self.at;
        self.put(LineScalar { value: YamlValue::String(text.into()), span }, anchor)?;
        self.skip_to_token();
        Ok(())
    }

    /// Goes on to the first character of a block scalar; returns how deep it is, and how many empty lines
    /// are before it.
    fn block_indent(&mut self) -> Read<(usize, usize)> {
        let (mut longest, mut breaks) = (0, 0);
        loop {
            self.skip_spaces();
            if self.is_end() {
                return Err(Unusual);
            }
            if self.next() != b'\n' {
                break;
            }
            longest = longest.max(self.column());
            breaks += 1;
            self.skip_line();
        }
        if longest > self.column() { Err(Unusual) } else { Ok((self.column(), breaks)) }
    }

    /// Goes over empty lines and at most so much indentation; returns how many lines were empty.
    fn skip_empty_lines(&mut self, indent: usize) -> usize {
        let mut breaks = 0;
        loop {
            while self.next() == b' ' && self.column() < indent {
                self.at += 1;
            }
            if self.next() != b'\n' {
                return breaks;
            }
            breaks += 1;
            self.skip_line();
        }
    }
}

#[cfg(test)]
mod tests;
