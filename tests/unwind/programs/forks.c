/*
 * forks: a process that has long been there forks children that execute nothing. Each works for half a
 * second, and then the next takes its place.
 *
 *     main > parent > child > leaf
 */
#include "chain.h"

#include <sys/wait.h>

FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void child(void)
{
    double end = now() + 0.5;
    while (now() < end)
        leaf();
    _exit(0);
}

FRAME void parent(void)
{
    if (fork() == 0)
        child();
    while (waitpid(-1, NULL, 0) > 0)
        ;
    KEEP_FRAME();
}

int main(void)
{
    announce();
    while (go_on)
        parent();
    return 0;
}
