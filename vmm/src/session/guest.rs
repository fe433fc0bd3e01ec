// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One VM of a session: the machine, its console and its GPU.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rondo_devices::legacy::Serial;
use vmm_sys_util::eventfd::EventFd;

use super::Console;
use super::graphics::Graphics;
use super::output::serial_output;
use crate::boot::KernelSource;
use crate::cli::Failure;
use crate::config::{Discovery, Kernel, Share, VmSpec};
use crate::guest_image::GUEST_ELF;
use crate::kvm::{Hypervisor, interprets_kernels};
use crate::memory::MemorySize;
use crate::report::VmAccount;
use crate::trace::Trace;
use crate::vm::{CpuCount, RunningVm, Vm, VmBuilder, VmConfig, VmError, VmHandle, VmOutcome};
use rondo_adapter::adapter::Adapter;
use rondo_scheduler::Nanos;

/// A VM from its specification to its end.
#[derive(Debug)]
pub struct Guest {
    spec: VmSpec,
    handle: VmHandle,
    serial: Arc<Serial>,
    state: State,
    graphics: Option<Graphics>,
}

#[derive(Debug)]
enum State {
    Built(Box<Vm>),
    Running(RunningVm),
    Gone,
}

impl Guest {
    /// Builds the VM, ready to start.
    ///
    /// # Errors
    /// What this host or the VM's files do not allow.
    pub fn build(
        hypervisor: &Hypervisor,
        gpu: &Arc<Adapter>,
        spec: VmSpec,
        guarantee: Option<Share>,
        console: Console,
    ) -> Result<Self, Failure> {
        let name = spec.name.clone();
        let fail = |source| Failure::Vm {
            name: name.clone(),
            source,
        };
        let mut builder = machine(hypervisor, &spec).map_err(fail)?;
        let serial = builder
            .add_serial(serial_output(console, &spec.name, builder.handle()))
            .map_err(fail)?;
        let graphics = match (&spec.gpu, guarantee) {
            (Some(gpu_spec), Some(guarantee)) => Some(Graphics::add(
                gpu,
                &mut builder,
                &spec.name,
                gpu_spec,
                guarantee,
            )?),
            _ => None,
        };
        let vm = builder.build().map_err(fail)?;
        warn_of_interpreting_kvm(&spec);
        Ok(Self {
            handle: vm.handle(),
            serial,
            state: State::Built(Box::new(vm)),
            graphics,
            spec,
        })
    }

    /// Puts its GPU schedule into a trace, if it has a GPU.
    ///
    /// # Errors
    /// The adapter does not log it.
    pub fn trace(&self, trace: &mut Trace) -> Result<(), Failure> {
        let Some(graphics) = &self.graphics else {
            return Ok(());
        };
        trace
            .watch(&self.spec.name, graphics.worker())
            .map_err(|status| Failure::Host {
                action: "log the GPU's schedule",
                source: std::io::Error::other(status),
            })
    }

    /// Starts the vCPUs; the adapter's clock shows `now`.
    ///
    /// # Errors
    /// The host has no threads left.
    pub fn start(&mut self, now: Nanos) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Built(vm) => {
                if let Some(graphics) = &mut self.graphics {
                    graphics.note_start(now.0);
                }
                let running = vm.start().map_err(|source| Failure::Vm {
                    name: self.spec.name.clone(),
                    source,
                })?;
                self.state = State::Running(running);
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// The VM's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its serial port, for the keyboard.
    #[must_use]
    pub fn serial(&self) -> Arc<Serial> {
        Arc::clone(&self.serial)
    }

    /// Lets a guest that missed its console's interrupt go on.
    pub fn remind(&self) {
        if let Err(error) = self.serial.remind() {
            log::debug!("{}: {error}", self.name());
        }
    }

    /// Readable once the VM has ended.
    #[must_use]
    pub fn outcome_event(&self) -> &EventFd {
        self.handle.outcome_event()
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<VmOutcome> {
        self.handle.outcome()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.outcome().is_some()
    }

    /// Makes it end, soon.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// What it used of the GPU so far; `None` without one.
    #[must_use]
    pub fn account(&self, gpu: &Adapter) -> Option<VmAccount> {
        self.graphics.as_ref()?.account(gpu, &self.spec.name)
    }

    /// Gives a monitor another mode and plugs it in, or unplugs it.
    ///
    /// # Errors
    /// There is no such monitor or mode; one sentence.
    pub fn resize(
        &self,
        gpu: &Adapter,
        scanout: u32,
        size: Option<(u32, u32)>,
    ) -> Result<(), String> {
        self.graphics()?.resize(gpu, scanout, size)
    }

    /// Changes the VM's guarantee.
    ///
    /// # Errors
    /// It does not fit; one sentence.
    pub fn set_guarantee(&mut self, gpu: &Adapter, ppm: u32) -> Result<(), String> {
        match &mut self.graphics {
            Some(graphics) => graphics.set_guarantee(gpu, ppm),
            None => Err(format!("{} has no GPU", self.spec.name)),
        }
    }

    /// Writes what the VM shows to `file`, further scanouts beside it.
    ///
    /// # Errors
    /// There is nothing to show, or the file cannot be written.
    pub fn screenshot(&self, file: &Path) -> Result<(), Failure> {
        self.graphics()
            .map_err(Failure::Control)?
            .screenshot(&self.spec.name, file)
    }

    /// Writes the screenshot to the file of the configuration, if there is one.
    ///
    /// # Errors
    /// As [`Guest::screenshot`].
    pub fn screenshot_to_configured_file(&self) -> Result<(), Failure> {
        match &self.spec.screenshot {
            Some(file) => self.screenshot(file),
            None => Ok(()),
        }
    }

    /// Waits for the end of its vCPUs, writes the screenshot and gives everything back.
    pub fn finish(mut self, gpu: &Adapter) -> (VmOutcome, Result<(), Failure>) {
        let outcome = match std::mem::replace(&mut self.state, State::Gone) {
            State::Running(running) => running.wait(),
            State::Built(_) | State::Gone => VmOutcome::Stopped,
        };
        let screenshot = match (&self.spec.screenshot, &self.graphics) {
            (Some(file), Some(graphics)) => graphics.last_screenshot(&self.spec.name, file),
            _ => Ok(()),
        };
        if let Some(graphics) = self.graphics.take() {
            graphics.close(gpu);
        }
        (outcome, screenshot)
    }

    fn graphics(&self) -> Result<&Graphics, String> {
        self.graphics
            .as_ref()
            .ok_or_else(|| format!("{} has no GPU", self.spec.name))
    }
}

fn machine(hypervisor: &Hypervisor, spec: &VmSpec) -> Result<VmBuilder, VmError> {
    let kernel = match &spec.kernel {
        Kernel::File(path) => KernelSource::File(path.clone()),
        Kernel::BuiltinDemo => KernelSource::Embedded {
            name: crate::config::BUILTIN_DEMO.to_owned(),
            bytes: Cow::Borrowed(GUEST_ELF),
        },
    };
    let mut config = VmConfig::new(spec.name.clone(), kernel);
    config.memory = MemorySize::from_bytes(spec.memory.0)?;
    config.cpus = CpuCount::new(spec.cpus)?;
    config.initrd.clone_from(&spec.initrd);
    config.command_line.clone_from(&spec.cmdline);
    config.virtio_mmio_on_command_line = spec.discovery == Discovery::Cmdline;
    VmBuilder::new(hypervisor, config)
}

/// A stock kernel would die there, after minutes of silence.
fn warn_of_interpreting_kvm(spec: &VmSpec) {
    if spec.discovery == Discovery::Acpi && interprets_kernels() {
        log::warn!(
            "{}: this host shows no VT-x or AMD-V, so its KVM can only interpret guest kernels; expect a stock kernel to die early, and use a \
             host with hardware virtualization",
            spec.name
        );
    }
}
