"""Commands for gdb that write stacks, as gdb unwinds them, into a capture; README.md has the format.

    capture-open FILE FOLDER   begins a capture; FOLDER has the object files that tables are built of
    capture-steps COUNT        writes the stack as it is now and after each of COUNT instructions
    capture-close              ends it
"""

import os
import struct

import gdb

MACHINES = {62: "x86_64", 183: "aarch64"}

# What an unwinder has of the innermost frame: its names of registers, and gdb's.
REGISTERS = {
    "x86_64": ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"]
    + [f"r{number}" for number in range(8, 16)]
    + ["rip"],
    "aarch64": ["pc", "sp", "x29", "x30"],
}

# The end of a stack, by what gdb says of its last frame.
ENDS = {
    gdb.FRAME_UNWIND_OUTERMOST: "complete",
    gdb.FRAME_UNWIND_INNER_ID: "not_ascending",
    gdb.FRAME_UNWIND_SAME_ID: "not_ascending",
    gdb.FRAME_UNWIND_MEMORY_ERROR: "unreadable_stack",
}

# Bytes of each frame that are written: a signal frame has its registers in the first 640, and all others have
# what a caller needs at one of both ends.
FIRST, LAST = 640, 256

# The same of all frames together where return addresses are signed: the program for that has no more.
SIGNED = 256

# Bytes of a line of the stack.
LINE = 32

# Most frames of a stack.
DEPTH = 64

PAGE = 4096


class Capture:
    """The file that is being written."""

    def __init__(self, path, folder):
        self.out = open(path, "w", encoding="ascii")
        self.program = gdb.current_progspace().filename
        with open(self.program, "rb") as file:
            self.elf = file.read()
        self.machine = MACHINES[struct.unpack_from("<H", self.elf, 18)[0]]
        self.folder = folder
        self.written = {}

    def line(self, *key, value):
        """Writes a line, unless the last one with the same key says the same."""
        if self.written.get(key) != value:
            self.written[key] = value
            print(*key, value, file=self.out)

    def stop(self):
        """Writes one stack."""
        if not self.written:
            self.line("machine", value=self.machine)
            for mapping in self.mappings():
                self.line("mapping", value=mapping)
        innermost = gdb.newest_frame()
        print("\nstop", file=self.out)
        for name in REGISTERS[self.machine]:
            self.line("register", name, value=hex(unsigned(innermost, name)))
        mask = pac_mask()
        if mask is not None:
            self.line("register", "pac_mask", value=hex(mask))
        frames = chain(innermost)
        for address in sorted(lines(frames, mask is not None)):
            words = bytes(gdb.selected_inferior().read_memory(address, LINE))
            self.line("stack", hex(address), value=words.hex())
        for frame in frames:
            print("frame", hex(frame.pc()), frame.name() or "?", file=self.out)
        print("end", end(frames[-1]), file=self.out)

    def mappings(self):
        """Executable mappings: from, to, offset in the file, and the file, if it is among the captures."""
        inferior = gdb.selected_inferior()
        if inferior.connection.type == "native":
            with open(f"/proc/{inferior.pid}/maps", encoding="utf-8") as maps:
                fields = [line.split() for line in maps]
            for range_, permissions, offset, _, _, *path in fields:
                if "x" in permissions:
                    start, end = range_.split("-")
                    yield self.mapping(int(start, 16), int(end, 16), int(offset, 16), *path)
        else:
            # An emulator does not tell. A program that is not relocated is where its headers say.
            for segment in executable_segments(self.elf):
                yield self.mapping(*segment, self.program)

    def mapping(self, start, end, offset, path="-"):
        name = os.path.basename(path)
        name = name if os.path.isfile(os.path.join(self.folder, name)) else "-"
        return f"{start:#x} {end:#x} {offset:#x} {name}"


def chain(frame):
    """A frame and its callers."""
    frames = []
    while frame is not None and len(frames) < DEPTH:
        frames.append(frame)
        frame = frame.older()
    return frames


def end(last):
    """Why a frame has no caller. gdb goes no further than where the program begins, whatever CFI says of it."""
    return "complete" if last.name() == "_start" else ENDS[last.unwind_stop_reason()]


def unsigned(frame, name):
    """A register's value."""
    return int(frame.read_register(name)) & (1 << 64) - 1


def pac_mask():
    """Bits of an address that a signature may take, which the program says."""
    try:
        return int(gdb.parse_and_eval("*(unsigned long *)&pac_mask"))
    except gdb.error:
        return None


def lines(frames, signed):
    """Addresses of lines of the stack: both ends of each frame."""
    found = set()
    for frame, caller in zip(frames, frames[1:] + [None]):
        start = unsigned(frame, "sp")
        end = unsigned(caller, "sp") if caller is not None else start + LINE
        # A signal handler may have a stack of its own.
        if end < start:
            end = start + FIRST
        # gdb may not see the callers through their signatures.
        if signed:
            end = start + SIGNED
        found |= set(range(start - start % LINE, min(end, start + FIRST), LINE))
        found |= set(range(max(start, end - LAST) // LINE * LINE, end, LINE))
        if signed:
            break
    return found


def executable_segments(elf):
    """From, to and offset of the segments of an ELF file that hold code, in whole pages."""
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    for at in range(table, table + size * count, size):
        kind, flags, offset, address, _, length = struct.unpack_from("<IIQQQQ", elf, at)
        if kind == 1 and flags & 1:
            slack = address % PAGE
            yield address - slack, -(-(address + length) // PAGE) * PAGE, offset - slack


class Open(gdb.Command):
    capture = None

    def __init__(self):
        super().__init__("capture-open", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        Open.capture = Capture(*gdb.string_to_argv(argument))


class Steps(gdb.Command):
    def __init__(self):
        super().__init__("capture-steps", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        Open.capture.stop()
        for _ in range(int(argument)):
            gdb.execute("stepi", to_string=True)
            Open.capture.stop()


class Close(gdb.Command):
    def __init__(self):
        super().__init__("capture-close", gdb.COMMAND_USER)

    def invoke(self, argument, from_tty):
        Open.capture.out.close()


for command in (Open, Steps, Close):
    command()
