/*
 * broken: begin > falling or nowhere > innermost, where the frame pointer that was saved of `begin` is changed.
 *
 *     falling  it lies below the frame
 *     nowhere  nothing is mapped where it points to
 */
        .text
#include "frame_aarch64.inc"

        .type   begin, %function
begin:
        enter_frame
        bl      falling
        bl      nowhere
        leave_frame
        .size   begin, . - begin

        .type   falling, %function
falling:
        enter_frame
        ldr     x9, [sp]
        sub     x10, sp, #64
        str     x10, [sp]
        bl      innermost
        str     x9, [sp]
        leave_frame
        .size   falling, . - falling

        .type   nowhere, %function
nowhere:
        enter_frame
        ldr     x9, [sp]
        mov     x10, #0x1000000
        add     x10, sp, x10
        str     x10, [sp]
        bl      innermost
        str     x9, [sp]
        leave_frame
        .size   nowhere, . - nowhere

        .section .note.GNU-stack, "", %progbits
