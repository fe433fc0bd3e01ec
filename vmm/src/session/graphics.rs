// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM's GPU: its identity and share at the adapter, its device, its screens, and the thread that serves its queues.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::{
    ChildStatus, CreateProcess, CreateProcessFlags, Ddi, Guid, Screen, SetVirtualMachineData,
    VidPnSourceId, VirtualGpuProfile, VirtualMachineDataFlags, VmConnection, VmHost,
};
use rondo_adapter::handle::KmdProcessHandle;
use rondo_adapter::status::NtStatus;
use rondo_devices::display::{CaptureError, ScreenHandle, Screenshot, headless, write_png};
use rondo_devices::gpu::{Gpu, GpuConfig, GpuEvents};
use rondo_devices::virtio::{MemoryHandle, VirtioMmio};
use rondo_renderer::geometry::Size;
use rondo_scheduler::{Nanos, Ppm};

use super::device_loop::DeviceLoop;
use crate::cli::Failure;
use crate::config::{GpuOptions, GpuSpec, Share};
use crate::report::VmAccount;
use crate::vm::{VmBuilder, VmError};

/// The longest unit, as the scheduler is told: of the software GPU's, 99.9 % take less than 0.13 ms, and what one takes longer because
/// the host's kernel ran something else in between says nothing about the next one. Under `fixed` the end of each slot is left idle for as
/// long, since a unit might not fit.
pub const MAX_UNIT: Nanos = Nanos::from_micros(200);

/// See the module.
#[derive(Debug)]
pub struct Graphics {
    worker: KmdProcessHandle,
    guid: Guid,
    profile: VirtualGpuProfile,
    screens: Vec<ScreenHandle>,
    started_ns: u64,
    transport: Arc<VirtioMmio>,
    device: Arc<Gpu>,
    queues: DeviceLoop<GpuEvents>,
}

/// What the adapter knows of a VM.
#[derive(Clone, Copy, Debug)]
struct Identity {
    worker: KmdProcessHandle,
    guid: Guid,
    profile: VirtualGpuProfile,
}

impl Graphics {
    /// Introduces the VM to the adapter and puts its device into the machine.
    ///
    /// # Errors
    /// The adapter does not take the VM, or the machine has no place for the device.
    pub fn add(
        adapter: &Arc<Adapter>,
        machine: &mut VmBuilder,
        name: &str,
        spec: &GpuSpec,
        guarantee: Share,
    ) -> Result<Self, Failure> {
        let guid = Guid::random_v4().map_err(|source| Failure::Vm {
            name: name.to_owned(),
            source: VmError::Host {
                action: "make a GUID",
                source,
            },
        })?;
        let profile = profile(spec, guarantee);
        let worker = introduce(adapter, name, guid, &profile).map_err(|status| Failure::Gpu {
            name: name.to_owned(),
            status,
        })?;
        let identity = Identity {
            worker,
            guid,
            profile,
        };
        Self::connect(adapter, machine, name, spec, identity).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = adapter.destroy_process(worker);
        })
    }

    /// Builds the device of a VM that the adapter knows.
    fn connect(
        adapter: &Arc<Adapter>,
        machine: &mut VmBuilder,
        name: &str,
        spec: &GpuSpec,
        identity: Identity,
    ) -> Result<Self, Failure> {
        let Identity {
            worker,
            guid,
            profile,
        } = identity;
        let refused = |status| Failure::Gpu {
            name: name.to_owned(),
            status,
        };
        let fail = |source| Failure::Vm {
            name: name.to_owned(),
            source,
        };
        let host = |action| {
            move |source| Failure::Vm {
                name: name.to_owned(),
                source: VmError::Host { action, source },
            }
        };
        let memory = MemoryHandle::new(machine.memory().clone());
        let (sinks, screens): (Vec<_>, Vec<_>) = (0..spec.scanouts).map(|_| headless()).unzip();
        let status = |index: u32| ChildStatus {
            connected: index == 0,
            size: Size {
                width: spec.width,
                height: spec.height,
            },
            position: (0, 0),
        };
        let screens_of_driver = (0..)
            .zip(sinks)
            .map(|(index, sink)| Screen {
                status: status(index),
                sink: Box::new(sink),
            })
            .collect();
        adapter
            .connect_vm(
                worker,
                VmConnection {
                    memory: memory.clone(),
                    screens: screens_of_driver,
                },
            )
            .map_err(refused)?;

        let config = GpuConfig {
            scanouts: spec.scanouts,
            blob_alignment: spec.blob_alignment,
        };
        let driver: Arc<dyn Ddi> = Arc::clone(adapter) as Arc<dyn Ddi>;
        let device =
            Gpu::new(config, driver, worker).map_err(|error| Failure::Config(error.into()))?;
        adapter
            .set_callbacks(worker, device.callbacks())
            .map_err(refused)?;
        let window = machine.reserve_virtio_mmio().map_err(fail)?;
        let transport = VirtioMmio::new(Arc::clone(&device) as _, memory, Arc::clone(&window.line))
            .map(Arc::new)
            .map_err(host("make the doorbells of virtio-gpu"))?;
        machine
            .add_virtio_mmio(&window, Arc::clone(&transport) as _, transport.notifiers())
            .map_err(fail)?;
        let queues = GpuEvents::new(Arc::clone(&device), transport.notifiers())
            .ok_or_else(|| std::io::Error::other("its queues have no doorbells"))
            .and_then(|events| DeviceLoop::start(name, events))
            .map_err(host("serve virtio-gpu"))?;
        Ok(Self {
            worker,
            guid,
            profile,
            screens,
            started_ns: 0,
            transport,
            device,
            queues,
        })
    }

    /// What stands for the VM at the adapter.
    pub fn worker(&self) -> KmdProcessHandle {
        self.worker
    }

    /// The VM starts now; the adapter's clock shows `now_ns`.
    pub fn note_start(&mut self, now_ns: u64) {
        self.started_ns = now_ns;
    }

    /// What the VM used so far.
    #[must_use]
    pub fn account(&self, adapter: &Adapter, name: &str) -> Option<VmAccount> {
        let used = adapter.query_statistics(self.worker).ok()?;
        Some(VmAccount {
            name: name.to_owned(),
            guid: self.guid,
            guarantee_ppm: self.profile.guarantee.get(),
            mode: self.profile.mode,
            priority: self.profile.priority.into(),
            started_ns: self.started_ns,
            used,
        })
    }

    /// Gives a monitor another mode and plugs it in, or unplugs it.
    ///
    /// # Errors
    /// There is no such monitor or mode; one sentence.
    pub fn resize(
        &self,
        adapter: &Adapter,
        scanout: u32,
        size: Option<(u32, u32)>,
    ) -> Result<(), String> {
        let old = adapter
            .query_child_status(self.worker)
            .map_err(|status| format!("the GPU does not answer ({status})"))?;
        let count = old.len();
        let index = usize::try_from(scanout).unwrap_or(usize::MAX);
        let Some(mut status) = old.into_iter().nth(index) else {
            return Err(format!(
                "there is no scanout {scanout}; the VM has {count}, counted from 0"
            ));
        };
        status.connected = size.is_some();
        if let Some((width, height)) = size {
            GpuOptions::check_size(width, height)?;
            status.size = Size { width, height };
        }
        adapter
            .set_child_status(self.worker, VidPnSourceId(scanout), status)
            .map_err(|status| format!("the GPU refuses ({status})"))
    }

    /// What the VM was promised.
    pub fn profile(&self) -> &VirtualGpuProfile {
        &self.profile
    }

    /// Changes what the VM was promised, from the next decision on.
    ///
    /// # Errors
    /// The adapter does not take it; everything stays as it was.
    pub fn set_profile(
        &mut self,
        adapter: &Adapter,
        profile: VirtualGpuProfile,
    ) -> Result<(), NtStatus> {
        adapter.set_virtual_gpu_profile(self.worker, &profile)?;
        self.profile = profile;
        Ok(())
    }

    /// Lets a VM that was quarantined use the GPU again.
    ///
    /// # Errors
    /// The adapter locks nobody out.
    pub fn pardon(&self, adapter: &Adapter) -> Result<(), NtStatus> {
        adapter.pardon(self.worker)
    }

    /// Writes what is on the screens now: the first to `file`, others beside it if they are on.
    ///
    /// # Errors
    /// The first screen is off, or a file cannot be written.
    pub fn screenshot(&self, name: &str, file: &Path) -> Result<(), Failure> {
        self.pictures(name, file, ScreenHandle::capture)
    }

    /// Writes what was on the screens last, even if the guest switched them off on its way out.
    ///
    /// # Errors
    /// There never was a picture on the first screen, or a file cannot be written.
    pub fn last_screenshot(&self, name: &str, file: &Path) -> Result<(), Failure> {
        self.pictures(name, file, ScreenHandle::capture_last)
    }

    fn pictures(
        &self,
        name: &str,
        file: &Path,
        look: fn(&ScreenHandle) -> Result<Screenshot, CaptureError>,
    ) -> Result<(), Failure> {
        for (index, screen) in self.screens.iter().enumerate() {
            let picture = match look(screen) {
                Ok(picture) => picture,
                Err(CaptureError::Off) if index > 0 => continue,
                Err(error) => {
                    return Err(Failure::NoPicture {
                        name: name.to_owned(),
                        why: error.to_string(),
                    });
                }
            };
            write_png(&picture, &numbered(file, index))?;
        }
        Ok(())
    }

    /// Takes the VM from the adapter. Its vCPUs must have ended.
    pub fn close(self, adapter: &Adapter) {
        self.queues.stop();
        drop(self.transport);
        drop(self.device);
        if let Err(status) = adapter.destroy_process(self.worker) {
            log::error!("the GPU does not let go of a VM: {status}");
        }
    }
}

fn profile(spec: &GpuSpec, guarantee: Share) -> VirtualGpuProfile {
    VirtualGpuProfile {
        mode: spec.mode,
        guarantee: Ppm::new(guarantee.0).unwrap_or(Ppm::WHOLE),
        limit: spec.limit.and_then(|limit| Ppm::new(limit.0)),
        slice: Nanos(spec.slice.0),
        max_unit: Some(MAX_UNIT),
        grace: Nanos(spec.grace.0),
        hang_timeout: Nanos(spec.hang_timeout.0),
        priority: spec.priority.into(),
        memory_limit: spec.memory.0,
    }
}

/// The order of WDDM: worker process, identity, share; all before the guest can ring a queue.
fn introduce(
    adapter: &Adapter,
    name: &str,
    guid: Guid,
    profile: &VirtualGpuProfile,
) -> Result<KmdProcessHandle, NtStatus> {
    let worker = adapter.create_process(&CreateProcess {
        flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
        worker: None,
        name: Some(name.to_owned()),
    })?;
    let identity = SetVirtualMachineData {
        worker,
        vm_guid: guid,
        flags: VirtualMachineDataFlags(VirtualMachineDataFlags::LINUX),
    };
    adapter
        .set_virtual_machine_data(&identity)
        .and_then(|()| adapter.set_virtual_gpu_profile(worker, profile))
        .inspect_err(|_| {
            // The first error is the one to tell.
            let _ = adapter.destroy_process(worker);
        })?;
    Ok(worker)
}

/// `picture.png`, `picture-1.png`, `picture-2.png`, ...
fn numbered(file: &Path, index: usize) -> PathBuf {
    if index == 0 {
        return file.to_owned();
    }
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{index}"));
    if let Some(extension) = file.extension() {
        name.push(".");
        name.push(extension);
    }
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_screens_have_their_number_before_the_extension() {
        let file = Path::new("/tmp/a.b/picture.png");
        assert_eq!(numbered(file, 0), file);
        assert_eq!(numbered(file, 2), Path::new("/tmp/a.b/picture-2.png"));
        assert_eq!(numbered(Path::new("bare"), 1), Path::new("bare-1"));
    }
}
