/*
 * clock: main > caller > clock_gettime > [vDSO], nearly all the time in the code that the kernel gives to
 * every process.
 */
#include "chain.h"

FRAME void caller(void)
{
    struct timespec time;
    for (volatile unsigned int turn = 0; turn < 100000; turn++)
        clock_gettime(CLOCK_MONOTONIC, &time);
    KEEP_FRAME();
}

int main(void)
{
    announce();
    while (go_on)
        caller();
    return 0;
}
