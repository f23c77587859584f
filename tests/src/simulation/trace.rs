//! What happened, for people: acts, first announcements, verdicts, claims, handovers. Beats are left out.

use std::time::Duration;

use herald_core::liveness::Body;
use herald_core::member::Effect;

/// Lines with their times, if anybody wants them.
#[derive(Clone, Debug, Default)]
pub struct Trace(Option<Vec<String>>);

impl Trace {
    /// One that keeps nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// One that keeps everything.
    pub const fn on() -> Self {
        Self(Some(Vec::new()))
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn line(&mut self, now: Duration, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.0 {
            lines.push(format!("{:10.4} s  {}", now.as_secs_f64(), text()));
        }
    }

    pub(super) fn effect(&mut self, now: Duration, node: usize, effect: &Effect) {
        if self.0.is_none() {
            return;
        }
        let text = match effect {
            Effect::Report(event) => format!("{event:?}"),
            Effect::Datagram { to, envelope, .. } if envelope.body != Body::Beat => {
                format!("to {to}: {:?}", envelope.body)
            }
            Effect::Ask { inquiry, .. } => format!("asks {inquiry:?}"),
            _ => return,
        };
        self.line(now, || format!("node-{node}: {text}"));
    }
}
