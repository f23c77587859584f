//! Figures, and how they are shown: as a table, as JSON, as a page of the documentation.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use super::distribution::Distribution;
use super::histogram::Histogram;

/// One thing that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What, in words.
    pub(crate) what: String,
    /// `ms`, `MB`, `%`, ...
    pub(crate) unit: String,
    /// What it must reach, in words; empty if nothing was asked for.
    pub(crate) target: String,
    /// The values.
    pub(crate) values: Distribution,
}

/// All figures of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    #[serde(skip)]
    plots: Vec<(&'static str, Histogram)>,
}

/// The plot of losses of power.
pub(crate) const FAILOVER: &str = "failover";

const HEADER: [&str; 9] = ["figure", "n", "min", "median", "p95", "p99", "max", "unit", "target"];

impl Report {
    /// The figures that an earlier run has left in a file; none if there is no file.
    pub(crate) fn kept(file: &Path) -> Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} has no figures: remove it", file.display()))
    }

    /// Puts a figure in the place of an earlier one of the same name, or behind all others.
    pub(crate) fn add(&mut self, figure: Figure) {
        match self.figures.iter_mut().find(|earlier| earlier.what == figure.what) {
            Some(earlier) => *earlier = figure,
            None => self.figures.push(figure),
        }
    }

    pub(crate) fn extend(&mut self, figures: impl IntoIterator<Item = Figure>) {
        for figure in figures {
            self.add(figure);
        }
    }

    /// Keeps a plot under a name.
    pub(crate) fn plot(&mut self, name: &'static str, plot: Option<Histogram>) {
        self.plots.extend(plot.map(|plot| (name, plot)));
    }

    /// Writes every plot as `NAME.svg` into a directory; returns the files.
    pub(crate) fn write_plots(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for (name, plot) in &self.plots {
            fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
            let file = directory.join(format!("{name}.svg"));
            fs::write(&file, plot.svg()).with_context(|| format!("writing {}", file.display()))?;
            written.push(file);
        }
        Ok(written)
    }

    pub(crate) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(HEADER);
        for figure in &self.figures {
            table.add_row(figure.cells());
        }
        for index in 1..=6 {
            if let Some(column) = table.column_mut(index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }

    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        }
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))
    }

    /// A page in Markdown, with the plots that are in a directory beside it.
    pub(crate) fn page(&self, plots: &Path) -> String {
        let mut page = String::from(
            "# Figures\n\n\
             Measured by `make bench` in the lab: three nodes with kubelets, containerd and kube-proxy, control plane and clients, all on two \
             cores of one machine. Written by that command; your numbers will differ, the shape should not.\n\n",
        );
        if plots.join(format!("{FAILOVER}.svg")).exists() {
            let _ = writeln!(page, "![Distribution of the longest gap]({FAILOVER}.svg)\n");
        }
        let row = |page: &mut String, cells: &[String]| writeln!(page, "| {} |", cells.join(" | "));
        let _ = row(&mut page, &HEADER.map(str::to_owned));
        let _ = row(&mut page, &["---", "--:", "--:", "--:", "--:", "--:", "--:", "---", "---"].map(str::to_owned));
        for figure in &self.figures {
            let _ = row(&mut page, &figure.cells());
        }
        page
    }
}

impl Figure {
    /// What the values say.
    pub(crate) fn of(
        what: impl Into<String>,
        unit: &'static str,
        target: &'static str,
        values: Vec<f64>,
    ) -> Result<Self> {
        let what = what.into();
        let values = Distribution::of(values).with_context(|| format!("nothing was measured: {what}"))?;
        Ok(Self { what, unit: unit.to_owned(), target: target.to_owned(), values })
    }

    fn cells(&self) -> [String; 9] {
        let Distribution { count, min, median, p95, p99, max } = self.values;
        let [min, median, p95, p99, max] = [min, median, p95, p99, max].map(|value| format!("{value:.2}"));
        let [what, unit, target] = [&self.what, &self.unit, &self.target].map(Clone::clone);
        [what, count.to_string(), min, median, p95, p99, max, unit, target]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_measured_again_takes_the_place_of_the_earlier_one() {
        let mut report = Report::default();
        for (what, value) in [("one", 1.0), ("two", 2.0), ("one", 3.0)] {
            report.add(Figure::of(what, "ms", "", vec![value]).unwrap());
        }
        let text = serde_json::to_string(&report).unwrap();
        let kept: Report = serde_json::from_str(&text).unwrap();
        let seen: Vec<(&str, f64)> = kept.figures.iter().map(|one| (one.what.as_str(), one.values.max)).collect();
        assert_eq!(seen, [("one", 3.0), ("two", 2.0)]);
    }
}
