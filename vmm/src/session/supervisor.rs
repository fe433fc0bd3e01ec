// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The main thread's event loop: signals, the clock, the keyboard, and guests that end.
//!
//! Keys go straight to the guest. Of everything else it is only noted that it happened; the session acts on it between two
//! turns of the loop.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, Events, MutEventSubscriber};
use rondo_devices::legacy::Serial;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::timerfd::TimerFd;

use super::console::{Keyboard, Keys};

const STOP_SIGNAL: u32 = 0;
const SCREENSHOT_SIGNAL: u32 = 1;
const TICK: u32 = 2;
const DEADLINE: u32 = 3;
const KEYBOARD: u32 = 4;
const SERIAL_DRAINED: u32 = 5;
const CONTROL: u32 = 6;
/// Guest `i` has this token plus `i`.
const GUEST_ENDED: u32 = 16;

/// Edge-triggered, since an ended guest's event stays set.
const GUEST_EVENTS: EventSet = EventSet::IN.union(EventSet::EDGE_TRIGGERED);

/// Indices are counted up one by one, so that no session comes near the end of the tokens.
fn guest_token(index: usize) -> u32 {
    u32::try_from(index)
        .unwrap_or(u32::MAX)
        .saturating_add(GUEST_ENDED)
}

/// Something that the session must act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// SIGTERM, SIGINT or SIGHUP, or the keys that leave `rondo`.
    StopRequested,
    /// SIGUSR1.
    ScreenshotRequested,
    /// A second has passed.
    Tick,
    /// The time is up.
    Deadline,
    /// `rondo ctl` asks for something.
    ControlRequested,
    /// The guest with this index ended.
    GuestEnded(usize),
}

/// The sources of events, and what came from them since the last [`Supervisor::take`].
#[derive(Debug)]
pub struct Supervisor {
    stop: UnixStream,
    screenshot: UnixStream,
    tick: TimerFd,
    deadline: TimerFd,
    console: Option<Console>,
    control: Option<RawFd>,
    happened: Vec<Happening>,
}

/// The keyboard and the serial port that it types into.
#[derive(Debug)]
struct Console {
    /// Standard input without a buffer of our own, in which keys would hide from the event loop.
    keys: File,
    serial: Arc<Serial>,
    keyboard: Keyboard,
    /// The serial port is full: the keyboard is not watched until the guest has read.
    paused: bool,
}

impl Supervisor {
    /// Takes over the signals. The keyboard types into `serial`, if there is one; `control` becomes readable when `rondo ctl`
    /// asks for something.
    ///
    /// # Errors
    /// The host is out of descriptors.
    pub fn new(serial: Option<Arc<Serial>>, control: Option<RawFd>) -> io::Result<Self> {
        let (stop, stop_signal) = UnixStream::pair()?;
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            pipe::register(signal, stop_signal.try_clone()?)?;
        }
        let (screenshot, screenshot_signal) = UnixStream::pair()?;
        pipe::register(SIGUSR1, screenshot_signal)?;
        for receiver in [&stop, &screenshot] {
            receiver.set_nonblocking(true)?;
        }
        Ok(Self {
            stop,
            screenshot,
            tick: TimerFd::new()?,
            deadline: TimerFd::new()?,
            console: serial.map(Console::open).transpose()?,
            control,
            happened: Vec::new(),
        })
    }

    /// Starts a tick every second, and the countdown to the deadline if there is one.
    ///
    /// # Errors
    /// The host does not set the timers.
    pub fn start_clocks(&mut self, deadline: Option<Duration>) -> io::Result<()> {
        const SECOND: Duration = Duration::from_secs(1);
        self.tick.reset(SECOND, Some(SECOND))?;
        match deadline {
            Some(left) => self
                .deadline
                .reset(left.max(Duration::from_nanos(1)), None)?,
            None => self.deadline.clear()?,
        }
        Ok(())
    }

    /// Watches the descriptor that becomes readable when the guest with this index has ended.
    pub fn watch_guest(index: usize, fd: RawFd, ops: &mut EventOps) {
        watch(ops, true, fd, guest_token(index), GUEST_EVENTS);
    }

    /// Watches it no longer. To be called before it is closed.
    pub fn forget_guest(index: usize, fd: RawFd, ops: &mut EventOps) {
        watch(ops, false, fd, guest_token(index), GUEST_EVENTS);
    }

    /// What has happened since the last call, in order.
    pub fn take(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happened)
    }

    /// Reads one chunk of keys and types it. Stops watching the keyboard when it is closed or the guest does not keep up.
    fn read_keyboard(&mut self, ops: &mut EventOps) {
        let Some(console) = &mut self.console else {
            return;
        };
        let mut keys = [0; 64];
        let count = console.keys.read(&mut keys).unwrap_or(0);
        let typed = keys.get(..count).unwrap_or_default();
        let leave = console.keyboard.typed(typed) == Keys::Leave;
        console.paused = !console.feed();
        if count == 0 || console.paused {
            watch(ops, false, libc::STDIN_FILENO, KEYBOARD, EventSet::IN);
        }
        if leave {
            self.note(Happening::StopRequested);
        }
    }

    /// The guest has read what the port held: the rest of the last chunk, and then the keyboard again.
    fn resume_keyboard(&mut self, ops: &mut EventOps) {
        if let Some(console) = &mut self.console
            && console.feed()
            && std::mem::take(&mut console.paused)
        {
            watch(ops, true, libc::STDIN_FILENO, KEYBOARD, EventSet::IN);
        }
    }

    fn note(&mut self, happening: Happening) {
        if !self.happened.contains(&happening) {
            self.happened.push(happening);
        }
    }
}

impl Console {
    fn open(serial: Arc<Serial>) -> io::Result<Self> {
        Ok(Self {
            keys: File::from(io::stdin().as_fd().try_clone_to_owned()?),
            serial,
            keyboard: Keyboard::default(),
            paused: false,
        })
    }

    /// Types what waits; whether the port took all of it.
    fn feed(&mut self) -> bool {
        match self.serial.enqueue_input(self.keyboard.waiting()) {
            Ok(count) => self.keyboard.taken(count),
            Err(error) => log::warn!("the console loses keys: {error}"),
        }
        self.keyboard.waiting().is_empty()
    }
}

/// Watches a descriptor, or no longer. One that cannot be polled (a file as standard input) is left alone.
fn watch(ops: &mut EventOps, on: bool, fd: RawFd, token: u32, events: EventSet) {
    let events = Events::with_data_raw(fd, token, events);
    let result = if on {
        ops.add(events)
    } else {
        ops.remove(events)
    };
    if let Err(error) = result {
        log::debug!("descriptor {fd} is not watched: {error}");
    }
}

/// Reads what is there, so that the descriptor is no longer readable.
fn drain(mut stream: &UnixStream) {
    let mut bytes = [0; 64];
    while matches!(stream.read(&mut bytes), Ok(count) if count > 0) {}
}

impl MutEventSubscriber for Supervisor {
    fn init(&mut self, ops: &mut EventOps) {
        // Edge-triggered, since a drained port's event stays set.
        let edge = EventSet::IN | EventSet::EDGE_TRIGGERED;
        watch(ops, true, self.stop.as_raw_fd(), STOP_SIGNAL, EventSet::IN);
        watch(
            ops,
            true,
            self.screenshot.as_raw_fd(),
            SCREENSHOT_SIGNAL,
            EventSet::IN,
        );
        watch(ops, true, self.tick.as_raw_fd(), TICK, EventSet::IN);
        watch(ops, true, self.deadline.as_raw_fd(), DEADLINE, EventSet::IN);
        if let Some(console) = &self.console {
            watch(
                ops,
                true,
                console.serial.input_drained().as_raw_fd(),
                SERIAL_DRAINED,
                edge,
            );
            watch(ops, true, libc::STDIN_FILENO, KEYBOARD, EventSet::IN);
        }
        if let Some(control) = self.control {
            watch(ops, true, control, CONTROL, edge);
        }
    }

    fn process(&mut self, events: Events, ops: &mut EventOps) {
        match events.data() {
            STOP_SIGNAL => {
                drain(&self.stop);
                self.note(Happening::StopRequested);
            }
            SCREENSHOT_SIGNAL => {
                drain(&self.screenshot);
                self.note(Happening::ScreenshotRequested);
            }
            TICK => {
                // The count of missed ticks does not matter: one look at the VMs shows all.
                if self.tick.wait().is_ok() {
                    self.note(Happening::Tick);
                }
                // Keys that the port could not take because the console's reader was slow.
                self.resume_keyboard(ops);
            }
            DEADLINE => {
                if self.deadline.wait().is_ok() {
                    self.note(Happening::Deadline);
                }
            }
            KEYBOARD => self.read_keyboard(ops),
            CONTROL => self.note(Happening::ControlRequested),
            SERIAL_DRAINED => self.resume_keyboard(ops),
            token => {
                if let Some(index) = token
                    .checked_sub(GUEST_ENDED)
                    .and_then(|index| usize::try_from(index).ok())
                {
                    self.note(Happening::GuestEnded(index));
                }
            }
        }
    }
}
