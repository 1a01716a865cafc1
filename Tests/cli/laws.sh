#!/usr/bin/env bash
# The laws on the finished program: neither the number of ranks, nor the payload, nor where an expert lives, nor a stop
# changes a byte of the checkpoint; and what should change something does.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

rules=(expectation stochastic top-1 top-2)
# Options of a combine rule.
rule_options() {
  case $1 in
    top-*) printf '%s\n' --combine top-k --top-k "${1#top-}" ;;
    *) printf '%s\n' --combine "$1" ;;
  esac
}

if $local_only; then rank_counts=() few=() other=1; else rank_counts=(2 3 4 5 7) few=(3) other=3; fi
if $long; then few=("${rank_counts[@]}"); fi

# trained NAME N RULE OPTION...: a run of 30 steps unless an option says otherwise.
trained() {
  local name=$1 ranks=$2 rule=$3 options
  shift 3
  mapfile -t options < <(rule_options "$rule")
  train_run "$name" "$ranks" --max-steps 30 "${options[@]}" "$@"
}

# once NAME N RULE OPTION...: the same, unless an earlier check has made that run.
once() { [[ -e $scratch/$1/latest ]] || trained "$@"; }

for rule in "${rules[@]}"; do
  trained "$rule-1" 1 "$rule" >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log"; die "$rule on one rank failed"; }
done

# ---- The number of ranks changes nothing ---------------------------------------------------------------------

# repeats NAME N RULE REFERENCE OPTION...: training on N ranks gives the reference's bytes.
repeats() {
  local name=$1 ranks=$2 rule=$3 reference=$4
  shift 4
  once "$name" "$ranks" "$rule" "$@"
  equal_bytes "$name" "$reference"
}

thirty_steps_were_done() { equal "steps executed" "$(steps_executed "$1")" 30; }

for rule in "${rules[@]}"; do
  check "$rule on one rank does 30 steps" thirty_steps_were_done "$rule-1"
  check "$rule again on one rank gives the same bytes" repeats "$rule-again" 1 "$rule" "$rule-1"
  for ranks in ${rank_counts[@]+"${rank_counts[@]}"}; do
    check "$rule on $ranks ranks gives the same bytes" repeats "$rule-$ranks" "$ranks" "$rule" "$rule-1"
  done
done

# A copy of the gate on every rank, and several threads on a rank, do the same additions elsewhere.
for rule in "${rules[@]}"; do
  check "$rule with a replicated gate on one rank gives the same bytes" \
    repeats "$rule-replicated-1" 1 "$rule" "$rule-1" --gate-placement replicated
  check "$rule on three threads gives the same bytes" repeats "$rule-threads-1" 1 "$rule" "$rule-1" --threads 3
  for ranks in ${rank_counts[@]+"${rank_counts[@]}"}; do
    $long || [[ $ranks == [235] ]] || continue
    check "$rule with a replicated gate on $ranks ranks gives the same bytes" \
      repeats "$rule-replicated-$ranks" "$ranks" "$rule" "$rule-1" --gate-placement replicated
  done
done

# OpenBLAS's bits depend on the shape of a product, which follows from neither ranks nor threads.
blas_repeats() {
  local name=$1 ranks=$2
  shift 2
  [[ -e $scratch/blas-1/latest ]] || trained blas-1 1 expectation --products openblas --gate attentive
  trained "$name" "$ranks" expectation --products openblas --gate attentive "$@"
  equal_bytes "$name" blas-1
  rm -rf "${scratch:?}/$name"
}
check "OpenBLAS's products on three threads give the same bytes" blas_repeats blas-threads 1 --threads 3
check "OpenBLAS's products with a replicated gate give the same bytes" \
  blas_repeats blas-replicated 1 --gate-placement replicated
for ranks in ${rank_counts[@]+"${rank_counts[@]}"}; do
  $long || [[ $ranks == [235] ]] || continue
  check "OpenBLAS's products on $ranks ranks give the same bytes" blas_repeats "blas-$ranks" "$ranks"
  check "OpenBLAS's products on $ranks ranks with a replicated gate give the same bytes" \
    blas_repeats "blas-replicated-$ranks" "$ranks" --gate-placement replicated --threads 2
done

blas_is_told_and_kept() {
  trained blas-half 1 expectation --products openblas --max-steps 5
  exits_with 64 trained blas-half 1 expectation --products own --max-steps 9 --resume auto
  says "products own.* differs from .* products openblas"
  on 1 "$moe_dist" train --dataset synthetic --model mnist --max-steps 0 --products openblas --progress none \
    --run-dir "$scratch/blas-line" >"$scratch/log" 2>&1
  grep -q "dense products by OpenBLAS" "$scratch/log"
  on 1 "$moe_dist" train --dataset synthetic --model mnist --max-steps 0 --progress none \
    --run-dir "$scratch/own-line" >"$scratch/log" 2>&1
  grep -q "kernels v" "$scratch/log"
  ! grep -q OpenBLAS "$scratch/log"
}
check "the start line names OpenBLAS where it computes, and a resume keeps it" blas_is_told_and_kept

# Adam's moments are spread over the ranks of a replicated gate until a checkpoint; blocks of 37 rows are no whole vectors.
replicated_stop() {
  trained odd-whole 1 expectation --block-rows 37
  trained odd-half "$other" expectation --block-rows 37 --max-steps 11 --gate-placement replicated --threads 2
  trained odd-half 1 expectation --block-rows 37 --max-steps 30 --resume auto
  equal_bytes odd-half odd-whole
}
check "a replicated gate stops on $other ranks and goes on alone" replicated_stop

another_seed_matters() { trained seed-4 1 top-1 --seed 4 && different_bytes seed-4 top-1-1; }
check "another seed gives other bytes" another_seed_matters

one_rank_under_mpirun() {
  run_ranks 1 "$moe_dist" train "${small[@]}" --seed 3 --max-steps 30 --combine expectation --run-dir "$scratch/mpirun-1"
  equal_bytes mpirun-1 expectation-1
}
if $local_only; then
  skip "one rank under mpirun" "no mpirun with --local"
else
  check "one rank under mpirun gives the same bytes as without" one_rank_under_mpirun
fi

# ---- Other results ------------------------------------------------------------------------------------------

# metrics.jsonl without what may differ: times, rates and bytes moved.
comparable_metrics() {
  python3 - "$1/metrics.jsonl" <<'PYTHON'
import json, sys
for line in open(sys.argv[1]):
    record = json.loads(line)
    for key in ("seconds", "samples_per_second", "bytes_dispatched"):
        record.pop(key, None)
    print(json.dumps(record, sort_keys=True))
PYTHON
}

# same_metrics N RULE
same_metrics() {
  local file
  once "$2-$1" "$1" "$2"
  comparable_metrics "$scratch/$2-1" >"$scratch/metrics.a"
  comparable_metrics "$scratch/$2-$1" >"$scratch/metrics.b"
  [[ -s $scratch/metrics.a ]] || { echo "metrics.jsonl is empty"; return 1; }
  same metrics.jsonl "$scratch/metrics.a" "$scratch/metrics.b"
  same expert_class.csv "$scratch/$2-1/expert_class.csv" "$scratch/$2-$1/expert_class.csv"
  for file in expert_class_soft.csv expert_class_correct.csv confusion.csv; do
    same "$file" "$scratch/$2-1/$file" "$scratch/$2-$1/$file"
  done
}

# same_evaluation N RULE OPTION...: evaluate of the one-rank run, on one rank and on N.
same_evaluation() {
  local ranks=$1 rule=$2
  shift 2
  on 1 "$moe_dist" evaluate "$scratch/$rule-1" --json "$@" >"$scratch/evaluation.1"
  on "$ranks" "$moe_dist" evaluate "$scratch/$rule-1" --json "$@" >"$scratch/evaluation.n"
  python3 -m json.tool "$scratch/evaluation.1" >/dev/null
  same evaluations "$scratch/evaluation.1" "$scratch/evaluation.n"
}

same_prediction() {
  local ranks=$1 rule=$2
  on 1 "$moe_dist" predict "$scratch/$rule-1" --images "$scratch/idx/t10k-images-idx3-ubyte" >"$scratch/prediction.1"
  on "$ranks" "$moe_dist" predict "$scratch/$rule-1" --images "$scratch/idx/t10k-images-idx3-ubyte" \
    >"$scratch/prediction.n"
  (($(wc -l <"$scratch/prediction.1") >= 100)) || { echo "too few predictions"; return 1; }
  same predictions "$scratch/prediction.1" "$scratch/prediction.n"
}

python3 "$(dirname -- "$0")/make_idx.py" "$scratch/idx" --train 300 --test 100

for ranks in ${rank_counts[@]+"${rank_counts[@]}"}; do
  $long || [[ $ranks == [25] ]] || continue
  for rule in "${rules[@]}"; do
    check "$rule on $ranks ranks gives the same metrics" same_metrics "$ranks" "$rule"
    $long || [[ $rule == expectation || $rule == top-1 ]] || continue
    check "$rule is evaluated alike on $ranks ranks" same_evaluation "$ranks" "$rule"
    check "$rule is evaluated alike with one expert per sample on $ranks ranks" \
      same_evaluation "$ranks" "$rule" --combine top-k --top-k 1
    check "$rule predicts alike on $ranks ranks" same_prediction "$ranks" "$rule"
  done
done

# ---- Payload and placement change nothing, and have their effect ---------------------------------------------

# with_payload RULE PAYLOAD: two ranks, experts on both.
with_payload() { repeats "payload-$1-$2" 2 "$1" "$1-1" --payload "$2" --placement 0,0,1,1,1; }

# Dense training on two ranks with experts on both: in each of the 30 steps each of the 130 rows crosses once, as 784
# pixels of one byte or four, or as a number of four or eight bytes. What else is counted is the same for all three.
payload_sizes() {
  local rows=$((30 * 130)) bytes floats numbers width payload
  for payload in uint8 float32 index; do with_payload expectation "$payload"; done
  bytes=$(bytes_dispatched payload-expectation-uint8)
  floats=$(bytes_dispatched payload-expectation-float32)
  numbers=$(bytes_dispatched payload-expectation-index)
  equal "float32 beyond uint8" $((floats - bytes)) $((rows * 784 * 3))
  width=$((784 - (bytes - numbers) / rows))
  equal "uint8 beyond index" $((bytes - numbers)) $((rows * (784 - width)))
  [[ $width == 4 || $width == 8 ]] || { echo "an index takes $width bytes"; return 1; }
}

# placed OPTION EXPECTED: 5 experts on 3 ranks.
placed() {
  local name
  name=placement-${1//,/}
  repeats "$name" 3 expectation expectation-1 --placement "$1"
  equal "owners" "$(owners "$name" | tr -d ' ')" "$2"
}

# Every rank owns something under auto, and the gate's rank not more than the others.
auto_placement() {
  repeats placement-auto 3 expectation expectation-1 --placement auto
  owners placement-auto | python3 -c '
import json, sys
owners = json.load(sys.stdin)
assert len(owners) == 5 and set(owners) <= {0, 1, 2}, owners
assert owners.count(0) <= min(owners.count(1), owners.count(2)), f"the rank of the gate has the most: {owners}"'
}

if $local_only; then
  skip "payloads and placements" "one rank sends nothing"
else
  for rule in expectation top-1; do
    for payload in uint8 float32 index; do
      check "$rule with payload $payload gives the same bytes" with_payload "$rule" "$payload"
    done
  done
  check "payloads move the bytes that they should" payload_sizes
  check "placement auto gives the same bytes" auto_placement
  check "placement round-robin gives the same bytes" placed round-robin '[0,1,2,0,1]'
  check "placement 2,0,2,1,1 gives the same bytes" placed 2,0,2,1,1 '[2,0,2,1,1]'
  check "all experts on the last rank give the same bytes" placed 2,2,2,2,2 '[2,2,2,2,2]'
  block_placement() {
    repeats placement-block 3 expectation expectation-1 --placement block
    owners placement-block | python3 -c '
import json, sys
owners = json.load(sys.stdin)
assert owners == sorted(owners) and sorted(owners.count(r) for r in range(3)) == [1, 2, 2], owners'
  }
  check "placement block gives the same bytes" block_placement
fi

# ---- Stopping changes nothing --------------------------------------------------------------------------------

# resumed RULE FIRST SECOND: 11 steps on FIRST ranks and 19 more on SECOND.
resumed() {
  local rule=$1 name=resumed-$1-$2-$3
  trained "$name" "$2" "$rule" --max-steps 11
  trained "$name" "$3" "$rule" --max-steps 30 --resume auto
  equal "steps executed after the resume" "$(steps_executed "$name")" 19
  equal_bytes "$name" "$rule-1"
}
for rule in "${rules[@]}"; do
  check "$rule: 11 steps and 19 more on one rank" resumed "$rule" 1 1
  $local_only || check "$rule: 11 steps on 2 ranks and 19 more on $other" resumed "$rule" 2 "$other"
done
if $long && ! $local_only; then
  for pair in "1 7" "7 1" "4 5"; do
    check "expectation: 11 steps and 19 more on other ranks ($pair)" resumed expectation "${pair% *}" "${pair#* }"
  done
fi

# ---- Optimisers and schedules --------------------------------------------------------------------------------

recipes=(adamw sgd)
# Five epochs of six batches of five blocks; the stops below are in the middle of an epoch and of the warm-up.
recipe_options() {
  printf '%s\n' --train-samples 900 --batch-size 150 --block-rows 32 --epochs 5
  case $1 in
    adamw)
      printf '%s\n' --optimiser adamw --weight-decay 0.05 --schedule cosine --warm-up 15 --clip-norm 0.5
      ;;
    sgd)
      printf '%s\n' --optimiser sgd --learning-rate 0.05 --weight-decay 1e-3 --schedule step --step-epochs 2 --warm-up 15
      ;;
  esac
}

# follows NAME N RECIPE OPTION...: 30 steps by a recipe.
follows() {
  local name=$1 ranks=$2 recipe=$3 options
  shift 3
  mapfile -t options < <(recipe_options "$recipe")
  trained "$name" "$ranks" expectation "${options[@]}" "$@"
}
recipe_holds() {
  local name=$1 ranks=$2 recipe=$3
  follows "$@"
  equal_bytes "$name" "$recipe-1"
}
recipe_resumed() {
  local name=$1-resumed-$2-$3
  follows "$name" "$2" "$1" --max-steps 11 --gate-placement replicated
  follows "$name" "$3" "$1" --resume auto
  equal "steps executed after the resume" "$(steps_executed "$name")" 19
  equal_bytes "$name" "$1-1"
}
# The last rank of FIRST crashes in step 11, after the checkpoint of step 9.
recipe_survives() {
  local name=$1-crashed-$2-$3 status=0
  moe_dist=$faulty_rank MOE_DIST_FAULT="trap@phase=optimiser,rank=$(($2 - 1)),step=11" \
    follows "$name" "$2" "$1" --checkpoint-every-steps 3 --gate-placement replicated || status=$?
  ((status != 0)) || { echo "the job ended well"; return 1; }
  [[ $(cat "$scratch/$name/latest") == *-00000009.safetensors ]] || { cat "$scratch/$name/latest"; return 1; }
  follows "$name" "$3" "$1" --resume auto
  equal "steps executed after the resume" "$(steps_executed "$name")" 21
  equal_bytes "$name" "$1-1"
}
recipes_differ() {
  different_bytes adamw-1 sgd-1
  follows without-limit 1 adamw --clip-norm 1e9
  different_bytes without-limit adamw-1
}
for recipe in "${recipes[@]}"; do
  follows "$recipe-1" 1 "$recipe" >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log"; die "$recipe on one rank failed"; }
  check "$recipe with a replicated gate on one rank gives the same bytes" \
    recipe_holds "$recipe-replicated-1" 1 "$recipe" --gate-placement replicated --threads 2
  for ranks in ${rank_counts[@]+"${rank_counts[@]}"}; do
    $long || [[ $ranks == [235] ]] || continue
    check "$recipe on $ranks ranks gives the same bytes" recipe_holds "$recipe-$ranks" "$ranks" "$recipe"
    check "$recipe with a replicated gate on $ranks ranks gives the same bytes" \
      recipe_holds "$recipe-replicated-$ranks" "$ranks" "$recipe" --gate-placement replicated
  done
  check "$recipe: 11 steps and 19 more on one rank" recipe_resumed "$recipe" 1 1
  check "$recipe: a crash and a resume on one rank" recipe_survives "$recipe" 1 1
  $local_only && continue
  check "$recipe: 11 steps on 2 ranks and 19 more on $other" recipe_resumed "$recipe" 2 "$other"
  check "$recipe: a crash of one of 3 ranks and a resume on 2" recipe_survives "$recipe" 3 2
done
check "optimisers and the limit of the norm give bytes of their own" recipes_differ
# ---- Noise, capacity, and losses of the choice ---------------------------------------------------------------

# Each with two experts per sample, in nine blocks.
choice_options() {
  case $1 in
    plain) ;;
    noise) printf '%s\n' --noise 1.5 ;;
    capacity) printf '%s\n' --capacity 0.4 ;;
    z-loss) printf '%s\n' --z-loss 0.05 ;;
    load-balance) printf '%s\n' --load-balance 0.2 ;;
    all) printf '%s\n' --noise 1 --capacity 0.5 --z-loss 0.02 --load-balance 0.1 --importance 0.2 ;;
    attentive) printf '%s\n' --gate attentive --noise 1 --capacity 0.5 --z-loss 0.02 --load-balance 0.1 ;;
  esac
}

# chosen NAME N WHAT OPTION...
chosen() {
  local name=$1 ranks=$2 what=$3 options
  shift 3
  mapfile -t options < <(choice_options "$what")
  trained "$name" "$ranks" top-2 --block-rows 16 "${options[@]}" "$@"
}
# choice WHAT: the run on one rank, unless an earlier check has made it.
choice() { [[ -e $scratch/choice-$1/latest ]] || chosen "choice-$1" 1 "$1"; }
choice_holds() {
  local what=$1 ranks
  choice plain
  choice "$what"
  chosen "choice-$what-r" 1 "$what" --gate-placement replicated
  equal_bytes "choice-$what-r" "choice-$what"
  for ranks in ${rank_counts[@]+"${rank_counts[@]}"}; do
    $long || [[ $ranks == [35] ]] || continue
    chosen "choice-$what-$ranks" "$ranks" "$what"
    equal_bytes "choice-$what-$ranks" "choice-$what"
    chosen "choice-$what-$ranks-r" "$ranks" "$what" --gate-placement replicated --placement round-robin
    equal_bytes "choice-$what-$ranks-r" "choice-$what"
  done
  chosen "choice-$what-half" "$other" "$what" --max-steps 11 --gate-placement replicated
  chosen "choice-$what-half" 1 "$what" --resume auto
  equal "steps executed after the resume" "$(steps_executed "choice-$what-half")" 19
  equal_bytes "choice-$what-half" "choice-$what"
  [[ $what == plain ]] || different_bytes "choice-$what" choice-plain
}
for what in plain noise capacity z-loss load-balance all attentive; do
  check "top-2, $what: ranks, places and a stop change nothing" choice_holds "$what"
done

# Training dropped rows, evaluation none: rows selected in 30 steps of 130, and of the test set.
capacity_drops_in_training_alone() {
  local selected rows
  choice plain
  choice capacity
  selected='import json, sys; print(sum(e["rows_selected"] for e in json.load(sys.stdin)))'
  json_field "$scratch/choice-plain/summary.json" account.experts | python3 -c "$selected" >"$scratch/free"
  json_field "$scratch/choice-capacity/summary.json" account.experts | python3 -c "$selected" >"$scratch/limited"
  equal "pairs without a limit" "$(cat "$scratch/free")" $((2 * 30 * 130))
  # At most 5 · ⌈0.4·2·130/5⌉ of 260 in every step.
  (($(cat "$scratch/limited") <= 30 * 5 * 21)) || { echo "$(cat "$scratch/limited") pairs"; return 1; }
  on 1 "$moe_dist" evaluate "$scratch/choice-capacity" >"$scratch/evaluation"
  rows=$(sed -n 's/^conditional computation, \([0-9]*\) rows$/\1/p' "$scratch/evaluation")
  equal "pairs of the evaluation" "$(awk '$1 == "all" { print $2 }' "$scratch/evaluation")" $((2 * rows))
}
check "capacity drops rows in training alone" capacity_drops_in_training_alone

# Every line of a run has the keys of its losses; those of evaluation are null.
losses_are_recorded() {
  for what in plain all; do chosen "recorded-$what" 1 "$what" --max-steps 10 --log-every 5; done
  python3 - "$scratch/recorded-all/metrics.jsonl" "$scratch/recorded-plain/metrics.jsonl" <<'PYTHON'
import json, sys
with_losses, without = ([json.loads(line) for line in open(name)] for name in sys.argv[1:])
names = {"importance_loss", "similarity_loss", "z_loss", "load_balance_loss"}
assert {record["split"] for record in with_losses} >= {"step", "test"}
for record in with_losses:
    assert {key for key in record if key.endswith("_loss")} == names, record
    for name in names:
        known = record["split"] != "test" and name != "similarity_loss"
        assert (record[name] is not None) == known, (record["split"], name, record[name])
for record in without:
    assert {key for key in record if key.endswith("_loss")} == {"importance_loss", "similarity_loss"}, record
PYTHON
}
check "metrics.jsonl has the losses by name" losses_are_recorded

# ---- Sizes ---------------------------------------------------------------------------------------------------

# shape_holds EXPERTS BATCH RULE
shape_holds() {
  local name=shape-$1-$2-$3 ranks options=(--experts "$1" --batch-size "$2" --max-steps 6)
  trained "$name-1" 1 "$3" "${options[@]}"
  for ranks in ${few[@]+"${few[@]}"}; do repeats "$name-$ranks" "$ranks" "$3" "$name-1" "${options[@]}"; done
}

if $long; then
  for experts in 1 3 5 8; do
    for batch in 1 2 37 130 512; do
      for rule in expectation top-1; do
        check "$experts experts, batches of $batch, $rule" shape_holds "$experts" "$batch" "$rule"
      done
    done
  done
else
  check "1 expert, batches of 37" shape_holds 1 37 expectation
  check "3 experts, batches of 1, top-1" shape_holds 3 1 top-1
  check "5 experts, batches of 2" shape_holds 5 2 expectation
  check "8 experts, batches of 512, top-1" shape_holds 8 512 top-1
fi

# 261 training images in batches of 130 end with a batch of one.
one_row_batch() {
  local options=(--dataset idx --data-dir "$scratch/odd" --epochs 2) ranks
  python3 "$(dirname -- "${BASH_SOURCE[0]}")/make_idx.py" "$scratch/odd" --train 261 --test 50
  trained odd-1 1 top-2 "${options[@]}"
  equal "steps of two epochs" "$(steps_executed odd-1)" 6
  for ranks in ${few[@]+"${few[@]}"}; do repeats "odd-$ranks" "$ranks" top-2 odd-1 "${options[@]}"; done
}
check "a last batch of one row" one_row_batch

single_model() {
  local ranks
  trained single-1 1 expectation --gate none
  for ranks in ${few[@]+"${few[@]}"}; do repeats "single-$ranks" "$ranks" expectation single-1 --gate none; done
}
check "the single model" single_model

# The larger networks, BatchNorm in the gate, on the published images.
fashion_mnist() {
  local options=(--dataset fashion-mnist --model fashion-mnist --batch-size 512) ranks
  trained "fashion-$1-1" 1 "$1" "${options[@]}"
  for ranks in ${few[@]+"${few[@]}"}; do repeats "fashion-$1-$ranks" "$ranks" "$1" "fashion-$1-1" "${options[@]}"; done
}
if has_fashion_mnist; then
  check "FashionMNIST, expectation" fashion_mnist expectation
  check "FashionMNIST, top-1" fashion_mnist top-1
else
  skip "FashionMNIST" "the data set is not here"
fi

# ---- What the checkpoint says is what is trained -------------------------------------------------------------

python_with_safetensors=${MOE_DIST_PYTHON:-python3}
changed_weight_matters() {
  trained start 1 expectation --max-steps 0
  "$python_with_safetensors" "$(dirname -- "${BASH_SOURCE[0]}")/change_weight.py" \
    "$(checkpoint_of "$scratch/start")" "$scratch/same.safetensors" "$scratch/changed.safetensors"
  trained from-same 1 expectation --init-from "$scratch/same.safetensors"
  trained from-changed 1 expectation --init-from "$scratch/changed.safetensors"
  different_bytes from-same from-changed
}
if "$python_with_safetensors" -c 'import safetensors.numpy' 2>/dev/null; then
  check "a changed weight gives other bytes" changed_weight_matters
else
  skip "a changed weight gives other bytes" "Python has no safetensors (MOE_DIST_PYTHON names another Python)"
fi

finish
