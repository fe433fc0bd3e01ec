// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `VIRTIO_GPU_EVENT_DISPLAY`: that no change of the displays is lost.
//!
//! A driver answers the event by reading the displays and then clearing the event. A change that comes in between would
//! be cleared unseen; so clearing an event that grew stale after the driver's reading raises it again.

/// The state of the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DisplayEvents {
    /// The bit in `events_read`.
    pending: bool,
    /// The driver has read the displays since the event was raised.
    answered: bool,
    /// The displays changed after that.
    stale: bool,
}

impl DisplayEvents {
    pub(crate) const fn pending(&self) -> bool {
        self.pending
    }

    /// The displays changed. The caller interrupts the driver.
    pub(crate) fn changed(&mut self) {
        self.stale |= self.pending && self.answered;
        self.pending = true;
    }

    /// The driver read the displays.
    pub(crate) fn read_by_driver(&mut self) {
        self.answered |= self.pending;
        self.stale = false;
    }

    /// The driver clears the event. `true` if the driver must be interrupted again, for what it cleared unseen.
    pub(crate) fn cleared(&mut self) -> bool {
        let again = self.stale;
        *self = Self {
            pending: again,
            ..Self::default()
        };
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_read_then_clear_then_the_event_is_over() {
        let mut events = DisplayEvents::default();
        events.changed();
        events.read_by_driver();
        assert!(!events.cleared() && !events.pending());
    }

    #[test]
    fn given_a_change_between_read_and_clear_then_it_is_raised_again_once() {
        let mut events = DisplayEvents::default();
        events.changed();
        events.read_by_driver();
        events.changed();
        assert!(events.cleared() && events.pending());
        events.read_by_driver();
        assert!(!events.cleared() && !events.pending());
    }

    #[test]
    fn given_a_driver_that_clears_before_it_reads_then_there_is_no_storm() {
        let mut events = DisplayEvents::default();
        events.changed();
        assert!(!events.cleared() && !events.pending());
    }
}
