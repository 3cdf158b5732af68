/*
 * prologue: main > hammer > tiny, where `tiny` does nothing but save and restore six registers, so that
 * nearly every sample is in a prologue, an epilogue or on the call itself.
 */
#include "chain.h"

FRAME void tiny(void)
{
    __asm__ volatile("" : : : "rbx", "rbp", "r12", "r13", "r14", "r15");
}

FRAME void hammer(void)
{
    for (volatile unsigned int turn = 0; turn < 1000000; turn++)
        tiny();
    KEEP_FRAME();
}

int main(void)
{
    announce();
    while (go_on)
        hammer();
    return 0;
}
