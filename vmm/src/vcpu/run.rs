// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The run loop of one vCPU: enter the guest, serve the exit, until the VM's end is decided.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use kvm_bindings::{KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN};
use kvm_ioctls::{VcpuExit, VcpuFd};

use super::kick::Kicker;
use crate::bus::Bus;
use crate::kvm::interprets_kernels;
use crate::vm::{Death, Ending, VmOutcome};

/// The two address spaces of a guest.
#[derive(Clone, Debug)]
pub struct Buses {
    pub mmio: Bus,
    pub ports: Bus,
}

/// A vCPU ready to run.
#[derive(Debug)]
pub struct VcpuThread {
    pub index: u8,
    pub vcpu: VcpuFd,
    pub buses: Buses,
    pub kicker: Arc<Kicker>,
    pub ending: Arc<Ending>,
}

impl VcpuThread {
    /// Starts the thread, named after the VM and the vCPU.
    pub fn spawn(self, vm_name: &str) -> io::Result<JoinHandle<()>> {
        // Linux shows 15 bytes of a thread's name: the number first.
        let name: String = format!("vcpu{} {vm_name}", self.index).replace('\0', " ");
        std::thread::Builder::new()
            .name(name)
            .spawn(move || self.run_to_the_end())
    }

    fn run_to_the_end(mut self) {
        /// Decides the outcome if the thread unwinds: a VM must not go on with a vCPU missing.
        struct Guard {
            index: u8,
            kicker: Arc<Kicker>,
            ending: Arc<Ending>,
        }
        impl Drop for Guard {
            fn drop(&mut self) {
                self.kicker.detach();
                if std::thread::panicking() {
                    self.ending
                        .decide(VmOutcome::Died(Death::ThreadPanicked { vcpu: self.index }));
                }
            }
        }
        let _guard = Guard {
            index: self.index,
            kicker: self.kicker.clone(),
            ending: self.ending.clone(),
        };
        self.kicker.attach();
        while !self.ending.is_decided() {
            if let Some(outcome) = self.run_until_event() {
                self.ending.decide(outcome);
            }
        }
    }

    /// Runs the guest until it is interrupted (`None`) or something ends the VM.
    fn run_until_event(&mut self) -> Option<VmOutcome> {
        let vcpu = self.index;
        let page = self.kicker.page();
        loop {
            let death = match self.vcpu.run() {
                Ok(VcpuExit::MmioRead(address, data)) => {
                    self.buses.mmio.read(address, data);
                    continue;
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    self.buses.mmio.write(address, data);
                    continue;
                }
                // A repeated string access comes as one exit with all its elements, each for the same port.
                Ok(VcpuExit::IoIn(port, data)) => {
                    for element in data.chunks_mut(page.port_access_width()) {
                        self.buses.ports.read(port.into(), element);
                    }
                    continue;
                }
                Ok(VcpuExit::IoOut(port, data)) => {
                    for element in data.chunks(page.port_access_width()) {
                        self.buses.ports.write(port.into(), element);
                    }
                    continue;
                }
                Ok(VcpuExit::Intr) => return None,
                // An AP that still waits for its start-up message reports EAGAIN instead of EINTR.
                Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => return None,
                Ok(VcpuExit::SystemEvent(event, _)) => match event {
                    KVM_SYSTEM_EVENT_SHUTDOWN => return Some(VmOutcome::PoweredOff),
                    KVM_SYSTEM_EVENT_RESET => return Some(VmOutcome::Reset),
                    _ => Death::Crash { vcpu },
                },
                Ok(VcpuExit::Shutdown) => Death::TripleFault { vcpu },
                Ok(VcpuExit::FailEntry(reason, _)) => Death::FailEntry { vcpu, reason },
                Ok(VcpuExit::InternalError) => Death::InternalError {
                    vcpu,
                    suberror: page.internal_suberror(),
                    instruction: self.vcpu.get_regs().map_or(0, |registers| registers.rip),
                    interpreted: interprets_kernels(),
                },
                Ok(_) => Death::UnexpectedExit {
                    vcpu,
                    reason: page.exit_reason(),
                },
                Err(error) => Death::Run {
                    vcpu,
                    errno: error.errno(),
                },
            };
            return Some(VmOutcome::Died(death));
        }
    }
}
