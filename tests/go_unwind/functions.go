// Prints the functions of a Go program, as debug/gosym reads them: entry and name. Where the code starts is
// taken from the symbols, so the program must have them.
package main

import (
	"debug/elf"
	"debug/gosym"
	"fmt"
	"log"
	"os"
)

func main() {
	file, err := elf.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	table := file.Section(".gopclntab")
	if table == nil {
		table = file.Section(".data.rel.ro.gopclntab")
	}
	data, err := table.Data()
	if err != nil {
		log.Fatal(err)
	}
	symbols, err := file.Symbols()
	if err != nil {
		log.Fatal(err)
	}
	for _, symbol := range symbols {
		if symbol.Name == "runtime.text" {
			functions, err := gosym.NewTable(nil, gosym.NewLineTable(data, symbol.Value))
			if err != nil {
				log.Fatal(err)
			}
			for _, function := range functions.Funcs {
				fmt.Printf("%x %x %s\n", function.Entry, function.End, function.Name)
			}
			return
		}
	}
	log.Fatal("no symbol runtime.text")
}
