/*
 * tower [SECONDS [FLOORS]]: one stack of FLOORS calls (6 unless given) between `main` and the function that
 * works. Three functions take turns, with frames of different kinds: without anything on the stack, with
 * every saved register, and longer than a page.
 *
 *     main > one > two > three > one > ... > bottom
 */
#include "../../workloads/spin.h"

static volatile unsigned long seen;

FRAME void bottom(void)
{
    SPIN(6000000);
}

FRAME void one(unsigned int floors);
FRAME void two(unsigned int floors);
FRAME void three(unsigned int floors);

FRAME void one(unsigned int floors)
{
    if (floors > 1)
        two(floors - 1);
    else
        bottom();
    KEEP_FRAME();
}

FRAME void two(unsigned int floors)
{
    /* All of them live across the call. */
    unsigned long a = seen, b = seen, c = seen, d = seen, e = seen, f = seen;
    if (floors > 1)
        three(floors - 1);
    else
        bottom();
    seen = a + b + c + d + e + f;
}

FRAME void three(unsigned int floors)
{
    volatile char room[5000];
    room[floors & 1] = 1;
    if (floors > 1)
        one(floors - 1);
    else
        bottom();
    seen = (unsigned long)room[0];
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    int floors = argc > 2 ? atoi(argv[2]) : 6;
    announce();
    while (now() < end)
        one(floors > 0 ? (unsigned int)floors : 1);
    return 0;
}
