#!/usr/bin/env bash
# Studies: the same results for any number of ranks, nothing trained twice, stops that can be resumed, refusals.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

# The smallest networks and few steps: seconds per study.
tiny=(--set dataset=synthetic --set model=mnist --set batch-size=2000 --set epochs=1 --progress none --quiet)

# sweep NAME N OPTION...: a study in $scratch/NAME.
sweep() {
  local name=$1 ranks=$2
  shift 2
  on "$ranks" "$moe_dist" sweep "${tiny[@]}" --seeds 2 --grid gate=none,softmax --grid learning-rate=0.01,0.001 \
    --out "$scratch/$name" "$@"
}

runs_started() { python3 -c 'import glob, json, sys
print(sum(len(json.load(open(name))) for name in glob.glob(sys.argv[1] + "/runs/*/run.json")))' "$scratch/$1"; }

sweep_alone() {
  sweep one 1
  equal "runs started" "$(runs_started one)" 8
  equal "lines" "$(wc -l <"$scratch/one/results.csv")" 5
  json_field "$scratch/one/results.json" best >/dev/null
}
check "sweep: every combination with every seed" sweep_alone

nothing_twice() {
  cp "$scratch/one/results.csv" "$scratch/before.csv"
  sweep one 1
  same "results.csv" "$scratch/one/results.csv" "$scratch/before.csv"
  equal "runs started" "$(runs_started one)" 8
}
check "sweep: a second call trains nothing" nothing_twice

side_by_side() {
  sweep two 2
  same "results.csv" "$scratch/one/results.csv" "$scratch/two/results.csv"
  equal "runs started" "$(runs_started two)" 8
}
three_ranks() {
  sweep three 3
  same "results.csv" "$scratch/one/results.csv" "$scratch/three/results.csv"
}
two_ranks_a_run() {
  sweep groups 4 --ranks-per-run 2
  same "results.csv" "$scratch/one/results.csv" "$scratch/groups/results.csv"
  equal "runs started" "$(runs_started groups)" 8
  local run
  for run in "$scratch"/one/runs/*/; do
    run=$(basename "$run")
    same "checkpoint of $run" "$(checkpoint_of "$scratch/one/runs/$run")" "$(checkpoint_of "$scratch/groups/runs/$run")"
    equal "hosts of $run" "$(json_field "$scratch/groups/runs/$run/run.json" 0.hosts | tr -cd , | wc -c)" 1
  done
}
groups_that_do_not_fit() {
  exits_with 64 sweep three-by-two 3 --ranks-per-run 2
  says "ranks-per-run 2 does not part 3 ranks"
  exits_with 64 sweep none 1 --ranks-per-run 0
  says "ranks-per-run 0 is not allowed"
  [[ ! -e $scratch/three-by-two && ! -e $scratch/none ]]
}
# The error of a run is one of its group alone; the first group has nothing to do with it.
error_of_a_group() {
  mkdir -p "$scratch/torn/runs"
  sweep torn 1
  local run checkpoint
  for run in "$scratch"/torn/runs/*/; do
    checkpoint=$(checkpoint_of "$run")
    truncate -s -8 "$checkpoint"
    echo '{"state":"running"}' >"$run/status.json"
  done
  exits_with 65 sweep torn 4 --ranks-per-run 2
  grep -q "^moe-dist: .*checkpoint" "$scratch/err" || { cat "$scratch/err"; return 1; }
}
two_jobs() {
  sweep jobs 1 &
  local other=$!
  sweep jobs 1
  wait "$other"
  same "results.csv" "$scratch/one/results.csv" "$scratch/jobs/results.csv"
  equal "runs started" "$(runs_started jobs)" 8
}
if $local_only; then
  skip "sweep: the same results for 2 ranks" "--local"
  skip "sweep: the same results for 3 ranks" "--local"
else
  check "sweep: the same results for 2 ranks" side_by_side
  check "sweep: the same results for 3 ranks" three_ranks
  check "sweep: two ranks a run, two runs at a time" two_ranks_a_run
  check "64: groups of ranks that do not fit" groups_that_do_not_fit
  check "65: an error in a run of several ranks is told and ends the job" error_of_a_group
fi
check "sweep: two jobs share a directory" two_jobs

stopped_and_resumed() {
  local since=$EPOCHREALTIME status=0
  "$moe_dist" sweep "${tiny[@]}" --seeds 2 --grid gate=none,softmax --grid learning-rate=0.01,0.001 \
    --out "$scratch/stopped" >/dev/null 2>"$scratch/err" </dev/null &
  local pid=$!
  until compgen -G "$scratch/stopped/runs/*/status.json" >/dev/null; do
    kill -0 "$pid" || { cat "$scratch/err"; return 1; }
    took_less_than 30 "$since" >/dev/null || { echo "no run began"; return 1; }
    sleep 0.02
  done
  kill -USR1 "$pid"
  wait "$pid" || status=$?
  equal "exit code" "$status" 75
  [[ ! -e $scratch/stopped/results.csv ]] || { echo "results of a study that was stopped"; return 1; }
  sweep stopped 1
  same "results.csv" "$scratch/one/results.csv" "$scratch/stopped/results.csv"
}
check "sweep: SIGUSR1 stops it with 75, the next call continues" stopped_and_resumed

table_on_synthetic() {
  run_alone "$moe_dist" reproduce mnist "${tiny[@]}" --seeds 2 --methods single,original --out "$scratch/table"
  grep -q "^# MNIST" "$scratch/table/results.md"
  # Figures of another data set are compared with nothing published.
  if grep -q "published mean" "$scratch/table/results.md"; then return 1; fi
}
check "reproduce: a table over another data set" table_on_synthetic

plan_of_a_table() {
  run_alone "$moe_dist" reproduce mnist "${tiny[@]}" --seeds 2 --methods single,original --out "$scratch/never" \
    --dry-run >"$scratch/plan"
  equal "runs" "$(grep -c 'seed-' "$scratch/plan")" 4
  [[ ! -e $scratch/never ]] || { echo "a plan made a directory"; return 1; }
}
check "reproduce: --dry-run lists the runs and makes nothing" plan_of_a_table

refuses() {
  local pattern=$1
  shift
  exits_with 64 run_alone "$moe_dist" "$@" --out "$scratch/never"
  grep -qE -- "$pattern" "$scratch/err" || { echo "no '$pattern' in:"; cat "$scratch/err"; return 1; }
}
bad_requests() {
  refuses "unknown table 'mnst'" reproduce mnst
  refuses "did you mean 'single'" reproduce mnist "${tiny[@]}" --methods singel
  refuses "did you mean 'epochs'" reproduce mnist --set epochz=1
  refuses "expected key=value" sweep --grid gate
  refuses "study sets 'seed' by itself" sweep "${tiny[@]}" --grid seed=1,2
  refuses "study sets 'gate' by itself" reproduce mnist --set gate=none
  refuses "from 1 to 1000" sweep "${tiny[@]}" --grid importance=0,1 --seeds 0
  refuses "nothing to sweep" sweep "${tiny[@]}"
  refuses "needs validation samples" reproduce mnist "${tiny[@]}" --set validation-fraction=0
  [[ ! -e $scratch/never ]]
}
check "64: requests that cannot be" bad_requests

sees_labels() {
  run_alone "$moe_dist" sweep "${tiny[@]}" --seeds 1 --grid gate=softmax,peeking --out "$scratch/oracle"
  equal "best" "$(json_field "$scratch/oracle/results.json" best)" gate-softmax
  grep -qF "| gate=peeking (sees labels) |" "$scratch/oracle/results.md"
}
check "sweep: what sees the labels is marked and never the best" sees_labels

all_diverged() {
  local words=("${tiny[@]}" --set epochs=20 --seeds 2 --grid "learning-rate=1e30,1e31" --out "$scratch/diverged")
  exits_with 80 run_alone "$moe_dist" sweep "${words[@]}"
  says "none of the 4 runs finished; the first is .*not finite"
  equal "lines" "$(wc -l <"$scratch/diverged/results.csv")" 3
  # Said again by a call that trains nothing.
  exits_with 80 run_alone "$moe_dist" sweep "${words[@]}"
}
check "80: a sweep whose runs all diverged" all_diverged

changed_settings() {
  exits_with 64 sweep one 1 --set weight-decay=0.1
  says "weight-decay 0, not 0.1"
}
check "64: kept runs of other settings are named" changed_settings

finish
