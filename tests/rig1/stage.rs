// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs on stage: started together, asked for changes while they run, and judged by the trace that they leave.
//!
//! What is measured takes seconds, and each measurement has the machine to itself. What else the host does can still keep a guest's
//! processor from running and so from asking for the GPU; its time is then rightly lent. Such an attempt says so, and there is another.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use rondo_tests::rondo::{self, Running};
use rondo_tests::schedule::{Schedule, Spans, Window};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::{GUEST, machine_time};

/// How far a share may be from what it should be: 1 % of the GPU, in parts per million.
pub const TOLERANCE_PPM: u64 = 10_000;
/// The shortest time in which shares are measured: dozens of turns.
const SHORTEST_NS: u64 = 100_000_000;
/// How long after a change its effect is measured, and how long before it nothing is any more. It covers what a request takes to
/// arrive, and what the trace's clock starts later than the test's.
const SETTLING: Duration = Duration::from_millis(300);
/// How often a measurement is tried.
const ATTEMPTS: usize = 3;
/// The command line of a guest that always has work: with [`write_vm`]'s screen, 0.1 s of it and more is on its way at any time, so
/// that it may be kept from its processor for as long.
pub const BUSY: &str = "depth=64 batch=8 repaint_ms=200";

/// Measures until it comes out right, alone on the machine, and tells every attempt if it never does.
#[track_caller]
pub fn measure(attempt: impl Fn() -> Result<(), String>) {
    let _machine = machine_time::alone();
    let mut failures = Vec::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(()) => return,
            Err(failure) => failures.push(failure),
        }
    }
    panic!("no attempt came out right:\n{}", failures.join("\n"));
}

/// A number of a report.
#[track_caller]
pub fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {key} in {value}"))
}

/// `part` of `whole` in parts per million.
pub fn ppm(part: u64, whole: u64) -> u64 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u64::try_from(ppm).unwrap_or(u64::MAX)
}

/// Writes `NAME.toml` for a VM with the built-in guest, this command line and these keys of its GPU.
pub fn write_vm(place: &Path, name: &str, words: &str, gpu: &str) {
    let text = format!(
        "kernel = \"{GUEST}\"\nmemory = \"128M\"\ncmdline = \"name={name} {words}\"\n\
         [gpu]\nwidth = 4096\nheight = 2304\n{gpu}\n"
    );
    std::fs::write(place.join(format!("{name}.toml")), text).unwrap();
}

/// A running `rondo` with several VMs, its trace and its control socket.
pub struct Stage {
    place: TempDir,
    running: Running,
    started: Instant,
}

impl Stage {
    /// Starts VMs, each a name, a guest's command line and keys of its GPU, and waits until all of them draw.
    pub fn open(vms: &[(&str, &str, &str)], flags: &[&str]) -> Self {
        let place = tempdir().unwrap();
        let mut arguments = vec!["run"];
        let files: Vec<_> = vms
            .iter()
            .map(|(name, _, _)| format!("{name}.toml"))
            .collect();
        arguments.extend(files.iter().map(String::as_str));
        arguments.extend(["--control", "control", "--trace", "t.pftrace"]);
        arguments.extend(flags);
        for (name, words, gpu) in vms {
            write_vm(place.path(), name, words, gpu);
        }
        let started = Instant::now();
        let running = rondo::start(place.path(), &arguments).unwrap();
        let mut stage = Self {
            place,
            running,
            started,
        };
        stage.until_drawing(vms.len());
        stage
    }

    /// The folder of its files.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// Asks for a change, which must be granted.
    #[track_caller]
    pub fn ctl(&self, words: &[&str]) {
        let ended = rondo::run(self.place(), &[&["ctl", "control"], words].concat()).unwrap();
        assert_eq!(ended.code(), Some(0), "{words:?}: {}", ended.stderr);
    }

    fn report(&self) -> Option<Value> {
        let ended = rondo::run(self.place(), &["ctl", "control", "report"]).ok()?;
        serde_json::from_str(&ended.stdout).ok()
    }

    /// Waits until so many VMs have drawn.
    pub fn until_drawing(&mut self, count: usize) {
        let started = Instant::now();
        loop {
            let report = self.report();
            let vms = report.as_ref().and_then(|report| report["vms"].as_array());
            let drawing = vms.map(|vms| vms.iter().filter(|vm| number(vm, "frames") > 0).count());
            if drawing == Some(count) {
                return;
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{count} VMs should draw: {report:?}; {}",
                self.running.stderr()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Lets the VMs run for so long and says which time of the schedule that was, without what is still settling.
    pub fn act(&self, seconds: f64) -> Window {
        std::thread::sleep(SETTLING);
        let start = self.started.elapsed();
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let end = self.started.elapsed();
        std::thread::sleep(SETTLING);
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
        ns(start)..ns(end)
    }

    /// Ends the VMs. What they did, and the report of it.
    pub fn close(self) -> (Schedule, Value) {
        let report = self.report().unwrap();
        self.running.signal("TERM").unwrap();
        let ended = self.running.wait().unwrap();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let trace = std::fs::read(self.place.path().join("t.pftrace")).unwrap();
        (Schedule::read(&trace).unwrap(), report)
    }
}

/// What the VMs did in some time, in parts per million.
pub struct Scene<'a> {
    schedule: &'a Schedule,
    time: Spans,
}

impl<'a> Scene<'a> {
    pub fn new(schedule: &'a Schedule, window: Window) -> Self {
        let time = Spans::covering(vec![window]);
        Self { schedule, time }
    }

    /// The part of the time in which all of these VMs had work; an error if that is not most of it.
    ///
    /// A guest whose processor the host gives to others cannot ask, and says nothing of how the GPU is shared. Pieces that are
    /// too short for the turns in them to even out are left out.
    pub fn while_all_ask(&self, vms: &[&str]) -> Result<Self, String> {
        let asked = vms.iter().map(|vm| &self.schedule.vm(vm).unwrap().asked);
        let time = asked.fold(self.time.clone(), |time, asked| time.common(asked));
        let scene = Self {
            schedule: self.schedule,
            time: time.lasting(SHORTEST_NS),
        };
        if scene.time.length() * 2 > self.time.length() {
            Ok(scene)
        } else {
            Err(format!(
                "{vms:?} could not all ask for most of the time; {self}"
            ))
        }
    }

    fn part(&self, times: &Spans) -> u64 {
        self.time.common(times).length()
    }

    /// A VM's part of all GPU time that was used.
    pub fn share(&self, vm: &str) -> u64 {
        let busy = self.schedule.vms.iter().map(|vm| self.part(&vm.ran));
        ppm(self.part(&self.schedule.vm(vm).unwrap().ran), busy.sum())
    }

    /// A VM's part of the time.
    pub fn of_time(&self, vm: &str) -> u64 {
        let ran = self.part(&self.schedule.vm(vm).unwrap().ran);
        ppm(ran, self.time.length())
    }

    /// For how much of the time a VM had work.
    pub fn asked(&self, vm: &str) -> u64 {
        let asked = self.part(&self.schedule.vm(vm).unwrap().asked);
        ppm(asked, self.time.length())
    }

    /// Whether these VMs had these percentages of the GPU time that was used while all of them had work.
    pub fn divided(&self, shares: &[(&str, u64)]) -> Result<(), String> {
        let vms: Vec<_> = shares.iter().map(|(vm, _)| *vm).collect();
        let scene = self.while_all_ask(&vms)?;
        for &(vm, percent) in shares {
            let due = percent * 10_000;
            let range = due.saturating_sub(TOLERANCE_PPM)..due + TOLERANCE_PPM;
            scene.in_range(vm, scene.share(vm), range)?;
        }
        Ok(())
    }

    /// Whether what `vm` had is in the range.
    pub fn in_range(&self, vm: &str, had: u64, range: Range<u64>) -> Result<(), String> {
        if range.contains(&had) {
            Ok(())
        } else {
            Err(format!("{vm} had {had} ppm, not {range:?}; {self}"))
        }
    }
}

impl fmt::Display for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {} ms:", self.time.length() / 1_000_000)?;
        for vm in &self.schedule.vms {
            let name = &vm.name;
            let (asked, time, share) = (self.asked(name), self.of_time(name), self.share(name));
            write!(
                f,
                " {name} asked for {asked} ppm of the time and ran for {time} ({share} of what was used);"
            )?;
        }
        Ok(())
    }
}
