/*
 * shared [SECONDS]: calls a tiny function of a library in a loop, through the stub that finds it.
 *
 *     main > caller > [stub] > library_add
 */
#include "../../workloads/spin.h"

unsigned long library_add(unsigned long number);

static volatile unsigned long total;

FRAME void caller(void)
{
    unsigned long sum = 0;
    for (int turn = 0; turn < 3000000; turn++)
        sum = library_add(sum);
    total = sum;
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        caller();
    return 0;
}
