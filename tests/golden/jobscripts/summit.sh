#!/bin/bash
#BSUB -J menndl
#BSUB -o menndl-%J.out
#BSUB -P ABC123
#BSUB -q batch
#BSUB -W 6:00
#BSUB -nnodes 4200
#BSUB -alloc_flags "nvme smt1"
#BSUB -wa URG
#BSUB -wt 3
#
# A search by Ribosome on OLCF Summit: 6 V100 and 42 cores a node.
# 25201 ranks: 4200 nodes x 6 workers (one for each GPU), and the master on the first node.
# It ends in good order before its time is up; submitted again, it goes on where it stopped.

module load gcc spectrum-mpi cuda

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

# Which cores and which GPU each rank has: rank 0, the master, a core of the first node.
ranks=$(mktemp)
trap 'rm -f "$ranks"' EXIT
{
    echo "cpu_index_using: logical"
    echo "overlapping_rs: error"
    echo "oversubscribe_cpu: error"
    echo "oversubscribe_gpu: error"
    echo "oversubscribe_mem: allow"
    echo "launch_distribution: packed"
    echo "rank: 0: { host: 1; cpu: {0} }"
    rank=1
    for ((node = 1; node <= 4200; node++)); do
        cores=(0-6 7-13 14-20 21-27 28-34 35-41)
        if ((node == 1)); then cores[0]=1-6; fi
        for ((place = 0; place < 6; place++)); do
            gpu=$place
            echo "rank: $rank: { host: $node; cpu: {${cores[gpu]}}; gpu: {$gpu} }"
            rank=$((rank + 1))
        done
    done
} >"$ranks"

# Exit codes of ranks end nobody else's (-X 0). The warning before the time limit is passed on.
jsrun --erf_input "$ranks" -X 0 "${search[@]}" &
launcher=$!
trap 'kill -TERM "$launcher" 2>/dev/null || true' URG TERM
status=0
wait "$launcher" || status=$?
while kill -0 "$launcher" 2>/dev/null; do
    status=0
    wait "$launcher" || status=$?
done
exit "$status"
