//! A Parca-compatible server for tests.

use anyhow::Result;
use peer::{command, flags};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    command::run(argh::from_env::<flags::Flags>()).await
}
