// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The reference: an engine of its own for each VM, slower by the VM's share. Exact: times are kept in `ns * ppm`.

use crate::world::{Client, Completion};

const WHOLE: u128 = 1_000_000;

/// How much later than on its own slower engine each request of a VM ended, at worst: the greatest `end - D - allowance/f`,
/// in ns, rounded up. The allowance is in ns of work and may depend on the request.
pub fn worst_lateness(client: &Client, allowance: impl Fn(&Completion) -> u64) -> i128 {
    let share = u128::from(client.guest.profile.guarantee.get());
    let mut done = 0_u128;
    let mut worst = i128::MIN;
    for completion in &client.completions {
        done = done.max(u128::from(completion.arrival) * share)
            + u128::from(completion.length) * WHOLE;
        let due = done + u128::from(allowance(completion)) * WHOLE;
        let end = u128::from(completion.end) * share;
        let late = i128::try_from(end).unwrap() - i128::try_from(due).unwrap();
        worst = worst.max(
            late.div_euclid(i128::try_from(share).unwrap())
                + i128::from(late.rem_euclid(i128::try_from(share).unwrap()) != 0),
        );
    }
    worst
}
