//! Build front door.
fn main() {}
