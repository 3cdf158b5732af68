/*
 * clock [SECONDS]: asks the time again and again, which the kernel's page of code in each process answers.
 *
 *     main > tick > clock_gettime > [vdso]
 */
#include "../../workloads/spin.h"

static volatile long total;

FRAME void tick(void)
{
    struct timespec time;
    for (int turn = 0; turn < 100000; turn++) {
        clock_gettime(CLOCK_MONOTONIC, &time);
        total += time.tv_nsec;
    }
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        tick();
    return 0;
}
