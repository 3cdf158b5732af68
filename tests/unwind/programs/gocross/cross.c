/* The C part of gocross. */
#include "../../../workloads/spin.h"

extern void goBack(void);
void c_outer(void);

FRAME void c_leaf(void)
{
    SPIN(5000000);
}

FRAME void c_back(void)
{
    goBack();
    KEEP_FRAME();
}

FRAME void c_outer(void)
{
    c_leaf();
    c_back();
    KEEP_FRAME();
}
