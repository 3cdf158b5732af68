/*
 * mappings COUNT [churn]: maps its own file that many times, each mapping executable and apart from the
 * others. With `churn` it then takes them away and makes them again as fast as it can; without, it works.
 *
 *     main > work
 */
#define _GNU_SOURCE
#include "chain.h"

#include <fcntl.h>
#include <sys/mman.h>

#define PAGE 4096ul

static void map(char *at, int file)
{
    mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0);
}

FRAME void work(void)
{
    SPIN_LONG();
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 65000;
    int file = open("/proc/self/exe", O_RDONLY);
    char *room = mmap(NULL, count * 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (file < 0 || room == MAP_FAILED)
        return 1;
    /* Every page begins at offset 0 of the file, so that the kernel cannot join neighbours. */
    for (unsigned long number = 0; number < count; number++)
        map(room + number * PAGE, file);
    announce();
    while (go_on) {
        if (argc > 2)
            for (unsigned long number = 0; number < count; number++) {
                munmap(room + number * PAGE, PAGE);
                map(room + number * PAGE, file);
            }
        else
            work();
    }
    return 0;
}
