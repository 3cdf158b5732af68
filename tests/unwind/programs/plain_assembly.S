/*
 * Functions without any unwind information, which keep the frame pointer: inner calls leaf, of C.
 */
    .text
    .globl bare_outer
    .type bare_outer, @function
bare_outer:
    push %rbp
    mov %rsp, %rbp
    sub $0x120, %rsp
    call bare_inner
    leave
    ret
    .size bare_outer, . - bare_outer

    .globl bare_inner
    .type bare_inner, @function
bare_inner:
    push %rbp
    mov %rsp, %rbp
    push %rbx
    push %r12
    call leaf
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size bare_inner, . - bare_inner

    .section .note.GNU-stack, "", @progbits
