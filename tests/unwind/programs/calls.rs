//! calls: stacks of a Rust program, in its first thread and in another.
//!
//! ```text
//! main > outer > middle<Deep> > leaf
//! [thread start] > worker > middle<Deep> > leaf
//! ```

use std::hint::black_box;
use std::io::Write;

struct Deep;

trait Kind {
    const TURNS: u64;
}

impl Kind for Deep {
    const TURNS: u64 = 5_000_000;
}

#[inline(never)]
fn leaf(turns: u64) -> u64 {
    let mut sum = 0;
    for turn in 0..turns {
        sum = black_box(sum + turn);
    }
    sum
}

#[inline(never)]
fn middle<K: Kind>(numbers: &mut Vec<u64>) {
    numbers.clear();
    let sum = leaf(black_box(K::TURNS));
    numbers.push(black_box(sum));
}

#[inline(never)]
fn outer(numbers: &mut Vec<u64>) -> u64 {
    middle::<Deep>(numbers);
    black_box(numbers.len() as u64)
}

#[inline(never)]
fn worker() {
    let mut numbers = Vec::new();
    loop {
        middle::<Deep>(&mut numbers);
        black_box(&numbers);
    }
}

fn main() {
    println!("{}", std::process::id());
    std::io::stdout().flush().unwrap();
    std::thread::spawn(worker);
    let mut numbers = Vec::new();
    loop {
        black_box(outer(&mut numbers));
    }
}
