/*
 * assembly: begin > by_expression or bare > innermost.
 *
 *     by_expression  realigns the stack as OpenSSL's assembly does, and says where the caller's frame is by an
 *                    expression, `*(rsp + 24) + 8`
 *     bare           keeps a frame pointer, and no table says anything about it
 */
        .text
#include "frame_x86_64.inc"

        .type   begin, @function
begin:
        enter_frame
        call    by_expression
        call    bare
        leave_frame
        .size   begin, . - begin

        .type   by_expression, @function
by_expression:
        .cfi_startproc
        movq    %rsp, %rax
        .cfi_def_cfa_register %rax
        pushq   %rbx
        .cfi_offset %rbx, -16
        pushq   %rbp
        .cfi_offset %rbp, -24
        subq    $64, %rsp
        andq    $-64, %rsp
        movq    %rax, 24(%rsp)
        /* DW_CFA_def_cfa_expression of 5 bytes: DW_OP_breg7 24, DW_OP_deref, DW_OP_plus_uconst 8 */
        .cfi_escape 0x0f, 0x05, 0x77, 0x18, 0x06, 0x23, 0x08
        xorl    %ebp, %ebp
        call    innermost
        movq    24(%rsp), %rax
        .cfi_def_cfa %rax, 8
        movq    -16(%rax), %rbp
        .cfi_restore %rbp
        movq    -8(%rax), %rbx
        .cfi_restore %rbx
        leaq    (%rax), %rsp
        .cfi_def_cfa_register %rsp
        ret
        .cfi_endproc
        .size   by_expression, . - by_expression

        /* Far enough from what has a table, so that it is no padding. */
        .balign 64
        .type   bare, @function
bare:
        pushq   %rbp
        movq    %rsp, %rbp
        subq    $32, %rsp
        call    innermost
        nop
        leave
        ret
        .size   bare, . - bare

        .section .note.GNU-stack, "", @progbits
