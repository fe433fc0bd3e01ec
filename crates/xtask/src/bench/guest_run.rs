// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One boot of the guest under one VMM: the process, the guest's lines, and when each of them began to arrive.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::guest_line::GuestLine;

/// A run that says nothing for so long is hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line and the moment its first byte arrived.
type Arrival = (Instant, String);

/// A VMM whose guest runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct GuestRun {
    child: Child,
    started: Instant,
    arrivals: Receiver<Arrival>,
    /// Lines of the VMM itself, for errors.
    other: Vec<String>,
    command: String,
}

impl GuestRun {
    /// Starts the VMM. Time counts from just before.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(command: &mut Command) -> Result<Self> {
        let shown = super::contender::shown(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let (sender, arrivals) = channel();
        let started = Instant::now();
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || follow(stdout, &sender));
        }
        Ok(Self {
            child,
            started,
            arrivals,
            other: Vec::new(),
            command: shown,
        })
    }

    /// The VMM's process number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the guest's line that begins with `first`; returns it and the time from the start of the process to the line's first byte.
    ///
    /// # Errors
    /// When the guest reports an error, ends without the line, or hangs.
    pub fn line(&mut self, first: &str) -> Result<(GuestLine, Duration)> {
        loop {
            match self.arrivals.recv_timeout(PATIENCE) {
                Ok((at, text)) => match GuestLine::parse(&text) {
                    Some(line) if line.is(first) => {
                        return Ok((line, at.duration_since(self.started)));
                    }
                    Some(line) if line.is("error") => {
                        bail!("the guest says {}, under: {}", line.text(), self.command)
                    }
                    Some(_) => {}
                    None => self.other.push(text),
                },
                Err(RecvTimeoutError::Timeout) => bail!(
                    "no {first} from the guest for {} s, under: {}",
                    PATIENCE.as_secs(),
                    self.command
                ),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended_early(first)),
            }
        }
    }

    /// Waits until the VMM ends by itself.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn finish(mut self) -> Result<()> {
        // The channel closes when the process has closed its standard output.
        while self.arrivals.recv_timeout(PATIENCE).is_ok() {}
        self.child.wait()?;
        Ok(())
    }

    fn ended_early(&mut self, first: &str) -> anyhow::Error {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // What it said is a comfort, not the point.
            let _ = stderr.read_to_string(&mut said);
        }
        let said: Vec<_> = self
            .other
            .iter()
            .map(String::as_str)
            .chain(said.lines())
            .collect();
        anyhow::anyhow!(
            "the VMM ended before {first}, saying '{}': {}",
            said.join("; "),
            self.command
        )
    }
}

impl Drop for GuestRun {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Cuts the stream into lines, each with the moment of its first byte.
fn follow(mut stdout: ChildStdout, arrivals: &Sender<Arrival>) {
    let mut piece = [0; 4096];
    let mut line = Vec::new();
    let mut began = None;
    while let Ok(length @ 1..) = stdout.read(&mut piece) {
        let now = Instant::now();
        for &byte in piece.get(..length).unwrap_or_default() {
            if byte != b'\n' {
                began.get_or_insert(now);
                line.push(byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if arrivals.send((began.take().unwrap_or(now), text)).is_err() {
                return;
            }
        }
    }
}
