/*
 * kept [SECONDS]: its frame is found through a word on the stack.
 *
 *     main > outer > kept > leaf
 */
#include "../../workloads/spin.h"

void kept(void);

FRAME void leaf(void)
{
    SPIN(3000000);
}

FRAME void outer(void)
{
    kept();
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
