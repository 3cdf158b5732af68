/*
 * signal: the handler of SIGUSR1 has a stack of its own.
 *
 *     begin > outer > interrupted > [signal frame] > handler > handle
 *
 * ABOVE puts the handler's stack above the interrupted one, so that the stack pointer falls when the frame of the
 * signal is left. CFI_TRAMPOLINE describes what the handler returns to as glibc does; else nothing does, as in
 * musl. VARIABLE makes `outer` a frame that is found by its frame pointer alone.
 */
#include "start.h"

#define SIGUSR1 10
#define SA_ONSTACK 0x08000000UL
#define SA_RESTORER 0x04000000UL
#define STACK 16384

struct action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

struct stack {
    void *start;
    int flags;
    unsigned long size;
};

/* By this name gdb knows it. */
void __restore_rt(void);

#ifdef __x86_64__
#define SYS_RT_SIGACTION 13
#define SYS_SIGALTSTACK 131

static long system_call(long number, long a, const void *b, void *c, long d)
{
    long result;
    register long fourth __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

#ifdef CFI_TRAMPOLINE
/* DW_CFA_expression of a register: DW_OP_breg7 and two bytes of offset from the stack pointer. */
#define SAVED(number, low, high) ".cfi_escape 0x10, " #number ", 3, 0x77, " #low ", " #high "\n"
#define TRAMPOLINE_BEGIN                                                     \
    ".cfi_startproc\n"                                                       \
    ".cfi_signal_frame\n"                                                    \
    /* DW_CFA_def_cfa_expression: DW_OP_breg7 160, DW_OP_deref. */           \
    ".cfi_escape 0x0f, 4, 0x77, 0xa0, 0x01, 0x06\n"                          \
    SAVED(6, 0xf8, 0x00) SAVED(7, 0xa0, 0x01) SAVED(16, 0xa8, 0x01) "nop\n"
#define TRAMPOLINE_END ".cfi_endproc\n"
#else
#define TRAMPOLINE_BEGIN
#define TRAMPOLINE_END
#endif
#define TRAMPOLINE "movq $15, %rax\n syscall\n"
#else
#define SYS_RT_SIGACTION 134
#define SYS_SIGALTSTACK 132

static long system_call(long number, long a, const void *b, void *c, long d)
{
    register long call __asm__("x8") = number;
    register long first __asm__("x0") = a;
    register const void *second __asm__("x1") = b;
    register void *third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(first) : "r"(call), "r"(second), "r"(third), "r"(fourth) : "memory");
    return first;
}

#define TRAMPOLINE_BEGIN
#define TRAMPOLINE_END
#define TRAMPOLINE "mov x8, #139\n svc #0\n"
#endif

__asm__(".pushsection .text.restore, \"ax\"\n"
        "nop\n"
        TRAMPOLINE_BEGIN
        ".globl __restore_rt\n"
        ".type __restore_rt, %function\n"
        "__restore_rt:\n"
        TRAMPOLINE
        TRAMPOLINE_END
        ".size __restore_rt, . - __restore_rt\n"
        ".popsection\n");

FRAME void handle(void)
{
    sink++;
}

FRAME void handler(int signal)
{
    volatile int room[6] = {signal};
    handle();
    room[1] = room[0];
}

FRAME unsigned long interrupted(unsigned long number)
{
    return number * sink;
}

FRAME unsigned long outer(unsigned long number)
{
#ifdef VARIABLE
    char *room = __builtin_alloca(16 + (number & 64));
    __asm__ volatile("" : : "r"(room) : "memory");
#endif
    return interrupted(number) + interrupted(number + 1) + number;
}

#ifndef ABOVE
static char below[STACK];
#endif

void begin(void)
{
#ifdef ABOVE
    char above[STACK];
    char *place = above;
#else
    char *place = below;
#endif
    struct stack stack = {place, 0, STACK};
    struct action action = {handler, SA_ONSTACK | SA_RESTORER, __restore_rt, 0};
    system_call(SYS_SIGALTSTACK, (long)&stack, 0, 0, 0);
    system_call(SYS_RT_SIGACTION, SIGUSR1, &action, 0, sizeof action.mask);
    for (;;)
        sink += outer(sink);
}
