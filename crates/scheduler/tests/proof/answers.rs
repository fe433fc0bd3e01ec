// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the world does with the scheduler's actions, and which of them make no sense: one holder for each engine, one engine
//! for each VM, grants for those who have work and may run, revocations as answers to reports only, nothing asked for twice.

use rondo_scheduler::{Action, EngineId, Event, VmId};

use crate::books::Vm;
use crate::world::{Hold, World};

impl World {
    /// Does what the scheduler asks for in answer to an event, if that makes sense.
    pub fn carry_out(&mut self, event: Event, action: Action) {
        let (code, who) = match action {
            Action::Grant { engine, vm } => self.granted(engine, vm),
            Action::Revoke { engine, vm } => {
                let index = self.holder(engine, vm);
                let answers = matches!(event, Event::UnitDone { engine: of, vm: by, .. } if of == engine && by == vm);
                let hold = self.engines[usize::from(engine.0)].take();
                if !answers || hold.is_none_or(|hold| hold.unit.is_some()) {
                    self.fail("actions", &format!("{action:?} answers {event:?}"));
                }
                self.vms[index].leaving = false;
                (2, index)
            }
            Action::Preempt { engine, vm } => {
                let index = self.holder(engine, vm);
                let now = self.now;
                let yields = self.vms[index].guest.habits.yields;
                let yields = yields > 0 && self.vms[index].random.one_in(yields);
                let hold = self.engines[usize::from(engine.0)].as_mut().expect("held");
                let twice = std::mem::replace(&mut hold.preempted, true);
                if let Some(unit) = &mut hold.unit
                    && yields
                    && unit.end.is_some_and(|end| end > now)
                    && !unit.reset
                {
                    unit.end = Some(now);
                    unit.done = unit.done.min(now - unit.start);
                }
                if twice {
                    self.fail("actions", "asked to stop twice");
                }
                (3, index)
            }
            Action::ResetEngine { engine, vm } => {
                let index = self.holder(engine, vm);
                let (now, cost) = (self.now, self.reset_cost);
                let hold = self.engines[usize::from(engine.0)].as_mut().expect("held");
                let patience = self.vms[index].guest.profile.hang_timeout.0;
                match &mut hold.unit {
                    Some(unit) if !unit.reset && now - unit.start >= patience => {
                        if unit.end.is_none_or(|end| end > now) {
                            unit.end = Some(now + cost);
                            unit.delay = 0;
                        }
                        unit.reset = true;
                    }
                    _ => self.fail("actions", &format!("{action:?} without reason")),
                }
                self.vms[index].resets += 1;
                self.vms[index].hung.push(now);
                (4, index)
            }
            Action::Quarantine { vm } => {
                let index = self.index(vm);
                if std::mem::replace(&mut self.vms[index].quarantined, true) {
                    self.fail("actions", "quarantined twice");
                }
                (5, index)
            }
            Action::WakeAt { at } => {
                let at = at.0.wrapping_sub(self.origin);
                if at <= self.now {
                    self.fail("actions", "asked to be woken in the past");
                }
                self.wake_at = Some(at);
                (6, usize::try_from(at).expect("64 bits"))
            }
        };
        for word in [self.now, code, who as u64] {
            for byte in word.to_le_bytes() {
                self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    fn granted(&mut self, engine: EngineId, vm: VmId) -> (u64, usize) {
        let index = self.index(vm);
        let at = usize::from(engine.0);
        let known = &self.vms[index];
        if at >= self.engines.len() || self.engines[at].is_some() {
            self.fail("actions", &format!("{engine:?} granted, which is not free"));
        }
        if self.engine_of(index).is_some() {
            self.fail("actions", &format!("{vm:?} granted a second engine"));
        }
        if !known.here || !known.claims || known.quarantined {
            self.fail(
                "actions",
                &format!("{engine:?} granted to {vm:?}, which has no claim"),
            );
        }
        self.engines[at] = Some(Hold {
            vm: index,
            preempted: false,
            unit: None,
        });
        self.grants += 1;
        let stretch = self.vms[index]
            .profile()
            .slice
            .0
            .max(self.vms[index].guest.unit);
        self.vms[index].stretch = self.vms[index].stretch.max(stretch);
        self.vms[index].settled = true;
        self.begin_unit(at);
        (1, index)
    }

    fn holder(&self, engine: EngineId, vm: VmId) -> usize {
        let hold = self
            .engines
            .get(usize::from(engine.0))
            .and_then(Option::as_ref);
        match hold {
            Some(hold) if self.vms[hold.vm].guest.id == vm => hold.vm,
            _ => self.fail("actions", &format!("{vm:?} does not hold {engine:?}")),
        }
    }

    /// The VM of that name that is here, or still leaves.
    fn index(&self, vm: VmId) -> usize {
        let named = |known: &Vm| known.guest.id == vm && (known.here || known.leaving);
        let found = self.vms.iter().position(named);
        found.unwrap_or_else(|| self.fail("actions", &format!("{vm:?} is not here")))
    }
}
