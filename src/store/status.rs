//! How the store does, for people: shown on the page.

/// At one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStatus {
    /// Host and port.
    pub peer: String,
    /// Whether it took the last request; `None` before the first.
    pub is_up: Option<bool>,
    /// Why it did not take the last one that it did not take, since it was up.
    pub error: Option<String>,
    /// Samples of finished profiles that it does not have yet, wherever they wait.
    pub waiting: u64,
    /// Samples that it took.
    pub delivered: u64,
    /// Samples that it will never have.
    pub dropped: u64,
}

impl StoreStatus {
    /// In the page and the interface.
    pub fn state(&self) -> &'static str {
        match self.is_up {
            None => "not asked yet",
            Some(true) => "up",
            Some(false) => "down",
        }
    }
}
