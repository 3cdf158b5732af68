//! Which share of the targets is profiled.

use std::fmt;
use std::str::FromStr;

/// A share, from 0.0 for none to 1.0 for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingRatio(f64);

/// It is never NaN.
impl Eq for SamplingRatio {}

impl SamplingRatio {
    /// All targets.
    pub const DEFAULT: Self = Self(1.0);

    /// The share, from 0.0 to 1.0.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// Not a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no number from 0.0 to 1.0")]
pub struct SamplingRatioError {
    /// What was written.
    pub given: String,
}

impl FromStr for SamplingRatio {
    type Err = SamplingRatioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            // Rust reads `+1` and `-0`, and the sign of a zero would be kept.
            Ok(ratio @ 0.0..=1.0) if !text.starts_with(['+', '-']) => Ok(Self(ratio)),
            _ => Err(SamplingRatioError { given: text.into() }),
        }
    }
}

impl From<SamplingRatio> for f64 {
    fn from(ratio: SamplingRatio) -> Self {
        ratio.get()
    }
}

/// With a point, as TOML wants it.
impl fmt::Display for SamplingRatio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::SamplingRatio;

    #[test]
    fn a_ratio_is_from_none_to_all() {
        for (text, ratio, shown) in [
            ("0", 0.0, "0.0"),
            ("0.0", 0.0, "0.0"),
            ("1", 1.0, "1.0"),
            (".5", 0.5, "0.5"),
            ("1e-1", 0.1, "0.1"),
        ] {
            let parsed = text.parse::<SamplingRatio>().unwrap();
            assert_eq!((parsed.get(), parsed.to_string().as_str()), (ratio, shown), "{text}");
        }
        for text in
            ["", "NaN", "nan", "inf", "-inf", "infinity", "-0.1", "-0", "+1", "1.1", "2", "50%", " 1", "0,5"]
        {
            let error = text.parse::<SamplingRatio>().unwrap_err().to_string();
            assert_eq!(error, format!("{text:?} is no number from 0.0 to 1.0"));
        }
    }
}
