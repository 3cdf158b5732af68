#!/usr/bin/env python3
"""Builds the programs and captures their stacks with gdb; README.md says what it needs.

    tests/replay/record.py [ARCHITECTURE/CASE...]
"""

import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.resolve()
PROGRAMS = HERE / "programs"
CAPTURES = HERE / "captures"

BOTH = ("x86_64", "aarch64")
NO_FRAME_POINTER = "-fomit-frame-pointer"
FRAME_POINTER = "-fno-omit-frame-pointer"


def run_to(place):
    """Runs to the first instruction of a function."""
    return [f"tbreak *{place}", "continue"]


def steps(place, count):
    """Captures from there on."""
    return [*run_to(place), f"capture-steps {count}"]


# In a handler's callee, back to what was interrupted, and there the same at another instruction.
SIGNAL = [
    *run_to("interrupted"),
    "tbreak *handler",
    "signal SIGUSR1",
    "capture-steps 22",
    *run_to("interrupted"),
    "stepi",
    "tbreak *handle",
    "signal SIGUSR1",
    "capture-steps 1",
]

# Case, source, architectures, flags, commands.
CASES = [
    ("plain", "calls.c", BOTH, [NO_FRAME_POINTER], steps("outer", 48)),
    ("bare_start", "calls.c", BOTH, [NO_FRAME_POINTER, "-DBARE"], ["capture-steps 8"]),
    ("frame_pointer", "calls.c", BOTH, [FRAME_POINTER], steps("outer", 48)),
    ("prologue", "prologue.c", BOTH, [NO_FRAME_POINTER], steps("saving", 52)),
    ("prologue_frame_pointer", "prologue.c", BOTH, [FRAME_POINTER, "-DFRAME_POINTER"], steps("saving", 30)),
    ("realign", "realign.c", BOTH, [NO_FRAME_POINTER], steps("aligned", 90)),
    ("large", "large.c", BOTH, [NO_FRAME_POINTER], steps("large", 24)),
    ("noreturn", "noreturn.c", BOTH, [NO_FRAME_POINTER, "-falign-functions=1"], steps("last", 12)),
    ("signal_below", "signal.c", BOTH, [NO_FRAME_POINTER], SIGNAL),
    ("signal_above", "signal.c", BOTH, [NO_FRAME_POINTER, "-DABOVE"], SIGNAL),
    ("signal_frame_pointer", "signal.c", BOTH, [FRAME_POINTER, "-DVARIABLE"], SIGNAL),
    ("signal_cfi", "signal.c", ("x86_64",), [NO_FRAME_POINTER, "-DCFI_TRAMPOLINE"], SIGNAL),
    ("linkage", "linkage.c", ("x86_64",), ["-fcf-protection=none"], steps("caller", 8)),
    ("linkage_ibt", "linkage.c", ("x86_64",), ["-fcf-protection=branch", "-Wl,-z,ibtplt"], steps("caller", 10)),
    ("signed", "calls_signed.c", ("aarch64",), [NO_FRAME_POINTER, "-mbranch-protection=pac-ret+leaf"], steps("outer", 48)),
    ("assembly", "assembly", BOTH, [], steps("innermost", 1) * 2),
    ("broken", "broken", BOTH, [], steps("innermost", 1) * 2),
]

# Small files, of which the first page is code too.
ONE_SEGMENT = "-Wl,-z,noseparate-code"
ALL = [
    "-O2",
    "-fasynchronous-unwind-tables",
    "-fno-stack-protector",
    "-nostdlib",
    "-Wall",
    "-Wextra",
    "-Wl,--build-id=none",
    "-Wl,-z,max-page-size=4096",
]
COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}

# Seconds that gdb may take for one program.
LONGEST = 60

# What gdb unwinds on, and what signs return addresses. gdb tells signatures from addresses only where the
# emulator says so, which qemu does since 8.0; a processor without them gives the same frames.
PROCESSOR, SIGNING_PROCESSOR = "cortex-a72", "max"


def build(case, source, architecture, flags, folder):
    """Builds the program of a case into a folder."""
    suffix = "" if source.endswith(".c") else f"_{architecture}.S"
    command = [COMPILERS[architecture], *ALL, *flags, f"-I{PROGRAMS}"]
    program = folder / case
    places = [PROGRAMS / f"{source}{suffix}", "-o", program]
    if case.startswith("linkage"):
        library = folder / f"{case}.so"
        name = f"-Wl,-soname,{library.name}"
        run([*command, ONE_SEGMENT, "-shared", name, "-fpic", PROGRAMS / "linkage_library.c", "-o", library])
        # The loader looks a function up when it is called first.
        run([*command, "-fpie", "-pie", "-Wl,-z,lazy", "-Wl,-rpath,$ORIGIN", *places, library])
    else:
        run([*command, ONE_SEGMENT, "-static", "-no-pie", "-fno-pie", *places])
    strip = "strip" if architecture == "x86_64" else "aarch64-linux-gnu-strip"
    run([strip, "--strip-debug", "--remove-section=.comment", program])
    return program


def capture(program, architecture, commands, output, processor):
    """Captures the stacks of a program with gdb."""
    emulator = None
    if architecture == "x86_64":
        debugger, start = "gdb", ["starti"]
    else:
        debugger, port = "gdb-multiarch", free_port()
        emulator = subprocess.Popen(
            ["qemu-aarch64-static", "-cpu", processor, "-g", str(port), program], env={}, stderr=subprocess.DEVNULL
        )
        start = [f"target remote localhost:{port}"]
    opening = [f"source {HERE / 'capture.py'}", f"capture-open {output} {program.parent}"]
    # The environment lies above the stack: without one, the stack is where it was last time.
    settings = ["set pagination off", "set confirm off", "unset environment", "handle SIGUSR1 nostop noprint pass"]
    lines = [*settings, *opening, *start, *commands, "capture-close", "kill"]
    arguments = [argument for line in lines for argument in ("-ex", line)]
    command = [debugger, "-nx", "-batch", *arguments, program]
    try:
        gdb = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    finally:
        if emulator is not None:
            emulator.kill()
            emulator.wait()
    if gdb.returncode != 0 or "Error" in gdb.stderr or "Traceback" in gdb.stderr:
        sys.exit(f"{program}: gdb failed\n{gdb.stdout}\n{gdb.stderr}")


def run(command):
    subprocess.run(command, check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def main():
    wanted = sys.argv[1:]
    for case, source, architectures, flags, commands in CASES:
        for architecture in architectures:
            if not wanted or f"{architecture}/{case}" in wanted:
                record(case, source, architecture, flags, commands)


def record(case, source, architecture, flags, commands):
    folder = CAPTURES / architecture
    folder.mkdir(parents=True, exist_ok=True)
    program = build(case, source, architecture, flags, folder)
    output = folder / f"{case}.capture"
    capture(program, architecture, commands, output, PROCESSOR)
    if case == "signed":
        with tempfile.NamedTemporaryFile("w+") as signed:
            capture(program, architecture, commands, signed.name, SIGNING_PROCESSOR)
            output.write_text(with_frames_of(signed.read(), output.read_text()))
    print(f"{architecture}/{case}", flush=True)


def with_frames_of(signed, plain):
    """The registers and stacks of one capture, and the frames of another of the same stops."""
    head, *signed = signed.split("\nstop\n")
    _, *plain = plain.split("\nstop\n")
    assert len(signed) == len(plain)
    stops = []
    for registers, frames in zip(signed, plain):
        registers, _, innermost = registers.partition("frame ")
        _, mark, frames = frames.partition("frame ")
        # Both stand at the same instruction.
        assert innermost_of(innermost) == innermost_of(frames), (innermost, frames)
        stops.append(f"{registers}{mark}{frames}")
    return "\nstop\n".join([head, *stops])


def innermost_of(frames):
    return frames.splitlines()[0]


main()
