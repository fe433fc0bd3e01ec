// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Measures the scheduler: what it costs, what it keeps in real time, and what it gives in simulation.
//!
//! `cargo xtask bench scheduler` builds this program in release mode, starts it, and says on which machine it ran. It uses the other
//! crates' public interfaces only, and judges nothing: it says which goals were reached and which were missed.

mod clock;
mod counting_allocator;
mod decision;
mod random;
mod report;
mod statistics;
mod world;

use counting_allocator::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

fn main() {
    match decision::section() {
        Ok(section) => println!(
            "{}\n{}",
            report::summary(&[section.clone()]),
            section.markdown()
        ),
        Err(error) => eprintln!("{error}"),
    }
}
