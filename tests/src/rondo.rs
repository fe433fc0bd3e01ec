// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `rondo` command, and its simulator, run as a user would run them, and how they end.

use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lab::{target_folder, workspace_root};

/// The longest that any command of a test may take before it counts as hung.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a waiting test looks again.
const POLL: Duration = Duration::from_millis(5);

/// The `rondo` binary: `$RONDO_BIN` where `cargo xtask test` names it, otherwise a release build made now.
///
/// # Errors
/// When the build fails.
pub fn binary() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(named) = env::var_os("RONDO_BIN") {
        return Ok(PathBuf::from(named));
    }
    let built = BUILT.get_or_init(|| release_build("rondo"));
    built.clone().map_err(anyhow::Error::msg)
}

/// The `rondo-simulator` binary: `$RONDO_SIMULATOR_BIN`, otherwise a release build made now.
fn simulator() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    if let Some(named) = env::var_os("RONDO_SIMULATOR_BIN") {
        return Ok(PathBuf::from(named));
    }
    let built = BUILT.get_or_init(|| release_build("rondo-simulator"));
    built.clone().map_err(anyhow::Error::msg)
}

/// Builds the package and names its binary, which has the same name.
fn release_build(package: &str) -> Result<PathBuf, String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", package])
        .current_dir(workspace_root())
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if status.success() {
        Ok(target_folder().join("release").join(package))
    } else {
        Err(format!("{package} does not build"))
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit code, or nothing when a signal ended it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it, if one did.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// What a stream has brought so far, filled by a thread of its own.
#[derive(Debug)]
struct Stream {
    text: Arc<Mutex<String>>,
    thread: JoinHandle<()>,
}

impl Stream {
    fn follow(mut source: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // What was read before an error is still worth showing.
            while let Ok(length @ 1..) = source.read(&mut piece) {
                let said = String::from_utf8_lossy(&piece[..length]);
                shared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(&said);
            }
        });
        Self { text, thread }
    }

    fn so_far(&self) -> String {
        self.text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Everything, once the stream has ended.
    fn whole(self) -> String {
        // The thread only reads; it cannot fail in a way that matters here.
        let _ = self.thread.join();
        self.text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A `rondo` that runs. It is killed when this is dropped before it has ended.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
}

/// Runs `rondo` with `arguments` in the folder `place` until it ends by itself.
///
/// # Errors
/// When it cannot start or hangs.
pub fn run(place: &Path, arguments: &[&str]) -> Result<Ended> {
    start(place, arguments)?.wait()
}

/// Runs `rondo-simulator` with `arguments` in the folder `place` until it ends by itself.
///
/// # Errors
/// When it cannot start or hangs.
pub fn simulate(place: &Path, arguments: &[&str]) -> Result<Ended> {
    start_program(&simulator()?, place, arguments)?.wait()
}

/// Starts `rondo` with `arguments` in the folder `place`, with no input.
///
/// # Errors
/// When it cannot start.
pub fn start(place: &Path, arguments: &[&str]) -> Result<Running> {
    start_program(&binary()?, place, arguments)
}

fn start_program(program: &Path, place: &Path, arguments: &[&str]) -> Result<Running> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let stdout = child.stdout.take().map(Stream::follow);
    let stderr = child.stderr.take().map(Stream::follow);
    Ok(Running {
        child,
        stdout,
        stderr,
    })
}

impl Running {
    /// Its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.as_ref().map(Stream::so_far).unwrap_or_default()
    }

    /// Its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.as_ref().map(Stream::so_far).unwrap_or_default()
    }

    /// Sends a signal by the name that `kill` knows, such as `USR1`.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status()?;
        if !status.success() {
            bail!("cannot send {name}: has rondo ended?");
        }
        Ok(())
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it hangs.
    pub fn wait(mut self) -> Result<Ended> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if started.elapsed() > LIMIT {
                bail!("rondo hung for {} s; {}", LIMIT.as_secs(), self.said());
            }
            std::thread::sleep(POLL);
        };
        let whole = |stream: Option<Stream>| stream.map(Stream::whole).unwrap_or_default();
        Ok(Ended {
            status,
            stdout: whole(self.stdout.take()),
            stderr: whole(self.stderr.take()),
        })
    }

    /// Waits until `condition` holds, while the process lives.
    ///
    /// # Errors
    /// When it never holds, or the process ends first.
    pub fn wait_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) -> Result<()> {
        let started = Instant::now();
        while !condition(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("rondo ended with {status} before {what}; {}", self.said());
            }
            if started.elapsed() > LIMIT {
                let limit = LIMIT.as_secs();
                bail!("{what} did not come within {limit} s; {}", self.said());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn said(&self) -> String {
        format!(
            "it said:\n{}\nand on standard error:\n{}",
            self.stdout(),
            self.stderr()
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `path` is a PNG written to its end.
#[must_use]
pub fn is_whole_png(path: &Path) -> bool {
    fs::read(path)
        .is_ok_and(|bytes| bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"IEND\xaeB`\x82"))
}
