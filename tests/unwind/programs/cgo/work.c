/* The C side of `cgo`. */
#include "_cgo_export.h"

#define FRAME __attribute__((noinline, noclone, noipa))

void work(void);
void bounce(void);
void leaf(void);

FRAME void leaf(void)
{
    for (volatile unsigned long turn = 0; turn < 3000000; turn++)
        ;
}

FRAME void work(void)
{
    leaf();
    __asm__ volatile("" ::: "memory");
}

FRAME void bounce(void)
{
    called();
    __asm__ volatile("" ::: "memory");
}
