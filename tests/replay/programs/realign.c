/*
 * realign: begin > aligned > variable > both > leaf, each with a frame that is not of the plain kind.
 *
 *     aligned   locals on a boundary of 64 bytes, and arguments on the stack
 *     variable  an array whose length is known at run time
 *     both      both at once
 */
#include "start.h"

#define KEEP(place) __asm__ volatile("" : : "r"(place) : "memory")

FRAME void leaf(void)
{
    sink++;
}

FRAME void both(unsigned long length)
{
    __attribute__((aligned(64))) volatile unsigned long lanes[8];
    char *room = __builtin_alloca(length * 16);
    KEEP(lanes);
    KEEP(room);
    leaf();
    lanes[0] = length;
    KEEP(room);
}

FRAME void variable(unsigned long length)
{
    volatile char room[length];
    KEEP(room);
    both(length);
    room[0] = 1;
}

FRAME unsigned long aligned(unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e,
                            unsigned long f, unsigned long g, unsigned long h, unsigned long i, unsigned long j)
{
    __attribute__((aligned(64))) volatile unsigned long lanes[16];
    lanes[1] = i;
    KEEP(lanes);
    variable(100 + lanes[1]);
    return a + b + c + d + e + f + g + h + i + j + lanes[1];
}

void begin(void)
{
    for (;;)
        sink = aligned(1, 2, 3, 4, 5, 6, 7, 8, sink & 7, 10);
}
