/*
 * member CONTAINER SECONDS [CHILDREN [WORK PAUSE]]: a process of a container with this number. Its second thread
 * works for WORK microseconds (200 unless given), pauses for PAUSE milliseconds (not at all unless given), and so on.
 * Before each of these turns it takes a name that tells its container and its age in tenths of a millisecond, as in
 * `c0042-010317`: whoever samples it can be asked what was sampled, and when.
 *
 * The first thread starts CHILDREN processes (none unless given), evenly over its life; they work alike and end before
 * it does. When all are over it prints how many there were, itself among them.
 *
 *     [thread start] > worker > turn
 */
#define _GNU_SOURCE
#include "spin.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int container;
static double born, end, work, rest;

static void wait_seconds(double seconds)
{
    if (seconds <= 0)
        return;
    struct timespec time = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) };
    nanosleep(&time, NULL);
}

FRAME void turn(double until)
{
    while (now() < until)
        SPIN(1000);
    KEEP_FRAME();
}

FRAME void *worker(void *argument)
{
    (void)argument;
    for (double start = now(); start < end; start = now()) {
        char name[32];
        snprintf(name, sizeof name, "c%04d-%06d", container, (int)((start - born) * 1e4));
        prctl(PR_SET_NAME, name);
        turn(start + work);
        if (rest > 0) {
            double left = end - now();
            wait_seconds(rest < left ? rest : left);
        }
    }
    return NULL;
}

/* A child that lives for so long. It does not outlive this thread. */
static int start_child(char **argv, double seconds)
{
    pid_t child = fork();
    if (child == 0) {
        char life[32], microseconds[32], milliseconds[32];
        snprintf(life, sizeof life, "%f", seconds);
        snprintf(microseconds, sizeof microseconds, "%f", work * 1e6);
        snprintf(milliseconds, sizeof milliseconds, "%f", rest * 1e3);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        freopen("/dev/null", "w", stdout);
        execl(argv[0], argv[0], argv[1], life, "0", microseconds, milliseconds, (char *)NULL);
        _exit(127);
    }
    return child > 0;
}

int main(int argc, char **argv)
{
    born = now();
    if (argc < 3) {
        fprintf(stderr, "member CONTAINER SECONDS [CHILDREN [WORK PAUSE]]\n");
        return 2;
    }
    container = atoi(argv[1]);
    double life = atof(argv[2]);
    end = born + life;
    int children = argc > 3 ? atoi(argv[3]) : 0, processes = 1;
    work = (argc > 4 ? atof(argv[4]) : 200) / 1e6;
    rest = (argc > 5 ? atof(argv[5]) : 0) / 1e3;

    pthread_t thread;
    if (pthread_create(&thread, NULL, worker, NULL) != 0)
        return 1;
    for (int child = 0; child < children; child++) {
        /* From a tenth of what is left to all of it, in no order; 7 and 10 have no common divisor. */
        double start = born + life * (child + 1) / (children + 1);
        double share = (child * 7 % 10 + 1) / 10.0;
        wait_seconds(start - now());
        processes += start_child(argv, (end - start) * share);
    }
    pthread_join(thread, NULL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    printf("%d\n", processes);
    return 0;
}
