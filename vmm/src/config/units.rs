// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Numbers with units, as people write them: `512M`, `2ms`, `25%`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// An amount of memory in bytes, written with `K`, `M`, `G` or `T` (powers of 1024), or as a plain number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time in nanoseconds, written with `ns`, `us`, `ms` or `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub u64);

/// A part of a GPU in parts per million, written in percent with up to four decimals: `25%`, `12.5%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no amount of memory; write one like 512M or 2G");
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit {
            "" => 0,
            "K" | "k" | "KiB" => 10,
            "M" | "m" | "MiB" => 20,
            "G" | "g" | "GiB" => 30,
            "T" | "t" | "TiB" => 40,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number
            .checked_mul(1 << shift)
            .map(Self)
            .ok_or_else(|| format!("'{text}' is more memory than any machine has"))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 >= 1 << shift && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no length of time; write one like 2ms or 500us");
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (factor, unit) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}ns", self.0)
    }
}

impl Share {
    /// All of an engine.
    pub const WHOLE: Self = Self(1_000_000);
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("'{text}' is no share of the GPU; write one from 0% to 100%, like 12.5%");
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 4 || !all_digits(whole) || !all_digits(fraction) {
            return Err(wrong());
        }
        let whole: u32 = whole.parse().map_err(|_| wrong())?;
        let fraction: u32 = format!("{fraction:0<4}").parse().map_err(|_| wrong())?;
        whole
            .checked_mul(10_000)
            .and_then(|ppm| ppm.checked_add(fraction))
            .filter(|ppm| *ppm <= 1_000_000)
            .map(Self)
            .ok_or_else(wrong)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 10_000, self.0 % 10_000);
        if fraction == 0 {
            write!(f, "{whole}%")
        } else {
            let digits = format!("{fraction:04}");
            write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
        }
    }
}

/// Accepts a string in the unit's notation, or a plain number where that has a meaning.
struct UnitVisitor<T> {
    expects: &'static str,
    from_number: fn(u64) -> Option<T>,
}

impl<T: FromStr<Err = String>> Visitor<'_> for UnitVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expects)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        u64::try_from(number)
            .ok()
            .and_then(self.from_number)
            .ok_or_else(|| E::custom(format!("'{number}' is not {}", self.expects)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.from_number)(number)
            .ok_or_else(|| E::custom(format!("'{number}' is not {}", self.expects)))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnitVisitor {
            expects: "an amount of memory like \"512M\"",
            from_number: |bytes| Some(Self(bytes)),
        })
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnitVisitor {
            expects: "a length of time like \"2ms\"",
            from_number: |_| None,
        })
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnitVisitor {
            expects: "a share of the GPU like \"25%\"",
            from_number: |percent| {
                u32::try_from(percent)
                    .ok()
                    .and_then(|percent| percent.checked_mul(10_000))
                    .filter(|ppm| *ppm <= 1_000_000)
                    .map(Self)
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_with_its_unit_and_written_back_the_same() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("4096", 4096),
            ("64K", 64 << 10),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)));
        }
        assert_eq!(Bytes(512 << 20).to_string(), "512M");
        assert_eq!(Bytes(1_000).to_string(), "1000");
        for wrong in ["", "M", "-1M", "1.5G", "12X", "99999999999999T"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_exact_to_one_part_in_a_million() {
        for (text, ppm) in [
            ("25%", 250_000),
            ("12.5%", 125_000),
            ("0.0001%", 1),
            ("100%", 1_000_000),
            ("75", 750_000),
        ] {
            assert_eq!(text.parse(), Ok(Share(ppm)));
        }
        assert_eq!(Share(125_000).to_string(), "12.5%");
        assert_eq!(Share(1).to_string(), "0.0001%");
        for wrong in [
            "",
            "%",
            "101%",
            "-5%",
            "1.23456%",
            "a%",
            "5000000000%",
            "+5%",
        ] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_of_time_needs_its_unit() {
        assert_eq!("2ms".parse(), Ok(Duration(2_000_000)));
        assert_eq!("500us".parse(), Ok(Duration(500_000)));
        assert_eq!(Duration(2_000_000).to_string(), "2ms");
        for wrong in ["", "2", "ms", "2 ms", "2m", "99999999999999s"] {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
        }
    }
}
