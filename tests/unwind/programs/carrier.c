/*
 * carrier FILE: maps a file as code and runs it from its second page, whatever its headers say. So a file
 * that no kernel would execute has samples too.
 *
 *     main > carry > [the file]
 */
#include "chain.h"

#include <fcntl.h>
#include <sys/mman.h>

#define PAGE 4096ul

FRAME void carry(void (*code)(void))
{
    code();
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    int file = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    char *image = mmap(NULL, 2 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    if (image == MAP_FAILED)
        return 1;
    announce();
    while (go_on)
        carry((void (*)(void))(image + PAGE));
    return 0;
}
