//! `bench`: measures Herald in a lab and prints what it measured as distributions.
//!
//! | question | module |
//! |---|---|
//! | how soon does a new Service have an address, alone and among many? | [`allocation`] |
//! | how soon is a new address reached, how fast are ARP and neighbour solicitations answered? | [`answers`] |
//! | by which patch is a Service's status written best? | [`patches`] |
//! | how much memory do the daemons hold? | [`memory`] |
//! | what do clients notice when a node dies or hands over? | [`failover`] |
//! | what do heartbeats cost? | [`heartbeats`], [`lan`] |
//! | what is a distribution, how is it printed, drawn and kept? | [`distribution`], [`report`], [`histogram`] |

mod allocation;
mod answers;
mod distribution;
mod failover;
mod heartbeats;
mod histogram;
mod lan;
mod memory;
mod patches;
mod report;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use herald_tests::artifacts::Progress;
use herald_tests::lab::{Lab, Options, ProcessId};

use self::report::Report;

/// The lab the figures come from.
const LAB: &str = "bench";

/// Measures Herald in a lab of its own. Needs root.
#[derive(Parser)]
struct Arguments {
    /// Where the figures go as JSON.
    #[arg(long, value_name = "FILE", default_value = "build/bench.json")]
    json: PathBuf,
    /// Where the figures go as a page of the documentation.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Where the plots go as SVG files.
    #[arg(long, value_name = "DIRECTORY", default_value = "build")]
    plots: PathBuf,
    /// Only these chapters; the figures of the others stay as the file has them.
    #[arg(long, value_name = "CHAPTER,…", value_delimiter = ',', value_enum)]
    only: Vec<Chapter>,
    /// Losses of power in a row with one address; of what takes longer, a tenth of it.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Power is lost by a node with each of these numbers of addresses.
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_values_t = [1, 100, 1000])]
    vips: Vec<u32>,
    /// Services created one after the other, each after the address of the one before.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    created: u32,
    /// Requests asked of a served address, and questions of each kind asked on the wire.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    questions: u32,
    /// Memory is taken at each of these numbers of Services.
    #[arg(long, value_name = "COUNT,…", value_delimiter = ',', default_values_t = [100, 1000])]
    services: Vec<u32>,
}

/// What there is to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chapter {
    /// How soon Services have addresses, and what writes cost
    Allocation,
    /// How fast addresses answer
    Answers,
    /// How much memory the daemons hold
    Memory,
    /// What clients notice when a node dies or hands over
    Failover,
    /// What heartbeats cost with 3, 50 and 200 nodes
    Heartbeats,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let progress = Progress::stderr();
    let mut report = if arguments.only.is_empty() { Report::default() } else { Report::kept(&arguments.json)? };
    if arguments.has(Chapter::Heartbeats) {
        report.extend(heartbeats::cost(progress).await?);
    }
    if arguments.needs_lab() {
        let options = Options { release: true, ..Options::named(LAB) };
        let lab = Lab::up(options, Some(ProcessId::own()?), progress).await?;
        let measured = measure(&lab, progress, &arguments, &mut report).await;
        let down = Lab::down(LAB);
        measured?;
        down?;
    }
    println!("{}", report.table());
    report.write_json(&arguments.json)?;
    println!("written to {}", arguments.json.display());
    for plot in report.write_plots(&arguments.plots)? {
        println!("and to {}", plot.display());
    }
    if let Some(page) = arguments.page {
        std::fs::write(&page, report.page(&arguments.plots)).with_context(|| format!("writing {}", page.display()))?;
        println!("and to {}", page.display());
    }
    Ok(())
}

impl Arguments {
    fn has(&self, chapter: Chapter) -> bool {
        self.only.is_empty() || self.only.contains(&chapter)
    }

    fn needs_lab(&self) -> bool {
        self.only.is_empty() || self.only.iter().any(|chapter| *chapter != Chapter::Heartbeats)
    }
}

async fn measure(lab: &Lab, progress: Progress, arguments: &Arguments, report: &mut Report) -> Result<()> {
    let Arguments { created, questions, runs, .. } = *arguments;
    if arguments.has(Chapter::Allocation) {
        progress.say(&format!("creating {created} Services, one after the other"));
        report.add(allocation::one_by_one(lab, created).await?);
        progress.say("doing the same writes by hand");
        report.add(allocation::by_hand(lab, created).await?);
        progress.say("writing status by two kinds of patch");
        report.extend(patches::compared(lab, created).await?);
    }
    if arguments.has(Chapter::Answers) {
        progress.say("asking the wire, and a served address");
        report.extend(answers::on_the_wire(lab, questions).await?);
        report.extend(answers::of_new_addresses(lab).await?);
    }
    if arguments.has(Chapter::Failover) {
        failover::measured(lab, progress, runs, &arguments.vips, report).await?;
    }
    if arguments.has(Chapter::Memory) {
        let mut counts = arguments.services.clone();
        counts.sort_unstable();
        for count in counts {
            progress.say(&format!("{count} Services at once, then the daemons' memory"));
            report.extend(memory::at(lab, count).await?);
        }
    }
    Ok(())
}

/// The clock of measurements.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
