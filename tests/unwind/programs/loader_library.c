/* A library for `loader`, with a frame of ROOM bytes. */
#include "../../workloads/spin.h"

FRAME void library_leaf(void)
{
    volatile char room[ROOM];
    room[0] = 1;
    SPIN(40000000);
    room[1] = room[0];
}

FRAME void library_work(void)
{
    volatile char room[2 * ROOM];
    room[0] = 1;
    library_leaf();
    room[1] = room[0];
}
