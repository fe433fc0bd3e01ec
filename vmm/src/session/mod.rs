// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs that share one GPU, from the first to the last of them: what `rondo run` and `rondo demo` are made of.

mod admission;
mod console;
mod device_loop;
mod engine;
mod graphics;
mod guest;
mod output;
mod record;
mod requests;
mod supervisor;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event_manager::{EventManager, SubscriberId, SubscriberOps};
use rondo_adapter::adapter::Adapter;
use rondo_adapter::clock::{Clock, MonotonicClock};

use crate::cli::Failure;
use crate::config::{Sharing, VmSpec, share_guarantees};
use crate::control::ControlServer;
use crate::kvm::Hypervisor;
use crate::report::{Measurement, Report};
use crate::terminal::RawTerminal;
use crate::trace::{RunningTrace, Trace};
use crate::vm::{VmError, VmOutcome};

pub use graphics::MAX_UNIT;

use guest::Guest;
use record::Record;
use supervisor::{Happening, Supervisor};

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// How the GPU is shared.
    pub sharing: Sharing,
    /// The VMs.
    pub vms: Vec<VmSpec>,
    /// What the guests' serial ports are connected to.
    pub console: Console,
    /// Where to listen for `rondo ctl`.
    pub control: Option<PathBuf>,
    /// Where the GPU's schedule goes, for the Perfetto UI.
    pub trace: Option<PathBuf>,
    /// Where the scheduler's journal goes.
    pub record: Option<PathBuf>,
}

/// What serial ports are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Standard input and output: one VM only.
    Terminal,
    /// Standard output, each line behind its VM's name.
    Lines,
    /// The log, at level debug.
    Log,
}

/// How a session ended.
#[derive(Debug)]
pub struct Finished {
    /// How each VM ended, by its name, in the order in which they were given.
    pub outcomes: Vec<(String, VmOutcome)>,
    /// Whether the screenshots, the trace and the journal could be written: the first that could not.
    pub written: Result<(), Failure>,
}

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All guests have ended.
    AllEnded,
    /// The time is up.
    TimedOut,
    /// A signal or a key asked for it.
    Interrupted,
}

/// Running VMs.
#[derive(Debug)]
pub struct Session {
    sharing: Sharing,
    hypervisor: Hypervisor,
    gpu: Arc<Adapter>,
    clock: Arc<dyn Clock>,
    /// In the order in which they were given or added; those that have ended keep their places.
    guests: Vec<Guest>,
    console: Console,
    supervisor: Arc<Mutex<Supervisor>>,
    events: EventManager<Arc<Mutex<Supervisor>>>,
    watching: SubscriberId,
    control: Option<ControlServer>,
    trace: Option<RunningTrace>,
    record: Option<Record>,
    started: Measurement,
    /// Last, so that the terminal is given back after everything else has said its last words.
    terminal: Option<RawTerminal>,
}

impl Session {
    /// Builds all VMs, and starts them only when all could be built.
    ///
    /// # Errors
    /// The first thing that this host or the configuration does not allow.
    pub fn launch(plan: Plan) -> Result<Self, Failure> {
        let sharing = plan.sharing;
        let guarantees = share_guarantees(&plan.vms, &sharing)?;
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let record = plan.record.map(Record::create).transpose()?;
        let gpu = engine::open(
            &sharing,
            Arc::clone(&clock),
            record.as_ref().map(Record::sink),
        )
        .map_err(Failure::NoGpu)?;
        let hypervisor = Hypervisor::open()
            .map_err(VmError::from)
            .map_err(Failure::Kvm)?;
        let mut guests: Vec<Guest> = Vec::new();
        for (spec, guarantee) in plan.vms.into_iter().zip(guarantees) {
            let guest = Guest::build(&hypervisor, &gpu, spec, guarantee, plan.console).map_err(
                |failure| {
                    let free = || admission::largest_free(&sharing, &guests, &gpu, None);
                    admission::explained(failure, guarantee, free)
                },
            )?;
            guests.push(guest);
        }

        let control = plan
            .control
            .map(|path| {
                ControlServer::listen(&path).map_err(|source| Failure::Write { path, source })
            })
            .transpose()?;
        let serial = match plan.console {
            Console::Terminal => guests.first().and_then(Guest::serial),
            Console::Lines | Console::Log => None,
        };
        let host = |action| move |source| Failure::Host { action, source };
        let requested = control
            .as_ref()
            .map(|control| control.arrived().as_raw_fd());
        let supervisor =
            Supervisor::new(serial, requested).map_err(host("watch signals and guests"))?;
        let supervisor = Arc::new(Mutex::new(supervisor));
        let mut events = EventManager::new().map_err(|error| Failure::Host {
            action: "make an event loop",
            source: std::io::Error::other(error.to_string()),
        })?;
        let watching = events.add_subscriber(Arc::clone(&supervisor));

        let terminal = match plan.console {
            Console::Terminal => RawTerminal::borrow().map_err(host("use the terminal"))?,
            Console::Lines | Console::Log => None,
        };
        let trace = plan
            .trace
            .map(|path| {
                Trace::create(&path, sharing.engines, Arc::clone(&gpu), Arc::clone(&clock))
                    .map_err(|source| Failure::Write { path, source })
            })
            .transpose()?
            .map(Trace::start)
            .transpose()
            .map_err(host("start a thread"))?;
        let started = measure(&gpu, &*clock, &guests);
        let mut session = Self {
            sharing,
            hypervisor,
            gpu,
            clock,
            guests,
            console: plan.console,
            supervisor,
            events,
            watching,
            control,
            trace,
            record,
            started,
            terminal,
        };
        for index in 0..session.guests.len() {
            session.start(index)?;
        }
        session.started = session.measure();
        Ok(session)
    }

    /// Starts a VM that was built. Its schedule goes into the trace from its first command on, and its end will be heard of.
    fn start(&mut self, index: usize) -> Result<(), Failure> {
        let Some(guest) = self.guests.get_mut(index) else {
            return Ok(());
        };
        if let (Some(trace), Some(worker)) = (&self.trace, guest.worker()) {
            trace
                .watch(guest.name(), worker)
                .map_err(|status| Failure::Host {
                    action: "log the GPU's schedule",
                    source: std::io::Error::other(status),
                })?;
        }
        let event = guest.outcome_event();
        guest.start(self.clock.now())?;
        if let (Some(event), Ok(mut ops)) = (event, self.events.event_ops(self.watching)) {
            Supervisor::watch_guest(index, event, &mut ops);
        }
        Ok(())
    }

    /// Gives back everything that a VM had which has ended or was stopped.
    fn retire(&mut self, index: usize) {
        let Some(guest) = self
            .guests
            .get_mut(index)
            .filter(|guest| !guest.is_retired())
        else {
            return;
        };
        if let (Some(event), Ok(mut ops)) =
            (guest.outcome_event(), self.events.event_ops(self.watching))
        {
            Supervisor::forget_guest(index, event, &mut ops);
        }
        let worker = guest.worker();
        guest.retire(&self.gpu);
        if let (Some(trace), Some(worker)) = (&self.trace, worker) {
            trace.forget(worker);
        }
        if let Some(outcome) = guest.outcome() {
            log::info!("{}: {outcome}", guest.name());
        }
    }

    /// Serves signals, requests and the console until all guests have ended, `limit` has passed or somebody asks for
    /// the end. Calls `each_second` once a second.
    ///
    /// # Errors
    /// The host's event loop fails.
    pub fn wait(
        &mut self,
        limit: Option<Duration>,
        each_second: &mut dyn FnMut(&Self),
    ) -> Result<Ending, Failure> {
        self.supervisor()
            .start_clocks(limit)
            .map_err(|source| Failure::Host {
                action: "set a timer",
                source,
            })?;
        loop {
            if self.guests.iter().all(Guest::has_ended) {
                return Ok(Ending::AllEnded);
            }
            for happening in self.turn()? {
                match happening {
                    Happening::StopRequested => return Ok(Ending::Interrupted),
                    Happening::Deadline => return Ok(Ending::TimedOut),
                    Happening::Tick => {
                        for guest in &self.guests {
                            guest.remind();
                        }
                        each_second(self);
                    }
                    Happening::ScreenshotRequested => self.screenshots_on_signal(),
                    Happening::ControlRequested => self.answer_requests(),
                    Happening::GuestEnded(index) => self.retire(index),
                }
            }
        }
    }

    /// Waits until every VM with a GPU has shown its first picture.
    ///
    /// # Errors
    /// A guest ended before, or did not draw within `patience`, or somebody asked for the end.
    pub fn wait_for_first_frames(&mut self, patience: Duration) -> Result<(), Failure> {
        const LOOK: Duration = Duration::from_millis(10);
        let start = Instant::now();
        loop {
            let waiting = self
                .measure()
                .accounts
                .into_iter()
                .find(|account| account.used.first_frame.is_none());
            let Some(waiting) = waiting else {
                return Ok(());
            };
            if start.elapsed() > patience {
                return Err(Failure::GuestDied {
                    name: waiting.name,
                    how: format!("no picture within {} s", patience.as_secs()),
                });
            }
            match self.wait(Some(LOOK), &mut |_| {})? {
                Ending::TimedOut => {}
                Ending::Interrupted => {
                    return Err(Failure::GuestDied {
                        name: waiting.name,
                        how: "stopped before its first picture".to_owned(),
                    });
                }
                Ending::AllEnded => {
                    return Err(Failure::GuestDied {
                        name: waiting.name,
                        how: "ended before its first picture".to_owned(),
                    });
                }
            }
        }
    }

    /// What each VM with a GPU has used so far.
    #[must_use]
    pub fn measure(&self) -> Measurement {
        measure(&self.gpu, &*self.clock, &self.guests)
    }

    /// What was used since the start.
    #[must_use]
    pub fn report(&self) -> Report {
        let now = self.measure();
        let elapsed = now.at_ns.saturating_sub(self.started.at_ns);
        Report::new(
            self.sharing.policy.name(),
            self.sharing.engines,
            elapsed,
            &now.accounts,
        )
    }

    /// Stops the VMs that still run, writes the screenshots, the trace and the journal, and gives everything back.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        self.control = None;
        for guest in &self.guests {
            guest.stop();
        }
        for index in 0..self.guests.len() {
            self.retire(index);
        }
        let mut outcomes = Vec::new();
        let mut trouble = None;
        for guest in self.guests.drain(..) {
            let name = guest.name().to_owned();
            let (outcome, screenshots) = guest.finish();
            trouble = trouble.or_else(|| screenshots.err());
            outcomes.push((name, outcome));
        }
        // The VMs are gone, so their logs are whole.
        if let Some(Err((path, source))) = self.trace.take().map(RunningTrace::finish) {
            trouble = trouble.or(Some(Failure::Write { path, source }));
        }
        if let Some(Err(failure)) = self.record.take().map(Record::finish) {
            trouble = trouble.or(Some(failure));
        }
        drop(self.terminal.take());
        Finished {
            outcomes,
            written: trouble.map_or(Ok(()), Err),
        }
    }

    fn supervisor(&self) -> MutexGuard<'_, Supervisor> {
        self.supervisor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One turn of the event loop: waits for something to happen.
    fn turn(&mut self) -> Result<Vec<Happening>, Failure> {
        match self.events.run() {
            Ok(_) => {}
            // A signal that has no handler of ours interrupts the wait; nothing is lost.
            Err(error) if device_loop::interrupted(&error) => {}
            Err(error) => {
                return Err(Failure::Host {
                    action: "wait for events",
                    source: std::io::Error::other(error.to_string()),
                });
            }
        }
        Ok(self.supervisor().take())
    }

    /// SIGUSR1: there is nobody to answer, so what fails is logged.
    fn screenshots_on_signal(&self) {
        for guest in &self.guests {
            if let Err(failure) = guest.screenshot_to_configured_file() {
                log::warn!("{failure}");
            }
        }
    }
}

/// VMs that have ended and are still told of, the latest ones: a session in which VMs come and go for months has reports of a bounded
/// length.
const ENDED_VMS_TOLD: usize = 500;

fn measure(gpu: &Adapter, clock: &dyn Clock, guests: &[Guest]) -> Measurement {
    let ended = guests.iter().filter(|guest| guest.is_retired()).count();
    let mut forgotten = ended.saturating_sub(ENDED_VMS_TOLD);
    let mut is_told = |guest: &&Guest| {
        let told = !guest.is_retired() || forgotten == 0;
        if !told {
            forgotten -= 1;
        }
        told
    };
    Measurement {
        at_ns: clock.now().0,
        accounts: guests
            .iter()
            .filter(|guest| is_told(guest))
            .filter_map(|guest| guest.account(gpu))
            .collect(),
    }
}
