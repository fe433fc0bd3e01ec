// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the calls about scheduling do to the work of a VM: the order of its contexts and processes. Units take 100 us of a
//! clock that only they move, so that the order is exact.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::SoftwareGpuConfig;
use rondo_adapter::handle::*;
use rondo_renderer::format::PixelFormat;
use rondo_scheduler::Nanos;
use support::*;

const SMALL: rondo_renderer::geometry::Size = size(8, 8);

/// A unit, in units of 100 ns.
const UNIT: u64 = 1_000;

fn timed() -> (Arc<Adapter>, Gate) {
    let clock = Arc::new(ManualClock::default());
    let gate = Gate::closed();
    let adapter = start(SoftwareGpuConfig {
        clock: clock.clone(),
        renderer: Arc::new(TimedRenderers {
            clock,
            unit: Nanos(UNIT * 100),
            gate: gate.clone(),
        }),
        ..SoftwareGpuConfig::default()
    });
    (adapter, gate)
}

/// No grace for anybody, and this quantum for processes.
fn bands(process_quantum: u64) -> PriorityBands {
    PriorityBands {
        grace_period: [0; 4],
        process_quantum: [process_quantum; 4],
        process_grace_period: [0; 4],
        ..PriorityBands::default()
    }
}

/// A context with a queue, and an image that it may read.
#[derive(Clone, Copy)]
struct Client {
    context: ContextHandle,
    queue: HwQueueHandle,
    image: AllocationHandle,
}

impl Client {
    /// In the VM's process, scheduled like this but for its name.
    fn new(vm: &TestVm, scheduling: ContextSchedulingProperties) -> Self {
        Self::with_image(vm, vm.device, vm.image(SMALL), scheduling)
    }

    /// In a process of its own.
    fn in_new_process(vm: &TestVm, scheduling: ContextSchedulingProperties) -> Self {
        let ddi = &vm.ddi;
        let process = ddi.create_process(&vm_process(vm.worker)).unwrap();
        let device = ddi.create_device(process).unwrap();
        let kind = AllocationKind::Image {
            size: SMALL,
            format: PixelFormat::B8G8R8X8,
        };
        let image = ddi
            .create_allocation(&CreateAllocation { process, kind })
            .unwrap();
        Self::with_image(vm, device, image, scheduling)
    }

    fn with_image(
        vm: &TestVm,
        device: DeviceHandle,
        image: AllocationHandle,
        scheduling: ContextSchedulingProperties,
    ) -> Self {
        let args = CreateContext { device, node: 0 };
        let context = vm.ddi.create_context(&args).unwrap();
        let client = Self {
            context,
            queue: vm.ddi.create_hw_queue(context).unwrap(),
            image,
        };
        client.schedule(vm, scheduling);
        client
    }

    fn schedule(&self, vm: &TestVm, scheduling: ContextSchedulingProperties) {
        let args = ContextSchedulingProperties {
            context: self.context,
            ..scheduling
        };
        vm.ddi.set_context_scheduling_properties(&args).unwrap();
    }

    /// Submits so many commands of one unit each.
    fn submit(&self, vm: &TestVm, commands: usize) {
        for _ in 0..commands {
            let present = TestVm::present(self.image, SMALL);
            vm.submit_to(self.queue, present).unwrap();
        }
    }
}

/// Without grace, with a quantum of ten units.
fn ordinary() -> ContextSchedulingProperties {
    ContextSchedulingProperties {
        quantum: 10 * UNIT,
        grace_period_same: 0,
        grace_period_lower: 0,
        ..properties(ContextHandle(0))
    }
}

fn with_priority(in_process_priority: i32) -> ContextSchedulingProperties {
    ContextSchedulingProperties {
        in_process_priority,
        ..ordinary()
    }
}

/// Whose commands completed, in their order: which of the clients, and how many in a row.
fn order(vm: &TestVm, clients: &[Client], commands: usize) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for done in vm.told.wait_for(commands) {
        let client = clients.iter().position(|client| client.queue == done.queue);
        let client = client.unwrap();
        match runs.last_mut() {
            Some((last, count)) if *last == client => *count += 1,
            _ => runs.push((client, 1)),
        }
    }
    runs
}

#[test]
fn given_contexts_of_two_priorities_the_higher_one_runs_first() {
    let (ddi, gate) = timed();
    ddi.setup_priority_bands(&bands(40 * UNIT)).unwrap();
    let vm = TestVm::new(&ddi, 1);
    let low = Client::new(&vm, with_priority(-7));
    let high = Client::new(&vm, with_priority(7));
    low.submit(&vm, 20);
    gate.wait_for_unit();
    high.submit(&vm, 20);
    gate.open();
    assert_eq!(order(&vm, &[low, high], 40), [(0, 1), (1, 20), (0, 19)]);
}

#[test]
fn given_an_idle_context_it_runs_when_no_other_has_work() {
    let (ddi, gate) = timed();
    ddi.setup_priority_bands(&bands(40 * UNIT)).unwrap();
    let vm = TestVm::new(&ddi, 1);
    let idle = Client::new(
        &vm,
        ContextSchedulingProperties {
            band: PriorityBand::Idle,
            in_process_priority: 7,
            ..ordinary()
        },
    );
    let normal = Client::in_new_process(&vm, with_priority(-7));
    idle.submit(&vm, 20);
    gate.wait_for_unit();
    normal.submit(&vm, 100);
    gate.open();
    let order = order(&vm, &[idle, normal], 120);
    assert_eq!(order, [(0, 1), (1, 100), (0, 19)]);
}

#[test]
fn given_equal_contexts_each_runs_for_its_quantum_and_the_grace_of_the_next() {
    let (ddi, gate) = timed();
    let vm = TestVm::new(&ddi, 1);
    let shortly = ContextSchedulingProperties {
        quantum: 5 * UNIT,
        grace_period_same: 2 * UNIT,
        ..ordinary()
    };
    let one = Client::new(&vm, ordinary());
    let two = Client::new(&vm, shortly);
    one.submit(&vm, 27);
    gate.wait_for_unit();
    two.submit(&vm, 15);
    gate.open();
    // The first goes on for the grace of the second; that overrun is paid for, so its next turns begin later.
    let order = order(&vm, &[one, two], 42);
    assert_eq!(order[..3], [(0, 12), (1, 5), (0, 12)]);
}

#[test]
fn given_processes_of_a_vm_they_take_turns_of_a_process_quantum_whatever_their_contexts() {
    let (ddi, gate) = timed();
    ddi.setup_priority_bands(&bands(20 * UNIT)).unwrap();
    let vm = TestVm::new(&ddi, 1);
    let one = Client::new(&vm, with_priority(-7));
    let two = Client::in_new_process(&vm, with_priority(7));
    one.submit(&vm, 60);
    gate.wait_for_unit();
    two.submit(&vm, 60);
    gate.open();
    let order = order(&vm, &[one, two], 120);
    assert_eq!(
        order,
        [(0, 20), (1, 20), (0, 20), (1, 20), (0, 20), (1, 20)]
    );
}

#[test]
fn given_new_bands_they_count_from_the_next_yield_check_on_which_a_focus_present_causes() {
    // Without a present the first turn is one of the old quantum, at whose end the check is made.
    for (presents, first) in [(false, 10), (true, 100)] {
        let (ddi, gate) = timed();
        ddi.setup_priority_bands(&bands(10 * UNIT)).unwrap();
        let vm = TestVm::new(&ddi, 1);
        let one = Client::new(&vm, ordinary());
        let two = Client::in_new_process(&vm, ordinary());
        one.submit(&vm, 250);
        gate.wait_for_unit();
        two.submit(&vm, 250);
        ddi.setup_priority_bands(&bands(100 * UNIT)).unwrap();
        if presents {
            ddi.notify_focus_present(vm.process).unwrap();
        }
        gate.open();
        let order = order(&vm, &[one, two], 500);
        let expected = [(0, first), (1, 100), (0, 100), (1, 100)];
        assert_eq!(order[..4], expected, "presents: {presents}");
    }
}

#[test]
fn given_properties_that_change_while_a_unit_runs_they_count_from_its_end_on() {
    let (ddi, gate) = timed();
    ddi.setup_priority_bands(&bands(40 * UNIT)).unwrap();
    let vm = TestVm::new(&ddi, 1);
    let one = Client::new(&vm, ordinary());
    let two = Client::new(&vm, ordinary());
    one.submit(&vm, 8);
    gate.wait_for_unit();
    two.submit(&vm, 8);
    one.schedule(&vm, with_priority(-1));
    gate.open();
    assert_eq!(order(&vm, &[one, two], 16), [(0, 1), (1, 8), (0, 7)]);
}

#[test]
fn given_a_running_context_that_is_suspended_another_one_runs_without_grace() {
    let (ddi, gate) = timed();
    let vm = TestVm::new(&ddi, 1);
    let patient = ContextSchedulingProperties {
        grace_period_same: 100 * UNIT,
        ..ordinary()
    };
    let one = Client::new(&vm, patient);
    let two = Client::new(&vm, patient);
    one.submit(&vm, 8);
    gate.wait_for_unit();
    two.submit(&vm, 8);
    ddi.suspend_context(one.context, 1).unwrap();
    gate.open();
    assert_eq!(order(&vm, &[one, two], 9), [(0, 1), (1, 8)]);
    ddi.resume_context(one.context).unwrap();
    assert_eq!(order(&vm, &[one, two], 16), [(0, 1), (1, 8), (0, 7)]);
}

#[test]
fn given_any_order_inside_the_vm_is_charged_the_same() {
    let charged = [-7, 7].map(|priority| {
        let (ddi, gate) = timed();
        let vm = TestVm::new(&ddi, 1);
        let one = Client::new(&vm, ordinary());
        let two = Client::in_new_process(&vm, with_priority(priority));
        one.submit(&vm, 50);
        two.submit(&vm, 50);
        gate.open();
        vm.told.wait_for(100);
        let statistics = vm.statistics();
        (statistics.gpu, statistics.units)
    });
    assert_eq!(charged, [(Nanos(100 * UNIT * 100), 100); 2]);
}
