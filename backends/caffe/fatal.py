"""What a fatal line of Caffe's log stands for: the network, the memory, or something else.

Caffe ends on any error by one line that begins with F, and aborts.
"""

import re

from ribosome.backends.base import Ending

_MEMORY = re.compile(
    r"out of memory|bad_alloc|alloc_failed|cannot allocate memory|host allocation"
    r"|cudaSuccess \(2 vs\. 0\)",
    re.IGNORECASE,
)
_NOT_THE_NETWORK = re.compile(
    r"cuda|cudnn|cublas|curand|nccl|cpu-only|cannot use gpu"
    r"|mdb_status|lmdb|leveldb|hdf5|h5[a-z]*_|file_id"
    r"|no such file|file not found|(?:failed|could not|cannot|unable) to (?:open|load|read)"
    r"|(?:could not|cannot) (?:open|load|read|write)|permission denied|no space left",
    re.IGNORECASE,
)
_SOURCES = re.compile(
    r"\b(?:db(?:_lmdb|_leveldb)?|io|hdf5|common|benchmark|syncedmem|gpu_memory"
    r"|internal_thread|parallel|data_reader|data_transformer|\w*data_layer|\w+\.cu)"
    r"(?:\.[ch]pp|\.cu)?:\d+$"
)
_NOT_WRITTEN = "SerializeToOstream"
"""What fails in io.cpp where a snapshot cannot be written; Caffe keeps no errno."""
_SCHEMA = re.compile(
    r"\[libprotobuf (?:ERROR|FATAL) [^\]]*\] "
    r"(?:Error parsing text-format \S+: )?(?P<what>.*)",
    re.DOTALL,
)


def fatal_ending(prefix: str, text: str, *, building: bool) -> Ending:
    """The ending that a fatal line stands for.

    ``prefix`` is glog's, up to the source file and line that gave up; ``building`` whether
    a network was being built: a check that fails then is the network's fault, unless the
    line or its source file speaks of data, files or the device.
    """
    if _MEMORY.search(text):
        return "out_of_memory"
    if not building or _NOT_THE_NETWORK.search(text) or _SOURCES.search(prefix):
        return "crashed"
    return "invalid"


def explained(text: str) -> str:
    """A fatal line in words, where Caffe's own say nothing to who has not read its source."""
    if _NOT_WRITTEN not in text:
        return text
    return (
        "caffe could not write its snapshot into the trial's folder: no space is left on its "
        f"disk, or in its quota ({text})"
    )


def schema_error(line: str) -> str:
    """Line, column and complaint of a protobuf error; empty for another line."""
    found = _SCHEMA.match(line)
    return found["what"].strip()[:300] if found else ""
