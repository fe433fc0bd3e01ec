// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What teardown leaves behind, whoever asks for it and whatever runs: nothing; and nobody hangs.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::SoftwareGpuConfig;
use rondo_adapter::handle::*;
use rondo_adapter::status::NtStatus::{self, *};
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::Rect;
use support::*;

const SMALL: rondo_renderer::geometry::Size = size(8, 8);

#[derive(Debug)]
struct PanickingSink;

impl FrameSink for PanickingSink {
    fn configure(&mut self, _mode: Option<FrameMode>) {}

    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        panic!("a bug in a sink, on purpose")
    }

    fn present_frame(&mut self, _damage: Rect) {}

    fn set_cursor(&mut self, _image: Option<CursorImage>) {}

    fn move_cursor(&mut self, _x: u32, _y: u32) {}
}

#[test]
fn given_a_destroyed_queue_its_work_is_abandoned_and_its_memory_given_back() {
    let (ddi, gate) = gated();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    let other = ddi.create_hw_queue(vm.context).unwrap();
    let idle = vm.statistics().memory;
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    gate.wait_for_unit();
    for _ in 0..10 {
        vm.submit_to(other, TestVm::transfer(image, SMALL)).unwrap();
    }
    assert!(vm.statistics().memory > idle);
    gate.let_pass(1);
    gate.open();
    assert_eq!(ddi.destroy_hw_queue(other), OK);
    let abandoned = vm.submit_to(other, TestVm::transfer(image, SMALL));
    assert_eq!(abandoned, refused(InvalidHandle));
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    while vm.statistics().memory >= idle {
        std::thread::yield_now();
    }
    let of_queue = |done: &&Completion| done.queue == vm.queue;
    while vm.told.completions().iter().filter(of_queue).count() < 2 {
        std::thread::yield_now();
    }
}

#[test]
fn given_an_unmap_during_a_unit_nothing_refers_to_guest_memory_when_it_returns() {
    let (ddi, gate) = gated();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    gate.wait_for_unit();
    assert!(vm.holders_of_guest_memory() > 0);
    std::thread::scope(|scope| {
        let unmap = scope.spawn(|| vm.unmap(image));
        gate.let_pass(1);
        assert_eq!(unmap.join().unwrap(), OK);
    });
    assert_eq!(vm.holders_of_guest_memory(), 0);
    vm.told.wait_for(1);
}

#[test]
fn given_a_preempted_command_an_unmap_leaves_nothing_and_it_ends_with_an_error() {
    let gate = Gate::closed();
    let ddi = start(SoftwareGpuConfig {
        renderer: Arc::new(gate.clone()),
        unit_budget: rondo_renderer::unit::UnitBudget::bytes(256),
        ..SoftwareGpuConfig::default()
    });
    let vm = TestVm::new(&ddi, 1);
    let large = size(64, 64);
    let image = vm.backed_image(large);
    vm.submit(TestVm::transfer(image, large)).unwrap();
    gate.let_pass(2);
    gate.wait_for_unit();
    std::thread::scope(|scope| {
        let unmap = scope.spawn(|| vm.unmap(image));
        // The worker lets the unmap in between units; until that is done, units need passes.
        while !unmap.is_finished() {
            gate.let_pass(1);
            std::thread::yield_now();
        }
        assert_eq!(unmap.join().unwrap(), OK);
    });
    assert_eq!(vm.holders_of_guest_memory(), 0);
    gate.open();
    let told = vm.told.wait_for(1);
    assert!(matches!(told[0].status, Err(InvalidParameter) | Ok(())));
}

#[test]
fn given_a_panic_in_one_vms_worker_the_other_vm_goes_on_and_no_fence_is_lost() {
    let ddi = adapter();
    let good = TestVm::new(&ddi, 1);
    let bad = TestVm::with_sinks(&ddi, 2, &share(0), vec![Box::new(PanickingSink)]);
    let image = bad.backed_image(SMALL);
    bad.show(0, image, SMALL);
    bad.submit(TestVm::present(image, SMALL)).unwrap();
    let told = bad.told.wait_for(1);
    assert_eq!(told[0].status, refused(GraphicsGpuExceptionOnDevice));
    assert_eq!(
        bad.submit(TestVm::present(image, SMALL)),
        refused(GraphicsGpuExceptionOnDevice)
    );
    // It is off the engine for good, so a device that resets has nothing to complain of.
    assert_eq!(ddi.suspend_context(bad.context, 1), Ok(Suspension::Already));
    let image = good.backed_image(SMALL);
    good.submit(TestVm::transfer(image, SMALL)).unwrap();
    assert_eq!(good.told.wait_for(1)[0].status, OK);
    assert_eq!(ddi.destroy_process(bad.worker), OK);
}

#[test]
fn given_a_vm_that_is_destroyed_under_load_no_call_reaches_its_device_afterwards() {
    #[derive(Debug)]
    struct Alive(AtomicBool, AtomicBool);
    impl AdapterCallbacks for Alive {
        fn notify_interrupt(&self, _completions: &[Completion]) {
            if !self.0.load(Ordering::SeqCst) {
                self.1.store(true, Ordering::SeqCst);
            }
        }
        fn indicate_child_status(&self) {}
    }
    let ddi = adapter();
    for round in 0..20 {
        let vm = TestVm::new(&ddi, 1);
        let alive = Arc::new(Alive(AtomicBool::new(true), AtomicBool::new(false)));
        ddi.set_callbacks(vm.worker, Arc::clone(&alive) as Arc<dyn AdapterCallbacks>)
            .unwrap();
        let image = vm.backed_image(SMALL);
        for _ in 0..50 {
            vm.submit(TestVm::transfer(image, SMALL)).unwrap();
        }
        ddi.destroy_process(vm.worker).unwrap();
        alive.0.store(false, Ordering::SeqCst);
        std::thread::yield_now();
        assert!(!alive.1.load(Ordering::SeqCst), "round {round}");
        // Nobody keeps what was given to the VM.
        assert_eq!(Arc::strong_count(&alive), 1, "round {round}");
        assert_eq!(vm.holders_of_guest_memory(), 0, "round {round}");
    }
}

#[test]
fn given_a_callback_that_destroys_its_queue_the_rest_is_abandoned_and_nothing_hangs() {
    #[derive(Debug)]
    struct Ends(std::sync::Weak<Adapter>, HwQueueHandle, Told);
    impl AdapterCallbacks for Ends {
        fn notify_interrupt(&self, completions: &[Completion]) {
            let ended = self.0.upgrade().unwrap().destroy_hw_queue(self.1);
            assert!(matches!(ended, Ok(()) | Err(InvalidHandle)));
            self.2.notify_interrupt(completions);
        }
        fn indicate_child_status(&self) {}
    }
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let ends = Arc::new(Ends(Arc::downgrade(&ddi), vm.queue, Told::default()));
    ddi.set_callbacks(vm.worker, Arc::clone(&ends) as Arc<dyn AdapterCallbacks>)
        .unwrap();
    let image = vm.backed_image(SMALL);
    while vm.submit(TestVm::transfer(image, SMALL)).is_ok() {}
    let told = ends.2.wait_for(1);
    assert_eq!(told[0].progress_fence_id, 1);
    assert_eq!(ddi.destroy_context(vm.context), OK);
    assert_eq!(ddi.destroy_process(vm.process), OK);
    assert_eq!(vm.statistics().memory, 0);
}

#[test]
fn given_a_callback_that_destroys_its_own_vm_it_is_refused_and_nothing_hangs() {
    #[derive(Debug)]
    struct Suicidal {
        ddi: std::sync::Weak<Adapter>,
        worker: KmdProcessHandle,
        answer: std::sync::Mutex<Option<Result<(), NtStatus>>>,
        told: Told,
    }
    impl AdapterCallbacks for Suicidal {
        fn notify_interrupt(&self, completions: &[Completion]) {
            let answer = self.ddi.upgrade().unwrap().destroy_process(self.worker);
            *self.answer.lock().unwrap() = Some(answer);
            self.told.notify_interrupt(completions);
        }
        fn indicate_child_status(&self) {}
    }
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let callbacks = Arc::new(Suicidal {
        ddi: Arc::downgrade(&ddi),
        worker: vm.worker,
        answer: std::sync::Mutex::new(None),
        told: Told::default(),
    });
    ddi.set_callbacks(
        vm.worker,
        Arc::clone(&callbacks) as Arc<dyn AdapterCallbacks>,
    )
    .unwrap();
    let image = vm.backed_image(SMALL);
    vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    callbacks.told.wait_for(1);
    let answer = callbacks.answer.lock().unwrap().take();
    assert_eq!(answer, Some(refused(InvalidDeviceState)));
    assert_eq!(ddi.destroy_process(vm.worker), OK);
}
