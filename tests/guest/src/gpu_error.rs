// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What can go wrong with the GPU, with the numbers in it, as the line protocol's `error=` shows it.

use core::fmt;

use rondo_protocol::{ErrorCode, Feature, ResponseDecodeError};

use crate::memory::OutOfMemory;
use crate::mmio::TransportError;
use crate::queue::{QueueSetupError, UsedRingError};

/// What went wrong with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuError {
    /// The command line names no virtio-gpu.
    NoDevice {
        /// How many devices were looked at.
        looked_at: usize,
    },
    /// Registers, features, queues.
    Transport(TransportError),
    /// Out of memory.
    Memory(OutOfMemory),
    /// The device broke the rules of the used ring.
    UsedRing(UsedRingError),
    /// The device answered with an error.
    Refused {
        /// The command.
        command: &'static str,
        /// The device's answer.
        error: ErrorCode,
    },
    /// The device's answer is none.
    BadResponse {
        /// The command.
        command: &'static str,
        /// Why.
        error: ResponseDecodeError,
    },
    /// An answer, but to another question.
    WrongResponse {
        /// The command.
        command: &'static str,
        /// The answer.
        response: &'static str,
    },
    /// A fence was not echoed as it was sent.
    WrongFence {
        /// The command.
        command: &'static str,
        /// What was sent.
        sent: Option<u64>,
        /// What came back.
        echoed: Option<u64>,
    },
    /// No answer within the patience.
    Timeout {
        /// Commands in flight.
        in_flight: usize,
        /// The device's status register.
        status: u32,
    },
    /// The device wants a reset.
    NeedsReset,
    /// The option needs a feature that is not offered.
    NotOffered(Feature),
    /// The display has no such size, or there is none.
    NoDisplay,
    /// The option needs a clock whose frequency is known.
    NoClock,
}

impl fmt::Display for GpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDevice { looked_at } => write!(f, "no-virtio-gpu looked_at={looked_at}"),
            Self::Transport(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::UsedRing(error) => error.fmt(f),
            Self::Refused { command, error } => {
                write!(f, "refused command={command} response={error}")
            }
            Self::BadResponse { command, error } => {
                write!(f, "bad-response command={command} reason={error:?}")
            }
            Self::WrongResponse { command, response } => {
                write!(f, "wrong-response command={command} response={response}")
            }
            Self::WrongFence {
                command,
                sent,
                echoed,
            } => {
                write!(
                    f,
                    "wrong-fence command={command} sent={sent:?} echoed={echoed:?}"
                )
            }
            Self::Timeout { in_flight, status } => {
                write!(f, "timeout in_flight={in_flight} status={status:#x}")
            }
            Self::NeedsReset => write!(f, "device-needs-reset"),
            Self::NotOffered(feature) => write!(f, "feature-not-offered feature={feature:?}"),
            Self::NoDisplay => write!(f, "no-enabled-display"),
            Self::NoClock => write!(
                f,
                "no-tsc-frequency for=seconds,burst_ms,idle_ms,repaint_ms"
            ),
        }
    }
}

impl From<TransportError> for GpuError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<OutOfMemory> for GpuError {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

impl From<UsedRingError> for GpuError {
    fn from(error: UsedRingError) -> Self {
        Self::UsedRing(error)
    }
}

impl From<QueueSetupError> for GpuError {
    fn from(error: QueueSetupError) -> Self {
        match error {
            QueueSetupError::Transport(error) => Self::Transport(error),
            QueueSetupError::Memory(error) => Self::Memory(error),
        }
    }
}
