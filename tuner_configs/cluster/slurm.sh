#!/bin/bash
# A study on SLURM: every task of an array is the same command, and any of them leads. All share a file system.
#
# Command:  sbatch slurm.sh CONFIG DATA WORKDIR
# Watch:    tfrs-scaling status WORKDIR
# Before:   source an environment that has tfrs_scaling[tensorflow]; set the size of a task, and of the array.
# Where SLURM does not confine a task to its cores (TaskPlugin), it takes all of the node: add --jobs 8.
# Cancelled or out of time: the same command continues where it was. More machines: the same command again.
#SBATCH --job-name=tfrs-scaling
#SBATCH --array=0-3
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --output=tfrs-scaling-%A-%a.txt
exec tfrs-scaling study "$1" --data "$2" --workdir "$3"
