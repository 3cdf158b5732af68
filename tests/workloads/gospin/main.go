// gospin [SECONDS]: a Go program with one goroutine that works and one that allocates, so that the garbage
// collector runs too.
//
//	main.main > main.outer > main.leaf
//	main.allocate > runtime.mallocgc
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

var total uint64
var kept [64][]byte

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
	total += leaf(1_000_000)
}

//go:noinline
func allocate() {
	for index := 0; ; index++ {
		kept[index%len(kept)] = make([]byte, 64<<10)
		time.Sleep(100 * time.Microsecond)
	}
}

func main() {
	seconds := 1e9
	if len(os.Args) > 1 {
		seconds, _ = strconv.ParseFloat(os.Args[1], 64)
	}
	start := time.Now()
	fmt.Println(os.Getpid())
	go allocate()
	for time.Since(start).Seconds() < seconds {
		outer()
	}
}
