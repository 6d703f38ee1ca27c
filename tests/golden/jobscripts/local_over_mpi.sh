#!/bin/bash
#
# A search by Ribosome on this machine.
# 5 ranks: 1 node x 4 workers (one for each GPU), and the master on the first node.
# Started again, it goes on where it stopped.

set -euo pipefail

config=digits.toml
run=runs/digits

if ! command -v ribosome >/dev/null; then
    echo "ribosome is not on PATH: activate its environment before this line" >&2
    exit 1
fi
search=(ribosome search "$config" -o "$run" --progress plain)
if [[ -e "$run/journal.sqlite" ]]; then
    search+=(--resume)
fi

search+=(--mpi 5) # starts itself again under the mpiexec of its own MPI
exec timeout --foreground --signal=TERM 90m "${search[@]}"
