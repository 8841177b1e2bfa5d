//! The stack machine, as far as collections of strings need it.

use super::PickleError;
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// A place among the objects that a pickle made. Collections hold places, so that nothing is copied.
pub(super) type Place = u32;

/// What a pickle makes.
#[derive(Debug)]
pub(super) enum Object<'p> {
    Text(Cow<'p, str>),
    Number(i64),
    /// A list, set or frozenset, or a dictionary's keys.
    Entries {
        places: Vec<Place>,
        is_tuple: bool,
    },
    Name {
        module: Cow<'p, str>,
        name: Cow<'p, str>,
    },
    Regex {
        pattern: String,
        flags: i64,
    },
    /// What lists of strings have no use for.
    Other(&'static str),
}

impl Object<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Entries { is_tuple: false, .. } => "a collection",
            Self::Entries { is_tuple: true, .. } => "a tuple",
            Self::Name { .. } => "a name",
            Self::Regex { .. } => "a regex",
            Self::Other(kind) => kind,
        }
    }
}

/// The machine after its run.
pub(super) struct Machine<'p> {
    input: &'p [u8],
    at: usize,
    /// Where the opcode stands that is being obeyed.
    opcode_at: usize,
    objects: Vec<Object<'p>>,
    stack: Vec<Place>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: FxHashMap<u64, Place>,
    memoized: u64,
}

type Done = Result<(), PickleError>;

impl<'p> Machine<'p> {
    /// Runs a pickle to its end. One object is on the stack then.
    pub(super) fn run(input: &'p [u8]) -> Result<Self, PickleError> {
        let mut machine = Self {
            input,
            at: 0,
            opcode_at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: FxHashMap::default(),
            memoized: 0,
        };
        loop {
            machine.opcode_at = machine.at;
            let [opcode] = machine.array()?;
            if opcode == b'.' {
                machine.top(opcode)?;
                return Ok(machine);
            }
            machine.obey(opcode)?;
        }
    }

    pub(super) fn object(&self, place: Place) -> &Object<'p> {
        self.objects.get(place as usize).unwrap_or(&Object::Other("nothing"))
    }

    pub(super) fn result(&self) -> &Object<'p> {
        self.object(self.stack.last().copied().unwrap_or(Place::MAX))
    }

    /// The entries of the result, if it is a collection.
    pub(super) fn entries(&self) -> &[Place] {
        match self.result() {
            Object::Entries { places, .. } => places,
            _ => &[],
        }
    }

    fn obey(&mut self, opcode: u8) -> Done {
        match opcode {
            b'\x80' => self.take(1).map(drop),
            b'\x95' => self.take(8).map(drop),

            // Strings
            b'\x8c' => self.text(1),
            b'X' => self.text(4),
            b'\x8d' => self.text(8),
            b'V' => self.escaped_text(),
            b'U' => self.ascii(1),
            b'T' => self.ascii(4),
            b'S' => self.quoted_ascii(),

            // What dictionaries may hold
            b'C' => self.bytes(1),
            b'B' => self.bytes(4),
            b'\x8e' | b'\x96' => self.bytes(8),
            b'K' => self.number(1),
            b'M' => self.number(2),
            b'J' => self.number(4),
            b'\x8a' => self.long(1),
            b'\x8b' => self.long(4),
            b'I' | b'L' => {
                let line = self.line()?;
                let digits = std::str::from_utf8(line).unwrap_or_default().trim_end_matches('L');
                self.push(digits.parse().map_or(Object::Other("a number"), Object::Number))
            }
            b'F' => self.line().map(drop).and_then(|()| self.push(Object::Other("a number"))),
            b'G' => self.take(8).map(drop).and_then(|()| self.push(Object::Other("a number"))),
            b'N' => self.push(Object::Other("None")),
            b'\x88' | b'\x89' => self.push(Object::Other("a truth value")),

            // Collections
            b']' | b'\x8f' | b'}' => self.push(Object::Entries { places: Vec::new(), is_tuple: false }),
            b')' => self.push(Object::Entries { places: Vec::new(), is_tuple: true }),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'l' | b'\x91' => self.collect(opcode, false),
            b't' => self.collect(opcode, true),
            b'\x85'..=b'\x87' => self.short_tuple(opcode),
            b'd' => {
                let pairs = self.since_mark(opcode)?;
                let places = self.keys(pairs, opcode)?;
                self.push(Object::Entries { places, is_tuple: false })
            }
            b'a' => {
                let entry = self.pop(opcode)?;
                self.extend(vec![entry], opcode)
            }
            b'e' | b'\x90' => {
                let entries = self.since_mark(opcode)?;
                self.extend(entries, opcode)
            }
            b's' => {
                self.pop(opcode)?;
                let key = self.pop(opcode)?;
                self.extend(vec![key], opcode)
            }
            b'u' => {
                let pairs = self.since_mark(opcode)?;
                let keys = self.keys(pairs, opcode)?;
                self.extend(keys, opcode)
            }

            // The stack and the memo
            b'0' => self.pop(opcode).map(drop),
            b'1' => self.since_mark(opcode).map(drop),
            b'2' => {
                let top = self.top(opcode)?;
                self.stack.push(top);
                Ok(())
            }
            b'p' => {
                let index = self.decimal(opcode)?;
                self.put(index, opcode)
            }
            b'q' => {
                let index = self.little(1)?;
                self.put(index, opcode)
            }
            b'r' => {
                let index = self.little(4)?;
                self.put(index, opcode)
            }
            b'\x94' => self.put(self.memoized, opcode),
            b'g' => {
                let index = self.decimal(opcode)?;
                self.get(index, opcode)
            }
            b'h' => {
                let index = self.little(1)?;
                self.get(index, opcode)
            }
            b'j' => {
                let index = self.little(4)?;
                self.get(index, opcode)
            }

            // Names, and calls that are known
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let (module, name) = (self.utf8(module)?, self.utf8(name)?);
                self.push(Object::Name { module: Cow::Borrowed(module), name: Cow::Borrowed(name) })
            }
            b'\x93' => {
                let (name, module) = (self.pop(opcode)?, self.pop(opcode)?);
                let (Object::Text(module), Object::Text(name)) = (self.object(module), self.object(name))
                else {
                    return Err(self.malformed(opcode));
                };
                let named = Object::Name { module: module.clone(), name: name.clone() };
                self.push(named)
            }
            b'R' => self.call(opcode),
            _ => Err(PickleError::Opcode { name: name_of(opcode), at: self.opcode_at }),
        }
    }

    /// What a call would make, if it is a known one.
    fn call(&mut self, opcode: u8) -> Done {
        let (arguments, callee) = (self.pop(opcode)?, self.pop(opcode)?);
        let Object::Name { module, name } = self.object(callee) else { return Err(self.malformed(opcode)) };
        let Object::Entries { places: arguments, is_tuple: true } = self.object(arguments) else {
            return Err(self.malformed(opcode));
        };
        match (&**module, &**name, &arguments[..]) {
            ("builtins" | "__builtin__", "set" | "frozenset", []) => {
                self.push(Object::Entries { places: Vec::new(), is_tuple: false })
            }
            ("builtins" | "__builtin__", "set" | "frozenset", [list]) => match self.object(*list) {
                // The list stands for the set of its entries.
                Object::Entries { .. } => {
                    self.stack.push(*list);
                    Ok(())
                }
                _ => Err(self.malformed(opcode)),
            },
            ("re", "_compile", [pattern, flags]) => match (self.object(*pattern), self.object(*flags)) {
                (Object::Text(pattern), Object::Number(flags)) => {
                    let regex = Object::Regex { pattern: pattern.clone().into_owned(), flags: *flags };
                    self.push(regex)
                }
                _ => Err(self.malformed(opcode)),
            },
            ("builtins" | "__builtin__", "set" | "frozenset", _) | ("re", "_compile", _) => {
                Err(self.malformed(opcode))
            }
            (module, name, _) => {
                Err(PickleError::Call { name: shown(&format!("{module}.{name}")), at: self.opcode_at })
            }
        }
    }

    fn push(&mut self, object: Object<'p>) -> Done {
        let Ok(place) = Place::try_from(self.objects.len()) else {
            return Err(PickleError::Truncated { at: self.opcode_at });
        };
        self.objects.push(object);
        self.stack.push(place);
        Ok(())
    }

    /// The uppermost object, unless a mark lies above it.
    fn top(&self, opcode: u8) -> Result<Place, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Place]>::last).copied().ok_or_else(|| self.malformed(opcode))
    }

    fn pop(&mut self, opcode: u8) -> Result<Place, PickleError> {
        let top = self.top(opcode)?;
        self.stack.pop();
        Ok(top)
    }

    fn since_mark(&mut self, opcode: u8) -> Result<Vec<Place>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed(opcode))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn collect(&mut self, opcode: u8, is_tuple: bool) -> Done {
        let places = self.since_mark(opcode)?;
        self.push(Object::Entries { places, is_tuple })
    }

    fn short_tuple(&mut self, opcode: u8) -> Done {
        let mut places = Vec::new();
        for _ in 0..opcode - 0x84 {
            places.push(self.pop(opcode)?);
        }
        places.reverse();
        self.push(Object::Entries { places, is_tuple: true })
    }

    /// The first of every two.
    fn keys(&self, pairs: Vec<Place>, opcode: u8) -> Result<Vec<Place>, PickleError> {
        if pairs.len() % 2 == 1 {
            return Err(self.malformed(opcode));
        }
        Ok(pairs.into_iter().step_by(2).collect())
    }

    /// Puts entries into the collection on the stack.
    fn extend(&mut self, entries: Vec<Place>, opcode: u8) -> Done {
        let collection = self.top(opcode)?;
        match self.objects.get_mut(collection as usize) {
            Some(Object::Entries { places, is_tuple: false }) => {
                places.extend(entries);
                Ok(())
            }
            _ => Err(self.malformed(opcode)),
        }
    }

    fn put(&mut self, index: u64, opcode: u8) -> Done {
        let top = self.top(opcode)?;
        self.memo.insert(index, top);
        self.memoized += 1;
        Ok(())
    }

    fn get(&mut self, index: u64, opcode: u8) -> Done {
        let place = self.memo.get(&index).copied().ok_or_else(|| self.malformed(opcode))?;
        self.stack.push(place);
        Ok(())
    }

    fn text(&mut self, width: usize) -> Done {
        let bytes = self.counted(width)?;
        let text = self.utf8(bytes)?;
        self.push(Object::Text(Cow::Borrowed(text)))
    }

    /// A line in the encoding `raw-unicode-escape`.
    fn escaped_text(&mut self) -> Done {
        let line = self.line()?;
        let text = raw_unicode_escape(line).ok_or(PickleError::NotText { at: self.opcode_at })?;
        self.push(Object::Text(Cow::Owned(text)))
    }

    /// Python 2's strings of bytes, which Python 3 takes for ASCII.
    fn ascii(&mut self, width: usize) -> Done {
        let bytes = self.counted(width)?;
        if !bytes.is_ascii() {
            return Err(PickleError::NotText { at: self.opcode_at });
        }
        let text = self.utf8(bytes)?;
        self.push(Object::Text(Cow::Borrowed(text)))
    }

    /// The same as a literal in quotes.
    fn quoted_ascii(&mut self) -> Done {
        let line = self.line()?;
        let text = unquote(line).ok_or(PickleError::NotText { at: self.opcode_at })?;
        self.push(Object::Text(Cow::Owned(text)))
    }

    fn bytes(&mut self, width: usize) -> Done {
        self.counted(width)?;
        self.push(Object::Other("a string of bytes"))
    }

    fn number(&mut self, width: usize) -> Done {
        let value = self.little(width)?;
        // Only the number of four bytes has a sign.
        let value = if width == 4 { i64::from(value as u32 as i32) } else { value as i64 };
        self.push(Object::Number(value))
    }

    fn long(&mut self, width: usize) -> Done {
        self.counted(width)?;
        self.push(Object::Other("a number"))
    }

    fn utf8(&self, bytes: &'p [u8]) -> Result<&'p str, PickleError> {
        std::str::from_utf8(bytes).map_err(|_| PickleError::NotText { at: self.opcode_at })
    }

    fn take(&mut self, length: usize) -> Result<&'p [u8], PickleError> {
        let end = self.at.checked_add(length);
        let bytes = end.and_then(|end| self.input.get(self.at..end));
        let bytes = bytes.ok_or(PickleError::Truncated { at: self.opcode_at })?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        self.take(N)?.try_into().map_err(|_| PickleError::Truncated { at: self.opcode_at })
    }

    /// A number of so many bytes, the lowest first.
    fn little(&mut self, width: usize) -> Result<u64, PickleError> {
        Ok(self.take(width)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// As many bytes as the number before them says.
    fn counted(&mut self, width: usize) -> Result<&'p [u8], PickleError> {
        let length = self.little(width)?;
        let length = usize::try_from(length).map_err(|_| PickleError::Truncated { at: self.opcode_at })?;
        self.take(length)
    }

    /// Up to the next line feed, which is passed over.
    fn line(&mut self) -> Result<&'p [u8], PickleError> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).ok_or(PickleError::Truncated { at: self.opcode_at })?;
        let line = self.take(length)?;
        self.take(1)?;
        Ok(line)
    }

    fn decimal(&mut self, opcode: u8) -> Result<u64, PickleError> {
        let line = self.line()?;
        let number = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
        number.ok_or_else(|| self.malformed(opcode))
    }

    fn malformed(&self, opcode: u8) -> PickleError {
        PickleError::Malformed { name: name_of(opcode), at: self.opcode_at }
    }
}

/// `\uXXXX` and `\UXXXXXXXX` are characters; every other byte is the character of that number.
fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                rest = tail;
                continue;
            }
        };
        let hex = std::str::from_utf8(tail.get(1..=digits)?).ok()?;
        text.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = tail.get(digits + 1..)?;
    }
    Some(text)
}

/// A literal of ASCII in quotes, with the escapes that `repr` writes.
fn unquote(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.is_ascii())?.trim();
    let inner = ['\'', '"'].iter().find_map(|&quote| line.strip_prefix(quote)?.strip_suffix(quote))?;
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next()? {
                char @ ('\\' | '\'' | '"') => char,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'x' => {
                    let hex: String = chars.by_ref().take(2).collect();
                    char::from(u8::from_str_radix(&hex, 16).ok().filter(u8::is_ascii)?)
                }
                _ => return None,
            },
            char => char,
        });
    }
    Some(text)
}

/// The names of `pickletools`, for messages.
fn name_of(opcode: u8) -> String {
    let name = match opcode {
        b'.' => "STOP",
        b'(' => "MARK",
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'a' => "APPEND",
        b'b' => "BUILD",
        b'd' => "DICT",
        b'e' => "APPENDS",
        b'g' => "GET",
        b'h' => "BINGET",
        b'i' => "INST",
        b'j' => "LONG_BINGET",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        b'q' => "BINPUT",
        b'r' => "LONG_BINPUT",
        b's' => "SETITEM",
        b't' => "TUPLE",
        b'u' => "SETITEMS",
        b'P' => "PERSID",
        b'Q' => "BINPERSID",
        b'R' => "REDUCE",
        0x81 => "NEWOBJ",
        0x82..=0x84 => "EXT",
        0x85 => "TUPLE1",
        0x86 => "TUPLE2",
        0x87 => "TUPLE3",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        0x94 => "MEMOIZE",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return format!("{opcode:#04x}"),
    };
    name.to_owned()
}

/// The beginning of a name that somebody else wrote, fit for a message.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
