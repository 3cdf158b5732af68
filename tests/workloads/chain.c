/*
 * chain [SECONDS]: two stacks, whose shares of the time are known.
 *
 *     main > outer > middle > leaf     three quarters
 *     main > outer > brief             one quarter
 *
 * Built twice: as `chain` with frame pointers, and as `nofp` without.
 */
#include "spin.h"

FRAME void leaf(void)
{
    SPIN(300000);
}

FRAME void brief(void)
{
    SPIN(100000);
}

FRAME void middle(void)
{
    leaf();
    KEEP_FRAME();
}

FRAME void outer(void)
{
    middle();
    brief();
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        outer();
    return 0;
}
