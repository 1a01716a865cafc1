#!/usr/bin/env bash
# moe-dist launch: its line, restarts, what is not restarted, signals, and an mpirun that hangs. Under a minute.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

# The permission to run as root comes from launch.
unset OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM

steps=(--max-steps 60 --checkpoint-every-steps 2)

# launch_run NAME OPTION... -- OPTION...: launches a run of the small model into $scratch/NAME, by $program.
launch_run() {
  local name=$1 own=()
  shift
  while [[ $1 != -- ]]; do own+=("$1"); shift; done
  shift
  run_alone "${program:-$moe_dist}" launch "${own[@]}" -- train "${small[@]}" --seed 3 --run-dir "$scratch/$name" "$@"
}

# told PATTERN COUNT: so many lines of the last launch match.
told() { equal "lines with '$1'" "$(grep -cE -- "$1" "$scratch/err" || true)" "$2" || { tail -n 20 "$scratch/err"; return 1; }; }

# within SECONDS COMMAND...: waits until the command succeeds.
within() {
  local since=$EPOCHREALTIME limit=$1
  shift
  until "$@"; do
    took_less_than "$limit" "$since" >/dev/null || { echo "not within $limit s: $*"; return 1; }
    sleep 0.05
  done
}

# Whether a run does steps.
has_checkpoint() { compgen -G "$scratch/$1/checkpoint-*.safetensors" >/dev/null; }

# ---- Words ---------------------------------------------------------------------------------------------------

wrong_usage() {
  exits_with 64 run_alone "$moe_dist" launch -- train
  says "[Mm]issing .*-np"
  exits_with 64 run_alone "$moe_dist" launch -np 2
  says "nothing to launch"
  exits_with 64 run_alone "$moe_dist" launch -np 0 -- train
  exits_with 64 run_alone "$moe_dist" launch -np 2 --min-ranks 3 -- train
  says 'min-ranks is a number from 1 to 2'
  exits_with 64 run_alone "$moe_dist" launch -np 2 -- train --exprts 2
  says "--exprts"
  exits_with 64 run_alone "$moe_dist" launch -np 2 -- train --lr 1
  says "it is '--learning-rate' here"
  exits_with 64 run_alone "$moe_dist" launch -np 2 --max-restarts 2 -- evaluate "$scratch/none"
  says '--max-restarts 2 needs a run that is kept'
  exits_with 64 env OMPI_COMM_WORLD_SIZE=2 "$moe_dist" launch -np 2 -- train
  says 'launch starts mpirun itself'
  exits_with 66 run_alone "$moe_dist" launch -np 2 --hostfile "$scratch/none" -- train
  exits_with 66 env PATH=/nonexistent "$moe_dist" launch -np 2 -- train
  says 'no mpirun in PATH'
}
check "64: wrong words" wrong_usage

dry_run() {
  local program
  program=$(readlink -f "$moe_dist")
  (cd "$scratch" && exits_with 0 run_alone "$moe_dist" launch -np 1 --dry-run -- train --experts 2 --dataset synthetic)
  grep -qE "mpirun -q --bind-to core -np 1 $program train --experts 2 --dataset synthetic --run-dir runs/synthetic-softmax-[0-9-]+-1$" \
    "$scratch/out" || { cat "$scratch/out"; return 1; }
  equal "what was made" "$(ls -d "$scratch/runs" 2>/dev/null)" ""
  exits_with 0 run_alone "$moe_dist" launch -np 64 --dry-run -- train --run-dir a --threads 64
  grep -q 'OMPI_MCA_mpi_yield_when_idle=1 .*mpirun -q --oversubscribe --bind-to none -np 64' "$scratch/out"
}
check "--dry-run prints the line and makes nothing" dry_run

if $local_only; then
  skip "launched ranks" "no mpirun with --local"
  finish
  exit
fi

# ---- The bytes -----------------------------------------------------------------------------------------------

same_bytes() {
  train_run one 1 "${steps[@]}"
  exits_with 0 launch_run two -np 2 -- "${steps[@]}"
  equal_bytes two one
  equal "steps executed" "$(steps_executed two)" 60
  exits_with 0 launch_run three -np 3 -- "${steps[@]}"
  equal_bytes three one
  # Codes of the ranks come through, and are not restarted.
  exits_with 73 launch_run two -np 2 -- "${steps[@]}"
  says 'exists already'
  exits_with 0 run_alone "$moe_dist" launch -np 2 -- evaluate "$scratch/two"
}
check "launched ranks make the bytes of one rank" same_bytes

# ---- Crashes -------------------------------------------------------------------------------------------------

# Longer than the time that it takes to find a rank, and than ranks live on when mpirun is gone: three seconds.
long=(--epochs 100 --max-steps 4000 --checkpoint-every-steps 200)

killed_rank() {
  local launch status=0
  train_run undisturbed 1 "${long[@]}"
  launch_run killed -np 2 -- "${long[@]}" >"$scratch/killed.out" 2>"$scratch/err" &
  launch=$!
  within 20 has_checkpoint killed
  # The ranks' words begin with the program; launch and mpirun have them in the middle.
  pgrep -f "^$(readlink -f "$moe_dist") train .*--run-dir $scratch/killed" | tail -n 1 | xargs kill -KILL
  wait $launch || status=$?
  equal "exit code" "$status" 0
  told 'killed by signal 9.*; restart 1 with 2 ranks' 1
  equal_bytes killed undisturbed
  local executed
  executed=$(steps_executed killed)
  ((executed > 0 && executed < 4000)) || { echo "steps executed: $executed, so it was no resume"; return 1; }
}
check "a rank killed by SIGKILL: a restart, and the same bytes" killed_rank

gone_or_used() { [[ ! -e $1 ]] || grep -qs "$1" /proc/[0-9]*/maps; }
killed_mpirun() {
  local launch mpirun status=0 before
  before=$(compgen -G '/dev/shm/vader_segment.*' || true)
  "$moe_dist" launch -np 2 -- train "${small[@]}" --seed 3 --run-dir "$scratch/orphans" "${long[@]}" \
    >/dev/null 2>"$scratch/err" </dev/null &
  launch=$!
  within 20 has_checkpoint orphans
  mpirun=$(pgrep -P $launch)
  kill -KILL "$mpirun"
  wait $launch || status=$?
  equal "exit code" "$status" 0
  told '; restart 1 with 2 ranks' 1
  equal_bytes orphans undisturbed
  equal "session directories" "$(find "${TMPDIR:-/tmp}"/ompi.* -maxdepth 1 -name "pid.$mpirun" 2>/dev/null)" ""
  if [[ -d /dev/shm ]]; then
    # Those of other jobs are in use, were left before, or go in this moment.
    for segment in $(compgen -G '/dev/shm/vader_segment.*' || true); do
      [[ $before == *"$segment"* ]] || within 5 gone_or_used "$segment" || { echo "left: $segment"; return 1; }
    done
  fi
}
check "mpirun killed by SIGKILL: no process and no file is left, a restart" killed_mpirun

# Before launch has looked for ranks, which tell their session.
killed_at_once() {
  local launch mpirun status=0
  "$moe_dist" launch -np 2 -- train "${small[@]}" --seed 3 --run-dir "$scratch/at-once" "${steps[@]}" \
    >/dev/null 2>"$scratch/err" </dev/null &
  launch=$!
  within 5 pgrep -P $launch -x mpirun
  mpirun=$(pgrep -P $launch -x mpirun)
  until compgen -G "${TMPDIR:-/tmp}/ompi.*/pid.$mpirun" >/dev/null; do :; done
  kill -KILL "$mpirun"
  wait $launch || status=$?
  equal "exit code" "$status" 0
  equal_bytes at-once one
  equal "session directories" "$(find "${TMPDIR:-/tmp}"/ompi.* -maxdepth 1 -name "pid.$mpirun" 2>/dev/null)" ""
}
check "mpirun killed by SIGKILL at once: no file is left" killed_at_once

same_cause() {
  # A trap's backtrace takes seconds.
  program=$faulty_rank SWIFT_BACKTRACE=enable=no MOE_DIST_FAULT=trap@phase=experts,rank=1,step=3 \
    exits_with 132 launch_run trapped -np 2 --max-restarts 9 -- "${steps[@]}"
  told 'signal 4.*; restart [0-9] with 2 ranks' 2
  told 'signal 4.*; not restarted: this was the same 3 times after step 2$' 1
}
check "the same crash at the same step is not tried a fourth time" same_cause

error_of_a_rank() {
  program=$faulty_rank MOE_DIST_FAULT=throw@phase=experts,rank=1,step=3 exits_with 70 launch_run thrown -np 2 --max-restarts 1 -- "${steps[@]}"
  told "^moe-dist: rank 1 on host .*: injected fault in phase 'experts' of step 3; restart 1 with 2 ranks" 1
  told '^moe-dist: rank 1 on host .*: injected fault .*; not restarted: 1 restart was made' 1
}
check "the cause is the rank's own error" error_of_a_rank

# ---- Signals -------------------------------------------------------------------------------------------------

# signalled NAME SIGNAL: a launch that gets the signal at once.
signalled() {
  local name=$1 number=$2 launch status=0
  # A shell starts background jobs with SIGINT ignored, which would hold.
  env --default-signal=INT "$moe_dist" launch -np 2 -- train "${small[@]}" --epochs 100000 --run-dir "$scratch/$name" \
    >/dev/null 2>"$scratch/err" </dev/null &
  launch=$!
  within 5 listens $launch
  kill -s "$number" $launch
  wait $launch || status=$?
  equal "exit code after $number" "$status" 75
  equal "state" "$(state "$scratch/$name")" stopped
  has_checkpoint "$name" || { echo "no checkpoint after $number"; return 1; }
}
# Whether a process has a handler for SIGHUP, signal 1.
listens() { (($((16#$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status"))) & 1)); }
early_signals() {
  local number
  for number in USR1 TERM INT; do signalled "early-$number" $number; done
}
check "75: a signal at once after the start loses nothing" early_signals

early_save() {
  local launch status=0
  "$moe_dist" launch -np 2 -- train "${small[@]}" --epochs 100000 --run-dir "$scratch/saved" >/dev/null 2>&1 </dev/null &
  launch=$!
  within 5 listens $launch
  kill -USR2 $launch
  within 20 has_checkpoint saved
  equal "state" "$(state "$scratch/saved")" running
  kill -USR1 $launch
  wait $launch || status=$?
  equal "exit code" "$status" 75
}
check "SIGUSR2 at once: a checkpoint, and the run goes on" early_save

# ---- An mpirun that hangs ------------------------------------------------------------------------------------

# false_mpirun BODY: the first mpirun of PATH becomes a script.
false_mpirun() {
  mkdir -p "$scratch/bin"
  printf '#!/usr/bin/env bash\ntrap "" TERM\n%s\nwhile :; do sleep 0.2; done\n' "$1" >"$scratch/bin/mpirun"
  chmod +x "$scratch/bin/mpirun"
}
hangs_after_the_end() {
  local began=$EPOCHREALTIME
  # shellcheck disable=SC2016  # for the script
  false_mpirun 'while [[ $1 == -* || $1 =~ ^[0-9]+$ || $1 == core || $1 == none ]]; do shift; done; "$@"'
  train_run alone 1 "${steps[@]}"
  PATH=$scratch/bin:$PATH exits_with 0 launch_run hung -np 1 --grace 1 -- "${steps[@]}"
  equal_bytes hung alone
  took_less_than 15 "$began"
  equal "processes left" "$(pgrep -f "$scratch/bin/mpirun" || true)" ""
}
check "an mpirun that goes on after its run is ended" hangs_after_the_end

ignores_term() {
  local launch status=0 began=$EPOCHREALTIME
  false_mpirun ''
  PATH=$scratch/bin:$PATH "$moe_dist" launch -np 2 --grace 1 -- train "${small[@]}" --run-dir "$scratch/deaf" \
    >/dev/null 2>"$scratch/err" </dev/null &
  launch=$!
  within 5 pgrep -f "$scratch/bin/mpirun"
  kill -TERM $launch
  wait $launch || status=$?
  equal "exit code" "$status" 75
  took_less_than 10 "$began"
  equal "processes left" "$(pgrep -f "$scratch/bin/mpirun" || true)" ""
}
check "an mpirun that ignores SIGTERM is ended" ignores_term

never_begins() {
  false_mpirun ''
  PATH=$scratch/bin:$PATH exits_with 81 launch_run never -np 1 --grace 0 --max-restarts 0 -- --start-limit 1
  equal "processes left" "$(pgrep -f "$scratch/bin/mpirun" || true)" ""
}
check "81: an mpirun that starts no rank is ended" never_begins

# ---- Slurm ---------------------------------------------------------------------------------------------------

slurm_job() {
  local job status=0
  mkdir -p "$scratch/slurm"
  printf '#!/bin/sh\necho "$@" >>%q\n' "$scratch/requeued" >"$scratch/slurm/scontrol"
  # As srun, with ranks that have no MPI: one.
  # shellcheck disable=SC2016  # for the script
  printf '#!/bin/sh\nshift 2\nexec "$@"\n' >"$scratch/slurm/srun"
  chmod +x "$scratch/slurm/scontrol" "$scratch/slurm/srun"
  for start in launch srun; do
    status=0
    env PATH="$scratch/slurm:$PATH" SLURM_JOB_ID=7 SLURM_NTASKS=2 MOE_DIST="$moe_dist" MOE_DIST_START=$start \
      bash "$root/scripts/slurm/train.sbatch" "${small[@]}" --epochs 100000 --run-dir "$scratch/job-$start" \
      >/dev/null 2>"$scratch/err" </dev/null &
    job=$!
    within 5 pgrep -P $job -f 'moe-dist|srun'
    kill -USR1 $job
    wait $job || status=$?
    equal "exit code with $start" "$status" 75
    equal "state" "$(state "$scratch/job-$start")" stopped
    has_checkpoint "job-$start" || { echo "no checkpoint"; return 1; }
  done
  equal "requeued" "$(cat "$scratch/requeued")" $'requeue 7\nrequeue 7'
}
check "a Slurm job stops with a checkpoint before its time is over, and is queued again" slurm_job

finish
