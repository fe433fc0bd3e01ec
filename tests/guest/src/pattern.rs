// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The test picture: every pixel follows from (width, height, frame), so that a host can compare what it sees with what it must see.
//!
//! The frame is cut into 8 x 8 tiles, numbered row by row. Frame 0 draws them all; frame *f* draws tile *f* mod 64 anew and leaves the others. A tile carries the
//! number of the frame that drew it last, its *stamp*, and each pixel mixes its place with that stamp. So a lost update, a late one, one of the wrong
//! rows or one with the wrong stride each shows in the picture.

/// Tiles in a row, and rows of tiles.
pub const TILES: u32 = 8;

/// The tile's rectangle as (x, y, width, height) in pixels. Empty when the picture is smaller than the grid and the tile has no pixel.
#[must_use]
pub fn tile_rect(width: u32, height: u32, tile: u32) -> (u32, u32, u32, u32) {
    let edge =
        |size: u32, index: u32| (u64::from(size) * u64::from(index) / u64::from(TILES)) as u32;
    let (column, row) = (tile % TILES, tile / TILES % TILES);
    let (x, y) = (edge(width, column), edge(height, row));
    (x, y, edge(width, column + 1) - x, edge(height, row + 1) - y)
}

/// The tile that frame `frame` draws; frame 0 draws all.
#[must_use]
pub fn tile_of_frame(frame: u64) -> u32 {
    (frame % u64::from(TILES * TILES)) as u32
}

/// The stamp of `tile` once frame `frame` is drawn.
#[must_use]
pub fn stamp(tile: u32, frame: u64) -> u64 {
    let age = (frame + u64::from(TILES * TILES) - u64::from(tile)) % u64::from(TILES * TILES);
    frame.saturating_sub(age)
}

/// The tile that pixel (x, y) lies in.
#[must_use]
pub fn tile_at(width: u32, height: u32, x: u32, y: u32) -> u32 {
    // The inverse of `tile_rect`: the last index whose edge is not beyond the pixel. floor(size * i / 8) <= at is i < 8 * (at + 1) / size.
    let fit = |size: u32, at: u32| {
        ((u64::from(at) * u64::from(TILES) + u64::from(TILES) - 1) / u64::from(size.max(1))) as u32
    };
    fit(height, y) * TILES + fit(width, x)
}

/// The pixel at (x, y) of a tile with this stamp: 0x00RRGGBB.
#[must_use]
pub fn stamped_pixel(x: u32, y: u32, stamp: u64) -> u32 {
    let stamp = (stamp ^ (stamp >> 32)) as u32;
    // Three odd multipliers: neighbours in any direction and in time differ in every byte sooner or later.
    let mut mixed =
        x.wrapping_mul(0x0001_0003) ^ y.wrapping_mul(0x0007_0105) ^ stamp.wrapping_mul(0x9e37_79b1);
    mixed ^= mixed >> 13;
    mixed & 0x00ff_ffff
}

/// The pixel that a picture of `width` x `height` shows at (x, y) once frame `frame` is drawn: 0x00RRGGBB.
#[must_use]
pub fn pixel(width: u32, height: u32, x: u32, y: u32, frame: u64) -> u32 {
    stamped_pixel(x, y, stamp(tile_at(width, height, x, y), frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_size_the_tiles_cover_each_pixel_exactly_once_and_know_it() {
        for (width, height) in [
            (64, 64),
            (1280, 800),
            (641, 479),
            (8, 8),
            (5, 3),
            (1, 1),
            (33, 7),
        ] {
            let mut owner = vec![None; (width * height) as usize];
            for tile in 0..TILES * TILES {
                let (x0, y0, w, h) = tile_rect(width, height, tile);
                for y in y0..y0 + h {
                    for x in x0..x0 + w {
                        let cell = &mut owner[(y * width + x) as usize];
                        assert_eq!(
                            *cell, None,
                            "{width}x{height}: pixel {x},{y} is in two tiles"
                        );
                        *cell = Some(tile);
                        assert_eq!(
                            tile_at(width, height, x, y),
                            tile,
                            "{width}x{height}: pixel {x},{y}"
                        );
                    }
                }
            }
            assert!(
                owner.iter().all(Option::is_some),
                "{width}x{height} has a pixel without a tile"
            );
        }
    }

    #[test]
    fn given_frames_drawn_one_by_one_the_picture_is_the_one_computed_at_once() {
        let (width, height) = (37, 29);
        let mut picture = vec![0; (width * height) as usize];
        for frame in 0..200_u64 {
            for tile in 0..TILES * TILES {
                if frame != 0 && tile != tile_of_frame(frame) {
                    continue;
                }
                let (x0, y0, w, h) = tile_rect(width, height, tile);
                for y in y0..y0 + h {
                    for x in x0..x0 + w {
                        picture[(y * width + x) as usize] = stamped_pixel(x, y, frame);
                    }
                }
            }
            for y in 0..height {
                for x in 0..width {
                    assert_eq!(
                        picture[(y * width + x) as usize],
                        pixel(width, height, x, y, frame),
                        "frame {frame} pixel {x},{y}"
                    );
                }
            }
        }
    }

    #[test]
    fn given_two_neighbouring_frames_the_redrawn_tile_differs_in_most_pixels() {
        let (x0, y0, w, h) = tile_rect(640, 480, tile_of_frame(70));
        let differing = (y0..y0 + h)
            .flat_map(|y| (x0..x0 + w).map(move |x| (x, y)))
            .filter(|&(x, y)| pixel(640, 480, x, y, 69) != pixel(640, 480, x, y, 70))
            .count();
        assert!(
            differing > (w * h) as usize * 9 / 10,
            "only {differing} of {} pixels differ",
            w * h
        );
    }
}
