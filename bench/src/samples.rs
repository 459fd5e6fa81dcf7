//! Figures of one measure on one engine, and the two numbers that are made of them.

#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    values: Vec<f64>,
}

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub(crate) fn count(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The nearest-rank quantile: a value that was really measured. Not a number when there are no samples.
    pub(crate) fn quantile(&self, fraction: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (fraction * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    fn samples(values: impl IntoIterator<Item = u32>) -> Samples {
        let mut samples = Samples::default();
        for value in values {
            samples.push(f64::from(value));
        }
        samples
    }

    #[test]
    fn quantiles_are_measured_values() {
        let hundred = samples((1..=100).rev());
        assert_eq!(hundred.median(), 50.0);
        assert_eq!(hundred.quantile(0.99), 99.0);
        assert_eq!(hundred.quantile(0.01), 1.0);
        assert_eq!(samples([3]).median(), 3.0);
        assert_eq!(samples([1, 2]).quantile(0.99), 2.0);
    }

    #[test]
    fn no_samples_have_no_quantile() {
        assert!(samples([]).median().is_nan());
    }
}
