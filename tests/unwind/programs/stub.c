/*
 * stub: main > hammer > [PLT stub or] empty, a function of a library that is called through its stub all
 * the time.
 */
#include "chain.h"

void empty(void);

FRAME void hammer(void)
{
    for (volatile unsigned int turn = 0; turn < 100000; turn++) {
        empty();
        empty();
        empty();
        empty();
        empty();
        empty();
        empty();
        empty();
    }
    KEEP_FRAME();
}

int main(void)
{
    announce();
    while (go_on)
        hammer();
    return 0;
}
