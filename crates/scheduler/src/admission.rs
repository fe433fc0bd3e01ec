// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who may join: guarantees that add up to at most one engine.

use crate::{Policy, Ppm, SchedulerError, VmId, VmProfile};

/// The sum of the guarantees given on one engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission {
    given: u32,
    /// Whether a VM without a guarantee is refused.
    guarantee_required: bool,
}

impl Admission {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            given: 0,
            guarantee_required: policy.requires_guarantee(),
        }
    }

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
        if self.guarantee_required && asked.get() == 0 {
            return Err(SchedulerError::NoSlot { vm });
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
