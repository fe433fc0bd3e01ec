// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a Linux guest of rig 2 said on its console (`tests/rig2/guest-init.sh` defines the lines), ready to be judged.

use std::collections::BTreeMap;

/// What the kernel's log must not hold, whatever the drivers had to do.
const COMPLAINTS: [&str; 14] = [
    "*ERROR*",
    "BUG:",
    "Call Trace",
    "WARNING:",
    "Oops",
    "blocked for more than",
    "commit wait timed out",
    "flip_done timed out",
    "hung",
    "response 0x",
    "soft lockup",
    "stall",
    "timed out waiting",
    "timeout waiting",
];

/// A guest's console, taken apart.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct GuestLog {
    /// The steps it took, in order.
    pub steps: Vec<String>,
    /// What it found, by name.
    pub facts: BTreeMap<String, String>,
    /// What it said must never happen.
    pub failures: Vec<String>,
    /// The kernel's log.
    pub kernel: Vec<String>,
    /// Whether it got to the end.
    pub done: bool,
}

impl GuestLog {
    /// Takes the text of a console apart. Lines that the guest's script did not write are left out.
    #[must_use]
    pub fn parse(console: &str) -> Self {
        let mut log = Self::default();
        for line in console.lines() {
            let Some((_, mark)) = line.split_once("@@") else {
                continue;
            };
            let mark = mark.trim_end();
            let (kind, rest) = mark.split_once(' ').unwrap_or((mark, ""));
            match kind {
                "step" => log.steps.push(rest.to_owned()),
                "say" => {
                    let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                    log.facts.insert(key.to_owned(), value.to_owned());
                }
                "fail" => log.failures.push(rest.to_owned()),
                "dmesg" => log.kernel.push(rest.to_owned()),
                "done" => log.done = true,
                _ => {}
            }
        }
        log
    }

    /// The fact `key`, or the empty string when the guest did not say it.
    #[must_use]
    pub fn fact(&self, key: &str) -> &str {
        self.facts.get(key).map_or("", String::as_str)
    }

    /// The lines of the kernel's log that complain.
    #[must_use]
    pub fn complaints(&self) -> Vec<&str> {
        let complains =
            |line: &&String| COMPLAINTS.iter().any(|complaint| line.contains(complaint));
        self.kernel
            .iter()
            .filter(complains)
            .map(String::as_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::GuestLog;

    #[test]
    fn given_a_console_when_parsed_then_every_kind_of_line_finds_its_place() {
        let log = GuestLog::parse(
            "noise\r\n@@step probe\r\n@@say mode 1280x800\r\n@@fail no card0\r\n@@dmesg [ 1.0] fine\r\n\
             @@dmesg [ 2.0] [drm:x] *ERROR* response 0x1202\r\n@@done\r\n",
        );
        assert_eq!(log.steps, ["probe"]);
        assert_eq!(log.fact("mode"), "1280x800");
        assert_eq!(log.failures, ["no card0"]);
        assert_eq!(log.complaints(), ["[ 2.0] [drm:x] *ERROR* response 0x1202"]);
        assert!(log.done);
    }

    #[test]
    fn given_a_console_that_breaks_off_when_parsed_then_it_is_not_done() {
        assert!(!GuestLog::parse("@@step probe\n@@say mode").done);
    }
}
