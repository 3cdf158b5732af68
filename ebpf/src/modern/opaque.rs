//! Values of which the verifier knows nothing: it takes what is read from a map for any number, and so looks at what
//! follows once, not once for each value that it could tell.

/// Writes a field of a map's value in a way that the compiler keeps.
#[inline(always)]
pub fn write<T>(field: &mut T, value: T) {
    // SAFETY: the pointer comes from a reference.
    unsafe { (&raw mut *field).write_volatile(value) }
}

/// Reads such a field.
#[inline(always)]
pub fn read<T: Copy>(field: &T) -> T {
    // SAFETY: the pointer comes from a reference.
    unsafe { (&raw const *field).read_volatile() }
}
