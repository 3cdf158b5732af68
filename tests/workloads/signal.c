/*
 * signal [SECONDS [below|above|prologue]]: a handler of SIGALRM works on top of whatever it interrupts.
 *
 *     main > outer > interrupted > [signal frame] > handler > handle
 *
 * below     the handler has a stack of its own, below the one it interrupts
 * above     the same, above: the stack pointer falls when the frame of the signal is left
 * prologue  what is interrupted saves and restores registers: main > outer > interrupted [> tiny]
 *
 * Built without frame pointers.
 */
#define _GNU_SOURCE
#include "spin.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

#define STACK (64 * 1024)

/* Registers that a function has to save before it uses them. */
#ifdef __x86_64__
#define SAVED "rbx", "rbp", "r12", "r13", "r14", "r15"
#else
#define SAVED "x19", "x20", "x21", "x22", "x23", "x24"
#endif

static char below[STACK];
static int hammers;

static void arm(void)
{
    /* Not a round number, so that the signals meet different instructions. */
    struct itimerval soon = { .it_value = { .tv_usec = 311 } };
    setitimer(ITIMER_REAL, &soon, NULL);
}

FRAME void handle(void)
{
    SPIN(10000000);
}

FRAME void handler(int signal)
{
    (void)signal;
    handle();
    arm();
}

FRAME void tiny(void)
{
    __asm__ volatile("" : : : SAVED);
}

FRAME void interrupted(void)
{
    if (hammers)
        for (volatile unsigned int turn = 0; turn < 1000000; turn++)
            tiny();
    else
        SPIN(3000000);
}

FRAME void outer(void)
{
    interrupted();
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    char above[STACK];
    const char *kind = argc > 2 ? argv[2] : "";
    stack_t stack = { .ss_sp = strcmp(kind, "above") == 0 ? above : below, .ss_size = STACK };
    struct sigaction action = { .sa_handler = handler };
    hammers = strcmp(kind, "prologue") == 0;
    if (strcmp(kind, "below") == 0 || strcmp(kind, "above") == 0) {
        sigaltstack(&stack, NULL);
        action.sa_flags = SA_ONSTACK;
    }
    sigaction(SIGALRM, &action, NULL);
    announce();
    arm();
    while (now() < end)
        outer();
    return 0;
}
