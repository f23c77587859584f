//! What clients notice when the node that announces their address dies, loses its speaker, or hands over.
//!
//! | question | module |
//! |---|---|
//! | which nodes announce, and which one serves? | [`ground`] |
//! | a node loses power, with few and many addresses, with and without the API server | [`power`] |
//! | a speaker is killed | [`speaker`] |
//! | a node is drained while a thousand new connections a second come in | [`drain`] |
//!
//! Every loss goes before the judge of [`herald_tests::invariants`] too; broken promises are counted, and told as they show.

mod drain;
mod ground;
mod power;
mod speaker;

use anyhow::Result;
use herald_tests::artifacts::Progress;
use herald_tests::lab::Lab;

use self::ground::Ground;
use super::histogram::Histogram;
use super::report::{FAILOVER, Figure, Report};

/// Of what takes long, a tenth of the runs, but not fewer than this.
const FEWEST: u32 = 5;

/// All of it; `runs` losses of power with one address.
pub(crate) async fn measured(
    lab: &Lab,
    progress: Progress,
    runs: u32,
    vips: &[u32],
    report: &mut Report,
) -> Result<()> {
    let mut broken = Vec::new();
    let some = (runs / 10).max(FEWEST).min(runs);
    for count in vips {
        let runs = if *count == 1 { runs } else { some };
        let ground = Ground::laid(lab, *count).await?;
        let losses = power::losses(&ground, progress, runs, false).await?;
        let word = if *count == 1 { "address" } else { "addresses" };
        if *count == 1 {
            let title = "Owner loses power: the longest gap of any client";
            report.plot(FAILOVER, Histogram::of(title, 50.0, 1000.0, &power::outages(&losses)));
        }
        report.extend(power::figures(&format!("owner of {count} {word} loses power"), &losses)?);
        if *count == 1 {
            let losses = power::losses(&ground, progress, some, true).await?;
            report.extend(power::figures("the same without an API server", &losses)?);
            report.extend(speaker::killed(&ground, progress, some).await?);
            report.extend(drain::drained(&ground, progress, some).await?);
        }
        broken.extend(ground.cleared().await?);
    }
    let count = u32::try_from(broken.len()).map(f64::from)?;
    report.add(Figure::of("promises broken while nodes and speakers died", "", "0", vec![count])?);
    Ok(())
}
