// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `rondo` command, run as a user would run it.

use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
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
    let built = BUILT.get_or_init(|| {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--release", "--package", "rondo"])
            .current_dir(workspace_root())
            .status()
            .map_err(|error| format!("cannot run cargo: {error}"))?;
        if status.success() {
            Ok(target_folder().join("release/rondo"))
        } else {
            Err("rondo does not build".to_owned())
        }
    });
    built.clone().map_err(anyhow::Error::msg)
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

/// A `rondo` that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    stdin: Option<ChildStdin>,
}

/// Runs `rondo` with `arguments` in the folder `place` until it ends by itself.
///
/// # Errors
/// When it cannot start or hangs.
pub fn run(place: &Path, arguments: &[&str]) -> Result<Ended> {
    start(place, arguments, Stdio::null())?.wait()
}

/// Starts `rondo` with `arguments` in the folder `place`.
///
/// # Errors
/// When it cannot start.
pub fn start(place: &Path, arguments: &[&str], stdin: Stdio) -> Result<Running> {
    let mut child = Command::new(binary()?)
        .args(arguments)
        .current_dir(place)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start rondo")?;
    let stdout = gather(
        child
            .stdout
            .take()
            .context("rondo has no standard output")?,
    );
    let stderr = gather(child.stderr.take().context("rondo has no standard error")?);
    let stdin = child.stdin.take();
    Ok(Running {
        child,
        stdout,
        stderr,
        stdin,
    })
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, where it was started with a pipe.
    pub fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.stdin.as_mut()
    }

    /// Sends a signal by the name that `kill` knows, such as `USR1`.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.id())])
            .status()?;
        if !status.success() {
            bail!("cannot send {name}: has rondo ended?");
        }
        Ok(())
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it hangs; it is killed then.
    pub fn wait(mut self) -> Result<Ended> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if started.elapsed() > LIMIT {
                self.child.kill()?;
                self.child.wait()?;
                let said = self.stderr.join().unwrap_or_default();
                bail!(
                    "rondo hung for {} s and was killed; it said: {said}",
                    LIMIT.as_secs()
                );
            }
            std::thread::sleep(POLL);
        };
        let text = |thread: JoinHandle<String>| thread.join().unwrap_or_default();
        Ok(Ended {
            status,
            stdout: text(self.stdout),
            stderr: text(self.stderr),
        })
    }

    /// Waits until `condition` holds, at most as long as a hung command is given, while the process lives.
    ///
    /// # Errors
    /// When it never holds, or the process ends first.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
        let started = Instant::now();
        while !condition() {
            if let Some(status) = self.child.try_wait()? {
                bail!("rondo ended with {status} before {what}");
            }
            if started.elapsed() > LIMIT {
                self.child.kill()?;
                bail!("{what} did not happen within {} s", LIMIT.as_secs());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Whether `path` is a PNG written to its end.
#[must_use]
pub fn is_whole_png(path: &Path) -> bool {
    fs::read(path)
        .is_ok_and(|bytes| bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"IEND\xaeB`\x82"))
}

fn gather(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
