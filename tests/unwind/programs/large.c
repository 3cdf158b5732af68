/*
 * large: main > large > far > leaf, with frames of 600 KB and 300 KB, as compilers have them: offsets that do not fit
 * into 16 bits of words.
 */
#include "chain.h"

FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void far(void)
{
    volatile char room[300 * 1000];
    room[0] = 1;
    leaf();
    room[1] = room[0];
}

FRAME void large(void)
{
    volatile char room[600 * 1000];
    room[0] = 1;
    far();
    room[1] = room[0];
}

int main(void)
{
    announce();
    while (go_on)
        large();
    return 0;
}
