/*
 * reload FIRST SECOND: loads two libraries in turn, each where the other was, and calls `first_work` of the
 * one and `second_work` of the other for a third of a second.
 *
 *     main > alternate > first_work > leaf        main > alternate > second_work > leaf
 */
#include "chain.h"

#include <dlfcn.h>

FRAME void alternate(const char *path, const char *name)
{
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL)
        exit(1);
    void (*work)(void) = (void (*)(void))dlsym(library, name);
    double end = now() + 0.3;
    while (now() < end)
        work();
    dlclose(library);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    announce();
    while (go_on) {
        alternate(argv[1], "first_work");
        alternate(argv[2], "second_work");
    }
    return 0;
}
