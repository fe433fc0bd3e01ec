// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The eight pixel formats of 2D resources and scanouts.

use core::fmt;

/// `enum virtio_gpu_formats`. The name lists the bytes of a pixel in the order of their addresses: `B8G8R8X8` has blue first.
/// Each is four bytes a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Format {
    /// Blue, green, red, alpha. Linux' cursor.
    B8G8R8A8 = 1,
    /// Blue, green, red, unused. Linux' primary plane.
    B8G8R8X8 = 2,
    /// Alpha, red, green, blue.
    A8R8G8B8 = 3,
    /// Unused, red, green, blue.
    X8R8G8B8 = 4,
    /// Red, green, blue, alpha.
    R8G8B8A8 = 67,
    /// Unused, blue, green, red.
    X8B8G8R8 = 68,
    /// Alpha, blue, green, red.
    A8B8G8R8 = 121,
    /// Red, green, blue, unused.
    R8G8B8X8 = 134,
}

impl Format {
    /// Every format, by number.
    pub const ALL: [Self; 8] = [
        Self::B8G8R8A8,
        Self::B8G8R8X8,
        Self::A8R8G8B8,
        Self::X8R8G8B8,
        Self::R8G8B8A8,
        Self::X8B8G8R8,
        Self::A8B8G8R8,
        Self::R8G8B8X8,
    ];

    /// Bytes of a pixel, the same in every format.
    pub const BYTES_PER_PIXEL: u32 = 4;

    /// The format with this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::B8G8R8A8,
            2 => Self::B8G8R8X8,
            3 => Self::A8R8G8B8,
            4 => Self::X8R8G8B8,
            67 => Self::R8G8B8A8,
            68 => Self::X8B8G8R8,
            121 => Self::A8B8G8R8,
            134 => Self::R8G8B8X8,
            _ => return None,
        })
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self as u32
    }

    /// At which byte of a pixel red, green, blue and alpha are; alpha is `None` where that byte is unused.
    #[must_use]
    pub const fn channels(self) -> Channels {
        let (red, green, blue, alpha) = match self {
            Self::B8G8R8A8 => (2, 1, 0, Some(3)),
            Self::B8G8R8X8 => (2, 1, 0, None),
            Self::A8R8G8B8 => (1, 2, 3, Some(0)),
            Self::X8R8G8B8 => (1, 2, 3, None),
            Self::R8G8B8A8 => (0, 1, 2, Some(3)),
            Self::X8B8G8R8 => (3, 2, 1, None),
            Self::A8B8G8R8 => (3, 2, 1, Some(0)),
            Self::R8G8B8X8 => (0, 1, 2, None),
        };
        Channels {
            red,
            green,
            blue,
            alpha,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where the channels of a pixel are: byte offsets 0 to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Byte of red.
    pub red: usize,
    /// Byte of green.
    pub green: usize,
    /// Byte of blue.
    pub blue: usize,
    /// Byte of alpha; `None` where the format has an unused byte instead.
    pub alpha: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn numbers_and_formats_map_one_to_one() {
        for number in 0..1000 {
            match Format::from_wire(number) {
                Some(format) => assert_eq!(format.get(), number),
                None => assert!(!Format::ALL.iter().any(|f| f.get() == number)),
            }
        }
        assert_eq!(
            Format::ALL
                .iter()
                .filter(|f| Format::from_wire(f.get()) == Some(**f))
                .count(),
            8
        );
    }

    #[test]
    fn channels_agree_with_the_letters_of_the_name() {
        for format in Format::ALL {
            let name = format!("{format}");
            // "B8G8R8A8": the letter of byte n is at 2n.
            let place = |letter: char| name.find(letter).map(|at| at / 2);
            let channels = format.channels();
            assert_eq!(Some(channels.red), place('R'), "{name}");
            assert_eq!(Some(channels.green), place('G'), "{name}");
            assert_eq!(Some(channels.blue), place('B'), "{name}");
            assert_eq!(channels.alpha, place('A'), "{name}");
        }
    }
}
