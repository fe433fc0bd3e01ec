// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM takes of the host's memory, in bytes that are alive on the heap. Alone in its file: it counts what the whole process
//! allocates.

mod counting;

use rondo_scheduler::inside::{
    BandSettings, ContextId, ContextProperties, ContextScheduler, ProcessId,
};
use rondo_scheduler::{
    Actions, Event, Nanos, Policy, Ppm, Scheduler, SchedulerConfig, VmId, VmProfile,
};

const VMS: u32 = 10_000;
const CONTEXTS: u32 = 4;

/// What `make` keeps alive, divided by the number of VMs, rounded up. What it made is dropped afterwards.
fn of_each<T>(make: impl FnOnce() -> T) -> usize {
    let before = counting::counts()[1];
    let made = make();
    let bytes = counting::counts()[1] - before;
    drop(made);
    bytes.div_ceil(VMS as usize)
}

/// Ten thousand VMs between which an engine is shared, all with work.
fn between_vms(policy: Policy) -> Scheduler {
    let config = SchedulerConfig {
        policy,
        ..SchedulerConfig::default()
    };
    let profile = VmProfile {
        guarantee: Ppm::new(Ppm::WHOLE.get() / VMS).unwrap(),
        ..VmProfile::default()
    };
    let mut scheduler = Scheduler::new(config).unwrap();
    let mut actions = Actions::new();
    for vm in (0..VMS).map(VmId) {
        for event in [Event::AddVm { vm, profile }, Event::Ready { vm }] {
            scheduler.on(Nanos(1), event, &mut actions).unwrap();
            actions.clear();
        }
    }
    scheduler
}

/// The schedulers inside those VMs: one process each, with so many contexts, all with work.
fn inside_vms(contexts: u32) -> Box<[ContextScheduler]> {
    let inside = |_| {
        let mut inside = ContextScheduler::new(BandSettings::default());
        inside.add_process(ProcessId(1)).unwrap();
        for context in (0..u64::from(contexts)).map(ContextId) {
            inside
                .add_context(ProcessId(1), context, ContextProperties::default())
                .unwrap();
            inside.ready(context).unwrap();
        }
        inside
    };
    // Exactly as many as there are: the caller's own table does not count.
    (0..VMS).map(inside).collect()
}

#[test]
fn given_ten_thousand_vms_of_four_contexts_then_none_takes_more_memory_than_is_promised() {
    let policies = [
        (Policy::Guaranteed, 512),
        // One queue more: of those who sleep in debt.
        (Policy::Fair, 544),
        (Policy::BestEffort, 512),
        (Policy::Fixed, 512),
    ];
    let outer = policies.map(|(policy, most)| (policy, of_each(|| between_vms(policy)), most));
    let empty = of_each(|| inside_vms(0));
    let inner = of_each(|| inside_vms(CONTEXTS));
    let contexts = inner - empty;
    let numbers = format!(
        "bytes of a VM: between VMs {outer:?}, inside {empty}, {CONTEXTS} contexts {contexts}"
    );
    println!("{numbers}");
    for (policy, bytes, most) in outer {
        assert!(bytes <= most, "{policy:?}: {numbers}");
    }
    assert!(contexts <= 256 * CONTEXTS as usize, "{numbers}");
    let [(_, guaranteed, _), ..] = outer;
    assert!(guaranteed + inner <= 1_750, "{numbers}");
}
