// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How much of the processors others had while something was measured: whether the host was idle, told afterwards and exactly.

use std::fs;

/// Ticks since the machine or the process started.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    all: u64,
    idle: u64,
    stolen: u64,
    own: u64,
}

/// What others had, in percent of all processors' time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Others {
    /// Other processes and the kernel.
    pub here: f64,
    /// Other machines, as far as the hypervisor says.
    pub stolen: f64,
}

impl Watch {
    /// From now on.
    pub fn new() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self::read(&stat, &own)
    }

    fn read(stat: &str, own: &str) -> Self {
        let ticks = numbers(stat.lines().next().unwrap_or_default().strip_prefix("cpu"));
        let of = |place: usize| ticks.get(place).copied().unwrap_or(0);
        // After the name, which may have spaces in it: state is the first, utime the 12th, stime the 13th.
        let fields = own.rsplit_once(')').map(|(_, fields)| fields);
        let words: Vec<&str> = fields.unwrap_or_default().split_whitespace().collect();
        let tick = |place: usize| words.get(place).and_then(|word| word.parse::<u64>().ok());
        Self {
            // The ticks of guests, at the end, are in the others already.
            all: ticks.iter().take(8).sum(),
            // Idle, and idle with a disk at work.
            idle: of(3) + of(4),
            stolen: of(7),
            own: tick(11).unwrap_or(0) + tick(12).unwrap_or(0),
        }
    }

    /// What others had since then.
    pub fn others(&self) -> Others {
        self.until(&Self::new())
    }

    fn until(&self, now: &Self) -> Others {
        let all = now.all.saturating_sub(self.all).max(1) as f64;
        let stolen = now.stolen.saturating_sub(self.stolen);
        let mine = now.own.saturating_sub(self.own);
        let idle = now.idle.saturating_sub(self.idle);
        let here = (now.all.saturating_sub(self.all)).saturating_sub(stolen + mine + idle);
        Others {
            here: here as f64 * 100.0 / all,
            stolen: stolen as f64 * 100.0 / all,
        }
    }
}

impl Others {
    /// Above this the host was not idle.
    const IDLE: f64 = 2.0;

    /// A sentence.
    pub fn sentence(self) -> String {
        let warning = if self.here + self.stolen > Self::IDLE {
            " **The host was not idle: times in this section say little.**"
        } else {
            ""
        };
        format!(
            "Meanwhile other processes had {:.1} % of the processors, other machines {:.1} %.{warning}",
            self.here, self.stolen
        )
    }
}

fn numbers(text: Option<&str>) -> Vec<u64> {
    text.unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn given_two_looks_at_the_ticks_then_others_had_what_is_neither_idle_nor_stolen_nor_ours() {
        let own = |ticks: u64| format!("7 (a b) R 1 2 3 4 5 6 7 8 9 10 {ticks} 1 0 0");
        let before = Watch::read("cpu  10 0 0 100 0 0 0 0 0 0\ncpu0 1", &own(5));
        let after = Watch::read("cpu  60 0 10 120 10 0 0 10 0 0\ncpu0 1", &own(45));
        let others = before.until(&after);
        // 100 ticks: 50 user, 10 system, 30 idle, 10 stolen; 40 of the 60 were ours.
        assert_eq!((others.here, others.stolen), (20.0, 10.0));
        assert!(others.sentence().contains("not idle"));
    }
}
