/*
 * layers: main > outer > middle > inner > leaf, which spins. What is special about it are the flags it is
 * built with and the file it is run from.
 */
#include "chain.h"

FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void inner(void)
{
    leaf();
    KEEP_FRAME();
}

FRAME void middle(int number)
{
    /* Callee-saved registers are pushed here. */
    volatile int kept = number;
    for (int turn = 0; turn < number; turn++) {
        inner();
        kept += turn * number;
    }
    KEEP_FRAME();
}

FRAME void outer(void)
{
    char room[200];
    __asm__ volatile("" : : "r"(room) : "memory");
    middle(2);
    KEEP_FRAME();
}

int main(void)
{
    announce();
    while (go_on)
        outer();
    return 0;
}
