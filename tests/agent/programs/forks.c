/*
 * forks: one child after the other, which reads the clock for two milliseconds and is gone. The kernel maps the
 * function that it does so in; no file has it.
 */
#include "../../workloads/spin.h"

#include <sys/wait.h>

int main(void)
{
    announce();
    for (;;) {
        pid_t child = fork();
        if (child == 0) {
            double end = now() + 2e-3;
            while (now() < end)
                ;
            _exit(0);
        }
        if (child < 0 || waitpid(child, NULL, 0) < 0)
            return 1;
    }
}
