// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Monitors, scanouts and pointers of a VM.

use std::sync::Arc;

use rondo_renderer::frame::{CursorImage, FrameMode};
use rondo_renderer::geometry::Size;
use rondo_renderer::image;
use rondo_renderer::screen::{AllocationId, Screen, Shown};

use crate::ddi::{
    ChildStatus, CommitVidPn, DdiResult, SetPointerPosition, SetPointerShape,
    SetVidPnSourceAddress, VidPnSourceId, VmConnection,
};
use crate::gpu::account::{Item, MemoryAccount};
use crate::gpu::objects::Content;
use crate::gpu::vm::{Connection, Source, VmState};
use crate::handle::KmdProcessHandle;
use crate::status::NtStatus;

/// Most scanouts of a VM (virtio 1.4 section 5.7.3).
pub(super) const MAX_SOURCES: usize = 16;

impl VmState {
    /// The VM's memory and screens.
    ///
    /// # Errors
    /// [`NtStatus::InvalidDeviceState`] if the VM has them, [`NtStatus::InvalidParameter`] for no or too many screens.
    pub(super) fn connect(&mut self, connection: VmConnection) -> DdiResult<()> {
        if self.connection.is_some() {
            return Err(NtStatus::InvalidDeviceState);
        }
        if !(1..=MAX_SOURCES).contains(&connection.screens.len()) {
            return Err(NtStatus::InvalidParameter);
        }
        let sources: Vec<Source> = (connection.screens.into_iter())
            .map(|screen| Source {
                screen: Arc::new(Screen::new(screen.sink)),
                status: screen.status,
                kept: 0,
                pointer: None,
            })
            .collect();
        let screens = (sources.iter())
            .map(|source| Arc::clone(&source.screen))
            .collect();
        self.connection = Some(Connection {
            memory: connection.memory,
            sources,
            screens,
        });
        Ok(())
    }

    /// The monitors.
    ///
    /// # Errors
    /// [`NtStatus::InvalidDeviceState`] before the VM is connected.
    pub(super) fn child_status(&self) -> DdiResult<Vec<ChildStatus>> {
        let sources = &self.connection()?.sources;
        Ok(sources.iter().map(|source| source.status).collect())
    }

    /// A source.
    ///
    /// # Errors
    /// [`NtStatus::InvalidDeviceState`] before the VM is connected, [`NtStatus::InvalidHandle`] if there is no such source.
    pub(super) fn source(&mut self, source: VidPnSourceId) -> DdiResult<&mut Source> {
        let index = usize::try_from(source.0).map_err(|_| NtStatus::InvalidHandle)?;
        self.connection
            .as_mut()
            .ok_or(NtStatus::InvalidDeviceState)?
            .sources
            .get_mut(index)
            .ok_or(NtStatus::InvalidHandle)
    }

    /// The shape of a source's frames.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::GraphicsInvalidVidpnTopology`] for a mode without pixels; [`NtStatus::NoMemory`] if the
    /// frames do not fit the VM's memory limit: the old mode stays then.
    pub(super) fn commit_vidpn(&mut self, args: &CommitVidPn) -> DdiResult<()> {
        self.objects.process(args.process)?;
        let source = self.source(args.source)?;
        let (screen, kept) = (Arc::clone(&source.screen), source.kept);
        if args.size.width == 0 || args.size.height == 0 {
            return Err(NtStatus::GraphicsInvalidVidpnTopology);
        }
        let old = match screen.mode() {
            Some(old) => Item::Frame(old.size),
            None => Item::LastFrame(kept),
        };
        self.account.release(old);
        self.account
            .charge(Item::Frame(args.size))
            .inspect_err(|_| {
                // It fitted before, or a lowered limit had spared it; either way it is still there.
                self.account.restore(old);
            })?;
        screen.set_mode(Some(FrameMode {
            size: args.size,
            format: args.format,
        }));
        self.source(args.source)?.kept = 0;
        Ok(())
    }

    /// What a source shows.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InvalidParameter`] if the surface is not the image's or leaves the blob, if the blob has
    /// no backing, or if the rectangle leaves the surface; [`NtStatus::GraphicsInvalidVidpnTopology`] if it is not of
    /// the source's mode.
    pub(super) fn set_vidpn_source_address(
        &mut self,
        args: &SetVidPnSourceAddress,
    ) -> DdiResult<()> {
        let screen = Arc::clone(&self.source(args.source)?.screen);
        let allocation = self.objects.owned(args.process, args.allocation)?;
        let surface = image::Surface {
            size: args.surface.size,
            format: args.surface.format,
            stride: args.surface.stride,
            offset: args.surface.offset,
        };
        let fits = match &allocation.content {
            Content::Image(image) => surface == image.surface(),
            Content::GuestBlob(size) => {
                allocation.backing.is_some() && surface.check(*size).is_ok()
            }
        };
        if !fits || !args.rect.fits(args.surface.size) {
            return Err(NtStatus::InvalidParameter);
        }
        screen
            .show(Shown {
                allocation: AllocationId(args.allocation.0),
                surface,
                rect: args.rect,
            })
            .map_err(|_| NtStatus::GraphicsInvalidVidpnTopology)
    }

    /// Turns a source off. Turned on, it shows something only once it has a mode and an address.
    ///
    /// # Errors
    /// The lookups'.
    pub(super) fn set_vidpn_source_visibility(
        &mut self,
        process: KmdProcessHandle,
        source: VidPnSourceId,
        visible: bool,
    ) -> DdiResult<()> {
        self.objects.process(process)?;
        let screen = Arc::clone(&self.source(source)?.screen);
        if let (false, Some(mode)) = (visible, screen.mode()) {
            screen.set_mode(None);
            let kept = went_dark(&mut self.account, mode, &screen);
            self.source(source)?.kept = kept;
        }
        Ok(())
    }

    /// A source's pointer.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InvalidParameter`] if the allocation has not the pixels of a pointer;
    /// [`NtStatus::NoMemory`]. The old pointer stays then.
    pub(super) fn set_pointer_shape(&mut self, args: &SetPointerShape) -> DdiResult<()> {
        self.objects.process(args.process)?;
        let source = self.source(args.source)?;
        let screen = Arc::clone(&source.screen);
        let had = source.pointer.is_some();
        let Some(handle) = args.allocation else {
            source.pointer = None;
            screen.set_cursor(None);
            if had {
                self.account.release(Item::Pointer);
            }
            return Ok(());
        };
        let allocation = self.objects.owned(args.process, handle)?;
        let picture = match (&allocation.content, &allocation.backing) {
            (Content::Image(image), _) => CursorImage::from_image(image, args.hot_x, args.hot_y),
            (Content::GuestBlob(_), Some((backing, _))) => {
                CursorImage::from_blob(backing, args.hot_x, args.hot_y)
            }
            (Content::GuestBlob(_), None) => return Err(NtStatus::InvalidParameter),
        };
        let picture = picture.map_err(|_| NtStatus::InvalidParameter)?;
        if !had {
            self.account.charge(Item::Pointer)?;
        }
        screen.set_cursor(Some(picture));
        self.source(args.source)?.pointer = Some(handle);
        Ok(())
    }

    /// Where the pointer is: the screen that is to be told.
    ///
    /// # Errors
    /// The lookups'.
    pub(super) fn pointer_screen(&mut self, args: &SetPointerPosition) -> DdiResult<Arc<Screen>> {
        self.objects.process(args.process)?;
        Ok(Arc::clone(&self.source(args.source)?.screen))
    }

    /// A monitor's state, told by the host.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InvalidParameter`] for a monitor without pixels.
    pub(super) fn set_child_status(
        &mut self,
        source: VidPnSourceId,
        status: ChildStatus,
    ) -> DdiResult<()> {
        if status.connected && has_no_pixels(status.size) {
            return Err(NtStatus::InvalidParameter);
        }
        self.source(source)?.status = status;
        Ok(())
    }
}

/// A screen is off, which had this mode: what its sink keeps stays charged. It is less than what was, so it fits; returns
/// how much it is.
pub(super) fn went_dark(account: &mut MemoryAccount, mode: FrameMode, screen: &Screen) -> u64 {
    let kept = screen.kept_while_off();
    account.release(Item::Frame(mode.size));
    account.restore(Item::LastFrame(kept));
    kept
}

const fn has_no_pixels(size: Size) -> bool {
    size.width == 0 || size.height == 0
}
