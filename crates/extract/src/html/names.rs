//! Tag and attribute names as small numbers.
//!
//! Names that the HTML standard's tree construction or an extractor asks about are known at compile time and have a
//! constant; each document numbers its other tag names on from there ([`Names`]). Comparing names is comparing integers,
//! and what the standard says about groups of elements ("special", "formatting", scope boundaries) is one table look-up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

/// An element's local name in lower case, whatever its namespace. Numbers below [`Tag::KNOWN`] are the constants below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Tag(pub(crate) u32);

/// An attribute's name. Only names somebody asks about have a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Attr(pub(crate) u16);

macro_rules! numbered {
    ($type:ident: $repr:ty, $names:ident, $($constant:ident $name:literal)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, dead_code)]
        #[repr(u8)]
        enum Position { $($constant,)* Count }
        impl $type {
            $(#[allow(dead_code)] pub(crate) const $constant: Self = Self(Position::$constant as $repr);)*
            /// How many names are known at compile time.
            pub(crate) const KNOWN: usize = Position::Count as usize;
        }
        const $names: [&str; $type::KNOWN] = [$($name,)*];
    };
}

mod tags {
    use super::Tag;
    numbered! { Tag: u32, TAG_NAMES,
        A "a" ABBR "abbr" ACRONYM "acronym" ADDRESS "address" ANNOTATION "annotation" ANNOTATION_XML "annotation-xml" APPLET "applet" AREA "area"
        ARTICLE "article" ASIDE "aside" AUDIO "audio" B "b" BASE "base" BASEFONT "basefont" BDO "bdo" BGSOUND "bgsound" BIG "big"
        BLOCKQUOTE "blockquote" BODY "body" BR "br" BUTTON "button" CANVAS "canvas" CAPTION "caption" CENTER "center"
        CITE "cite" CODE "code" COL "col" COLGROUP "colgroup" DD "dd" DEL "del" DESC "desc" DETAILS "details"
        DFN "dfn" DIALOG "dialog" DIR "dir" DIV "div" DL "dl" DT "dt" EM "em" EMBED "embed" FIELDSET "fieldset"
        FIGCAPTION "figcaption" FIGURE "figure" FONT "font" FOOTER "footer" FOREIGNOBJECT "foreignobject" FORM "form"
        FRAME "frame" FRAMESET "frameset" G "g" H1 "h1" H2 "h2" H3 "h3" H4 "h4" H5 "h5" H6 "h6" HEAD "head"
        HEADER "header" HGROUP "hgroup" HR "hr" HTML "html" I "i" IFRAME "iframe" IMAGE "image" IMG "img"
        INPUT "input" INS "ins" ISINDEX "isindex" KBD "kbd" KEYGEN "keygen" LABEL "label" LAYER "layer" LEGEND "legend" LI "li" LINK "link"
        LISTING "listing" MAIN "main" MALIGNMARK "malignmark" MAP "map" MARK "mark" MARQUEE "marquee" MATH "math" MENU "menu"
        META "meta" MGLYPH "mglyph" MI "mi" MN "mn" MO "mo" MS "ms" MTEXT "mtext" NAV "nav" NOBR "nobr"
        NOEMBED "noembed" NOFRAMES "noframes" NOSCRIPT "noscript" OBJECT "object" OL "ol" OPTGROUP "optgroup"
        OPTION "option" P "p" PARAM "param" PATH "path" PICTURE "picture" PLAINTEXT "plaintext" PRE "pre" Q "q"
        RB "rb" RP "rp" RT "rt" RTC "rtc" RUBY "ruby" S "s" SAMP "samp" SCRIPT "script" SEARCH "search"
        SECTION "section" SELECT "select" SMALL "small" SOURCE "source" SPAN "span" STRIKE "strike" STRONG "strong"
        STYLE "style" SUB "sub" SUMMARY "summary" SUP "sup" SVG "svg" TABLE "table" TBODY "tbody" TD "td"
        TEMPLATE "template" TEXTAREA "textarea" TFOOT "tfoot" TH "th" THEAD "thead" TIME "time" TITLE "title" TR "tr"
        TRACK "track" TT "tt" U "u" UL "ul" USE "use" VAR "var" VIDEO "video" WBR "wbr" XMP "xmp"
    }
    pub(super) const NAMES: [&str; Tag::KNOWN] = TAG_NAMES;
}

mod attributes {
    use super::Attr;
    numbered! { Attr: u16, ATTR_NAMES,
        ALT "alt" ALTTEXT "alttext" ARIA_EXPANDED "aria-expanded" ARIA_HIDDEN "aria-hidden" CLASS "class" COLOR "color" COLSPAN "colspan" DATA_AD "data-ad"
        DATA_ADVERTISEMENT "data-advertisement" DATA_TEXT_AD "data-text-ad" DISPLAY "display" ENCODING "encoding" FACE "face"
        HIDDEN "hidden" HREF "href" ID "id" ITEMPROP "itemprop" ITEMTYPE "itemtype" PLACEHOLDER "placeholder" REL "rel" ROLE "role"
        SIZE "size" START "start" STYLE "style" TITLE "title" TYPE "type" VALUE "value"
        XLINK_HREF "xlink:href" XLINK_ROLE "xlink:role" XLINK_TITLE "xlink:title" XLINK_TYPE "xlink:type"
    }
    pub(super) const NAMES: [&str; Attr::KNOWN] = ATTR_NAMES;
}

// Attribute sets are bits of a u64.
const _: () = assert!(Attr::KNOWN < 64);

impl Attr {
    /// This attribute as a bit of a set of known attributes; callers' own attributes have none.
    pub(crate) const fn bit(self) -> u64 {
        if (self.0 as usize) < Attr::KNOWN { 1 << self.0 } else { 0 }
    }

    /// The known attribute of that name.
    pub(crate) fn known(name: &str) -> Option<Self> {
        attributes::NAMES.iter().position(|known| *known == name).map(|at| Self(at as u16))
    }

    /// What a foreign element calls an attribute: `xlink:href` answers to `href` (HTML standard, "adjust foreign
    /// attributes", which makes the prefix a namespace).
    pub(crate) const fn in_foreign_content(self) -> Self {
        match self {
            Self::XLINK_HREF => Self::HREF,
            Self::XLINK_ROLE => Self::ROLE,
            Self::XLINK_TITLE => Self::TITLE,
            Self::XLINK_TYPE => Self::TYPE,
            other => other,
        }
    }
}

/// A name of up to 16 bytes in lower case as one integer, zero-padded: a key for look-up and for equality at once.
/// Built byte by byte while the tokenizer looks for the name's end.
#[derive(Clone, Copy, Default)]
pub(crate) struct NameKey {
    packed: u128,
    length: u32,
}

impl NameKey {
    #[inline(always)]
    pub(crate) fn push(&mut self, byte: u8) {
        if self.length < 16 {
            self.packed |= u128::from(byte.to_ascii_lowercase()) << (8 * self.length);
        }
        // A NUL would read as the padding; no known name is as long as this.
        self.length += if byte == 0 { 1 << 16 } else { 1 };
    }

    const fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut packed = 0u128;
        let mut at = 0;
        while at < bytes.len() && at < 16 {
            packed |= (bytes[at] as u128) << (8 * at);
            at += 1;
        }
        Self { packed, length: bytes.len() as u32 }
    }

    const fn slot<const SLOTS: usize>(self) -> usize {
        let folded = (self.packed as u64) ^ ((self.packed >> 64) as u64).rotate_left(29) ^ self.length as u64;
        (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % SLOTS
    }
}

/// Open addressing over the known names, filled at compile time. An empty slot has length 0.
struct Table<const SLOTS: usize> {
    slots: [(u128, u32, u16); SLOTS],
}

impl<const SLOTS: usize> Table<SLOTS> {
    const fn new(names: &[&str]) -> Self {
        let mut slots = [(0u128, 0u32, 0u16); SLOTS];
        let mut at = 0;
        while at < names.len() {
            let key = NameKey::of(names[at]);
            let mut slot = key.slot::<SLOTS>();
            while slots[slot].1 != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = (key.packed, key.length, at as u16);
            at += 1;
        }
        Self { slots }
    }

    /// The number of the name with this key. Two names longer than 16 bytes may share a key, so such a hit is only a
    /// candidate: the caller compares the name itself.
    #[inline]
    fn find(&self, key: NameKey) -> Option<u16> {
        let mut slot = key.slot::<SLOTS>();
        loop {
            let (packed, length, number) = self.slots[slot];
            if length == 0 {
                return None;
            }
            if packed == key.packed && length == key.length {
                return Some(number);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

static TAGS: Table<1024> = Table::new(&tags::NAMES);
static ATTRIBUTES: Table<256> = Table::new(&attributes::NAMES);

/// The known attribute a tokenized name is, `name` being its bytes as written.
#[inline]
pub(crate) fn attribute(key: NameKey, name: &[u8]) -> Option<Attr> {
    let number = ATTRIBUTES.find(key)?;
    (key.length <= 16 || name.eq_ignore_ascii_case(attributes::NAMES[number as usize].as_bytes()))
        .then_some(Attr(number))
}

/// The tag names of one document: the known ones and those it brings along.
#[derive(Default)]
pub(crate) struct Names {
    // SipHash with fixed keys: deterministic, and colliding names are not to be had by writing them down.
    numbers: HashMap<Box<[u8]>, u32, BuildHasherDefault<DefaultHasher>>,
    listed: Vec<Box<[u8]>>,
    kept: usize,
}

impl Names {
    /// Forgets what a document brought along, but not the names asked for by [`Names::keep`].
    pub(crate) fn clear(&mut self) {
        for name in self.listed.drain(self.kept..) {
            self.numbers.remove(&name);
        }
    }

    /// The number of a tokenized name, `name` being its bytes as written.
    #[inline]
    pub(crate) fn tag(&mut self, key: NameKey, name: &[u8]) -> Tag {
        match TAGS.find(key) {
            Some(number) if key.length <= 16 => Tag(u32::from(number)),
            _ => self.unknown(name),
        }
    }

    #[cold]
    fn unknown(&mut self, name: &[u8]) -> Tag {
        let name = name.to_ascii_lowercase();
        if let Some(&number) = self.numbers.get(name.as_slice()) {
            return Tag(number);
        }
        let number = (Tag::KNOWN + self.listed.len()) as u32;
        let name = name.into_boxed_slice();
        self.listed.push(name.clone());
        self.numbers.insert(name, number);
        Tag(number)
    }

    /// A name by its number.
    #[cfg(test)]
    pub(crate) fn name(&self, tag: Tag) -> &[u8] {
        match (tag.0 as usize).checked_sub(Tag::KNOWN) {
            Some(at) => &self.listed[at],
            None => tag.known_name().as_bytes(),
        }
    }

    /// The number of a name that a caller's selector mentions; it stays the same over documents.
    pub(crate) fn keep(&mut self, name: &str) -> Tag {
        let mut key = NameKey::default();
        name.bytes().for_each(|byte| key.push(byte));
        let tag = self.tag(key, name.as_bytes());
        self.kept = self.listed.len();
        tag
    }
}

/// What the standard and the extractors say about groups of HTML elements, as bits.
pub(crate) mod group {
    /// "Special" elements of the HTML namespace (HTML standard 13.2.4.2).
    pub(crate) const SPECIAL: u16 = 1;
    /// Formatting elements, which the list of active formatting elements remembers.
    pub(crate) const FORMATTING: u16 = 1 << 1;
    /// Boundaries of "in scope".
    pub(crate) const SCOPE: u16 = 1 << 2;
    /// Elements whose end tag may be left out: "generate implied end tags" pops them.
    pub(crate) const IMPLIED_END: u16 = 1 << 3;
    /// Start tags that end foreign content.
    pub(crate) const BREAKS_OUT: u16 = 1 << 4;
    /// What "reset the insertion mode appropriately" looks for.
    pub(crate) const RESETS: u16 = 1 << 5;
    /// Special elements that do not stop `<li>`, `<dd>` and `<dt>` from looking for one to close.
    pub(crate) const LI_PASSES: u16 = 1 << 6;
    /// Table, and what stands between it and a cell: text directly inside is foster-parented.
    pub(crate) const FOSTERS: u16 = 1 << 7;
}

static GROUPS: [u16; Tag::KNOWN] = groups();

const fn groups() -> [u16; Tag::KNOWN] {
    use group::{BREAKS_OUT, FORMATTING, FOSTERS, IMPLIED_END, LI_PASSES, RESETS, SCOPE, SPECIAL};
    let lists: [(u16, &[Tag]); 8] = [
        (
            SPECIAL,
            &[
                Tag::ADDRESS,
                Tag::APPLET,
                Tag::AREA,
                Tag::ARTICLE,
                Tag::ASIDE,
                Tag::BASE,
                Tag::BASEFONT,
                Tag::BGSOUND,
                Tag::BLOCKQUOTE,
                Tag::BODY,
                Tag::BR,
                Tag::BUTTON,
                Tag::CAPTION,
                Tag::CENTER,
                Tag::COL,
                Tag::COLGROUP,
                Tag::DD,
                Tag::DETAILS,
                Tag::DIR,
                Tag::DIV,
                Tag::DL,
                Tag::DT,
                Tag::EMBED,
                Tag::FIELDSET,
                Tag::FIGCAPTION,
                Tag::FIGURE,
                Tag::FOOTER,
                Tag::FORM,
                Tag::FRAME,
                Tag::FRAMESET,
                Tag::H1,
                Tag::H2,
                Tag::H3,
                Tag::H4,
                Tag::H5,
                Tag::H6,
                Tag::HEAD,
                Tag::HEADER,
                Tag::HGROUP,
                Tag::HR,
                Tag::HTML,
                Tag::IFRAME,
                Tag::IMG,
                Tag::INPUT,
                Tag::KEYGEN,
                Tag::LI,
                Tag::LINK,
                Tag::LISTING,
                Tag::MAIN,
                Tag::MARQUEE,
                Tag::MENU,
                Tag::META,
                Tag::NAV,
                Tag::NOEMBED,
                Tag::NOFRAMES,
                Tag::NOSCRIPT,
                Tag::OBJECT,
                Tag::OL,
                Tag::P,
                Tag::PARAM,
                Tag::PLAINTEXT,
                Tag::PRE,
                Tag::SCRIPT,
                Tag::SEARCH,
                Tag::SECTION,
                Tag::SELECT,
                Tag::SOURCE,
                Tag::STYLE,
                Tag::SUMMARY,
                Tag::TABLE,
                Tag::TBODY,
                Tag::TD,
                Tag::TEMPLATE,
                Tag::TEXTAREA,
                Tag::TFOOT,
                Tag::TH,
                Tag::THEAD,
                Tag::TITLE,
                Tag::TR,
                Tag::TRACK,
                Tag::UL,
                Tag::WBR,
                Tag::XMP,
            ],
        ),
        (
            FORMATTING,
            &[
                Tag::A,
                Tag::B,
                Tag::BIG,
                Tag::CODE,
                Tag::EM,
                Tag::FONT,
                Tag::I,
                Tag::NOBR,
                Tag::S,
                Tag::SMALL,
                Tag::STRIKE,
                Tag::STRONG,
                Tag::TT,
                Tag::U,
            ],
        ),
        (
            SCOPE,
            &[
                Tag::APPLET,
                Tag::CAPTION,
                Tag::HTML,
                Tag::TABLE,
                Tag::TD,
                Tag::TH,
                Tag::MARQUEE,
                Tag::OBJECT,
                Tag::TEMPLATE,
            ],
        ),
        (
            IMPLIED_END,
            &[
                Tag::DD,
                Tag::DT,
                Tag::LI,
                Tag::OPTGROUP,
                Tag::OPTION,
                Tag::P,
                Tag::RB,
                Tag::RP,
                Tag::RT,
                Tag::RTC,
            ],
        ),
        (
            BREAKS_OUT,
            &[
                Tag::B,
                Tag::BIG,
                Tag::BLOCKQUOTE,
                Tag::BODY,
                Tag::BR,
                Tag::CENTER,
                Tag::CODE,
                Tag::DD,
                Tag::DIV,
                Tag::DL,
                Tag::DT,
                Tag::EM,
                Tag::EMBED,
                Tag::H1,
                Tag::H2,
                Tag::H3,
                Tag::H4,
                Tag::H5,
                Tag::H6,
                Tag::HEAD,
                Tag::HR,
                Tag::I,
                Tag::IMG,
                Tag::LI,
                Tag::LISTING,
                Tag::MENU,
                Tag::META,
                Tag::NOBR,
                Tag::OL,
                Tag::P,
                Tag::PRE,
                Tag::RUBY,
                Tag::S,
                Tag::SMALL,
                Tag::SPAN,
                Tag::STRONG,
                Tag::STRIKE,
                Tag::SUB,
                Tag::SUP,
                Tag::TABLE,
                Tag::TT,
                Tag::U,
                Tag::UL,
                Tag::VAR,
            ],
        ),
        (
            RESETS,
            &[
                Tag::SELECT,
                Tag::TD,
                Tag::TH,
                Tag::TR,
                Tag::TBODY,
                Tag::THEAD,
                Tag::TFOOT,
                Tag::CAPTION,
                Tag::COLGROUP,
                Tag::TABLE,
                Tag::TEMPLATE,
                Tag::HEAD,
                Tag::BODY,
                Tag::FRAMESET,
                Tag::HTML,
            ],
        ),
        (LI_PASSES, &[Tag::ADDRESS, Tag::DIV, Tag::P]),
        (FOSTERS, &[Tag::TABLE, Tag::TBODY, Tag::TFOOT, Tag::THEAD, Tag::TR]),
    ];
    let mut groups = [0u16; Tag::KNOWN];
    let mut list = 0;
    while list < lists.len() {
        let (bit, members) = lists[list];
        let mut at = 0;
        while at < members.len() {
            groups[members[at].0 as usize] |= bit;
            at += 1;
        }
        list += 1;
    }
    groups
}

impl Tag {
    /// The groups the HTML element of this name is in; an unknown element is in none.
    #[inline]
    pub(crate) fn groups(self) -> u16 {
        GROUPS.get(self.0 as usize).copied().unwrap_or(0)
    }

    /// Whether the HTML element of this name is in a [`group`].
    #[inline]
    pub(crate) fn is(self, group: u16) -> bool {
        self.groups() & group != 0
    }

    /// The name of a known tag; empty for others.
    pub(crate) fn known_name(self) -> &'static str {
        tags::NAMES.get(self.0 as usize).copied().unwrap_or("")
    }

    pub(crate) const fn is_heading(self) -> bool {
        matches!(self, Self::H1 | Self::H2 | Self::H3 | Self::H4 | Self::H5 | Self::H6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> NameKey {
        let mut key = NameKey::default();
        name.bytes().for_each(|byte| key.push(byte));
        key
    }

    #[test]
    fn known_names_have_their_constants_in_any_case() {
        let mut names = Names::default();
        for (written, tag) in
            [("a", Tag::A), ("DiV", Tag::DIV), ("foreignObject", Tag::FOREIGNOBJECT), ("h6", Tag::H6)]
        {
            assert_eq!(names.tag(key(written), written.as_bytes()), tag, "{written}");
        }
        for (at, name) in tags::NAMES.iter().enumerate() {
            assert_eq!(names.tag(key(name), name.as_bytes()), Tag(at as u32), "{name}");
        }
        for (at, name) in attributes::NAMES.iter().enumerate() {
            assert_eq!(attribute(key(name), name.as_bytes()), Some(Attr(at as u16)), "{name}");
        }
        assert_eq!(attribute(key("data-advertisemenx"), b"data-advertisemenx"), None);
    }

    #[test]
    fn other_names_are_numbered_and_forgotten() {
        let mut names = Names::default();
        let kept = names.keep("x-kept");
        let first = names.tag(key("My-Tag"), b"My-Tag");
        assert_eq!(names.tag(key("my-tag"), b"my-tag"), first);
        assert_ne!(names.tag(key("a\0"), b"a\0"), Tag::A);
        names.clear();
        assert_eq!(names.tag(key("x-kept"), b"x-kept"), kept);
        assert_eq!(names.tag(key("other"), b"other"), first, "numbers are used again");
    }
}
