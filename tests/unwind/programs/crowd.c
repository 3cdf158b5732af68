/*
 * crowd COUNT: so many threads, of which each works for a few milliseconds now and then; together they take
 * a fifth of a processor.
 *
 *     [thread start] > member > leaf
 */
#define _GNU_SOURCE
#include "chain.h"

#include <pthread.h>

/* One turn of a thread is about 6 ms of work. */
#define SLOT_NANOS 30000000ul

static unsigned long count;

FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void doze(unsigned long nanos)
{
    struct timespec wait = { (time_t)(nanos / 1000000000ul), (long)(nanos % 1000000000ul) };
    nanosleep(&wait, NULL);
}

FRAME void *member(void *argument)
{
    doze(SLOT_NANOS * (unsigned long)argument);
    while (go_on) {
        leaf();
        doze(SLOT_NANOS * count);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    count = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (unsigned long number = 0; number < count; number++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, member, (void *)number) != 0)
            return 1;
    }
    announce();
    while (go_on)
        pause();
    return 0;
}
