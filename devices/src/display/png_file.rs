// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A picture as a PNG file, whole or not at all: written beside its place under another name, then renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::screenshot::Screenshot;

/// Why a PNG file could not be written.
#[derive(Debug, Error)]
pub enum ScreenshotError {
    /// The path names no file.
    #[error("{} is not the name of a file", .0.display())]
    NoFileName(PathBuf),
    /// The host refused.
    #[error("cannot write the screenshot {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
}

/// Writes `picture` to `path`, replacing what was there.
///
/// # Errors
/// The path names no file, or the file cannot be written; then `path` is as it was.
pub fn write_png(picture: &Screenshot, path: &Path) -> Result<(), ScreenshotError> {
    let name = path
        .file_name()
        .ok_or_else(|| ScreenshotError::NoFileName(path.to_owned()))?;
    let mut unfinished = std::ffi::OsString::from(".");
    unfinished.push(name);
    unfinished.push(format!(".{}.part", std::process::id()));
    let unfinished = path.with_file_name(unfinished);
    let result = encode(picture, &unfinished).and_then(|()| fs::rename(&unfinished, path));
    result.map_err(|source| {
        let _ = fs::remove_file(&unfinished);
        ScreenshotError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn encode(picture: &Screenshot, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let size = picture.size();
    let mut encoder = png::Encoder::new(&mut file, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // A screenshot is taken while VMs run: little time matters more than few bytes.
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer
        .write_image_data(picture.rgb())
        .map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    file.flush()
}
