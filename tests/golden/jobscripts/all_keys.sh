#!/bin/bash
#SBATCH --job-name=ribosome
#SBATCH --output=ribosome-%j.out
#SBATCH --open-mode=append
#SBATCH --partition=gpu
#SBATCH --time=2:00:00
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=2
#SBATCH --mem=0
#SBATCH --constraint=a100
#SBATCH --signal=URG@300
#SBATCH --no-kill
#
# A search by Ribosome on the  best   (machine).
# 3 ranks: 1 node x 2 workers (one for each GPU), and the master on the first node.
# It ends in good order before its time is up; submitted again, it goes on where it stopped.

module load python
source "$HOME/ribosome/bin/activate"

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
    { for (i = 0; i < 2; i++) print }' >"$hosts"
export SLURM_HOSTFILE=$hosts
unset SLURM_NTASKS_PER_NODE SLURM_TASKS_PER_NODE SLURM_GPU_BIND

# Each worker runs on the cores beside its GPU, the master on one of its own.
on_its_cores() {
    local cores=(0-15 16-31)
    local place=$SLURM_LOCALID
    if ((SLURM_NODEID == 0)); then
        if ((place == 0)); then exec taskset --cpu-list 0 "$@"; fi
        place=$((place - 1))
        cores[0]=1-15
    fi
    exec taskset --cpu-list "${cores[place]}" "$@"
}

# A rank that ends, whatever its exit code, must not end the others (kill-on-bad-exit, wait).
srun \
    --mpi=pmix \
    --nodes=1 \
    --ntasks=3 \
    --distribution=arbitrary \
    --overcommit \
    --cpu-bind=none \
    --gpus-per-node=2 \
    --kill-on-bad-exit=0 \
    --wait=0 \
    --no-kill \
    --export=ALL \
    --label '--chdir=/scratch/a b' \
    bash -c "$(declare -f on_its_cores); on_its_cores \"\$@\"" bash "${search[@]}"
