// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Cursors: 64 x 64 pixels, from an image or a blob, and nothing else.

#![allow(missing_docs)]

mod world;

use std::sync::Arc;

use rondo_renderer::cursor::{CURSOR_BYTES, CURSOR_SIZE, CursorError};
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::CursorImage;
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::Image;
use rondo_renderer::screen::Screen;
use rondo_renderer::work::{Upload, Work};
use world::{Sink, backing, bytes_of, finish, memory};

#[test]
fn given_a_64x64_image_then_its_pixels_format_and_hot_spot_are_the_cursors() {
    let memory = memory();
    let pieces = [(0x3_0000, 0x2000), (0xf000, 0x2000)];
    let image = Arc::new(Image::new(CURSOR_SIZE, PixelFormat::A8B8G8R8).unwrap());
    let upload = Upload {
        image: Arc::clone(&image),
        backing: Arc::new(backing(&memory, &pieces)),
        rect: Rect::whole(CURSOR_SIZE),
        offset: 0,
    };
    finish(&mut Work::upload(upload).unwrap(), &[1000]);
    let cursor = CursorImage::from_image(&image, 3, u32::MAX).unwrap();
    assert_eq!(cursor.pixels.to_vec(), bytes_of(&memory, &pieces));
    assert_eq!(cursor.format, PixelFormat::A8B8G8R8);
    assert_eq!((cursor.hot_x, cursor.hot_y), (3, u32::MAX));
}

#[test]
fn given_a_blob_then_its_first_16_kib_are_the_cursor() {
    let memory = memory();
    let pieces = [(0x3_0000, 0x2001), (0xf000, 0x2000)];
    let cursor = CursorImage::from_blob(&backing(&memory, &pieces), 0, 63).unwrap();
    assert_eq!(
        cursor.pixels.to_vec(),
        bytes_of(&memory, &pieces)[..CURSOR_BYTES]
    );
    assert_eq!(cursor.format, PixelFormat::B8G8R8A8);
}

#[test]
fn given_an_image_of_another_size_or_a_short_blob_then_there_is_no_cursor() {
    for size in [(64, 63), (63, 64), (128, 64), (32, 128)] {
        let size = Size {
            width: size.0,
            height: size.1,
        };
        let image = Image::new(size, PixelFormat::B8G8R8A8).unwrap();
        assert_eq!(
            CursorImage::from_image(&image, 0, 0),
            Err(CursorError::Size(size))
        );
    }
    let short = backing(&memory(), &[(0, 0x3fff)]);
    assert!(matches!(
        CursorImage::from_blob(&short, 0, 0),
        Err(CursorError::TooShort(_))
    ));
}

#[test]
fn given_a_cursor_on_a_screen_then_the_sink_hears_of_its_picture_and_its_moves() {
    let (sink, seen) = Sink::with_reader(true);
    let screen = Screen::new(sink);
    let cursor = CursorImage::from_blob(&backing(&memory(), &[(0, 0x4000)]), 1, 2).unwrap();
    screen.set_cursor(Some(cursor.clone()));
    screen.move_cursor(5000, u32::MAX);
    assert_eq!(seen.lock().cursor, Some(cursor));
    assert_eq!(seen.lock().cursor_at, (5000, u32::MAX));
    screen.set_cursor(None);
    assert_eq!(seen.lock().cursor, None);
}
