/*
 * bare [SECONDS]: has functions without unwind information between others.
 *
 *     main > bare_outer > bare_inner > leaf
 */
#include "../../workloads/spin.h"

void bare_outer(void);

FRAME void leaf(void)
{
    SPIN(3000000);
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        bare_outer();
    return 0;
}
