/*
 * What the C and C++ programs of these tests share. Each names its chain of calls in its first comment, the
 * outermost function first. The innermost spins so long that the way to it and back hardly counts.
 */
#ifndef CHAIN_H
#define CHAIN_H

#include "spin.h"

/* Milliseconds in one function: against these, a call and a return are nothing. */
#define SPIN_LONG() SPIN(3000000)

/* Kept by every loop that never ends, so that no caller is taken for one whose call does not return. */
static volatile int go_on = 1;

#endif
