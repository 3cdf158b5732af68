/*
 * fork [SECONDS]: works in a child that never executes another program; its parent waits.
 *
 *     main > outer > middle > leaf
 */
#include "../../workloads/spin.h"

#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>

FRAME void leaf(void)
{
    SPIN(3000000);
}

FRAME void middle(double end)
{
    pid_t child = fork();
    if (child != 0) {
        waitpid(child, NULL, 0);
        return;
    }
    /* Whoever ends the parent ends the child. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (now() < end)
        leaf();
}

FRAME void outer(double end)
{
    middle(end);
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    announce();
    outer(end);
    return 0;
}
