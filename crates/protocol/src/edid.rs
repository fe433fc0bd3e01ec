// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The EDID of a virtual monitor (VESA E-EDID 1.4), for any mode.
//!
//! The mode is the preferred timing, with CVT's reduced blanking. One that fits the 12-bit fields of a detailed timing descriptor is
//! in the base block. A larger one is in a DisplayID extension block, as real monitors beyond 4095 pixels do it, and the base block
//! holds the same picture scaled down by a whole number for drivers that read no extensions. Linux prefers the largest of the modes
//! marked preferred, so it takes the one in the extension.
//!
//! Linux ignores modes below 64 pixels, and its virtio-gpu driver those above 8192. `edid-decode` finds every mode conformant but those
//! whose pixel clock is below 10 MHz (320x200 at 60 Hz), which it takes for garbage; no driver is known to.
//!
//! ```
//! use rondo_protocol::edid::{Edid, Monitor, PhysicalSize};
//!
//! let monitor = Monitor { width: 1280, height: 800, serial: "vm-7", ..Monitor::default() };
//! let edid = Edid::new(&monitor).unwrap();
//! assert_eq!(edid.as_bytes().len(), 128);
//! ```

mod base;
mod displayid;
mod timing;

use core::fmt;

use zerocopy::{Immutable, IntoBytes};

use timing::Timing;

/// Bytes of an EDID block.
const BLOCK_LEN: usize = 128;

/// Highest refresh rate: beyond it CVT's vertical blanking of 460 us would take half of each frame.
pub const MAX_REFRESH_HZ: u32 = 1000;

/// What the EDID says about the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Monitor<'a> {
    /// Columns of the preferred mode, from 1.
    pub width: u16,
    /// Rows of the preferred mode, from 1.
    pub height: u16,
    /// Frames a second, 1 to [`MAX_REFRESH_HZ`].
    pub refresh_hz: u32,
    /// Size of the picture; `None` or one outside of 10 to 2550 mm is written as "unknown", as a projector's is.
    pub size: Option<PhysicalSize>,
    /// Name: the first 13 characters; those that are not printable ASCII become `?`. Empty leaves it out.
    pub name: &'a str,
    /// Serial number as text, like `name`.
    pub serial: &'a str,
    /// Serial number as a number; 0 is "none".
    pub serial_number: u32,
}

impl Default for Monitor<'_> {
    /// 1280x800 at 60 Hz and 96 dots per inch, called "Rondo".
    fn default() -> Self {
        Self {
            width: 1280,
            height: 800,
            refresh_hz: 60,
            size: Some(PhysicalSize::at_dpi(1280, 800, 96)),
            name: "Rondo",
            serial: "",
            serial_number: 0,
        }
    }
}

/// Size of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhysicalSize {
    /// Millimetres across.
    pub width_mm: u16,
    /// Millimetres down.
    pub height_mm: u16,
}

impl PhysicalSize {
    /// The size of `width` by `height` pixels at this density: a driver that derives the density gets this one back. A density of 0
    /// is taken as 1; sizes end at 65535 mm.
    #[must_use]
    pub fn at_dpi(width: u16, height: u16, dpi: u16) -> Self {
        // 254 tenths of a millimetre are an inch; rounded to the nearest millimetre.
        let mm = |pixels: u16| {
            let tenths = u64::from(pixels).saturating_mul(254);
            let per_mm = u64::from(dpi.max(1)).saturating_mul(10);
            u16::try_from(div_round(tenths, per_mm)).unwrap_or(u16::MAX)
        };
        Self {
            width_mm: mm(width),
            height_mm: mm(height),
        }
    }

    /// The size as the base block can say it: both sides from 10 to 2550 mm. A side of 0 cm would turn the field into an aspect
    /// ratio.
    fn representable(self) -> Option<Self> {
        let fits = |mm: u16| (10..=2550).contains(&mm);
        (fits(self.width_mm) && fits(self.height_mm)).then_some(self)
    }
}

/// `value / by`, to the nearest; 0 if `by` is 0.
fn div_round(value: u64, by: u64) -> u64 {
    value.saturating_add(by >> 1).checked_div(by).unwrap_or(0)
}

/// An EDID: one block, or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edid {
    bytes: [u8; 2 * BLOCK_LEN],
    has_extension: bool,
}

impl Edid {
    /// The EDID of a monitor.
    ///
    /// # Errors
    ///
    /// The mode has no pixels, its refresh rate is out of range, or it needs a pixel clock above DisplayID's 167 GHz.
    pub fn new(monitor: &Monitor<'_>) -> Result<Self, EdidError> {
        let Monitor {
            width,
            height,
            refresh_hz,
            ..
        } = *monitor;
        if width == 0 || height == 0 {
            return Err(EdidError::NoPixels { width, height });
        }
        if refresh_hz == 0 || refresh_hz > MAX_REFRESH_HZ {
            return Err(EdidError::BadRefresh { refresh_hz });
        }
        let size = monitor.size.and_then(PhysicalSize::representable);
        let native = Timing::reduced_blanking(width, height, refresh_hz);
        let texts = base::Texts {
            name: monitor.name,
            serial: monitor.serial,
        };
        let identity = base::Identity {
            serial_number: monitor.serial_number,
            texts,
            size,
        };
        if let Some(descriptor) = base::DetailedTiming::new(&native, size) {
            let block = base::Block::new(&identity, &native, descriptor, base::Preferred::Native);
            return Ok(Self::of(&block, None));
        }
        let too_large = EdidError::TooLarge {
            width,
            height,
            refresh_hz,
        };
        let extension = displayid::Block::new(&native, &identity).ok_or(too_large)?;
        let (reduced, descriptor) =
            scaled_down(width, height, refresh_hz, size).ok_or(too_large)?;
        let block = base::Block::new(&identity, &reduced, descriptor, base::Preferred::Reduced);
        Ok(Self::of(&block, Some(&extension)))
    }

    /// The bytes: 128, or 256 with an extension. Fits the response to GET_EDID.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let length = if self.has_extension {
            self.bytes.len()
        } else {
            BLOCK_LEN
        };
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }

    fn of(base: &base::Block, extension: Option<&displayid::Block>) -> Self {
        let mut bytes = [0; 2 * BLOCK_LEN];
        let (first, second) = bytes.split_at_mut(BLOCK_LEN);
        first.copy_from_slice(&sealed(base));
        if let Some(extension) = extension {
            second.copy_from_slice(&sealed(extension));
        }
        Self {
            bytes,
            has_extension: extension.is_some(),
        }
    }
}

/// The block with its last byte set so that all 128 sum up to 0.
fn sealed<T: IntoBytes + Immutable>(block: &T) -> [u8; BLOCK_LEN] {
    const { assert!(size_of::<T>() == BLOCK_LEN) }
    let mut bytes = [0; BLOCK_LEN];
    bytes.copy_from_slice(block.as_bytes());
    if let Some((last, rest)) = bytes.split_last_mut() {
        *last = checksum(rest);
    }
    bytes
}

/// The byte that brings the sum of `bytes` and itself to 0.
fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte))
}

/// The largest picture that a descriptor can hold among this one divided by 2, 3, ...
fn scaled_down(
    width: u16,
    height: u16,
    refresh_hz: u32,
    size: Option<PhysicalSize>,
) -> Option<(Timing, base::DetailedTiming)> {
    (2..=u16::MAX).find_map(|divisor| {
        let part = |pixels: u16| pixels.checked_div(divisor).unwrap_or(1).max(1);
        let timing = Timing::reduced_blanking(part(width), part(height), refresh_hz);
        base::DetailedTiming::new(&timing, size).map(|descriptor| (timing, descriptor))
    })
}

/// Why there is no EDID for a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdidError {
    /// The mode has no columns or no rows.
    NoPixels {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// A refresh rate of 0, or above [`MAX_REFRESH_HZ`].
    BadRefresh {
        /// Frames a second.
        refresh_hz: u32,
    },
    /// No EDID structure can carry the mode.
    TooLarge {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
        /// Frames a second.
        refresh_hz: u32,
    },
}

impl fmt::Display for EdidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPixels { width, height } => {
                write!(f, "a display of {width}x{height} has no pixels")
            }
            Self::BadRefresh { refresh_hz } => {
                write!(
                    f,
                    "a refresh rate of {refresh_hz} Hz is not in 1 to {MAX_REFRESH_HZ}"
                )
            }
            Self::TooLarge {
                width,
                height,
                refresh_hz,
            } => {
                write!(
                    f,
                    "{width}x{height} at {refresh_hz} Hz is more than an EDID can describe"
                )
            }
        }
    }
}

impl core::error::Error for EdidError {}
