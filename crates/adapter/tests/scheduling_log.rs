// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduling log: every change of a context's state, running time that is the VM's account, and a clean swap.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use rondo_adapter::ddi::*;
use rondo_adapter::gpu::SoftwareGpuConfig;
use rondo_adapter::handle::*;
use rondo_adapter::scheduling_log::{ContextState, LogEntry, LogReader, SchedulingLog};
use rondo_adapter::status::NtStatus::*;
use rondo_scheduler::{Mode, Nanos, SchedulerConfig};
use support::*;

const SMALL: rondo_renderer::geometry::Size = size(8, 8);

/// A log that a VM writes to from now on, and its reader.
fn logged(vm: &TestVm) -> (Arc<SchedulingLog>, LogReader) {
    let log = Arc::new(SchedulingLog::new(SchedulingLog::DEFAULT_ENTRIES));
    vm.ddi
        .set_scheduling_log_buffer(vm.worker, Some(Arc::clone(&log)))
        .unwrap();
    let reader = LogReader::new(Arc::clone(&log));
    (log, reader)
}

fn all(reader: &mut LogReader) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    assert_eq!(reader.read(usize::MAX, &mut entries), 0, "entries lost");
    entries
}

/// The running time of each context, from a log that ends with nothing running.
fn running_time(entries: &[LogEntry]) -> HashMap<ContextHandle, u64> {
    let mut running: Option<(ContextHandle, Nanos)> = None;
    let mut times = HashMap::new();
    for entry in entries {
        match (running, entry.state) {
            (Some((context, since)), _) if context == entry.context => {
                *times.entry(context).or_default() += entry.timestamp.0 - since.0;
                running = None;
            }
            (Some(_), ContextState::Running) => panic!("two contexts run: {entry:?}"),
            (None, ContextState::Running) => running = Some((entry.context, entry.timestamp)),
            _ => {}
        }
    }
    assert_eq!(running, None);
    times
}

/// A second context of a VM, with a queue.
fn another(vm: &TestVm) -> (ContextHandle, HwQueueHandle) {
    let device = vm.device;
    let context = vm.ddi.create_context(&CreateContext { device, node: 0 });
    let context = context.unwrap();
    vm.ddi
        .set_context_scheduling_properties(&properties(context))
        .unwrap();
    (context, vm.ddi.create_hw_queue(context).unwrap())
}

#[test]
fn given_two_busy_vms_then_the_running_time_in_each_log_is_the_vms_account_to_the_nanosecond() {
    running_time_is_the_account(1);
}

#[test]
fn given_several_engines_and_a_client_vm_then_the_running_time_in_each_log_is_the_vms_account_too()
{
    running_time_is_the_account(2);
}

/// Two server VMs and a client VM.
fn running_time_is_the_account(engines: u16) {
    let ddi = start(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            engines,
            ..SchedulerConfig::default()
        },
        ..SoftwareGpuConfig::default()
    });
    let client = VirtualGpuProfile {
        mode: Mode::Client,
        ..share(0)
    };
    let profiles = [share(100_000), share(200_000), client];
    let vms: Vec<_> = (1..)
        .zip(&profiles)
        .map(|(number, profile)| TestVm::with_profile(&ddi, number, profile))
        .collect();
    let mut readers: Vec<_> = vms.iter().map(|vm| logged(vm).1).collect();
    let others: Vec<_> = vms.iter().map(another).collect();
    let images: Vec<_> = vms.iter().map(|vm| vm.backed_image(size(64, 64))).collect();
    for turn in 0..600_usize {
        for (index, vm) in vms.iter().enumerate() {
            let queue = if turn.is_multiple_of(3) {
                others[index].1
            } else {
                vm.queue
            };
            vm.submit_to(queue, TestVm::transfer(images[index], size(64, 64)))
                .unwrap();
        }
    }
    for vm in &vms {
        vm.told.wait_for(600);
    }
    for (index, vm) in vms.iter().enumerate() {
        // Suspensions are told by the worker between its holds: the engine has been given back, and that is logged.
        ddi.suspend_context(vm.context, 1).unwrap();
        vm.told.wait_for_suspensions(1);
        let entries = all(&mut readers[index]);
        let times = running_time(&entries);
        assert_eq!(times.values().sum::<u64>(), vm.statistics().gpu.0);
        assert!(times.contains_key(&vm.context) && times.contains_key(&others[index].0));
        assert!(entries.iter().all(|entry| entry.node < engines));
        for context in [vm.context, others[index].0] {
            let states: Vec<_> = (entries.iter())
                .filter(|entry| entry.context == context)
                .map(|entry| entry.state)
                .collect();
            assert_eq!(states[0], ContextState::Ready);
            assert_eq!(states.last(), Some(&ContextState::Idle));
            let repeats = states.windows(2).find(|pair| pair[0] == pair[1]);
            assert_eq!(repeats, None, "an entry without a change");
        }
    }
}

#[test]
fn given_a_suspended_context_then_its_work_is_ready_until_it_runs_or_goes() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    ddi.suspend_context(vm.context, 1).unwrap();
    vm.told.wait_for_suspensions(1);
    let (_, mut reader) = logged(&vm);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    let states = |reader: &mut LogReader| -> Vec<_> {
        (all(reader).iter())
            .map(|entry| (entry.context, entry.state))
            .collect()
    };
    assert_eq!(states(&mut reader), [(vm.context, ContextState::Ready)]);
    ddi.destroy_hw_queue(vm.queue).unwrap();
    assert_eq!(states(&mut reader), [(vm.context, ContextState::Idle)]);
}

#[test]
fn given_a_swap_then_the_old_log_gets_nothing_more_and_the_new_one_begins_with_the_states() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    let (first, mut old) = logged(&vm);
    ddi.suspend_context(vm.context, 1).unwrap();
    vm.told.wait_for_suspensions(1);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    assert_eq!(all(&mut old).len(), 1);
    let (second, mut new) = logged(&vm);
    assert_eq!(all(&mut new)[0].state, ContextState::Ready);
    ddi.resume_context(vm.context).unwrap();
    vm.told.wait_for(1);
    assert_eq!(all(&mut old), []);
    // A log in use is refused to others; one that was given back is not.
    let other = TestVm::new(&ddi, 2);
    let give = |log: &Arc<SchedulingLog>| {
        ddi.set_scheduling_log_buffer(other.worker, Some(Arc::clone(log)))
    };
    assert_eq!(give(&second), Err(InvalidParameter));
    assert_eq!(give(&first), Ok(()));
    ddi.set_scheduling_log_buffer(vm.worker, None).unwrap();
    assert_eq!(
        ddi.set_scheduling_log_buffer(vm.process, None),
        Err(ObjectTypeMismatch)
    );
}

#[test]
fn given_a_ring_that_nobody_reads_then_the_vm_goes_on_and_the_loss_is_counted() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    let log = Arc::new(SchedulingLog::new(NonZeroU32::new(4).unwrap()));
    ddi.set_scheduling_log_buffer(vm.worker, Some(Arc::clone(&log)))
        .unwrap();
    for turn in 1..=20 {
        vm.submit(TestVm::transfer(image, SMALL)).unwrap();
        vm.told.wait_for(turn);
    }
    let (mut reader, mut entries) = (LogReader::new(log), Vec::new());
    assert!(reader.read(usize::MAX, &mut entries) > 0);
    assert_eq!(entries.len(), 3);
}

#[test]
fn the_contexts_of_a_vm_are_told_with_their_processes() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let owner = ContextOwner {
        context: vm.context,
        process: vm.process,
        process_name: Some("display".to_owned()),
    };
    assert_eq!(ddi.query_contexts(vm.worker), Ok(vec![owner]));
}
