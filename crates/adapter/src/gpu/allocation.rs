// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Allocations of a VM and the guest memory behind them.

use std::sync::Arc;

use rondo_renderer::backing::{Backing, BackingError};
use rondo_renderer::image::{Image, ImageError};
use rondo_renderer::screen::AllocationId;
use vm_memory::{GuestAddress, GuestAddressSpace};

use crate::ddi::{AllocationKind, CreateAllocation, DdiResult, GuestRange, Guid};
use crate::gpu::account::Item;
use crate::gpu::display::went_dark;
use crate::gpu::objects::{Allocation, Content};
use crate::gpu::vm::VmState;
use crate::handle::{AllocationHandle, DeviceHandle, KmdProcessHandle};
use crate::status::NtStatus;

/// What the content of an allocation costs, without its backing.
fn content_item(content: &Content) -> Option<Item> {
    match content {
        Content::Image(image) => Some(Item::Pixels(image.size())),
        Content::GuestBlob(_) => None,
    }
}

impl VmState {
    /// A new allocation of a VM process.
    ///
    /// # Errors
    /// [`NtStatus::InvalidParameter`] for the worker or an empty allocation, the lookup's, [`NtStatus::NoMemory`].
    pub(super) fn create_allocation(
        &mut self,
        args: &CreateAllocation,
    ) -> DdiResult<AllocationHandle> {
        self.objects.process(args.process)?;
        self.account.charge(Item::Object)?;
        let content = self.create_content(args.kind).inspect_err(|_| {
            self.account.release(Item::Object);
        })?;
        let item = content_item(&content);
        let handle = self.take_handle().inspect_err(|_| {
            if let Some(item) = item {
                self.account.release(item);
            }
        })?;
        let allocation = AllocationHandle(handle);
        self.objects.allocations.insert(
            allocation,
            Allocation {
                process: args.process,
                content,
                backing: None,
                shared: None,
            },
        );
        Ok(allocation)
    }

    fn create_content(&mut self, kind: AllocationKind) -> DdiResult<Content> {
        match kind {
            AllocationKind::GuestBlob { size: 0 } => Err(NtStatus::InvalidParameter),
            AllocationKind::GuestBlob { size } => Ok(Content::GuestBlob(size)),
            AllocationKind::Image { size, format } => {
                Image::memory_for(size).map_err(image_status)?;
                self.account.charge(Item::Pixels(size))?;
                match Image::new(size, format) {
                    Ok(image) => Ok(Content::Image(Arc::new(image))),
                    Err(error) => {
                        self.account.release(Item::Pixels(size));
                        Err(image_status(error))
                    }
                }
            }
        }
    }

    /// Ends an allocation, and returns what is left of it: its pixels, without its backing. Screens and pointers that show
    /// it go dark. No unit may run.
    ///
    /// # Errors
    /// The lookups'.
    pub(super) fn destroy_allocation(
        &mut self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<Content> {
        self.objects.owned(process, allocation)?;
        self.darken(allocation);
        self.work
            .forget_started(|command| command.allocation() == allocation);
        for device in self.objects.devices.values_mut() {
            if device.opened.remove(&allocation) {
                self.account.release(Item::Object);
            }
        }
        let gone = self
            .objects
            .allocations
            .remove(&allocation)
            .ok_or(NtStatus::InvalidHandle)?;
        if let Some((_, bytes)) = gone.backing {
            self.account.release(Item::Backing(bytes));
        }
        if let Some(item) = content_item(&gone.content) {
            self.account.release(item);
        }
        self.account.release(Item::Object);
        Ok(gone.content)
    }

    /// Takes an allocation off screens and pointers.
    fn darken(&mut self, allocation: AllocationHandle) {
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        for source in &mut connection.sources {
            let mode = source.screen.mode();
            if source.screen.forget(AllocationId(allocation.0))
                && let Some(mode) = mode
            {
                source.kept = went_dark(&mut self.account, mode, &source.screen);
            }
            if source.pointer == Some(allocation) {
                source.screen.set_cursor(None);
                source.pointer = None;
                self.account.release(Item::Pointer);
            }
        }
    }

    /// A device of the VM may use the allocation; no change if it may already.
    ///
    /// # Errors
    /// The lookups', [`NtStatus::NoMemory`].
    pub(super) fn open_allocation(
        &mut self,
        device: DeviceHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        self.objects.device(device)?;
        self.objects.allocation(allocation)?;
        if let Some(user) = self.objects.devices.get_mut(&device)
            && !user.opened.contains(&allocation)
        {
            self.account.charge(Item::Object)?;
            user.opened.insert(allocation);
        }
        Ok(())
    }

    /// A device may not use the allocation any more.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InvalidHandle`] if the device had not opened it.
    pub(super) fn close_allocation(
        &mut self,
        device: DeviceHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        self.objects.device(device)?;
        self.objects.allocation(allocation)?;
        let opened = (self.objects.devices.get_mut(&device))
            .is_some_and(|user| user.opened.remove(&allocation));
        if !opened {
            return Err(NtStatus::InvalidHandle);
        }
        self.account.release(Item::Object);
        Ok(())
    }

    /// Guest pages back the allocation from now on.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InvalidDeviceState`] if it has a backing, or before the VM is connected;
    /// [`NtStatus::InvalidParameter`] if a page leaves guest memory or the pages are too few for a blob;
    /// [`NtStatus::NoMemory`].
    pub(super) fn map_aperture(
        &mut self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
        pages: &[GuestRange],
    ) -> DdiResult<()> {
        let target = self.objects.owned(process, allocation)?;
        if target.backing.is_some() {
            return Err(NtStatus::InvalidDeviceState);
        }
        let connection = self
            .connection
            .as_ref()
            .ok_or(NtStatus::InvalidDeviceState)?;
        let memory = connection.memory.memory();
        let bytes = Backing::memory_for(&memory, pages.len());
        self.account.charge(Item::Backing(bytes))?;
        let pieces = pages.iter().map(|page| (GuestAddress(page.addr), page.len));
        let backing = match Backing::new(&memory, pieces) {
            Ok(backing) if holds(&target.content, &backing) => backing,
            refused => {
                self.account.release(Item::Backing(bytes));
                return Err(match refused {
                    Err(BackingError::OutOfMemory(_)) => NtStatus::NoMemory,
                    _ => NtStatus::InvalidParameter,
                });
            }
        };
        target.backing = Some((Arc::new(backing), bytes));
        Ok(())
    }

    /// The allocation has no backing any more, and nothing refers to its pages. No unit may run.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InvalidDeviceState`] if it has no backing.
    pub(super) fn unmap_aperture(
        &mut self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        let target = self.objects.owned(process, allocation)?;
        let (_, bytes) = target.backing.take().ok_or(NtStatus::InvalidDeviceState)?;
        self.account.release(Item::Backing(bytes));
        self.work
            .forget_started(|command| command.allocation() == allocation);
        Ok(())
    }

    /// The allocation's name in the world; the same at each call.
    ///
    /// # Errors
    /// The lookups'; [`NtStatus::InsufficientResources`] if the host gives no random number.
    pub(super) fn create_shared_object(
        &mut self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<Guid> {
        let target = self.objects.owned(process, allocation)?;
        if let Some(guid) = target.shared {
            return Ok(guid);
        }
        let guid = Guid::random_v4().map_err(|error| {
            log::error!("no random number for a GUID: {error}");
            NtStatus::InsufficientResources
        })?;
        target.shared = Some(guid);
        Ok(guid)
    }
}

/// Whether a backing is long enough. An image may have less: only work that reaches behind its end is refused.
fn holds(content: &Content, backing: &Backing) -> bool {
    match content {
        Content::Image(_) => true,
        Content::GuestBlob(size) => backing.len() >= *size,
    }
}

fn image_status(error: ImageError) -> NtStatus {
    match error {
        ImageError::Empty(_) => NtStatus::InvalidParameter,
        ImageError::TooLarge(_) | ImageError::OutOfMemory(_) => NtStatus::NoMemory,
    }
}
