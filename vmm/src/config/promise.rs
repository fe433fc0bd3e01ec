// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who is promised what when not everybody says it: VMs that ask for no guarantee divide what the others leave.

use super::{ConfigError, Share, Sharing, VmSpec};
use rondo_scheduler::Mode;

/// The guarantee of each VM with a GPU, in order, as a part of an engine: what it asked for, or an equal part of what those
/// leave; nothing for a client VM, which has its part of the host's.
///
/// # Errors
/// What was asked for is more than there is to promise.
pub fn share_guarantees(
    vms: &[VmSpec],
    sharing: &Sharing,
) -> Result<Vec<Option<Share>>, ConfigError> {
    let most = sharing.promisable();
    let mut asked = Vec::new();
    let mut silent = 0;
    for vm in vms {
        let Some(gpu) = &vm.gpu else { continue };
        match gpu.guarantee {
            _ if gpu.mode == Mode::Client => {}
            Some(guarantee) => {
                check_promise(&vm.name, guarantee, sharing)?;
                asked.push(guarantee.0);
            }
            None => silent += 1,
        }
    }
    let total = asked.iter().copied().map(u64::from).sum();
    let capacity = u64::from(most) * u64::from(sharing.engines);
    if total > capacity {
        return Err(ConfigError::TooMuchPromised {
            total,
            most: capacity,
        });
    }
    let part = Share(equal_part(&free_of_engines(asked, sharing), silent));
    Ok(vms
        .iter()
        .map(|vm| {
            let gpu = vm.gpu.as_ref()?;
            Some(match gpu.mode {
                Mode::Client => Share(0),
                Mode::Server => gpu.guarantee.unwrap_or(part),
            })
        })
        .collect())
}

/// Whether one engine has so much to promise.
///
/// # Errors
/// It has not; the VM's field and the remedy.
pub fn check_promise(vm: &str, guarantee: Share, sharing: &Sharing) -> Result<(), ConfigError> {
    let most = Share(sharing.promisable());
    if guarantee <= most {
        return Ok(());
    }
    Err(ConfigError::Field {
        vm: vm.to_owned(),
        field: "gpu.guarantee",
        problem: format!(
            "is {guarantee}, and an engine has {most} to promise; lower it, --reserve or --host-guarantee"
        ),
    })
}

/// What each engine has left once what was asked for is spread over them: the largest first, each on the emptiest.
fn free_of_engines(mut asked: Vec<u32>, sharing: &Sharing) -> Vec<u32> {
    let mut free = vec![sharing.promisable(); usize::from(sharing.engines)];
    asked.sort_unstable_by(|a, b| b.cmp(a));
    for guarantee in asked {
        if let Some(emptiest) = free.iter_mut().max() {
            *emptiest = emptiest.saturating_sub(guarantee);
        }
    }
    free
}

/// The largest part that `count` VMs can all have of what is free, none of them on two engines.
fn equal_part(free: &[u32], count: u64) -> u32 {
    if count == 0 {
        return 0;
    }
    let fits = |part: u32| {
        let places = free.iter().map(|free| u64::from(free / part.max(1))).sum();
        count <= places
    };
    // The largest part that fits lies in `least..most`.
    let (mut least, mut most) = (0, Share::WHOLE.0 + 1);
    while most - least > 1 {
        let middle = least.midpoint(most);
        if fits(middle) {
            least = middle;
        } else {
            most = middle;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::super::{PolicyChoice, QuarantineRule, VmOptions};
    use super::*;

    fn sharing(engines: u16, reserve: u32) -> Sharing {
        Sharing {
            policy: PolicyChoice::Guaranteed,
            engines,
            reserve: Share(reserve),
            host_guarantee: Share(0),
            quarantine: QuarantineRule::default(),
        }
    }

    fn vm(gpu: &str) -> VmSpec {
        let options = VmOptions {
            kernel: Some("k".into()),
            gpu: Some(gpu.parse().expect("a GPU")),
            ..VmOptions::default()
        };
        options.resolve("vm").expect("a VM")
    }

    fn shared(gpus: &[&str], sharing: &Sharing) -> Result<Vec<u32>, String> {
        let vms: Vec<_> = gpus.iter().map(|gpu| vm(gpu)).collect();
        share_guarantees(&vms, sharing)
            .map(|shares| {
                let known = shares.into_iter().flatten();
                known.map(|share| share.0 / 10_000).collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn who_says_nothing_has_an_equal_part_of_what_the_others_leave() {
        let one = sharing(1, 0);
        let three = ["guarantee=50%", "width=640", "width=800"];
        assert_eq!(shared(&three, &one), Ok(vec![50, 25, 25]));
        assert_eq!(shared(&["guarantee=100%", ""], &one), Ok(vec![100, 0]));
        assert_eq!(shared(&["", "off"], &one), Ok(vec![100]));
        assert_eq!(shared(&["", ""], &sharing(1, 100_000)), Ok(vec![45, 45]));
    }

    #[test]
    fn with_several_engines_no_vms_part_is_more_than_an_engine_holds() {
        let two = sharing(2, 0);
        assert_eq!(shared(&["", ""], &two), Ok(vec![100, 100]));
        assert_eq!(shared(&["", "", ""], &two), Ok(vec![50, 50, 50]));
        assert_eq!(
            shared(&["guarantee=80%", "guarantee=80%", ""], &two),
            Ok(vec![80, 80, 20])
        );
    }

    #[test]
    fn a_client_vm_is_promised_nothing_of_its_own() {
        assert_eq!(
            shared(&["mode=client", ""], &sharing(1, 0)),
            Ok(vec![0, 100])
        );
    }

    #[test]
    fn too_much_is_refused_with_the_sum_and_the_excess() {
        let both = ["guarantee=60%", "guarantee=50%"];
        let message = shared(&both, &sharing(1, 0)).expect_err("110 %");
        assert!(
            message.contains("110%") && message.contains("10% more"),
            "{message}"
        );
        assert!(shared(&both, &sharing(2, 0)).is_ok());
        let message = shared(&["guarantee=95%"], &sharing(1, 100_000)).expect_err("kept back");
        assert!(
            message.contains("90%") && message.contains("--reserve"),
            "{message}"
        );
    }
}
