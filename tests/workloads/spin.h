/*
 * What the C workloads share: work that takes processor time without calling anything, so that the
 * function that does it is the leaf of the stack, and a clock to stop by.
 */
#ifndef SPIN_H
#define SPIN_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A function with a frame of its own, whatever the optimiser would like. */
#ifdef __clang__
#define FRAME __attribute__((noinline))
#else
#define FRAME __attribute__((noinline, noclone, noipa))
#endif

/* About a millisecond of a present-day processor for a million turns. Not a function: it must not show. */
#define SPIN(turns)                                                                                        \
    do {                                                                                                   \
        for (volatile unsigned long turn = 0; turn < (turns); turn++)                                      \
            ;                                                                                              \
    } while (0)

/* Work after a call, so that the call is neither the last instruction nor a jump. */
#define KEEP_FRAME() __asm__ volatile("" ::: "memory")

static inline double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The first argument: for how many seconds to run; without one, for ever. */
static inline double end_time(int argc, char **argv)
{
    return argc > 1 ? now() + atof(argv[1]) : 1e300;
}

/* Tells a waiting test that the work begins. */
static inline void announce(void)
{
    printf("%d\n", (int)getpid());
    fflush(stdout);
}

#endif
