//! What a person sees while things are built: on a terminal one line that counts seconds, elsewhere a plain line now
//! and then. Knows nothing of what is built.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often a line says that work goes on when there is no terminal to redraw.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Longest line drawn on a terminal, so that it never wraps and can be redrawn in place.
const WIDTH: usize = 100;

/// Where progress is shown.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Terminal,
    Lines,
    Nowhere,
}

impl Progress {
    /// On standard error, redrawn in place if that is a terminal.
    pub fn stderr() -> Self {
        Self { shown: if stderr().is_terminal() { Shown::Terminal } else { Shown::Lines } }
    }

    /// Shows nothing.
    pub fn quiet() -> Self {
        Self { shown: Shown::Nowhere }
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        if self.shown != Shown::Nowhere {
            eprintln!("{line}");
        }
    }

    /// Starts a piece of work named `what`, for example "building containerd (about a minute)".
    pub fn begin(&self, what: impl Into<String>) -> Step {
        let step = Step { shown: self.shown, what: what.into(), started: now(), said: now() };
        match step.shown {
            Shown::Terminal => step.redraw(""),
            Shown::Lines => eprintln!("{}", step.what),
            Shown::Nowhere => {}
        }
        step
    }
}

/// A piece of work that is going on. Dropping it without [`Step::end`] leaves its line as it stands: it failed.
#[derive(Debug)]
pub struct Step {
    shown: Shown,
    what: String,
    started: Instant,
    said: Instant,
}

impl Step {
    /// Shows that work goes on, with what is being done at the moment; to be called about once a second.
    pub fn tick(&mut self, detail: &str) {
        match self.shown {
            Shown::Terminal => self.redraw(detail),
            Shown::Lines if self.said.elapsed() >= PLAIN_EVERY => {
                self.said = now();
                eprintln!("{}", self.line(detail));
            }
            Shown::Lines | Shown::Nowhere => {}
        }
    }

    /// The work is done.
    pub fn end(self) {
        let seconds = self.started.elapsed().as_secs_f64();
        match self.shown {
            // The line's end is printed when the step is dropped.
            Shown::Terminal => eprint!("\r\x1b[K{}: {seconds:.1} s", self.what),
            Shown::Lines => eprintln!("{}: done in {seconds:.1} s", self.what),
            Shown::Nowhere => {}
        }
    }

    fn redraw(&self, detail: &str) {
        eprint!("\r\x1b[K{}", self.line(detail));
        // Only looks are lost if it can't be flushed.
        let _ = stderr().flush();
    }

    fn line(&self, detail: &str) -> String {
        let line = format!("{} ... {} s  {detail}", self.what, self.started.elapsed().as_secs());
        line.chars().take(WIDTH).collect()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.shown == Shown::Terminal {
            eprintln!();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "elapsed time is what is shown")]
fn now() -> Instant {
    Instant::now()
}
