/*
 * calls: begin > outer > middle [> tail] > leaf. `leaf` calls nobody, and `tail` jumps to it.
 */
#include "start.h"

FRAME unsigned long leaf(unsigned long number)
{
    sink += number;
    return number * sink;
}

FRAME unsigned long tail(unsigned long number)
{
    return leaf(number + sink);
}

FRAME unsigned long middle(unsigned long left, unsigned long right)
{
    unsigned long sum = leaf(left);
    return tail(right) + sum + left;
}

FRAME unsigned long outer(unsigned long number)
{
    volatile unsigned long room[5] = {number};
    return middle(room[0], number) + room[0];
}

void begin(void)
{
    for (;;)
        sink += outer(sink);
}
