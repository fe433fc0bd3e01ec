// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One KVM VM: its memory slots, interrupt controllers, interrupt lines and doorbells.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::IntoRawFd;

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, kvm_pit_config, kvm_userspace_memory_region};
use kvm_ioctls::{IoEventAddress, Kvm, VcpuFd, VmFd};
use rondo_devices::interrupt::InterruptLine;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{Hypervisor, KvmError};
use crate::layout;
use crate::memory::GuestMemory;

/// Takes over an open `/dev/kvm`.
pub(super) fn kvm_from_file(file: File) -> Kvm {
    use std::os::fd::FromRawFd;
    // SAFETY: the descriptor is open and ours alone, and `Kvm` closes it. Whether it is KVM is checked by its API version.
    unsafe { Kvm::from_raw_fd(file.into_raw_fd()) }
}

/// An interrupt line of one VM: an eventfd that KVM turns into an edge on a GSI, without a trip through this process.
#[derive(Debug)]
pub struct KvmLine {
    event: EventFd,
}

impl InterruptLine for KvmLine {
    fn trigger(&self) -> io::Result<()> {
        self.event.write(1)
    }
}

/// A created VM.
#[derive(Debug)]
pub struct Machine {
    vm: VmFd,
    /// Mapped into the VM: it must live as long as the VM's descriptor.
    memory: GuestMemory,
}

impl Machine {
    /// Creates a VM with `memory`, local and I/O APICs, PICs and a PIT.
    pub fn new(hypervisor: &Hypervisor, memory: GuestMemory) -> Result<Self, KvmError> {
        let vm = loop {
            match hypervisor.kvm.create_vm() {
                Ok(vm) => break vm,
                Err(error) if error.errno() == libc::EINTR => {}
                Err(error) if error.errno() == libc::EBUSY => {
                    return Err(KvmError::Busy {
                        path: hypervisor.path.clone(),
                    });
                }
                Err(error) => return Err(KvmError::request("create a VM")(error)),
            }
        };
        let machine = Self { vm, memory };
        machine.map_memory()?;
        let tss = usize::try_from(layout::KVM_TSS).unwrap_or(usize::MAX);
        machine
            .vm
            .set_identity_map_address(layout::KVM_IDENTITY_MAP)
            .map_err(KvmError::request("place its identity map"))?;
        machine
            .vm
            .set_tss_address(tss)
            .map_err(KvmError::request("place its task state segment"))?;
        machine
            .vm
            .create_irq_chip()
            .map_err(KvmError::request("create the interrupt controllers"))?;
        // Port 0x61 is the PIT's other half: kernels time themselves by it.
        let pit = kvm_pit_config {
            flags: KVM_PIT_SPEAKER_DUMMY,
            ..kvm_pit_config::default()
        };
        machine
            .vm
            .create_pit2(pit)
            .map_err(KvmError::request("create the timer"))?;
        Ok(machine)
    }

    fn map_memory(&self) -> Result<(), KvmError> {
        let action = "map the guest's memory";
        for (slot, region) in (0..).zip(self.memory.iter()) {
            let userspace_addr = region.as_ptr() as u64;
            let mapping = kvm_userspace_memory_region {
                slot,
                flags: 0,
                guest_phys_addr: region.start_addr().raw_value(),
                memory_size: region.len(),
                userspace_addr,
            };
            // SAFETY: the mapping is `memory_size` bytes long and lives as long as `self`, which owns the VM; the regions of
            // a `GuestMemory` do not overlap, and everybody else accesses them through volatile reads and writes.
            unsafe { self.vm.set_user_memory_region(mapping) }
                .map_err(KvmError::request(action))?;
        }
        Ok(())
    }

    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// Creates an edge-triggered line on `gsi`.
    pub fn interrupt_line(&self, gsi: u32) -> Result<KvmLine, KvmError> {
        let action = "connect an interrupt line";
        let event =
            EventFd::new(EFD_NONBLOCK).map_err(|source| KvmError::Request { action, source })?;
        self.vm
            .register_irqfd(&event, gsi)
            .map_err(KvmError::request(action))?;
        Ok(KvmLine { event })
    }

    /// Signals `event` when the guest writes the 32-bit `value` to `address`, without an exit to this process.
    pub fn doorbell(&self, event: &EventFd, address: u64, value: u32) -> Result<(), KvmError> {
        let address = IoEventAddress::Mmio(address);
        self.vm
            .register_ioevent(event, &address, value)
            .map_err(KvmError::request("connect a queue's doorbell"))
    }

    /// Creates vCPU `index`, whose local APIC has the same number.
    pub fn vcpu(&self, index: u8) -> Result<VcpuFd, KvmError> {
        self.vm
            .create_vcpu(index.into())
            .map_err(KvmError::request("create a vCPU"))
    }

    /// Checks `cpus` against the host's limit.
    pub fn check_cpus(hypervisor: &Hypervisor, cpus: u8) -> Result<(), KvmError> {
        let allowed = hypervisor.max_vcpus();
        if usize::from(cpus) > allowed {
            Err(KvmError::TooManyCpus {
                asked: cpus,
                allowed,
            })
        } else {
            Ok(())
        }
    }
}
