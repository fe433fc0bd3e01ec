// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Work for a GPU: what it is made of, how it is run in units, and how it ends.

use std::fmt::Debug;
use std::sync::Arc;

use thiserror::Error;

use crate::backing::{Backing, OutOfRange};
use crate::geometry::{Rect, Size};
use crate::image::Image;
use crate::pixels::OutOfMemory;
use crate::present::PresentState;
use crate::screen::{AllocationId, Screen};
use crate::unit::UnitBudget;
use crate::upload::UploadState;

/// A GPU. It takes no scheduling decision and knows no time: whoever drives it says how long a unit may be and measures
/// how long it was.
pub trait Renderer: Debug + Send {
    /// Runs the next unit of `work`. Each call gets something done, so that work ends after a bounded number of units.
    fn run(&mut self, work: &mut Work, budget: UnitBudget) -> Progress;
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All of the work is done.
    Done,
    /// The budget is spent; the next call goes on where this one stopped.
    Preempted,
    /// It cannot be done, by the host's fault. What was copied so far stays.
    Failed(OutOfMemory),
}

/// Why work is refused, before anything of it is done.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WorkError {
    /// The rectangle leaves the image or surface.
    #[error("{rect:?} leaves {size:?}")]
    OutsideImage {
        /// The rectangle.
        rect: Rect,
        /// Size of the image or surface.
        size: Size,
    },
    /// It would read behind the end of the backing.
    #[error(transparent)]
    OutsideBacking(#[from] OutOfRange),
}

/// One command's work, with everything it needs and how far it has come.
///
/// Dropping it at any point abandons it; what was drawn so far stays where it is. Work on one image or screen runs in
/// the order of its commands: the caller starts none before an earlier one on the same object has ended. If it breaks
/// that rule, pixels are undefined, but nothing else.
#[derive(Debug)]
pub struct Work(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Upload(UploadState),
    Present(PresentState),
}

/// Copy a rectangle of an image from guest memory (`TRANSFER_TO_HOST_2D`).
#[derive(Clone, Debug)]
pub struct Upload {
    /// The image.
    pub image: Arc<Image>,
    /// Its guest memory.
    pub backing: Arc<Backing>,
    /// Which pixels; an empty rectangle is legal and copies nothing.
    pub rect: Rect,
    /// Where in the backing the first row **of the rectangle** starts, in bytes; rows are `image width * 4` bytes apart.
    /// This is what Linux and QEMU mean; virtio 1.4 section 5.7.6.8 leaves room for more.
    pub offset: u64,
}

/// Where the pixels of a [`Present`] come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An image in host memory. Screens show it as the surface that [`Image::surface`] tells.
    Image(Arc<Image>),
    /// Guest memory, read in place. Each screen has the surface that it shows of it.
    Blob(Arc<Backing>),
}

/// Show a rectangle of an allocation on each screen that shows it (`RESOURCE_FLUSH`).
#[derive(Clone, Debug)]
pub struct Present {
    /// The allocation's number on the screens.
    pub allocation: AllocationId,
    /// Its pixels.
    pub source: Source,
    /// Which pixels, in the coordinates of the surface; each screen shows those that lie in its part of it.
    pub rect: Rect,
    /// The VM's screens. Those that show something else are passed over.
    pub screens: Arc<[Arc<Screen>]>,
}

impl Work {
    /// Makes an upload.
    ///
    /// # Errors
    /// [`WorkError`]: the rectangle leaves the image, or its rows leave the backing. A backing that is shorter than the
    /// image is legal as long as all rows of the rectangle lie in it. Nothing is ever copied in part: QEMU copies what
    /// there is and answers OK, which hides the guest's mistake behind old pixels.
    pub fn upload(upload: Upload) -> Result<Self, WorkError> {
        UploadState::new(upload).map(Kind::Upload).map(Self)
    }

    /// Makes a present. Total: a rectangle that no screen shows is done at once.
    #[must_use]
    pub fn present(present: Present) -> Self {
        Self(Kind::Present(PresentState::new(present)))
    }

    /// Screens that have got a new frame from it so far.
    #[must_use]
    pub fn frames(&self) -> u32 {
        match &self.0 {
            Kind::Upload(_) => 0,
            Kind::Present(state) => state.frames(),
        }
    }
}
