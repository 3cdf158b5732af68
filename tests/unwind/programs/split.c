/*
 * split [SECONDS]: optimised across its files, and with what is seldom reached moved away from the rest of
 * its function: the work is done there.
 *
 *     main > outer > split [its cold part] > rare
 */
#include "../../workloads/spin.h"

#include "split.h"

FRAME void outer(int number)
{
    split(number);
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        outer(argc);
    return 0;
}
