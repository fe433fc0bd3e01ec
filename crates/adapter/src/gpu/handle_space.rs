// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Handle values: 20 bits say whose the object is, 44 bits count that owner's objects. None is ever used twice.
//!
//! The number of the owner leads a call to its VM without a table of all objects; whether the object exists, and of what
//! kind it is, only the VM's own tables say.

use crate::ddi::DdiResult;
use crate::status::NtStatus;

/// Bits of a handle that count objects: at a million objects a second they last 200 days.
const SERIAL_BITS: u32 = 44;

/// The largest owner number.
const LAST_OWNER: u32 = (1 << (u64::BITS - SERIAL_BITS)) - 1;

/// Whose an object is: a VM, or the host. Never used twice in an adapter's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Owner(u32);

impl Owner {
    /// The host itself: processes that belong to no VM.
    pub(super) const HOST: Self = Self(0);

    /// Whose object this handle names, if it names one at all.
    pub(super) fn of(handle: u64) -> Self {
        // The shift leaves 20 bits.
        Self(u32::try_from(handle >> SERIAL_BITS).unwrap_or(u32::MAX))
    }

    /// The one after this.
    ///
    /// # Errors
    /// [`NtStatus::InsufficientResources`] after a million.
    pub(super) const fn next(self) -> DdiResult<Self> {
        if self.0 >= LAST_OWNER {
            return Err(NtStatus::InsufficientResources);
        }
        Ok(Self(self.0 + 1))
    }

    /// The plain number.
    pub(super) const fn number(self) -> u32 {
        self.0
    }
}

/// The source of one owner's handles.
#[derive(Debug)]
pub(super) struct HandleSpace {
    owner: Owner,
    next: u64,
}

impl HandleSpace {
    /// All of `owner`'s handles, none used.
    pub(super) const fn new(owner: Owner) -> Self {
        // No handle is 0: a forgotten field must not name the first object.
        Self { owner, next: 1 }
    }

    /// A value that was never given before.
    ///
    /// # Errors
    /// [`NtStatus::InsufficientResources`] when all are spent; they are not used again.
    pub(super) fn take(&mut self) -> DdiResult<u64> {
        if self.next >> SERIAL_BITS != 0 {
            return Err(NtStatus::InsufficientResources);
        }
        let value = u64::from(self.owner.0) << SERIAL_BITS | self.next;
        self.next += 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_leads_to_its_owner() {
        let mut owner = Owner::HOST;
        for number in 0..5 {
            assert_eq!(owner.number(), number);
            let handle = HandleSpace::new(owner).take().expect("fresh");
            assert_eq!(Owner::of(handle), owner);
            owner = owner.next().expect("many left");
        }
    }

    #[test]
    fn a_spent_space_gives_no_value_twice() {
        let mut space = HandleSpace {
            owner: Owner(LAST_OWNER),
            next: (1 << SERIAL_BITS) - 1,
        };
        assert_eq!(space.take(), Ok(u64::MAX));
        assert_eq!(space.take(), Err(NtStatus::InsufficientResources));
        assert_eq!(space.take(), Err(NtStatus::InsufficientResources));
        assert_eq!(
            Owner(LAST_OWNER).next(),
            Err(NtStatus::InsufficientResources)
        );
    }
}
