/*
 * hostile SECONDS NAME: works under a command name that tries to break whoever prints it. NAME is one of
 *
 *     newline   a line feed, and then what looks like a log line
 *     markup    an HTML element
 *     quote     quotes and a backslash, as in labels and JSON
 *     control   an escape sequence of a terminal
 *     invalid   bytes that are not UTF-8
 *     empty     nothing
 *
 *     main > work
 */
#include "spin.h"

#include <string.h>
#include <sys/prctl.h>

static const struct {
    const char *argument, *name;
} names[] = {
    { "newline", "a\nlevel=error" }, { "markup", "<script>x" },    { "quote", "\"}'\\\"a\"" },
    { "control", "\033[31m\033]0;\a" }, { "invalid", "\xff\xfe\xc3\x28" }, { "empty", "" },
};

FRAME void work(void)
{
    SPIN(300000);
}

int main(int argc, char **argv)
{
    const char *name = NULL;
    for (size_t index = 0; argc > 2 && index < sizeof names / sizeof *names; index++)
        if (strcmp(argv[2], names[index].argument) == 0)
            name = names[index].name;
    if (name == NULL || prctl(PR_SET_NAME, name) != 0)
        return 2;
    double end = end_time(argc, argv);
    announce();
    while (now() < end)
        work();
    return 0;
}
