// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the processes and contexts of a VM got of the VM's time.

use rondo_scheduler::inside::Band;
use serde::Serialize;

use crate::metrics::{percentile, ratio};
use crate::scenario::Vm;

/// The inside of one VM.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InsideReport {
    /// Each band, the lowest first.
    pub bands: Vec<PartReport>,
    /// Each process, in the order of the scenario.
    pub processes: Vec<ProcessReport>,
}

/// A part of a VM, and how much of the VM's time it got.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartReport {
    /// Its name.
    pub name: String,
    /// What it ran.
    pub service_ns: u64,
    /// That, in percent of what the VM ran.
    pub percent: f64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessReport {
    /// All its contexts together.
    #[serde(flatten)]
    pub part: PartReport,
    /// Each of them, in the order of the scenario.
    pub contexts: Vec<ContextReport>,
}

/// A context.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContextReport {
    /// What it got.
    #[serde(flatten)]
    pub part: PartReport,
    /// Its band.
    pub band: String,
    /// Requests that ended.
    pub requests: u64,
    /// From coming to ending: half of them took at most this.
    pub latency_p50_ns: u64,
    /// 99 % of them.
    pub latency_p99_ns: u64,
    /// All of them.
    pub latency_max_ns: u64,
}

/// Watches the contexts of one VM.
#[derive(Clone, Debug)]
pub(crate) struct InsideMeter {
    service: Vec<u64>,
    latencies: Vec<Vec<u64>>,
}

impl InsideMeter {
    /// `None` for a VM without processes.
    pub(crate) fn new(vm: &Vm) -> Option<Self> {
        let contexts = vm.processes().iter().map(|process| process.contexts.len());
        let contexts = contexts.sum();
        (contexts > 0).then(|| Self {
            service: vec![0; contexts],
            latencies: vec![Vec::new(); contexts],
        })
    }

    pub(crate) fn ran(&mut self, context: usize, length: u64) {
        self.service[context] += length;
    }

    pub(crate) fn ended(&mut self, context: usize, latency: u64) {
        self.latencies[context].push(latency);
    }

    pub(crate) fn report(mut self, vm: &Vm) -> InsideReport {
        let whole: u64 = self.service.iter().sum();
        let part = |name: &str, service_ns| PartReport {
            name: name.to_owned(),
            service_ns,
            percent: ratio(service_ns, whole) * 100.0,
        };
        let mut bands = [0; 4];
        let mut processes = Vec::new();
        let mut watched = self.service.iter().zip(&mut self.latencies);
        for process in vm.processes() {
            let mut all = 0;
            let mut contexts = Vec::new();
            for (context, (&service, latencies)) in process.contexts.iter().zip(&mut watched) {
                latencies.sort_unstable();
                let band = context.properties.band;
                all += service;
                bands[band as usize] += service;
                contexts.push(ContextReport {
                    part: part(&context.name, service),
                    band: band_name(band).to_owned(),
                    requests: latencies.len() as u64,
                    latency_p50_ns: percentile(latencies, 500),
                    latency_p99_ns: percentile(latencies, 990),
                    latency_max_ns: percentile(latencies, 1_000),
                });
            }
            processes.push(ProcessReport {
                part: part(&process.name, all),
                contexts,
            });
        }
        let bands = Band::ALL.into_iter().zip(bands);
        InsideReport {
            bands: bands
                .map(|(band, service)| part(band_name(band), service))
                .collect(),
            processes,
        }
    }
}

const fn band_name(band: Band) -> &'static str {
    match band {
        Band::Idle => "idle",
        Band::Normal => "normal",
        Band::Focus => "focus",
        Band::Realtime => "realtime",
    }
}
