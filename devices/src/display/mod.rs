// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where a scanout's pictures go when nobody watches: [`headless`] keeps the last frame, [`Screenshot`] makes a PNG of it.

mod headless;
mod pixels;
mod png_file;
mod screenshot;

pub use headless::{HeadlessSink, ScreenHandle, headless};
pub use png_file::{ScreenshotError, write_png};
pub use screenshot::{CaptureError, Screenshot};
