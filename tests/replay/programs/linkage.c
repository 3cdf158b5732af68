/*
 * linkage: begin > caller > [stubs of the linkage table] > [the loader, or] far.
 */
#include "start.h"

void far(void);

FRAME void caller(void)
{
    volatile unsigned long room[3];
    room[0] = sink;
    far();
    sink = room[0];
}

void begin(void)
{
    for (;;)
        caller();
}
