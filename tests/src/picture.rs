// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Pictures as tests compare them: packed 0xRRGGBB pixels, read from the PNG files that `rondo` writes.

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A picture without transparency, row by row from the top left.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

impl Picture {
    /// The picture whose pixel at (x, y) is `pixel(x, y)`, as 0xRRGGBB.
    pub fn from_fn(
        width: usize,
        height: usize,
        mut pixel: impl FnMut(usize, usize) -> u32,
    ) -> Self {
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                pixels.push(pixel(x, y) & 0x00ff_ffff);
            }
        }
        Self {
            width,
            height,
            pixels,
        }
    }

    /// Reads an RGB or RGBA PNG of eight bits a channel.
    ///
    /// # Errors
    /// When the file is missing, damaged, or of another colour type.
    pub fn read_png(path: &Path) -> Result<Self> {
        let file = File::open(path)
            .with_context(|| format!("cannot open the screenshot {}", path.display()))?;
        let mut reader = png::Decoder::new(BufReader::new(file))
            .read_info()
            .with_context(|| format!("{} is not a PNG", path.display()))?;
        let size = reader
            .output_buffer_size()
            .context("the picture does not fit in memory")?;
        let mut bytes = vec![0; size];
        let info = reader
            .next_frame(&mut bytes)
            .with_context(|| format!("{} is damaged", path.display()))?;
        let channels = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => bail!(
                "{} has the unexpected colour type {other:?}",
                path.display()
            ),
        };
        let width = usize::try_from(info.width)?;
        let height = usize::try_from(info.height)?;
        let pixels = bytes[..width * height * channels]
            .chunks_exact(channels)
            .map(|p| (u32::from(p[0]) << 16) | (u32::from(p[1]) << 8) | u32::from(p[2]))
            .collect();
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixel at (x, y) as 0xRRGGBB, or nothing outside the picture.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> Option<u32> {
        if x < self.width {
            self.pixels.get(y * self.width + x).copied()
        } else {
            None
        }
    }

    /// The bytes a guest writes into a frame buffer of XRGB8888 (blue first) to show this picture.
    #[must_use]
    pub fn to_xrgb8888(&self) -> Vec<u8> {
        self.pixels
            .iter()
            .flat_map(|pixel| pixel.to_le_bytes())
            .collect()
    }

    /// Checks that the pictures are the same to the pixel.
    ///
    /// # Errors
    /// Says how many pixels differ, and where the first of them is.
    pub fn must_equal(&self, expected: &Self) -> Result<()> {
        if (self.width, self.height) != (expected.width, expected.height) {
            bail!(
                "the picture is {}x{}, not {}x{}",
                self.width,
                self.height,
                expected.width,
                expected.height
            );
        }
        let differing = || {
            self.pixels
                .iter()
                .zip(&expected.pixels)
                .enumerate()
                .filter(|(_, (a, b))| a != b)
        };
        if let Some((at, (got, want))) = differing().next() {
            bail!(
                "{} of {} pixels differ, first at ({}, {}): #{got:06x} instead of #{want:06x}",
                differing().count(),
                self.pixels.len(),
                at % self.width,
                at / self.width,
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Picture;

    #[test]
    fn given_two_pictures_when_one_pixel_differs_then_the_place_is_named() {
        let one = Picture::from_fn(4, 3, |x, y| u32::try_from(y * 16 + x).unwrap_or(0));
        let other = Picture::from_fn(4, 3, |x, y| {
            if (x, y) == (2, 1) {
                0xff
            } else {
                u32::try_from(y * 16 + x).unwrap_or(0)
            }
        });
        assert!(one.must_equal(&one.clone()).is_ok());
        let message = one.must_equal(&other).map_err(|error| error.to_string());
        assert_eq!(
            message,
            Err("1 of 12 pixels differ, first at (2, 1): #000012 instead of #0000ff".to_owned())
        );
    }

    #[test]
    fn given_pictures_of_other_sizes_when_compared_then_both_sizes_are_named() {
        let message =
            Picture::from_fn(4, 3, |_, _| 0).must_equal(&Picture::from_fn(3, 4, |_, _| 0));
        assert_eq!(
            message.map_err(|error| error.to_string()),
            Err("the picture is 4x3, not 3x4".to_owned())
        );
    }
}
