// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who may join: guarantees that add up to at most one engine.

use crate::{Ppm, SchedulerError, VmId, VmProfile};

/// The sum of the guarantees given on one engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Admission {
    given: u32,
}

impl Admission {
    /// Gives `profile` its place instead of `old`, or says what is in the way and by how much.
    pub(crate) fn admit(
        &mut self,
        vm: VmId,
        profile: &VmProfile,
        old: Ppm,
    ) -> Result<(), SchedulerError> {
        let asked = profile.guarantee;
        if let Some(limit) = profile.limit
            && (limit < asked || limit.get() == 0)
        {
            return Err(SchedulerError::LimitBelowGuarantee {
                vm,
                limit,
                guarantee: asked,
            });
        }
        let others = self.given.saturating_sub(old.get());
        let free = Ppm::WHOLE.get().saturating_sub(others);
        if asked.get() > free {
            let part = |parts| Ppm::new(parts).unwrap_or(Ppm::WHOLE);
            return Err(SchedulerError::GuaranteeDoesNotFit {
                vm,
                asked,
                free: part(free),
                excess: part(asked.get() - free),
            });
        }
        self.given = others + asked.get();
        Ok(())
    }

    pub(crate) fn release(&mut self, guarantee: Ppm) {
        self.given = self.given.saturating_sub(guarantee.get());
    }
}
