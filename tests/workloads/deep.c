/*
 * deep [SECONDS [DEPTH [DEEPEST]]]: main > descend > descend > ... > bottom, with DEPTH times `descend` (64
 * unless given). With DEEPEST the stack grows by one frame from one descent to the next, from DEPTH to
 * DEEPEST, and then begins again.
 *
 * Built twice: as `deep` with frame pointers, and as `deep-nofp` without.
 */
#include "spin.h"

FRAME void bottom(void)
{
    SPIN(1000000);
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
    if (depth < 1)
        depth = 1;
    int deepest = argc > 3 ? atoi(argv[3]) : depth;
    announce();
    for (int next = depth; now() < end; next = next < deepest ? next + 1 : depth)
        descend((unsigned int)next);
    return 0;
}
