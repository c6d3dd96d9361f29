//! Regular expressions, as much as filters need: literals, `.`, classes, groups, alternatives,
//! anchors, and the greedy repeats `*`, `+` and `?`.
//!
//! Matching backtracks with a limit on steps, so that no pattern from the network can keep the
//! server busy; at the limit it says that nothing matches.

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Regex {
    alternatives: Vec<Vec<Piece>>,
    ignore_case: bool,
}

/// An atom and how often it may repeat.
#[derive(Debug, Clone, PartialEq)]
struct Piece {
    atom: Atom,
    at_least: usize,
    at_most: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Atom {
    Any,
    Class { negated: bool, ranges: Vec<(char, char)> },
    End,
    Group(Vec<Vec<Piece>>),
    Start,
}

impl Regex {
    /// Compiles an expression; `None` when it is malformed or nested too deeply.
    pub(super) fn new(pattern: &str, ignore_case: bool) -> Option<Self> {
        let characters: Vec<char> = pattern.chars().collect();
        let mut parser = Parser { characters: &characters, position: 0, depth: 0 };
        let alternatives = parser.alternatives()?;
        (parser.position == characters.len()).then_some(Self { alternatives, ignore_case })
    }

    /// Says whether the expression matches somewhere in a text.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let fold = |c: char| {
            if self.ignore_case { c.to_ascii_lowercase() } else { c }
        };
        let text: Vec<char> = text.chars().map(fold).collect();
        let mut matcher = Matcher { text: &text, ignore_case: self.ignore_case, steps: STEPS };
        (0..=text.len()).any(|start| {
            self.alternatives.iter().any(|pieces| matcher.pieces(pieces, start, &mut |_, _| true))
        })
    }
}

struct Parser<'a> {
    characters: &'a [char],
    position: usize,
    depth: usize,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Option<Vec<Vec<Piece>>> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let mut alternatives = vec![Vec::new()];
        while let Some(character) = self.peek() {
            match character {
                ')' => break,
                '|' => {
                    self.position += 1;
                    alternatives.push(Vec::new());
                }
                _ => {
                    let atom = self.atom()?;
                    let (at_least, at_most) = match self.peek() {
                        Some('*') => (0, usize::MAX),
                        Some('+') => (1, usize::MAX),
                        Some('?') => (0, 1),
                        _ => (1, 1),
                    };
                    if (at_least, at_most) != (1, 1) {
                        self.position += 1;
                    }
                    alternatives.last_mut()?.push(Piece { atom, at_least, at_most });
                }
            }
        }
        self.depth -= 1;
        Some(alternatives)
    }

    fn atom(&mut self) -> Option<Atom> {
        Some(match self.next()? {
            '.' => Atom::Any,
            '^' => Atom::Start,
            '$' => Atom::End,
            '*' | '+' | '?' => return None,
            '(' => {
                if self.characters.get(self.position..self.position + 2) == Some(&['?', ':']) {
                    self.position += 2;
                }
                let inner = self.alternatives()?;
                (self.next()? == ')').then_some(Atom::Group(inner))?
            }
            '[' => {
                let negated = self.peek() == Some('^');
                self.position += usize::from(negated);
                let mut ranges = Vec::new();
                loop {
                    match self.next()? {
                        ']' => break,
                        '\\' => ranges.extend(self.escape()?),
                        first
                            if self.peek() == Some('-')
                                && self.characters.get(self.position + 1) != Some(&']') =>
                        {
                            self.position += 1;
                            ranges.push((first, self.next()?));
                        }
                        first => ranges.push((first, first)),
                    }
                }
                Atom::Class { negated, ranges }
            }
            '\\' => {
                let negated = self.peek().is_some_and(|c| matches!(c, 'D' | 'S' | 'W'));
                Atom::Class { negated, ranges: self.escape()? }
            }
            literal => Atom::Class { negated: false, ranges: vec![(literal, literal)] },
        })
    }

    /// Reads what follows a backslash. The capital classes are negated by the caller.
    fn escape(&mut self) -> Option<Vec<(char, char)>> {
        Some(match self.next()? {
            'd' | 'D' => vec![('0', '9')],
            'w' | 'W' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
            's' | 'S' => vec![(' ', ' '), ('\t', '\r')],
            'n' => vec![('\n', '\n')],
            't' => vec![('\t', '\t')],
            other => vec![(other, other)],
        })
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.position).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += 1;
        Some(character)
    }
}

struct Matcher<'a> {
    text: &'a [char],
    ignore_case: bool,
    steps: usize,
}

impl Matcher<'_> {
    /// Matches pieces from a position, then whatever `then` wants of the rest.
    fn pieces(
        &mut self,
        pieces: &[Piece],
        position: usize,
        then: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        let Some((piece, rest)) = pieces.split_first() else {
            return then(self, position);
        };
        self.repeat(piece, 0, position, &mut |matcher, end| matcher.pieces(rest, end, then))
    }

    fn repeat(
        &mut self,
        piece: &Piece,
        done: usize,
        position: usize,
        then: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        let Some(left) = self.steps.checked_sub(1) else {
            return false;
        };
        self.steps = left;
        // A thousand repeats deep is where recursion stops, far above any name in the data.
        if done < piece.at_most.min(1000) {
            let longer = self.atom(&piece.atom, position, &mut |matcher, end| {
                // An empty repeat would never end.
                (end > position || done < piece.at_least)
                    && matcher.repeat(piece, done + 1, end, then)
            });
            if longer {
                return true;
            }
        }
        done >= piece.at_least && then(self, position)
    }

    fn atom(
        &mut self,
        atom: &Atom,
        position: usize,
        then: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> bool {
        match atom {
            Atom::Start => position == 0 && then(self, position),
            Atom::End => position == self.text.len() && then(self, position),
            Atom::Group(alternatives) => {
                alternatives.iter().any(|pieces| self.pieces(pieces, position, then))
            }
            Atom::Any => position < self.text.len() && then(self, position + 1),
            Atom::Class { negated, ranges } => {
                let Some(&character) = self.text.get(position) else {
                    return false;
                };
                let contains = |c: char| ranges.iter().any(|&(low, high)| low <= c && c <= high);
                let found = contains(character)
                    || (self.ignore_case && contains(character.to_ascii_uppercase()));
                found != *negated && then(self, position + 1)
            }
        }
    }
}

/// How many steps one match may take.
const STEPS: usize = 20_000;

/// How deep groups may be nested.
const DEPTH: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Regex::new(pattern, false).unwrap().is_match(text), expected);
    }

    #[test]
    fn matches() {
        check("^web-\\d+$", "web-01", true);
        check("^web-\\d+$", "web-x", false);
        check("(web|db)-0[1-3]", "my db-02", true);
        check("(web|db)-0[1-3]", "db-04", false);
        check("a.*z", "--a--z", true);
        check("[^a]b", "ab", false);
        check("x?", "", true);
        check("(a*)*b", &"a".repeat(60), false);
        assert!(Regex::new("WEB", true).unwrap().is_match("web"));
        assert_eq!(Regex::new("(a", false), None);
        assert_eq!(Regex::new("*", false), None);
        assert_eq!(Regex::new(&"(".repeat(1000), false), None);
    }
}
