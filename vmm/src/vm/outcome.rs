// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How a VM ended.

use std::fmt;
use std::io;

/// The end of a VM. The first cause wins: what other vCPUs meet while they stop does not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VmOutcome {
    /// The guest powered off (ACPI S5).
    PoweredOff,
    /// The guest asked for a reset (ACPI reset register or keyboard controller).
    Reset,
    /// Somebody called `stop`.
    Stopped,
    /// The guest or its KVM broke.
    Died(Death),
}

impl fmt::Display for VmOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => f.write_str("the guest powered off"),
            Self::Reset => f.write_str("the guest asked for a reset"),
            Self::Stopped => f.write_str("the VM was stopped"),
            Self::Died(death) => death.fmt(f),
        }
    }
}

/// Why a VM died, each one sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// A fault while handling a fault while handling a fault; also what Linux does for `reboot=t`.
    TripleFault {
        /// The vCPU it happened on.
        vcpu: u8,
    },
    /// KVM could not carry out a guest instruction.
    InternalError {
        /// The vCPU it happened on.
        vcpu: u8,
        /// KVM's `suberror` (1: an instruction that KVM cannot emulate).
        suberror: u32,
        /// Where the guest was.
        instruction: u64,
        /// This KVM interprets guest kernels ([`interprets_kernels`](crate::kvm::interprets_kernels)), so that a stock kernel
        /// was bound to end like this.
        interpreted: bool,
    },
    /// The processor refused the guest's state.
    FailEntry {
        /// The vCPU it happened on.
        vcpu: u8,
        /// The processor's own reason code.
        reason: u64,
    },
    /// The guest reported a crash through KVM.
    Crash {
        /// The vCPU it happened on.
        vcpu: u8,
    },
    /// `KVM_RUN` itself failed.
    Run {
        /// The vCPU it happened on.
        vcpu: u8,
        /// The error number.
        errno: i32,
    },
    /// An exit that no x86 guest of ours should cause.
    UnexpectedExit {
        /// The vCPU it happened on.
        vcpu: u8,
        /// KVM's exit reason.
        reason: u32,
    },
    /// A vCPU's thread panicked: a bug of ours.
    ThreadPanicked {
        /// The vCPU it happened on.
        vcpu: u8,
    },
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TripleFault { vcpu } => {
                write!(f, "the guest died of a triple fault on vCPU {vcpu}")
            }
            Self::InternalError {
                vcpu,
                instruction,
                interpreted: true,
                ..
            } => write!(
                f,
                "the guest died on vCPU {vcpu} because KVM could not emulate its instruction at {instruction:#x}: this host shows no \
                 VT-x or AMD-V, so its KVM can only interpret guest kernels, and stock ones use instructions that it lacks"
            ),
            Self::InternalError {
                vcpu,
                suberror,
                instruction,
                interpreted: false,
            } => write!(
                f,
                "the guest died on vCPU {vcpu} of a KVM internal error (suberror {suberror}) at instruction {instruction:#x}"
            ),
            Self::FailEntry { vcpu, reason } => {
                write!(
                    f,
                    "the guest died because the processor refused to enter vCPU {vcpu} (hardware reason {reason:#x})"
                )
            }
            Self::Crash { vcpu } => write!(f, "the guest reported that it crashed, on vCPU {vcpu}"),
            Self::Run { vcpu, errno } => {
                write!(
                    f,
                    "the guest died because KVM could not run vCPU {vcpu}: {}",
                    io::Error::from_raw_os_error(*errno)
                )
            }
            Self::UnexpectedExit { vcpu, reason } => {
                write!(
                    f,
                    "the guest died of an unexpected KVM exit (reason {reason}) on vCPU {vcpu}"
                )
            }
            Self::ThreadPanicked { vcpu } => write!(
                f,
                "the guest died because the thread of vCPU {vcpu} failed: this is a bug in Rondo"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_internal_error_then_only_an_interpreting_kvm_is_blamed_for_it() {
        let death = |interpreted| {
            Death::InternalError {
                vcpu: 2,
                suberror: 1,
                instruction: 0x100_0000,
                interpreted,
            }
            .to_string()
        };
        assert!(death(true).contains("can only interpret guest kernels"));
        assert!(death(true).contains("0x1000000"));
        assert_eq!(
            death(false),
            "the guest died on vCPU 2 of a KVM internal error (suberror 1) at instruction 0x1000000"
        );
    }
}
