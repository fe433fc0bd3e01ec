// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The headless screen and its PNG files.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::fs;
use std::io::BufReader;
use std::sync::Arc;

use rondo_devices::display::{CaptureError, HeadlessSink, ScreenshotError, headless, write_png};
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::pixels::PixelBuffer;

/// Draws as the GPU does: the next frame is made of the last one, elsewhere, and takes its place when it is complete.
fn draw(sink: &mut HeadlessSink, paint: impl FnOnce(&mut [u8])) {
    let buffer = sink.frame_buffer().unwrap();
    let mut frame = PixelBuffer::zeroed(buffer.lock().unwrap().bytes().len()).unwrap();
    frame
        .bytes_mut()
        .unwrap()
        .copy_from_slice(buffer.lock().unwrap().bytes());
    paint(frame.bytes_mut().unwrap());
    frame.flip_into(&mut buffer.lock().unwrap()).unwrap();
    sink.present_frame(Rect::default());
}

fn mode(width: u32, height: u32, format: PixelFormat) -> FrameMode {
    FrameMode {
        size: Size { width, height },
        format,
    }
}

#[test]
fn a_screen_is_off_until_it_has_a_mode_and_black_until_a_frame() {
    let (mut sink, screen) = headless();
    assert_eq!(screen.capture().unwrap_err(), CaptureError::Off);
    assert!(sink.alloc_frame().is_none() && sink.frame_buffer().is_none());
    sink.configure(Some(mode(3, 2, PixelFormat::B8G8R8X8)));
    assert_eq!(screen.capture().unwrap().rgb(), [0; 18]);
    sink.configure(None);
    assert_eq!(screen.capture().unwrap_err(), CaptureError::Off);
}

#[test]
fn a_frame_that_the_host_cannot_hold_leaves_the_screen_off() {
    let (mut sink, screen) = headless();
    sink.configure(Some(mode(u32::MAX, u32::MAX, PixelFormat::B8G8R8X8)));
    assert!(sink.alloc_frame().is_none() && sink.frame_buffer().is_none());
    assert_eq!(screen.capture().unwrap_err(), CaptureError::Off);
}

#[test]
fn a_screenshot_from_another_thread_is_never_half_a_frame() {
    let (mut sink, screen) = headless();
    let shape = mode(64, 64, PixelFormat::R8G8B8X8);
    sink.configure(Some(shape));
    let looker = std::thread::spawn({
        let screen = screen.clone();
        move || {
            for _ in 0..200 {
                let shot = screen.capture().unwrap();
                let first = shot.rgb()[0];
                assert!(shot.rgb().iter().all(|byte| *byte == first), "half a frame");
            }
        }
    });
    let mut value = 0_u8;
    while !looker.is_finished() {
        draw(&mut sink, |frame| {
            assert!(
                frame.iter().all(|byte| *byte == value),
                "not the last frame"
            );
            for row in frame.chunks_mut(256) {
                row.fill(value.wrapping_add(1));
                std::thread::yield_now();
            }
        });
        value = value.wrapping_add(1);
    }
    looker.join().unwrap();
    draw(&mut sink, |_| {});
    assert!(screen.frames() > 0);
}

#[test]
fn the_cursor_is_blended_at_its_hot_spot_and_cut_at_the_edges() {
    let (mut sink, screen) = headless();
    sink.configure(Some(mode(100, 80, PixelFormat::R8G8B8X8)));
    draw(&mut sink, |frame| frame.fill(100));
    let mut pixels = vec![0; 64 * 64 * 4];
    // Opaque red at (4, 6), half white at (5, 6), all else transparent.
    pixels[(6 * 64 + 4) * 4..][..4].copy_from_slice(&[0, 0, 255, 255]);
    pixels[(6 * 64 + 5) * 4..][..4].copy_from_slice(&[255, 255, 255, 128]);
    sink.set_cursor(Some(CursorImage {
        pixels: Arc::from(pixels),
        format: PixelFormat::B8G8R8A8,
        hot_x: 4,
        hot_y: 6,
    }));
    for (x, y) in [(50, 40), (0, 0), (99, 79)] {
        sink.move_cursor(x, y);
        let shot = screen.capture().unwrap();
        assert_eq!(shot.pixel(x, y), Some([255, 0, 0]));
        if x < 99 {
            assert_eq!(shot.pixel(x + 1, y), Some([178; 3]));
        }
        let changed = shot
            .rgb()
            .chunks(3)
            .filter(|pixel| *pixel != [100; 3])
            .count();
        assert_eq!(changed, if x < 99 { 2 } else { 1 });
    }
    for (x, y) in [(-1_i32, 5), (5, i32::MIN), (i32::MAX, i32::MAX), (-2, -2)] {
        sink.move_cursor(x.cast_unsigned(), y.cast_unsigned());
        let shot = screen.capture().unwrap();
        assert_eq!(shot.pixel(20, 20), Some([100; 3]));
    }
    sink.set_cursor(None);
    assert_eq!(screen.capture().unwrap().rgb(), vec![100; 100 * 80 * 3]);
}

#[test]
fn each_format_makes_the_same_png() {
    let folder = tempfile::tempdir().unwrap();
    let (red, green, blue, other) = (10, 120, 250, 77);
    let formats = [
        (PixelFormat::B8G8R8A8, [blue, green, red, other]),
        (PixelFormat::B8G8R8X8, [blue, green, red, other]),
        (PixelFormat::A8R8G8B8, [other, red, green, blue]),
        (PixelFormat::X8R8G8B8, [other, red, green, blue]),
        (PixelFormat::R8G8B8A8, [red, green, blue, other]),
        (PixelFormat::R8G8B8X8, [red, green, blue, other]),
        (PixelFormat::A8B8G8R8, [other, blue, green, red]),
        (PixelFormat::X8B8G8R8, [other, blue, green, red]),
    ];
    for (format, bytes) in formats {
        let (mut sink, screen) = headless();
        sink.configure(Some(mode(5, 3, format)));
        draw(&mut sink, |frame| {
            for pixel in frame.chunks_mut(4) {
                pixel.copy_from_slice(&bytes);
            }
        });
        let path = folder.path().join("screen.png");
        write_png(&screen.capture().unwrap(), &path).unwrap();
        let mut reader = png::Decoder::new(BufReader::new(fs::File::open(&path).unwrap()))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (5, 3));
        assert_eq!(info.color_type, png::ColorType::Rgb);
        for pixel in pixels.chunks(3) {
            assert_eq!(pixel, [red, green, blue], "{format:?}");
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the picture itself: {left:?}");
}

#[test]
fn a_png_that_cannot_be_written_is_one_sentence_with_the_path_and_leaves_nothing() {
    let (mut sink, screen) = headless();
    sink.configure(Some(mode(1, 1, PixelFormat::R8G8B8X8)));
    let shot = screen.capture().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing").join("a.png");
    let error = write_png(&shot, &missing).unwrap_err();
    assert!(matches!(error, ScreenshotError::Write { .. }));
    assert!(error.to_string().contains("a.png"), "{error}");
    // The place is taken by a folder: the finished file cannot get there, and goes.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    write_png(&shot, &taken).unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = write_png(&shot, std::path::Path::new("/")).unwrap_err();
    assert!(matches!(error, ScreenshotError::NoFileName(_)));
}
