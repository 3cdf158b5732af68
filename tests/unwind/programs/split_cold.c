/* The second file of `split`. */
#include "../../workloads/spin.h"

#include "split.h"

static volatile long total;

__attribute__((cold, noinline, noclone)) static void rare(long number)
{
    SPIN(3000000);
    total += number;
}

__attribute__((noinline, noclone)) void split(int number)
{
    long before = total, other = total;
    if (number > 0) {
        rare(before);
        total += other;
        rare(other);
        total += before;
        return;
    }
    for (int turn = 0; turn < 10; turn++)
        total += number;
}
