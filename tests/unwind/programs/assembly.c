/*
 * assembly: main > outer > by_expression > leaf, or with an argument main > outer > bare > leaf. The
 * functions in between are written by hand, in assembly.S.
 */
#include "chain.h"

void by_expression(void);
void bare(void);
void leaf(void);

FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void outer(int without_table)
{
    if (without_table)
        bare();
    else
        by_expression();
    KEEP_FRAME();
}

int main(int argc, char **argv)
{
    (void)argv;
    announce();
    while (go_on)
        outer(argc > 1);
    return 0;
}
