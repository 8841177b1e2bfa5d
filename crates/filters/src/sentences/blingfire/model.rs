//! BlingFire's packed automaton, read into a table.
//!
//! A model file (`.bin`, "LDB") is a number of parts: a directory, an automaton, the actions of its final states, a checksum. The
//! automaton's states lie one after another, each with its transitions in one of five ways (FARSDfa_pack_triv.cpp), over an alphabet that
//! characters are mapped to first (FAIwMap_pack.h). Some numbers are little-endian, some big-endian: that is the format.

use crate::sentences::ModelError;
use flate2::Crc;
use rustc_hash::FxHashMap;

/// Where no transition leads.
pub(super) const NOWHERE: u16 = u16::MAX;
/// Names of things that are no characters.
const ANY: u32 = 0;
pub(super) const LEFT_ANCHOR: u32 = 1;
pub(super) const RIGHT_ANCHOR: u32 = 2;

/// An automaton that finds the longest match from a place on, and says what to do with it.
pub(super) struct Model {
    /// Character → its place in the alphabet plus one, 0 for those that all go one way.
    alphabet: Vec<u8>,
    /// Letters and the one for all others: the width of `next`.
    width: usize,
    /// Where each state goes with each letter.
    next: Vec<u16>,
    /// What a state says of a match that ends in it.
    pub(super) actions: Vec<Option<Action>>,
    /// Calls within calls.
    pub(super) depth: u32,
}

/// What to do with a match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Action {
    /// What is around what was looked for, to be cut off.
    pub(super) left: i32,
    pub(super) right: i32,
    pub(super) is_token: bool,
    /// States in which to begin to look within the match, and whether that is the main one.
    pub(super) calls: Vec<(u16, bool)>,
}

pub(super) const INITIAL: u16 = 0;

impl Model {
    pub(super) fn letter(&self, char: u32) -> u8 {
        self.alphabet.get(char as usize).copied().unwrap_or(0)
    }

    pub(super) fn next(&self, state: u16, letter: u8) -> u16 {
        let at = usize::from(state) * self.width + usize::from(letter);
        self.next.get(at).copied().unwrap_or(NOWHERE)
    }

    pub(super) fn action(&self, state: u16) -> Option<&Action> {
        self.actions.get(usize::from(state))?.as_ref()
    }

    pub(super) fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        let [settings, automaton, actions] = parts(bytes)?;
        let settings =
            Map::new(settings)?.get(19).ok_or_else(|| bad("it has no settings for finding words"))?;
        let mut depth = 2;
        let (mut with_automaton, mut with_actions) = (false, false);
        for setting in settings.chunks(2) {
            match *setting {
                [38, levels] => depth = levels.clamp(0, 16).unsigned_abs(),
                [2, part] => with_automaton = part == 1,
                [25, part] => with_actions = part == 2,
                // Kinds of map and names of tags.
                [16, 1] | [51..=53, _] => {}
                _ => return Err(bad("it has settings that are not known here")),
            }
        }
        if !with_automaton || !with_actions {
            return Err(bad("its parts are not where they are looked for"));
        }
        let packed = Packed::new(automaton)?;
        packed.unpack(&Map::new(actions)?, depth)
    }
}

/// The parts of a model file, if the checksum in the last one is right.
fn parts(bytes: &[u8]) -> Result<[&[u8]; 3], ModelError> {
    let cut = || bad("it is cut off");
    let offset = |index: usize| Some(int(bytes, 4 * index)? as usize);
    if int(bytes, 0) != Some(4) {
        return Err(bad("it does not have four parts, as BlingFire's sbd.bin has"));
    }
    let mut all = [&[][..]; 4];
    for (index, part) in all.iter_mut().enumerate() {
        let from = offset(index + 1).ok_or_else(cut)?;
        let to = if index < 3 { offset(index + 2).ok_or_else(cut)? } else { bytes.len() };
        *part = bytes.get(from..to).ok_or_else(cut)?;
    }
    let [settings, automaton, actions, check] = all;
    let parts = [settings, automaton, actions];
    let mut sum = Crc::new();
    for part in parts {
        sum.update(part);
    }
    let size = parts.iter().map(|part| part.len()).sum::<usize>();
    if [int(check, 0), int(check, 4), int(check, 8)] != [Some(0), u32::try_from(size).ok(), Some(sum.sum())] {
        return Err(bad("its checksum is wrong: it is damaged, or no sbd.bin"));
    }
    Ok(parts)
}

/// Numbers by number (FAMultiMap_pack.cpp).
struct Map<'b> {
    bytes: &'b [u8],
    size: usize,
    last: u32,
    lists: usize,
}

impl<'b> Map<'b> {
    fn new(bytes: &'b [u8]) -> Result<Self, ModelError> {
        let (last, size) = (int(bytes, 0), int(bytes, 4));
        let (Some(last @ 0..=0xffff), Some(size @ 1..=4)) = (last, size) else {
            return Err(bad("a map in it has no head"));
        };
        let size = size as usize;
        // Lists begin at a multiple of four, behind a head of their own.
        let lists = (8 + size * (last as usize + 1)).next_multiple_of(4);
        Ok(Self { bytes, size, last, lists })
    }

    fn get(&self, key: u32) -> Option<Vec<i32>> {
        let at = big(self.bytes, 8 + self.size * key as usize, self.size)
            .filter(|at| *at > 0 && key <= self.last)?;
        let at = self.lists + at as usize - 1;
        // Only lists of four-byte numbers are read.
        let count =
            int(self.bytes, at).filter(|count| *count <= 64 && int(self.bytes, self.lists) == Some(4))?;
        (1..=count as usize).map(|index| Some(int(self.bytes, at + 4 * index)?.cast_signed())).collect()
    }
}

/// The automaton as it lies in the file.
struct Packed<'b> {
    bytes: &'b [u8],
    /// Bytes of the place of a state.
    width: usize,
    initial: usize,
    alphabet: Vec<u8>,
    letters: usize,
}

/// Where a transition leads.
enum To {
    State(usize),
    /// Nowhere, though there is a transition for all characters.
    Dead,
    /// There is none; the one for all characters counts, if there is one.
    Other,
}

impl<'b> Packed<'b> {
    fn new(bytes: &'b [u8]) -> Result<Self, ModelError> {
        let cut = || bad("its automaton is cut off");
        let width = int(bytes, 0).filter(|width| (1..=4).contains(width)).unwrap_or(3) as usize;
        let count = int(bytes, 8).ok_or_else(cut)?;
        if count & 0x8000_0000 == 0 {
            return Err(bad("its automaton has no alphabet of its own"));
        }
        let map = 12 + 4 * (count & 0x7fff_ffff) as usize;
        let size = int(bytes, map).ok_or_else(cut)? as usize;
        let (alphabet, letters) =
            alphabet(bytes.get(map + 4..).and_then(|map| map.get(..size)).ok_or_else(cut)?)?;
        Ok(Self { bytes, width, initial: map + 4 + size, alphabet, letters })
    }

    /// Follows all transitions from the first state on.
    fn unpack(&self, actions: &Map, depth: u32) -> Result<Model, ModelError> {
        let width = self.letters + 1;
        let mut order = vec![self.initial];
        let mut found: FxHashMap<usize, u16> = FxHashMap::from_iter([(self.initial, INITIAL)]);
        let mut next = Vec::new();
        let any = self.alphabet.first().copied().unwrap_or(0);
        let mut at = 0;
        while let Some(state) = order.get(at).copied() {
            at += 1;
            let all = if any == 0 { To::Other } else { self.go(state, u32::from(any) - 1)? };
            for letter in 0..width as u32 {
                let to = match letter.checked_sub(1) {
                    Some(letter) => self.go(state, letter)?,
                    None => To::Other,
                };
                let to = match (&to, &all) {
                    (To::State(to), _) | (To::Other, To::State(to)) => *to,
                    _ => {
                        next.push(NOWHERE);
                        continue;
                    }
                };
                let number = match found.get(&to) {
                    Some(number) => *number,
                    None => {
                        let number = u16::try_from(order.len()).ok().filter(|number| *number < 0x8000);
                        let number = number.ok_or_else(|| bad("its automaton has too many states"))?;
                        order.push(to);
                        found.insert(to, number);
                        number
                    }
                };
                next.push(number);
            }
        }
        let calls = self.calls()?;
        let actions = order
            .iter()
            .map(|state| {
                if self.byte(*state)? & 0x80 == 0 {
                    return Ok(None);
                }
                let rule = self.rule(*state)?;
                let list = u32::try_from(rule).ok().and_then(|rule| actions.get(rule));
                let list = list.ok_or_else(|| bad("a final state of it has no action"))?;
                action(&list, |function| calls(function).and_then(|state| found.get(&state).copied()))
                    .map(Some)
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Model { alphabet: self.alphabet.clone(), width, next, actions, depth })
    }

    /// Where each function begins: behind the right anchor and its number.
    fn calls(&self) -> Result<impl Fn(u32) -> Option<usize>, ModelError> {
        let letter = |name: u32| self.alphabet.get(name as usize)?.checked_sub(1).map(u32::from);
        let anchor = match letter(RIGHT_ANCHOR) {
            Some(letter) => self.go(self.initial, letter)?,
            None => To::Other,
        };
        Ok(move |function: u32| {
            let To::State(anchor) = anchor else { return None };
            match function {
                ANY => Some(self.initial),
                _ => match self.go(anchor, letter(function)?) {
                    Ok(To::State(state)) => Some(state),
                    _ => None,
                },
            }
        })
    }

    /// Where a state goes with a letter.
    fn go(&self, state: usize, letter: u32) -> Result<To, ModelError> {
        let head = self.byte(state)?;
        let size = usize::from((head >> 3) & 3) + 1;
        let at = state + 1;
        let letter_at = |at: usize| self.letter_at(at, size);
        let (places, index) = match head & 7 {
            0 => return Ok(To::Other),
            // One letter, to the state behind this one.
            2 => {
                let behind = at + size + [0, 1, 2, 4][usize::from((head >> 5) & 3)];
                return Ok(if letter_at(at)? == letter { To::State(behind) } else { To::Other });
            }
            // Letters, and as many places.
            4 => {
                let count = letter_at(at)? as usize + 1;
                let letters = at + size;
                let index = self.last_not_above(letters, size, count, letter)?;
                let index = match index {
                    Some(index) if letter_at(letters + size * index)? == letter => index,
                    _ => return Ok(To::Other),
                };
                (letters + size * count, index)
            }
            // A first and a last letter, and a place for each between them.
            6 => {
                let (first, last) = (letter_at(at)?, letter_at(at + size)?);
                if letter < first || letter > last {
                    return Ok(To::Other);
                }
                (at + 2 * size, (letter - first) as usize)
            }
            // First letters, last letters, and as many places.
            1 => {
                let count = letter_at(at)? as usize + 1;
                let firsts = at + size;
                let lasts = firsts + size * count;
                let index = match self.last_not_above(firsts, size, count, letter)? {
                    Some(index) if letter <= letter_at(lasts + size * index)? => index,
                    _ => return Ok(To::Other),
                };
                (lasts + size * count, index)
            }
            _ => return Err(bad("a state of it has transitions of no known kind")),
        };
        let place = big(self.bytes, places + self.width * index, self.width)
            .ok_or_else(|| bad("a state of it is cut off"))?;
        Ok(match place {
            0 if head & 7 == 6 => To::Other,
            place if place == u32::MAX >> (32 - 8 * self.width) => To::Dead,
            place => To::State(place as usize),
        })
    }

    /// The last of some letters in order that is not above one.
    fn last_not_above(
        &self,
        at: usize,
        size: usize,
        count: usize,
        letter: u32,
    ) -> Result<Option<usize>, ModelError> {
        let (mut from, mut to) = (0, count);
        while from < to {
            let middle = usize::midpoint(from, to);
            if self.letter_at(at + size * middle, size)? <= letter {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from.checked_sub(1))
    }

    /// The rule that a final state stands for; it is written behind its transitions (FAState2Ow_pack_triv.cpp).
    fn rule(&self, state: usize) -> Result<i32, ModelError> {
        let head = self.byte(state)?;
        let size = usize::from((head >> 3) & 3) + 1;
        let at = state + 1;
        let number = |at: usize| self.letter_at(at, size).map(|number| number as usize);
        let behind = match head & 7 {
            0 => at,
            2 => at + size,
            4 => at + size + (number(at)? + 1) * (size + self.width),
            6 => at + 2 * size + (number(at + size)?.saturating_sub(number(at)?) + 1) * self.width,
            1 => at + size + (number(at)? + 1) * (2 * size + self.width),
            _ => return Err(bad("a state of it has transitions of no known kind")),
        };
        match (head >> 5) & 3 {
            1 => self.byte(behind).map(|byte| i32::from(byte.cast_signed())),
            2 => self.letter_at(behind, 2).map(|short| i32::from((short as u16).cast_signed())),
            3 => self.letter_at(behind, 4).map(u32::cast_signed),
            _ => Err(bad("a final state of it has no rule")),
        }
    }

    fn byte(&self, at: usize) -> Result<u8, ModelError> {
        self.bytes.get(at).copied().ok_or_else(|| bad("a state of it is cut off"))
    }

    /// A little-endian number of one, two or four bytes.
    fn letter_at(&self, at: usize, size: usize) -> Result<u32, ModelError> {
        let bytes = self.bytes.get(at..at.saturating_add(size));
        let bytes = bytes.filter(|_| size != 3).ok_or_else(|| bad("a state of it is cut off"))?;
        Ok(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }
}

/// Character → letter plus one, and the number of letters.
fn alphabet(map: &[u8]) -> Result<(Vec<u8>, usize), ModelError> {
    let cut = || bad("its alphabet is cut off");
    let size = int(map, 0).filter(|size| (1..=4).contains(size)).ok_or_else(cut)? as usize;
    let count = int(map, 4).filter(|count| *count <= 0xffff).ok_or_else(cut)? as usize;
    let (mut alphabet, mut letters) = (Vec::new(), 0);
    for index in 0..count {
        let from = int(map, 8 + 4 * index).ok_or_else(cut)?;
        let pair = 8 + 4 * count + 8 * index;
        let (to, offset) = (int(map, pair).ok_or_else(cut)?, int(map, pair + 4).ok_or_else(cut)? as usize);
        if from > to || to > 0x0010_ffff {
            return Err(bad("its alphabet has characters that do not exist"));
        }
        alphabet.resize(alphabet.len().max(to as usize + 1), 0);
        for char in from..=to {
            let at = 8 + 12 * count + offset + size * (char - from) as usize;
            let letter = big(map, at, size).ok_or_else(cut)?;
            let letter = u8::try_from(letter).map_err(|_| bad("its alphabet has too many letters"))?;
            letters = letters.max(usize::from(letter));
            if let Some(place) = alphabet.get_mut(char as usize) {
                *place = letter;
            }
        }
    }
    Ok((alphabet, letters))
}

/// Left, right, and then a tag, or 0 and functions, or a tag, 0 and functions.
fn action(list: &[i32], begins: impl Fn(u32) -> Option<u16>) -> Result<Action, ModelError> {
    let (left, right, is_token, functions) = match list {
        [left, right, tag, 0, functions @ ..] if *tag != 0 && !functions.is_empty() => {
            (left, right, true, functions)
        }
        [left, right, 0, functions @ ..] if !functions.is_empty() => (left, right, false, functions),
        [left, right, tag] if *tag != 0 => (left, right, true, &[][..]),
        _ => return Err(bad("it has an action that means nothing")),
    };
    let calls = functions.iter().map(|function| {
        let state = u32::try_from(*function).ok().and_then(&begins);
        Ok((state.ok_or_else(|| bad("it calls a function that it does not have"))?, *function == 0))
    });
    // No rule looks further than a token may be long.
    if [left, right].iter().any(|context| context.unsigned_abs() > 0xffff) {
        return Err(bad("it has an action that means nothing"));
    }
    Ok(Action { left: *left, right: *right, is_token, calls: calls.collect::<Result<_, ModelError>>()? })
}

/// A little-endian number.
fn int(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// A big-endian number of up to four bytes.
fn big(bytes: &[u8], at: usize, size: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

fn bad(problem: &str) -> ModelError {
    ModelError::new("model of BlingFire", problem.to_owned())
}
