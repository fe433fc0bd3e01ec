// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Resident memory of a VMM apart from its guest's RAM, from `/proc/PID/smaps`.
//!
//! The guest's RAM is the mapping of exactly its size, as Firecracker's memory test has it. Everything else counts: program, libraries, heap,
//! stacks, and the virtual GPU's own pictures.

use std::fs;

use anyhow::{Context, Result, bail};

/// Bytes that are resident, by what they are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// Program and libraries: pages of files, which other processes may share.
    pub files: u64,
    /// Heap, stacks, pictures: everything else.
    pub anonymous: u64,
}

impl Resident {
    /// Everything beyond the guest's RAM.
    pub fn total(self) -> u64 {
        self.files.saturating_add(self.anonymous)
    }

    /// Of a running process whose guest has `guest_ram` bytes of RAM.
    ///
    /// # Errors
    /// When the process is gone, or none of its mappings has the size of the guest's RAM.
    pub fn of_process(process: u32, guest_ram: u64) -> Result<Self> {
        let path = format!("/proc/{process}/smaps");
        let smaps = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&smaps, guest_ram)
    }

    fn parse(smaps: &str, guest_ram: u64) -> Result<Self> {
        let mut resident = Self::default();
        let (mut of_file, mut is_guest, mut guest_seen) = (false, false, false);
        for line in smaps.lines() {
            if let Some(kilobytes) = kilobytes(line, "Size:") {
                is_guest = kilobytes.saturating_mul(1024) == guest_ram;
                guest_seen |= is_guest;
            } else if let Some(kilobytes) = kilobytes(line, "Rss:") {
                let bytes = kilobytes.saturating_mul(1024);
                match (is_guest, of_file) {
                    (true, _) => {}
                    (false, true) => resident.files = resident.files.saturating_add(bytes),
                    (false, false) => resident.anonymous = resident.anonymous.saturating_add(bytes),
                }
            } else if let Some(inode) = inode(line) {
                of_file = inode != "0";
            }
        }
        if !guest_seen {
            bail!("no mapping has the guest's {guest_ram} bytes");
        }
        Ok(resident)
    }
}

/// The number of a line such as `Rss:   12 kB`.
fn kilobytes(line: &str, name: &str) -> Option<u64> {
    line.strip_prefix(name)?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()
}

/// The inode of a line that opens a mapping: `START-END PERMISSIONS OFFSET DEVICE INODE [PATH]`.
fn inode(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let range = words.next()?;
    let (start, end) = range.split_once('-')?;
    (u64::from_str_radix(start, 16).is_ok() && u64::from_str_radix(end, 16).is_ok())
        .then_some(())?;
    words.nth(3)
}

#[cfg(test)]
mod tests {
    use super::Resident;

    const SMAPS: &str = "\
55d0-55e0 r-xp 00000000 fe:00 1234 /usr/bin/vmm
Size:               40 kB
Rss:                30 kB
Pss:                 3 kB
VmFlags: rd ex
7f00-7f10 rw-p 00000000 00:00 0
Size:            65536 kB
Rss:              9000 kB
7f20-7f30 rw-p 00000000 00:00 0 [heap]
Size:              132 kB
Rss:                12 kB
";

    #[test]
    fn given_smaps_when_summed_then_the_mapping_of_the_guests_size_is_left_out() {
        let resident = Resident::parse(SMAPS, 64 << 20).unwrap();
        assert_eq!(
            resident,
            Resident {
                files: 30 << 10,
                anonymous: 12 << 10
            }
        );
        assert_eq!(resident.total(), 42 << 10);
    }

    #[test]
    fn given_smaps_without_the_guests_ram_when_summed_then_it_is_an_error() {
        assert!(Resident::parse(SMAPS, 32 << 20).is_err());
    }
}
