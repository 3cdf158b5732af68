// spin.js [SECONDS]: a Node program with one stack, main > outer > leaf, compiled by V8 after a moment.

"use strict";

function leaf() {
  let total = 0;
  for (let number = 0; number < 1_000_000; number++) {
    total = (total + number * 7) % 1_000_003;
  }
  return total;
}

function outer() {
  return leaf() + 1;
}

function main() {
  const seconds = Number(process.argv[2] ?? 1e9);
  const end = Date.now() + seconds * 1000;
  console.log(process.pid);
  while (Date.now() < end) {
    outer();
  }
}

main();
