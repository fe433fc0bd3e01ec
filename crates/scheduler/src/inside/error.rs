// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduler inside a VM refuses.

use super::{ContextId, ProcessId};

/// Why a call was refused. It changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsideError {
    /// There is no such process.
    #[error("there is no process {}", .0.0)]
    UnknownProcess(ProcessId),
    /// There is no such context.
    #[error("there is no context {}", .0.0)]
    UnknownContext(ContextId),
    /// A process of this name is there already.
    #[error("process {} is there already", .0.0)]
    ProcessIsKnown(ProcessId),
    /// A context of this name is there already.
    #[error("context {} is there already", .0.0)]
    ContextIsKnown(ContextId),
    /// A process goes after its contexts.
    #[error("process {} still has {} contexts", .process.0, .contexts)]
    ProcessHasContexts {
        /// The process.
        process: ProcessId,
        /// How many contexts it has.
        contexts: u32,
    },
    /// The tables hold 2^32 - 1 entries.
    #[error("there is no room for more")]
    Full,
    /// NORMAL's part is at most half.
    #[error("NORMAL's part is 0 to 50 percent, {asked} were asked for")]
    NormalPercentage {
        /// Percent asked for.
        asked: u8,
    },
    /// A quantum of zero gives nobody a turn.
    #[error("a quantum must not be zero")]
    ZeroQuantum,
}
