/*
 * frames [SECONDS]: frames whose size is not known before they are made, and frames that are aligned more
 * than the stack is, also that of `main`.
 *
 *     main > both > aligned > variable > leaf
 */
#include "../../workloads/spin.h"

#include <alloca.h>

#define ALIGNED __attribute__((aligned(64)))

static volatile unsigned long seen;

/* Makes the compiler believe that memory is used. */
#define USE(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")

FRAME void leaf(void)
{
    SPIN(3000000);
}

FRAME void variable(size_t size)
{
    char room[size];
    USE(room);
    leaf();
    USE(room);
}

FRAME void aligned(size_t size)
{
    ALIGNED char room[128];
    USE(room);
    variable(size);
    USE(room);
}

FRAME void both(size_t size)
{
    ALIGNED char room[64];
    char *more = alloca(size);
    USE(room);
    USE(more);
    aligned(size + seen);
    USE(room);
}

int main(int argc, char **argv)
{
    ALIGNED char room[64];
    double end = end_time(argc, argv);
    USE(room);
    announce();
    for (size_t turn = 0; now() < end; turn++)
        both(100 + turn % 5000);
    USE(room);
    return 0;
}
