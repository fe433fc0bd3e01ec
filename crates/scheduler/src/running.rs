// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Units, grants and loans: who holds which engine, and what becomes of it when a unit ends.
//!
//! # Loans
//! An engine that has nothing to do takes a VM that waits for another one, for a slice. For its home the VM sleeps, and wakes
//! when it is back: so no promise made there is touched. Only a VM is taken that can afford it, which its home's discipline
//! says ([`crate::policy::Discipline::lendable`]); a VM that is owed time stays where it is next. What it runs away from home is
//! charged to its account and to no claim: it is time that nobody wanted. It goes back as soon as a unit ends and the
//! engine has work of its own.

use crate::account::VmState;
use crate::actions::Actions;
use crate::engine::{Holder, Occupant, Tenure};
use crate::policy::Policy;
use crate::scheduler::Scheduler;
use crate::table::Slot;
use crate::{Action, EngineId, Nanos, VmId};

/// What a VM does after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Another unit.
    More,
    /// Nothing.
    Nothing,
    /// It may not run.
    LockedOut,
    /// It is gone.
    Gone,
}

/// A unit that has ended, and what is known of what comes next.
#[derive(Clone, Copy, Debug)]
struct Ended {
    engine: u16,
    vm: Slot,
    wants: Wants,
    /// Whoever holds the engine may go on, if it has work.
    keeps: bool,
    /// Its request ends here, since somebody could run elsewhere.
    ends: bool,
    /// The holder was told to end, or was reset.
    must_go: bool,
    now: u64,
}

impl Scheduler {
    pub(crate) fn unit_done(
        &mut self,
        id: u16,
        slot: Slot,
        ran: Nanos,
        more: bool,
        now: u64,
        actions: &mut Actions,
    ) {
        let lends = self.config.policy != Policy::Fixed && self.someone_is_free();
        let Some(engine) = self.engines.get_mut(usize::from(id)) else {
            return;
        };
        let (Some(holder), Some(vm)) = (engine.holder.as_mut(), self.vms.get_mut(slot)) else {
            return;
        };
        let account = &mut vm.account;
        account.charged = Nanos(account.charged.0.saturating_add(ran.0));
        account.units = account.units.saturating_add(1);
        account.longest_unit = account.longest_unit.max(ran);
        engine.busy = Nanos(engine.busy.0.saturating_add(ran.0));
        vm.pace.charge(ran.0);
        match &mut holder.tenure {
            Tenure::Own(seat) => engine.discipline.charge(*seat, ran),
            Tenure::Client => {
                if let Some(host) = &mut engine.host {
                    engine.discipline.charge(host.seat, ran);
                    host.unit_done(ran);
                }
            }
            Tenure::Loan { used } => {
                account.borrowed = Nanos(account.borrowed.0.saturating_add(ran.0));
                // A unit of length zero counts: an endless row of them must not be one loan.
                *used = used.saturating_add(ran.0.max(1));
            }
        }
        let more = std::mem::take(&mut vm.woken) || more;
        let wants = if vm.leaving {
            Wants::Gone
        } else if vm.locked_out {
            vm.woken = more;
            Wants::LockedOut
        } else if more {
            Wants::More
        } else {
            Wants::Nothing
        };
        let must_go = engine.preempted || holder.hung;
        let tenure = holder.tenure;
        let slice = vm.profile.slice.0;
        let ends = lends && engine.discipline.has_queued();
        let keeps = wants == Wants::More
            && !must_go
            && match tenure {
                Tenure::Own(seat) => engine.discipline.keeps(seat) && !ends,
                Tenure::Client => {
                    let host = engine.host.as_ref();
                    host.is_some_and(|host| engine.discipline.keeps(host.seat)) && !ends
                }
                Tenure::Loan { used } => used < slice && !engine.discipline.has_queued(),
            };
        let ended = Ended {
            engine: id,
            vm: slot,
            wants,
            keeps: keeps && !self.asked_back(id, slot, now),
            ends,
            must_go,
            now,
        };
        match tenure {
            Tenure::Own(_) | Tenure::Loan { .. } if ended.keeps => self.next_unit(id, now),
            Tenure::Own(seat) => self.own_ends(ended, seat, actions),
            Tenure::Client => self.client_ends(ended, actions),
            Tenure::Loan { .. } => {
                self.end_stretch(slot);
                self.release(id, slot, actions);
                self.settle(slot, wants);
                if wants == Wants::More && !self.throttle(slot, now) {
                    self.enqueue(slot, now, true);
                }
            }
        }
    }

    /// A server VM's turn at home has ended.
    fn own_ends(&mut self, ended: Ended, seat: Slot, actions: &mut Actions) {
        let Ended {
            engine: id,
            vm: slot,
            wants,
            now,
            ..
        } = ended;
        self.end_stretch(slot);
        let away = wants != Wants::More || self.throttle(slot, now);
        let Some(engine) = self.engines.get_mut(usize::from(id)) else {
            return;
        };
        if away {
            engine.discipline.sleep(seat);
            self.release(id, slot, actions);
            self.settle(slot, wants);
            return;
        }
        engine.discipline.put_back(seat, ended.ends);
        let next = engine.discipline.pick();
        self.wait_again(slot, now);
        if next == Some(seat) && !ended.must_go {
            self.begin(id, slot, now);
        } else {
            self.release(id, slot, actions);
            self.grant_seat(id, next, now, actions);
        }
    }

    /// The unit of a client VM has ended; the host partition goes on if it keeps the engine and one of its clients has work.
    fn client_ends(&mut self, ended: Ended, actions: &mut Actions) {
        let Ended {
            engine: id,
            vm: slot,
            wants,
            now,
            ..
        } = ended;
        let Some(host) = self.host_mut(id) else {
            return;
        };
        let seat = host.seat;
        if ended.keeps && host.next() == Some(slot) {
            host.unit_begins();
            self.announce_client(id);
            self.next_unit(id, now);
            return;
        }
        self.end_stretch(slot);
        let away = wants != Wants::More || self.throttle(slot, now);
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        if let Some(host) = self.host_mut(id) {
            if away {
                host.idle(slot);
            } else {
                host.ready(slot, turn);
            }
        }
        self.release(id, slot, actions);
        if away {
            self.settle(slot, wants);
        } else {
            self.wait_again(slot, now);
        }
        // Whether the partition goes on depends on how long the next client's unit can be.
        self.announce_client(id);
        let Some(engine) = self.engines.get_mut(usize::from(id)) else {
            return;
        };
        if !engine.host.as_ref().is_some_and(|host| host.has_work()) {
            engine.discipline.sleep(seat);
        } else if !ended.must_go
            && !ended.ends
            && engine.discipline.keeps(seat)
            && !engine.discipline.outranked()
        {
            // The partition goes on, with another of its clients.
            self.grant_seat(id, Some(seat), now, actions);
        } else {
            engine.discipline.put_back(seat, ended.ends);
            let next = engine.discipline.pick();
            self.grant_seat(id, next, now, actions);
        }
    }

    /// A VM that ran has more work, and waits.
    fn wait_again(&mut self, slot: Slot, now: u64) {
        if let Some(vm) = self.vms.get_mut(slot) {
            vm.account.state = VmState::Ready;
            vm.ready_since = now;
        }
    }

    /// What a VM does that wants no more, or may not.
    fn settle(&mut self, slot: Slot, wants: Wants) {
        match wants {
            Wants::More => {}
            Wants::Gone => self.forget(slot),
            Wants::Nothing | Wants::LockedOut => {
                if let Some(vm) = self.vms.get_mut(slot) {
                    vm.account.state = if wants == Wants::Nothing {
                        VmState::Idle
                    } else {
                        VmState::Quarantined
                    };
                }
            }
        }
    }

    /// Ends a VM's stretch: from here its limit counts how long it stays away.
    fn end_stretch(&mut self, slot: Slot) {
        if let Some(vm) = self.vms.get_mut(slot) {
            vm.pace.end(vm.profile.limit);
        }
    }

    /// Takes the engine from its holder.
    fn release(&mut self, id: u16, slot: Slot, actions: &mut Actions) {
        if let Some(engine) = self.engine_mut(id) {
            engine.holder = None;
            engine.preempted = false;
            engine.grace_ends = None;
        }
        if let Some(vm) = self.vms.get_mut(slot) {
            vm.on = None;
            actions.push(Action::Revoke {
                engine: EngineId(id),
                vm: vm.id,
            });
        }
    }

    /// Grants engines that are free, asks for those back to which someone has a better claim, and lends what is left.
    pub(crate) fn dispatch(&mut self, now: u64, actions: &mut Actions) {
        for id in 0..self.config.engines {
            let Some(engine) = self.engine_mut(id) else {
                continue;
            };
            match engine.holder {
                None => {
                    let next = engine.discipline.pick();
                    self.grant_seat(id, next, now, actions);
                }
                Some(holder) if !engine.preempted => {
                    if self.asked_back(id, holder.vm, now) {
                        self.preempt(id, actions);
                    }
                }
                Some(_) => {}
            }
        }
        if self.config.engines > 1 && self.config.policy != Policy::Fixed {
            for id in 0..self.config.engines {
                if self
                    .engine(id)
                    .is_some_and(|engine| engine.holder.is_none())
                {
                    self.borrow(id, now, actions);
                }
            }
        }
    }

    /// Whether the holder must give the engine back to someone with a better claim, its grace being over.
    fn asked_back(&mut self, id: u16, slot: Slot, now: u64) -> bool {
        let grace = self.vms.get(slot).map_or(0, |vm| vm.profile.grace.0);
        let Some(engine) = self.engine_mut(id) else {
            return false;
        };
        if !engine.held_by_right() {
            return engine.discipline.has_queued();
        }
        if !engine.discipline.outranked() {
            engine.grace_ends = None;
            return false;
        }
        let until = now.saturating_add(grace);
        let until = *engine.grace_ends.get_or_insert(until);
        if until > now {
            return false;
        }
        engine.grace_ends = None;
        true
    }

    /// Gives a free engine to whoever has this seat, which the discipline has made its holder.
    fn grant_seat(&mut self, id: u16, seat: Option<Slot>, now: u64, actions: &mut Actions) {
        let Some(seat) = seat else { return };
        let Some(engine) = self.engine_mut(id) else {
            return;
        };
        match engine.occupant(seat) {
            Some(Occupant::Vm(slot)) => self.grant(id, slot, Tenure::Own(seat), now, actions),
            Some(Occupant::Host) => {
                let next = engine.host.as_mut().and_then(|host| host.unit_begins());
                match next {
                    Some(slot) => {
                        self.grant(id, slot, Tenure::Client, now, actions);
                        self.announce_client(id);
                    }
                    None => engine.discipline.sleep(seat),
                }
            }
            None => {}
        }
    }

    fn grant(&mut self, id: u16, slot: Slot, tenure: Tenure, now: u64, actions: &mut Actions) {
        if let Some(engine) = self.engine_mut(id) {
            engine.holder = Some(Holder {
                vm: slot,
                tenure,
                unit_began: now,
                hung: false,
            });
            engine.preempted = false;
            engine.grace_ends = None;
        }
        if let Some(vm) = self.begin(id, slot, now) {
            actions.push(Action::Grant {
                engine: EngineId(id),
                vm,
            });
        }
    }

    /// A new stretch of the VM that holds the engine.
    fn begin(&mut self, id: u16, slot: Slot, now: u64) -> Option<VmId> {
        self.next_unit(id, now);
        if let Some(engine) = self.engine_mut(id) {
            engine.grace_ends = None;
        }
        let vm = self.vms.get_mut(slot)?;
        let waited = Nanos(now.saturating_sub(vm.ready_since));
        vm.account.longest_wait = vm.account.longest_wait.max(waited);
        vm.account.state = VmState::Running;
        vm.on = Some(id);
        vm.pace.begin(now);
        let (vm, until) = (vm.id, now.saturating_add(vm.profile.hang_timeout.0));
        self.watch_over(until);
        Some(vm)
    }

    /// The holder's next unit begins.
    fn next_unit(&mut self, id: u16, now: u64) {
        if let Some(holder) = self
            .engine_mut(id)
            .and_then(|engine| engine.holder.as_mut())
        {
            holder.unit_began = now;
        }
    }

    pub(crate) fn preempt(&mut self, id: u16, actions: &mut Actions) {
        let Some(engine) = self.engine_mut(id) else {
            return;
        };
        let Some(holder) = engine.holder.filter(|_| !engine.preempted) else {
            return;
        };
        engine.preempted = true;
        engine.grace_ends = None;
        if let Some(vm) = self.vms.get(holder.vm) {
            actions.push(Action::Preempt {
                engine: EngineId(id),
                vm: vm.id,
            });
        }
    }

    fn someone_is_free(&self) -> bool {
        self.config.engines > 1 && self.engines.iter().any(|engine| engine.holder.is_none())
    }

    /// A free engine without work of its own takes a VM that waits for another one.
    fn borrow(&mut self, id: u16, now: u64, actions: &mut Actions) {
        let engines = self.config.engines;
        for step in 1..engines {
            let other = (id + step) % engines;
            let Some(engine) = self.engine_mut(other) else {
                continue;
            };
            if engine.holder.is_none() {
                continue;
            }
            match engine
                .discipline
                .lendable()
                .map(|seat| (seat, engine.occupant(seat)))
            {
                Some((seat, Some(Occupant::Vm(slot)))) => {
                    engine.discipline.sleep(seat);
                    self.grant(id, slot, Tenure::Loan { used: 0 }, now, actions);
                    return;
                }
                Some(_) | None => {
                    let client = engine.host.as_ref().and_then(|host| host.first_waiting());
                    if let Some(client) = client
                        && self.move_client(client, id)
                    {
                        let next = self
                            .engine_mut(id)
                            .and_then(|engine| engine.discipline.pick());
                        self.grant_seat(id, next, now, actions);
                        return;
                    }
                }
            }
        }
    }
}
