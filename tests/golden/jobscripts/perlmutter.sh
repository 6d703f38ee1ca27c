#!/bin/bash
#SBATCH --job-name=ribosome
#SBATCH --output=ribosome-%j.out
#SBATCH --open-mode=append
#SBATCH --account=m1_g
#SBATCH --time=2:00:00
#SBATCH --nodes=64
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH -C gpu
#SBATCH --qos=regular
#SBATCH --signal=URG@120
#SBATCH --no-kill
#
# A search by Ribosome on NERSC Perlmutter: 4 A100 and 64 cores a node.
# 769 ranks: 64 nodes x 12 workers (4 GPUs, 3 trials on each), and the master on the first node.
# It ends in good order before its time is up; submitted again, it goes on where it stopped.

module load python cray-mpich cudatoolkit

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

# The first node is named once more than the others: rank 0, the master, is there.
hosts=$(mktemp)
trap 'rm -f "$hosts"' EXIT
scontrol show hostnames "$SLURM_JOB_NODELIST" | awk '
    NR == 1 { print }
    { for (i = 0; i < 12; i++) print }' >"$hosts"
export SLURM_HOSTFILE=$hosts
unset SLURM_NTASKS_PER_NODE SLURM_TASKS_PER_NODE SLURM_GPU_BIND

# Each worker runs on the cores beside its GPU, the master on one of its own.
on_its_cores() {
    local cores=(48-63 32-47 16-31 0-15)
    local place=$SLURM_LOCALID
    if ((SLURM_NODEID == 0)); then
        if ((place == 0)); then exec taskset --cpu-list 48 "$@"; fi
        place=$((place - 1))
        cores[0]=49-63
    fi
    exec taskset --cpu-list "${cores[place / 3]}" "$@"
}

# A rank that ends, whatever its exit code, must not end the others (kill-on-bad-exit, wait).
srun \
    --mpi=cray_shasta \
    --nodes=64 \
    --ntasks=769 \
    --distribution=arbitrary \
    --overcommit \
    --cpu-bind=none \
    --gpus-per-node=4 \
    --kill-on-bad-exit=0 \
    --wait=0 \
    --no-kill \
    --export=ALL \
    bash -c "$(declare -f on_its_cores); on_its_cores \"\$@\"" bash "${search[@]}"
