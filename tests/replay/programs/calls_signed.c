/*
 * signing: begin > outer > middle > leaf, where all return addresses are signed. `pac_mask` gets the bits that a
 * signature may take: those that `xpaclri` takes away.
 */
#include "start.h"

volatile unsigned long pac_mask;

FRAME unsigned long leaf(unsigned long number)
{
    sink += number;
    return number * sink;
}

FRAME unsigned long middle(unsigned long left, unsigned long right)
{
    return leaf(left) + leaf(right) + left;
}

FRAME unsigned long outer(unsigned long number)
{
    volatile unsigned long room[5] = {number};
    return middle(room[0], number) + room[0];
}

void begin(void)
{
    /* Bit 55 says which half of the address space it is, and the byte above it is no part of an address. */
    const unsigned long ones = (1UL << 55) - 1;
    register unsigned long pointer __asm__("x30") = ones;
    __asm__ volatile("hint #7" : "+r"(pointer));
    pac_mask = pointer ^ ones;
    for (;;)
        sink += outer(sink);
}
