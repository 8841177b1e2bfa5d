//! Shares, as recipes write them: `10%`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A share of all records, exact: a tenth of ten is one.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    part: u64,
    whole: u64,
}

/// What a percentage is a part of: of seven decimals the last is a billionth.
const BILLION: u64 = 1_000_000_000;

/// A share that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no share: write a percentage between 0% and 100% with up to seven decimals, such as 10% or 2.5%"
)]
pub struct ShareError(String);

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let share = || {
            let (whole, decimals) = match text.strip_suffix('%')?.split_once('.') {
                Some((whole, decimals)) => (whole, decimals),
                None => (text.strip_suffix('%')?, "0"),
            };
            let is_number =
                |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number(whole) || !is_number(decimals) || decimals.len() > 7 {
                return None;
            }
            let part = format!("{whole}{decimals:0<7}").parse().ok()?;
            (part <= BILLION).then_some(Self { part, whole: BILLION })
        };
        share().ok_or_else(|| ShareError(text.to_owned()))
    }
}

impl Share {
    /// So many of so many equal parts; all, if that is more than there are.
    #[must_use]
    pub fn parts(part: u32, whole: u32) -> Self {
        Self { part: part.min(whole).into(), whole: whole.max(1).into() }
    }

    #[must_use]
    pub fn is_whole(self) -> bool {
        self.part == self.whole
    }

    /// The others.
    #[must_use]
    pub fn complement(self) -> Self {
        Self { part: self.whole - self.part, ..self }
    }

    /// How many of `total` records that is, rounded up: of a few records the best are kept, and not none.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        (u128::from(total) * u128::from(self.part)).div_ceil(u128::from(self.whole)) as u64
    }
}
impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Share {}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (
            u128::from(self.part) * u128::from(other.whole),
            u128::from(other.part) * u128::from(self.whole),
        );
        mine.cmp(&theirs)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let billionths = (u128::from(self.part) * u128::from(BILLION)).div_ceil(u128::from(self.whole));
        let text = format!("{}.{:07}", billionths / 10_000_000, billionths % 10_000_000);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Share;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage such as 10%")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Share, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    #[test]
    fn shares_are_exact() {
        let check = |text: &str, total: u64, expected: u64| {
            assert_eq!(text.parse::<Share>().unwrap().of(total), expected, "{text} of {total}");
        };
        check("10%", 10, 1);
        check("10%", 11, 2);
        check("7%", 100, 7);
        check("0.0000001%", 3_000_000_000, 3);
        check("100%", u64::MAX, u64::MAX);
        check("0%", 5, 0);
        check("2.50%", 1000, 25);
        assert_eq!([1, 2, 3].map(|part| Share::parts(part, 3).of(10)), [4, 7, 10]);
        assert_eq!(Share::parts(1, 3).to_string(), "33.3333334%");
        assert!(
            Share::parts(9, 3).is_whole() && share("100%").is_whole() && !share("99.9999999%").is_whole()
        );
        assert_eq!(share("97.5%").complement(), share("2.5%"));
        for text in ["10%", "2.5%", "0%", "100%", "0.0000001%"] {
            assert_eq!(share(text).to_string(), text);
        }
        for wrong in
            ["", "%", "10", "-1%", "101%", "100.0000001%", "1.%", ".5%", "1,5%", "1e1%", "0.00000001%"]
        {
            assert!(wrong.parse::<Share>().is_err(), "{wrong:?}");
        }
    }
}
