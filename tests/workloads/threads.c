/*
 * threads [SECONDS [COUNT]]: COUNT threads (4 unless given, 64 at most) named `spinner-0`, `spinner-1`
 * and so on, which work alike; the first thread sleeps.
 *
 *     [thread start] > spinner > work
 */
#define _GNU_SOURCE
#include "spin.h"

#include <pthread.h>

static double end;

FRAME void work(void)
{
    SPIN(300000);
}

FRAME void *spinner(void *argument)
{
    (void)argument;
    while (now() < end)
        work();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    int count = argc > 2 ? atoi(argv[2]) : 4;
    if (count < 1 || count > 64)
        return 2;
    end = end_time(argc, argv);
    for (int index = 0; index < count; index++) {
        char name[16];
        if (pthread_create(&threads[index], NULL, spinner, NULL) != 0)
            return 1;
        snprintf(name, sizeof name, "spinner-%d", index);
        pthread_setname_np(threads[index], name);
    }
    announce();
    for (int index = 0; index < count; index++)
        pthread_join(threads[index], NULL);
    return 0;
}
