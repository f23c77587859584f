//! Many measurements of one thing as a picture: an SVG file that a page of the documentation can show.

use std::fmt::Write as _;

use super::distribution::Distribution;

/// The picture, in pixels.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
/// Around the bars: left, right, top, bottom.
const MARGIN: [f64; 4] = [48.0, 16.0, 40.0, 56.0];

/// A histogram.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    title: String,
    /// In milliseconds.
    width: f64,
    /// The bound to be drawn, in milliseconds.
    bound: f64,
    counts: Vec<usize>,
    values: Distribution,
}

impl Histogram {
    /// Of one or more values in milliseconds, in classes of `width` milliseconds from 0 on, at least up to `bound`.
    pub(crate) fn of(title: &str, width: f64, bound: f64, values: &[f64]) -> Option<Self> {
        let distribution = Distribution::of(values.to_vec())?;
        let classes = class(distribution.max.max(bound), width) + 1;
        let mut counts = vec![0; classes];
        for value in values {
            if let Some(count) = counts.get_mut(class(*value, width)) {
                *count += 1;
            }
        }
        Some(Self { title: title.to_owned(), width, bound, counts, values: distribution })
    }

    /// As SVG.
    pub(crate) fn svg(&self) -> String {
        let [left, right, top, bottom] = MARGIN;
        let (inner, floor) = (WIDTH - left - right, HEIGHT - bottom);
        let per_class = inner / number(self.counts.len());
        let x = |milliseconds: f64| left + milliseconds / self.width * per_class;
        let most = self.counts.iter().copied().max().unwrap_or(1).max(1);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
        );
        let mut draw = |line: String| {
            svg.push_str(&line);
            svg.push('\n');
        };
        draw(text(left, 22.0, "start", &self.title, "font-weight=\"bold\""));
        for (index, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = number(*count) / number(most) * (floor - top);
            let (at, y) = (left + number(index) * per_class, floor - height);
            let bar = (per_class - 1.0).max(0.5);
            draw(format!(
                "<rect x=\"{at:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{height:.1}\" fill=\"#3b6ea5\"/>"
            ));
            draw(text(at + bar / 2.0, y - 3.0, "middle", &count.to_string(), "font-size=\"10\""));
        }
        draw(format!("<path d=\"M{left} {floor}H{:.1}\" stroke=\"#333\"/>", WIDTH - right));
        for label in ticks(number(self.counts.len()) * self.width) {
            draw(text(x(label), floor + 16.0, "middle", &format!("{label:.0}"), ""));
        }
        draw(text(WIDTH - right, floor + 32.0, "end", "milliseconds", ""));
        let Distribution { count, median, p95, max, .. } = self.values;
        let summary = format!("{count} runs: median {median:.0} ms, p95 {p95:.0} ms, worst {max:.0} ms");
        draw(text(left, floor + 48.0, "start", &summary, ""));
        let bound = x(self.bound);
        draw(format!("<path d=\"M{bound:.1} {top}V{floor}\" stroke=\"#b03030\" stroke-dasharray=\"4 3\"/>"));
        draw(text(bound - 4.0, top + 10.0, "end", &format!("bound {:.0} ms", self.bound), "fill=\"#b03030\""));
        svg + "</svg>\n"
    }
}

fn text(x: f64, y: f64, anchor: &str, words: &str, more: &str) -> String {
    let mut line = format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#333\"");
    if !more.is_empty() {
        let _ = write!(line, " {more}");
    }
    line + &format!(">{words}</text>")
}

/// Five to ten round numbers from 0 to a largest one.
fn ticks(most: f64) -> Vec<f64> {
    let steps = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];
    let step = steps.into_iter().find(|step| most / step <= 10.0).unwrap_or(most);
    let mut labels = Vec::new();
    let mut label = 0.0;
    while label <= most {
        labels.push(label);
        label += step;
    }
    labels
}

/// The class a value belongs to.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are positive and small")]
fn class(value: f64, width: f64) -> usize {
    (value.max(0.0) / width) as usize
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs and pixels are small")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_in_one_class() {
        let histogram = Histogram::of("gaps", 50.0, 200.0, &[0.0, 49.9, 50.0, 230.0]).unwrap();
        assert_eq!(histogram.counts, [2, 1, 0, 0, 1]);
        let svg = histogram.svg();
        assert!(svg.contains("4 runs: median 50 ms") && svg.ends_with("</svg>\n"), "{svg}");
        assert_eq!(svg.matches("fill=\"#3b6ea5\"").count(), 3, "a bar for each class with values:\n{svg}");
    }

    #[test]
    fn labels_are_round_and_not_too_many() {
        assert_eq!(ticks(1050.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
    }
}
