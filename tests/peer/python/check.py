"""The real server's rules for what it is written, and sums of what passes them.

An independent reading of the same rules that the Rust server checks: where the two differ, one of them is wrong.
"""

import re
import zlib

from google.protobuf.unknown_fields import UnknownFieldSet

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MESSAGE_LIMIT = 64 << 20
UNPACKED_LIMIT = 1 << 30


def labels(label_set):
    """The labels as a dictionary, and what is wrong with them."""
    names = [label.name for label in label_set.labels]
    faults = [f"label name {name!r} is not valid" for name in names if not NAME.fullmatch(name)]
    faults += [f"label {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    found = {label.name: label.value for label in label_set.labels}
    if not found.get("__name__"):
        faults.append("there is no label __name__")
    return found, faults


def unpack(packed):
    """A whole gzip stream, and nothing behind it."""
    reader = zlib.decompressobj(wbits=31)
    data = reader.decompress(packed, UNPACKED_LIMIT)
    if not reader.eof or reader.unused_data:
        raise ValueError("it is cut off, too long, or not all")
    return data


def profile(name, raw, message):
    """The totals of one profile, read into an empty message, and what is wrong with it."""
    try:
        data = unpack(raw.raw_profile)
    except (ValueError, zlib.error) as error:
        return None, [f"profile is not gzip: {error}"]
    try:
        message.ParseFromString(data)
    except Exception as error:
        return None, [f"profile is not pprof: {error}"]
    faults = unknown(message) + strings(message) + ids(message) + samples(message)
    if not faults:
        faults = selectors(name, message)
    if len(raw.executable_info) != len(message.mapping):
        faults.append(f"{len(raw.executable_info)} executable_info for {len(message.mapping)} mappings")
    if message.time_nanos <= 0:
        faults.append("time_nanos is not set")
    if faults:
        return None, faults
    totals = [sum(sample.value[at] for sample in message.sample) for at in range(len(message.sample_type))]
    return {"samples": totals[0], "nanos": totals[1] if len(totals) > 1 else 0, "time": message.time_nanos}, []


def unknown(message):
    """Fields that the .proto file does not have: a client that knows more than both has made them up."""
    return [f"field {field.field_number} is unknown" for field in UnknownFieldSet(message)]


def strings(profile):
    table = profile.string_table
    if not table:
        return ["string table is empty"]
    faults = [] if table[0] == "" else [f"string 0 is {table[0]!r}, not empty"]
    used = [profile.drop_frames, profile.keep_frames, profile.default_sample_type, *profile.comment]
    for kind in [*profile.sample_type, profile.period_type]:
        used += [kind.type, kind.unit]
    for mapping in profile.mapping:
        used += [mapping.filename, mapping.build_id]
    for function in profile.function:
        used += [function.name, function.system_name, function.filename]
    for sample in profile.sample:
        for label in sample.label:
            used += [label.key, label.str, label.num_unit]
    wrong = [index for index in used if not 0 <= index < len(table)]
    return faults + [f"string {index} of {len(table)}" for index in wrong[:1]]


def ids(profile):
    faults = []
    for what in ("mapping", "location", "function"):
        for expected, one in enumerate(getattr(profile, what), 1):
            if one.id != expected:
                faults.append(f"{what} id {one.id} where {expected} should be")
                break
    for location in profile.location:
        if location.mapping_id > len(profile.mapping):
            faults.append(f"location {location.id} is in mapping {location.mapping_id} of {len(profile.mapping)}")
        for line in location.line:
            if not 1 <= line.function_id <= len(profile.function):
                faults.append(
                    f"location {location.id} is in function {line.function_id} of {len(profile.function)}"
                )
    return faults


def samples(profile):
    faults = [] if profile.sample_type else ["no sample type"]
    for number, sample in enumerate(profile.sample):
        if len(sample.value) != len(profile.sample_type):
            faults.append(f"sample {number} has {len(sample.value)} values for {len(profile.sample_type)} types")
        wrong = [one for one in sample.location_id if not 1 <= one <= len(profile.location)]
        if wrong:
            faults.append(f"sample {number} is at location {wrong[0]} of {len(profile.location)}")
        if any(label.key == 0 for label in sample.label):
            faults.append(f"sample {number} has a label without a key")
    return faults


def selectors(name, profile):
    def words(kind):
        return [profile.string_table[kind.type], profile.string_table[kind.unit]]

    faults = []
    for kind in profile.sample_type:
        parts = [name, *words(kind), *words(profile.period_type)]
        if not all(NAME.fullmatch(part) for part in parts):
            faults.append(f"{':'.join(parts)!r} is no selector")
    return faults
