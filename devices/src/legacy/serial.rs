// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A 16550A serial port: the guest's console.
//!
//! The register model is `vm-superio`'s; this adds the bus window, sharing between vCPU threads and the host's input
//! thread, and back-pressure: [`Serial::enqueue_input`] takes only what the 64-byte FIFO has room for, and
//! [`Serial::input_drained`] becomes readable once the guest has emptied it. An input loop therefore stops polling its
//! source when bytes are left over, and starts again on that event: nothing is dropped and nothing is buffered without
//! bound.
//!
//! Output goes byte by byte to the writer that the VMM chose, each followed by a flush, on the vCPU thread. A writer that
//! blocks holds the guest up, which is what flow control is; a writer that fails loses the byte and nothing else.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use vm_superio::Trigger;
use vm_superio::serial::{Error as PortError, Serial as Port, SerialEvents};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::bus::BusDevice;
use crate::interrupt::InterruptLine;

/// Ports of a 16550 (eight registers).
pub const SERIAL_WINDOW_SIZE: u64 = 8;

/// What can go wrong on the host's side of the port.
#[derive(Debug, Error)]
pub enum SerialError {
    /// No event descriptor for [`Serial::input_drained`].
    #[error("cannot create an eventfd for the serial port: {0}")]
    EventFd(io::Error),
    /// The interrupt could not be delivered.
    #[error("cannot raise the serial port's interrupt: {0}")]
    Interrupt(io::Error),
}

#[derive(Clone, Debug)]
struct Line(Arc<dyn InterruptLine>);

impl Trigger for Line {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.trigger()
    }
}

#[derive(Debug)]
struct Events {
    drained: EventFd,
}

impl SerialEvents for Events {
    fn buffer_read(&self) {}
    fn out_byte(&self) {}
    fn tx_lost_byte(&self) {}

    fn in_buffer_empty(&self) {
        // A full counter means that the event is already set.
        if let Err(error) = self.drained.write(1) {
            log::debug!("serial: the drained event was already set: {error}");
        }
    }
}

type Registers = Port<Line, Events, Box<dyn Write + Send>>;

/// A serial port with its output.
pub struct Serial {
    port: Mutex<Registers>,
    interrupt: Arc<dyn InterruptLine>,
    drained: EventFd,
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serial").finish_non_exhaustive()
    }
}

impl Serial {
    /// A port that interrupts through `interrupt` and prints to `output`.
    ///
    /// # Errors
    /// [`SerialError::EventFd`] when the host has no descriptors left.
    pub fn new(
        interrupt: Arc<dyn InterruptLine>,
        output: Box<dyn Write + Send>,
    ) -> Result<Self, SerialError> {
        let drained = EventFd::new(EFD_NONBLOCK).map_err(SerialError::EventFd)?;
        let events = Events {
            drained: drained.try_clone().map_err(SerialError::EventFd)?,
        };
        Ok(Self {
            port: Mutex::new(Port::with_events(
                Line(Arc::clone(&interrupt)),
                events,
                output,
            )),
            interrupt,
            drained,
        })
    }

    /// Gives `input` to the guest and returns how many bytes were taken; the rest is to be offered again after
    /// [`input_drained`](Self::input_drained). In loop-back mode the guest hears nothing from outside, and nothing is taken;
    /// nor is it while the output takes no bytes, which holds up the guest but never the caller: offer it again in a second.
    ///
    /// # Errors
    /// [`SerialError::Interrupt`]: the bytes are in the FIFO, but the guest may not notice them before it polls.
    pub fn enqueue_input(&self, input: &[u8]) -> Result<usize, SerialError> {
        let Some(mut port) = self.port_soon() else {
            return Ok(0);
        };
        match port.enqueue_raw_bytes(input) {
            Ok(taken) => Ok(taken),
            Err(PortError::Trigger(error) | PortError::IOError(error)) => {
                Err(SerialError::Interrupt(error))
            }
            Err(PortError::FullFifo) => Ok(0),
        }
    }

    /// The port, unless a vCPU has it and waits for the output.
    fn port_soon(&self) -> Option<MutexGuard<'_, Registers>> {
        const ATTEMPTS: u32 = 50;
        const PAUSE: Duration = Duration::from_micros(100);
        for _ in 0..ATTEMPTS {
            match self.port.try_lock() {
                Ok(port) => return Some(port),
                Err(TryLockError::Poisoned(poison)) => return Some(poison.into_inner()),
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            }
        }
        None
    }

    /// Raises the interrupt again if one is pending that the guest has not looked at. To be called now and then, about once a
    /// second: the port raises an edge once for each cause, so a guest that missed one would never print again. A guest that
    /// is only slow takes the second edge for a spurious interrupt.
    ///
    /// # Errors
    /// [`SerialError::Interrupt`].
    pub fn remind(&self) -> Result<(), SerialError> {
        /// "No interrupt is pending", bit 0 of the interrupt identification register.
        const NONE_PENDING: u8 = 1;
        let Some(port) = self.port_soon() else {
            return Ok(());
        };
        let pending = port.state().interrupt_identification & NONE_PENDING == 0;
        drop(port);
        if pending {
            self.interrupt.trigger().map_err(SerialError::Interrupt)?;
        }
        Ok(())
    }

    /// Readable when the guest has emptied the input FIFO since the event was last read. Non-blocking.
    #[must_use]
    pub fn input_drained(&self) -> &EventFd {
        &self.drained
    }
}

impl BusDevice for Serial {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        // The registers are bytes; a wider access reads consecutive ones.
        for (byte, register) in data.iter_mut().zip(offset..SERIAL_WINDOW_SIZE) {
            *byte = u8::try_from(register).map_or(0, |register| port.read(register));
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        for (&byte, register) in data.iter().zip(offset..SERIAL_WINDOW_SIZE) {
            let Ok(register) = u8::try_from(register) else {
                return;
            };
            // Neither error has a remedy on this thread, and a guest can repeat either at will.
            if let Err(error) = port.write(register, byte) {
                log::debug!("serial: a byte was lost or went without its interrupt: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: u64 = 0;
    const IER: u64 = 1;
    const IIR: u64 = 2;
    const LSR: u64 = 5;

    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(serial: &Serial, register: u64) -> u8 {
        let mut data = [0];
        serial.read(register, &mut data);
        data[0]
    }

    #[test]
    fn given_an_interrupt_that_the_guest_missed_when_reminded_then_it_is_raised_again_until_looked_at()
     {
        let line = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
        let serial = Serial::new(line.clone(), Box::new(Paper::default())).unwrap();
        serial.remind().unwrap();
        assert!(line.read().is_err(), "nothing is pending");
        serial.write(IER, &[2]);
        assert_eq!(line.read().unwrap(), 1);
        serial.write(DATA, b"x");
        assert!(line.read().is_err(), "one edge for each cause");
        for _ in 0..2 {
            serial.remind().unwrap();
            assert_eq!(line.read().unwrap(), 1);
        }
        read(&serial, IIR);
        serial.remind().unwrap();
        assert!(line.read().is_err(), "the guest has looked");
    }

    #[test]
    fn given_an_output_that_takes_nothing_when_keys_come_then_they_wait_and_the_caller_does_not() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::channel();
        let line = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
        let serial = Arc::new(Serial::new(line, Box::new(Stuck(stuck))).unwrap());
        let vcpu = {
            let serial = Arc::clone(&serial);
            std::thread::spawn(move || serial.write(DATA, b"x"))
        };
        while serial.port.try_lock().is_ok() {
            std::thread::yield_now();
        }
        assert_eq!(serial.enqueue_input(b"keys").unwrap(), 0);
        serial.remind().unwrap();
        drop(release);
        vcpu.join().unwrap();
        assert_eq!(serial.enqueue_input(b"keys").unwrap(), 4);
    }

    #[test]
    fn given_bytes_written_to_the_data_register_then_the_output_has_them_in_order() {
        let paper = Paper::default();
        let serial =
            Serial::new(Arc::new(EventFd::new(0).unwrap()), Box::new(paper.clone())).unwrap();
        for byte in b"Linux" {
            serial.write(DATA, &[*byte]);
        }
        assert_eq!(*paper.0.lock().unwrap(), b"Linux");
    }

    #[test]
    fn given_more_input_than_the_fifo_holds_then_the_rest_is_refused_until_the_guest_drains_it() {
        let line = EventFd::new(EFD_NONBLOCK).unwrap();
        let serial =
            Serial::new(Arc::new(line.try_clone().unwrap()), Box::new(io::sink())).unwrap();
        serial.write(IER, &[1]);
        let input: Vec<u8> = (0..100).collect();
        let taken = serial.enqueue_input(&input).unwrap();
        assert_eq!(taken, 64);
        assert_eq!(line.read().unwrap(), 1);
        assert_eq!(serial.enqueue_input(&input[taken..]).unwrap(), 0);
        assert!(
            serial.input_drained().read().is_err(),
            "nothing was drained yet"
        );

        let mut got = Vec::new();
        while read(&serial, LSR) & 1 == 1 {
            got.push(read(&serial, DATA));
        }
        assert_eq!(got, input[..64]);
        assert_eq!(serial.input_drained().read().unwrap(), 1);
        assert_eq!(serial.enqueue_input(&input[taken..]).unwrap(), 36);
    }

    #[test]
    fn given_an_output_that_fails_then_the_guest_does_not_notice() {
        let serial = Serial::new(Arc::new(EventFd::new(0).unwrap()), Box::new(Broken)).unwrap();
        serial.write(DATA, b"x");
        assert_eq!(
            read(&serial, LSR) & 0x60,
            0x60,
            "the transmitter is ready again"
        );
    }

    #[test]
    fn given_offsets_and_widths_beyond_the_window_then_reads_change_nothing_and_writes_are_dropped()
    {
        let paper = Paper::default();
        let serial =
            Serial::new(Arc::new(EventFd::new(0).unwrap()), Box::new(paper.clone())).unwrap();
        for offset in [8, 9, 255, 256, u64::MAX - 1, u64::MAX] {
            let mut data = [0x5A; 8];
            serial.read(offset, &mut data);
            assert_eq!(data, [0x5A; 8]);
            serial.write(offset, b"12345678");
        }
        assert!(paper.0.lock().unwrap().is_empty());
    }
}
