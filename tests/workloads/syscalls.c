/*
 * syscalls [SECONDS]: nearly all of its time is in the kernel, which copies zeros.
 *
 *     main > fill > read > [kernel: ... > vfs_read > ...]
 *
 * The C library's `read` keeps no frame pointer, so who follows those does not see `fill`.
 */
#include "spin.h"

#include <fcntl.h>

static char buffer[1 << 20];

FRAME void fill(int zeros)
{
    if (read(zeros, buffer, sizeof buffer) < 0)
        exit(1);
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    int zeros = open("/dev/zero", O_RDONLY);
    announce();
    while (now() < end)
        fill(zeros);
    return 0;
}
