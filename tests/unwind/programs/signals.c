/*
 * signals SECONDS HOW: works in a signal handler. HOW is one of
 *
 *     timer   of a timer, which interrupts `outer` anywhere
 *     stack   the same, with the handler on a stack of its own
 *     above   the same in a thread, with that stack at higher addresses than the thread's
 *     fault   of a fault at the first instruction of `faulting`
 *
 *     main > outer > [signal] > handler > work
 *     [thread start] > spinner > outer > [signal] > handler > work
 *     main > provoke > faulting > [signal] > handler > work
 */
#define _GNU_SOURCE
#include "../../workloads/spin.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#define STACK (256 * 1024)

static double end;
static int faults;

FRAME void work(void)
{
    SPIN(3000000);
}

FRAME void handler(int number, siginfo_t *information, void *context)
{
    (void)number;
    (void)information;
    work();
#if defined(__x86_64__)
    /* Past the instruction, of two bytes. */
    if (faults)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
#else
    (void)context;
#endif
}

#if defined(__x86_64__)
/*
 * A function with a big frame ends where `faulting` begins: who looks one byte back, as is right for a
 * return address, takes that frame for its.
 */
__asm__(".text\n"
        ".globl before\n"
        ".type before, @function\n"
        "before:\n"
        ".cfi_startproc\n"
        "sub $1000, %rsp\n"
        ".cfi_adjust_cfa_offset 1000\n"
        "ud2\n"
        ".cfi_endproc\n"
        ".size before, . - before\n"
        ".globl faulting\n"
        ".type faulting, @function\n"
        "faulting:\n"
        ".cfi_startproc\n"
        "movl (%rdi), %eax\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size faulting, . - faulting\n");

void faulting(void *address);

FRAME void provoke(void)
{
    faulting(NULL);
    KEEP_FRAME();
}
#endif

FRAME void outer(void)
{
    SPIN(300000);
}

static void use_stack(char *stack)
{
    stack_t alternate = { .ss_sp = stack, .ss_size = STACK };
    if (sigaltstack(&alternate, NULL) != 0)
        exit(1);
}

static void set_handler(int number, int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    if (sigaction(number, &action, NULL) != 0)
        exit(1);
}

/* The handler takes longer, so that its signal waits already when it ends. */
static void set_timer(void)
{
    struct itimerval interval = { { 0, 1000 }, { 0, 1000 } };
    if (setitimer(ITIMER_REAL, &interval, NULL) != 0)
        exit(1);
}

FRAME void *spinner(void *stack)
{
    use_stack(stack);
    while (now() < end)
        outer();
    return NULL;
}

static void run_thread(void)
{
    char *memory = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t alarm;
    if (memory == MAP_FAILED || pthread_attr_init(&attributes) != 0
        || pthread_attr_setstack(&attributes, memory, STACK) != 0
        || pthread_create(&thread, &attributes, spinner, memory + STACK) != 0)
        exit(1);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL);
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[2] : "timer";
    end = end_time(argc, argv);
    announce();
    if (strcmp(how, "fault") == 0) {
#if defined(__x86_64__)
        faults = 1;
        set_handler(SIGSEGV, SA_NODEFER);
        while (now() < end)
            provoke();
#endif
        return faults ? 0 : 2;
    }
    if (strcmp(how, "stack") == 0)
        use_stack(malloc(STACK));
    set_handler(SIGALRM, SA_RESTART | (strcmp(how, "timer") == 0 ? 0 : SA_ONSTACK));
    set_timer();
    if (strcmp(how, "above") == 0)
        run_thread();
    while (now() < end)
        outer();
    return 0;
}
