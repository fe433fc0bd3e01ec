// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What there is left to promise, for whoever is refused. Whether a guarantee fits is the scheduler's decision; this only
//! says by how much it does not.

use rondo_adapter::adapter::Adapter;
use rondo_adapter::status::NtStatus;
use rondo_scheduler::Mode;

use super::guest::Guest;
use crate::cli::Failure;
use crate::config::{Share, Sharing};

/// What nobody is guaranteed, of the engine that has most of it left. The guarantee of `except` counts as free, where it is.
#[must_use]
pub fn largest_free(
    sharing: &Sharing,
    guests: &[Guest],
    gpu: &Adapter,
    except: Option<usize>,
) -> Share {
    let mut free = vec![sharing.promisable(); usize::from(sharing.engines)];
    for (index, guest) in guests.iter().enumerate() {
        let Some(account) = guest.account(gpu).filter(|_| !guest.is_retired()) else {
            continue;
        };
        if Some(index) != except
            && account.mode == Mode::Server
            && let Some(home) = free.get_mut(usize::from(account.used.home))
        {
            *home = home.saturating_sub(account.guarantee_ppm);
        }
    }
    Share(free.into_iter().max().unwrap_or(0))
}

/// One sentence for a guarantee that does not fit.
#[must_use]
pub fn excess(asked: Share, free: Share) -> String {
    let too_much = Share(asked.0.saturating_sub(free.0));
    format!(
        "a guarantee of {asked} does not fit: {free} of an engine is free, so it is {too_much} too much; lower it, or another VM's first"
    )
}

/// What to tell of a VM that was not admitted.
pub fn explained(failure: Failure, asked: Option<Share>, free: impl FnOnce() -> Share) -> Failure {
    match (failure, asked) {
        (
            Failure::Gpu {
                name,
                status: NtStatus::InsufficientResources,
            },
            Some(asked),
        ) => Failure::NotAdmitted {
            name,
            why: excess(asked, free()),
        },
        (failure, _) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_was_asked_what_is_free_and_the_excess() {
        let said = excess(Share(500_000), Share(250_000));
        assert!(said.contains("50%") && said.contains("25% of an engine is free"));
        assert!(said.contains("25% too much"), "{said}");
    }

    #[test]
    fn only_a_guarantee_that_does_not_fit_is_explained_by_what_is_free() {
        let refused = |status| Failure::Gpu {
            name: "vm".to_owned(),
            status,
        };
        let free = || Share(100_000);
        let full = refused(NtStatus::InsufficientResources);
        let said = explained(full, Some(Share(200_000)), free).to_string();
        assert!(said.starts_with("vm: ") && said.contains("10% too much"));
        let other = explained(refused(NtStatus::NoMemory), Some(Share(0)), free);
        assert!(matches!(other, Failure::Gpu { .. }));
    }
}
