// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where the bytes of a guest's serial port go.

use std::io::{self, Write};

use super::Console;

/// Longest line that is kept together; a guest that never ends its lines has them cut.
const LONGEST_LINE: usize = 1024;

/// The writer for the serial port of the VM called `name`.
#[must_use]
pub fn serial_output(console: Console, name: &str) -> Box<dyn Write + Send> {
    match console {
        Console::Terminal => Box::new(io::stdout()),
        Console::Lines => {
            let name = name.to_owned();
            Box::new(Lines::new(move |line: &str| {
                // A closed standard output is no reason to stop a VM.
                let _ = writeln!(io::stdout().lock(), "[{name}] {line}");
            }))
        }
        Console::Log => {
            let name = name.to_owned();
            Box::new(Lines::new(move |line: &str| log::debug!("{name}: {line}")))
        }
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
