// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who lives where: joining, leaving, new profiles, and the packing of guarantees onto engines.
//!
//! A VM's guarantee is a part of one engine, since it runs one unit at a time. A newcomer goes to the engine with most left, so
//! that all are loaded alike. If what is left is enough in sum but on no engine, those who are here are packed anew, the
//! largest first, each onto the fullest engine that has room, and move with what they owe. Client VMs have no guarantee and
//! move freely.

use crate::account::{VmAccount, VmState};
use crate::actions::Actions;
use crate::config::SchedulerConfig;
use crate::engine::{Occupant, Tenure};
use crate::error::SchedulerError;
use crate::host::{HOST, HostPartition};
use crate::pace::Pace;
use crate::policy::Standing;
use crate::scheduler::{Scheduler, Vm};
use crate::table::Slot;
use crate::watch::Resets;
use crate::{Mode, Nanos, Ppm, VmId, VmProfile};

impl SchedulerConfig {
    /// What all client VMs of an engine are promised together. Nothing of it is ever learned from one of them for another: the
    /// longest unit is said anew for each.
    pub(crate) fn host_profile(&self) -> VmProfile {
        VmProfile {
            mode: Mode::Server,
            guarantee: self.host_guarantee,
            ..VmProfile::default()
        }
    }

    /// What can be promised of one engine.
    fn whole(&self) -> Ppm {
        Ppm::new(Ppm::WHOLE.get().saturating_sub(self.reserve.get())).unwrap_or(Ppm::WHOLE)
    }
}

impl Scheduler {
    pub(crate) fn host_mut(&mut self, engine: u16) -> Option<&mut HostPartition> {
        self.engine_mut(engine)?.host.as_mut()
    }

    pub(crate) fn add(&mut self, id: VmId, profile: VmProfile) -> Result<(), SchedulerError> {
        if self.vms.slot(id).is_some() {
            return Err(SchedulerError::DuplicateVm { vm: id });
        }
        check(id, &profile)?;
        let home = self.find_home(id, &profile, None)?;
        let vm = Vm {
            id,
            profile,
            account: VmAccount::default(),
            pace: Pace::default(),
            ready_since: 0,
            bound: None,
            resets: Resets::default(),
            seat: Slot(0),
            home,
            on: None,
            woken: false,
            leaving: false,
            locked_out: false,
        };
        if let Some(slot) = self.vms.insert(id, vm) {
            self.make_room_for_limits(&profile);
            self.settle_at(slot, home, Standing::default());
        }
        Ok(())
    }

    /// Being kept away by a limit must not allocate; most VMs have none.
    fn make_room_for_limits(&mut self, profile: &VmProfile) {
        if profile.limit.is_some() {
            self.throttled.reserve(self.vms.slots());
        }
    }

    pub(crate) fn remove(&mut self, id: VmId, actions: &mut Actions) -> Result<(), SchedulerError> {
        let slot = self.find(id)?;
        match self.vms.get_mut(slot).map(|vm| (vm.on, &mut vm.leaving)) {
            Some((Some(engine), leaving)) => {
                *leaving = true;
                self.preempt(engine, actions);
            }
            _ => self.forget(slot),
        }
        Ok(())
    }

    /// Takes a VM that holds nothing out of everything.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.throttled.remove(slot);
        self.move_out(slot);
        if let Some(vm) = self.vms.get(slot) {
            let id = vm.id;
            self.vms.remove(id);
        }
    }

    pub(crate) fn set_profile(
        &mut self,
        id: VmId,
        profile: VmProfile,
        now: u64,
    ) -> Result<(), SchedulerError> {
        let slot = self.find(id)?;
        check(id, &profile)?;
        let Some(vm) = self.vms.get(slot) else {
            return Ok(());
        };
        let (old, from) = (vm.profile, vm.home);
        let same_kind = profile.mode == old.mode;
        let home = self.find_home(id, &profile, Some(slot))?;
        self.make_room_for_limits(&profile);
        // Packing anew may have moved it already.
        let from = self.vms.get(slot).map_or(from, |vm| vm.home);
        if same_kind && home == from {
            if let Some(vm) = self.vms.get_mut(slot) {
                vm.profile = profile;
                vm.pace.set_limit(profile.limit, old.limit);
                let seat = vm.seat;
                if profile.mode == Mode::Server
                    && let Some(engine) = self.engine_mut(home)
                {
                    engine.given = engine
                        .given
                        .saturating_sub(old.guarantee.get())
                        .saturating_add(profile.guarantee.get());
                    engine.discipline.set_profile(seat, &profile);
                }
            }
        } else {
            let standing = self.move_out(slot);
            if let Some(vm) = self.vms.get_mut(slot) {
                vm.profile = profile;
                vm.pace.set_limit(profile.limit, old.limit);
            }
            self.settle_at(slot, home, standing);
            self.wake_after_move(slot);
        }
        self.announce_client(home);
        self.watch_holder(slot);
        if let Some(vm) = self.vms.get(slot)
            && vm.account.state == VmState::Throttled
            && vm.pace.away_until(now, profile.limit).is_none()
        {
            self.throttled.remove(slot);
            self.enqueue(slot, now, true);
        }
        Ok(())
    }

    /// Looks in time for a hang of the unit that a VM runs, whose hang timeout may have become shorter.
    fn watch_holder(&mut self, slot: Slot) {
        let Some(vm) = self.vms.get(slot) else { return };
        let timeout = vm.profile.hang_timeout.0;
        let engine = vm.on.and_then(|engine| self.engine(engine));
        if let Some(holder) = engine.and_then(|engine| engine.holder) {
            self.watch_over(holder.unit_began.saturating_add(timeout));
        }
    }

    /// The home for a VM with this profile. `who`: it is here already, and its old guarantee counts as free at its home.
    fn find_home(
        &mut self,
        id: VmId,
        profile: &VmProfile,
        who: Option<Slot>,
    ) -> Result<u16, SchedulerError> {
        let here = who.and_then(|slot| self.vms.get(slot));
        let old = here.map(|vm| (vm.home, vm.profile.guarantee.get(), vm.profile.mode));
        let asked = profile.guarantee.get();
        let whole = self.config.whole();
        if profile.mode == Mode::Client {
            if let Some((home, _, Mode::Client)) = old {
                return Ok(home);
            }
            let members = |engine: &u16| {
                let found = self.engine(*engine);
                found.map_or((0, 0), |engine| {
                    let clients = engine.host.as_ref().map_or(0, |host| host.members());
                    (clients, engine.seated())
                })
            };
            return Ok((0..self.config.engines).min_by_key(members).unwrap_or(0));
        }
        let free = |engine: u16| {
            let own = old.map_or(
                0,
                |(home, guarantee, _)| if home == engine { guarantee } else { 0 },
            );
            self.engine(engine)
                .map_or(0, |found| found.free(whole).saturating_add(own))
        };
        if let Some((home, _, Mode::Server)) = old
            && asked <= free(home)
        {
            return Ok(home);
        }
        let engines = 0..self.config.engines;
        let seated = |engine: u16| self.engine(engine).map_or(0, |found| found.seated());
        // Without a guarantee what counts is with how many it shares.
        let best = engines.min_by_key(|&engine| {
            let taken = u32::MAX - free(engine);
            if asked == 0 {
                (seated(engine), u64::from(taken))
            } else {
                (
                    0,
                    (u64::from(taken) << 32) | u64::try_from(seated(engine)).unwrap_or(0),
                )
            }
        });
        let best = best.unwrap_or(0);
        let most = free(best);
        if asked <= most {
            return Ok(best);
        }
        self.pack(who, asked).ok_or_else(|| {
            let part = |parts| Ppm::new(parts).unwrap_or(Ppm::WHOLE);
            SchedulerError::GuaranteeDoesNotFit {
                vm: id,
                asked: profile.guarantee,
                free: part(most),
                excess: part(asked - most),
            }
        })
    }

    /// Packs all guarantees anew so that `asked` fits too, for `who` or for a newcomer; moves those whose home changes; the home
    /// of `who`. Nothing is moved if it does not work.
    fn pack(&mut self, who: Option<Slot>, asked: u32) -> Option<u16> {
        if self.config.engines == 1 {
            return None;
        }
        let mut largest: Vec<(u32, Option<Slot>)> = vec![(asked, who)];
        for engine in &self.engines {
            for (_, occupant) in engine.occupants() {
                if let Occupant::Vm(slot) = occupant
                    && Some(slot) != who
                    && let Some(vm) = self.vms.get(slot)
                    && vm.profile.guarantee.get() > 0
                {
                    largest.push((vm.profile.guarantee.get(), Some(slot)));
                }
            }
        }
        // A stable order: the largest first, among equals the newcomer, then by seat.
        largest.sort_by_key(|&(guarantee, _)| u32::MAX - guarantee);
        let capacity = self
            .config
            .whole()
            .get()
            .saturating_sub(self.config.host_guarantee.get());
        let mut left = vec![capacity; self.engines.len()];
        let mut homes = Vec::with_capacity(largest.len());
        for &(guarantee, slot) in &largest {
            let stays = slot
                .and_then(|slot| self.vms.get(slot))
                .map(|vm| usize::from(vm.home));
            let fits = (0..left.len()).filter(|&engine| left[engine] >= guarantee);
            // The fullest that has room; among equals where it is.
            let to = fits.min_by_key(|&engine| (left[engine], Some(engine) != stays))?;
            left[to] -= guarantee;
            homes.push((slot, u16::try_from(to).ok()?));
        }
        let mut home = None;
        for (slot, to) in homes {
            if slot == who {
                home = Some(to);
            } else if let Some(slot) = slot {
                self.move_home(slot, to);
            }
        }
        home
    }

    /// Moves a server VM, with what it owes.
    fn move_home(&mut self, slot: Slot, to: u16) {
        if self.vms.get(slot).is_none_or(|vm| vm.home == to) {
            return;
        }
        let standing = self.move_out(slot);
        self.settle_at(slot, to, standing);
        self.wake_after_move(slot);
    }

    /// Takes a VM out of its home; what it takes along. A unit of it that runs there goes on as if the engine were lent.
    fn move_out(&mut self, slot: Slot) -> Standing {
        let Some(vm) = self.vms.get(slot) else {
            return Standing::default();
        };
        let (home, seat, guarantee, client) =
            (vm.home, vm.seat, vm.profile.guarantee.get(), vm.is_client());
        let Some(engine) = self.engine_mut(home) else {
            return Standing::default();
        };
        let holds = |tenure: Tenure| !matches!(tenure, Tenure::Loan { .. });
        let running = engine
            .holder
            .as_mut()
            .filter(|holder| holder.vm == slot && holds(holder.tenure));
        let ran_here = running.is_some();
        if let Some(holder) = running {
            holder.tenure = Tenure::Loan { used: 0 };
            // Whoever asked for the engine gets it from a borrower at once.
            engine.grace_ends = None;
        }
        if client {
            if let Some(host) = &mut engine.host {
                if ran_here {
                    host.unit_done(Nanos(0));
                }
                host.leave(slot);
                if !host.has_work() {
                    engine.discipline.sleep(host.seat);
                } else if ran_here {
                    engine.discipline.put_back(host.seat, false);
                }
            }
            // The unit that was announced may have been one of this VM's.
            self.announce_client(home);
            return Standing::default();
        }
        let standing = engine.discipline.standing(seat);
        engine.given = engine.given.saturating_sub(guarantee);
        engine.unseat(seat);
        standing
    }

    /// Gives a VM that lives nowhere its home, asleep.
    fn settle_at(&mut self, slot: Slot, home: u16, standing: Standing) {
        let slots = self.vms.slots();
        let host_profile = self.config.host_profile();
        let Some(vm) = self.vms.get_mut(slot) else {
            return;
        };
        vm.home = home;
        let Some(engine) = self.engines.get_mut(usize::from(home)) else {
            return;
        };
        if vm.is_client() {
            if engine.host.is_none() {
                let standing = Standing::default();
                let seat = engine.seat(Occupant::Host, HOST, &host_profile, standing);
                engine.host = seat.map(HostPartition::new);
            }
            if let Some(host) = &mut engine.host {
                let joined = host.join(slot, slots);
                debug_assert!(joined.is_ok(), "{joined:?}");
            }
            return;
        }
        engine.given = engine.given.saturating_add(vm.profile.guarantee.get());
        let seat = engine.seat(Occupant::Vm(slot), vm.id, &vm.profile, standing);
        if let Some(seat) = seat {
            vm.seat = seat;
            engine.discipline.set_unit_bound(seat, vm.bound);
        }
    }

    /// Queues a VM in its new home if it waits.
    fn wake_after_move(&mut self, slot: Slot) {
        if let Some(vm) = self.vms.get(slot)
            && vm.account.state == VmState::Ready
        {
            let since = vm.ready_since;
            self.enqueue(slot, since, true);
        }
    }

    /// Moves a client VM that waits to an engine that is free. Whether it could.
    pub(crate) fn move_client(&mut self, slot: Slot, to: u16) -> bool {
        let waits = self
            .vms
            .get(slot)
            .is_some_and(|vm| vm.is_client() && vm.account.state == VmState::Ready);
        if !waits {
            return false;
        }
        self.move_out(slot);
        self.settle_at(slot, to, Standing::default());
        self.wake_after_move(slot);
        true
    }

    /// Tells the discipline how long the next unit of an engine's host partition can be: what the client whose turn it is has
    /// declared, or its caller has said.
    pub(crate) fn announce_client(&mut self, engine: u16) {
        let Some(found) = self.engines.get_mut(usize::from(engine)) else {
            return;
        };
        let Some(host) = &found.host else { return };
        let next = host.next().and_then(|slot| self.vms.get(slot));
        let bound = next.and_then(|vm| match (vm.profile.max_unit, vm.bound) {
            (Some(declared), Some(bound)) => Some(declared.min(bound)),
            (declared, bound) => declared.or(bound),
        });
        found.discipline.set_unit_bound(host.seat, bound);
    }
}

/// Refuses what contradicts itself.
fn check(vm: VmId, profile: &VmProfile) -> Result<(), SchedulerError> {
    let asked = profile.guarantee;
    if profile.mode == Mode::Client && asked.get() > 0 {
        return Err(SchedulerError::ClientWithGuarantee { vm, asked });
    }
    if let Some(limit) = profile.limit
        && (limit < asked || limit.get() == 0)
    {
        return Err(SchedulerError::LimitBelowGuarantee {
            vm,
            limit,
            guarantee: asked,
        });
    }
    Ok(())
}
