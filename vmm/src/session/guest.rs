// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One VM of a session: the machine, its console and its GPU, from its specification to what is left of it at the end.

use std::borrow::Cow;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use rondo_devices::legacy::Serial;

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
use crate::vm::{CpuCount, RunningVm, Vm, VmBuilder, VmConfig, VmError, VmOutcome};
use rondo_adapter::adapter::Adapter;
use rondo_adapter::handle::KmdProcessHandle;
use rondo_scheduler::Nanos;

/// A VM. Once it has ended and was [`retired`](Guest::retire), nothing of it is left but what it did.
#[derive(Debug)]
pub struct Guest {
    spec: VmSpec,
    state: State,
    /// `None` once it was retired.
    serial: Option<Arc<Serial>>,
    graphics: Option<Graphics>,
    /// What it had used at its end.
    used: Option<VmAccount>,
    /// Whether its last screenshot could be written.
    written: Result<(), Failure>,
}

#[derive(Debug)]
enum State {
    Built(Box<Vm>),
    Running(RunningVm),
    Over(VmOutcome),
}

impl Guest {
    /// Builds the VM, ready to start.
    ///
    /// # Errors
    /// What this host or the VM's files do not allow. Nothing of the VM is left then.
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
        let vm = match builder.build() {
            Ok(vm) => vm,
            Err(error) => {
                if let Some(graphics) = graphics {
                    graphics.close(gpu);
                }
                return Err(fail(error));
            }
        };
        warn_of_interpreting_kvm(&spec);
        Ok(Self {
            state: State::Built(Box::new(vm)),
            serial: Some(serial),
            graphics,
            spec,
            used: None,
            written: Ok(()),
        })
    }

    /// Starts the vCPUs; the adapter's clock shows `now`.
    ///
    /// # Errors
    /// The host has no threads left.
    pub fn start(&mut self, now: Nanos) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Over(VmOutcome::Stopped)) {
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

    /// What stands for it at the adapter, while it has a GPU.
    #[must_use]
    pub fn worker(&self) -> Option<KmdProcessHandle> {
        self.graphics.as_ref().map(Graphics::worker)
    }

    /// Its GPU, while it has one.
    ///
    /// # Errors
    /// It has none, or has ended; one sentence.
    pub fn graphics(&self) -> Result<&Graphics, String> {
        self.graphics
            .as_ref()
            .ok_or_else(|| self.without_graphics())
    }

    /// As [`Guest::graphics`], to change it.
    ///
    /// # Errors
    /// As [`Guest::graphics`].
    pub fn graphics_mut(&mut self) -> Result<&mut Graphics, String> {
        let sentence = self.without_graphics();
        self.graphics.as_mut().ok_or(sentence)
    }

    fn without_graphics(&self) -> String {
        let name = &self.spec.name;
        match self.state {
            State::Over(_) => format!("{name} has ended"),
            State::Built(_) | State::Running(_) => format!("{name} has no GPU"),
        }
    }

    /// Its serial port, for the keyboard, while it lives.
    #[must_use]
    pub fn serial(&self) -> Option<Arc<Serial>> {
        self.serial.clone()
    }

    /// Lets a guest that missed its console's interrupt go on.
    pub fn remind(&self) {
        if let Some(serial) = &self.serial
            && let Err(error) = serial.remind()
        {
            log::debug!("{}: {error}", self.name());
        }
    }

    /// A descriptor that becomes readable once the VM has ended; `None` once it was retired, before which it stays open.
    #[must_use]
    pub fn outcome_event(&self) -> Option<RawFd> {
        match &self.state {
            State::Built(vm) => Some(vm.handle().outcome_event().as_raw_fd()),
            State::Running(running) => Some(running.outcome_event().as_raw_fd()),
            State::Over(_) => None,
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<VmOutcome> {
        match &self.state {
            State::Built(_) => None,
            State::Running(running) => running.outcome(),
            State::Over(outcome) => Some(outcome.clone()),
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.outcome().is_some()
    }

    /// Whether nothing of it is left but what it did.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        // A VM that could not be started is over, and has everything still.
        self.serial.is_none()
    }

    /// Makes it end, soon.
    pub fn stop(&self) {
        match &self.state {
            State::Built(vm) => vm.handle().stop(),
            State::Running(running) => running.stop(),
            State::Over(_) => {}
        }
    }

    /// What it used of the GPU so far, or up to its end; `None` without one.
    #[must_use]
    pub fn account(&self, gpu: &Adapter) -> Option<VmAccount> {
        match &self.graphics {
            Some(graphics) => graphics.account(gpu, &self.spec.name),
            None => self.used.clone(),
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

    /// Writes the screenshot to the file of the configuration, if there is one. Of a VM that was retired it is there already.
    ///
    /// # Errors
    /// As [`Guest::screenshot`].
    pub fn screenshot_to_configured_file(&self) -> Result<(), Failure> {
        match &self.spec.screenshot {
            Some(file) if !self.is_retired() => self.screenshot(file),
            _ => Ok(()),
        }
    }

    /// Waits for the end of its vCPUs, writes the screenshot and gives everything back: what it was guaranteed is free for
    /// others afterwards. Does nothing the second time.
    pub fn retire(&mut self, gpu: &Adapter) {
        let before = std::mem::replace(&mut self.state, State::Over(VmOutcome::Stopped));
        let outcome = match before {
            State::Running(running) => running.wait(),
            State::Built(_) => VmOutcome::Stopped,
            State::Over(outcome) => outcome,
        };
        self.state = State::Over(outcome);
        self.serial = None;
        if let Some(graphics) = self.graphics.take() {
            if let Some(file) = &self.spec.screenshot {
                self.written = graphics.last_screenshot(&self.spec.name, file);
            }
            self.used = graphics.account(gpu, &self.spec.name);
            graphics.close(gpu);
        }
    }

    /// It was stopped on request, perhaps before it had shown anything: that is worth a warning, and no failure of the others.
    pub fn excuse_missing_picture(&mut self) {
        if let Err(failure @ Failure::NoPicture { .. }) = &self.written {
            log::warn!("{failure}");
            self.written = Ok(());
        }
    }

    /// How it ended, and whether its last screenshot could be written. To be called when it was retired.
    pub fn finish(self) -> (VmOutcome, Result<(), Failure>) {
        let outcome = match self.state {
            State::Over(outcome) => outcome,
            State::Built(_) | State::Running(_) => VmOutcome::Stopped,
        };
        (outcome, self.written)
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
