/*
 * realign: main > aligned > variable > both > leaf, each with a frame that is not of the plain kind.
 *
 *     aligned   locals on a boundary of 64 bytes, and AVX: the stack is realigned
 *     variable  an array whose length is known at run time
 *     both      both at once: the compiler finds the caller's frame through a register and a saved pointer
 */
#include "chain.h"

#include <alloca.h>
#include <immintrin.h>

static volatile float input = 1;

FRAME void leaf(void)
{
    SPIN_LONG();
}

FRAME void both(unsigned int length)
{
    __attribute__((aligned(64))) volatile float lanes[16];
    char *room = alloca(length * 16);
    for (int lane = 0; lane < 16; lane++)
        lanes[lane] = input;
    __asm__ volatile("" : : "r"(room), "r"(lanes) : "memory");
    leaf();
    lanes[0] += room[length];
}

FRAME void variable(unsigned int length)
{
    volatile char room[length];
    room[length - 1] = 1;
    __asm__ volatile("" : : "r"(room) : "memory");
    both(length);
    room[0] = room[length - 1];
}

FRAME void aligned(void)
{
    __attribute__((aligned(64))) __m256 lanes[2];
    lanes[0] = _mm256_set1_ps(input);
    lanes[1] = _mm256_add_ps(lanes[0], lanes[0]);
    __asm__ volatile("" : : "r"(lanes) : "memory");
    variable(100 + (unsigned int)input);
    __asm__ volatile("" : : "r"(lanes) : "memory");
}

int main(void)
{
    announce();
    while (go_on)
        aligned();
    return 0;
}
