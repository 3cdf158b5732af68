/*
 * loader SECONDS LIBRARY LIBRARY: loads one library after the other, works in it and unloads it. What is
 * loaded next often takes the addresses of what went, with other code.
 *
 *     main > use > library_work > library_leaf
 */
#include "../../workloads/spin.h"

#include <dlfcn.h>

FRAME void use(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    void (*library_work)(void) = library == NULL ? NULL : dlsym(library, "library_work");
    if (library_work == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    library_work();
    dlclose(library);
}

int main(int argc, char **argv)
{
    double end = end_time(argc, argv);
    if (argc < 4)
        return 2;
    announce();
    while (now() < end) {
        use(argv[2]);
        use(argv[3]);
    }
    return 0;
}
