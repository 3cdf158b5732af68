/*
 * assembly: begin > bare > innermost, where `bare` keeps a frame pointer, and no table says anything about it.
 */
        .text
#include "frame_aarch64.inc"

        .type   begin, %function
begin:
        enter_frame
        bl      bare
        leave_frame
        .size   begin, . - begin

        /* Far enough from what has a table, so that it is no padding. */
        .balign 64
        .type   bare, %function
bare:
        stp     x29, x30, [sp, #-48]!
        mov     x29, sp
        bl      innermost
        nop
        ldp     x29, x30, [sp], #48
        ret
        .size   bare, . - bare

        .section .note.GNU-stack, "", %progbits
