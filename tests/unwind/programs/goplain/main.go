// goplain: a Go program with one stack in its first goroutine and one in another.
//
//	runtime.goexit > runtime.main > main.main > main.outer > main.leaf
//	runtime.goexit > main.worker > main.outer > main.leaf
package main

import (
	"fmt"
	"os"
)

var total uint64

//go:noinline
func leaf(turns uint64) uint64 {
	var sum uint64
	for turn := uint64(0); turn < turns; turn++ {
		sum += turn ^ sum<<1
	}
	return sum
}

//go:noinline
func outer() {
	total += leaf(5_000_000)
}

//go:noinline
func worker() {
	for {
		outer()
	}
}

func main() {
	fmt.Println(os.Getpid())
	go worker()
	for {
		outer()
	}
}
