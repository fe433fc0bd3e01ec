// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where the bytes of a guest's serial port go.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};

use super::Console;
use crate::vm::VmHandle;

/// Longest line that is kept together; a guest that never ends its lines has them cut.
const LONGEST_LINE: usize = 1024;

/// The writer for the serial port of `vm`, called `name`.
#[must_use]
pub fn serial_output(console: Console, name: &str, vm: VmHandle) -> Box<dyn Write + Send> {
    match console {
        Console::Terminal => Box::new(PatientStdout::new(vm)),
        Console::Lines => {
            let name = name.to_owned();
            let mut stdout = PatientStdout::new(vm);
            Box::new(Lines::new(move |line: &str| {
                // A closed standard output is no reason to stop a VM. One write, so that lines of several VMs stay whole.
                let _ = stdout.write_all(format!("[{name}] {line}\n").as_bytes());
            }))
        }
        Console::Log => {
            let name = name.to_owned();
            Box::new(Lines::new(move |line: &str| log::debug!("{name}: {line}")))
        }
    }
}

/// Standard output, which may be a pipe that nobody reads. The guest is held up then, as by any slow console, but only until its
/// VM is to end: a vCPU thread that waits here for ever could not be stopped.
struct PatientStdout {
    /// `None`: standard output is closed.
    stdout: Option<File>,
    vm: VmHandle,
}

impl PatientStdout {
    fn new(vm: VmHandle) -> Self {
        let stdout = io::stdout().as_fd().try_clone_to_owned().ok();
        Self {
            stdout: stdout.map(File::from),
            vm,
        }
    }
}

impl Write for PatientStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(bytes.len());
        };
        while !takes_bytes(stdout)? {
            if self.vm.outcome().is_some() {
                return Ok(bytes.len());
            }
        }
        // What is writable takes a few bytes without waiting (a pipe up to PIPE_BUF, 4096).
        stdout.write(bytes.get(..LONGEST_LINE).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for a moment; whether the file can be written to without waiting, or is broken, which the next write will tell.
#[allow(unsafe_code)]
fn takes_bytes(file: &File) -> io::Result<bool> {
    const MOMENT_MS: libc::c_int = 50;
    let mut poll = libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: the pointer is to one live pollfd, as the count says, and the call keeps no pointer to it.
    let ready = unsafe { libc::poll(&raw mut poll, 1, MOMENT_MS) };
    match ready {
        0 => Ok(false),
        1.. => Ok(true),
        _ => match io::Error::last_os_error() {
            // The signal that stops vCPUs, for one.
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
    }
}

/// Gathers bytes into lines, without control characters, and gives each to `sink`.
struct Lines<F> {
    line: Vec<u8>,
    sink: F,
}

impl<F: FnMut(&str)> Lines<F> {
    fn new(sink: F) -> Self {
        Self {
            line: Vec::with_capacity(LONGEST_LINE),
            sink,
        }
    }

    fn end_line(&mut self) {
        let text: String = String::from_utf8_lossy(&self.line)
            .chars()
            .filter(|c| !c.is_control())
            .collect();
        self.line.clear();
        (self.sink)(&text);
    }
}

impl<F: FnMut(&str)> Write for Lines<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                byte => self.line.push(byte),
            }
            if self.line.len() == LONGEST_LINE {
                self.end_line();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_lines_without_control_characters() {
        let mut lines = Vec::new();
        let mut output = Lines::new(|line: &str| lines.push(line.to_owned()));
        for byte in b"one\r\ntwo\x1b[31m\nrest" {
            output.write_all(&[*byte]).expect("it takes all");
        }
        drop(output);
        assert_eq!(lines, ["one", "two[31m"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_does_not_grow() {
        let mut lines = 0;
        let mut output = Lines::new(|_: &str| lines += 1);
        output
            .write_all(&[b'x'; LONGEST_LINE * 3 + 1])
            .expect("it takes all");
        assert_eq!(output.line.len(), 1);
        drop(output);
        assert_eq!(lines, 3);
    }
}
