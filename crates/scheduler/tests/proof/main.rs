// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduler's invariants, asked after every event of random storms, against exact references, and in every reachable
//! state of small worlds. Each random test names its seed when it fails; seeds that once failed are kept in `seeds.txt`.
//!
//! | # | invariant | test |
//! |---|---|---|
//! | 1 | conservation | `storms::…_every_nanosecond_is_charged_once…` |
//! | 2 | entitlement bound | `storms::…_further_from_its_entitlement…` |
//! | 3 | latency of who stays within its share | `bound` |
//! | 4 | no starvation | `storms::…_served_at_its_rate…`, `model` |
//! | 5 | work conservation; `fixed`: the table | `storms::…_engine_stands_idle…`, `neighbours` |
//! | 6 | non-interference | `neighbours` |
//! | 7 | virtual time | `storms::…_virtual_time…`, `symmetry::…_clock…` |
//! | 8 | scale, names | `symmetry` |
//! | 9 | debt | `storms::…_owes…` |
//! | 10 | limit | `storms::…_limit…` |
//! | 11 | hangs | `storms::…_hang…`, `bound::…_hangs…` |
//! | 12 | small states | `model` |

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod answers;
mod books;
mod bound;
mod eligibility;
mod guest;
mod model;
mod neighbours;
mod promises;
#[path = "../scheduler/random.rs"]
mod random;
mod storm;
mod storms;
mod symmetry;
mod world;
