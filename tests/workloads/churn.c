/*
 * churn SECONDS RATE PROGRAM [ARGUMENT...]: forks and executes PROGRAM so many times a second. A child
 * that is late delays nobody. When the time is over it prints how many it started.
 *
 * The time between two children is random: at an even pace a sampling timer whose period is a multiple of
 * it would meet every child at the same point of its life, or none at all.
 */
#include "spin.h"

#include <sys/wait.h>

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "churn SECONDS RATE PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    double end = end_time(argc, argv), rate = atof(argv[2]), next = now();
    unsigned long started = 0;
    announce();
    while (now() < end) {
        pid_t child = fork();
        if (child == 0) {
            execv(argv[3], argv + 3);
            _exit(127);
        }
        started += child > 0;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        next += 2 * drand48() / rate;
        double left = next - now();
        if (left > 0) {
            struct timespec pause = { (time_t)left, (long)((left - (double)(time_t)left) * 1e9) };
            nanosleep(&pause, NULL);
        }
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
    printf("%lu\n", started);
    return 0;
}
