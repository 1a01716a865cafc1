#!/usr/bin/env bash
# Mixture layers inside a deeper network: neither the number of ranks, the place of the gate nor a stop changes a byte, for
# gates, rules, losses, selections and optimisers; the account knows trunk and layers; what cannot be is refused.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

steps=8
# Five blocks and more of rows in a batch.
short() {
  local name=$1 ranks=$2
  shift 2
  train_run "$name" "$ranks" --block-rows 16 --batch-size 150 --train-samples 900 --max-steps "$steps" "$@"
}

# same_bytes NAME OPTION...: one rank; two ranks, a stop, and three ranks; five ranks; the gate on rank 0 on one and three.
same_bytes() {
  local name=$1
  shift
  short "$name-1" 1 "$@"
  short "$name-root" 1 "$@" --gate-placement root --threads 2
  equal_bytes "$name-root" "$name-1"
  if $local_only; then
    short "$name-r" 1 "$@" --max-steps 3
    short "$name-r" 1 "$@" --resume auto
  else
    short "$name-r" 2 "$@" --max-steps 3
    short "$name-r" 3 "$@" --resume auto --gate-placement root
    short "$name-5" 5 "$@"
    equal_bytes "$name-5" "$name-1"
  fi
  equal "steps after the resume" "$(steps_executed "$name-r")" $((steps - 3))
  equal_bytes "$name-r" "$name-1"
}

mlp=(--model mlp --experts 4)
check "mlp, expectation" same_bytes mlp "${mlp[@]}"
check "mlp, top-2, two layers, z-loss and load balance" \
  same_bytes mlp-top-2 "${mlp[@]}" --layers 2 --combine top-k --top-k 2 --z-loss 1e-2 --load-balance 0.1
check "mlp, top-1, three layers, noise, capacity" \
  same_bytes mlp-noisy "${mlp[@]}" --layers 3 --combine top-k --top-k 1 --noise 1 --capacity 1.1 --importance 0.1
check "mlp, attentive, similarity of hidden rows" \
  same_bytes mlp-attentive "${mlp[@]}" --gate attentive --similarity 0.5
check "mlp, given classes, AdamW, cosine, warm-up, limited norm" \
  same_bytes mlp-classes --model mlp --expert-classes 0,5/1,6/2,7/3,8/4,9 --optimiser adamw --weight-decay 0.05 \
  --schedule cosine --warm-up 5 --clip-norm 0.5
check "mlp, a single expert, SGD" same_bytes mlp-none --model mlp --gate none --optimiser sgd --learning-rate 0.05
check "cifar-trunk, top-1, importance" \
  same_bytes trunk --dataset synthetic-rgb --test-samples 50 --model cifar-trunk --experts 3 --combine top-k --top-k 1 --importance 0.1

layers_matter() {
  different_bytes mlp-1 mlp-top-2-1
  different_bytes mlp-top-2-1 mlp-noisy-1
}
check "layers and rules give bytes of their own" layers_matter

# With top-1 of four experts their work is a quarter; trunk and head are counted beside the gate.
account_is_whole() {
  local summary=$scratch/mlp-noisy-1/summary.json
  short counted 1 "${mlp[@]}" --layers 2 --combine top-k --top-k 1
  summary=$scratch/counted/summary.json
  equal "experts of both layers" "$(json_field "$summary" account.experts | grep -o '"layer"\|layer' | wc -l)" 8
  awk -v share="$(json_field "$summary" account.expert_share)" 'BEGIN { exit !(share == 0.25) }' \
    || { echo "share of the experts $(json_field "$summary" account.expert_share), expected 0.25"; return 1; }
  awk -v trunk="$(json_field "$summary" account.trunk_forward_flops)" 'BEGIN { exit !(trunk > 0) }' \
    || { echo "the trunk is not counted"; return 1; }
}
check "the account knows trunk and layers" account_is_whole

evaluates() {
  on 1 "$moe_dist" evaluate "$scratch/mlp-top-2-1" --json >"$scratch/one.json"
  on 3 "$moe_dist" evaluate "$scratch/mlp-top-2-1" --json >"$scratch/three.json" 2>/dev/null
  same "evaluations on one and three ranks" "$scratch/one.json" "$scratch/three.json"
  on 1 "$moe_dist" report "$scratch/mlp-top-2-1" >/dev/null
  [[ -s $scratch/mlp-top-2-1/report.html ]]
}
$local_only || check "evaluate and report read a run with layers" evaluates

# refused PATTERN OPTION...
refused() {
  local pattern=$1
  shift
  exits_with 64 run_alone "$moe_dist" train "${small[@]}" --run-dir "$scratch/refused" --max-steps 1 "$@"
  says "$pattern"
  [[ ! -e $scratch/refused ]] || { echo "a run directory was left"; rm -rf "$scratch/refused"; return 1; }
}
check "stochastic in a deeper network" refused 'stochastic needs the loss of every expert' "${mlp[@]}" --combine stochastic
check "an oracle in a deeper network" refused 'take softmax, attentive or none' "${mlp[@]}" --gate peeking
check "frozen experts in a deeper network" refused 'without their part of its gradient' "${mlp[@]}" --freeze experts
check "images' distances in a deeper network" \
  refused 'measures images' "${mlp[@]}" --similarity 1 --similarity-scale dataset

finish
