/*
 * split: main > outer > split > leaf, where the part of `split` that runs is the one that the compiler
 * moved away because it took it for cold.
 */
#include "chain.h"

static volatile int condition = 1;

__attribute__((cold)) FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME int split(int number)
{
    char room[120];
    __asm__ volatile("" : : "r"(room) : "memory", "rbx", "r12");
    if (__builtin_expect(condition, 0)) {
        leaf();
        number += room[0];
    }
    return number * 3;
}

FRAME int outer(int number)
{
    return split(number) + 1;
}

int main(void)
{
    announce();
    int sum = 0;
    while (go_on)
        sum += outer(sum);
    return sum;
}
