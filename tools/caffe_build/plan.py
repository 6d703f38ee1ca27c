"""What is compiled, with which flags, as a makefile that goes on where it was stopped.

An object appears under its name only when it is complete, so make can trust each that is
there. The layers are compiled in batches: nearly all of a compiler's time goes into the
headers that they share.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SOURCE = "source"
PROGRAM = "caffe"
DONE = "done "
"""What a recipe prints, before the name of what it made."""

FLAGS = (
    "-O2 -std=c++14 -w -DCPU_ONLY -DUSE_LMDB -DUSE_HDF5 -DCAFFE_VERSION=1.0.0 "
    # glog's CHECK and the log lines "Creating Layer" are there only without NDEBUG.
    "-UNDEBUG"
)
LIBRARIES = (
    "-lprotobuf -lboost_thread -lboost_system -lboost_filesystem -lopenblas "
    "-lhdf5_hl -lhdf5 -lgflags -lglog -llmdb -lpthread"
)

_LAYERS_PER_BATCH = 12
_GENERATED = "generated"


def write_plan(folder: Path, compiler: Sequence[str]) -> int:
    """Write the makefile, and the batches that it compiles; the number of its steps.

    ``folder`` holds the sources in `SOURCE`. The compiler is asked where this system's
    libraries are.
    """
    batches = _batches(folder)
    for name, paths in batches.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        _write_if_new(path, "".join(f'#include "../{each}"\n' for each in paths))
    units = [f"{_GENERATED}/caffe.pb.cc", *batches, *_others(folder)]
    text = makefile(units, _places(compiler))
    _write_if_new(folder / "Makefile", text)
    return len(units) + 2


def makefile(units: Sequence[str], places: Mapping[str, str]) -> str:
    """A makefile that compiles and links units, C++ files by relative path.

    ``places`` has the compiler and its flags for HDF5, which Debian keeps apart.
    """
    objects = {unit: f"objects/{unit}.o" for unit in units}
    lines = [
        f"CXX := {places['compiler']}",
        f"CXXFLAGS := {FLAGS}",
        f"override CPPFLAGS := -I{_GENERATED} -I{SOURCE}/include -I{SOURCE}/src "
        f"{places['include']} $(CPPFLAGS)",
        f"override LDFLAGS := {places['library']} $(LDFLAGS)",
        f"LIBRARIES := {LIBRARIES}",
        f"PROTO := {SOURCE}/src/caffe/proto",
        f"OBJECTS := {' '.join(objects.values())}",
        "",
        f"{PROGRAM}: $(OBJECTS)",
        "\t@$(CXX) -o $@.part $(OBJECTS) $(LDFLAGS) $(LIBRARIES)",
        f"\t@mv $@.part $@ && echo '{DONE}$@'",
        "",
        f"{_GENERATED}/caffe.pb.cc: $(PROTO)/caffe.proto",
        f"\t@rm -rf {_GENERATED} && mkdir -p {_GENERATED}.part/caffe/proto",
        f"\t@protoc -I$(PROTO) --cpp_out={_GENERATED}.part/caffe/proto $<",
        f"\t@cd {_GENERATED}.part && echo '#include \"caffe/proto/caffe.pb.cc\"'"
        " > caffe.pb.cc",
        f"\t@mv {_GENERATED}.part {_GENERATED} && echo '{DONE}$@'",
    ]
    for unit, made in objects.items():
        lines += [
            "",
            f"{made}: {unit} | {_GENERATED}/caffe.pb.cc",
            "\t@mkdir -p $(@D)",
            "\t@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -c $< -o $@.part",
            f"\t@mv $@.part $@ && echo '{DONE}$@'",
        ]
    return "\n".join([*lines, ""])


def _batches(folder: Path) -> dict[str, list[str]]:
    paths = _sources(folder, "src/caffe/layers")
    starts = range(0, len(paths), _LAYERS_PER_BATCH)
    return {
        f"batches/layers-{1 + start // _LAYERS_PER_BATCH}.cpp": paths[
            start : start + _LAYERS_PER_BATCH
        ]
        for start in starts
    }


def _others(folder: Path) -> list[str]:
    layers = set(_sources(folder, "src/caffe/layers"))
    others = [path for path in _sources(folder, "src/caffe") if path not in layers]
    return [f"{SOURCE}/tools/caffe.cpp", *others]


def _sources(folder: Path, below: str) -> list[str]:
    found = (folder / SOURCE / below).rglob("*.cpp")
    return sorted(str(path.relative_to(folder)) for path in found)


def _places(compiler: Sequence[str]) -> dict[str, str]:
    asked = subprocess.run(
        [*compiler, "-print-multiarch"],
        capture_output=True,
        text=True,
        check=False,
    )
    include = Path("/usr/include/hdf5/serial")
    library = Path("/usr/lib", asked.stdout.strip(), "hdf5", "serial")
    return {
        "compiler": " ".join(compiler),
        "include": f"-I{include}" if include.is_dir() else "",
        "library": f"-L{library}" if library.is_dir() else "",
    }


def _write_if_new(path: Path, text: str) -> None:
    # A time stamp that changes would have make compile again.
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
