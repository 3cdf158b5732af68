"""Reads a pprof profile with nothing but Python, checks its references, and prints it as JSON.

Its own reading of https://github.com/google/pprof/blob/main/proto/profile.proto, so that an error in the
agent's message definitions shows up as a difference.
"""

import gzip
import json
import sys

SIGNED = 1 << 63


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            assert value < 1 << 64, "varint is too long"
            return value, at


def fields(data):
    """Every field of a message: its number and its value, an integer or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
            assert len(value) == length, "cut off"
        else:
            raise AssertionError(f"wire type {key & 7} is not in this format")
        yield key >> 3, value


class Message:
    def __init__(self, data, names):
        self.values = {name: [] for name in names.values()}
        for number, value in fields(data):
            assert number in names, f"unknown field {number} beside {names}"
            self.values[names[number]].append(value)

    def one(self, name, default=0):
        # Of a field that is there twice, the last counts.
        return self.values[name][-1] if self.values[name] else default

    def signed(self, name):
        value = self.one(name)
        return value - (1 << 64) if value >= SIGNED else value

    def numbers(self, name, signed=False):
        """A repeated number, packed or not."""
        found = []
        for value in self.values[name]:
            if isinstance(value, int):
                found.append(value)
                continue
            at = 0
            while at < len(value):
                number, at = varint(value, at)
                found.append(number)
        return [n - (1 << 64) if signed and n >= SIGNED else n for n in found]

    def messages(self, name, names):
        return [Message(data, names) for data in self.values[name]]


PROFILE = dict(enumerate(
    "sample_type sample mapping location function string_table drop_frames keep_frames time_nanos "
    "duration_nanos period_type period comment default_sample_type".split(), 1))
VALUE_TYPE = {1: "type", 2: "unit"}
SAMPLE = {1: "location_id", 2: "value", 3: "label"}
LABEL = {1: "key", 2: "str", 3: "num", 4: "num_unit"}
MAPPING = dict(enumerate(
    "id memory_start memory_limit file_offset filename build_id has_functions has_filenames "
    "has_line_numbers has_inline_frames".split(), 1))
LOCATION = {1: "id", 2: "mapping_id", 3: "address", 4: "line", 5: "is_folded"}
LINE = {1: "function_id", 2: "line", 3: "column"}
FUNCTION = {1: "id", 2: "name", 3: "system_name", 4: "filename", 5: "start_line"}


def sequential(rows):
    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1)), "ids are not 1, 2, 3..."


def read(data):
    profile = Message(data, PROFILE)
    strings = [text.decode("utf-8") for text in profile.values["string_table"]]
    assert strings[0] == "" and len(set(strings)) == len(strings), "bad string table"

    def text(message, name):
        return strings[message.signed(name)]

    def value_type(data):
        message = Message(data, VALUE_TYPE)
        return [text(message, "type"), text(message, "unit")]

    mappings = [
        {"id": m.one("id"), "start": m.one("memory_start"), "limit": m.one("memory_limit"),
         "offset": m.one("file_offset"), "filename": text(m, "filename"), "build_id": text(m, "build_id"),
         "has_functions": bool(m.one("has_functions"))}
        for m in profile.messages("mapping", MAPPING)]
    locations = [
        {"id": m.one("id"), "mapping": m.one("mapping_id"), "address": m.one("address"),
         "lines": [[line.one("function_id"), line.signed("line")] for line in m.messages("line", LINE)]}
        for m in profile.messages("location", LOCATION)]
    functions = [
        {"id": m.one("id"), "name": text(m, "name"), "system_name": text(m, "system_name"),
         "filename": text(m, "filename")}
        for m in profile.messages("function", FUNCTION)]
    samples = [
        {"locations": m.numbers("location_id"), "values": m.numbers("value", signed=True),
         "labels": [[text(label, "key"), text(label, "str"), label.signed("num")]
                    for label in m.messages("label", LABEL)]}
        for m in profile.messages("sample", SAMPLE)]
    sample_types = [value_type(data) for data in profile.values["sample_type"]]

    for rows in (mappings, locations, functions):
        sequential(rows)
    for location in locations:
        assert 1 <= location["mapping"] <= len(mappings)
        mapping = mappings[location["mapping"] - 1]
        inside = mapping["start"] <= location["address"] < mapping["limit"]
        assert inside or location["address"] == 0, f"{location} outside {mapping}"
        assert all(1 <= function <= len(functions) for function, _ in location["lines"])
        assert bool(location["lines"]) == mapping["has_functions"], f"{location} in {mapping}"
    for sample in samples:
        assert len(sample["values"]) == len(sample_types)
        assert all(1 <= location <= len(locations) for location in sample["locations"])
        assert len({key for key, _, _ in sample["labels"]}) == len(sample["labels"]), "a label twice"
    return {
        "sample_type": sample_types, "period_type": value_type(profile.one("period_type")),
        "period": profile.signed("period"), "time_nanos": profile.signed("time_nanos"),
        "duration_nanos": profile.signed("duration_nanos"), "mapping": mappings, "location": locations,
        "function": functions, "sample": samples,
        "total": [sum(column) for column in zip(*(sample["values"] for sample in samples))],
    }


with gzip.open(sys.argv[1]) as file:
    json.dump(read(file.read()), sys.stdout)
