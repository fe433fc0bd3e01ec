// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Building a VM step by step: memory before devices, devices before tables, tables before the kernel runs.

use std::borrow::Borrow;
use std::io::Write;
use std::sync::Arc;

use kvm_bindings::CpuId;
use kvm_ioctls::VcpuFd;
use rondo_devices::bus::BusDevice;
use rondo_devices::interrupt::InterruptLine;
use rondo_devices::legacy::{
    AcpiPower, GuestExit, I8042, POWER_WINDOW_SIZE, SERIAL_WINDOW_SIZE, Serial,
};
use vmm_sys_util::eventfd::EventFd;

use crate::acpi::{self, AcpiConfig};
use crate::boot::{self, BootConfig, CommandLine, virtio_mmio_parameter};
use crate::bus::BusBuilder;
use crate::kvm::{Hypervisor, Machine};
use crate::layout;
use crate::memory::{self, GuestMemory};
use crate::vcpu::{self, Buses, Kicker, VcpuThread};
use crate::vm::running::RunningVm;
use crate::vm::{Ending, VmConfig, VmError, VmHandle, VmOutcome};

/// A virtio-mmio window that was reserved for a device, and the line to build the device with.
#[derive(Clone, Debug)]
pub struct MmioWindow {
    /// First guest-physical address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// The interrupt's number.
    pub gsi: u32,
    /// The interrupt.
    pub line: Arc<dyn InterruptLine>,
}

/// A VM in the making.
#[derive(Debug)]
pub struct VmBuilder {
    config: VmConfig,
    machine: Machine,
    cpuid: Vec<CpuId>,
    mmio: BusBuilder,
    ports: BusBuilder,
    ending: Arc<Ending>,
    windows_reserved: u32,
    virtio_mmio: Vec<(u64, u32)>,
    serial: bool,
}

impl VmBuilder {
    /// Creates the VM's memory, interrupt controllers and legacy devices, everything but the serial port.
    ///
    /// # Errors
    /// The host refused memory or a KVM request, or cannot run that many vCPUs.
    pub fn new(hypervisor: &Hypervisor, config: VmConfig) -> Result<Self, VmError> {
        let cpus = config.cpus.get();
        Machine::check_cpus(hypervisor, cpus)?;
        let memory = memory::create(config.memory)?;
        let machine = Machine::new(hypervisor, memory)?;
        let supported = hypervisor.supported_cpuid()?;
        let cpuid = (0..cpus)
            .map(|index| vcpu::guest_cpuid(hypervisor, &supported, index, cpus))
            .collect::<Result<_, _>>()?;
        let ending = Ending::new().map_err(|source| VmError::Host {
            action: "create an eventfd",
            source,
        })?;
        let mut builder = Self {
            config,
            machine,
            cpuid,
            mmio: BusBuilder::default(),
            ports: BusBuilder::default(),
            ending: Arc::new(ending),
            windows_reserved: 0,
            virtio_mmio: Vec::new(),
            serial: false,
        };
        let exit = builder.guest_exit();
        builder.ports.add(
            layout::I8042_PORT.into(),
            1,
            Arc::new(I8042::new(exit.clone())),
        )?;
        builder.ports.add(
            layout::POWER_PORT.into(),
            POWER_WINDOW_SIZE,
            Arc::new(AcpiPower::new(exit)),
        )?;
        Ok(builder)
    }

    /// The guest's memory, for devices to hold. Clones share the pages.
    #[must_use]
    pub fn memory(&self) -> &GuestMemory {
        self.machine.memory()
    }

    /// A handle that can stop the VM from now on and outlives it.
    #[must_use]
    pub fn handle(&self) -> VmHandle {
        VmHandle::new(self.ending.clone())
    }

    /// Where devices report that the guest wants to power off or reset.
    #[must_use]
    pub fn guest_exit(&self) -> Arc<dyn GuestExit> {
        self.ending.clone()
    }

    /// Takes the next virtio-mmio window and connects its interrupt line, so that a device can be built with it.
    ///
    /// # Errors
    /// All windows are taken, or KVM refused the line.
    pub fn reserve_virtio_mmio(&mut self) -> Result<MmioWindow, VmError> {
        let index = self.windows_reserved;
        if index >= layout::VIRTIO_MMIO_COUNT {
            return Err(VmError::NoWindow);
        }
        let gsi = layout::VIRTIO_MMIO_GSI + index;
        let line = self.interrupt_line(gsi)?;
        self.windows_reserved += 1;
        let base = layout::VIRTIO_MMIO_START + u64::from(index) * layout::VIRTIO_MMIO_SIZE;
        Ok(MmioWindow {
            base,
            size: layout::VIRTIO_MMIO_SIZE,
            gsi,
            line,
        })
    }

    /// Puts a virtio-mmio device into its window and announces it to the guest. `doorbells[n]` becomes readable when the guest
    /// notifies queue `n`; such writes to `QueueNotify` do not reach the device itself.
    ///
    /// # Errors
    /// The window is in use already, or KVM refused a doorbell.
    pub fn add_virtio_mmio<D: Borrow<EventFd>>(
        &mut self,
        window: &MmioWindow,
        device: Arc<dyn BusDevice>,
        doorbells: &[D],
    ) -> Result<(), VmError> {
        if doorbells.len() > usize::from(u16::MAX) {
            return Err(VmError::TooManyQueues {
                count: doorbells.len(),
            });
        }
        self.mmio.add(window.base, window.size, device)?;
        for (queue, doorbell) in (0..).zip(doorbells) {
            self.machine.doorbell(
                doorbell.borrow(),
                window.base + layout::VIRTIO_MMIO_QUEUE_NOTIFY,
                queue,
            )?;
        }
        self.virtio_mmio.push((window.base, window.gsi));
        Ok(())
    }

    /// Puts any other device at `base`. The guest is not told of it.
    ///
    /// # Errors
    /// The window overlaps another.
    pub fn add_mmio_device(
        &mut self,
        base: u64,
        size: u64,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), VmError> {
        Ok(self.mmio.add(base, size, device)?)
    }

    /// Puts a device on `size` ports from `base`. The guest is not told of it.
    ///
    /// # Errors
    /// The window overlaps another.
    pub fn add_port_device(
        &mut self,
        base: u16,
        size: u64,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), VmError> {
        Ok(self.ports.add(base.into(), size, device)?)
    }

    /// Connects an edge-triggered interrupt line.
    ///
    /// # Errors
    /// KVM refused it.
    pub fn interrupt_line(&self, gsi: u32) -> Result<Arc<dyn InterruptLine>, VmError> {
        Ok(Arc::new(self.machine.interrupt_line(gsi)?))
    }

    /// Signals `event` when the guest writes the 32-bit `value` to `address`, without leaving the kernel.
    ///
    /// # Errors
    /// KVM refused it.
    pub fn register_ioeventfd(
        &self,
        event: &EventFd,
        address: u64,
        value: u32,
    ) -> Result<(), VmError> {
        Ok(self.machine.doorbell(event, address, value)?)
    }

    /// Adds COM1 with `output` behind it (see [`Serial`] for what a slow or failing writer means), and returns it for input.
    ///
    /// # Errors
    /// There is one already, or the host refused its line.
    pub fn add_serial(&mut self, output: Box<dyn Write + Send>) -> Result<Arc<Serial>, VmError> {
        let serial = Arc::new(Serial::new(
            self.interrupt_line(layout::SERIAL_GSI)?,
            output,
        )?);
        self.ports.add(
            layout::SERIAL_PORT.into(),
            SERIAL_WINDOW_SIZE,
            serial.clone(),
        )?;
        self.serial = true;
        Ok(serial)
    }

    /// Adds a kernel parameter behind those of the configuration.
    pub fn add_kernel_parameter(&mut self, parameter: &str) {
        let mut line = CommandLine::new(std::mem::take(&mut self.config.command_line));
        line.add(parameter);
        line.as_str().clone_into(&mut self.config.command_line);
    }

    /// Loads the kernel, writes the tables and puts the vCPUs into their entry state.
    ///
    /// # Errors
    /// Kernel, initrd or command line do not work out, or KVM refused a request.
    pub fn build(self) -> Result<Vm, VmError> {
        let memory = self.machine.memory();
        let acpi = AcpiConfig {
            cpus: self.config.cpus.get(),
            virtio_mmio: self.virtio_mmio.clone(),
            serial: self.serial,
        };
        let rsdp = acpi::write(&acpi, memory)?;
        let mut command_line = CommandLine::new(self.config.command_line);
        if self.config.virtio_mmio_on_command_line {
            for (address, gsi) in &self.virtio_mmio {
                command_line.add(&virtio_mmio_parameter(*address, *gsi));
            }
        }
        let boot = BootConfig {
            kernel: &self.config.kernel,
            initrd: self.config.initrd.as_deref(),
            command_line: &command_line,
            memory_size: self.config.memory,
            rsdp,
        };
        let entry = boot::load(&boot, memory)?;
        let mut vcpus = Vec::new();
        for (index, cpuid) in (0..).zip(&self.cpuid) {
            let vcpu = self.machine.vcpu(index)?;
            vcpu::configure(&vcpu, cpuid)?;
            if index == 0 {
                vcpu::enter(&vcpu, memory, entry)?;
            }
            vcpus.push(vcpu);
        }
        Ok(Vm {
            name: self.config.name,
            vcpus,
            buses: Buses {
                mmio: self.mmio.build(),
                ports: self.ports.build(),
            },
            ending: self.ending,
            machine: self.machine,
        })
    }
}

/// A VM that is ready to run.
#[derive(Debug)]
pub struct Vm {
    name: String,
    // Before the machine: vCPUs are closed before the VM.
    vcpus: Vec<VcpuFd>,
    buses: Buses,
    ending: Arc<Ending>,
    machine: Machine,
}

impl Vm {
    /// The VM's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The guest's memory.
    #[must_use]
    pub fn memory(&self) -> &GuestMemory {
        self.machine.memory()
    }

    /// A handle that can stop the VM and outlives it.
    #[must_use]
    pub fn handle(&self) -> VmHandle {
        VmHandle::new(self.ending.clone())
    }

    /// Starts the vCPU threads.
    ///
    /// # Errors
    /// The host has no threads left, or the signal that stops vCPUs cannot be taken. What was started is stopped again.
    pub fn start(self) -> Result<RunningVm, VmError> {
        let host = |action| move |source| VmError::Host { action, source };
        let kickers = self
            .vcpus
            .iter()
            .map(|vcpu| Kicker::new(vcpu).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()
            .map_err(host("prepare the vCPUs to be stopped"))?;
        self.ending.set_kickers(kickers.clone());
        let mut running = RunningVm::new(self.ending.clone(), self.machine);
        for ((index, vcpu), kicker) in (0..).zip(self.vcpus).zip(kickers) {
            let thread = VcpuThread {
                index,
                vcpu,
                buses: self.buses.clone(),
                kicker,
                ending: self.ending.clone(),
            };
            match thread.spawn(&self.name) {
                Ok(thread) => running.add_thread(thread),
                Err(source) => {
                    self.ending.decide(VmOutcome::Stopped);
                    return Err(VmError::Host {
                        action: "start a vCPU thread",
                        source,
                    });
                }
            }
        }
        Ok(running)
    }
}
