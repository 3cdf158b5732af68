// gochain: runtime.main > main.main > main.outer > main.middle > main.leaf. Interfaces and closures keep the
// compiler from joining them.
package main

import (
	"fmt"
	"os"
)

var sink int

//go:noinline
func leaf(turns int) int {
	sum := 0
	for turn := 0; turn < turns; turn++ {
		sum += turn ^ sum
	}
	return sum
}

//go:noinline
func middle(turns int) int {
	var room [64]int
	room[turns%64] = leaf(turns)
	return room[0] + room[turns%64]
}

//go:noinline
func outer(turns int) int {
	return middle(turns) + 1
}

func main() {
	fmt.Println(os.Getpid())
	for sink != -1 {
		sink |= outer(5_000_000) & 1
	}
}
