/*
 * signal [below|above|prologue]: a handler of SIGALRM works on top of whatever it interrupts.
 *
 *     main > outer > interrupted > [signal frame] > handler > handle
 *
 * below     the handler has a stack of its own, below the one it interrupts
 * above     the same, above: the stack pointer falls when the frame of the signal is left
 * prologue  what is interrupted saves and restores registers: main > outer > interrupted [> tiny]
 */
#define _GNU_SOURCE
#include "chain.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

#define STACK (64 * 1024)

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
    SPIN(20000000);
}

FRAME void handler(int signal)
{
    (void)signal;
    handle();
    arm();
}

FRAME void tiny(void)
{
    __asm__ volatile("" : : : "rbx", "rbp", "r12", "r13", "r14", "r15");
}

FRAME void interrupted(void)
{
    if (hammers)
        for (volatile unsigned int turn = 0; turn < 1000000; turn++)
            tiny();
    else
        SPIN_LONG();
}

FRAME void outer(void)
{
    interrupted();
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    char above[STACK];
    const char *kind = argc > 1 ? argv[1] : "";
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
    while (go_on)
        outer();
    return 0;
}
