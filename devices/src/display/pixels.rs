// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Pixels of the eight formats as red, green, blue and alpha.

use rondo_renderer::format::PixelFormat;

/// Red, green, blue, alpha; alpha is 255 where the format has padding instead.
pub(crate) fn rgba(format: PixelFormat, pixel: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d] = pixel;
    match format {
        PixelFormat::B8G8R8A8 => [c, b, a, d],
        PixelFormat::B8G8R8X8 => [c, b, a, 255],
        PixelFormat::A8R8G8B8 => [b, c, d, a],
        PixelFormat::X8R8G8B8 => [b, c, d, 255],
        PixelFormat::R8G8B8A8 => [a, b, c, d],
        PixelFormat::R8G8B8X8 => [a, b, c, 255],
        PixelFormat::A8B8G8R8 => [d, c, b, a],
        PixelFormat::X8B8G8R8 => [d, c, b, 255],
    }
}

/// `over` on an opaque `under`, straight alpha, rounded to nearest: a linear mix, exact at both ends.
pub(crate) fn blend(under: [u8; 3], over: [u8; 4]) -> [u8; 3] {
    let [red, green, blue, alpha] = over;
    let alpha = u32::from(alpha);
    let mix = |under: u8, over: u8| {
        let sum = u32::from(over) * alpha + u32::from(under) * (255 - alpha);
        u8::try_from((sum + 127) / 255).unwrap_or(u8::MAX)
    };
    [
        mix(under[0], red),
        mix(under[1], green),
        mix(under[2], blue),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_protocol::Format;

    #[test]
    fn each_format_agrees_with_the_channels_of_the_protocol() {
        let pairs = [
            (PixelFormat::B8G8R8A8, Format::B8G8R8A8),
            (PixelFormat::B8G8R8X8, Format::B8G8R8X8),
            (PixelFormat::A8R8G8B8, Format::A8R8G8B8),
            (PixelFormat::X8R8G8B8, Format::X8R8G8B8),
            (PixelFormat::R8G8B8A8, Format::R8G8B8A8),
            (PixelFormat::X8B8G8R8, Format::X8B8G8R8),
            (PixelFormat::A8B8G8R8, Format::A8B8G8R8),
            (PixelFormat::R8G8B8X8, Format::R8G8B8X8),
        ];
        let bytes = [10, 20, 30, 40];
        for (ours, wire) in pairs {
            let channels = wire.channels();
            let expected = [
                bytes[channels.red],
                bytes[channels.green],
                bytes[channels.blue],
                channels.alpha.map_or(255, |at| bytes[at]),
            ];
            assert_eq!(rgba(ours, bytes), expected, "{ours:?}");
        }
    }

    #[test]
    fn opaque_covers_and_transparent_leaves() {
        for value in 0..=255 {
            assert_eq!(blend([value; 3], [1, 2, 3, 255]), [1, 2, 3]);
            assert_eq!(blend([value; 3], [1, 2, 3, 0]), [value; 3]);
        }
        assert_eq!(blend([0, 100, 255], [255, 200, 0, 128]), [128, 150, 127]);
    }
}
