// cgo [callback]: Go calls C, which spins; or Go calls C, which calls Go, which spins.
//
//	main.main > main.outer > [runtime] > work > leaf
//	main.main > main.outer > [runtime] > bounce > [runtime] > main.spin
package main

/*
#cgo CFLAGS: -O2 -fomit-frame-pointer
void work(void);
void bounce(void);
*/
import "C"

import (
	"fmt"
	"os"
)

var sink int

//go:noinline
func spinInGo(turns int) int {
	sum := 0
	for turn := 0; turn < turns; turn++ {
		sum += turn ^ sum
	}
	return sum
}

//export called
func called() {
	sink |= spinInGo(5_000_000) & 1
}

//go:noinline
func outer(callback bool) int {
	if callback {
		C.bounce()
	} else {
		C.work()
	}
	return sink + 1
}

func main() {
	fmt.Println(os.Getpid())
	for sink != -1 {
		outer(len(os.Args) > 1)
	}
}
