/*
 * broken: begin > falling or nowhere > innermost, where the frame pointer that was saved of `begin` is changed.
 *
 *     falling  it lies below the frame
 *     nowhere  nothing is mapped where it points to
 */
        .text
#include "frame_x86_64.inc"

        .type   begin, @function
begin:
        enter_frame
        call    falling
        call    nowhere
        leave_frame
        .size   begin, . - begin

        .type   falling, @function
falling:
        enter_frame
        movq    (%rbp), %rax
        leaq    -64(%rbp), %rcx
        movq    %rcx, (%rbp)
        call    innermost
        movq    %rax, (%rbp)
        leave_frame
        .size   falling, . - falling

        .type   nowhere, @function
nowhere:
        enter_frame
        movq    (%rbp), %rax
        leaq    0x1000000(%rbp), %rcx
        movq    %rcx, (%rbp)
        call    innermost
        movq    %rax, (%rbp)
        leave_frame
        .size   nowhere, . - nowhere

        .section .note.GNU-stack, "", @progbits
