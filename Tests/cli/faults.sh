#!/usr/bin/env bash
# A rank that throws, exits, traps, is killed or is stopped, in every stage of a run from its first word to its last, on
# rank 0 and on the last: the job ends in time, one line names rank and stage, nothing is left, and a resume makes the bytes
# of a run that nothing happened to. Under a minute; --long goes through all of them.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"
here=$(cd -- "$(dirname -- "$0")" && pwd)

if $local_only; then
  skip "faults of ranks" "no mpirun with --local"
  finish
  exit
fi
[[ -x $faulty_rank ]] || die "there is no $faulty_rank; build with swift build -c release"

# A trap's backtrace takes seconds.
export SWIFT_BACKTRACE=enable=no

if $long; then ranks=3; else ranks=2; fi
# Seconds without a phase after which the watchdog ends a job, or in which all ranks must arrive.
if $long; then limit=3; else limit=2; fi
python3 "$here/make_idx.py" "$scratch/idx" --train 390 --test 50
# Six steps in two epochs: 351 rows without the held-out tenth are three batches.
run_options=(--dataset idx --data-dir "$scratch/idx" --validation-fraction 0.1 --max-steps 6 --epochs 2
  --checkpoint-every-steps 1 --log-every 1)
train_run base 1 "${run_options[@]}"
deep_options=(--model mlp --layers 2)
train_run deep-base 1 "${run_options[@]}" "${deep_options[@]}"

# ---- One fault -----------------------------------------------------------------------------------------------

# A stage's options, the run without a fault, and the step in which the fault comes.
stage_facts() {
  options=("${run_options[@]}") base=base step=4
  case $1 in
    trunk*) options+=("${deep_options[@]}") base=deep-base ;;
    "reading settings" | "reading data" | "MPI start" | agreement | "building the model" | \
      "writing the report" | ending) step=0 ;;
  esac
}

# What Open MPI keeps of a job goes where no other job's is.
mkdir "$scratch/session" "$scratch/memory"
export TMPDIR=$scratch/session OMPI_MCA_btl_vader_backing_directory=$scratch/memory

# run_with FAULT NAME OPTION...: the job, its words in $scratch/err and its code in status.
run_with() {
  local fault=$1 name=$2
  shift 2
  status=0
  moe_dist=$faulty_rank MOE_DIST_FAULT=$fault train_run "$name" "$ranks" "${options[@]}" --start-limit "$limit" \
    --stall-abort "$limit" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
}

# one_line PATTERN: it is there, once.
one_line() { equal "lines with '$1'" "$(grep -cE -- "$1" "$scratch/err" || true)" 1 || { cat "$scratch/err"; return 1; }; }

nothing_is_left() {
  local name=$1 tries=0
  # Signals that mpirun has sent need a moment on a machine that is busy.
  while pgrep -f "run-dir $scratch/$name " >/dev/null && ((tries++ < 50)); do sleep 0.1; done
  equal "processes" "$(pgrep -f "run-dir $scratch/$name " || true)" ""
  equal "leftovers" "$(find "$scratch/session" "$scratch/memory" -mindepth 1 ! -path "$scratch/session/ompi.*" -o -type f -o -type s)" ""
}

# goes_on NAME: a resume, where there is a run, ends as if nothing had happened, and clears what was half written.
goes_on() {
  local name=$1
  [[ -d $scratch/$name ]] || return 0
  train_run "$name" 1 "${options[@]}" --resume auto
  equal_bytes "$name" "$base"
  equal "half-written files" "$(find "$scratch/$name" -name '*.part-*' -o -name '*.tmp')" ""
}

# fault KIND STAGE RANK
fault() {
  local kind=$1 stage=$2 rank=$3 name="$1-${2// /-}-$3" began=$EPOCHREALTIME status place
  local -a options
  local base step lines=1
  stage_facts "$stage"
  rm -rf "${scratch:?}/$name"
  run_with "$kind@phase=$stage,rank=$rank,step=$step" "$name"
  took_less_than $((limit + 13)) "$began"
  grep -q "^fault: $kind in '$stage'" "$scratch/err" || { echo "the fault did not come"; cat "$scratch/err"; return 1; }
  place="phase '$stage'"
  case $kind in
    throw)
      one_line "rank $rank on host .*: injected fault in $place|injected fault in $place.*\(rank $rank on host"
      # A checkpoint that cannot be written is tried again.
      if [[ $stage == "writing a checkpoint" ]]; then
        lines=0
        equal "exit code" "$status" 0
        equal_bytes "$name" "$base"
      else
        equal "exit code" "$status" 70
      fi
      ;;
    exit) equal "exit code" "$status" 3 ;;
    trap) equal "exit code" "$status" 132 ;;
    kill) equal "exit code" "$status" 137 ;;
    stop | stall)
      equal "exit code" "$status" 81
      one_line "^moe-dist: rank $rank on host .*: stalled in $place.*: (no phase was completed for|not all ranks have arrived within) $limit s"
      if [[ -e $scratch/$name/status.json && $stage != ending && $stage != *report ]]; then
        equal "state" "$(state "$scratch/$name")" stalled
        json_field "$scratch/$name/status.json" reason | grep -q "^rank $rank on host .*: stalled in $place"
        equal "rank of the error" \
          "$(json_field "$scratch/$name/errors/rank-00$rank.json" rank)" "$rank"
      fi
      ;;
  esac
  case $kind in
    exit | trap | kill) one_line "^moe-dist: rank $rank on host .*: ended without a word in $place" ;;
  esac
  equal "lines of the program" "$(grep -c '^moe-dist: ' "$scratch/err" || true)" $lines || { cat "$scratch/err"; return 1; }
  nothing_is_left "$name"
  goes_on "$name"
}

# stopped_for_a_while STAGE RANK: a rank that goes on in time; a line says that it was late.
stopped_for_a_while() {
  local stage=$1 rank=$2 name="late-${1// /-}-$2" status job process tries=0
  local -a options
  local base step limit=20
  stage_facts "$stage"
  rm -f "$scratch/err"
  run_with "stop@phase=$stage,rank=$rank,step=$step" "$name" --stall-warn 1 &
  job=$!
  until process=$(grep -soP '^fault: stop .* process \K\d+$' "$scratch/err"); do
    ((tries++ < 200)) || { echo "the fault did not come"; cat "$scratch/err"; return 1; }
    sleep 0.1
  done
  sleep 2.5
  kill -CONT "$process"
  wait $job
  equal_bytes "$name" "$base"
  if [[ $step != 0 ]]; then
    one_line "^moe-dist: WARNING: rank $rank on host .* is late in phase '$stage' of step [0-9]+: no phase was completed for 1 s"
  fi
  equal "state" "$(state "$scratch/$name")" finished
  nothing_is_left "$name"
}

# ---- All, or some --------------------------------------------------------------------------------------------

before=("reading settings" "reading data" "MPI start" agreement "building the model")
within=(input gate plan dispatch experts combine return loss "gate backward" "expert backward" optimiser waiting
  evaluation checkpoint "writing a checkpoint" trunk "trunk backward")
last=$((ranks - 1))

absent() {
  if grep -q MOE_DIST_FAULT "$moe_dist"; then echo "the program knows faults"; return 1; fi
  MOE_DIST_FAULT=throw@phase=input,rank=0 train_run unharmed 1 "${run_options[@]}"
  equal_bytes unharmed base
}
check "the program has no faults" absent

# Every kind, on rank 0 and the last, before, in and behind the steps.
some=("throw:reading settings:$last" "exit:reading data:0" "stop:MPI start:$last" "throw:agreement:0"
  "kill:building the model:$last" "trap:dispatch:0" "stop:experts:$last" "exit:expert backward:$last"
  "throw:evaluation:0" "throw:writing a checkpoint:$last" "kill:writing a checkpoint:0" "stall:writing metrics:0"
  "throw:trunk:$last" "stop:ending:$last")
all=()
for stage in "${before[@]}" "${within[@]}" ending; do
  for rank in 0 "$last"; do
    for kind in throw exit trap kill stop stall; do all+=("$kind:$stage:$rank"); done
  done
done
# Of rank 0 alone.
for stage in metrics "writing metrics" "writing the report"; do
  for kind in throw exit trap kill stop stall; do all+=("$kind:$stage:0"); done
done

if $long; then cases=("${all[@]}"); else cases=("${some[@]}"); fi
for case in "${cases[@]}"; do
  IFS=: read -r kind stage rank <<<"$case"
  check "$kind in '$stage' on rank $rank" fault "$kind" "$stage" "$rank"
done
for stage in "${before[@]}" "${within[@]}" ending; do
  $long || [[ $stage == combine ]] || continue
  for rank in 0 "$last"; do
    $long || ((rank > 0)) || continue
    check "a stop for a while in '$stage' on rank $rank" stopped_for_a_while "$stage" "$rank"
  done
done

finish
