// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The software GPU: images, guest backings, and work that runs in bounded, preemptible units.
//!
//! The renderer knows no protocol, no scheduler, no clock and no thread: a caller hands it work and a budget, and it
//! comes back when the work is done or the budget is spent.
//!
//! # Units
//!
//! A GPU that several VMs share must be taken away from one of them in time, so no call may last. [`work::Work`] is one
//! command with a cursor of how far it has come; [`work::Renderer::run`] moves the cursor by one *unit*, and whoever
//! drives it decides after each unit who is next, and charges the time that the unit took. A unit is bounded by
//! construction, by the bytes of a [`unit::UnitBudget`], whatever the guest made its images and pages look like: long
//! rows are split, and each row and each piece of scattered memory costs extra. The longest unit that is ever seen goes
//! into the scheduler's bound.
//!
//! Everything that can be wrong with work is found when it is made, before anything is copied. Work holds what it uses
//! by reference count, so that no table is locked while a unit runs: an upload takes its image's lock, a present the
//! screen's, then the image's, then that of the sink's buffer, always in this order and never contended in normal
//! operation. Dropping work lets go of all of it, guest memory included.
//!
//! # Frames
//!
//! An [`image::Image`] lies in host memory and is filled from a [`backing::Backing`], which is guest memory. A blob is a
//! backing that is read in place. A [`screen::Screen`] shows a part of either and passes it on to a [`frame::FrameSink`].
//! Whole images are handed over, not copied ([`pixels`]), and no reader of a sink's buffer ever sees half a frame.
//!
//! ```
//! use std::sync::Arc;
//! use rondo_renderer::{
//!     backing::Backing, format::PixelFormat, geometry::{Rect, Size}, image::Image,
//!     software::SoftwareRenderer, unit::UnitBudget,
//!     work::{Progress, Renderer, Upload, Work},
//! };
//! use vm_memory::{GuestAddress, GuestMemoryMmap};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), 0x10000)])?;
//! let size = Size { width: 64, height: 64 };
//! let mut work = Work::upload(Upload {
//!     image: Arc::new(Image::new(size, PixelFormat::B8G8R8X8)?),
//!     backing: Arc::new(Backing::new(&memory, [(GuestAddress(0x8000), 64 * 64 * 4)])?),
//!     rect: Rect::whole(size),
//!     offset: 0,
//! })?;
//! let mut gpu = SoftwareRenderer;
//! let mut units = 1;
//! while gpu.run(&mut work, UnitBudget::bytes(10_000)) == Progress::Preempted {
//!     units += 1; // Time for another VM.
//! }
//! assert_eq!(units, 2); // 64 * 64 * 4 bytes are more than 10 000.
//! # Ok(())
//! # }
//! ```
//!
//! # Another renderer
//!
//! Implement [`work::Renderer`]. It gets the same work and may do it in another way, as long as each call returns after
//! a bounded time and gets something done, work that was preempted goes on where it stopped, dropped work leaves nothing
//! behind, and a screen never shows what was not presented. A renderer for command streams (virgl) stops between two
//! commands of the stream, hands 2D work to a [`software::SoftwareRenderer`] of its own, and reports what it cannot do
//! as [`work::Progress::Failed`].

pub mod backing;
mod blit;
pub mod cursor;
pub mod format;
pub mod frame;
pub mod geometry;
pub mod image;
pub mod pixels;
mod present;
pub mod screen;
pub mod software;
pub mod unit;
mod upload;
pub mod work;
