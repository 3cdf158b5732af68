// gocross: Go calls C, which works and calls Go back, which works too.
//
//	main.main > main.outer > main._Cfunc_c_outer > [runtime] > c_outer > c_leaf
//	... > c_outer > c_back > goBack > [runtime] > main.goBack > main.leaf
package main

/*
void c_outer(void);
*/
import "C"

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

//export goBack
func goBack() {
	total += leaf(5_000_000)
}

//go:noinline
func outer() {
	C.c_outer()
	total++
}

func main() {
	fmt.Println(os.Getpid())
	for {
		outer()
	}
}
