// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the guest looks at in an EDID: whether it is one, and the preferred size.

/// What the guest looks at in an EDID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edid {
    /// Bytes.
    pub len: usize,
    /// The header is right and each 128-byte block sums to zero.
    pub valid: bool,
    /// The first detailed timing's size in pixels.
    pub preferred: (u32, u32),
}

impl Edid {
    const HEADER: [u8; 8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];

    /// Reads an EDID (VESA E-EDID 1.4, sections 3.1 and 3.10.2).
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let sums = bytes.chunks(128).all(|block| {
            block
                .iter()
                .fold(0, |sum: u8, &byte| sum.wrapping_add(byte))
                == 0
        });
        let valid = bytes.len() >= 128
            && bytes.len().is_multiple_of(128)
            && bytes.starts_with(&Self::HEADER)
            && sums;
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
        // Detailed timing at 54: low 8 bits at +2 and +5, high 4 bits in the upper halves of +4 and +7.
        let preferred = (
            byte(56) | (byte(58) & 0xf0) << 4,
            byte(59) | (byte(61) & 0xf0) << 4,
        );
        Self {
            len: bytes.len(),
            valid,
            preferred,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_edid_its_preferred_size_is_read_and_a_bad_sum_is_seen() {
        let mut bytes = [0_u8; 128];
        bytes[..8].copy_from_slice(&Edid::HEADER);
        (bytes[56], bytes[58], bytes[59], bytes[61]) = (0x00, 0x50, 0x20, 0x30);
        bytes[127] = bytes
            .iter()
            .fold(0, |sum: u8, &byte| sum.wrapping_sub(byte));
        assert_eq!(
            Edid::read(&bytes),
            Edid {
                len: 128,
                valid: true,
                preferred: (1280, 800)
            }
        );
        bytes[100] ^= 1;
        assert!(!Edid::read(&bytes).valid);
        assert!(!Edid::read(&[]).valid);
    }
}
