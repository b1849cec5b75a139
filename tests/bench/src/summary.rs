//! What a contender's runs at the same work say together.

use crate::table::thousands;
use crate::trial::{Contender, Trial};

/// The medians of a contender's runs.
pub struct Summary {
    /// Who.
    pub contender: Contender,
    /// Records, or samples, per second.
    pub rate: f64,
    /// That of the slowest run.
    pub slowest: f64,
    /// CPU seconds of the contender for a million.
    pub client_cpu: f64,
    /// CPU seconds of PostgreSQL for a million.
    pub postgres_cpu: f64,
    /// Its most memory, MiB.
    pub peak_mib: Option<f64>,
    /// Bytes of WAL for one.
    pub wal_bytes: f64,
    is_disturbed: bool,
}

impl Summary {
    /// One for each contender, in the order of their first runs.
    #[must_use]
    pub fn each(trials: &[Trial]) -> Vec<Self> {
        let mut contenders: Vec<Contender> = Vec::new();
        for trial in trials {
            if !contenders.contains(&trial.contender) {
                contenders.push(trial.contender);
            }
        }
        contenders.into_iter().map(|contender| Self::of(contender, trials)).collect()
    }

    /// Disturbed runs count only where there are no others.
    #[must_use]
    pub fn of(contender: Contender, trials: &[Trial]) -> Self {
        let all: Vec<&Trial> = trials.iter().filter(|t| t.contender == contender).collect();
        let calm: Vec<&Trial> = all.iter().copied().filter(|t| !t.is_disturbed()).collect();
        let is_disturbed = calm.is_empty();
        let runs = if is_disturbed { all } else { calm };
        let of = |value: fn(&Trial) -> f64| median(runs.iter().map(|trial| value(trial)).collect());
        let peaks: Vec<f64> = runs.iter().filter_map(|trial| trial.peak_mib).collect();
        Self {
            contender,
            rate: of(|trial| trial.rate),
            slowest: runs.iter().map(|trial| trial.rate).fold(f64::INFINITY, f64::min),
            client_cpu: of(|trial| trial.client_cpu),
            postgres_cpu: of(|trial| trial.postgres_cpu),
            peak_mib: (!peaks.is_empty()).then(|| median(peaks)),
            wal_bytes: of(|trial| trial.wal_bytes),
            is_disturbed,
        }
    }

    /// The rate; it has a star if all runs were disturbed.
    #[must_use]
    pub fn marked_rate(&self) -> String {
        format!("{}{}", thousands(self.rate), if self.is_disturbed { " *" } else { "" })
    }

    /// Cells, from who it is to its WAL; `all` tells how fast ours is.
    #[must_use]
    pub fn cells(&self, all: &[Self]) -> Vec<String> {
        let ours = all.iter().find(|summary| summary.contender == Contender::Ours);
        let ratio = match ours {
            Some(ours) if self.contender != Contender::Ours => {
                format!("{:.2} x", ours.rate / self.rate)
            }
            _ => String::new(),
        };
        vec![
            self.contender.title().to_owned(),
            self.marked_rate(),
            thousands(self.slowest),
            ratio,
            format!("{:.1}", self.client_cpu),
            format!("{:.1}", self.postgres_cpu),
            self.peak_mib.map(thousands).unwrap_or_default(),
            format!("{:.1}", self.wal_bytes),
        ]
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
