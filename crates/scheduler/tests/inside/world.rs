// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM whose contexts run units of given lengths.

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

pub const US: u64 = 1_000;
pub const MS: u64 = 1_000_000;

/// No grace anywhere, so that what is asked for happens at once; quanta of 4 ms.
pub fn graceless(percentage: u8) -> BandSettings {
    BandSettings {
        grace: [Nanos(0); 4],
        process_grace: [Nanos(0); 4],
        normal_percentage: percentage,
        ..BandSettings::default()
    }
}

pub fn properties(band: Band) -> ContextProperties {
    ContextProperties {
        band,
        grace_same: Nanos(0),
        grace_lower: Nanos(0),
        ..ContextProperties::default()
    }
}

pub fn level(level: u8) -> ContextProperties {
    ContextProperties {
        realtime_level: RealtimeLevel::new(level).unwrap(),
        ..properties(Band::Realtime)
    }
}

pub fn priority(priority: i8) -> ContextProperties {
    ContextProperties {
        priority: InProcessPriority::new(priority).unwrap(),
        ..properties(Band::Normal)
    }
}

pub struct World {
    pub inside: ContextScheduler,
}

impl World {
    pub fn new(settings: BandSettings) -> Self {
        Self {
            inside: ContextScheduler::new(settings),
        }
    }

    /// A context with work, in a process that comes if it is not there.
    pub fn busy(&mut self, process: u64, context: u64, properties: ContextProperties) {
        self.asleep(process, context, properties);
        self.wake(context);
    }

    pub fn asleep(&mut self, process: u64, context: u64, properties: ContextProperties) {
        let process = ProcessId(process);
        if self.inside.process_time(process).is_none() {
            self.inside.add_process(process).unwrap();
        }
        self.inside
            .add_context(process, ContextId(context), properties)
            .unwrap();
    }

    pub fn wake(&mut self, context: u64) {
        self.inside.ready(ContextId(context)).unwrap();
    }

    pub fn sleep(&mut self, context: u64) {
        self.inside.idle(ContextId(context)).unwrap();
    }

    /// Runs one unit and returns whose it was.
    pub fn unit(&mut self, length: u64) -> u64 {
        let context = self.inside.unit_begins().unwrap();
        self.inside.unit_done(Nanos(length));
        context.0
    }

    /// Runs units of one length.
    pub fn units(&mut self, count: u64, length: u64) -> Vec<u64> {
        (0..count).map(|_| self.unit(length)).collect()
    }

    pub fn context_time(&self, context: u64) -> u64 {
        self.inside.context_time(ContextId(context)).unwrap().0
    }

    pub fn process_time(&self, process: u64) -> u64 {
        self.inside.process_time(ProcessId(process)).unwrap().0
    }

    pub fn band_time(&self, band: Band) -> u64 {
        self.inside.band_time(band).0
    }
}

/// Each run of equal values, as value and length.
pub fn runs(order: &[u64]) -> Vec<(u64, usize)> {
    let mut runs: Vec<(u64, usize)> = Vec::new();
    for &value in order {
        match runs.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => runs.push((value, 1)),
        }
    }
    runs
}
