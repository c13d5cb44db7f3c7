#!/bin/bash
# A study on SLURM: every task of an array is a worker, and task 0 the chief too. All share a file system.
#
# Command:  sbatch slurm.sh CONFIG DATA WORKDIR
# Watch:    tfrs-scaling status WORKDIR
# Before:   source the environment that tfrs-scaling is installed in; set the size of a task, and of the array.
# Cancelled or out of time: the same command goes on where it was.
#SBATCH --job-name=tfrs-scaling
#SBATCH --array=0-3
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --output=tfrs-scaling-%A-%a.txt
set -euo pipefail

study=(tfrs-scaling study "$1" --data "$2" --workdir "$3")
mkdir -p "$3"
address=$3/chief-$SLURM_ARRAY_JOB_ID.txt

if [ "$SLURM_ARRAY_TASK_ID" = 0 ]; then
  port=$((20000 + SLURM_ARRAY_JOB_ID % 20000))
  echo "$(hostname --fqdn) $port" > "$address.partial" && mv "$address.partial" "$address"
  KERASTUNER_TUNER_ID=chief KERASTUNER_ORACLE_IP=0.0.0.0 KERASTUNER_ORACLE_PORT=$port "${study[@]}" &
  chief=$!
fi
until [ -e "$address" ]; do sleep 5; done
read -r KERASTUNER_ORACLE_IP KERASTUNER_ORACLE_PORT < "$address"
export KERASTUNER_ORACLE_IP KERASTUNER_ORACLE_PORT KERASTUNER_TUNER_ID=worker$SLURM_ARRAY_TASK_ID
"${study[@]}"
if [ -n "${chief:-}" ]; then wait "$chief"; fi # it fits and reports
