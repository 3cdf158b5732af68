//! Why a sample never reaches the store.

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was the oldest of a full queue.
    QueueFull,
    /// Its profile is larger than what a queue or a spool may hold.
    TooLarge,
    /// The store does not take it.
    Refused,
    /// It was the oldest of a full spool.
    SpoolFull,
    /// Its file cannot be read, or is not as it was written.
    SpoolDamaged,
    /// The agent ended before it could be delivered.
    Ended,
}

impl Loss {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::QueueFull, Self::TooLarge, Self::Refused, Self::SpoolFull, Self::SpoolDamaged, Self::Ended];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::SpoolFull => "spool_full",
            Self::SpoolDamaged => "spool_damaged",
            Self::Ended => "ended",
        }
    }
}

/// Samples by the reason why they were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses([u64; Loss::ALL.len()]);

impl Losses {
    /// Counts samples.
    pub fn add(&mut self, loss: Loss, samples: u64) {
        self.0[loss as usize] += samples;
    }

    /// Samples lost for a reason.
    pub fn get(&self, loss: Loss) -> u64 {
        self.0[loss as usize]
    }

    /// Samples lost for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Loss, Losses};
    use std::collections::BTreeSet;

    #[test]
    fn each_reason_has_a_place_and_a_name_of_its_own() {
        let mut losses = Losses::default();
        for (samples, loss) in (1..).zip(Loss::ALL) {
            losses.add(loss, samples);
        }
        assert_eq!(Loss::ALL.map(|loss| losses.get(loss)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(losses.total(), 21);
        assert_eq!(BTreeSet::from(Loss::ALL.map(Loss::name)).len(), Loss::ALL.len());
    }
}
