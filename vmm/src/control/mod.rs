// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Requests to running VMs: `rondo run --control SOCKET` listens, `rondo ctl SOCKET ...` asks. The user who started `rondo`
//! may ask, and root, and nobody else: a request can boot files.
//!
//! One connection is one request and one answer, each a line of JSON. A thread reads requests and hands them to the main
//! event loop, where everything that changes a VM happens.

mod peer;
mod server;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::{PolicyChoice, PriorityChoice};
use crate::report::Report;

pub use server::{ControlServer, Pending};

/// Longest line that either side reads: a report of 1,000 VMs fits.
const LONGEST_LINE: usize = 1 << 20;
/// How long either side waits for the other one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a running `rondo` can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Request {
    /// Give a monitor another mode, or plug it in.
    Resize {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// The scanout, from 0.
        scanout: u32,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Unplug a monitor.
    Unplug {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// The scanout, from 0.
        scanout: u32,
    },
    /// Write a picture of each scanout.
    Screenshot {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// An absolute path; further scanouts get `-1`, `-2`, ... before the extension.
        file: PathBuf,
    },
    /// Change a VM's guarantee.
    Guarantee {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// Parts per million of an engine.
        ppm: u32,
    },
    /// Change a VM's limit.
    Limit {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// Parts per million of an engine; `None`: no limit.
        ppm: Option<u32>,
    },
    /// Change a VM's slice.
    Slice {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// Nanoseconds.
        ns: u64,
    },
    /// Change a VM's priority for time that is lent.
    Priority {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
        /// The new one.
        priority: PriorityChoice,
    },
    /// Let a VM that was quarantined use the GPU again.
    Pardon {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
    },
    /// Share the GPU in another way.
    Policy {
        /// The new one.
        policy: PolicyChoice,
    },
    /// Start another VM beside those that run.
    Add {
        /// The absolute path of its TOML file.
        file: PathBuf,
    },
    /// Stop a VM; what it was guaranteed is free for others when this is answered.
    Stop {
        /// The VM; may be left out if there is one only.
        vm: Option<String>,
    },
    /// What the VMs have used so far.
    Report,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// The answer to [`Request::Report`].
    Report(Report),
    /// It is not possible, and why, in one sentence.
    Refused(String),
}

/// Asks a running `rondo`.
///
/// # Errors
/// Nobody listens there, or what listens is no `rondo`; one sentence.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer, String> {
    let gone = |error: std::io::Error| {
        format!(
            "no running rondo answers at {}: {error}; start one with --control {}",
            socket.display(),
            socket.display()
        )
    };
    let mut stream = UnixStream::connect(socket).map_err(gone)?;
    let mut line = serde_json::to_string(request).map_err(|error| error.to_string())?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(gone)?;
    let answer = read_line(&stream).map_err(gone)?;
    serde_json::from_str(&answer)
        .map_err(|_| format!("what answers at {} is no rondo", socket.display()))
}

/// One line without its end, of bounded length and within [`PATIENCE`], however slowly its bytes come.
fn read_line(mut stream: &UnixStream) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    while !line.ends_with(b"\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut chunk)?;
        line.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if count == 0 {
            break;
        }
        if line.len() > LONGEST_LINE {
            return Err(io::Error::other("the line is too long"));
        }
    }
    let line = String::from_utf8(line).map_err(io::Error::other)?;
    Ok(line.trim_end().to_owned())
}
