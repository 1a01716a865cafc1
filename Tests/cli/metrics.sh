#!/usr/bin/env bash
# The metrics of `evaluate --json` against the same figures computed in Python from `evaluate --per-sample`.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"
check_metrics=$root/Tests/Reference/metrics_check.py

# agrees NAME EVALUATE-OPTIONS CHECK-OPTIONS: a run's metrics on its test split.
agrees() {
  # shellcheck disable=SC2086  # options
  run_alone "$moe_dist" evaluate "$scratch/$1" --json --force --per-sample "$scratch/$1.csv" $2 >"$scratch/$1.json"
  # shellcheck disable=SC2086
  python3 "$check_metrics" "$scratch/$1.csv" "$scratch/$1.json" $3
}

# A check that cannot fail would be none: one changed sample must be seen.
sees_a_change() {
  awk -F, -v OFS=, 'NR == 2 { $4 = ($4 + 1) % 5 } { print }' "$scratch/$1.csv" >"$scratch/changed.csv"
  python3 "$check_metrics" "$scratch/changed.csv" "$scratch/$1.json" >"$scratch/changed.out" || true
  grep -qE ' [1-9][0-9]* differ$' "$scratch/changed.out" || { cat "$scratch/changed.out"; return 1; }
}

trained() { train_run "$1" 1 --gate "$1" --max-steps 20; }

for gate in softmax attentive loss peeking; do check "metrics: training with the $gate gate" trained "$gate"; done
check "metrics of the softmax gate" agrees softmax "" ""
check "metrics: a changed sample is seen" sees_a_change softmax
check "metrics of the softmax gate, one expert" agrees softmax "--combine top-k --top-k 1" --chosen-expert-answers
check "metrics of the attentive gate" agrees attentive "" ""
for gate in loss peeking; do check "metrics of the $gate gate" agrees "$gate" "" --chosen-expert-answers; done

# A run's tables and the account of its ranks, against every sample's expert and prediction.
tables() {
  local name=$1 ranks=$2 options=$3
  # shellcheck disable=SC2086
  train_run "$name" "$ranks" --max-steps 20 ${4:-}
  run_alone "$moe_dist" evaluate "$scratch/$name" --json --per-sample "$scratch/$name.csv" >/dev/null
  # shellcheck disable=SC2086
  python3 "$root/Tests/Reference/tables_check.py" "$scratch/$name.csv" "$scratch/$name" $options
}
check "tables of a run" tables tables-soft 1 ""
check "tables of a run, one expert" tables tables-top 1 --chosen-expert-answers "--combine top-k --top-k 1"
check "tables of a run, attentive gate" tables tables-attentive 1 "" "--gate attentive"
if ! $local_only; then
  check "tables of a run on 2 ranks" tables tables-2 2 ""
  check "tables of a run on 3 ranks, one expert" \
    tables tables-3 3 --chosen-expert-answers "--combine top-k --top-k 1 --gate-placement replicated"
fi

# The images by expert, against the data and every sample's expert.
wall() {
  local ranks=$1 run=$scratch/wall-$1
  on "$ranks" "$moe_dist" train --dataset fashion-mnist --train-samples 4000 --max-steps 12 --batch-size 100 --experts 4 \
    --seed 5 --progress none --quiet --run-dir "$run"
  run_alone "$moe_dist" evaluate "$run" --json --per-sample "$run.csv" >/dev/null
  python3 "$root/Tests/Reference/image_wall_check.py" "$run/expert_images.png" "$run.csv" "$fashion/t10k-images-idx3-ubyte.gz" 4
  grep -q 'href="data:image/png;base64,' "$run/report.html" && grep -q '<image' "$run/figures/expert-images.svg"
  if ((ranks > 1)); then same "images" "$run/expert_images.png" "$scratch/wall-1/expert_images.png"; fi
}
no_wall() {
  train_run no-images 1 --max-steps 2 --no-images
  [[ ! -e $scratch/no-images/expert_images.png && ! -e $scratch/no-images/figures/expert-images.svg ]]
  if grep -q '<image' "$scratch/no-images/report.html"; then echo "there are images"; return 1; fi
}
fashion=/usr/share/datasets/fashion-mnist
if [[ -e $fashion/t10k-images-idx3-ubyte.gz ]]; then
  check "images by expert" wall 1
  if ! $local_only; then check "images by expert on 3 ranks" wall 3; fi
else
  skip "images by expert" "FashionMNIST is not installed"
fi
check "--no-images" no_wall
finish
