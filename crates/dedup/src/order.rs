//! Numbers as bits whose order is theirs, for keys and ranks that are compared as bits.

/// Bits that are ordered as the numbers are (IEEE 754's total order). Zero has one sign.
#[must_use]
pub fn ordered(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The number of such bits.
#[must_use]
pub fn number(ordered: u64) -> f64 {
    f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_ordered_as_numbers_are() {
        let numbers = [f64::NEG_INFINITY, -1e300, -2.5, -1e-300, 0.0, 5e-324, 1.0, 1.5, 1e300, f64::INFINITY];
        assert!(numbers.map(ordered).is_sorted_by(|a, b| a < b));
        assert_eq!(numbers.map(ordered).map(number).map(f64::to_bits), numbers.map(f64::to_bits));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }
}
