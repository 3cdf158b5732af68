/*
 * crowd [SECONDS [COUNT]]: COUNT threads (2000 unless given) of which one works at a time; each works for a
 * moment and wakes the next.
 *
 *     [thread start] > member > turn > work
 */
#define _GNU_SOURCE
#include "../../workloads/spin.h"

#include <pthread.h>
#include <semaphore.h>

static double end;
static unsigned long count;
static sem_t *turns;

FRAME void work(void)
{
    SPIN(2000000);
}

FRAME void turn(void)
{
    work();
    KEEP_FRAME();
}

FRAME void *member(void *argument)
{
    unsigned long number = (unsigned long)argument;
    while (now() < end) {
        while (sem_wait(&turns[number]) != 0)
            ;
        turn();
        sem_post(&turns[(number + 1) % count]);
    }
    /* Wakes the next once more, which may be waiting. */
    sem_post(&turns[(number + 1) % count]);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    pthread_t thread;
    end = end_time(argc, argv);
    count = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    turns = calloc(count, sizeof *turns);
    if (turns == NULL || pthread_attr_init(&attributes) != 0
        || pthread_attr_setstacksize(&attributes, 64 * 1024) != 0)
        return 1;
    for (unsigned long number = 0; number < count; number++)
        if (sem_init(&turns[number], 0, number == 0) != 0
            || pthread_create(&thread, &attributes, member, (void *)number) != 0)
            return 1;
    announce();
    pthread_join(thread, NULL);
    return 0;
}
