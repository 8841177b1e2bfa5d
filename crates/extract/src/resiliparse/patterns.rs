//! What class and id values say about an element: Resiliparse's patterns, matched once for each pair of values.
//!
//! The patterns are those of Resiliparse (Apache-2.0; `resiliparse/extract/html2text.pyx` of 0.14.7 and the Rust port of
//! 2.0.1), some twenty searches an element in the original. Here all that look at the same string are one automaton,
//! and its answer is remembered by class and id, because pages and sites repeat theirs ([`Memo`]).

use regex::RegexSet;

use crate::Version;
use crate::memo::Memo;

/// Which patterns match, as bits, and how many of the class names that mark the main content there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Verdict(u32);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum Bit { $($name,)* }
        impl Verdict { $($(#[$doc])* pub(super) const $name: u32 = 1 << Bit::$name as u32;)* }
    };
}

bits! {
    // On the class value.
    DISPLAY SIGNIN POST_META SOCIAL JUNK
    // On the id value.
    LANDMARK
    // On class, a blank, and id.
    SKIP_LINK LOGO ADS ARTICLE HEADER FOOTER NAV RECOMMENDED COMMENTS SEARCH SIDEBAR MODAL GALLERY PRINT
}

impl Verdict {
    pub(super) fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

type Patterns = &'static [(u32, &'static str)];

const ON_CLASS_V1: Patterns = &[
    (
        Verdict::DISPLAY,
        r"(?:^|\s)(?:is[_-])?(?:display-none|hidden|invisible|collapsed|h-0|nocontent|expandable)(?:-xs|-sm|-lg|-2?xl)?(?:$|\s)",
    ),
    (Verdict::SIGNIN, SIGNIN),
    (Verdict::POST_META, POST_META),
    (Verdict::SOCIAL, SOCIAL),
];

const ON_CLASS_V2: Patterns = &[
    (
        Verdict::DISPLAY,
        r"(?:^|\s)(?:(?:is|visually)[_-])?(?:display-none|hidden|invisible|collapsed|h-0|nocontent|expandable)(?:-xs|-sm|-lg|-2?xl)?(?:$|\s)",
    ),
    (Verdict::SIGNIN, SIGNIN),
    (Verdict::POST_META, POST_META),
    (Verdict::SOCIAL, SOCIAL),
    (Verdict::JUNK, r"(?-i)(?:^|\s)short-view-count|spinner(?:$|[\s_-])"),
];

const ON_ID: Patterns = &[(
    Verdict::LANDMARK,
    r"^(?:(?:l|wp|global|page|site|full|sticky)[_-]*)?(?:(?:head|foot)(?:er)?|right)$",
)];

const SIGNIN: &str = r"(?:^|[\s_-])(?:(?:log[_-]?in|sign[_-]?(?:in|up)|account)|user[_-](?:info|profile|settings|actions))(?:$|[\s_-])";
// Without parentheses around the alternatives: the first has no boundary on the right, the second none on the left.
const POST_META: &str = r"(?:^|[\s_-])(?:(?:post|entry|article(?:page)?|content|story|section)[_-]*(?:text[_-]*)?(?:footer|teaser|meta(?:[_-]?data)?|subline|sidebar|author(?:name)?|published|timestamp|date|posted[_-]?on|info|labels?|tags?|keywords|category)|by[_-]?line|date[_-]?line|author-date|submitted(?:-by)?)|meta[_-]?data(?:$|[\s_-])";
const SOCIAL: &str = r"(?:^|\s|__|--|mobile-|desktop-|l-|m-|c-)(?:social(?:media|search)?|share(?:daddy)?|syndication|newsletter|sharing|follow|email|likes?|(?:give[_-]?)?feedback|(?:brand[_-])?engagement|facebook|twitter|subscribe|wa|jp|aptf-follow)(?:[_-]?(?:post|links?|section|icons?|btn|buttons?|target))?(?:$|[\s_-])";
const ADS: &str = r"(?:^|\s)(?:(?:google|wide)[_-]?ads?|ad(?:vert|vertise(?:ment|link)?|$|_[a-f0-9]+)|sponsor(?:ed)?|promoted|paid|(?:wide)?banner|donate)(?:$|[\s_-])";
const COMMENTS: &str = r"(?:^|[\s_-])(?:(?:article|user|post)[_-]*)?(?:(?:no[_-]?)?comments?|comment[_-]?list|reply)(?:$|[\s_-])";
const HEADER: &str =
    r"(?:^|\s)(?:l|m|wp|global|page|site|full|sticky)[_-]*header(?:[_-]?wrap(?:per)?|bar)?(?:$|\s)";
const LOGO: &str = r"(?:brand(?:ing)?[_-]*)?logo(?:$|\s)";
const PRINT: &str = r"(?:^|\s)print[_-]";

const ON_BOTH_V1: Patterns = &[
    (Verdict::HEADER, HEADER),
    (Verdict::ADS, ADS),
    (Verdict::COMMENTS, COMMENTS),
    (Verdict::LOGO, LOGO),
    (Verdict::PRINT, PRINT),
    (
        Verdict::SKIP_LINK,
        r"(?:^|\s)(?:link[_-]?)?(?:skip(?:[_-]?(?:to|link))?|scroll[_-]?(?:up|down)|next|prev(?:ious)?|permalink|pagination)(?:$|\s|[_-]?(?:post|article))",
    ),
    (
        Verdict::ARTICLE,
        r"(?:^|[\s_-])(?:article|entry|post|story|single[_-]?post|main[_-]content)(?:content|body|text|page)?(?:$|[\s_-])",
    ),
    (
        Verdict::NAV,
        r"(?:^|\s)(?:(?:l|m|wp|main|site|page|sub|article|global|sticky|main)[_-]*)?(?:nav(?:igation)?|menu(?:[_-]item)?|drop[_-]?down|bread[_-]?crumbs?)|(?:links?[_-]?(?:bar|box|list|container|section|wrapp(?:er))?)(?:$|[\s_-])",
    ),
    (
        Verdict::RECOMMENDED,
        r"(?:^|[\s_-])(?:trends|trending|recommended|featured|popular|editors?[_-]picks|related|read-next|(?:related|more|other)[_-]?(?:links|articles|posts|guides|stories))(?:$|[\s_-])",
    ),
    (
        Verdict::FOOTER,
        r"(?:^|[\s_-])(?:global|page|site|copyright)?(?:footer|copyright|cookie|consent|legal|fcontainer)(?:$|[\s_-])",
    ),
    (
        Verdict::SIDEBAR,
        r"(?:^|\s)(?:(?:l|wp|right|left|global|sticky)[_-]*)?(?:(?:side|sticky)[_-]?(?:bars?|box)|one-third)(?:$|[\s_-])",
    ),
    (Verdict::SEARCH, r"(?:^|[\s_-])search(?:[_-]?(?:bar|facility|box))?(?:$|\s)"),
    (
        Verdict::MODAL,
        r"(?:^|\s)(?:wp-|p-|-l)?(?:modal|popup|lightbox)(?:[_-]*(?:window|pane|box))?(?:$|[\s_-])",
    ),
    (Verdict::GALLERY, r"(?:^|[\s_-])(?:gallery|carousel)(?:$|[\s_-])"),
];

const ON_BOTH_V2: Patterns = &[
    (Verdict::HEADER, HEADER),
    (Verdict::ADS, ADS),
    (Verdict::COMMENTS, COMMENTS),
    (Verdict::LOGO, LOGO),
    (Verdict::PRINT, PRINT),
    (
        Verdict::SKIP_LINK,
        r"(?:^|\s)(?:link[_-]?)?(?:skip(?:[_-]?(?:to|link))?|scroll[_-]?(?:up|down)|next|prev(?:ious)?|permalink|pagination|skip-to-(?:main-)?content)(?:$|\s|[_-]?(?:post|article))",
    ),
    (
        Verdict::ARTICLE,
        r"(?:^|[\s_-])(?:article|entry|post|story|single[_-]?post|(?:main[_-])?content|body|text|page)(?:$|[\s_-])",
    ),
    (
        Verdict::NAV,
        r"(?:^|\s)(?:(?:l|m|wp|main|site|page|sub|article|global|sticky)[_-]*)?(?:nav(?:igation|bar)?(?:[_-](?:bar|menu|container|wrapper))?|menu(?:[_-]item)?|drop[_-]?down|bread[_-]?crumbs?|links?[_-]?(?:bar|box|list|container|section|wrapper))(?:$|\s)",
    ),
    (
        Verdict::RECOMMENDED,
        r"(?:^|[\s_-])(?:trends|trending|recommended|featured|popular|editors?[_-]picks|related|read-next|related[_-]?(?:links|articles|posts|guides|stories))(?:$|[\s_-])",
    ),
    (
        Verdict::FOOTER,
        r"(?:^|\s)(?:(?:global|page|site)[_-]?)?(?:footer|copyright|cookie|consent|legal|fcontainer)(?:[_-](?:wrap(?:per)?|container|banner|notice|bar|consent))?(?:$|\s)",
    ),
    (
        Verdict::SIDEBAR,
        r"(?:^|\s)(?:(?:l|wp|global|sticky)[_-]*)?(?:(?:side|sticky)[_-]?(?:bars?|box)|one-third)(?:$|\s)",
    ),
    (Verdict::SEARCH, r"(?:^|\s)search(?:[_-]?(?:bar|facility|box))?(?:$|\s)"),
    (Verdict::MODAL, r"(?:^|\s)(?:wp-|p-|-l)?(?:modal|popup|lightbox)(?:[_-]*(?:window|pane|box))?(?:$|\s)"),
    (Verdict::GALLERY, r"(?:^|\s)(?:gallery|carousel)(?:$|\s)"),
];

const DISPLAY_CSS: Patterns = &[(1, r"(?:^|;\s*)(?:display\s?:\s?none|visibility\s?:\s?hidden)(?:$|\s?;)")];

/// Patterns over one string as one automaton.
#[derive(Debug)]
struct Set {
    automaton: RegexSet,
    bits: Vec<u32>,
}

impl Set {
    fn new(patterns: Patterns, version: Version) -> Result<Self, regex::Error> {
        // 0.14.7's engine folds case by Unicode (ſ is an s) and leaves the vertical tab out of \s; 2.0.1's does neither.
        let (flags, space) = match version {
            Version::V0_14_7 => ("(?i)", r"\t\n\x0C\r "),
            Version::V2_0_1 => ("(?i-u)", r"\t\n\x0B\x0C\r "),
        };
        let spelled = patterns.iter().map(|(_, pattern)| {
            let pattern =
                pattern.replace(r"[\s_-]", &format!("[{space}_-]")).replace(r"\s", &format!("[{space}]"));
            format!("{flags}{pattern}")
        });
        let automaton = RegexSet::new(spelled)?;
        Ok(Self { automaton, bits: patterns.iter().map(|(bit, _)| *bit).collect() })
    }

    fn search(&self, text: &str) -> u32 {
        // No pattern matches the empty string.
        if text.is_empty() {
            return 0;
        }
        self.automaton
            .matches(text)
            .into_iter()
            .fold(0, |bits, at| bits | self.bits.get(at).copied().unwrap_or(0))
    }
}

/// All patterns of one version.
#[derive(Debug)]
pub(super) struct Matcher {
    on_class: Set,
    on_id: Set,
    on_both: Set,
    on_style: Set,
    joined: String,
    memo: Memo,
}

impl Matcher {
    pub(super) fn new(version: Version) -> Result<Self, regex::Error> {
        let (on_class, on_both) = match version {
            Version::V0_14_7 => (ON_CLASS_V1, ON_BOTH_V1),
            Version::V2_0_1 => (ON_CLASS_V2, ON_BOTH_V2),
        };
        Ok(Self {
            on_class: Set::new(on_class, version)?,
            on_id: Set::new(ON_ID, version)?,
            on_both: Set::new(on_both, version)?,
            on_style: Set::new(DISPLAY_CSS, version)?,
            joined: String::new(),
            memo: Memo::default(),
        })
    }

    /// The verdict on an element with these values.
    pub(super) fn judge(&mut self, class: &str, id: &str) -> Verdict {
        let Self { on_class, on_id, on_both, joined, memo, .. } = self;
        Verdict(memo.answer(class, id, || {
            // The blank is there even if the id is empty, and not if the class is.
            joined.clear();
            if !class.is_empty() {
                joined.push_str(class);
                joined.push(' ');
            }
            joined.push_str(id);
            on_class.search(class) | on_id.search(id) | on_both.search(joined)
        }))
    }

    /// Whether a style attribute hides its element.
    pub(super) fn hides(&self, style: &str) -> bool {
        self.on_style.search(style) != 0
    }
}
