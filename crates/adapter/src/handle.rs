// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Opaque driver handles. A value is never used twice in an adapter's life, and one kind is never another kind.

use std::fmt;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Debug for $name {
            /// In hexadecimal: [`crate::gpu::SoftwareGpu`]'s handles then show their VM and their number in it.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:#x})", stringify!($name), self.0)
            }
        }
    };
}

handle!(
    /// A process: a VM's worker, a VM process, or a host process (`hKmdProcess`).
    KmdProcessHandle
);
handle!(
    /// A device: what a process opens to own contexts and allocations (`hDevice`).
    DeviceHandle
);
handle!(
    /// A context: a line of work with its scheduling properties (`hContext`).
    ContextHandle
);
handle!(
    /// A hardware queue of a context, first in first out, with its progress fence (`hHwQueue`).
    HwQueueHandle
);
handle!(
    /// A piece of memory that the GPU works on: an image or a blob (`hAllocation`).
    AllocationHandle
);
