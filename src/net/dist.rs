//! Distributions of delays as integer tables: quantiles with straight lines between them. No float is involved.

use crate::time::{Span, ms, ns, secs};
use std::fmt;

/// A distribution of delays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dist {
    /// `(quantile in units of 2^-32, delay)`, both increasing, the first at 0, the last at 2^32.
    points: Vec<(u64, Span)>,
}

/// Why a table is no distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DistError {
    /// No distribution has this name.
    Name(String),
    /// A table needs two points at least.
    Short,
    /// Quantiles and delays must grow, and quantiles stay below a million.
    Order(usize),
}

impl fmt::Display for DistError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DistError::Name(name) => write!(f, "no distribution is called `{name}`; there is {}", NAMES.join(", ")),
            DistError::Short => f.write_str("a table of delays needs two points at least"),
            DistError::Order(n) => write!(f, "point {n} of the table does not lie after the one before it"),
        }
    }
}

impl std::error::Error for DistError {}

const ONE: u64 = 1 << 32;
const NAMES: [&str; 2] = ["imc2015-50", "imc2015-99"];

/// Quantiles of the standard normal distribution at 1/16 … 15/16 and in the tails, in thousandths of a standard
/// deviation above the mean (Abramowitz and Stegun, table 26.5).
const NORMAL: [(u64, i64); 21] = [
    (0, -3_500),
    (1_350, -3_000),
    (6_210, -2_500),
    (22_750, -2_000),
    (66_807, -1_500),
    (105_650, -1_250),
    (158_655, -1_000),
    (226_627, -750),
    (308_538, -500),
    (401_294, -250),
    (500_000, 0),
    (598_706, 250),
    (691_462, 500),
    (773_373, 750),
    (841_345, 1_000),
    (894_350, 1_250),
    (933_193, 1_500),
    (977_250, 2_000),
    (993_790, 2_500),
    (998_650, 3_000),
    (1_000_000, 3_500),
];

/// Quantiles of the Pareto distribution with shape 2: the minimum times 1/sqrt(1-q), in thousandths, cut at 100 times.
const PARETO: [(u64, u64); 11] = [
    (0, 1_000),
    (250_000, 1_155),
    (500_000, 1_414),
    (750_000, 2_000),
    (900_000, 3_162),
    (960_000, 5_000),
    (990_000, 10_000),
    (997_500, 20_000),
    (999_600, 50_000),
    (999_900, 100_000),
    (1_000_000, 100_000),
];

impl Dist {
    /// Always the same.
    pub fn fixed(span: Span) -> Dist {
        Dist { points: vec![(0, span), (ONE, span)] }
    }

    /// Every span from `least` to `most` alike.
    pub fn uniform(least: Span, most: Span) -> Dist {
        Dist { points: vec![(0, least), (ONE, most.max(least))] }
    }

    /// Normal with this mean and standard deviation, cut at 3.5 deviations and at 0.
    pub fn normal(mean: Span, deviation: Span) -> Dist {
        let at = |thousandths: i64| {
            let off = i128::from(deviation.as_nanos()) * i128::from(thousandths) / 1_000;
            ns(u64::try_from((i128::from(mean.as_nanos()) + off).max(0)).unwrap_or(u64::MAX))
        };
        Dist { points: NORMAL.iter().map(|&(ppm, thousandths)| (quantile(ppm), at(thousandths))).collect() }
    }

    /// Pareto with shape 2 above `least`: half below 1.4 times it, 1 % above 10 times it; cut at 100 times it.
    pub fn pareto(least: Span) -> Dist {
        let at = |thousandths: u64| least * thousandths / 1_000;
        Dist { points: PARETO.iter().map(|&(ppm, thousandths)| (quantile(ppm), at(thousandths))).collect() }
    }

    /// A table of `(quantile in parts per million, delay)`. The first delay also stands for all quantiles below it,
    /// the last for all above.
    pub fn empirical(table: &[(u64, Span)]) -> Result<Dist, DistError> {
        if table.len() < 2 {
            return Err(DistError::Short);
        }
        for (n, pair) in table.windows(2).enumerate() {
            if pair[1].0 <= pair[0].0 || pair[1].1 < pair[0].1 || pair[1].0 > 1_000_000 {
                return Err(DistError::Order(n + 2));
            }
        }
        let mut points: Vec<_> = table.iter().map(|&(ppm, span)| (quantile(ppm), span)).collect();
        if points[0].0 > 0 {
            points.insert(0, (0, points[0].1));
        }
        if points[points.len() - 1].0 < ONE {
            points.push((ONE, points[points.len() - 1].1));
        }
        Ok(Dist { points })
    }

    /// A published distribution: `imc2015-99` and `imc2015-50` are the round-trip times below which a share of pings
    /// from 99 % (50 %) of addresses stays (Padmanabhan, Owen, Schulman, Spring, "Timeouts: Beware Surprisingly High
    /// Delay", IMC 2015), used as they are for one direction.
    pub fn named(name: &str) -> Result<Dist, DistError> {
        let shares = [10_000, 500_000, 800_000, 900_000, 950_000, 980_000, 990_000];
        let spans = match name {
            "imc2015-50" => [ms(160), ms(190), ms(210), ms(260), ms(420), ms(530), ms(640)],
            "imc2015-99" => [ms(330), ms(2_310), secs(4), secs(8), secs(22), secs(76), secs(145)],
            _ => return Err(DistError::Name(name.to_owned())),
        };
        Dist::empirical(&shares.into_iter().zip(spans).collect::<Vec<_>>())
    }

    /// The delay at a quantile, in units of 2^-32.
    pub fn at(&self, quantile: u64) -> Span {
        let n = self.points.partition_point(|&(q, _)| q <= quantile).clamp(1, self.points.len() - 1);
        let ((q0, s0), (q1, s1)) = (self.points[n - 1], self.points[n]);
        let rise = u128::from(s1.as_nanos() - s0.as_nanos()) * u128::from(quantile.min(q1) - q0);
        s0 + ns(u64::try_from(rise / u128::from((q1 - q0).max(1))).unwrap_or(u64::MAX))
    }

    /// The lowest quantile whose delay is at least `span`.
    pub fn quantile_of(&self, span: Span) -> u64 {
        let (mut low, mut high) = (0, ONE);
        while low < high {
            let middle = (low + high) / 2;
            if self.at(middle) < span { low = middle + 1 } else { high = middle }
        }
        low
    }
}

fn quantile(ppm: u64) -> u64 {
    ppm * ONE / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_exact_at_their_points() {
        let dist = Dist::named("imc2015-99").unwrap();
        for (ppm, span) in [(0, ms(330)), (500_000, ms(2_310)), (900_000, secs(8)), (999_999, secs(145))] {
            assert_eq!(dist.at(quantile(ppm)), span);
        }
        assert_eq!(Dist::normal(ms(50), ms(10)).at(ONE / 2), ms(50));
        assert_eq!(Dist::pareto(ms(10)).at(quantile(990_000)), ms(100));
        assert_eq!(Dist::uniform(ms(10), ms(20)).at(ONE / 2), ms(15));
    }

    #[test]
    fn quantiles_find_their_delays_again() {
        let dist = Dist::uniform(ms(10), ms(20));
        for span in [ms(10), ns(12_345_678), ms(20)] {
            assert_eq!(dist.at(dist.quantile_of(span)), span);
        }
    }

    #[test]
    fn tables_out_of_order_are_refused() {
        assert_eq!(Dist::empirical(&[(0, ms(1))]), Err(DistError::Short));
        assert_eq!(Dist::empirical(&[(0, ms(2)), (5, ms(1))]), Err(DistError::Order(2)));
        assert!(Dist::named("imc").is_err());
    }
}
