//! Whose turn it is: the order in which a claim looks through the priorities.

use crate::Priority;

/// The order for the `ticket`-th claim.
///
/// Strictly by priority, except that every 8th claim looks at `Normal` first and every 32nd at `Low` first: a
/// flood of urgent tasks leaves the others at least 3/32 and 1/32 of the claims, so that nothing starves, and
/// takes all the rest.
pub(crate) fn order(ticket: u64) -> [Priority; 3] {
    match ticket % 32 {
        31 => [Priority::Low, Priority::High, Priority::Normal],
        7 | 15 | 23 => [Priority::Normal, Priority::High, Priority::Low],
        _ => [Priority::High, Priority::Normal, Priority::Low],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_a_share() {
        let first = |p| (0..32).filter(|&t| order(t)[0] == p).count();
        assert_eq!([Priority::High, Priority::Normal, Priority::Low].map(first), [28, 3, 1]);
        for ticket in 0..32 {
            let mut all = order(ticket);
            all.sort();
            assert_eq!(all, Priority::ALL);
        }
    }
}
