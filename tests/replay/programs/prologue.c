/*
 * prologue: begin > saving > tiny. Both save all registers that are their caller's, and `saving` moves the stack
 * pointer after that.
 */
#include "start.h"

#ifdef __x86_64__
#ifdef FRAME_POINTER
#define USE_REGISTERS() __asm__ volatile("" : : : "rbx", "r12", "r13", "r14", "r15")
#else
#define USE_REGISTERS() __asm__ volatile("" : : : "rbx", "rbp", "r12", "r13", "r14", "r15")
#endif
#else
#define USE_REGISTERS() \
    __asm__ volatile("" : : : "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "d8")
#endif

FRAME void tiny(void)
{
    USE_REGISTERS();
}

FRAME void saving(void)
{
    volatile unsigned long room[9];
    room[0] = sink;
    USE_REGISTERS();
    tiny();
    sink = room[0];
}

void begin(void)
{
    for (;;)
        saving();
}
