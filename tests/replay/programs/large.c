/*
 * large: begin > large > leaf, where the frame of `large` has more than 64 KiB.
 */
#include "start.h"

FRAME void leaf(void)
{
    sink++;
}

FRAME void large(void)
{
    volatile char room[150000];
    room[0] = 1;
    leaf();
    room[sizeof room - 1] = room[0];
}

void begin(void)
{
    for (;;)
        large();
}
