/* late LIBRARY: works for a while, then loads LIBRARY and calls its function `late_work` for ever. */
#include "../../workloads/spin.h"

#include <dlfcn.h>

FRAME void early_work(void)
{
    SPIN(300000);
}

int main(int argc, char **argv)
{
    double end = now() + 1.5;
    announce();
    while (now() < end)
        early_work();
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    void (*late_work)(void) = library ? (void (*)(void))dlsym(library, "late_work") : NULL;
    if (late_work == NULL)
        return 1;
    announce();
    for (;;)
        late_work();
}
