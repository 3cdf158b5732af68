/*
 * tiny [SECONDS]: a function that does little more than save registers and give them back, called in a
 * loop: its samples are in prologues and epilogues.
 *
 *     main > caller > tiny
 */
#include "../../workloads/spin.h"

static volatile unsigned long total;

FRAME unsigned long tiny(unsigned long number)
{
#if defined(__x86_64__)
    __asm__ volatile("" ::: "rbx", "rbp", "r12", "r13", "r14", "r15");
#elif defined(__aarch64__)
    __asm__ volatile("" ::: "x19", "x20", "x21", "x22", "x23", "x24", "x30");
#endif
    return number + 1;
}

FRAME void caller(void)
{
    unsigned long sum = 0;
    for (int turn = 0; turn < 3000000; turn++)
        sum = tiny(sum);
    total = sum;
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        caller();
    return 0;
}
