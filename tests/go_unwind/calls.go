// A program that calls C, and that C calls back.
package main

/*
static int twice(int number) { return 2 * number; }
extern void Back(int);
static void call(int number) { Back(number); }
*/
import "C"
import "fmt"

//export Back
func Back(number C.int) { fmt.Println(C.twice(number)) }

func main() { C.call(21) }
