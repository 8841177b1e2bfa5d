//! What an element's attributes say about its role on the page.
//!
//! Said outright: ARIA roles, schema.org properties, `hidden`. Said by habit: the words of class and id values
//! ("post-footer", "relatedPosts"), which template authors choose from a small common stock. Words are only hints; how
//! much each weighs is decided where they are used, against the amount of text they would take away. The stock was
//! collected from the class names that the large content systems use (WordPress, Drupal, MediaWiki, Discourse, phpBB,
//! XenForo, Shopify, Sphinx and their like); Readability, Boilerpipe and Trafilatura use lists of this kind.

use crate::html::Wanted;
use crate::html::dom::{Dom, NodeId};
use crate::html::names::{Attr, Tag};
use crate::memo::Memo;

/// Facts from attributes, as bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Traits(pub(super) u32);

macro_rules! traits {
    ($($(#[$doc:meta])* $name:ident)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum Bit { $($name,)* }
        impl Traits { $($(#[$doc])* pub(super) const $name: u32 = 1 << Bit::$name as u32;)* }
    };
}

traits! {
    /// By role or tag: navigation, search, banner and the like.
    LANDMARK
    /// Not shown: `hidden`, `aria-hidden`, or a style or class that says so.
    HIDDEN
    /// By word: menus and paths through the site.
    NAV
    /// By word: the frame around every page of a site.
    CHROME
    /// By word: what carries the site's header. Not that of an article.
    HEADER
    /// By word: sharing, following, signing up.
    SOCIAL
    /// By word: what else one might read.
    RELATED
    /// By word: advertising.
    AD
    /// By word: consent to cookies, and dialogs laid over the page.
    CONSENT
    OVERLAY
    /// By word: who, when, in which category.
    META
    /// By word: what readers said.
    COMMENT
    /// By word: sections of the page or the article; of the text itself.
    CONTENT
    BODY
    /// By schema.org: the text of an article.
    ARTICLE_BODY
    /// By schema.org: a question, an answer, a posting in a forum.
    POSTING
    /// By role: the main content.
    MAIN
    /// By word: a remark set apart that belongs to the text.
    NOTE
    /// By word: what stands between title and text and belongs to it.
    LEAD
    /// By word: what an image shows.
    CAPTION
    /// By word: numbers of lines beside code; references to footnotes; links to headings; edit links.
    MARGINALIA
    /// By word: a reference to a source.
    REFERENCE
    /// A table for layout.
    PRESENTATION
    /// A script, and a script that holds TeX.
    SCRIPT
    TEX
    /// Rendered mathematics, which has a source beside it.
    RENDERED
    /// By word: the image of a formula.
    FORMULA
    /// By word: code, set by other means than `pre`.
    CODE
    /// By word: the text of a wiki.
    WIKI
}

impl Traits {
    pub(super) fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// Attributes that are looked at.
const WANTED: [Attr; 13] = [
    Attr::CLASS,
    Attr::ID,
    Attr::ROLE,
    Attr::ITEMPROP,
    Attr::ITEMTYPE,
    Attr::HIDDEN,
    Attr::ARIA_HIDDEN,
    Attr::STYLE,
    Attr::TYPE,
    Attr::ENCODING,
    Attr::DISPLAY,
    Attr::ALTTEXT,
    Attr::START,
];

/// Reads attributes, and remembers what class names say.
#[derive(Default)]
pub(super) struct Vocabulary {
    memo: Memo,
}

impl Vocabulary {
    pub(super) fn new(wanted: &mut Wanted) -> Self {
        WANTED.iter().chain([&Attr::ALT]).for_each(|name| wanted.attributes |= name.bit());
        Self::default()
    }

    /// What the attributes and the name of an element say.
    pub(super) fn traits(&mut self, dom: &Dom, page: &str, node: NodeId) -> Traits {
        let tag = dom.node(node).tag;
        let mut bits = match tag {
            Tag::NAV | Tag::SEARCH | Tag::MENU => Traits::LANDMARK,
            Tag::MAIN => Traits::MAIN,
            Tag::ARTICLE => Traits::CONTENT,
            Tag::SCRIPT => Traits::SCRIPT,
            _ => 0,
        };
        let (mut class, mut id) = ("", "");
        for attribute in dom.attributes_of(node) {
            let value = head(dom.value(page, attribute));
            match attribute.name {
                Attr::CLASS => class = value,
                Attr::ID => id = value,
                Attr::ROLE => bits |= role(value.trim()),
                Attr::ITEMPROP => bits |= property(value.trim()),
                Attr::ITEMTYPE => bits |= schema(value.trim()),
                Attr::HIDDEN if value != "until-found" => bits |= Traits::HIDDEN,
                Attr::ARIA_HIDDEN if value.trim() == "true" => bits |= Traits::HIDDEN,
                Attr::STYLE if hides(value) => bits |= Traits::HIDDEN,
                Attr::TYPE if tag == Tag::SCRIPT && value.trim().starts_with("math/tex") => {
                    bits |= Traits::TEX
                }
                _ => {}
            }
        }
        if !class.is_empty() || !id.is_empty() {
            bits |= self.memo.answer(class, id, || words_of(class) | words_of(id));
        }
        Traits(bits)
    }
}

/// As much of an attribute's value as is looked at. Elements may share one value thousands of times.
fn head(value: &str) -> &str {
    &value[..value.floor_char_boundary(512)]
}

/// Landmarks and widgets of WAI-ARIA.
fn role(role: &str) -> u32 {
    match role {
        "navigation" | "search" | "banner" | "contentinfo" | "menu" | "menubar" | "toolbar" | "dialog"
        | "alertdialog" | "tooltip" | "complementary" | "alert" | "tablist" | "doc-toc" | "doc-pagelist" => {
            Traits::LANDMARK
        }
        "main" => Traits::MAIN,
        "article" | "doc-chapter" => Traits::CONTENT,
        "note" | "doc-tip" | "doc-footnote" => Traits::NOTE,
        "presentation" | "none" => Traits::PRESENTATION,
        _ => 0,
    }
}

fn property(property: &str) -> u32 {
    match property {
        "articleBody" | "reviewBody" | "recipeInstructions" => Traits::ARTICLE_BODY,
        "text" | "description" => Traits::CONTENT,
        "author" | "datePublished" | "dateModified" | "publisher" | "keywords" | "interactionStatistic" => {
            Traits::META
        }
        "breadcrumb" => Traits::NAV,
        "comment" => Traits::COMMENT,
        _ => 0,
    }
}

fn schema(address: &str) -> u32 {
    match address.rsplit('/').next().unwrap_or("") {
        "DiscussionForumPosting" | "QAPage" | "Question" | "Answer" | "SocialMediaPosting" => Traits::POSTING,
        "BreadcrumbList" | "SiteNavigationElement" | "WPHeader" | "WPFooter" | "WPSideBar" | "WPAdBlock" => {
            Traits::LANDMARK
        }
        "Article" | "NewsArticle" | "BlogPosting" | "TechArticle" | "Product" | "Recipe" => Traits::CONTENT,
        "Comment" | "UserComments" => Traits::COMMENT,
        _ => 0,
    }
}

/// Whether a style attribute hides its element.
fn hides(style: &str) -> bool {
    let value_of = |property: &str| {
        style.split(';').any(|declaration| {
            declaration.split_once(':').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case(property)
                    && (value.trim_start().get(..4).is_some_and(|v| v.eq_ignore_ascii_case("none"))
                        || value.trim_start().get(..6).is_some_and(|v| v.eq_ignore_ascii_case("hidden")))
            })
        })
    };
    value_of("display") || value_of("visibility")
}

/// The longest word that is looked up.
const LONGEST: usize = 24;

/// What the words of a class or id value say together.
fn words_of(value: &str) -> u32 {
    let mut bits = 0;
    let mut word = [0u8; LONGEST];
    let mut length = 0;
    let mut before = Word::Other;
    let mut previous = b' ';
    // Generated names ("hJpRRP") fall into short words by their capitals.
    let mut humped = false;
    for &byte in value.as_bytes().iter().chain(b" ") {
        let starts_word = byte.is_ascii_uppercase() && previous.is_ascii_lowercase();
        if !byte.is_ascii_alphabetic() || starts_word {
            humped |= starts_word;
            if length > 0 && (length > 3 || !humped || before != Word::Other) {
                let (found, pair) = look_up(&word[..length.min(LONGEST)], before);
                bits |= found;
                before = pair;
            }
            length = 0;
            humped &= byte.is_ascii_alphabetic();
            // Class names do not pair with each other.
            if byte == b' ' {
                before = Word::Other;
            }
        }
        if byte.is_ascii_alphabetic() {
            if length < LONGEST {
                word[length] = byte.to_ascii_lowercase();
            }
            length += 1;
        }
        previous = byte;
    }
    bits
}

/// First halves of pairs of words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Article, post, entry, story, main.
    Piece,
    /// Screen, visually, sr, d, display.
    Display,
    /// Read, up, you.
    Read,
    /// Line.
    Line,
    /// Math: the renderer's name may have a capital in it.
    Math,
    /// Message: who wrote it.
    Message,
    /// Edit.
    Edit,
    /// Not, with, has, no: what follows is about the layout.
    Without,
    Other,
}

fn look_up(word: &[u8], before: Word) -> (u32, Word) {
    let is = |bits| (bits, Word::Other);
    let Ok(word) = std::str::from_utf8(word) else { return is(0) };
    if before == Word::Without {
        return is(0);
    }
    match word {
        "article" | "post" | "entry" | "story" | "main" | "blog" | "news" | "page" | "node" | "product" => (
            if word == "page" || word == "product" || word == "news" { 0 } else { Traits::CONTENT },
            Word::Piece,
        ),
        "body" | "content" | "text" | "copy" if before == Word::Piece => is(Traits::BODY | Traits::CONTENT),
        "articlebody" | "articletext" | "articlecontent" | "postcontent" | "postbody" | "entrycontent"
        | "storybody" | "storycontent" | "storytext" | "maincontent" | "contentbody" | "richtext"
        | "wysiwyg" | "markdown" | "prose" => is(Traits::BODY | Traits::CONTENT),
        "message" => (Traits::CONTENT, Word::Message),
        "user" if before == Word::Message => is(Traits::META),
        "content" | "contents" | "text" | "detail" | "details" | "description" | "document" | "doc"
        | "docs" | "documentation" => is(Traits::CONTENT),
        "header" if before == Word::Piece => is(0),
        "header" | "masthead" | "topbar" => is(Traits::HEADER),
        "nav" | "navbar" | "navigation" | "menu" | "menus" | "menubar" | "submenu" | "megamenu"
        | "breadcrumb" | "breadcrumbs" | "crumbs" | "pagination" | "pager" | "paging" | "paginator"
        | "sidenav" | "subnav" | "topnav" | "toc" | "navbox" | "jump" | "skip" | "skiplink" | "hamburger" => {
            is(Traits::NAV)
        }
        "footer" | "colophon" | "copyright" | "sidebar" | "sidebars" | "widget" | "widgets" | "offcanvas"
        | "rail" | "logo" | "toolbar" | "impressum" | "search" | "searchform" | "searchbox" | "login"
        | "signin" | "logout" | "catlinks" | "siteinfo" | "siblings" => is(Traits::CHROME),
        "share" | "shares" | "sharing" | "sharedaddy" | "sharebar" | "social" | "socials" | "sociable"
        | "addtoany" | "addthis" | "sharethis" | "shareaholic" | "follow" | "followus" | "subscribe"
        | "subscription" | "newsletter" | "newsletters" | "signup" | "optin" | "mailchimp" | "mailmunch"
        | "facebook" | "twitter" | "whatsapp" | "cta" | "donate" | "feedback" | "jetpack" => {
            is(Traits::SOCIAL)
        }
        "next" if before == Word::Read => is(Traits::RELATED),
        "related" | "relateds" | "relatedposts" | "recommended" | "recommend" | "recommendation"
        | "recommendations" | "trending" | "popular" | "mostpopular" | "mostread" | "outbrain"
        | "taboola" | "recirc" | "recirculation" | "readnext" | "readmore" | "morefrom" | "suggested"
        | "suggestions" | "zergnet" | "revcontent" | "mgid" | "crosssell" | "upsell" | "similar"
        | "promoted" | "headlines" | "teaser" | "teasers" | "yarpp" | "crp" | "upnext" | "alsoread"
        | "latest" => is(Traits::RELATED),
        "ad" | "ads" | "adv" | "advert" | "adverts" | "advertisement" | "advertisements" | "advertising"
        | "adsense" | "adsbygoogle" | "adslot" | "adunit" | "adbox" | "adcontainer" | "adwrapper"
        | "sponsor" | "sponsored" | "sponsors" | "promo" | "promos" | "promotion" | "promobox" | "banner"
        | "banners" | "dfp" | "gpt" | "doubleclick" | "affiliate" | "disclosure" | "paywall" => {
            is(Traits::AD)
        }
        "cookie" | "cookies" | "cookiebanner" | "cookieconsent" | "consent" | "gdpr" | "ccpa"
        | "onetrust" | "cookiebot" | "cmp" | "truste" => is(Traits::CONSENT),
        "modal" | "popup" | "popover" | "overlay" | "lightbox" | "dialog" | "toast" | "tooltip"
        | "dropdown" | "interstitial" | "flyout" | "snackbar" => is(Traits::OVERLAY),
        "byline" | "author" | "authors" | "bio" | "dateline" | "date" | "datetime" | "timestamp" | "time"
        | "published" | "pubdate" | "posted" | "meta" | "metadata" | "postmeta" | "entrymeta" | "tags"
        | "tag" | "taglist" | "tagcloud" | "tagged" | "keywords" | "categories" | "category"
        | "permalink" | "views" | "viewcount" | "counter" | "rating" | "ratings" | "stars" | "vote"
        | "votes" | "credit" | "credits" | "avatar" | "userinfo" | "profile" | "signature" | "badge"
        | "lastmod" | "tagline" | "poster" | "usertitle" | "pls" | "authi" | "postprofile"
        | "attribution" | "submitted" | "contributors" => is(Traits::META),
        "comment" | "comments" | "commentlist" | "commentform" | "disqus" | "livefyre" | "respond"
        | "reply" | "replies" | "fbcomments" | "discussion" => is(Traits::COMMENT),
        "hidden" | "invisible" | "visuallyhidden" | "offscreen" | "noprint" | "printonly"
        | "screenreader" | "hide" => is(Traits::HIDDEN),
        "only" | "reader" | "none" if before == Word::Display => is(Traits::HIDDEN),
        "screen" | "visually" | "sr" | "d" | "display" | "print" => (0, Word::Display),
        "read" | "up" => (0, Word::Read),
        "line" => (0, Word::Line),
        "edit" => (0, Word::Edit),
        "number" | "numbers" | "no" | "nums" if before == Word::Line => is(Traits::MARGINALIA),
        "linenos" | "lineno" | "linenumber" | "linenumbers" | "linenum" | "linenums" | "gutter" | "nums"
        | "headerlink" | "editsection" | "noteref" | "anchorjs" | "sectionlink" | "clipboard" | "copybtn" => {
            is(Traits::MARGINALIA)
        }
        "reference" | "footnoteref" => is(Traits::REFERENCE),
        "section" if before == Word::Edit => is(Traits::MARGINALIA),
        "has" | "with" | "no" | "without" | "not" => (0, Word::Without),
        "summary" | "standfirst" | "lead" | "lede" | "intro" | "introduction" | "subtitle" | "subhead"
        | "subheading" | "deck" | "dek" | "abstract" | "excerpt" | "kicker" | "strapline" | "synopsis" => {
            is(Traits::LEAD)
        }
        "caption" | "captions" | "figcaption" => is(Traits::CAPTION),
        "note" | "notes" | "tip" | "warning" | "caution" | "danger" | "admonition" | "callout"
        | "important" | "footnote" | "footnotes" | "pullquote" | "infobox" => is(Traits::NOTE),
        "mw" | "wikitext" | "wiki" | "memberdecls" | "memitem" | "memproto" | "memdoc" => is(Traits::WIKI),
        "math" => (Traits::FORMULA, Word::Math),
        "jax" if before == Word::Math => is(Traits::RENDERED | Traits::FORMULA),
        "tex" | "latex" | "katex" | "mwe" => is(Traits::FORMULA),
        "mathjax" | "mjx" => is(Traits::RENDERED | Traits::FORMULA),
        "highlight" | "code" | "codeblock" | "sourcecode" | "crayon" | "prettyprint" | "codehilite" => {
            is(Traits::CODE)
        }
        _ => is(by_prefix(word)),
    }
}

/// Compounds written as one word.
fn by_prefix(word: &str) -> u32 {
    const PREFIXES: [(&str, u32); 18] = [
        ("breadcrumb", Traits::NAV),
        ("comment", Traits::COMMENT),
        ("cookie", Traits::CONSENT),
        ("footer", Traits::CHROME),
        ("navbar", Traits::NAV),
        ("newsletter", Traits::SOCIAL),
        ("pagination", Traits::NAV),
        ("popular", Traits::RELATED),
        ("recommend", Traits::RELATED),
        ("related", Traits::RELATED),
        ("share", Traits::SOCIAL),
        ("sharing", Traits::SOCIAL),
        ("sidebar", Traits::CHROME),
        ("social", Traits::SOCIAL),
        ("sponsor", Traits::AD),
        ("subscribe", Traits::SOCIAL),
        ("taboola", Traits::RELATED),
        ("widget", Traits::CHROME),
    ];
    PREFIXES.iter().find(|(prefix, _)| word.starts_with(prefix)).map_or(0, |&(_, bits)| bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |value: &str, bits: u32| assert_eq!(words_of(value), bits, "{value}");
        check("", 0);
        check("relatedPosts", Traits::RELATED);
        check("Sidebar_left", Traits::CHROME);
        check("entry-content", Traits::CONTENT | Traits::BODY);
        check("entry-header", Traits::CONTENT);
        check("site-header", Traits::HEADER);
        check("with-sidebar no-footer", 0);
        check("sr-only", Traits::HIDDEN);
        check("sr only", 0);
        check("MathJax_Display", Traits::FORMULA | Traits::RENDERED);
        check("message-user", Traits::CONTENT | Traits::META);
        check("line-numbers", Traits::MARGINALIA);
        check("socialmedia2", Traits::SOCIAL);
        check(&"x".repeat(1000), 0);
    }

    #[test]
    fn styles() {
        assert!(hides("color:red; DISPLAY : none !important"));
        assert!(hides("visibility:hidden"));
        assert!(!hides("display:block"));
        assert!(!hides("overflow: hidden"));
    }
}
