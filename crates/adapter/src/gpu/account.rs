// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM's objects cost the host, in bytes: one function of sizes, and the account that it is held against.
//!
//! A charge is taken before the memory is, and given back by the call that frees it.

use rondo_renderer::cursor::CURSOR_SIZE;
use rondo_renderer::geometry::Size;

use crate::ddi::DdiResult;
use crate::status::NtStatus;

/// What a handle's bookkeeping costs (a device, context, queue, process or allocation with its table entries): more than
/// the largest of them takes, so that objects without content are bounded too.
pub(super) const OBJECT_BYTES: u64 = 1280;

/// What a command that waits for its grant costs.
pub(super) const PENDING_COMMAND_BYTES: u64 = 128;

/// Bytes of a pixel, in all eight formats.
const PIXEL_BYTES: u64 = 4;

/// Something that takes host memory for a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A handle's bookkeeping.
    Object,
    /// The pixels of an image.
    Pixels(Size),
    /// A screen's frame, and the one in which the next is drawn.
    Frame(Size),
    /// The last frame of a screen that is off, as many bytes as its sink says.
    LastFrame(u64),
    /// The table of a backing, as long as the renderer says.
    Backing(u64),
    /// A pointer's picture.
    Pointer,
    /// A command that waits.
    Command,
}

/// What `item` costs, or `None` if no machine could hold it.
pub(super) fn bytes(item: Item) -> Option<u64> {
    match item {
        Item::Object => Some(OBJECT_BYTES),
        Item::Pixels(size) => u64::from(size.width)
            .checked_mul(u64::from(size.height))?
            .checked_mul(PIXEL_BYTES),
        Item::Frame(size) => bytes(Item::Pixels(size))?.checked_mul(2),
        Item::LastFrame(bytes) | Item::Backing(bytes) => Some(bytes),
        Item::Pointer => bytes(Item::Pixels(CURSOR_SIZE)),
        Item::Command => Some(PENDING_COMMAND_BYTES),
    }
}

/// A VM's account of host memory.
#[derive(Debug)]
pub(super) struct MemoryAccount {
    limit: u64,
    used: u64,
}

impl MemoryAccount {
    /// An empty account.
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Bytes charged now.
    pub(super) const fn used(&self) -> u64 {
        self.used
    }

    /// Changes the limit. What is charged already stays charged, even above the new limit.
    pub(super) const fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Takes what `item` costs.
    ///
    /// # Errors
    /// [`NtStatus::NoMemory`] if it does not fit; nothing is charged then.
    pub(super) fn charge(&mut self, item: Item) -> DdiResult<()> {
        let used = bytes(item)
            .and_then(|bytes| self.used.checked_add(bytes))
            .ok_or(NtStatus::NoMemory)?;
        if used > self.limit {
            return Err(NtStatus::NoMemory);
        }
        self.used = used;
        Ok(())
    }

    /// Takes back a release: what `item` costs is charged again, above the limit if need be.
    pub(super) fn restore(&mut self, item: Item) {
        self.used = self.used.saturating_add(bytes(item).unwrap_or(0));
    }

    /// Gives back what `item` was charged.
    pub(super) fn release(&mut self, item: Item) {
        let bytes = bytes(item).unwrap_or(0);
        debug_assert!(bytes <= self.used, "{item:?} was never charged");
        self.used = self.used.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(width: u32, height: u32) -> Item {
        Item::Pixels(Size { width, height })
    }

    #[test]
    fn the_largest_sizes_do_not_overflow() {
        assert_eq!(bytes(size(u32::MAX, u32::MAX)), None);
        assert_eq!(
            bytes(size(u32::MAX, 1)),
            Some(u64::from(u32::MAX) * PIXEL_BYTES)
        );
        assert_eq!(
            bytes(Item::Frame(Size {
                width: u32::MAX,
                height: 1 << 30
            })),
            None
        );
        let mut account = MemoryAccount::new(u64::MAX);
        assert_eq!(
            account.charge(size(u32::MAX, u32::MAX)),
            Err(NtStatus::NoMemory)
        );
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn the_limit_is_exact() {
        let mut account = MemoryAccount::new(64 * 4);
        assert_eq!(account.charge(size(65, 1)), Err(NtStatus::NoMemory));
        assert_eq!(account.charge(size(64, 1)), Ok(()));
        assert_eq!(account.charge(size(1, 1)), Err(NtStatus::NoMemory));
        account.release(size(64, 1));
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn a_lowered_limit_keeps_what_is_there_and_refuses_more() {
        let mut account = MemoryAccount::new(1000);
        assert_eq!(account.charge(size(100, 1)), Ok(()));
        account.set_limit(10);
        assert_eq!(account.used(), 400);
        assert_eq!(account.charge(size(1, 1)), Err(NtStatus::NoMemory));
        account.release(size(100, 1));
        assert_eq!(account.charge(size(1, 1)), Ok(()));
    }

    fn item() -> impl Strategy<Value = Item> {
        prop_oneof![
            Just(Item::Object),
            Just(Item::Pointer),
            Just(Item::Command),
            (0..200_u32, 0..200_u32).prop_map(|(w, h)| size(w, h)),
            (0..200_u32, 0..200_u32)
                .prop_map(|(width, height)| Item::Frame(Size { width, height })),
            (0..20_000_u64).prop_map(Item::Backing),
            (0..20_000_u64).prop_map(Item::LastFrame),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_account_is_the_sum_of_what_it_took(items in proptest::collection::vec(item(), 0..64), limit in 0..400_000_u64) {
            let mut account = MemoryAccount::new(limit);
            let mut taken = Vec::new();
            for item in items {
                if account.charge(item).is_ok() {
                    taken.push(item);
                }
                let sum: u64 = taken.iter().filter_map(|&item| bytes(item)).sum();
                prop_assert_eq!(account.used(), sum);
                prop_assert!(sum <= limit);
            }
            for item in taken {
                account.release(item);
            }
            prop_assert_eq!(account.used(), 0);
        }
    }
}
