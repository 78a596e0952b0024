"""The protocol of bench/native/leg.h for legs in Python: the same numbers, the same answers."""

import json
import sys
import time

import numpy


def fill(text, size, dtype):
    kind, rest = text[0], text[1:]
    if kind == "c":
        return numpy.full(size, float(rest), dtype)
    if kind == "l":
        return numpy.array([float(x) for x in rest.split("/")], dtype)
    if kind not in "upi":
        return numpy.zeros(size, dtype)
    seed, _, limit = rest.partition("m")
    x = numpy.arange(size, dtype=numpy.uint32)
    with numpy.errstate(over="ignore"):
        x += numpy.uint32(int(seed) * 0x9E3779B9 & 0xFFFFFFFF)
        x ^= x >> numpy.uint32(16)
        x *= numpy.uint32(0x7FEB352D)
        x ^= x >> numpy.uint32(15)
        x *= numpy.uint32(0x846CA68B)
        x ^= x >> numpy.uint32(16)
    if kind == "i":
        return (x % numpy.uint32(int(limit))).astype(dtype)
    high = (x >> numpy.uint32(8)).astype(numpy.float64)
    return (high / 8388608 - 1 if kind == "u" else (high + 1) / 16777216).astype(dtype)


DTYPES = {"f": numpy.float32, "i": numpy.int32, "b": numpy.uint8}


class Request:
    """One op: .name, .ints, .floats, .arrays (numpy; outputs are zeros), .at"""

    def __init__(self, line):
        fields = dict(word.partition("=")[::2] for word in line.split()[1:])
        self.name = fields["name"]
        self.ints = [int(x) for x in fields.get("ints", "").split(",") if x]
        self.floats = [float(x) for x in fields.get("floats", "").split(",") if x]
        self.at = [int(x) for x in fields.get("at", "").split(",") if x]
        self.arrays = []
        for item in fields["operands"].split(";"):
            parts = item.split(":")
            dims = [] if parts[2] == "none" else [int(x) for x in parts[3].split("x") if x]
            size = 0 if parts[2] == "none" else int(numpy.prod(dims, dtype=numpy.int64))
            data = fill(parts[2], size, DTYPES[parts[1]])
            self.arrays.append(data if size == 0 else data.reshape(dims))


def time_of(call, least, clock, calls):
    repeats = max(1, calls)
    while True:
        start = clock()
        for _ in range(repeats):
            call()
        seconds = clock() - start
        if seconds >= least:
            return seconds / repeats, repeats
        repeats = repeats * 8 if seconds < least / 16 else int(repeats * least / seconds * 1.1) + 1


def serve(version, make):
    """make(request) gives (call, result): result() is a flat numpy array; or None when there is no such op."""
    print(json.dumps({"ready": version}), flush=True)
    call, calls = None, 0
    for line in sys.stdin:
        try:
            if line.startswith("prepare "):
                # The operands of the last op are freed before those of the next are made.
                call, made, request, calls = None, None, Request(line), 0
                made = make(request)
                if made is None:
                    answer = {"unsupported": "no such op"}
                else:
                    call, result = made
                    call()
                    values = result()
                    finite = bool(numpy.isfinite(values).all())
                    picked = [float(values[i]) for i in request.at]
                    answer = {"size": values.size, "finite": finite, "values": picked}
                    values = None
            elif line.startswith("time ") and call is not None:
                words = line.split()
                clock = time.process_time if "cpu" in words else time.perf_counter
                seconds, calls = time_of(call, float(words[1]), clock, calls)
                answer = {"seconds": seconds, "calls": calls}
            else:
                answer = {"error": "unknown request"}
        except Exception as error:  # whatever the library says is the peer's result
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
