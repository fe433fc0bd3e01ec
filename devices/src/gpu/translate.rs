// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! virtio-gpu commands to driver calls: the translation table.
//!
//! Each function serves one command: it checks what depends on the device's state, calls the driver, and keeps the
//! device's own books in step. A guest's mistake is an [`ErrorCode`]; nothing here knows of queues, fences or hazards.

use std::sync::Arc;

use rondo_adapter::ddi::{
    AllocationKind, CommitVidPn, CreateAllocation, Ddi, GpuCommand, GuestRange, PagingOperation,
    SetPointerPosition, SetPointerShape, SetVidPnSourceAddress, Surface, VidPnSourceId,
};
use rondo_adapter::handle::{AllocationHandle, KmdProcessHandle};
use rondo_adapter::status::NtStatus;
use rondo_protocol::limits::CURSOR_SIZE;
use rondo_protocol::{
    BlobMem, Command, CommandCode, DisplayInfo, DisplayMode, ErrorCode, Feature, Format,
    MemEntries, MoveCursor, ResourceCreate2d, ResourceCreateBlob, ResourceFlush, ResourceId,
    ScanoutId, ScanoutSource, SetScanout, SetScanoutBlob, TransferToHost2d, UpdateCursor,
};
use rondo_renderer::geometry::{Rect, Size};

use super::display_context::{DisplayContext, report};
use super::reply::{Reply, Subject, error_code};
use super::resources::{Kind, Resource, Resources};
use super::scanouts::{Mode, Scanouts};
use super::shapes::{PIXEL, blob_surface, end_of, local, pixel_format};

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is done.
    Done(Reply),
    /// It is on the hardware queue; this progress fence tells its end.
    Submitted(u64),
}

/// Everything that a command can touch.
#[derive(Debug)]
pub(crate) struct Translator {
    ddi: Arc<dyn Ddi>,
    worker: KmdProcessHandle,
    features: u64,
    blob_alignment: Option<u64>,
    pub(crate) display: DisplayContext,
    pub(crate) resources: Resources,
    pub(crate) scanouts: Scanouts,
}

/// What a [`Translator`] starts from.
#[derive(Debug)]
pub(crate) struct TranslatorConfig {
    /// The driver.
    pub ddi: Arc<dyn Ddi>,
    /// The VM's worker process.
    pub worker: KmdProcessHandle,
    /// The features agreed on.
    pub features: u64,
    /// Number of scanouts.
    pub scanouts: u32,
    /// Alignment of blob sizes, if the driver took the feature.
    pub blob_alignment: Option<u32>,
}

impl Translator {
    /// Creates the display context and empty books.
    pub(crate) fn new(config: TranslatorConfig) -> Result<Self, NtStatus> {
        let display = DisplayContext::create(&*config.ddi, config.worker)?;
        let aligned = Feature::BlobAlignment.is_in(config.features);
        Ok(Self {
            display,
            resources: Resources::default(),
            scanouts: Scanouts::new(config.scanouts),
            blob_alignment: config.blob_alignment.filter(|_| aligned).map(u64::from),
            features: config.features,
            ddi: config.ddi,
            worker: config.worker,
        })
    }

    /// Whether the feature that a command belongs to was negotiated.
    pub(crate) fn is_negotiated(&self, code: CommandCode) -> bool {
        code.feature()
            .is_none_or(|feature| feature.is_in(self.features))
    }

    /// Serves one command, which is negotiated and came by its queue.
    pub(crate) fn run(&mut self, command: &Command<'_>) -> Outcome {
        match self.try_run(command) {
            Ok(outcome) => outcome,
            Err(error) => {
                log::debug!("{} fails: {error}", command.name());
                Outcome::Done(Reply::Err(error))
            }
        }
    }

    fn try_run(&mut self, command: &Command<'_>) -> Result<Outcome, ErrorCode> {
        let reply = match command {
            Command::TransferToHost2d(args) => return self.transfer(args),
            Command::ResourceFlush(args) => return self.flush(args),
            Command::GetDisplayInfo => self.display_info()?,
            Command::GetEdid { scanout } => self.edid(*scanout)?,
            Command::ResourceCreate2d(args) => self.create_2d(args)?,
            Command::ResourceCreateBlob(args) => self.create_blob(args)?,
            Command::ResourceUnref { resource } => self.unref(*resource)?,
            Command::ResourceAttachBacking(args) => self.attach(args.resource, &args.entries)?,
            Command::ResourceDetachBacking { resource } => self.detach(*resource)?,
            Command::ResourceAssignUuid { resource } => self.assign_uuid(*resource)?,
            Command::SetScanout(args) => self.set_scanout(args)?,
            Command::SetScanoutBlob(args) => self.set_scanout_blob(args)?,
            Command::UpdateCursor(args) => self.update_cursor(args)?,
            Command::MoveCursor(args) => self.move_cursor(args)?,
            // num_capsets is 0: no index and no id is in range.
            Command::GetCapsetInfo { .. } | Command::GetCapset(_) => {
                return Err(ErrorCode::InvalidParameter);
            }
            // Nothing here is 3D, and there is no host-visible memory to map a blob into.
            Command::CtxCreate(_)
            | Command::CtxDestroy
            | Command::CtxAttachResource { .. }
            | Command::CtxDetachResource { .. }
            | Command::ResourceCreate3d(_)
            | Command::TransferToHost3d(_)
            | Command::TransferFromHost3d(_)
            | Command::Submit3d { .. }
            | Command::ResourceMapBlob(_)
            | Command::ResourceUnmapBlob { .. } => return Err(ErrorCode::Unspec),
        };
        Ok(Outcome::Done(reply))
    }

    fn display_info(&self) -> Result<Reply, ErrorCode> {
        let children = self
            .ddi
            .query_child_status(self.worker)
            .map_err(|status| error_code(status, Subject::Scanout))?;
        let mut info = DisplayInfo::default();
        for (mode, child) in info.modes.iter_mut().zip(&children) {
            let (x, y) = child.position;
            *mode = DisplayMode {
                rect: rondo_protocol::Rect::new(x, y, child.size.width, child.size.height),
                enabled: child.connected,
                flags: 0,
            };
        }
        Ok(Reply::DisplayInfo(Box::new(info)))
    }

    fn edid(&self, scanout: ScanoutId) -> Result<Reply, ErrorCode> {
        self.scanouts.check(scanout)?;
        self.ddi
            .query_device_descriptor(self.worker, source(scanout))
            .map(Reply::Edid)
            .map_err(|status| error_code(status, Subject::Scanout))
    }

    fn create_2d(&mut self, args: &ResourceCreate2d) -> Result<Reply, ErrorCode> {
        self.resources.check_vacant(args.resource)?;
        let size = Size {
            width: args.width,
            height: args.height,
        };
        if size.width == 0 || size.height == 0 {
            return Err(ErrorCode::InvalidParameter);
        }
        let format = pixel_format(args.format);
        let allocation = self.create_allocation(AllocationKind::Image { size, format })?;
        self.resources.insert(
            args.resource,
            Resource {
                allocation,
                kind: Kind::Image { size, format },
                backing: None,
                uuid: None,
            },
        );
        Ok(Reply::NoData)
    }

    fn create_blob(&mut self, args: &ResourceCreateBlob<'_>) -> Result<Reply, ErrorCode> {
        self.resources.check_vacant(args.resource)?;
        // Host memory comes from 3D contexts; guest memory must be there in full.
        let misaligned = self
            .blob_alignment
            .is_some_and(|alignment| !args.size.is_multiple_of(alignment));
        if args.mem != BlobMem::Guest
            || args.size == 0
            || misaligned
            || args.entries.total_len() < args.size
        {
            return Err(ErrorCode::InvalidParameter);
        }
        let allocation = self.create_allocation(AllocationKind::GuestBlob { size: args.size })?;
        self.map(allocation, &args.entries).inspect_err(|_| {
            let destroyed = self
                .ddi
                .destroy_allocation(self.display.process, allocation);
            report("take back a blob without backing", destroyed);
        })?;
        self.resources.insert(
            args.resource,
            Resource {
                allocation,
                kind: Kind::Blob { size: args.size },
                backing: Some(args.entries.total_len()),
                uuid: None,
            },
        );
        Ok(Reply::NoData)
    }

    fn create_allocation(&self, kind: AllocationKind) -> Result<AllocationHandle, ErrorCode> {
        self.ddi
            .create_allocation(&CreateAllocation {
                process: self.display.process,
                kind,
            })
            .map_err(resource_error)
    }

    fn unref(&mut self, id: ResourceId) -> Result<Reply, ErrorCode> {
        let resource = self.resources.remove(id)?;
        self.scanouts.forget(id);
        self.ddi
            .destroy_allocation(self.display.process, resource.allocation)
            .map_err(resource_error)?;
        Ok(Reply::NoData)
    }

    fn attach(&mut self, id: ResourceId, entries: &MemEntries<'_>) -> Result<Reply, ErrorCode> {
        let resource = self.resources.get(id)?;
        if resource.backing.is_some() {
            return Err(ErrorCode::Unspec);
        }
        let needed = match resource.kind {
            Kind::Blob { size } => size,
            Kind::Image { .. } => 0,
        };
        if entries.is_empty() || entries.total_len() < needed {
            return Err(ErrorCode::InvalidParameter);
        }
        self.map(resource.allocation, entries)?;
        self.resources.get_mut(id)?.backing = Some(entries.total_len());
        Ok(Reply::NoData)
    }

    fn map(&self, allocation: AllocationHandle, entries: &MemEntries<'_>) -> Result<(), ErrorCode> {
        let pages = entries
            .iter()
            .map(|entry| GuestRange {
                addr: entry.addr,
                len: entry.length,
            })
            .collect();
        self.ddi
            .build_paging_buffer(&PagingOperation::MapApertureSegment {
                process: self.display.process,
                allocation,
                pages,
            })
            .map_err(resource_error)
    }

    fn detach(&mut self, id: ResourceId) -> Result<Reply, ErrorCode> {
        let resource = self.resources.get(id)?;
        if resource.backing.is_none() {
            return Err(ErrorCode::Unspec);
        }
        self.ddi
            .build_paging_buffer(&PagingOperation::UnmapApertureSegment {
                process: self.display.process,
                allocation: resource.allocation,
            })
            .map_err(resource_error)?;
        self.resources.get_mut(id)?.backing = None;
        Ok(Reply::NoData)
    }

    fn transfer(&mut self, args: &TransferToHost2d) -> Result<Outcome, ErrorCode> {
        let resource = self.resources.get(args.resource)?;
        let Kind::Image { size, .. } = resource.kind else {
            // A guest blob is read in place. Linux sends transfers for it nevertheless.
            return Ok(Outcome::Done(Reply::NoData));
        };
        let rect = local(args.rect);
        if !rect.fits(size) {
            return Err(ErrorCode::InvalidParameter);
        }
        let backing = resource.backing.ok_or(ErrorCode::Unspec)?;
        if rect.is_empty() {
            return Ok(Outcome::Done(Reply::NoData));
        }
        // The rectangle's first row is at `offset`, rows are the image's width apart, and the last one ends with it.
        let stride = u64::from(size.width).saturating_mul(PIXEL);
        if end_of(rect, stride, args.offset).is_none_or(|end| end > backing) {
            return Err(ErrorCode::InvalidParameter);
        }
        self.submit(GpuCommand::TransferToHost2d {
            allocation: resource.allocation,
            rect,
            offset: args.offset,
        })
    }

    fn flush(&mut self, args: &ResourceFlush) -> Result<Outcome, ErrorCode> {
        let resource = self.resources.get(args.resource)?;
        let rect = local(args.rect);
        match resource.kind {
            Kind::Image { size, .. } if !rect.fits(size) => {
                return Err(ErrorCode::InvalidParameter);
            }
            Kind::Blob { .. } if resource.backing.is_none() => return Err(ErrorCode::Unspec),
            _ => {}
        }
        if rect.is_empty() {
            return Ok(Outcome::Done(Reply::NoData));
        }
        self.submit(GpuCommand::Present {
            allocation: resource.allocation,
            rect,
        })
    }

    fn submit(&mut self, command: GpuCommand) -> Result<Outcome, ErrorCode> {
        self.display
            .submit(&*self.ddi, command)
            .map(Outcome::Submitted)
            .map_err(resource_error)
    }

    fn assign_uuid(&mut self, id: ResourceId) -> Result<Reply, ErrorCode> {
        let resource = self.resources.get(id)?;
        if let Some(uuid) = resource.uuid {
            return Ok(Reply::Uuid(uuid));
        }
        let uuid = self
            .ddi
            .create_shared_object(self.display.process, resource.allocation)
            .map_err(resource_error)?
            .0;
        self.resources.get_mut(id)?.uuid = Some(uuid);
        Ok(Reply::Uuid(uuid))
    }

    fn set_scanout(&mut self, args: &SetScanout) -> Result<Reply, ErrorCode> {
        self.scanouts.check(args.scanout)?;
        let Some(ScanoutSource { resource: id, rect }) = args.source else {
            return self.turn_off(args.scanout);
        };
        let resource = self.resources.get(id)?;
        let Kind::Image { size, format } = resource.kind else {
            return Err(ErrorCode::InvalidParameter);
        };
        let stride = size
            .width
            .checked_mul(Format::BYTES_PER_PIXEL)
            .ok_or(ErrorCode::InvalidParameter)?;
        let surface = Surface {
            size,
            format,
            stride,
            offset: 0,
        };
        self.turn_on(args.scanout, id, resource.allocation, surface, local(rect))
    }

    fn set_scanout_blob(&mut self, args: &SetScanoutBlob) -> Result<Reply, ErrorCode> {
        self.scanouts.check(args.scanout)?;
        let Some(source) = &args.source else {
            return self.turn_off(args.scanout);
        };
        let resource = self.resources.get(source.resource)?;
        let Kind::Blob { size } = resource.kind else {
            return Err(ErrorCode::InvalidParameter);
        };
        if resource.backing.is_none() {
            return Err(ErrorCode::InvalidParameter);
        }
        let surface = blob_surface(source, size)?;
        let rect = local(source.rect);
        self.turn_on(
            args.scanout,
            source.resource,
            resource.allocation,
            surface,
            rect,
        )
    }

    fn turn_on(
        &mut self,
        scanout: ScanoutId,
        id: ResourceId,
        allocation: AllocationHandle,
        surface: Surface,
        rect: Rect,
    ) -> Result<Reply, ErrorCode> {
        if rect.is_empty() || !rect.fits(surface.size) {
            return Err(ErrorCode::InvalidParameter);
        }
        let process = self.display.process;
        let mode = Mode {
            size: Size {
                width: rect.width,
                height: rect.height,
            },
            format: surface.format,
        };
        if self.scanouts.mode(scanout) != Some(mode) {
            self.ddi
                .commit_vidpn(&CommitVidPn {
                    process,
                    source: source(scanout),
                    size: mode.size,
                    format: mode.format,
                })
                .map_err(scanout_error)?;
            self.scanouts.set_mode(scanout, Some(mode));
        }
        self.ddi
            .set_vidpn_source_address(&SetVidPnSourceAddress {
                process,
                source: source(scanout),
                allocation,
                surface,
                rect,
            })
            .map_err(scanout_error)?;
        self.scanouts.show(scanout, Some(id));
        Ok(Reply::NoData)
    }

    fn turn_off(&mut self, scanout: ScanoutId) -> Result<Reply, ErrorCode> {
        self.ddi
            .set_vidpn_source_visibility(self.display.process, source(scanout), false)
            .map_err(scanout_error)?;
        self.scanouts.show(scanout, None);
        self.scanouts.set_mode(scanout, None);
        Ok(Reply::NoData)
    }

    fn update_cursor(&mut self, args: &UpdateCursor) -> Result<Reply, ErrorCode> {
        self.scanouts.check(args.scanout)?;
        let allocation = match args.resource {
            None => None,
            Some(id) => Some(self.cursor_picture(id)?),
        };
        self.ddi
            .set_pointer_shape(&SetPointerShape {
                process: self.display.process,
                source: source(args.scanout),
                allocation,
                hot_x: args.hot_x,
                hot_y: args.hot_y,
            })
            .map_err(scanout_error)?;
        self.scanouts.set_cursor(args.scanout, args.resource);
        self.place_cursor(args.scanout, args.x, args.y)
    }

    /// The allocation of a resource that can be a cursor: 64 x 64 pixels, or a blob that holds as many.
    fn cursor_picture(&self, id: ResourceId) -> Result<AllocationHandle, ErrorCode> {
        let resource = self.resources.get(id)?;
        let side = u64::from(CURSOR_SIZE);
        let fits = match resource.kind {
            Kind::Image { size, .. } => size.width == CURSOR_SIZE && size.height == CURSOR_SIZE,
            Kind::Blob { size } => {
                resource.backing.is_some()
                    && size >= side.saturating_mul(side).saturating_mul(PIXEL)
            }
        };
        if fits {
            Ok(resource.allocation)
        } else {
            Err(ErrorCode::InvalidParameter)
        }
    }

    fn move_cursor(&self, args: &MoveCursor) -> Result<Reply, ErrorCode> {
        self.scanouts.check(args.scanout)?;
        self.place_cursor(args.scanout, args.x, args.y)
    }

    /// Negative places travel in two's complement, as they do on the wire.
    fn place_cursor(&self, scanout: ScanoutId, x: i32, y: i32) -> Result<Reply, ErrorCode> {
        self.ddi
            .set_pointer_position(&SetPointerPosition {
                process: self.display.process,
                source: source(scanout),
                x: x.cast_unsigned(),
                y: y.cast_unsigned(),
            })
            .map_err(scanout_error)?;
        Ok(Reply::NoData)
    }

    /// A present of something visible was completed.
    pub(crate) fn notify_present(&self) {
        report(
            "notify the driver of a present",
            self.ddi.notify_focus_present(self.display.process),
        );
    }

    /// Destroys everything of this driver's life, in an order in which nothing destroyed is in use. When it returns,
    /// nothing on the host refers to guest memory for the guest's sake.
    pub(crate) fn destroy(self) {
        let ddi = &*self.ddi;
        let process = self.display.process;
        self.display.stop(ddi);
        for scanout in self.scanouts.lit() {
            let hidden = ddi.set_vidpn_source_visibility(process, source(scanout), false);
            report("turn a scanout off", hidden);
        }
        for scanout in self.scanouts.with_cursor() {
            let hidden = ddi.set_pointer_shape(&SetPointerShape {
                process,
                source: source(scanout),
                allocation: None,
                hot_x: 0,
                hot_y: 0,
            });
            report("hide a pointer", hidden);
        }
        for allocation in self.resources.allocations() {
            report(
                "destroy a resource",
                ddi.destroy_allocation(process, allocation),
            );
        }
        self.display.destroy(ddi);
    }
}

fn resource_error(status: NtStatus) -> ErrorCode {
    error_code(status, Subject::Resource)
}

fn scanout_error(status: NtStatus) -> ErrorCode {
    error_code(status, Subject::Scanout)
}

fn source(scanout: ScanoutId) -> VidPnSourceId {
    VidPnSourceId(scanout.get())
}
