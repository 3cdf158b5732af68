//! What the compiler wants of a `no_std` program. The programs have no path that panics; the verifier
//! would refuse the endless loop.

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
