/*
 * Keeps its caller's stack pointer on an aligned stack, as OpenSSL's assembly does: the frame's address is
 * *(rsp + 152) + 8.
 */
    .text
    .globl kept
    .type kept, @function
kept:
    .cfi_startproc
    mov %rsp, %rax
    .cfi_def_cfa_register %rax
    push %rbx
    .cfi_offset %rbx, -16
    push %rbp
    .cfi_offset %rbp, -24
    sub $0x200, %rsp
    and $-64, %rsp
    mov %rax, 152(%rsp)
    /* DW_CFA_def_cfa_expression: DW_OP_breg7 152, DW_OP_deref, DW_OP_plus_uconst 8 */
    .cfi_escape 0x0f, 0x06, 0x77, 0x98, 0x01, 0x06, 0x23, 0x08
    /* Who follows the frame pointer comes nowhere. */
    xor %ebp, %ebp
    call leaf
    mov 152(%rsp), %rsi
    .cfi_def_cfa %rsi, 8
    mov -16(%rsi), %rbp
    .cfi_restore %rbp
    mov -8(%rsi), %rbx
    .cfi_restore %rbx
    mov %rsi, %rsp
    .cfi_def_cfa_register %rsp
    ret
    .cfi_endproc
    .size kept, . - kept

    .section .note.GNU-stack, "", @progbits
