"""``python -m ribosome.tools.caffe_build``: what `make caffe` runs."""

import argparse
import sys

from ribosome.genome.errors import RibosomeError
from ribosome.tools.caffe_build.build import build


def main() -> int:
    """Build caffe; the exit code is 1 where it cannot be built."""
    parser = argparse.ArgumentParser(prog="make caffe", description=__doc__)
    parser.add_argument("--jobs", type=_positive, help="compilers that run at once")
    options = parser.parse_args()
    try:
        build(_say, options.jobs)
    except RibosomeError as error:
        print(f"make caffe: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"make caffe: {error.filename}: {error.strerror}; RIBOSOME_CACHE can name "
            "another folder to build in",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("make caffe: interrupted; the next goes on from here", file=sys.stderr)
        return 130
    return 0


def _say(line: str) -> None:
    print(f"make caffe: {line}", flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
