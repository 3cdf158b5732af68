/*
 * moment [MILLISECONDS]: a process that lives for so long (2 unless given) and works all the while.
 *
 *     main > instant
 */
#include "spin.h"

FRAME void instant(void)
{
    SPIN(10000);
}

int main(int argc, char **argv)
{
    double end = now() + (argc > 1 ? atof(argv[1]) : 2.0) / 1e3;
    while (now() < end)
        instant();
    return 0;
}
