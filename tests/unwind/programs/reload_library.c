/*
 * A library of `reload`, built twice: with FIRST and without. They have the same segments and differ in
 * where their functions are and how large their frames are, so who takes one for the other goes astray.
 */
#include "chain.h"

#ifdef FIRST
#define WORK first_work
#define ROOM 24
#define FILLER ".skip 64"
#else
#define WORK second_work
#define ROOM 456
#define FILLER ""
#endif

void WORK(void);

__attribute__((used)) static FRAME void filler(void)
{
    __asm__ volatile(FILLER);
}

static FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void WORK(void)
{
    volatile char room[ROOM];
    room[0] = 1;
    __asm__ volatile("" : : "r"(room) : "memory");
    leaf();
    room[1] = room[0];
}
