//! Where the main content is: the one element that calls itself so.

use crate::html::Dialect;
use crate::html::dom::{Dom, NONE, NodeId};
use crate::html::names::Attr;

/// Class names that mark the main content; `role=main` is the ninth mark.
const MARKS: [&str; 8] = [
    "article-body",
    "articleBody",
    "contentBody",
    "article-text",
    "main-content",
    "postcontent",
    "post-content",
    "single-post",
];

/// The element that bears the only mark below body and the number of its ancestors up to body, or body itself if there is
/// no mark or more than one (an element with two marks has two).
pub(super) fn find(dom: &Dom, page: &str, dialect: Dialect) -> (NodeId, u32) {
    let ignore_case = dialect == Dialect::Lexbor230 || dom.quirks;
    // Marks are rare: the flat list of attributes says whether it is worth walking the tree.
    let marked = dom.attributes.iter().any(|attribute| match attribute.name {
        Attr::CLASS => marks(dom.value(page, attribute), ignore_case) > 0,
        Attr::ROLE => dom.value(page, attribute) == "main",
        _ => false,
    });
    if !marked {
        return (dom.body, 0);
    }
    let mut hits = 0;
    let mut root = (dom.body, 0);
    let mut node = dom.body;
    let mut depth = 0;
    loop {
        if node != dom.body && dom.is_element(node) {
            let class = dom.attribute(page, node, Attr::CLASS).map_or(0, |class| marks(class, ignore_case));
            let found = class + usize::from(dom.attribute(page, node, Attr::ROLE) == Some("main"));
            if found > 0 {
                hits += found;
                root = (node, depth);
            }
            if hits > 1 {
                return (dom.body, 0);
            }
        }
        let first = dom.node(node).first_child;
        if first != NONE {
            node = first;
            depth += 1;
            continue;
        }
        loop {
            if node == dom.body {
                return if hits == 1 { root } else { (dom.body, 0) };
            }
            let here = dom.node(node);
            if here.next != NONE {
                node = here.next;
                break;
            }
            node = here.parent;
            depth -= 1;
        }
    }
}

/// How many different marks a class value has.
fn marks(class: &str, ignore_case: bool) -> usize {
    // The shortest mark is this long, which most class values are not.
    if class.len() < 11 {
        return 0;
    }
    // One pass tells most pages apart from those few with a mark.
    let possible = class.split(['\t', '\n', '\u{c}', '\r', ' ']).any(|name| {
        matches!(name.len(), 11 | 12) && MARKS.iter().any(|mark| name.eq_ignore_ascii_case(mark))
    });
    if !possible {
        return 0;
    }
    let bears = |mark: &str| {
        let is_mark = |name: &str| if ignore_case { name.eq_ignore_ascii_case(mark) } else { name == mark };
        class.split(['\t', '\n', '\u{c}', '\r', ' ']).any(is_mark)
    };
    MARKS.iter().filter(|mark| bears(mark)).count()
}
