/* What `late` loads. */
#include "../../workloads/spin.h"

FRAME void late_work(void)
{
    SPIN(300000);
}
