// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The promises, each asked after every event. They look at the world's own books, and at the scheduler through its public face.

use rondo_scheduler::{Action, EngineId, Event, Policy, SchedulerError, VmAccount, VmState};

use crate::world::{Told, World};

/// What rounding may cost, in nanoseconds of work: tags are exact to less than one virtual nanosecond.
const ROUNDING: i64 = 2;

/// Every nanosecond is charged once: to the VM that ran, and to the engine on which it ran.
pub fn conservation(world: &World, told: &Told) -> Result<(), String> {
    for &(index, account) in &told.after {
        let vm = &world.vms[index];
        let books = (vm.charged, vm.units, vm.longest, vm.resets);
        let accounts = (
            account.charged.0,
            account.units,
            account.longest_unit.0,
            account.resets,
        );
        if books != accounts {
            return Err(format!("VM {index}: books {books:?}, account {accounts:?}"));
        }
        if account.borrowed > account.charged {
            return Err(format!("VM {index} borrowed more than it ran"));
        }
    }
    for (engine, &busy) in world.busy.iter().enumerate() {
        let told = world.scheduler.busy(name(engine)).map(|busy| busy.0);
        if told != Some(busy) || busy > world.now {
            return Err(format!("engine {engine} ran {busy}, and says {told:?}"));
        }
    }
    let charged: u64 = world.vms.iter().map(|vm| vm.charged).sum();
    if charged != world.busy.iter().sum::<u64>() {
        return Err("the world's own books do not add up".to_owned());
    }
    Ok(())
}

/// The scheduler and the world agree on who holds what, who waits and who sleeps.
pub fn states(world: &World, told: &Told) -> Result<(), String> {
    for engine in 0..world.engines.len() {
        let books = world.engines[engine]
            .as_ref()
            .map(|hold| world.vms[hold.vm].guest.id);
        if world.scheduler.holder(name(engine)) != books {
            return Err(format!("engine {engine} is held by {books:?}"));
        }
    }
    for &(index, account) in &told.after {
        let vm = &world.vms[index];
        let fits = match account.state {
            VmState::Running => world.engine_of(index).is_some(),
            VmState::Quarantined => vm.quarantined,
            state if world.engine_of(index).is_some() => {
                return Err(format!("VM {index} runs and is {state:?}"));
            }
            VmState::Ready => world.claims(index),
            VmState::Throttled => world.claims(index) && vm.profile().limit.is_some(),
            VmState::Idle => !world.claims(index),
        };
        if !fits {
            return Err(format!("VM {index} is {:?}: {vm:?}", account.state));
        }
    }
    Ok(())
}

/// No engine is idle while a VM may run: on one engine never; on several, only a VM that is owed something waits for its home.
pub fn no_waste(world: &World, told: &Told) -> Result<(), String> {
    if world.policy == Policy::Fixed || world.engines.iter().all(Option::is_some) {
        return Ok(());
    }
    for &(index, account) in &told.after {
        if !world.waits(index) {
            continue;
        }
        let vm = &world.vms[index];
        let home = world
            .scheduler
            .home(vm.guest.id)
            .map(|home| usize::from(home.0));
        let Some(home) = home else {
            return Err(format!("VM {index} has no home"));
        };
        if world.engines[home].is_none() {
            return Err(format!("VM {index} waits, and its home stands idle"));
        }
        let has_claim = match world.policy {
            Policy::Guaranteed => vm.profile().guarantee.get() > 0,
            policy => policy == Policy::Fair,
        };
        if !has_claim || account.lag < -i64::try_from(vm.stretch).unwrap_or(i64::MAX) {
            return Err(format!(
                "VM {index} is owed nothing and waits beside an idle engine"
            ));
        }
    }
    Ok(())
}

/// A VM is kept away only by a limit that it has used up.
pub fn no_throttling_without_cause(world: &World, told: &Told) -> Result<(), String> {
    for &(index, account) in &told.after {
        let vm = &world.vms[index];
        // What it ran under another limit counts too, and the world forgets it.
        if account.state == VmState::Throttled && vm.settled && !vm.above_limit.exceeds(0) {
            return Err(format!(
                "VM {index} is below its limit and is throttled: {vm:?}"
            ));
        }
    }
    Ok(())
}

/// In every window of length `T` a VM runs at most `limit * T` and one stretch.
pub fn limits(world: &World, _told: &Told) -> Result<(), String> {
    for (index, vm) in world.vms.iter().enumerate() {
        // Under `fixed` a stretch is a slot, and perhaps a unit at its end that fits into none.
        let slot = 16 * u64::from(vm.profile().guarantee.get());
        let slot = if world.was_fixed {
            slot + vm.guest.unit
        } else {
            0
        };
        let unit = world
            .engine_of(index)
            .and_then(|engine| world.engines[engine].as_ref()?.unit.as_ref());
        let so_far = unit.map_or(0, |unit| world.now - unit.start);
        let stretch = vm.stretch.max(vm.longest).max(so_far).max(slot);
        if vm.profile().limit.is_some() && vm.above_limit.exceeds(stretch) {
            return Err(format!(
                "VM {index} is {} ns above its limit, a stretch is {stretch}: {:?}",
                vm.above_limit.work(),
                vm.profile()
            ));
        }
    }
    Ok(())
}

/// A VM with a guarantee and work is served at its rate, but for what its own request and one of somebody else take.
/// For worlds of honest VMs only.
pub fn service(world: &World, _told: &Told) -> Result<(), String> {
    if world.policy != Policy::Guaranteed {
        return Ok(());
    }
    for (index, vm) in world.vms.iter().enumerate() {
        let share = vm.profile().guarantee.get();
        let allowed = 3 * world.request_of(index) + world.longest_request();
        if share > 0 && vm.profile().limit.is_none() && vm.below_guarantee.exceeds(allowed + 2) {
            return Err(format!(
                "VM {index} is {} ns of work behind, allowed are {allowed}",
                vm.below_guarantee.work()
            ));
        }
    }
    for (engine, below) in world.below_host_guarantee.iter().enumerate() {
        let allowed = 4 * world.longest_request();
        if below.exceeds(allowed + 2) {
            return Err(format!(
                "the client VMs of engine {engine} are {} ns of work behind, allowed are {allowed}",
                below.work()
            ));
        }
    }
    Ok(())
}

/// A busy VM is at most its request and its part of one of somebody else behind, and at most its request ahead.
/// For worlds of honest VMs only.
pub fn lag(world: &World, told: &Told) -> Result<(), String> {
    if !matches!(world.policy, Policy::Guaranteed | Policy::Fair) {
        return Ok(());
    }
    for &(index, account) in &told.after {
        let vm = &world.vms[index];
        let request = signed(world.request_of(index));
        let other = signed(world.longest_request());
        let part = i128::from(vm.profile().guarantee.get()) * i128::from(other) / 1_000_000;
        let part = if world.policy == Policy::Fair {
            other
        } else {
            i64::try_from(part).unwrap_or(other)
        };
        let inside = (-request - ROUNDING)..=(request + part + ROUNDING);
        if !inside.contains(&account.lag) && vm.profile().limit.is_none() {
            return Err(format!(
                "VM {index}: lag {} is outside {inside:?}",
                account.lag
            ));
        }
    }
    Ok(())
}

/// Virtual time never goes back: nobody owes more, or is owed less, by what others do.
pub fn monotone(world: &World, told: &Told) -> Result<(), String> {
    if matches!(told.event, Event::SetPolicy { .. }) {
        return Ok(());
    }
    for (before, after) in pairs(told) {
        let index = after.0;
        let named = subject(told.event) == Some(world.vms[index].guest.id);
        let same = before.state == after.1.state && before.state != VmState::Running;
        if !named && same && after.1.lag < before.lag - ROUNDING {
            return Err(format!(
                "VM {index} had the lag {} and has {}",
                before.lag, after.1.lag
            ));
        }
    }
    Ok(())
}

/// What a VM owes it owes, whatever is said about it: only time and work pay, and time not faster than its share.
pub fn debts(world: &World, told: &Told) -> Result<(), String> {
    let works = matches!(told.event, Event::UnitDone { .. } | Event::AddVm { .. });
    let granted = told
        .actions
        .iter()
        .any(|action| matches!(action, Action::Grant { .. }));
    if works || granted || !matches!(world.policy, Policy::Guaranteed | Policy::Fair) {
        return Ok(());
    }
    for (before, (index, after)) in pairs(told) {
        let share = match world.vms[index].profile().guarantee.get() {
            0 => 10_000,
            parts => parts,
        };
        let paid = if world.policy == Policy::Fair {
            told.elapsed
        } else {
            told.elapsed.saturating_mul(u64::from(share)) / 1_000_000
        };
        let least = before
            .lag
            .saturating_add(signed(paid))
            .saturating_add(ROUNDING);
        if before.lag < 0 && after.lag > least {
            return Err(format!(
                "VM {index}, share {share}, owed {}, owes {} after {} ns",
                -before.lag, -after.lag, told.elapsed
            ));
        }
    }
    Ok(())
}

/// A unit that outlives its VM's hang timeout costs that VM its context, at once, and three of them its freedom.
pub fn hangs(world: &World, told: &Told) -> Result<(), String> {
    for (engine, hold) in world.engines.iter().enumerate() {
        if let Some(unit) = hold.as_ref().and_then(|hold| hold.unit.as_ref())
            && !unit.reset
            && world.now > unit.start + unit.patience
        {
            return Err(format!("engine {engine} hangs since {}", unit.start));
        }
    }
    for (index, vm) in world.vms.iter().enumerate().filter(|(_, vm)| vm.here) {
        let guilty = world.config.quarantine.is_some_and(|rule| {
            let many = usize::from(rule.resets);
            let within = |few: &[u64]| few[many - 1] - few[0] <= rule.within.0;
            vm.hung.windows(many).any(within)
        });
        if guilty != vm.quarantined {
            let resets = &vm.hung;
            return Err(format!(
                "VM {index}, reset at {resets:?}: quarantined {}",
                vm.quarantined
            ));
        }
    }
    let innocent = told.actions.iter().any(|action| match action {
        Action::Quarantine { vm } => {
            !told.actions.iter().any(
                |cause| matches!(cause, Action::ResetEngine { vm: guilty, .. } if guilty == vm),
            ) && subject(told.event) != Some(*vm)
        }
        _ => false,
    });
    if innocent {
        return Err("quarantined for what somebody else did".to_owned());
    }
    Ok(())
}

/// What is refused changes nothing, and what is promised on an engine is never more than the engine.
pub fn admission(world: &World, told: &Told) -> Result<(), String> {
    let kept = world.config.reserve.get() + world.config.host_guarantee.get();
    let mut promised = vec![kept; world.engines.len()];
    for (_, vm) in world
        .vms
        .iter()
        .enumerate()
        .filter(|(_, vm)| vm.here || vm.leaving)
    {
        if let Some(home) = world.scheduler.home(vm.guest.id) {
            promised[usize::from(home.0)] += vm.profile().guarantee.get();
        }
    }
    let refused_profile = told.refused.is_some() && matches!(told.event, Event::SetProfile { .. });
    if promised.iter().any(|&sum| sum > 1_000_000) && !refused_profile {
        return Err(format!("promised: {promised:?}"));
    }
    if let Some(SchedulerError::GuaranteeDoesNotFit {
        asked,
        free,
        excess,
        ..
    }) = told.refused
        && (asked.get() != free.get() + excess.get() || excess.get() == 0)
    {
        return Err(format!("{:?} makes no sense", told.refused));
    }
    let acted = told
        .actions
        .iter()
        .any(|action| !matches!(action, Action::WakeAt { .. }));
    if told.refused.is_some() && told.elapsed == 0 && (acted || told.before != told.after) {
        return Err("refused, and changed something".to_owned());
    }
    Ok(())
}

fn name(engine: usize) -> EngineId {
    EngineId(u16::try_from(engine).expect("few engines"))
}

fn signed(work: u64) -> i64 {
    i64::try_from(work).unwrap_or(i64::MAX)
}

/// The VM that an event is about.
fn subject(event: Event) -> Option<rondo_scheduler::VmId> {
    match event {
        Event::AddVm { vm, .. }
        | Event::RemoveVm { vm }
        | Event::SetProfile { vm, .. }
        | Event::Pardon { vm }
        | Event::UnitBound { vm, .. }
        | Event::Ready { vm }
        | Event::UnitDone { vm, .. } => Some(vm),
        Event::SetPolicy { .. } | Event::Timer => None,
    }
}

/// The accounts of those who were here before the event and are after it.
fn pairs(told: &Told) -> impl Iterator<Item = (VmAccount, (usize, VmAccount))> + '_ {
    told.after.iter().filter_map(|&(index, after)| {
        let before = told.before.iter().find(|(known, _)| *known == index)?;
        Some((before.1, (index, after)))
    })
}
