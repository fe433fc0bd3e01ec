// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The trace: one row of CSV for each interval of an engine's time, and the hash that tells two traces apart.

use std::fmt::Write;

use crate::scenario::Scenario;
use crate::world::{Doing, Interval};

/// The first line.
pub const HEADER: &str = "start_ns,end_ns,kind,vm,request,arrival_ns,length_ns";

/// FNV-1a before the first byte.
pub(crate) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a after one more byte.
pub(crate) const fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Collects the rows of one engine. Without `keep` only their hash: a long run need not fit into memory.
#[derive(Clone, Debug)]
pub struct Trace {
    names: Vec<String>,
    keep: bool,
    text: String,
    row: String,
    hash: u64,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new(scenario: &Scenario, keep: bool) -> Self {
        let names = scenario.vms.iter().map(|vm| vm.name.clone()).collect();
        let mut trace = Self {
            names,
            keep,
            text: String::new(),
            row: String::new(),
            hash: FNV_START,
        };
        trace.row.push_str(HEADER);
        trace.end_row();
        trace
    }

    /// Adds the row of an interval. The row of an idle interval names no VM.
    pub fn add(&mut self, interval: &Interval) {
        let (kind, request) = match &interval.doing {
            Doing::Run(request) => ("run", Some(request)),
            Doing::Switch(request) => ("switch", Some(request)),
            Doing::Idle { .. } => ("idle", None),
            Doing::Reset(request) => ("reset", Some(request)),
        };
        let (start, end) = (interval.start, interval.end);
        // Writing into a String cannot fail.
        let _ = match request {
            Some(request) => {
                let (number, arrival, length) = (request.number, request.arrival, request.length);
                let name = &self.names[request.vm];
                write!(
                    self.row,
                    "{start},{end},{kind},{name},{number},{arrival},{length}"
                )
            }
            None => write!(self.row, "{start},{end},{kind},,,,"),
        };
        self.end_row();
    }

    fn end_row(&mut self) {
        self.row.push('\n');
        for byte in self.row.bytes() {
            self.hash = fnv(self.hash, byte);
        }
        if self.keep {
            self.text.push_str(&self.row);
        }
        self.row.clear();
    }

    /// FNV-1a of all rows, the header included.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The rows, header first, if they are kept.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
