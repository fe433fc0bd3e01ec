// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The base block: who the monitor is, its preferred timing and its texts (E-EDID 1.4, section 3).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes};

use super::timing::Timing;
use super::{PhysicalSize, div_round};

/// The manufacturer's three letters. Not a registered PNP id.
pub(super) const MANUFACTURER: [u8; 3] = *b"RDO";
/// The product code: the device id of virtio's GPU.
pub(super) const PRODUCT: u16 = 16;
/// The model year, in years since 1990.
pub(super) const MODEL_YEAR: u8 = 36;
/// The week number that says that the year is the model's.
pub(super) const WEEK_IS_MODEL_YEAR: u8 = 0xff;

/// Digital, 8 bits a colour, DisplayPort.
const DIGITAL_8_BITS: u8 = 0xa5;
/// 2.2, as hundredths above 1.
pub(super) const GAMMA: u8 = 120;
/// Feature bits: sRGB is the colour space; the preferred timing is the native one.
const SRGB: u8 = 0x04;
const PREFERRED_IS_NATIVE: u8 = 0x02;
/// The chromaticities of sRGB: red (0.640, 0.330), green (0.300, 0.600), blue (0.150, 0.060), white (0.3127, 0.3290), ten bits each.
const SRGB_CHROMATICITY: [u8; 10] = [0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54];
/// A standard timing that is not used.
const UNUSED_TIMING: [u8; 2] = [1, 1];

/// Descriptor tags.
const TAG_SERIAL: u8 = 0xff;
const TAG_NAME: u8 = 0xfc;
const TAG_DUMMY: u8 = 0x10;

/// What both blocks say about the monitor.
pub(super) struct Identity<'a> {
    pub(super) serial_number: u32,
    pub(super) texts: Texts<'a>,
    pub(super) size: Option<PhysicalSize>,
}

/// The texts.
pub(super) struct Texts<'a> {
    pub(super) name: &'a str,
    pub(super) serial: &'a str,
}

/// What the timing in the base block is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Preferred {
    /// The monitor's own mode.
    Native,
    /// A smaller one; its own is in the extension that follows.
    Reduced,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Block {
    header: [u8; 8],
    manufacturer: [u8; 2],
    product: U16,
    serial_number: U32,
    week: u8,
    year: u8,
    version: [u8; 2],
    input: u8,
    size_cm: [u8; 2],
    gamma: u8,
    features: u8,
    chromaticity: [u8; 10],
    established_timings: [u8; 3],
    standard_timings: [[u8; 2]; 8],
    preferred_timing: DetailedTiming,
    texts: [Text; 3],
    extensions: u8,
    checksum: u8,
}

impl Block {
    /// The block, its checksum left 0.
    pub(super) fn new(
        identity: &Identity<'_>,
        timing: &Timing,
        preferred_timing: DetailedTiming,
        preferred: Preferred,
    ) -> Self {
        let native = if preferred == Preferred::Native {
            PREFERRED_IS_NATIVE
        } else {
            0
        };
        Self {
            header: [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            manufacturer: const { letters(MANUFACTURER) },
            product: PRODUCT.into(),
            serial_number: identity.serial_number.into(),
            week: WEEK_IS_MODEL_YEAR,
            year: MODEL_YEAR,
            version: [1, 4],
            input: DIGITAL_8_BITS,
            size_cm: identity.size.map_or([0, 0], |size| {
                [centimetres(size.width_mm), centimetres(size.height_mm)]
            }),
            gamma: GAMMA,
            features: SRGB | native,
            chromaticity: SRGB_CHROMATICITY,
            established_timings: established_timings(timing),
            standard_timings: [UNUSED_TIMING; 8],
            preferred_timing,
            texts: [
                Text::new(TAG_NAME, identity.texts.name),
                Text::new(TAG_SERIAL, identity.texts.serial),
                Text::new(TAG_DUMMY, ""),
            ],
            extensions: u8::from(preferred == Preferred::Reduced),
            checksum: 0,
        }
    }
}

/// A detailed timing descriptor: 18 bytes, its fields of 4 to 16 bits spread over them.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct DetailedTiming([u8; 18]);

impl DetailedTiming {
    /// Digital separate sync, horizontal positive, vertical negative; no stereo, not interlaced.
    const FLAGS: u8 = 0x1a;

    /// The descriptor; `None` if a value does not fit its field.
    pub(super) fn new(timing: &Timing, size: Option<PhysicalSize>) -> Option<Self> {
        let clock = u16::try_from(timing.clock_10khz).ok()?.to_le_bytes();
        let (width, h_blank) = (Split12::new(timing.width)?, Split12::new(timing.h_blank)?);
        let (height, v_blank) = (Split12::new(timing.height)?, Split12::new(timing.v_blank)?);
        let (width_mm, height_mm) = match size {
            Some(size) => (
                Split12::new(size.width_mm.into())?,
                Split12::new(size.height_mm.into())?,
            ),
            None => (Split12::ZERO, Split12::ZERO),
        };
        // The porches and syncs of reduced blanking are small: their upper bits (byte 11) are all 0.
        let h_front_porch = u8::try_from(timing.h_front_porch).ok()?;
        let h_sync = u8::try_from(timing.h_sync).ok()?;
        let v_front_porch = u8::try_from(timing.v_front_porch)
            .ok()
            .filter(|lines| *lines < 16)?;
        let v_sync = u8::try_from(timing.v_sync)
            .ok()
            .filter(|lines| *lines < 16)?;
        Some(Self([
            clock[0],
            clock[1],
            width.low,
            h_blank.low,
            (width.high << 4) | h_blank.high,
            height.low,
            v_blank.low,
            (height.high << 4) | v_blank.high,
            h_front_porch,
            h_sync,
            (v_front_porch << 4) | v_sync,
            0,
            width_mm.low,
            height_mm.low,
            (width_mm.high << 4) | height_mm.high,
            0, // No borders.
            0,
            Self::FLAGS,
        ]))
    }
}

/// A 12-bit value: eight bits, and four that share a byte with another value's.
#[derive(Clone, Copy)]
struct Split12 {
    low: u8,
    high: u8,
}

impl Split12 {
    const ZERO: Self = Self { low: 0, high: 0 };

    fn new(value: u32) -> Option<Self> {
        let [low, high] = u16::try_from(value)
            .ok()
            .filter(|value| *value < 1 << 12)?
            .to_le_bytes();
        Some(Self { low, high })
    }
}

/// A display descriptor that holds text: 13 places, ended by a line feed, filled with spaces.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Text {
    /// No pixel clock: what tells a display descriptor from a timing.
    zero: [u8; 3],
    tag: u8,
    reserved: u8,
    text: [u8; 13],
}

impl Text {
    /// The text; a dummy descriptor if it is empty.
    fn new(tag: u8, text: &str) -> Self {
        if text.is_empty() {
            return Self {
                zero: [0; 3],
                tag: TAG_DUMMY,
                reserved: 0,
                text: [0; 13],
            };
        }
        let printable = |c: char| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii_graphic() || byte == b' ' => byte,
            _ => b'?',
        };
        let content = text
            .chars()
            .map(printable)
            .chain([b'\n'])
            .chain(core::iter::repeat(b' '));
        let mut places = [0; 13];
        for (place, byte) in places.iter_mut().zip(content) {
            *place = byte;
        }
        Self {
            zero: [0; 3],
            tag,
            reserved: 0,
            text: places,
        }
    }
}

/// The three letters of a PNP id in two bytes: five bits each, big-endian.
const fn letters(id: [u8; 3]) -> [u8; 2] {
    let [a, b, c] = [id[0] & 0x1f, id[1] & 0x1f, id[2] & 0x1f];
    [(a << 2) | (b >> 3), (b << 5) | c]
}

fn centimetres(mm: u16) -> u8 {
    u8::try_from(div_round(mm.into(), 10)).unwrap_or(u8::MAX)
}

/// The established timings at 60 Hz that the picture has room for.
fn established_timings(timing: &Timing) -> [u8; 3] {
    let bit = |width: u32, height: u32, bit: u8| {
        if timing.width >= width && timing.height >= height {
            bit
        } else {
            0
        }
    };
    [
        bit(640, 480, 0x20) | bit(800, 600, 0x01),
        bit(1024, 768, 0x08),
        0,
    ]
}
