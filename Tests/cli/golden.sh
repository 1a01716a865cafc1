#!/usr/bin/env bash
# The promise across processors: with fused multiply-add the trained tensors have the bytes of Tests/golden/checksums.txt,
# on every level that this processor can run, for any number of ranks and either place of the gate. Without, other bytes.
#
# --record writes the file anew from the highest level: for a change that is meant to change bits, with its reason.
set -euo pipefail
record=false
[[ ${1:-} == --record ]] && { record=true; shift; }
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

golden=$root/Tests/golden/checksums.txt

# Configurations: a name and its options. Five blocks and more of rows; built-in images, so that nothing is downloaded.
mnist=(--dataset synthetic --model mnist --experts 5 --batch-size 150 --block-rows 32)
fashion=(--dataset synthetic --model fashion-mnist --experts 5 --batch-size 150 --block-rows 32)
small_images=(--dataset synthetic-rgb --model cifar-small --experts 3 --batch-size 20 --block-rows 16)
names=(mnist mnist-attentive mnist-stochastic mnist-attentive-top-2 mnist-top-1 mnist-temperatures fashion-importance
  fashion-attentive-similarity fashion-top-2 fashion-top-1 cifar-small cifar-small-top-1 cifar)
# What all of them have: thirty steps.
common=(--seed 7 --max-steps 30 --validation-fraction 0 --train-samples 900 --test-samples 100 --checkpoint-every 0
  --progress none --quiet)
options_of() {
  case $1 in
    mnist) printf '%s\n' "${mnist[@]}" ;;
    mnist-attentive) printf '%s\n' "${mnist[@]}" --gate attentive ;;
    mnist-stochastic) printf '%s\n' "${mnist[@]}" --combine stochastic ;;
    mnist-attentive-top-2) printf '%s\n' "${mnist[@]}" --gate attentive --combine top-k --top-k 2 ;;
    mnist-top-1) printf '%s\n' "${mnist[@]}" --combine top-k --top-k 1 --importance 0.5 ;;
    mnist-temperatures) printf '%s\n' "${mnist[@]}" --temperature 2 --expert-temperature 0.7 --weight-decay 1e-3 ;;
    fashion-importance) printf '%s\n' "${fashion[@]}" --importance 0.2 ;;
    fashion-attentive-similarity) printf '%s\n' "${fashion[@]}" --gate attentive --similarity 0.85 ;;
    fashion-top-2) printf '%s\n' "${fashion[@]}" --combine top-k --top-k 2 --importance 0.2 ;;
    fashion-top-1) printf '%s\n' "${fashion[@]}" --combine top-k --top-k 1 --importance 1 --similarity 0.5 ;;
    cifar-small) printf '%s\n' "${small_images[@]}" --gate attentive ;;
    cifar-small-top-1) printf '%s\n' "${small_images[@]}" --combine top-k --top-k 1 --importance 0.5 ;;
    cifar) printf '%s\n' --dataset synthetic-rgb --model cifar --experts 2 --batch-size 20 --block-rows 16 ;;
  esac
}

# trained NAME RUN LEVEL N OPTION...: thirty steps.
trained() {
  local name=$1 run=$2 level=$3 ranks=$4 options
  shift 4
  mapfile -t options < <(options_of "$name")
  MOE_DIST_LEVEL=$level on "$ranks" "$moe_dist" train "${options[@]}" "${common[@]}" \
    --run-dir "$scratch/$run" "$@"
}

tensors_of() { python3 "$root/Tests/cli/tensor_hash.py" "$(checkpoint_of "$scratch/$1")"; }
expected() { awk -v name="$1" '$1 == name { print $2 }' "$golden"; }
# The level that the kernels of a run say they were compiled for.
level_of() { json_field "$scratch/$1/run.json" 0.processor_levels.0; }

every_expert_has_rows() {
  json_field "$scratch/$1/summary.json" account.experts | python3 -c '
import json, sys
idle = [expert["expert"] for expert in json.load(sys.stdin) if expert["rows_computed"] == 0]
sys.exit(f"experts without a row: {idle}" if idle else 0)'
}

# holds NAME LEVEL N OPTION...: the run has the file's bytes, and was computed by that level's kernels.
holds() {
  local name=$1 level=$2 ranks=$3 run
  run=$1-$2-$3-${4:-root}
  shift 3
  trained "$name" "$run" "$level" "$ranks" "$@"
  equal "level" "$(level_of "$run")" "$level"
  every_expert_has_rows "$run"
  equal "tensors of $name" "$(tensors_of "$run")" "$(expected "$name")"
  rm -rf "${scratch:?}/$run"
}

differs() {
  trained "$1" "$1-v2" v2 1
  equal "level" "$(level_of "$1-v2")" v2
  [[ $(tensors_of "$1-v2") != "$(expected "$1")" ]] || { echo "level v2 has the bytes of fused multiply-add"; return 1; }
}

# The levels with fused multiply-add that this processor can run, ascending.
levels=()
for level in v3 v4; do MOE_DIST_LEVEL=$level "$moe_dist" doctor >/dev/null 2>&1; (($? == 64)) || levels+=("$level"); done

if $record; then
  ((${#levels[@]})) || die "this processor has no fused multiply-add"
  highest=${levels[-1]}
  {
    echo "# Configuration of Tests/cli/golden.sh, and SHA-256 of the tensors after 30 steps, in the order of their names."
    echo "# Recorded at level $highest; compared on every level with fused multiply-add that a machine can run."
    for name in "${names[@]}"; do
      trained "$name" "$name" "$highest" 1 >&2
      every_expert_has_rows "$name" >&2
      echo "$name $(tensors_of "$name")"
    done
  } >"$scratch/checksums"
  mkdir -p "$(dirname -- "$golden")"
  cp "$scratch/checksums" "$golden"
  exit
fi

for level in v3 v4; do
  if [[ " ${levels[*]-} " != *" $level "* ]]; then
    skip "golden checksums, level $level" "not run: this processor does not have it"
    continue
  fi
  for name in "${names[@]}"; do
    check "$name at level $level has the golden bytes" holds "$name" "$level" 1
    $local_only && continue
    # What the level changes and what the ranks change are two things: the convolutional models on one level are enough.
    [[ $name == cifar* && $level != "${levels[-1]}" ]] && continue
    check "$name at level $level on three ranks with a replicated gate" \
      holds "$name" "$level" 3 --gate-placement replicated
    [[ $name == cifar || $level != "${levels[-1]}" ]] && continue
    check "$name at level $level on three ranks" holds "$name" "$level" 3
  done
done
if [[ $(uname -m) == x86_64 ]]; then
  for name in mnist fashion-top-2; do check "$name at level v2 has other bytes" differs "$name"; done
fi

# beside LEVEL LEVEL RUN: the first configuration on two ranks of these levels.
beside() {
  local options command=("$moe_dist" train)
  mapfile -t options < <(options_of mnist)
  command+=("${options[@]}" "${common[@]}" --gate-placement replicated --run-dir "$scratch/$3")
  run_ranks 1 env "MOE_DIST_LEVEL=$1" "${command[@]}" : -np 1 env "MOE_DIST_LEVEL=$2" "${command[@]}"
}
mixed_levels_hold() {
  beside v3 v4 mixed
  equal "tensors of v3 beside v4" "$(tensors_of mixed)" "$(expected mnist)"
}
unfused_is_refused() {
  exits_with 64 beside v2 "${levels[-1]}" refused
  says "ranks with fused multiply-add beside ranks without .*v2 on rank 0.* MOE_DIST_LEVEL=v2"
  [[ ! -e $scratch/refused ]]
}
if $local_only || ((${#levels[@]} == 0)); then
  skip "levels side by side" "mpirun and fused multiply-add are needed"
else
  check "ranks without fused multiply-add beside ranks with it are refused" unfused_is_refused
  if ((${#levels[@]} > 1)); then check "v3 beside v4 has the golden bytes" mixed_levels_hold; fi
fi
finish
