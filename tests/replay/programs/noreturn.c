/*
 * noreturn: begin > last > fail, where the call of `fail` is the last instruction of `last`: what it would return
 * to is another function, with another frame.
 */
#include "start.h"

FRAME __attribute__((noreturn)) void fail(unsigned long reason)
{
    for (;;)
        sink += reason;
}

FRAME void last(unsigned long number)
{
    volatile unsigned long room[11];
    room[1] = number;
    fail(room[1]);
}

FRAME void behind(void)
{
    sink++;
}

void begin(void)
{
    last(sink);
    behind();
}
