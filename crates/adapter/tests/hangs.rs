// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Units that hang: one context is lost, its VM pays, nobody waits for the thread, and who hangs too often is locked out. Time
//! is a clock that only units and the test move.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::clock::Clock;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::{AbortUnit, Placement, RendererFactory, SoftwareGpuConfig, WorkerHook};
use rondo_adapter::handle::*;
use rondo_adapter::scheduling_log::{ContextState, LogEntry, LogReader, SchedulingLog};
use rondo_adapter::status::NtStatus::*;
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress, Renderer, Work};
use rondo_scheduler::{Nanos, Quarantine, SchedulerConfig};
use support::*;

const SMALL: rondo_renderer::geometry::Size = size(8, 8);
const UNIT: Nanos = Nanos::from_micros(10);
const TIMEOUT: Nanos = Nanos::from_millis(1);

/// Renderers whose units take [`UNIT`], but for those of the first VM that hang until they are let go.
#[derive(Clone, Debug)]
struct Hanging {
    clock: Arc<ManualClock>,
    shared: Arc<(Mutex<State>, Condvar)>,
    abortable: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Every so many-th unit of the first VM hangs; 0: none.
    every: usize,
    units: usize,
    /// Units that have begun to hang, and those that still do.
    hung: usize,
    stuck: usize,
    /// Units that may go, in all.
    let_go: usize,
}

impl Hanging {
    fn new(every: usize) -> Self {
        let hanging = Self {
            clock: Arc::default(),
            shared: Arc::default(),
            abortable: false,
        };
        hanging.shared.0.lock().unwrap().every = every;
        hanging
    }

    fn start(&self, quarantine: Option<Quarantine>) -> Arc<Adapter> {
        start(SoftwareGpuConfig {
            clock: self.clock.clone(),
            renderer: Arc::new(self.clone()),
            scheduler: SchedulerConfig {
                quarantine,
                ..SchedulerConfig::default()
            },
            ..SoftwareGpuConfig::default()
        })
    }

    fn set_every(&self, every: usize) {
        self.shared.0.lock().unwrap().every = every;
    }

    /// Blocks until so many units have hung.
    fn wait_for_hang(&self, hung: usize) {
        let mut state = self.shared.0.lock().unwrap();
        while state.hung < hung {
            state = self.shared.1.wait(state).unwrap();
        }
    }

    /// Blocks until nothing hangs any more.
    fn wait_until_free(&self) {
        let mut state = self.shared.0.lock().unwrap();
        while state.stuck > 0 {
            state = self.shared.1.wait(state).unwrap();
        }
    }

    fn stuck(&self) -> usize {
        self.shared.0.lock().unwrap().stuck
    }

    fn release(&self) {
        self.let_go(usize::MAX);
    }

    /// Lets the first so many units go that hang.
    fn let_go(&self, units: usize) {
        self.shared.0.lock().unwrap().let_go = units;
        self.shared.1.notify_all();
    }
}

impl RendererFactory for Hanging {
    fn build(&self) -> Box<dyn Renderer> {
        Box::new(self.clone())
    }

    fn build_abortable(&self) -> (Box<dyn Renderer>, Option<Arc<dyn AbortUnit>>) {
        let abort = self
            .abortable
            .then(|| Arc::new(self.clone()) as Arc<dyn AbortUnit>);
        (self.build(), abort)
    }
}

impl AbortUnit for Hanging {
    fn abort(&self) {
        let mut state = self.shared.0.lock().unwrap();
        state.let_go = state.hung;
        self.shared.1.notify_all();
        drop(state);
        self.wait_until_free();
    }
}

impl Renderer for Hanging {
    fn run(&mut self, work: &mut Work, budget: UnitBudget) -> Progress {
        let of_first = std::thread::current().name() == Some("gpu-vm-1");
        let mut state = self.shared.0.lock().unwrap();
        if of_first && state.every > 0 {
            state.units += 1;
            if state.units.is_multiple_of(state.every) {
                state.hung += 1;
                state.stuck += 1;
                let number = state.hung;
                self.shared.1.notify_all();
                while state.let_go < number {
                    state = self.shared.1.wait(state).unwrap();
                }
                state.stuck -= 1;
                self.shared.1.notify_all();
                drop(state);
                return SoftwareRenderer.run(work, budget);
            }
        }
        drop(state);
        let end = SoftwareRenderer.run(work, budget);
        self.clock.advance(UNIT);
        end
    }
}

fn profile() -> VirtualGpuProfile {
    VirtualGpuProfile {
        hang_timeout: TIMEOUT,
        ..share(400_000)
    }
}

fn vms(ddi: &Arc<Adapter>) -> [TestVm; 2] {
    [1, 2].map(|number| TestVm::with_profile(ddi, number, &profile()))
}

/// How the commands of a queue ended, in order.
fn ends(told: &[Completion], queue: HwQueueHandle) -> Vec<(u64, DdiResult<()>)> {
    (told.iter().filter(|done| done.queue == queue))
        .map(|done| (done.progress_fence_id, done.status))
        .collect()
}

#[test]
fn given_a_unit_that_hangs_forever_only_its_context_dies_and_its_vm_pays_for_the_stall() {
    let hanging = Hanging::new(1);
    let ddi = hanging.start(None);
    let [bad, good] = vms(&ddi);
    let images = [bad.backed_image(SMALL), good.backed_image(SMALL)];
    let log = Arc::new(SchedulingLog::new(SchedulingLog::DEFAULT_ENTRIES));
    ddi.set_scheduling_log_buffer(bad.worker, Some(Arc::clone(&log)))
        .unwrap();
    for _ in 0..3 {
        bad.submit(TestVm::transfer(images[0], SMALL)).unwrap();
    }
    hanging.wait_for_hang(1);
    hanging.set_every(0);
    let (_, innocent) = bad.another_context();
    for _ in 0..3 {
        bad.submit_to(innocent, TestVm::transfer(images[0], SMALL))
            .unwrap();
        good.submit(TestVm::transfer(images[1], SMALL)).unwrap();
    }
    hanging.clock.advance(TIMEOUT);
    let told = bad.told.wait_for(6);
    let lost = refused(GraphicsGpuExceptionOnDevice);
    assert_eq!(ends(&told, bad.queue), [(1, lost), (2, lost), (3, lost)]);
    assert_eq!(ends(&told, innocent), [(4, OK), (5, OK), (6, OK)]);
    assert_eq!(
        bad.told.lost(),
        [(bad.context, Damage::Guilty, 0)],
        "told once, before the ends of its commands"
    );
    assert!(good.told.wait_for(3).iter().all(|done| done.status == OK));
    assert!(good.told.lost().is_empty());
    assert_eq!(
        bad.submit(TestVm::transfer(images[0], SMALL)),
        refused(GraphicsGpuExceptionOnDevice)
    );
    assert_eq!(ddi.suspend_context(bad.context, 1), Ok(Suspension::Already));
    let (paid, other) = (bad.statistics(), good.statistics());
    assert_eq!((paid.resets, paid.quarantined), (1, false));
    assert_eq!((other.resets, other.gpu), (0, Nanos(3 * UNIT.0)));
    assert!(paid.gpu.0 >= TIMEOUT.0 + 3 * UNIT.0, "{paid:?}");
    // The clock moved only while somebody held the engine.
    assert_eq!(paid.gpu.0 + other.gpu.0, hanging.clock.now().0);
    // The log tells the stall as the lost context's.
    let mut entries = Vec::new();
    LogReader::new(log).read(usize::MAX, &mut entries);
    let of_lost = |entry: &&LogEntry| entry.context == bad.context;
    let states: Vec<_> = (entries.iter().filter(of_lost))
        .map(|entry| (entry.state, entry.timestamp))
        .collect();
    assert_eq!(states.len(), 3, "{states:?}");
    assert_eq!(states[0].0, ContextState::Ready);
    assert_eq!(states[1], (ContextState::Running, Nanos(0)));
    assert_eq!(states[2], (ContextState::Idle, TIMEOUT));
    // Teardown waits for nobody, and what the lost thread brings is dropped.
    assert_eq!(hanging.stuck(), 1);
    bad.unmap(images[0]).unwrap();
    ddi.destroy_allocation(bad.process, images[0]).unwrap();
    assert!(
        bad.holders_of_guest_memory() > 0,
        "the thread keeps it alive"
    );
    hanging.release();
    while bad.holders_of_guest_memory() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(bad.told.completions().len(), 6);
    assert_eq!(bad.statistics().gpu, paid.gpu);
}

#[test]
fn given_a_thread_that_comes_back_while_its_vm_runs_another_unit_it_leaves_and_changes_nothing() {
    let hanging = Hanging::new(1);
    let ddi = hanging.start(None);
    let [vm, _other] = vms(&ddi);
    let image = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    hanging.wait_for_hang(1);
    hanging.clock.advance(TIMEOUT);
    vm.told.wait_for(1);
    let (_, queue) = vm.another_context();
    vm.submit_to(queue, TestVm::transfer(image, SMALL)).unwrap();
    hanging.wait_for_hang(2);
    let (units, renderers) = (vm.statistics().units, Arc::strong_count(&hanging.shared));
    hanging.let_go(1);
    // Its thread ends, and its renderer with it.
    while Arc::strong_count(&hanging.shared) == renderers {
        std::thread::yield_now();
    }
    assert_eq!(vm.statistics().units, units);
    hanging.release();
    let told = vm.told.wait_for(2);
    assert_eq!(ends(&told, queue), [(2, OK)]);
    assert_eq!(vm.statistics().resets, 1);
}

#[test]
fn given_a_unit_that_ends_within_the_timeout_nothing_is_lost() {
    let hanging = Hanging::new(1);
    let ddi = hanging.start(None);
    let [vm, _other] = vms(&ddi);
    let image = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    hanging.wait_for_hang(1);
    hanging.clock.advance(Nanos(TIMEOUT.0 - 1));
    hanging.release();
    assert_eq!(vm.told.wait_for(1)[0].status, OK);
    let statistics = vm.statistics();
    assert_eq!((statistics.resets, vm.told.lost().len()), (0, 0));
    assert_eq!(statistics.gpu.0, TIMEOUT.0 - 1);
}

#[test]
fn given_a_renderer_that_can_abort_nothing_stays_behind() {
    let mut hanging = Hanging::new(1);
    hanging.abortable = true;
    let ddi = hanging.start(None);
    let [vm, _other] = vms(&ddi);
    let image = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    hanging.wait_for_hang(1);
    hanging.clock.advance(TIMEOUT);
    let told = vm.told.wait_for(1);
    assert_eq!(told[0].status, refused(GraphicsGpuExceptionOnDevice));
    hanging.wait_until_free();
    vm.unmap(image).unwrap();
    while vm.holders_of_guest_memory() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn given_every_third_unit_hangs_the_vm_is_locked_out_after_three_and_a_pardon_lets_it_in() {
    let hanging = Hanging::new(3);
    let ddi = hanging.start(Some(Quarantine::default()));
    let [bad, good] = vms(&ddi);
    let images = [bad.backed_image(SMALL), good.backed_image(SMALL)];
    let (_, waiting) = bad.another_context();
    let suspended = bad.another_context();
    assert_eq!(ddi.suspend_context(suspended.0, 1), Ok(Suspension::Pending));
    bad.submit_to(suspended.1, TestVm::transfer(images[0], SMALL))
        .unwrap();
    let mut told = 0;
    for hang in 1..=3 {
        let (_, queue) = bad.another_context();
        for _ in 0..3 {
            bad.submit_to(queue, TestVm::transfer(images[0], SMALL))
                .unwrap();
        }
        hanging.wait_for_hang(hang);
        if hang == 3 {
            for _ in 0..5 {
                bad.submit_to(waiting, TestVm::transfer(images[0], SMALL))
                    .unwrap();
            }
            told += 6;
        }
        good.submit(TestVm::transfer(images[1], SMALL)).unwrap();
        hanging.clock.advance(TIMEOUT);
        told += 3;
        let all = bad.told.wait_for(told);
        let lost = refused(GraphicsGpuExceptionOnDevice);
        let of_queue: Vec<_> = ends(&all, queue).into_iter().map(|end| end.1).collect();
        assert_eq!(of_queue, [OK, OK, lost], "hang {hang}");
        assert_eq!(good.told.wait_for(hang).len(), hang);
    }
    let all = bad.told.completions();
    for queue in [waiting, suspended.1] {
        let ends = ends(&all, queue);
        assert!(!ends.is_empty());
        assert!(
            ends.iter().all(|end| end.1 == refused(AccessDenied)),
            "{ends:?}"
        );
    }
    let statistics = bad.statistics();
    assert_eq!((statistics.resets, statistics.quarantined), (3, true));
    assert_eq!(
        bad.submit_to(waiting, TestVm::transfer(images[0], SMALL)),
        refused(AccessDenied)
    );
    // The control plane goes on, and so do others.
    let other = bad.image(SMALL);
    ddi.destroy_allocation(bad.process, other).unwrap();
    assert_eq!(ddi.query_child_status(bad.worker).unwrap().len(), 2);
    good.submit(TestVm::transfer(images[1], SMALL)).unwrap();
    good.told.wait_for(4);
    hanging.set_every(0);
    ddi.pardon(bad.worker).unwrap();
    assert!(!bad.statistics().quarantined);
    bad.submit_to(waiting, TestVm::transfer(images[0], SMALL))
        .unwrap();
    let all = bad.told.wait_for(told + 1);
    assert_eq!(all.last().unwrap().status, OK);
    assert_eq!(ddi.pardon(good.worker), OK);
    assert_eq!(ddi.pardon(good.process), refused(ObjectTypeMismatch));
    hanging.release();
}

#[test]
fn given_more_threads_lost_in_units_than_a_vm_may_have_its_work_is_over_and_others_go_on() {
    let hanging = Hanging::new(1);
    let ddi = hanging.start(None);
    let [bad, good] = vms(&ddi);
    let images = [bad.backed_image(SMALL), good.backed_image(SMALL)];
    let mut hangs = 0;
    loop {
        let (_, queue) = bad.another_context();
        match bad.submit_to(queue, TestVm::transfer(images[0], SMALL)) {
            Ok(_) => {}
            Err(status) => break assert_eq!(status, GraphicsGpuExceptionOnDevice),
        }
        hangs += 1;
        hanging.wait_for_hang(hangs);
        hanging.clock.advance(TIMEOUT);
        bad.told.wait_for(hangs);
    }
    assert_eq!(hangs, 9);
    assert_eq!(hanging.stuck(), hangs);
    good.submit(TestVm::transfer(images[1], SMALL)).unwrap();
    assert_eq!(good.told.wait_for(1)[0].status, OK);
    assert_eq!(ddi.destroy_process(bad.worker), OK);
    hanging.release();
    hanging.wait_until_free();
}

#[test]
fn given_a_hang_the_vm_and_the_gpu_can_be_destroyed_and_their_memory_goes_with_the_thread() {
    let hanging = Hanging::new(1);
    let ddi = hanging.start(Some(Quarantine::default()));
    let [bad, good] = vms(&ddi);
    let image = bad.backed_image(SMALL);
    bad.show(0, image, SMALL);
    bad.submit(TestVm::present(image, SMALL)).unwrap();
    hanging.wait_for_hang(1);
    std::thread::scope(|scope| {
        let destroyed = scope.spawn(|| ddi.destroy_process(bad.worker));
        hanging.clock.advance(TIMEOUT);
        assert_eq!(destroyed.join().unwrap(), OK);
    });
    let shown = bad.screens[0].0.lock().unwrap().presents;
    let screen = Arc::clone(&bad.screens[0].0);
    drop((bad, good));
    drop(ddi);
    assert_eq!(hanging.stuck(), 1);
    hanging.release();
    // The thread's renderer goes last, after what it was working on.
    while Arc::strong_count(&hanging.shared) > 1 {
        std::thread::yield_now();
    }
    assert_eq!(
        screen.lock().unwrap().presents,
        shown,
        "drawn after the end"
    );
}

#[test]
fn given_an_engine_that_is_reset_by_hand_nobody_runs_there_until_it_is_resumed() {
    let hanging = Hanging::new(1);
    let ddi = hanging.start(None);
    let [bad, good] = vms(&ddi);
    let images = [bad.backed_image(SMALL), good.backed_image(SMALL)];
    assert_eq!(ddi.reset_hw_engine(0), OK, "nothing runs");
    assert_eq!(ddi.reset_hw_engine(1), refused(InvalidParameter));
    assert_eq!(ddi.resume_hw_engine(1), refused(InvalidParameter));
    bad.submit(TestVm::transfer(images[0], SMALL)).unwrap();
    hanging.wait_for_hang(1);
    good.submit(TestVm::transfer(images[1], SMALL)).unwrap();
    assert_eq!(ddi.reset_hw_engine(0), OK);
    let told = bad.told.wait_for(1);
    assert_eq!(told[0].status, refused(GraphicsGpuExceptionOnDevice));
    assert_eq!(bad.told.lost().len(), 1);
    assert_eq!(good.statistics().units, 0);
    hanging.clock.advance(UNIT);
    assert_eq!(ddi.resume_hw_engine(0), OK);
    assert_eq!(good.told.wait_for(1)[0].status, OK);
    assert_eq!(bad.statistics().gpu, UNIT, "the stop is the guilty VM's");
    hanging.release();
}

/// Holds the first VM's first worker before its first unit.
#[derive(Debug)]
struct Late(Barrier, AtomicBool);

impl WorkerHook for Late {
    fn on_start(&self) -> Placement {
        let of_first = std::thread::current().name() == Some("gpu-vm-1");
        if of_first && !self.1.swap(true, Ordering::SeqCst) {
            self.0.wait();
        }
        Placement::Anywhere
    }
}

#[test]
fn given_a_worker_that_comes_after_the_timeout_its_unit_is_watched_all_the_same() {
    let hanging = Hanging::new(1);
    let late = Arc::new(Late(Barrier::new(2), AtomicBool::new(false)));
    let strict = Quarantine {
        resets: 1,
        within: TIMEOUT,
    };
    let ddi = start(SoftwareGpuConfig {
        clock: hanging.clock.clone(),
        renderer: Arc::new(hanging.clone()),
        scheduler: SchedulerConfig {
            quarantine: Some(strict),
            ..SchedulerConfig::default()
        },
        worker_hook: Some(late.clone()),
        ..SoftwareGpuConfig::default()
    });
    let [vm, _other] = vms(&ddi);
    let image = vm.backed_image(SMALL);
    let idle = vm.statistics().memory;
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    hanging.clock.advance(TIMEOUT);
    // Locked out, and after the reset that found no unit.
    while vm.statistics().memory > idle {
        std::thread::yield_now();
    }
    ddi.pardon(vm.worker).unwrap();
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    late.0.wait();
    hanging.wait_for_hang(1);
    assert!(vm.told.lost().is_empty());
    hanging.clock.advance(TIMEOUT);
    let told = vm.told.wait_for(2);
    let lost = refused(GraphicsGpuExceptionOnDevice);
    assert_eq!(
        ends(&told, vm.queue),
        [(1, refused(AccessDenied)), (2, lost)]
    );
    assert_eq!(vm.told.lost().len(), 1);
    hanging.release();
}
