//! The caller's `skip_elements`: CSS selectors, as far as skipping elements needs them.
//!
//! Supported are lists of type, universal, class, id and attribute selectors, joined by descendant and child combinators.
//! Anything else is an error when the options are read. Elements are matched on the way down: each open element knows
//! which selectors have matched up to some compound at or above it, so no ancestor is looked at twice.

use crate::html::dom::{Dom, NONE, NodeId};
use crate::html::names::{Attr, Names, Tag};
use crate::html::{Dialect, Wanted};
use crate::{OptionsError, Version};

/// What a compound stands to the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    /// It is the first.
    First,
    Descendant,
    Child,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Exists,
    Equals,
    HasWord,
    /// The value, or the value and a hyphen, at the start.
    DashMatch,
    Prefix,
    Suffix,
    Substring,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    Type(Tag),
    Class(String),
    Id(String),
    Attribute { name: Attr, operator: Operator, value: String, ignore_case: bool },
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Compound {
    relation: Relation,
    tests: Vec<Test>,
    /// Whether a match of this one is a match of its whole selector.
    last: bool,
}

/// All selectors' compounds one after the other.
#[derive(Default, Debug)]
pub(super) struct Selectors {
    compounds: Vec<Compound>,
    version: Version,
}

/// Compounds, each a bit.
type Set = u128;

const MAX_COMPOUNDS: usize = 128;

impl Selectors {
    /// Reads the selectors; says in `wanted` and `names` what they look at.
    pub(super) fn new(
        selectors: &[String],
        version: Version,
        wanted: &mut Wanted,
        names: &mut Names,
    ) -> Result<Self, OptionsError> {
        let mut compounds = Vec::new();
        for selector in selectors {
            let mut reader = Reader { selector, rest: selector, wanted, names };
            reader.list(&mut compounds)?;
        }
        if compounds.len() > MAX_COMPOUNDS {
            return Err(OptionsError::TooManySelectors { found: compounds.len(), limit: MAX_COMPOUNDS });
        }
        Ok(Self { compounds, version })
    }
}

struct Reader<'a> {
    selector: &'a str,
    rest: &'a str,
    wanted: &'a mut Wanted,
    names: &'a mut Names,
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

impl Reader<'_> {
    fn error<T>(&self, problem: &'static str) -> Result<T, OptionsError> {
        Err(OptionsError::Selector {
            selector: self.selector.to_owned(),
            at: self.selector.len() - self.rest.len(),
            problem,
        })
    }

    fn skip_space(&mut self) -> bool {
        let trimmed = self.rest.trim_start_matches(is_space);
        let skipped = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        skipped
    }

    fn take(&mut self, char: char) -> bool {
        match self.rest.strip_prefix(char) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn list(&mut self, compounds: &mut Vec<Compound>) -> Result<(), OptionsError> {
        loop {
            self.skip_space();
            let mut relation = Relation::First;
            loop {
                let tests = self.compound()?;
                compounds.push(Compound { relation, tests, last: false });
                let spaced = self.skip_space();
                if self.rest.is_empty() || self.rest.starts_with(',') {
                    break;
                }
                relation = if self.take('>') {
                    self.skip_space();
                    Relation::Child
                } else if spaced {
                    Relation::Descendant
                } else {
                    return self.error("only type, class, id and attribute selectors are supported");
                };
            }
            if let Some(compound) = compounds.last_mut() {
                compound.last = true;
            }
            if !self.take(',') {
                return Ok(());
            }
        }
    }

    fn compound(&mut self) -> Result<Vec<Test>, OptionsError> {
        let mut tests = Vec::new();
        let universal = self.take('*');
        if !universal && self.starts_identifier() {
            let name = self.identifier()?.to_ascii_lowercase();
            tests.push(Test::Type(self.names.keep(&name)));
        }
        loop {
            if self.take('.') {
                self.wanted.attributes |= Attr::CLASS.bit();
                tests.push(Test::Class(self.identifier()?));
            } else if self.take('#') {
                self.wanted.attributes |= Attr::ID.bit();
                tests.push(Test::Id(self.identifier()?));
            } else if self.take('[') {
                tests.push(self.attribute()?);
            } else if tests.is_empty() && !universal {
                return self.error("a selector is expected");
            } else {
                return Ok(tests);
            }
        }
    }

    fn starts_identifier(&self) -> bool {
        self.rest.starts_with(|char: char| {
            char.is_alphabetic() || matches!(char, '_' | '-' | '\\') || !char.is_ascii()
        })
    }

    fn identifier(&mut self) -> Result<String, OptionsError> {
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, char)) = chars.next() {
            if char == '\\' {
                match chars.next() {
                    Some((_, escaped)) if !escaped.is_ascii_hexdigit() && escaped != '\n' => {
                        name.push(escaped)
                    }
                    _ => return self.error("escapes by number are not supported"),
                }
            } else if char.is_ascii_alphanumeric() || matches!(char, '_' | '-') || !char.is_ascii() {
                name.push(char);
            } else {
                end = at;
                break;
            }
        }
        if name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) {
            return self.error("a name is expected");
        }
        self.rest = &self.rest[end..];
        Ok(name)
    }

    fn attribute(&mut self) -> Result<Test, OptionsError> {
        self.skip_space();
        let name = self.identifier()?;
        let name = self.wanted.ask(&name);
        // In vector graphics `xlink:href` answers to `href`, and so on.
        for prefixed in [Attr::XLINK_HREF, Attr::XLINK_ROLE, Attr::XLINK_TITLE, Attr::XLINK_TYPE] {
            if prefixed.in_foreign_content() == name {
                self.wanted.attributes |= prefixed.bit();
            }
        }
        self.skip_space();
        if self.take(']') {
            return Ok(Test::Attribute {
                name,
                operator: Operator::Exists,
                value: String::new(),
                ignore_case: false,
            });
        }
        let operator = match self.rest.chars().next() {
            Some('=') => Operator::Equals,
            Some('~') => Operator::HasWord,
            Some('|') => Operator::DashMatch,
            Some('^') => Operator::Prefix,
            Some('$') => Operator::Suffix,
            Some('*') => Operator::Substring,
            _ => return self.error("an attribute's comparison or ] is expected"),
        };
        if operator != Operator::Equals {
            self.rest = &self.rest[1..];
        }
        if !self.take('=') {
            return self.error("= is expected");
        }
        self.skip_space();
        let quote = self.rest.chars().next().filter(|char| matches!(char, '"' | '\''));
        let value = match quote {
            Some(quote) => {
                let Some((value, rest)) = self.rest[1..].split_once(quote) else {
                    return self.error("the quote stays open");
                };
                let value = value.to_owned();
                self.rest = rest;
                value
            }
            None => self.identifier()?,
        };
        self.skip_space();
        let ignore_case = self.take('i') || self.take('I');
        if !ignore_case && !self.take('s') {
            self.take('S');
        }
        self.skip_space();
        if !self.take(']') {
            return self.error("] is expected");
        }
        Ok(Test::Attribute { name, operator, value, ignore_case })
    }
}

/// Which compounds have matched around the node being walked.
pub(super) struct SelectorState<'a> {
    selectors: &'a Selectors,
    dom: &'a Dom,
    page: &'a str,
    ignore_case: bool,
    /// Of the element looked at last.
    current: Set,
    /// Of each open element: its own matches, and those of it and all above.
    frames: Vec<(Set, Set)>,
}

impl<'a> SelectorState<'a> {
    pub(super) fn new(selectors: &'a Selectors, dom: &'a Dom, page: &'a str, root: NodeId) -> Self {
        // 0.14.7 compares class and id without case, and its combinators see nothing above the root's children.
        let v1 = super::dialect(selectors.version) == Dialect::Lexbor230;
        let ignore_case = v1 || dom.quirks;
        let mut state = Self { selectors, dom, page, ignore_case, current: 0, frames: Vec::new() };
        if !v1 && !selectors.compounds.is_empty() {
            let mut ancestors = Vec::new();
            let mut node = root;
            while node != NONE {
                ancestors.push(node);
                node = dom.node(node).parent;
            }
            for &node in ancestors.iter().rev() {
                if dom.is_element(node) {
                    state.enters(node);
                    state.descend();
                }
            }
            // The walk descends from the root by itself.
            state.frames.pop();
        }
        state
    }

    /// Whether a selector matches the element, which is a child of the open element.
    pub(super) fn enters(&mut self, node: NodeId) -> bool {
        if self.selectors.compounds.is_empty() {
            return false;
        }
        let (parent, above) = self.frames.last().copied().unwrap_or((0, 0));
        self.current = 0;
        let mut matched = false;
        for (at, compound) in self.selectors.compounds.iter().enumerate() {
            let reachable = match compound.relation {
                Relation::First => true,
                Relation::Descendant => above >> (at - 1) & 1 == 1,
                Relation::Child => parent >> (at - 1) & 1 == 1,
            };
            if reachable && compound.tests.iter().all(|test| self.passes(node, test)) {
                self.current |= 1 << at;
                matched |= compound.last;
            }
        }
        matched
    }

    /// The walk goes into the element looked at last.
    pub(super) fn descend(&mut self) {
        if !self.selectors.compounds.is_empty() {
            let above = self.frames.last().map_or(0, |frame| frame.1);
            self.frames.push((self.current, above | self.current));
        }
    }

    /// The walk leaves the innermost open element.
    pub(super) fn ascend(&mut self) {
        self.frames.pop();
    }

    fn passes(&self, node: NodeId, test: &Test) -> bool {
        let equal = |a: &str, b: &str, ignore_case: bool| {
            if ignore_case { a.eq_ignore_ascii_case(b) } else { a == b }
        };
        let value = |name| self.dom.attribute(self.page, node, name);
        let has_word = |value: &str, word: &str, ignore_case| {
            value.split(is_space).any(|part| !part.is_empty() && equal(part, word, ignore_case))
        };
        match test {
            Test::Type(tag) => self.dom.node(node).tag == *tag,
            Test::Class(name) => {
                value(Attr::CLASS).is_some_and(|class| has_word(class, name, self.ignore_case))
            }
            Test::Id(name) => value(Attr::ID).is_some_and(|id| equal(id, name, self.ignore_case)),
            Test::Attribute { name, operator, value: wanted, ignore_case } => {
                let Some(found) = value(*name) else { return false };
                let ignore_case = *ignore_case;
                let part = |range: Option<&str>| range.is_some_and(|part| equal(part, wanted, ignore_case));
                match operator {
                    Operator::Exists => true,
                    Operator::Equals => equal(found, wanted, ignore_case),
                    Operator::HasWord => has_word(found, wanted, ignore_case),
                    Operator::DashMatch => {
                        part(found.get(..wanted.len()))
                            && matches!(found.as_bytes().get(wanted.len()), None | Some(b'-'))
                    }
                    Operator::Prefix => !wanted.is_empty() && part(found.get(..wanted.len())),
                    Operator::Suffix => {
                        !wanted.is_empty()
                            && found.len() >= wanted.len()
                            && part(found.get(found.len() - wanted.len()..))
                    }
                    Operator::Substring if wanted.is_empty() => false,
                    Operator::Substring if ignore_case => {
                        found.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
                    }
                    Operator::Substring => found.contains(wanted.as_str()),
                }
            }
        }
    }
}
