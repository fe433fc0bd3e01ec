// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The world's own books of one VM: what it ran, waited and asked for, kept without a look at the scheduler's.

use std::collections::VecDeque;

use rondo_scheduler::{EngineId, VmProfile};

use crate::guest::{Guest, arrivals};
use crate::random::Random;

const WHOLE: i128 = 1_000_000;

/// How far work in a window exceeds, or falls short of, a rate: the greatest over all windows that end now.
/// Exact, in `ns * ppm`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window(i128);

impl Window {
    /// `elapsed` passes, of which the VM runs `ran`: more than `rate` fills it.
    pub fn fill(&mut self, elapsed: u64, ran: u64, rate: u32) {
        let change = i128::from(ran) * WHOLE - i128::from(elapsed) * i128::from(rate);
        self.0 = (self.0 + change).max(0);
    }

    /// The same, where less than `rate` fills it.
    pub fn fall_short(&mut self, elapsed: u64, ran: u64, rate: u32) {
        let change = i128::from(elapsed) * i128::from(rate) - i128::from(ran) * WHOLE;
        self.0 = (self.0 + change).max(0);
    }

    pub fn exceeds(self, work: u64) -> bool {
        self.0 > i128::from(work) * WHOLE
    }

    /// In nanoseconds of work, rounded up.
    pub fn work(self) -> i128 {
        self.0.div_euclid(WHOLE) + i128::from(self.0.rem_euclid(WHOLE) != 0)
    }
}

/// A piece of work that waits.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub arrival: u64,
    pub length: u64,
    pub left: u64,
}

/// A piece of work that ended.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    pub arrival: u64,
    pub length: u64,
    pub end: u64,
}

/// A unit that was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    pub engine: EngineId,
    pub start: u64,
    pub end: u64,
}

/// One VM, as the world knows it.
#[derive(Clone, Debug)]
pub struct Vm {
    pub guest: Guest,
    /// It has not been told to leave.
    pub here: bool,
    /// It was told to leave, and its last unit still runs.
    pub leaving: bool,
    pub random: Random,
    pub coming: VecDeque<(u64, u64)>,
    pub queue: VecDeque<Job>,
    /// The scheduler was told that it has work.
    pub claims: bool,
    /// It was told so while a unit ran.
    pub woken: bool,
    pub quarantined: bool,
    /// When each reset since the last pardon was asked for.
    pub hung: Vec<u64>,
    pub charged: u64,
    pub units: u64,
    pub longest: u64,
    pub resets: u64,
    pub lost: u64,
    pub completions: Vec<Completion>,
    pub ran: Vec<Ran>,
    /// Work beyond its limit.
    pub above_limit: Window,
    /// Since the limit is what it is, the longest stretch that it was ever allowed.
    pub stretch: u64,
    /// It has run since its profile changed.
    pub settled: bool,
    /// Work missing from its guarantee, while it has had work.
    pub below_guarantee: Window,
    /// Since when it waits while some engine stands idle.
    pub idle_beside: Option<u64>,
}

impl Vm {
    pub fn new(guest: Guest, now: u64, mut random: Random) -> Self {
        Self {
            coming: arrivals(&guest.load, now, &mut random),
            stretch: 0,
            settled: false,
            here: false,
            leaving: false,
            random,
            queue: VecDeque::new(),
            claims: false,
            woken: false,
            quarantined: false,
            hung: Vec::new(),
            charged: 0,
            units: 0,
            longest: 0,
            resets: 0,
            lost: 0,
            completions: Vec::new(),
            ran: Vec::new(),
            above_limit: Window::default(),
            below_guarantee: Window::default(),
            idle_beside: None,
            guest,
        }
    }

    pub fn profile(&self) -> &VmProfile {
        &self.guest.profile
    }

    /// What it would run next if nothing goes wrong.
    pub fn next_unit(&self) -> u64 {
        self.queue
            .front()
            .map_or(0, |job| job.left.min(self.guest.unit))
    }

    /// Work of `length` comes now; whether it had none before.
    pub fn receive(&mut self, now: u64, length: u64) -> bool {
        self.queue.push_back(Job {
            arrival: now,
            length,
            left: length,
        });
        self.queue.len() == 1
    }

    /// The unit that began at `start` ended at `end`, `done` of its job being done; what comes next is planned.
    pub fn finish(&mut self, engine: EngineId, start: u64, end: u64, done: u64) {
        self.ran.push(Ran { engine, start, end });
        let Some(job) = self.queue.front_mut() else {
            return;
        };
        job.left = job.left.saturating_sub(done);
        if job.left == 0 {
            let (arrival, length) = (job.arrival, job.length);
            self.queue.pop_front();
            self.completions.push(Completion {
                arrival,
                length,
                end,
            });
            self.plan_next(end);
        }
    }

    /// The job at the front is lost: its context was killed.
    pub fn lose(&mut self, now: u64) {
        if self.queue.pop_front().is_some() {
            self.lost += 1;
            self.plan_next(now);
        }
    }

    fn plan_next(&mut self, now: u64) {
        if let crate::guest::Load::Closed { length, pause } = self.guest.load
            && self.here
        {
            let length = self.random.within(length.0, length.1);
            let pause = self.random.within(pause.0, pause.1);
            if pause == 0 {
                self.receive(now, length);
            } else {
                self.coming.push_back((now + pause, length));
            }
        }
    }
}
