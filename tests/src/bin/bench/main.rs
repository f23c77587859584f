//! `bench`: measures Herald in a lab and prints what it measured as distributions.
//!
//! | question | module |
//! |---|---|
//! | how soon does a new Service have an address, alone and among many? | [`allocation`] |
//! | how soon is a new address reached, how fast are ARP and neighbour solicitations answered? | [`answers`] |
//! | by which patch is a Service's status written best? | [`patches`] |
//! | how much memory do the daemons hold? | [`memory`] |
//! | what is a distribution, how is it printed and kept? | [`distribution`], [`report`] |

mod allocation;
mod answers;
mod distribution;
mod memory;
mod patches;
mod report;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
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

#[tokio::main]
async fn main() -> Result<()> {
    let Arguments { json, page, created, questions, services } = Arguments::parse();
    let progress = Progress::stderr();
    let options = Options { release: true, ..Options::named(LAB) };
    let lab = Lab::up(options, Some(ProcessId::own()?), progress).await?;
    let measured = measure(&lab, progress, created, questions, &services).await;
    let down = Lab::down(LAB);
    let report = measured?;
    down?;
    println!("{}", report.table());
    report.write_json(&json)?;
    println!("written to {}", json.display());
    if let Some(page) = page {
        std::fs::write(&page, report.page()).with_context(|| format!("writing {}", page.display()))?;
        println!("and to {}", page.display());
    }
    Ok(())
}

async fn measure(lab: &Lab, progress: Progress, created: u32, questions: u32, services: &[u32]) -> Result<Report> {
    let mut report = Report::default();
    progress.say(&format!("creating {created} Services, one after the other"));
    report.add(allocation::one_by_one(lab, created).await?);
    progress.say("writing status by two kinds of patch");
    report.extend(patches::compared(lab, created).await?);
    progress.say("asking the wire, and a served address");
    report.extend(answers::on_the_wire(lab, questions).await?);
    report.extend(answers::of_new_addresses(lab).await?);
    let mut counts = services.to_vec();
    counts.sort_unstable();
    for count in counts {
        progress.say(&format!("{count} Services at once, then the daemons' memory"));
        report.extend(memory::at(lab, count).await?);
    }
    Ok(report)
}

/// The clock of measurements.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
