/*
 * What the programs share. They have no C library, so that their files are small and every frame is known: the
 * outermost is `_start`, whose CFI says that it has no caller. BARE leaves that to be seen from the ELF header.
 */
#ifndef START_H
#define START_H

#ifdef BARE
#define CFI(directive)
#else
#define CFI(directive) directive "\n"
#endif

#ifdef __x86_64__
#define OUTERMOST ".cfi_undefined rip"
#define CALL_BEGIN "xorl %ebp, %ebp\n call begin\n hlt\n"
#else
#define OUTERMOST ".cfi_undefined x30"
#define CALL_BEGIN "mov x29, #0\n mov x30, #0\n bl begin\n brk #0\n"
#endif

__asm__(".pushsection .text.start, \"ax\"\n"
        ".globl _start\n"
        ".type _start, %function\n"
        "_start:\n"
        CFI(".cfi_startproc")
        CFI(OUTERMOST)
        CALL_BEGIN
        CFI(".cfi_endproc")
        ".size _start, . - _start\n"
        ".popsection\n");

/* A frame of its own. */
#define FRAME __attribute__((noipa))

void begin(void);

static volatile unsigned long sink;

#endif
