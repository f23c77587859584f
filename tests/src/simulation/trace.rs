//! What happened, for people: acts, first announcements, verdicts, claims, handovers. Beats are left out.

use std::fmt::Write as _;
use std::time::Duration;

use herald_core::liveness::{Body, Obituary, Standing};
use herald_core::member::{Effect, Event, Tenure, VipState};

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
            Effect::Report(Event::Vip { vip, state }) => format!("{} {}", vip.address(), of_state(state)),
            Effect::Report(Event::Peer { node, standing, .. }) => format!("{node} is {}", of_standing(*standing)),
            Effect::Report(event) => format!("{event:?}"),
            Effect::Datagram { to, envelope, .. } => match of_body(&envelope.body) {
                Some(text) => format!("tells {to} {text}"),
                None => return,
            },
            Effect::Ask { inquiry, .. } => format!("asks {inquiry:?}"),
            Effect::Send { .. } | Effect::Join { .. } | Effect::Leave { .. } => return,
        };
        self.line(now, || format!("node-{node}: {text}"));
    }
}

fn of_state(state: &VipState) -> String {
    let mut text = match &state.tenure {
        Tenure::Announcing { epoch, came } => {
            let gap = came.gap.map_or_else(|| "?".to_owned(), |gap| format!("{:.3}", gap.as_secs_f64()));
            let from = came.from.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
            format!("announcing, epoch {epoch}, {:?}, from {from}, gap {gap} s", came.cause)
        }
        Tenure::Yielding { epoch, to, .. } => {
            let to = to.as_ref().map_or_else(|| "nobody yet".to_owned(), ToString::to_string);
            format!("yielding, epoch {epoch}, to {to}")
        }
        Tenure::Suspended { epoch } => format!("suspended, epoch {epoch}"),
        other => format!("{other:?}").to_lowercase(),
    };
    if state.announced.is_empty() && state.tenure.is_held() {
        text.push_str(", not told yet");
    }
    if let Some(conflict) = &state.conflict {
        let _ = write!(text, ", conflict with {}", conflict.mac);
    }
    text
}

fn of_standing(standing: Standing) -> String {
    match standing {
        Standing::Gone { .. } => "gone".to_owned(),
        Standing::Starved { .. } => "starved".to_owned(),
        Standing::Dead { confirmed, .. } => (if confirmed { "dead" } else { "perhaps dead" }).to_owned(),
        Standing::Alive(state) => {
            let flags = [
                (state.able, "able"),
                (state.leaving, "leaving"),
                (state.left, "left"),
                (state.degraded, "late"),
                (state.cut_off, "cut off"),
            ];
            let flags: Vec<&str> = flags.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
            format!("alive ({})", flags.join(", "))
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

fn of_obituaries(what: &str, all: &[Obituary]) -> String {
    format!("{what}: {}", all.iter().map(|one| one.node.as_str()).collect::<Vec<_>>().join(", "))
}

fn of_body(body: &Body) -> Option<String> {
    let text = match body {
        Body::Beat => return None,
        Body::Dead(all) => of_obituaries("dead", all),
        Body::Gone(all) => of_obituaries("gone", all),
        Body::Starved(all) => of_obituaries("starved", all),
        Body::Query(one) => format!("to look at {}", one.node),
        Body::Vote(one, opinion) => format!("{} is {opinion:?}", one.node),
        Body::Claims { node, entries } => {
            let entries = entries.iter().map(|offer| format!("{}#{}", offer.vip.address(), offer.epoch));
            format!("claims of {node}: {}", entries.collect::<Vec<_>>().join(", "))
        }
        Body::Digests(_) => "digests".to_owned(),
        Body::Handover { elective, offers } => {
            let why = if *elective { " as was wished" } else { "" };
            let offers = offers.iter().map(|offer| format!("{}#{}", offer.vip.address(), offer.epoch));
            format!("to take {}{why}", offers.collect::<Vec<_>>().join(", "))
        }
        Body::Mismatch(vips) => format!("mismatch of {vips:?}"),
    };
    Some(text)
}
