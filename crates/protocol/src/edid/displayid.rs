// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The extension block for modes beyond a detailed timing's 12 bits: a DisplayID 1.2 section with a type I timing.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

use super::base::{GAMMA, Identity, MANUFACTURER, MODEL_YEAR, PRODUCT, WEEK_IS_MODEL_YEAR};
use super::timing::Timing;
use super::{checksum, div_round};

/// EDID's tag of a DisplayID extension.
const EXTENSION_TAG: u8 = 0x70;
/// DisplayID 1.2.
const VERSION: u8 = 0x12;
/// The model year, in years since 2000.
const YEAR: u8 = MODEL_YEAR - 10;
/// A desktop monitor.
const STANDALONE_DISPLAY: u8 = 3;
/// Timing flags: preferred; aspect ratio not defined.
const PREFERRED: u8 = 0x80;
const ASPECT_UNDEFINED: u8 = 0x08;
/// Bit of a sync offset: positive polarity.
const POSITIVE: u16 = 0x8000;
/// DisplayPort on four lanes, version 1.2, 8 bits a colour in RGB.
const DISPLAY_PORT_4_LANES: u8 = 0x84;
const DISPLAY_PORT_1_2: u8 = 0x12;
const RGB_8_BITS: u8 = 0x02;

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Block {
    tag: u8,
    section: Section,
    section_checksum: u8,
    fill: [u8; 55],
    checksum: u8,
}

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Section {
    version: u8,
    /// Bytes of the data blocks.
    length: u8,
    product_type: u8,
    extensions: u8,
    product: DataBlock<Product>,
    parameters: DataBlock<Parameters>,
    interface: DataBlock<Interface>,
    timing: DataBlock<Type1>,
}

/// A data block: its tag, its revision and its content.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct DataBlock<T> {
    tag: u8,
    revision: u8,
    length: u8,
    content: T,
}

/// Product identification.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Product {
    manufacturer: [u8; 3],
    product: U16,
    serial_number: U32,
    week: u8,
    /// Years since 2000.
    year: u8,
    /// Length of a name that would follow; the base block has it.
    name_length: u8,
}

/// Display parameters.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Parameters {
    /// In tenths of a millimetre; 0 is unknown.
    size: [U16; 2],
    pixels: [U16; 2],
    features: u8,
    gamma: u8,
    /// Longer side by shorter side, in hundredths above 1.
    aspect_ratio: u8,
    /// Two times bits a colour less one.
    depth: u8,
}

/// Display interface features.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Interface {
    interface: u8,
    version: u8,
    rgb_depths: u8,
    /// YCbCr, content protection and spread spectrum: none.
    none: [u8; 7],
}

/// A type I timing. Each number is stored one less than it is.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Type1 {
    /// Units of 10 kHz.
    clock: [u8; 3],
    flags: u8,
    width: U16,
    h_blank: U16,
    h_front_porch: U16,
    h_sync: U16,
    height: U16,
    v_blank: U16,
    v_front_porch: U16,
    v_sync: U16,
}

impl Block {
    /// The block, its checksum left 0; `None` if a value does not fit its field.
    pub(super) fn new(timing: &Timing, identity: &Identity<'_>) -> Option<Self> {
        let section = Section {
            version: VERSION,
            length: const { length_of::<Section>().saturating_sub(4) },
            product_type: STANDALONE_DISPLAY,
            extensions: 0,
            product: DataBlock::new(0x00, Product::new(identity)),
            parameters: DataBlock::new(0x01, Parameters::new(timing, identity)?),
            interface: DataBlock::new(
                0x0f,
                Interface {
                    interface: DISPLAY_PORT_4_LANES,
                    version: DISPLAY_PORT_1_2,
                    rgb_depths: RGB_8_BITS,
                    none: [0; 7],
                },
            ),
            timing: DataBlock::new(0x03, Type1::new(timing)?),
        };
        let section_checksum = checksum(section.as_bytes());
        Some(Self {
            tag: EXTENSION_TAG,
            section,
            section_checksum,
            fill: [0; 55],
            checksum: 0,
        })
    }
}

impl<T> DataBlock<T> {
    fn new(tag: u8, content: T) -> Self {
        Self {
            tag,
            revision: 0,
            length: const { length_of::<T>() },
            content,
        }
    }
}

impl Product {
    fn new(identity: &Identity<'_>) -> Self {
        Self {
            manufacturer: MANUFACTURER,
            product: PRODUCT.into(),
            serial_number: identity.serial_number.into(),
            week: WEEK_IS_MODEL_YEAR,
            year: YEAR,
            name_length: 0,
        }
    }
}

impl Parameters {
    fn new(timing: &Timing, identity: &Identity<'_>) -> Option<Self> {
        let tenths = |mm: u16| U16::new(mm.saturating_mul(10));
        let (longer, shorter) = (
            timing.width.max(timing.height),
            timing.width.min(timing.height),
        );
        let ratio = div_round(u64::from(longer).saturating_mul(100), shorter.into());
        Some(Self {
            size: identity.size.map_or([U16::ZERO; 2], |size| {
                [tenths(size.width_mm), tenths(size.height_mm)]
            }),
            pixels: [
                u16::try_from(timing.width).ok()?.into(),
                u16::try_from(timing.height).ok()?.into(),
            ],
            features: 0,
            gamma: GAMMA,
            aspect_ratio: u8::try_from(ratio.saturating_sub(100)).unwrap_or(u8::MAX),
            depth: 0x77,
        })
    }
}

/// Bytes of a structure that a length field of eight bits says.
#[allow(clippy::cast_possible_truncation, reason = "compared")]
const fn length_of<T>() -> u8 {
    assert!(size_of::<T>() <= 255);
    size_of::<T>() as u8
}

impl Type1 {
    fn new(timing: &Timing) -> Option<Self> {
        let clock = u32::try_from(timing.clock_10khz.checked_sub(1)?).ok()?;
        let [low, middle, high, 0] = clock.to_le_bytes() else {
            return None;
        };
        let h_front_porch = less_one(timing.h_front_porch)?;
        let v_front_porch = less_one(timing.v_front_porch)?;
        // The upper bit of these two is the polarity.
        if (h_front_porch | v_front_porch) & POSITIVE != 0 {
            return None;
        }
        Some(Self {
            clock: [low, middle, high],
            flags: PREFERRED | ASPECT_UNDEFINED,
            width: less_one(timing.width)?.into(),
            h_blank: less_one(timing.h_blank)?.into(),
            h_front_porch: (h_front_porch | POSITIVE).into(),
            h_sync: less_one(timing.h_sync)?.into(),
            height: less_one(timing.height)?.into(),
            v_blank: less_one(timing.v_blank)?.into(),
            v_front_porch: v_front_porch.into(),
            v_sync: less_one(timing.v_sync)?.into(),
        })
    }
}

fn less_one(value: u32) -> Option<u16> {
    u16::try_from(value.checked_sub(1)?).ok()
}
