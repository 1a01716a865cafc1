#!/usr/bin/env bash
# Gates, combine rules, regularisers, temperatures, frozen parts and distillation: neither the number of ranks nor a stop
# changes a byte, every option has its effect, and what cannot be is refused in one line.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

steps=8
# short NAME N OPTION...: a run of a few steps.
short() {
  local name=$1 ranks=$2
  shift 2
  train_run "$name" "$ranks" --max-steps "$steps" "$@"
}

# same_bytes NAME OPTION...: one rank; two ranks, a stop and three ranks; five ranks.
same_bytes() {
  local name=$1
  shift
  short "$name-1" 1 "$@"
  if $local_only; then
    short "$name-r" 1 "$@" --max-steps 3
    short "$name-r" 1 "$@" --resume auto
  else
    short "$name-r" 2 "$@" --max-steps 3
    short "$name-r" 3 "$@" --resume auto
    short "$name-5" 5 "$@"
    equal_bytes "$name-5" "$name-1"
  fi
  equal "steps after the resume" "$(steps_executed "$name-r")" $((steps - 3))
  equal_bytes "$name-r" "$name-1"
}

# ---- Every gate, rule and regulariser ------------------------------------------------------------------------

rule_of() {
  case $1 in
    top-*) printf '%s\n' --combine top-k --top-k "${1#top-}" ;;
    *) printf '%s\n' --combine "$1" ;;
  esac
}
regulariser_of() {
  case $1 in
    none) ;;
    importance) printf '%s\n' --importance 0.4 ;;
    similarity) printf '%s\n' --similarity 5 ;;
    both) printf '%s\n' --importance 0.2 --similarity 5 --dissimilarity 1 ;;
    authors) printf '%s\n' --similarity 1e-5 --dissimilarity 1 --similarity-scaling authors ;;
    squared) printf '%s\n' --similarity 5 --similarity-distance squared-euclidean --similarity-scale batch-max ;;
  esac
}

# The regularised run differs from the plain one, or the option would do nothing.
combination() {
  local gate=$1 rule=$2 regulariser=$3 name=$1-$2-$3 options
  mapfile -t options < <(rule_of "$rule"; regulariser_of "$regulariser")
  same_bytes "$name" --gate "$gate" "${options[@]}"
  [[ $regulariser == none ]] || different_bytes "$name-1" "$gate-$rule-none-1"
}
for gate in softmax attentive; do
  for rule in expectation stochastic top-1 top-2; do
    for regulariser in none importance similarity both; do
      check "$gate, $rule, regulariser $regulariser" combination "$gate" "$rule" "$regulariser"
    done
  done
done
for regulariser in authors squared; do
  for gate in softmax attentive; do
    check "$gate, expectation, regulariser $regulariser" combination "$gate" expectation "$regulariser"
  done
done

split=0,5/1,6/2,7/3,8/4,9
for gate in peeking loudest loss; do check "gate $gate" same_bytes "gate-$gate" --gate "$gate"; done
check "gate peeking at temperature 2, payload index" same_bytes peeking-2 --gate peeking --temperature 2 --payload index
check "experts on given classes" same_bytes classes --expert-classes "$split"
check "two temperatures, softmax" same_bytes two-soft --expert-temperature 3
check "two temperatures, attentive and regularised" \
  same_bytes two-attentive --gate attentive --expert-temperature 3 --importance 0.3 --similarity 2
two_temperatures_matter() { different_bytes two-soft-1 softmax-expectation-none-1; }
check "two temperatures give other bytes than one" two_temperatures_matter
check "combined distances of the last batch" same_bytes last --gate attentive --similarity 5 --batch-size 500 --epochs 3

# ---- Frozen parts, and starting from parts -------------------------------------------------------------------

# tensors_equal PREFIX NAME NAME: whether all tensors under a prefix agree.
tensors_equal() {
  python3 - "$1" "$(checkpoint_of "$scratch/$2")" "$(checkpoint_of "$scratch/$3")" <<'PYTHON'
import json, struct, sys
def tensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    return {name: data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]]
            for name, t in header.items() if name != "__metadata__"}
prefix, first, second = sys.argv[1], tensors(sys.argv[2]), tensors(sys.argv[3])
names = [name for name in first if name.startswith(prefix)]
assert names, f"no tensor begins with {prefix}"
sys.exit(any(first[name] != second[name] for name in names))
PYTHON
}

# The two weights of the similarity act as one, beta_s/E + beta_d/(E^2-E): for five experts 4 of beta_d are 1 of beta_s.
one_weight() {
  short weight-s 1 --similarity 2 --learning-rate 0.01
  short weight-d 1 --dissimilarity 8 --learning-rate 0.01
  tensors_equal '' weight-s weight-d
}
check "similarity 2 and dissimilarity 8 are the same for 5 experts" one_weight

hand_made_decomposition() {
  short hand 1 --expert-classes "$split"
  same_bytes gated --gate softmax --freeze experts --init-only experts --init-from "$(checkpoint_of "$scratch/hand")"
  tensors_equal experts. hand gated-1
  local file
  file=$(checkpoint_of "$scratch/gated-1")
  ! grep -qa 'optimizer.experts' "$file" || { echo "frozen experts have moments"; return 1; }
  same_bytes fresh --gate softmax --freeze gate --init-only gate --init-from "$file" --seed 9
  tensors_equal gate. gated-1 fresh-1
  ! tensors_equal experts. gated-1 fresh-1
}
check "experts by hand, a gate for them, fresh experts under it" hand_made_decomposition

for loss in kl labels; do
  # distils LOSS: a plain gate for an attentive run's experts, on any ranks and through a stop.
  distils() {
    local name=distilled-$1 source=$scratch/attentive-expectation-importance-1 ranks
    local options=("$source" --quiet --progress none --checkpoint-every 0 --distill-loss "$1" --max-steps "$steps")
    on 1 "$moe_dist" distill "${options[@]}" --run-dir "$scratch/$name-1"
    for ranks in $($local_only || echo 2 5); do
      on "$ranks" "$moe_dist" distill "${options[@]}" --run-dir "$scratch/$name-$ranks"
      equal_bytes "$name-$ranks" "$name-1"
    done
    on 1 "$moe_dist" distill "${options[@]}" --run-dir "$scratch/$name-r" --max-steps 3
    on "$($local_only && echo 1 || echo 3)" "$moe_dist" distill "${options[@]}" --run-dir "$scratch/$name-r" --resume auto
    equal_bytes "$name-r" "$name-1"
    tensors_equal experts. attentive-expectation-importance-1 "$name-1"
    on 1 "$moe_dist" evaluate "$scratch/$name-1" --combine top-k --top-k 1 >"$scratch/out"
    grep -q '^experts: .* = 20.0 %' "$scratch/out" || { echo "a fifth of the experts' work was expected"; cat "$scratch/out"; return 1; }
  }
  check "distillation with $loss" distils "$loss"
done

# What the help calls the source run's is the source run's, and everything that differs is called something else.
help_of_distill() {
  local source=$scratch/attentive-expectation-importance-1
  run_alone "$moe_dist" distill --help >"$scratch/help"
  on 1 "$moe_dist" distill "$source" --quiet --progress none --max-steps 0 --run-dir "$scratch/distilled-as-is"
  python3 - "$scratch/help" "$source/config.yaml" "$scratch/distilled-as-is/config.yaml" <<'PYTHON'
import re, sys
# An option's entry begins a line; its text may name others.
parts = re.split(r"^  --([a-z-]+)", open(sys.argv[1]).read(), flags=re.MULTILINE)
entries = [(key, " ".join(text.split())) for key, text in zip(parts[1::2], parts[2::2])]
options = [(key, text.split("(default: ")[1].split(")")[0]) for key, text in entries if "(default: " in text]
ours, theirs = ([dict(line.rstrip().split(": ", 1) for line in open(name)) for name in sys.argv[2:]])
inherited = {key for key, text in options if text == "that of RUN"}
assert {"dataset", "experts", "batch-size", "epochs", "seed", "learning-rate", "block-rows"} <= inherited, inherited
stated = dict(options)
assert stated["gate"] == "softmax" and stated["freeze"] == "experts" and stated["importance"] == "0", stated
for key in set(ours) | set(theirs):
    same = ours.get(key) == theirs.get(key)
    assert same or key not in inherited, f"{key}: {ours.get(key)} in the run, {theirs.get(key)} in the distilled one"
PYTHON
}
check "the help of distill states what it takes from the run" help_of_distill

# ---- Evaluation and prediction -------------------------------------------------------------------------------

evaluates_alike() {
  local run=$scratch/$1
  on 1 "$moe_dist" evaluate "$run" --json >"$scratch/one"
  on 3 "$moe_dist" evaluate "$run" --json >"$scratch/three"
  same evaluations "$scratch/one" "$scratch/three"
}
if $local_only; then
  skip "evaluation on three ranks" "one rank with --local"
else
  for run in attentive-top-2-both-1 gate-peeking-1 gate-loudest-1 gate-loss-1 classes-1 distilled-kl-1; do
    check "$run is evaluated alike on 3 ranks" evaluates_alike "$run"
  done
fi

# ---- Starting again ------------------------------------------------------------------------------------------

# The scale that follows from the data may be named again, as the same command line does.
same_scale() {
  short scale 1 --similarity 5 --similarity-scale dataset --max-steps 3
  short scale 1 --similarity 5 --similarity-scale dataset --resume auto
  equal "steps after the resume" "$(steps_executed scale)" $((steps - 3))
  short scale-3 1 --similarity 5 --similarity-scale 3 --max-steps 3
  exits_with 64 short scale-3 1 --similarity 5 --similarity-scale dataset --resume auto
  says 'similarity-scale dataset is [0-9.]+ here, but .*similarity-scale 3'
}
check "a resume with the data set's scale named again" same_scale

# Other data of the same name and size are refused wherever a checkpoint meets them.
other_data() {
  local make run=$scratch/own-data
  make=$(dirname -- "${BASH_SOURCE[0]}")/make_idx.py
  python3 "$make" "$scratch/idx-own" --train 60 --test 20
  python3 "$make" "$scratch/idx-other" --train 70 --test 30
  short own-data 1 --dataset idx --data-dir "$scratch/idx-own" --gate attentive --max-steps 1
  on 1 "$moe_dist" evaluate "$run" >/dev/null
  exits_with 65 run_alone "$moe_dist" evaluate "$run" --data-dir "$scratch/idx-other"
  says 'trained on other data .*train-images'
  exits_with 65 short own-data 1 --dataset idx --resume auto --data-dir "$scratch/idx-other"
  says 'trained on other data'
  exits_with 65 run_alone "$moe_dist" distill "$run" --data-dir "$scratch/idx-other" --run-dir "$scratch/refused"
  says 'trained on other data'
  [[ ! -e $scratch/refused ]] || { echo "a run directory was left"; rm -rf "$scratch/refused"; return 1; }
}
check "a checkpoint and other data" other_data

# ---- What cannot be ------------------------------------------------------------------------------------------

# refused CODE PATTERN OPTION...
refused() {
  local code=$1 pattern=$2
  shift 2
  exits_with "$code" run_alone "$moe_dist" train "${small[@]}" --run-dir "$scratch/refused" --max-steps 1 "$@"
  says "$pattern"
  [[ ! -e $scratch/refused ]] || { echo "a run directory was left"; rm -rf "$scratch/refused"; return 1; }
}
check "a negative weight" refused 64 'importance -1 .*at least 0' --importance=-1
check "temperature 0" refused 64 'temperature 0 .*positive' --temperature 0
check "more experts per sample than there are" refused 64 'top-k 9 is larger than' --combine top-k --top-k 9
check "classes without lists" refused 64 'needs the classes of every expert' --gate classes
check "overlapping class lists" refused 64 'each class once' --expert-classes 0,1/1,2
check "an unknown class" refused 64 'class 12, but data set' --expert-classes "0,5/1,6/2,7/3,8/4,9,12"
check "a class without an expert" refused 64 'class 9 to no expert' --expert-classes 0,5/1,6/2,7/3,8/4
check "experts that contradict the lists" refused 64 'contradicts --expert-classes' --experts 4 --expert-classes "$split"
check "an attentive gate for unequal widths" refused 64 'equal width' --model expert-heavy --gate attentive
check "nothing to train on" refused 64 'leaves none' --train-samples 100 --validation-fraction 0.99
check "nothing to train" refused 64 'nothing to train' --gate peeking --freeze experts
weights_of_another_model() {
  refused 65 'experts.0' --init-from "$(checkpoint_of "$scratch/softmax-expectation-none-1")" --model fashion-mnist
}
check "the weights of another model" weights_of_another_model

not_attentive() {
  exits_with 64 run_alone "$moe_dist" distill "$scratch/softmax-expectation-none-1" --run-dir "$scratch/refused"
  says 'distill takes a run with --gate attentive'
}
check "distilling a plain gate" not_attentive
conditional_attention() {
  exits_with 64 run_alone "$moe_dist" evaluate "$scratch/attentive-expectation-none-1" --combine top-k --top-k 1
  says 'moe-dist distill'
}
check "one expert per sample of an attentive model" conditional_attention
idle_top_k() {
  exits_with 64 run_alone "$moe_dist" evaluate "$scratch/softmax-expectation-none-1" --top-k 1
  says 'no effect with --combine expectation'
}
check "experts per sample where all run" idle_top_k
oracle_predicts() {
  python3 "$(dirname -- "${BASH_SOURCE[0]}")/make_idx.py" "$scratch/idx" --train 20 --test 20
  exits_with 64 run_alone "$moe_dist" predict "$scratch/gate-peeking-1" --images "$scratch/idx/t10k-images-idx3-ubyte"
  says 'cannot predict'
}
check "predicting with the labels" oracle_predicts
oracle_is_marked() {
  run_alone "$moe_dist" train --dataset synthetic --model mnist --gate peeking --max-steps 1 --run-dir "$scratch/oracle" \
    >"$scratch/out" 2>"$scratch/err"
  grep -q '^moe-dist .*; oracle: --gate peeking' "$scratch/err" || { echo "the start line has no mark"; cat "$scratch/err"; return 1; }
  grep -q '^oracle: ' "$scratch/out"
  grep -q '"oracle": true' "$scratch/oracle/summary.json"
  run_alone "$moe_dist" evaluate "$scratch/oracle" --json | grep -q '"oracle": true'
  run_alone "$moe_dist" train "${small[@]}" --gate loudest --run-dir "$scratch/no-oracle" --max-steps 1
  run_alone "$moe_dist" evaluate "$scratch/no-oracle" --json | grep -q '"oracle": false'
}
check "figures of an oracle are marked" oracle_is_marked

one_line_on_two_ranks() {
  exits_with 64 on 2 "$moe_dist" train "${small[@]}" --run-dir "$scratch/refused" --max-steps 1 \
    --experts 2 --expert-classes 0,1/2,3
  says 'class 4 to no expert'
}
if $local_only; then
  skip "an error that every rank has, on two ranks" "one rank with --local"
else
  check "an error that every rank has is said once" one_line_on_two_ranks
fi

finish
