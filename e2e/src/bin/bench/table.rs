//! The table: medians over the rounds, and each proxy's CPU against nginx's in the same run.

use std::{collections::HashMap, fmt::Write, time::Duration};

use crate::load::{Cell, Sample};

/// One contestant at one load.
pub(crate) struct Line {
    load: String,
    name: &'static str,
    per_second: f64,
    p50: f64,
    p99: f64,
    /// CPU seconds of the proxy for 1,000 requests; not a number for the direct connection.
    cpu: f64,
    errors: usize,
    first_error: Option<String>,
}

#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Line {
    pub(crate) fn of(cell: &Cell, name: &'static str, samples: &[Sample]) -> Self {
        let median_of = |value: &dyn Fn(&Sample) -> f64| median(samples.iter().map(value).collect());
        let errors = samples.iter().flat_map(|sample| &sample.errors);
        Self {
            load: format!("{}, {} connections, {} KiB", cell.name, cell.connections, cell.body / 1024),
            name,
            per_second: median_of(&|sample| sample.replies as f64 / sample.elapsed.as_secs_f64()),
            p50: median_of(&|sample| quantile(&sample.first_bytes, 0.5)),
            p99: median_of(&|sample| quantile(&sample.first_bytes, 0.99)),
            cpu: median_of(&|sample| sample.cpu_seconds * 1000.0 / sample.replies.max(1) as f64),
            errors: errors.clone().count(),
            first_error: errors.clone().next().cloned(),
        }
    }
}

/// `| what | of | median ms | slowest ms |`
pub(crate) fn times(what: &str, mut times: Vec<Duration>) -> String {
    times.sort();
    let ms = |place: usize| times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    format!("| {what} | {} | {:.0} | {:.0} |", times.len(), ms(times.len() / 2), ms(times.len().saturating_sub(1)))
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub(crate) fn markdown(&self) -> String {
        let nginx: HashMap<&str, &Line> =
            self.lines.iter().filter(|line| line.name == "nginx").map(|line| (line.load.as_str(), line)).collect();
        let mut text = String::from(
            "| load | | requests/s | first byte p50 ms | p99 ms | CPU s per 1,000 | CPU : nginx | p50 − nginx ms | errors |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for line in &self.lines {
            let beside = nginx.get(line.load.as_str());
            let ratio = beside.map_or(f64::NAN, |nginx| line.cpu / nginx.cpu);
            let later = beside.map_or(f64::NAN, |nginx| line.p50 - nginx.p50);
            let _ = writeln!(
                text,
                "| {} | {} | {:.0} | {:.2} | {:.2} | {} | {} | {} | {} |",
                line.load,
                line.name,
                line.per_second,
                line.p50,
                line.p99,
                number(line.cpu, 4),
                number(ratio, 2),
                number(later, 2),
                line.errors
            );
        }
        for line in &self.lines {
            if let Some(error) = &line.first_error {
                let _ = writeln!(text, "\n{}, {}: first error: {error}", line.load, line.name);
            }
        }
        text
    }
}

fn number(value: f64, places: usize) -> String {
    if value.is_finite() { format!("{value:.places$}") } else { "–".to_owned() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// In milliseconds, of a sorted list.
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |value| value.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles_are_of_the_values_given() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        let values: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&values, 0.5), 51.0);
        assert_eq!(quantile(&values, 0.99), 100.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
