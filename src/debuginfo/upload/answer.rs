//! Whether a store wants the debug information of a build id, and why. Pure.

use super::message::ShouldInitiateUploadResponse;
use std::time::Duration;

/// Until a store is asked again that has an upload by somebody else under way. A store gives one up as stale after a
/// quarter of an hour at the earliest.
pub const IN_PROGRESS: Duration = Duration::from_secs(300);

/// What the store says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It wants it.
    Wanted {
        /// Why.
        reason: Reason,
    },
    /// It does not.
    NotWanted {
        /// Why.
        reason: Reason,
    },
    /// It may want it after [`IN_PROGRESS`].
    Later {
        /// Why.
        reason: Reason,
    },
}

/// Why, as a store says it in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody has sent it.
    FirstSeen,
    /// A server of debug information has it.
    InDebuginfod,
    /// Somebody began to send it, and did not finish.
    Stale,
    /// Somebody sends it.
    InProgress,
    /// It is there.
    Exists,
    /// It is there, and of no use.
    ExistsButInvalid,
    /// It was there and was deleted.
    Purged,
    /// A sentence that the agent does not know.
    Unknown,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::FirstSeen,
        Self::InDebuginfod,
        Self::Stale,
        Self::InProgress,
        Self::Exists,
        Self::ExistsButInvalid,
        Self::Purged,
        Self::Unknown,
    ];

    /// Finds it in a sentence. The words are those that all versions of the server have had.
    pub fn of(sentence: &str) -> Self {
        let sentence = sentence.to_lowercase();
        let has = |words: &str| sentence.contains(words);
        // "In progress and not stale yet" has both words; "not marked as invalid" has the other one too.
        let is_invalid = has("marked as invalid") && !has("not marked as invalid");
        if has("in-progress") || has("in progress") {
            Self::InProgress
        } else if has("first time") {
            Self::FirstSeen
        } else if has("stale") {
            Self::Stale
        } else if has("purged") {
            Self::Purged
        } else if is_invalid {
            Self::ExistsButInvalid
        } else if has("debuginfod") {
            Self::InDebuginfod
        } else if has("already exists") {
            Self::Exists
        } else {
            Self::Unknown
        }
    }

    /// As a metric's label value.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstSeen => "first_seen",
            Self::InDebuginfod => "in_debuginfod",
            Self::Stale => "stale",
            Self::InProgress => "in_progress",
            Self::Exists => "exists",
            Self::ExistsButInvalid => "exists_but_invalid",
            Self::Purged => "purged",
            Self::Unknown => "unknown",
        }
    }
}

impl From<&ShouldInitiateUploadResponse> for Answer {
    /// What is wanted is what the flag says; the sentence tells "not now" from "no".
    fn from(response: &ShouldInitiateUploadResponse) -> Self {
        match (response.should_initiate_upload, Reason::of(&response.reason)) {
            (true, reason) => Self::Wanted { reason },
            (false, reason @ Reason::InProgress) => Self::Later { reason },
            (false, reason) => Self::NotWanted { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Reason};
    use crate::debuginfo::upload::message::ShouldInitiateUploadResponse;
    use std::collections::BTreeSet;

    #[test]
    fn a_reason_is_found_in_what_a_server_says() {
        for (sentence, expected) in [
            (
                "First time we see this Build ID, and it does not exist in debuginfod, therefore please upload!",
                Reason::FirstSeen,
            ),
            ("First time we see this Build ID, therefore please upload!", Reason::FirstSeen),
            ("Debuginfo exists in debuginfod, therefore no upload is necessary.", Reason::InDebuginfod),
            (
                "Debuginfo is available from debuginfod already and not marked as invalid, therefore no new \
                 upload is needed.",
                Reason::InDebuginfod,
            ),
            (
                "A previous upload was started but not finished and is now stale, so it can be retried.",
                Reason::Stale,
            ),
            (
                "A previous upload is still in-progress and not stale yet (only stale uploads can be retried).",
                Reason::InProgress,
            ),
            (
                "Debuginfo already exists and is not marked as invalid, therefore no new upload is needed.",
                Reason::Exists,
            ),
            (
                "Debuginfo already exists but is marked as invalid, therefore a new upload is needed. Hash the \
                 debuginfo and initiate the upload.",
                Reason::ExistsButInvalid,
            ),
            (
                "Debuginfo is available from debuginfod already but is marked as invalid, therefore a new \
                 upload is needed.",
                Reason::ExistsButInvalid,
            ),
            ("Debuginfo was purged, therefore it can be uploaded again.", Reason::Purged),
            ("", Reason::Unknown),
            ("Come back on Monday.", Reason::Unknown),
        ] {
            assert_eq!(Reason::of(sentence), expected, "{sentence}");
        }
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn the_flag_decides_whatever_the_sentence_says() {
        let (busy, odd) = ("A previous upload is still in-progress", "Come back on Monday.");
        for (should, sentence, expected) in [
            (true, odd, Answer::Wanted { reason: Reason::Unknown }),
            (true, busy, Answer::Wanted { reason: Reason::InProgress }),
            (false, busy, Answer::Later { reason: Reason::InProgress }),
            (false, odd, Answer::NotWanted { reason: Reason::Unknown }),
            (false, "First time", Answer::NotWanted { reason: Reason::FirstSeen }),
        ] {
            let response =
                ShouldInitiateUploadResponse { should_initiate_upload: should, reason: sentence.to_owned() };
            assert_eq!(Answer::from(&response), expected, "{should} {sentence}");
        }
    }
}
