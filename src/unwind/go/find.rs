//! Where in a file Go's table is, and to which code it belongs.

use super::GoError;
use super::header::{HEADER_BYTES, Header, Version};
use crate::object::ObjectAddress;
use crate::object::read_at::ReadAt;
use crate::unwind::image::{Image, u64_at};

/// The second name is that of position-independent programs before Go 1.26.
const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];

/// Holds `runtime.firstmoduledata` since Go 1.26.
const MODULE_SECTION: &[u8] = b".go.module";

/// In `runtime.moduledata`, the same since Go 1.18: first the address of the table, then at these offsets the
/// first address of a function, the end of the last one, and that from which functions count.
const MINPC_AT: usize = 160;
const MAXPC_AT: usize = 168;
const TEXT_AT: usize = 176;
const MODULE_BYTES: usize = 184;

/// Most places that are taken for `runtime.moduledata` until one proves right.
const MAX_CANDIDATES: usize = 16;

/// The table's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) address: ObjectAddress,
    /// Bytes that may belong to it.
    pub(super) size: u64,
    pub(super) header: Header,
}

/// Finds the table by the name of its section, or by its magic number in files without sections.
pub(super) fn table<F: ReadAt + ?Sized>(image: &Image<'_, F>) -> Result<Option<Place>, GoError> {
    if let Some(range) = SECTIONS.iter().find_map(|name| image.section(name)) {
        let address = ObjectAddress(range.start);
        let size = (range.end - range.start).min(image.rest_of_segment(address));
        let head = image.memory(address, HEADER_BYTES)?;
        let header = Header::parse(&head, image.machine, size)?;
        return Ok(Some(Place { address, size, header }));
    }
    if image.has_sections() {
        return Ok(None);
    }
    let mut found = None;
    image.scan(HEADER_BYTES, |address, bytes| {
        if Header::may_begin(bytes, image.machine) {
            let size = image.rest_of_segment(address);
            let header = Header::parse(bytes, image.machine, size).ok();
            found = header.map(|header| Place { address, size, header });
        }
        found.is_none()
    })?;
    Ok(found)
}

/// The address from which the table counts. `first` and `end` are what the table says of the first function's
/// start and the last one's end.
pub(super) fn text<F: ReadAt + ?Sized>(
    image: &Image<'_, F>,
    place: &Place,
    first: u64,
    end: u64,
) -> Result<ObjectAddress, GoError> {
    let holds = |text: u64| {
        let first = ObjectAddress(text.wrapping_add(first));
        let length = text.wrapping_add(end).checked_sub(first.0);
        image.segment_of(first).is_some_and(|segment| segment.executable)
            && length.is_some_and(|length| length <= image.rest_of_segment(first))
    };
    if place.header.version == Version::Go116 {
        return if holds(0) { Ok(ObjectAddress(0)) } else { Err(GoError::NoText) };
    }
    if place.header.text != 0 && holds(place.header.text) {
        return Ok(ObjectAddress(place.header.text));
    }
    for module in modules(image, place)? {
        if let Some(text) = text_of(image, module, first, end)?
            && holds(text)
        {
            return Ok(ObjectAddress(text));
        }
    }
    // Before Go 1.26, with an outside linker: the head has the address, but as a relocation.
    let head = ObjectAddress(place.address.0.wrapping_add(Header::TEXT_AT));
    let mut text = None;
    image.relocations(|relocation| {
        text = (relocation.address == head).then_some(relocation.value);
        text.is_none()
    })?;
    text.filter(|text| holds(*text)).map(ObjectAddress).ok_or(GoError::NoText)
}

/// Where `runtime.moduledata` may be: its section, or whatever points to the table.
fn modules<F: ReadAt + ?Sized>(image: &Image<'_, F>, place: &Place) -> Result<Vec<ObjectAddress>, GoError> {
    if let Some(range) = image.section(MODULE_SECTION) {
        return Ok(vec![ObjectAddress(range.start)]);
    }
    let mut found = Vec::new();
    image.relocations(|relocation| {
        if relocation.value == place.address.0 {
            found.push(relocation.address);
        }
        found.len() < MAX_CANDIDATES
    })?;
    let pointer = place.address.0.to_le_bytes();
    image.scan(pointer.len(), |address, bytes| {
        if bytes == pointer {
            found.push(address);
        }
        found.len() < MAX_CANDIDATES * 2
    })?;
    Ok(found)
}

/// What a module says of its text, if it is the table's: both must agree on where functions begin and end.
fn text_of<F: ReadAt + ?Sized>(
    image: &Image<'_, F>,
    module: ObjectAddress,
    first: u64,
    end: u64,
) -> Result<Option<u64>, GoError> {
    let Ok(bytes) = image.memory(module, MODULE_BYTES) else { return Ok(None) };
    let mut values = [u64_at(&bytes, MINPC_AT)?, u64_at(&bytes, MAXPC_AT)?, u64_at(&bytes, TEXT_AT)?];
    // A word of 0 is one that the loader will write.
    if values.contains(&0) {
        image.relocations(|relocation| {
            let offset = relocation.address.0.wrapping_sub(module.0);
            for (at, value) in [MINPC_AT, MAXPC_AT, TEXT_AT].into_iter().zip(&mut values) {
                if offset == at as u64 && *value == 0 {
                    *value = relocation.value;
                }
            }
            values.contains(&0)
        })?;
    }
    let [minimum, maximum, text] = values;
    let agree = text.wrapping_add(first) == minimum && text.wrapping_add(end) == maximum;
    Ok(agree.then_some(text))
}
