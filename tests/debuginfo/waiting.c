/* A program that waits for the end of its input. */
#include <unistd.h>

int wait_for_input(void)
{
    char byte;
    return read(0, &byte, 1) == 0;
}

int main(void)
{
    while (!wait_for_input())
        ;
    return 0;
}
