// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! From an address to the device that owns it: one map for MMIO and one for ports, built once and then only read.
//!
//! A [`Bus`] is immutable, so vCPU threads look devices up without a lock. An access belongs to a device when all of it lies
//! in the device's window; anything else is unclaimed, reads as ones and is dropped when written, as on a PC's open bus.

use std::ops::Range;
use std::sync::Arc;

use rondo_devices::bus::BusDevice;
use thiserror::Error;

/// A window that cannot be added.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BusError {
    /// No bytes, or beyond the end of the address space.
    #[error("a window of {size:#x} bytes at {base:#x} is empty or leaves the address space")]
    Extent {
        /// First address.
        base: u64,
        /// Bytes.
        size: u64,
    },
    /// Another device is there already.
    #[error("the window {:#x}..{:#x} overlaps {:#x}..{:#x}", wanted.start, wanted.end, taken.start, taken.end)]
    Overlap {
        /// What was asked for.
        wanted: Range<u64>,
        /// What is there.
        taken: Range<u64>,
    },
}

#[derive(Clone, Debug)]
struct Window {
    range: Range<u64>,
    device: Arc<dyn BusDevice>,
}

/// Collects windows.
#[derive(Debug, Default)]
pub struct BusBuilder {
    windows: Vec<Window>,
}

impl BusBuilder {
    /// Gives `size` bytes from `base` to `device`.
    ///
    /// # Errors
    /// The window is empty, too large, or overlaps another.
    pub fn add(
        &mut self,
        base: u64,
        size: u64,
        device: Arc<dyn BusDevice>,
    ) -> Result<(), BusError> {
        let end = base
            .checked_add(size)
            .filter(|_| size > 0)
            .ok_or(BusError::Extent { base, size })?;
        let range = base..end;
        let place = self
            .windows
            .partition_point(|window| window.range.start < base);
        let neighbours = self.windows[place.saturating_sub(1)..].iter().take(2);
        for neighbour in neighbours {
            if neighbour.range.start < end && base < neighbour.range.end {
                return Err(BusError::Overlap {
                    wanted: range,
                    taken: neighbour.range.clone(),
                });
            }
        }
        self.windows.insert(place, Window { range, device });
        Ok(())
    }

    /// The finished map.
    #[must_use]
    pub fn build(self) -> Bus {
        Bus {
            windows: self.windows.into(),
        }
    }
}

/// A finished map. Clones share it.
#[derive(Clone, Debug)]
pub struct Bus {
    /// In order of their addresses, without overlap.
    windows: Arc<[Window]>,
}

impl Bus {
    fn find(&self, address: u64, length: usize) -> Option<(&dyn BusDevice, u64)> {
        let after = self
            .windows
            .partition_point(|window| window.range.start <= address);
        let window = self.windows.get(after.checked_sub(1)?)?;
        let end = address.checked_add(u64::try_from(length).ok()?)?;
        (end <= window.range.end).then(|| (&*window.device, address - window.range.start))
    }

    /// Reads at `address`. Returns whether a device answered; if none did, `data` is all ones.
    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        match self.find(address, data.len()) {
            Some((device, offset)) => {
                device.read(offset, data);
                true
            }
            None => {
                data.fill(0xFF);
                false
            }
        }
    }

    /// Writes at `address`. Returns whether a device took it.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        match self.find(address, data.len()) {
            Some((device, offset)) => {
                device.write(offset, data);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug)]
    struct Probe {
        id: u8,
        writes: Mutex<Vec<(u64, Vec<u8>)>>,
    }

    impl Probe {
        fn new(id: u8) -> Arc<Self> {
            Arc::new(Self {
                id,
                writes: Mutex::default(),
            })
        }
    }

    impl BusDevice for Probe {
        fn read(&self, _offset: u64, data: &mut [u8]) {
            data.fill(self.id);
        }

        fn write(&self, offset: u64, data: &[u8]) {
            self.writes.lock().unwrap().push((offset, data.to_vec()));
        }
    }

    fn answer(bus: &Bus, address: u64) -> u8 {
        let mut data = [0];
        bus.read(address, &mut data);
        data[0]
    }

    #[test]
    fn given_several_windows_then_each_address_finds_its_device_and_the_gaps_read_as_ones() {
        let mut builder = BusBuilder::default();
        builder.add(0x3000, 0x1000, Probe::new(3)).unwrap();
        builder.add(0x1000, 0x1000, Probe::new(1)).unwrap();
        builder.add(0x2000, 0x10, Probe::new(2)).unwrap();
        builder.add(u64::MAX - 1, 1, Probe::new(9)).unwrap();
        let bus = builder.build();
        let expected = [
            (0, 0xFF),
            (0xFFF, 0xFF),
            (0x1000, 1),
            (0x1FFF, 1),
            (0x2000, 2),
            (0x200F, 2),
            (0x2010, 0xFF),
            (0x3000, 3),
        ];
        for (address, id) in expected {
            assert_eq!(answer(&bus, address), id, "{address:#x}");
        }
        assert_eq!(answer(&bus, 0x4000), 0xFF);
        assert_eq!(answer(&bus, u64::MAX - 1), 9);
        assert_eq!(answer(&bus, u64::MAX), 0xFF);
    }

    #[test]
    fn given_an_access_that_leaves_its_window_then_nobody_takes_it() {
        let mut builder = BusBuilder::default();
        let probe = Probe::new(1);
        builder.add(0x1000, 4, probe.clone()).unwrap();
        builder.add(0x1004, 4, Probe::new(2)).unwrap();
        let bus = builder.build();
        assert!(!bus.write(0x1002, &[0; 4]));
        let mut data = [0; 8];
        assert!(!bus.read(0x1000, &mut data));
        assert_eq!(data, [0xFF; 8]);
        assert!(bus.write(0x1002, &[1, 2]));
        assert_eq!(*probe.writes.lock().unwrap(), [(2, vec![1, 2])]);
    }

    #[test]
    fn given_overlapping_windows_then_the_second_is_refused_whichever_side_it_touches() {
        let mut builder = BusBuilder::default();
        builder.add(0x1000, 0x1000, Probe::new(1)).unwrap();
        for (base, size) in [
            (0x1000, 0x1000),
            (0x0FFF, 2),
            (0x1FFF, 2),
            (0x1400, 1),
            (0, 0x10000),
        ] {
            let error = builder.add(base, size, Probe::new(2)).unwrap_err();
            assert_eq!(
                error,
                BusError::Overlap {
                    wanted: base..base + size,
                    taken: 0x1000..0x2000
                }
            );
        }
        builder.add(0x0FFF, 1, Probe::new(3)).unwrap();
        builder.add(0x2000, 1, Probe::new(4)).unwrap();
    }

    #[test]
    fn given_an_empty_or_endless_window_then_it_is_refused() {
        let mut builder = BusBuilder::default();
        assert!(matches!(
            builder.add(0, 0, Probe::new(1)),
            Err(BusError::Extent { .. })
        ));
        assert!(matches!(
            builder.add(u64::MAX, 2, Probe::new(1)),
            Err(BusError::Extent { .. })
        ));
    }
}
