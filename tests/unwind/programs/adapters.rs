//! adapters: main > outer > [iterators and closures of the standard library] > inner > leaf, built so that a
//! panic unwinds. `inner` is called from a closure in an adapter in a boxed closure.

use std::hint::black_box;
use std::io::Write;

#[no_mangle]
#[inline(never)]
extern "C" fn leaf() {
    for turn in 0..10_000_000_u64 {
        black_box(turn);
    }
}

#[no_mangle]
#[inline(never)]
fn inner(number: u64) -> u64 {
    leaf();
    black_box(number) + 1
}

#[inline(never)]
fn boxed(depth: u32) -> Box<dyn Fn(u64) -> u64> {
    if depth == 0 {
        return Box::new(|number| black_box(inner(number)) + 1);
    }
    let next = boxed(depth - 1);
    Box::new(move |number| (0..2).map(|turn| black_box(next(number + turn)) * 3).fold(0, u64::wrapping_add))
}

#[no_mangle]
#[inline(never)]
fn outer(call: &dyn Fn(u64) -> u64) -> u64 {
    black_box(call(1)) + 1
}

fn main() {
    println!("{}", std::process::id());
    std::io::stdout().flush().unwrap();
    let call = boxed(4);
    while black_box(true) {
        black_box(outer(&*call));
    }
}
