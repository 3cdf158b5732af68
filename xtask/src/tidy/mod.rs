//! stub
use argh::FromArgs;
/// Check the house rules.
#[derive(FromArgs)]
#[argh(subcommand, name = "tidy")]
pub(crate) struct Tidy {}
pub(crate) fn run(_: &Tidy) -> anyhow::Result<()> {
    Ok(())
}
