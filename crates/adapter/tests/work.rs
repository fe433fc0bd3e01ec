// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Work on real threads: order, completion, suspension, teardown, shares.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::{MAX_PENDING_COMMANDS, SoftwareGpuConfig};
use rondo_adapter::handle::*;
use rondo_adapter::status::NtStatus::*;
use rondo_scheduler::Nanos;
use support::*;
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace};

const SMALL: rondo_renderer::geometry::Size = size(8, 8);

fn fences(completions: &[Completion]) -> Vec<u64> {
    completions
        .iter()
        .map(|done| done.progress_fence_id)
        .collect()
}

#[test]
fn given_a_transfer_and_a_present_the_guests_pixels_reach_the_screen() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let pixels: Vec<u8> = (0..=255).collect();
    vm.memory
        .memory()
        .write_slice(&pixels, GuestAddress(0))
        .unwrap();
    let image = vm.backed_image(SMALL);
    vm.show(0, image, SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    vm.submit(TestVm::present(image, SMALL)).unwrap();
    let told = vm.told.wait_for(2);
    assert_eq!(fences(&told), [1, 2]);
    assert!(told.iter().all(|done| done.status == OK));
    assert_eq!(vm.screens[0].0.lock().unwrap().pixels, pixels);
    assert_eq!(vm.screens[1].0.lock().unwrap().presents, 0);
    let statistics = vm.statistics();
    assert_eq!((statistics.commands, statistics.frames), (2, 1));
    assert!(statistics.first_frame.is_some());
}

#[test]
fn given_many_commands_each_completes_once_and_a_queue_in_its_order() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    let other = ddi.create_hw_queue(vm.context).unwrap();
    for turn in 0..500 {
        let queue = if turn % 3 == 0 { other } else { vm.queue };
        vm.submit_to(queue, TestVm::transfer(image, SMALL)).unwrap();
    }
    let told = vm.told.wait_for(500);
    assert_eq!(told.len(), 500);
    for queue in [vm.queue, other] {
        let of_queue: Vec<u64> = (told.iter().filter(|done| done.queue == queue))
            .map(|done| done.progress_fence_id)
            .collect();
        assert!(of_queue.is_sorted_by(|one, next| one < next), "{queue:?}");
    }
}

#[test]
fn given_a_progress_fence_that_does_not_grow_the_command_is_refused() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    let submit = |progress_fence_id| {
        ddi.submit_command_to_hw_queue(&SubmitCommand {
            queue: vm.queue,
            progress_fence_id,
            command: TestVm::transfer(image, SMALL),
        })
    };
    assert_eq!(submit(5), OK);
    assert_eq!(submit(5), refused(InvalidParameter));
    assert_eq!(submit(4), refused(InvalidParameter));
    assert_eq!(submit(6), OK);
    assert_eq!(fences(&vm.told.wait_for(2)), [5, 6]);
}

#[test]
fn given_work_that_cannot_be_done_it_completes_with_its_error_and_the_next_runs() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let unbacked = vm.image(SMALL);
    let backed = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(unbacked, SMALL)).unwrap();
    vm.submit(TestVm::transfer(backed, SMALL)).unwrap();
    let told = vm.told.wait_for(2);
    assert_eq!(told[0].status, refused(InvalidParameter));
    assert_eq!(told[1].status, OK);
}

#[test]
fn given_a_suspended_context_its_work_waits_until_it_is_resumed() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    assert_eq!(ddi.suspend_context(vm.context, 1), Ok(Suspension::Pending));
    assert_eq!(vm.told.wait_for_suspensions(1), [(vm.context, 1)]);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    // Another context of the VM goes on.
    let args = CreateContext {
        device: vm.device,
        node: 0,
    };
    let context = ddi.create_context(&args).unwrap();
    ddi.set_context_scheduling_properties(&properties(context))
        .unwrap();
    let queue = ddi.create_hw_queue(context).unwrap();
    vm.submit_to(queue, TestVm::transfer(image, SMALL)).unwrap();
    assert_eq!(vm.told.wait_for(1)[0].queue, queue);
    assert_eq!(ddi.resume_context(vm.context), OK);
    assert_eq!(vm.told.wait_for(2)[1].queue, vm.queue);
}

#[test]
fn given_suspensions_in_a_row_each_pending_one_is_told_in_order() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    assert_eq!(ddi.suspend_context(vm.context, 7), Ok(Suspension::Pending));
    assert_eq!(ddi.suspend_context(vm.context, 8), Ok(Suspension::Already));
    assert_eq!(
        ddi.suspend_context(vm.context, 8),
        refused(InvalidParameter)
    );
    assert_eq!(ddi.resume_context(vm.context), OK);
    assert_eq!(ddi.resume_context(vm.context), OK);
    assert_eq!(ddi.suspend_context(vm.context, 9), Ok(Suspension::Pending));
    assert_eq!(
        vm.told.wait_for_suspensions(2),
        [(vm.context, 7), (vm.context, 9)]
    );
}

#[test]
fn given_a_running_unit_a_suspension_is_told_after_it() {
    let (ddi, gate) = gated();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    gate.wait_for_unit();
    assert_eq!(ddi.suspend_context(vm.context, 1), Ok(Suspension::Pending));
    gate.open();
    vm.told.wait_for_suspensions(1);
    // Nothing more runs: the second command is there until the context is resumed.
    assert_eq!(vm.statistics().commands, 1);
    ddi.resume_context(vm.context).unwrap();
    assert_eq!(fences(&vm.told.wait_for(2)), [1, 2]);
}

#[test]
fn given_too_many_commands_the_next_is_refused_until_some_complete() {
    let (ddi, gate) = gated();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    for _ in 0..MAX_PENDING_COMMANDS {
        vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    }
    let over = vm.submit(TestVm::transfer(image, SMALL));
    assert_eq!(over, refused(InsufficientResources));
    gate.open();
    vm.told.wait_for(MAX_PENDING_COMMANDS);
    assert!(vm.submit(TestVm::transfer(image, SMALL)).is_ok());
    vm.told.wait_for(MAX_PENDING_COMMANDS + 1);
}

/// Resubmits for each completion, so that its VM always has work.
#[derive(Debug)]
struct Refill {
    ddi: std::sync::Weak<Adapter>,
    queue: HwQueueHandle,
    command: GpuCommand,
    fence: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Refill {
    fn submit(&self) {
        let Some(ddi) = self.ddi.upgrade() else {
            return;
        };
        // Refused once the adapter stops.
        let _ = ddi.submit_command_to_hw_queue(&SubmitCommand {
            queue: self.queue,
            progress_fence_id: self.fence.fetch_add(1, Ordering::SeqCst) + 1,
            command: self.command,
        });
    }
}

impl AdapterCallbacks for Refill {
    fn notify_interrupt(&self, completions: &[Completion]) {
        if !self.stop.load(Ordering::SeqCst) {
            for _ in completions {
                self.submit();
            }
        }
    }

    fn indicate_child_status(&self) {}
}

#[test]
fn given_two_vms_with_work_the_charged_time_follows_their_guarantees() {
    let clock = Arc::new(ManualClock::default());
    let unit = Nanos::from_micros(100);
    let gate = Gate::closed();
    let ddi = start(SoftwareGpuConfig {
        clock: clock.clone(),
        renderer: Arc::new(TimedRenderers {
            clock: Arc::clone(&clock),
            unit,
            gate: gate.clone(),
        }),
        ..SoftwareGpuConfig::default()
    });
    let vms = [
        TestVm::with_profile(&ddi, 1, &share(750_000)),
        TestVm::with_profile(&ddi, 2, &share(250_000)),
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let refills = vms.each_ref().map(|vm| {
        let image = vm.backed_image(SMALL);
        let refill = Arc::new(Refill {
            ddi: Arc::downgrade(&ddi),
            queue: vm.queue,
            command: TestVm::transfer(image, SMALL),
            fence: AtomicU64::new(0),
            stop: Arc::clone(&stop),
        });
        ddi.set_callbacks(vm.worker, Arc::clone(&refill) as Arc<dyn AdapterCallbacks>)
            .unwrap();
        refill
    });
    // Both have work before either runs: neither is ahead because it was first.
    for refill in &refills {
        for _ in 0..200 {
            refill.submit();
        }
    }
    gate.let_pass(8_000);
    gate.wait_until_used_up();
    // A unit stands before the gate: nothing moves while the accounts are read.
    let spent = vms.each_ref().map(|vm| vm.statistics().gpu.0);
    let total = 8_000 * unit.0;
    assert_eq!(spent[0] + spent[1], total);
    // A VM may be ahead by a slice and a unit.
    let slack = Nanos::from_millis(2).0 + unit.0;
    assert!(
        spent[0].abs_diff(total / 4 * 3) <= slack,
        "{spent:?} of {total}"
    );
    stop.store(true, Ordering::SeqCst);
    gate.open();
    ddi.stop();
}

#[test]
fn given_work_that_ends_all_time_that_passed_is_charged_once() {
    let clock = Arc::new(ManualClock::default());
    let unit = Nanos::from_micros(10);
    let ddi = start(SoftwareGpuConfig {
        clock: clock.clone(),
        renderer: Arc::new(TimedRenderers {
            clock: Arc::clone(&clock),
            unit,
            gate: Gate::default(),
        }),
        ..SoftwareGpuConfig::default()
    });
    let vms = [TestVm::new(&ddi, 1), TestVm::new(&ddi, 2)];
    for vm in &vms {
        let image = vm.backed_image(SMALL);
        for _ in 0..300 {
            vm.submit(TestVm::transfer(image, SMALL)).unwrap();
        }
    }
    let mut charged = 0;
    for vm in &vms {
        vm.told.wait_for(300);
        let statistics = vm.statistics();
        assert_eq!(statistics.units, 300);
        assert_eq!(statistics.longest_unit, unit);
        charged += statistics.gpu.0;
    }
    assert_eq!(charged, 600 * unit.0);
    let now = rondo_adapter::clock::Clock::now(&*clock);
    assert_eq!(Nanos(charged), now);
}

#[test]
fn given_a_profile_that_changes_under_load_no_command_is_lost() {
    let ddi = adapter();
    let vms = [TestVm::new(&ddi, 1), TestVm::new(&ddi, 2)];
    for vm in &vms {
        let image = vm.backed_image(size(64, 64));
        for _ in 0..300 {
            vm.submit(TestVm::transfer(image, size(64, 64))).unwrap();
        }
    }
    for step in 0..50 {
        let (one, two) = (step * 10_000, 500_000 - step * 10_000);
        // In this order they fit at every moment.
        ddi.set_virtual_gpu_profile(vms[1].worker, &share(two))
            .unwrap();
        ddi.set_virtual_gpu_profile(vms[0].worker, &share(one))
            .unwrap();
    }
    for vm in &vms {
        assert_eq!(
            fences(&vm.told.wait_for(300)),
            (1..=300).collect::<Vec<_>>()
        );
    }
}

#[test]
fn given_a_vm_with_a_limit_its_work_still_ends() {
    let ddi = adapter();
    let limited = VirtualGpuProfile {
        limit: rondo_scheduler::Ppm::new(500_000),
        ..share(100_000)
    };
    let vm = TestVm::with_profile(&ddi, 1, &limited);
    let image = vm.backed_image(size(128, 128));
    // More than a slice of work: the scheduler's timer has to give the engine back.
    for _ in 0..1000 {
        vm.submit(TestVm::transfer(image, size(128, 128))).unwrap();
    }
    assert_eq!(vm.told.wait_for(1000).len(), 1000);
}

/// A small generator, so that a failure can be repeated from the seed that it names.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Works on one queue and around it; returns the fences that were accepted.
fn churn(vm: &TestVm, queue: HwQueueHandle, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let image = vm.backed_image(SMALL);
    let mut accepted = Vec::new();
    for step in 0..400 {
        match random.below(10) {
            0 => {
                let _ = vm.ddi.resume_context(vm.context);
            }
            1 => {
                let fence = vm.fence.fetch_add(1, Ordering::SeqCst) + 1;
                let _ = vm.ddi.suspend_context(vm.context, fence);
            }
            2 => {
                let own = vm.ddi.create_hw_queue(vm.context).unwrap();
                for _ in 0..3 {
                    vm.submit_to(own, TestVm::transfer(image, SMALL)).unwrap();
                }
                assert_eq!(vm.ddi.destroy_hw_queue(own), OK, "seed {seed} step {step}");
            }
            3 => {
                let other = vm.image(SMALL);
                let fence = vm.submit_to(queue, TestVm::transfer(other, SMALL));
                accepted.push(fence.unwrap());
                vm.ddi.destroy_allocation(vm.process, other).unwrap();
            }
            _ => {
                let fence = vm.submit_to(queue, TestVm::transfer(image, SMALL));
                accepted.push(fence.unwrap());
            }
        }
    }
    accepted
}

#[test]
fn given_random_submission_suspension_and_destruction_no_completion_is_lost_or_doubled() {
    for seed in [1, 2, 3] {
        let ddi = adapter();
        let vms = [TestVm::new(&ddi, 1), TestVm::new(&ddi, 2)];
        std::thread::scope(|scope| {
            for (number, vm) in vms.iter().enumerate() {
                let seed = seed * 1000 + number as u64 * 100;
                scope.spawn(move || {
                    let queues = [vm.queue, vm.ddi.create_hw_queue(vm.context).unwrap()];
                    let idle = vm.statistics().memory;
                    let mut accepted = std::thread::scope(|scope| {
                        let threads = queues.map(|queue| {
                            scope.spawn(move || churn(vm, queue, seed ^ (queue.0 << 8)))
                        });
                        threads.map(|thread| thread.join().unwrap())
                    });
                    vm.ddi.resume_context(vm.context).unwrap();
                    // A last command on each queue: when it is complete, so are all before it.
                    let image = vm.backed_image(SMALL);
                    for (queue, accepted) in queues.iter().zip(&mut accepted) {
                        let transfer = TestVm::transfer(image, SMALL);
                        let last = vm.submit_to(*queue, transfer).unwrap();
                        accepted.push(last);
                        let is_last = |done: &Completion| done.progress_fence_id == last;
                        while !vm.told.completions().iter().any(is_last) {
                            std::thread::yield_now();
                        }
                    }
                    let told = vm.told.completions();
                    for (&queue, accepted) in queues.iter().zip(&accepted) {
                        let of_queue: Vec<u64> = (told.iter().filter(|done| done.queue == queue))
                            .map(|done| done.progress_fence_id)
                            .collect();
                        assert_eq!(&of_queue, accepted, "seed {seed}");
                    }
                    let commands = told.iter().filter(|done| queues.contains(&done.queue));
                    let commands = commands.count() as u64;
                    assert!(vm.statistics().commands >= commands, "seed {seed}");
                    // What is left is the three images with their backings: no command is charged any more.
                    vm.ddi.destroy_process(vm.process).unwrap();
                    let left = vm.statistics().memory;
                    assert!(left < idle, "seed {seed}: {left} of {idle}");
                    assert_eq!(left, 0, "seed {seed}");
                });
            }
        });
    }
}
