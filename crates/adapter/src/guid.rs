// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! GUIDs: how they are written, and new random ones (RFC 9562, version 4).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;

use thiserror::Error;

/// A GUID, bytes in the order in which they are written out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

/// A text that is no GUID.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a GUID is 32 hexadecimal digits, written 8-4-4-4-12")]
pub struct ParseGuidError;

impl Guid {
    /// A random one, from the kernel's generator: 122 bits, unpredictable to a guest.
    ///
    /// # Errors
    /// What opening or reading `/dev/urandom` gives (it has no content to wait for once the system is up).
    pub fn random_v4() -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self::from_random(bytes))
    }

    /// Marks random bytes as version 4, variant 10 (RFC 9562 section 5.4).
    const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Whether all bytes are zero: a GUID that names nobody.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0 == [0; 16]
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let lengths = text.split('-').map(str::len);
        if !lengths.eq([8, 4, 4, 4, 12]) {
            return Err(ParseGuidError);
        }
        let mut digits = text.chars().filter(|&c| c != '-');
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let mut digit = || {
                let value = digits.next()?.to_digit(16)?;
                u8::try_from(value).ok()
            };
            let high = digit().ok_or(ParseGuidError)?;
            let low = digit().ok_or(ParseGuidError)?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_reads_as_it_is_written() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let guid: Guid = text.parse().expect("a good GUID");
        assert_eq!(guid.0[0], 0x00);
        assert_eq!(guid.0[15], 0xff);
        assert_eq!(guid.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(guid));
    }

    #[test]
    fn what_is_no_guid_is_refused() {
        for text in [
            "",
            "00112233445566778899aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeeffa",
            "0011223g-4455-6677-8899-aabbccddeeff",
            "0011223é-4455-6677-8899-aabbccddeeff",
            "+0112233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(ParseGuidError), "{text:?}");
        }
    }

    #[test]
    fn random_guids_are_version_4_and_differ() {
        let one = Guid::random_v4().expect("/dev/urandom");
        let two = Guid::random_v4().expect("/dev/urandom");
        assert_ne!(one, two);
        assert_eq!(one.0[6] >> 4, 4);
        assert_eq!(one.0[8] >> 6, 0b10);
    }
}
