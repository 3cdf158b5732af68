/*
 * calls [SECONDS]: one stack of a few small functions.
 *
 *     main > outer > middle > leaf
 */
#include "../../workloads/spin.h"

FRAME void leaf(void)
{
    SPIN(3000000);
}

FRAME void middle(void)
{
    leaf();
    KEEP_FRAME();
}

FRAME void outer(void)
{
    middle();
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
