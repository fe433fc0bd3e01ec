// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM without contexts or pixels: work is a number under a lock, and its worker does with the grant what the driver's does.

use rondo_scheduler::{EngineId, Nanos, VmId, VmProfile};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::thread::{self, JoinHandle};

use super::arbiter::Arbiter;
use super::signals::{Signals, Wake};
use crate::time;

/// What a unit takes.
pub(super) const UNIT: u64 = 10;

/// The GPU: who grants, and whether somebody is on an engine.
#[derive(Debug)]
pub(super) struct Gpu {
    pub(super) arbiter: Arbiter,
    pub(super) engines: Vec<AtomicBool>,
}

#[derive(Debug, Default)]
struct Work {
    pending: usize,
    done: usize,
    /// The unit that hangs: what is charged for it begins here, on this engine.
    hangs: Option<(EngineId, Nanos)>,
    /// Which worker serves.
    worker: u64,
    released: bool,
}

#[derive(Debug)]
pub(super) struct Vm {
    pub(super) id: VmId,
    pub(super) signals: Arc<Signals>,
    work: Mutex<Work>,
    changed: Condvar,
    /// Whether its first unit hangs.
    hanging: AtomicBool,
}

impl Vm {
    /// A VM that has joined, with its worker.
    pub(super) fn start(
        gpu: &Arc<Gpu>,
        id: u32,
        profile: VmProfile,
        hanging: bool,
    ) -> (Arc<Self>, JoinHandle<()>) {
        let vm = Arc::new(Self {
            id: VmId(id),
            signals: Arc::new(Signals::default()),
            work: Mutex::default(),
            changed: Condvar::new(),
            hanging: AtomicBool::new(hanging),
        });
        let seat = Arc::clone(&vm.signals);
        gpu.arbiter.join(vm.id, profile, seat).unwrap();
        let worker = vm.hire(gpu);
        (vm, worker)
    }

    /// As the driver: the thread runs before its name is known.
    pub(super) fn hire(self: &Arc<Self>, gpu: &Arc<Gpu>) -> JoinHandle<()> {
        let number = self.work.lock().unwrap().worker;
        let (vm, theirs) = (Arc::clone(self), Arc::clone(gpu));
        let worker = thread::spawn(move || vm.serve(&theirs, number));
        self.signals.set_worker(worker.thread().clone());
        worker
    }

    pub(super) fn submit(&self, gpu: &Gpu, units: usize) {
        let mut work = self.work.lock().unwrap();
        work.pending += units;
        let before = self.signals.set_runnable(true);
        drop(work);
        if !before {
            gpu.arbiter.ready(self.id);
        }
    }

    /// Blocks until so many units are done.
    pub(super) fn wait_for(&self, units: usize) {
        let mut work = self.work.lock().unwrap();
        while work.done < units {
            work = self.changed.wait(work).unwrap();
        }
    }

    /// Gives up the worker in the unit that hangs; blocks until one does. Returns where it was, and since when.
    pub(super) fn give_up(&self) -> (EngineId, Nanos) {
        let mut work = self.work.lock().unwrap();
        while work.hangs.is_none() {
            work = self.changed.wait(work).unwrap();
        }
        work.worker += 1;
        work.hangs.take().unwrap()
    }

    /// Lets the unit go that hangs.
    pub(super) fn release(&self) {
        self.work.lock().unwrap().released = true;
        self.changed.notify_all();
    }

    fn serve(&self, gpu: &Gpu, number: u64) {
        loop {
            match self.signals.wait() {
                Wake::Exit => return,
                Wake::Notice => {}
                Wake::Granted(engine) => {
                    if !self.hold(gpu, engine, number) {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the worker is still the VM's.
    fn hold(&self, gpu: &Gpu, engine: EngineId, number: u64) -> bool {
        let mut began = gpu.arbiter.now();
        loop {
            let taken = &gpu.engines[usize::from(engine.0)];
            assert!(!taken.swap(true, Ordering::SeqCst), "two on {engine:?}");
            let mut work = self.work.lock().unwrap();
            if work.pending > 0 && self.hanging.swap(false, Ordering::SeqCst) {
                work.hangs = Some((engine, began));
                self.changed.notify_all();
                while !work.released {
                    work = self.changed.wait(work).unwrap();
                }
                if work.worker != number {
                    return false;
                }
                work.hangs = None;
            }
            if work.pending > 0 {
                time::pass(UNIT);
                work.pending -= 1;
                work.done += 1;
                self.changed.notify_all();
            }
            self.signals.set_runnable(work.pending > 0);
            drop(work);
            taken.store(false, Ordering::SeqCst);
            let reported = gpu.arbiter.unit_done(self.id, engine, began);
            began = reported.now;
            if !reported.keeps {
                return true;
            }
        }
    }
}
