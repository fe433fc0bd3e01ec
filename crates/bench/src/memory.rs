// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM and a context take: bytes alive on the heap, divided by how many there are.

use rondo_scheduler::inside::{
    BandSettings, CONTEXT_BYTES, ContextId, ContextProperties, ContextScheduler, InsideError,
    PROCESS_BYTES, ProcessId, SHARE_BYTES,
};
use rondo_scheduler::{
    Actions, Event, Nanos, Policy, Ppm, Scheduler, SchedulerConfig, SchedulerError, VmId, VmProfile,
};

use crate::ALLOCATOR;
use crate::report::{Goal, Section, Table, nanos as whole};

/// How many VMs there are.
pub const VMS: u32 = 10_000;
/// How many contexts each of them has, all of one process.
pub const CONTEXTS: u64 = 4;

/// Measures and tells.
///
/// # Errors
/// What the scheduler between VMs or the one inside a VM refuses, in words.
pub fn tell(section: &mut Section) -> Result<(), String> {
    let outer = between_vms().map_err(|error| error.to_string())?;
    let inner = inside_vms().map_err(|error| error.to_string())?;
    let all = outer + inner.scheduler + inner.process + inner.contexts;
    section.say(format!(
        "Memory: bytes that are alive on the heap (a counting allocator) after {VMS} VMs joined and became ready under `guaranteed`, each with a `ContextScheduler` of its own with one process \
         and {CONTEXTS} contexts, all ready; divided by {VMS}. Free room that tables keep is in it; what the allocator itself adds is not."
    ));
    let mut table = Table::new(["of a VM", "bytes", "that is"]);
    table.row([
        "between VMs".to_owned(),
        whole(outer),
        "the tables and queues of `Scheduler`".to_owned(),
    ]);
    table.row([
        "inside, without processes".to_owned(),
        whole(inner.scheduler),
        format!(
            "`ContextScheduler` itself, of {} bytes, and what it has on the heap",
            size_of::<ContextScheduler>()
        ),
    ]);
    table.row([
        "a process".to_owned(),
        whole(inner.process),
        format!("its entry ({PROCESS_BYTES}); tables begin with room for several"),
    ]);
    table.row([
        format!("{CONTEXTS} contexts"),
        whole(inner.contexts),
        format!(
            "{CONTEXTS} entries ({CONTEXT_BYTES} each), the process in its band ({SHARE_BYTES})"
        ),
    ]);
    table.row(["all of it".to_owned(), whole(all), String::new()]);
    section.show(&table);
    let (bytes, of_vm, of_context) = ("bytes", 512.0, 256.0);
    section.judge(
        "Memory of a VM between VMs",
        outer,
        bytes,
        Goal::AtMost(of_vm),
    );
    section.judge(
        "Memory of a context",
        inner.contexts / CONTEXTS as f64,
        bytes,
        Goal::AtMost(of_context),
    );
    section.judge(
        format!("Memory of a VM with {CONTEXTS} contexts, all of it"),
        all,
        bytes,
        Goal::AtMost(of_vm + CONTEXTS as f64 * of_context),
    );
    Ok(())
}

fn of_each(bytes: i64) -> f64 {
    bytes as f64 / f64::from(VMS)
}

/// Bytes of a VM in the scheduler between VMs.
fn between_vms() -> Result<f64, SchedulerError> {
    let mut actions = Actions::new();
    let guarantee = Ppm::new(Ppm::WHOLE.get() / VMS).unwrap_or_default();
    let profile = VmProfile {
        guarantee,
        ..VmProfile::default()
    };
    let (scheduler, counted) = ALLOCATOR.count(|| {
        let mut scheduler = Scheduler::new(SchedulerConfig {
            policy: Policy::Guaranteed,
            ..SchedulerConfig::default()
        })?;
        for vm in (0..VMS).map(VmId) {
            for event in [Event::AddVm { vm, profile }, Event::Ready { vm }] {
                actions.clear();
                scheduler.on(Nanos(1), event, &mut actions)?;
            }
        }
        Ok(scheduler)
    });
    scheduler.map(|_: Scheduler| of_each(counted.bytes))
}

/// Bytes of a VM in the scheduler inside it.
#[derive(Clone, Copy, Debug)]
struct Inside {
    scheduler: f64,
    process: f64,
    contexts: f64,
}

fn inside_vms() -> Result<Inside, InsideError> {
    let process = ProcessId(1);
    let (mut vms, scheduler) = ALLOCATOR.count(|| {
        let new = |_| ContextScheduler::new(BandSettings::default());
        // Exactly as many as there are: the caller's own table is not what is measured.
        let vms: Box<[ContextScheduler]> = (0..VMS).map(new).collect();
        vms
    });
    let (added, with_process) =
        ALLOCATOR.count(|| vms.iter_mut().try_for_each(|vm| vm.add_process(process)));
    added?;
    let (added, with_contexts) = ALLOCATOR.count(|| {
        vms.iter_mut().try_for_each(|vm| {
            (0..CONTEXTS).map(ContextId).try_for_each(|context| {
                vm.add_context(process, context, ContextProperties::default())?;
                vm.ready(context)
            })
        })
    });
    added?;
    Ok(Inside {
        scheduler: of_each(scheduler.bytes),
        process: of_each(with_process.bytes),
        contexts: of_each(with_contexts.bytes),
    })
}
