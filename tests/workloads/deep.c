/*
 * deep [SECONDS [DEPTH]]: one stack, main > descend > descend > ... > bottom, with DEPTH times `descend`
 * (64 unless given).
 */
#include "spin.h"

FRAME void bottom(void)
{
    SPIN(300000);
}

FRAME void descend(unsigned int depth)
{
    if (depth > 1)
        descend(depth - 1);
    else
        bottom();
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    int depth = argc > 2 ? atoi(argv[2]) : 64;
    announce();
    while (now() < end)
        descend(depth > 0 ? (unsigned int)depth : 1);
    return 0;
}
