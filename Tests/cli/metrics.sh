#!/usr/bin/env bash
# The metrics of `evaluate --json` against the same figures computed in Python from `evaluate --per-sample`, images by expert, and
# what predict, show and a run say of single images.
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
  local name=$1 ranks=$2 asked=$3
  # shellcheck disable=SC2086
  train_run "$name" "$ranks" --max-steps 20 ${4:-}
  run_alone "$moe_dist" evaluate "$scratch/$name" --json --per-sample "$scratch/$name.csv" >/dev/null
  # shellcheck disable=SC2086
  python3 "$root/Tests/Reference/tables_check.py" "$scratch/$name.csv" "$scratch/$name" $asked
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

# ---- Single images: predict's columns, show, and what a run records --------------------------------------------
check_details=$root/Tests/Reference/sample_details_check.py
assert_json() { python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert eval(sys.argv[2]), sys.argv[2]' "$1" "$2"; }
columns=class,probability,expert,distribution,gate,answers

# answers NAME OPTION...: all columns in every form, on 1 rank and, the same bytes, on others.
answers() {
  local name=$1 form
  shift
  local predict=("$moe_dist" predict "$scratch/details" --images "$images" --output-columns "$columns" "$@")
  for form in csv jsonl safetensors; do
    run_alone "${predict[@]}" --format "$form" --output "$scratch/$name.$form"
  done
  $local_only && return
  run_ranks 2 "${predict[@]}" --format csv --placement round-robin --output "$scratch/$name.2"
  run_ranks 3 "${predict[@]}" --format safetensors --output "$scratch/$name.3"
  same "answers of 2 ranks" "$scratch/$name.csv" "$scratch/$name.2"
  same "answers of 3 ranks" "$scratch/$name.safetensors" "$scratch/$name.3"
}

# answered NAME RULE OPTION...: the same as `evaluate --per-sample`, and a mixture of what the experts say.
answered() {
  local name=$1 rule=$2
  shift 2
  answers "$name" "$@"
  run_alone "$moe_dist" evaluate "$scratch/details" --json --per-sample "$scratch/$name.samples" --force "$@" >/dev/null
  "${MOE_DIST_PYTHON:-python3}" "$check_details" predict "$scratch/$name" "$scratch/$name.samples" "$rule"
}

# without_ranks FILE: what show says, but for ranks.
without_ranks() {
  python3 -c '
import json, sys
shown = json.load(open(sys.argv[1]))
for key in ("placement", "ranks", "ranks_of"): del shown[key]
for sample in shown["samples"]: del sample["busy_ranks"], sample["idle_ranks"]
print(json.dumps(shown, indent=1))' "$1"
}

# shown NAME OPTION...: show's numbers are predict's, on every number of ranks.
shown() {
  local name=$1 ranks
  shift
  local show=("$moe_dist" show "$scratch/details" --sample 0 --sample 4711 --sample 9999 --json "$@")
  run_alone "${show[@]}" >"$scratch/$name.shown"
  python3 "$check_details" show "$scratch/$name.shown" "$scratch/$name" "$scratch/$name.samples"
  $local_only && return
  for ranks in 2 3; do
    run_ranks "$ranks" "${show[@]}" >"$scratch/$name.shown.$ranks"
    python3 "$check_details" show "$scratch/$name.shown.$ranks" "$scratch/$name" "$scratch/$name.samples"
    # What is no rank's is the same.
    without_ranks "$scratch/$name.shown" >"$scratch/shown.1"
    without_ranks "$scratch/$name.shown.$ranks" >"$scratch/shown.n"
    same "numbers" "$scratch/shown.1" "$scratch/shown.n"
  done
}

# drawn: a line is never wider than it may be, NO_COLOR is obeyed, and in a pipe there is nothing but ASCII.
drawn() {
  local columns
  for columns in 60 80 120; do
    COLUMNS=$columns run_alone "$moe_dist" show "$scratch/details" --sample 3 --combine top-k --top-k 1 >"$scratch/drawn"
    if LC_ALL=C grep -nP '[^\x20-\x7E]' "$scratch/drawn"; then echo "no ASCII"; return 1; fi
    awk -v limit="$columns" 'NR > 1 && length > limit { print length ": " $0; bad = 1 } END { exit bad }' "$scratch/drawn"
    grep -qE '^ *expert [0-3]  rank 0  .*#.*ran$' "$scratch/drawn"
    grep -qE 'did nothing$' "$scratch/drawn"
    grep -q 'FLOPs  ' "$scratch/drawn"
  done
}

# recorded: the six images of a run are those of the rule, the same on every number of ranks.
recorded() {
  python3 "$check_details" record "$scratch/details" "$scratch/dense.samples" "$images"
  grep -q 'What happens to an image' "$scratch/details/report.html"
  [[ -s $scratch/details/figures/sample-6.svg ]]
  (($(stat -c %s "$scratch/details/expert_images.png") <= 36000))
  $local_only && return
  for ranks in 2 3; do
    detailed "$ranks" "$scratch/details-$ranks"
    same "samples.json of $ranks ranks" "$scratch/details/samples.json" "$scratch/details-$ranks/samples.json"
    same "images by expert of $ranks ranks" "$scratch/details/expert_images.png" "$scratch/details-$ranks/expert_images.png"
  done
}

detailed() {
  on "$1" "$moe_dist" train --dataset fashion-mnist --train-samples 4000 --max-steps 12 --batch-size 100 --experts 4 \
    --seed 5 --progress none --quiet --run-dir "$2"
}

# refused: what predict and show do not take, in one line.
refused() {
  local model=(predict "$scratch/details" --images "$images")
  exits_with 64 run_alone "$moe_dist" "${model[@]}" --output-columns class,gaet
  says "did you mean 'gate'"
  exits_with 64 run_alone "$moe_dist" "${model[@]}" --output-columns class,class
  says twice
  exits_with 64 run_alone "$moe_dist" "${model[@]}" --format safetensors
  says 'name a file with --output'
  exits_with 64 run_alone "$moe_dist" show "$scratch/details"
  says 'name an image with --sample'
  exits_with 64 run_alone "$moe_dist" show "$scratch/details" --sample 10000
  says 'numbered from 0 to 9999'
  exits_with 64 run_alone "$moe_dist" show "$scratch/details" --sample=-1
  says 'numbered from 0'
  exits_with 64 run_alone "$moe_dist" show "$scratch/details" --sample 1 --top-k 9
  says 'no effect'
}

# Of several layers every gate is told, and answers are hidden rows.
deep_details() {
  run_alone "$moe_dist" train --dataset synthetic --model mlp --layers 2 --experts 3 --combine top-k --top-k 1 \
    --max-steps 3 --progress none --quiet --run-dir "$scratch/deep"
  run_alone "$moe_dist" show "$scratch/deep" --sample 2 --json >"$scratch/deep.json"
  assert_json "$scratch/deep.json" '[len(l["ran"]) for l in d["samples"][0]["layers"]] == [1, 1]'
  assert_json "$scratch/deep.json" 'd["samples"][0]["answers"] is None and len(d["samples"][0]["distribution"]) == 10'
  run_alone "$moe_dist" show "$scratch/deep" --sample 2 >"$scratch/deep.txt"
  grep -q 'gate of layer 2' "$scratch/deep.txt"
  grep -q 'experts answer hidden rows' "$scratch/deep.txt"
}

# Keys of an attentive gate need every expert.
attentive_details() {
  COLUMNS=60 run_alone "$moe_dist" show "$scratch/attentive" --sample 2 >"$scratch/attentive.txt"
  tr -s ' \n' ' ' <"$scratch/attentive.txt" | grep -q 'every expert, on rank 0: keys need every expert; distill'
  grep -q 'did nothing  nobody' "$scratch/attentive.txt"
}

# Without images a run records what the experts did all the same.
bare_record() {
  run_alone "$moe_dist" evaluate "$scratch/no-images" --json --per-sample "$scratch/no-images.csv" >/dev/null
  python3 "$check_details" record "$scratch/no-images" "$scratch/no-images.csv"
}

images=$fashion/t10k-images-idx3-ubyte.gz
if [[ -e $images ]]; then
  check "single images: training" detailed 1 "$scratch/details"
  check "predict: all columns" answered dense expectation
  check "predict: all columns, top-1" answered top full --combine top-k --top-k 1
  check "predict: all columns, top-2 renormalised" answered two renormalised --combine top-k --top-k 2
  check "show: the numbers of predict" shown dense
  check "show: the numbers of predict, top-1" shown top --combine top-k --top-k 1
  check "show: text within the width" drawn
  check "samples.json: the rule's images" recorded
  check "64: columns and samples that are not there" refused
else
  skip "single images" "FashionMNIST is not installed"
fi
check "show: two layers" deep_details
check "show: an attentive gate" attentive_details
check "samples.json without images" bare_record
# ---- Files for other programs --------------------------------------------------------------------------------

check_events=$root/Tests/Reference/tensorboard_check.py
check_table=$root/Tests/Reference/metrics_csv_check.py
python_with_tensorboard=
for python in "${MOE_DIST_PYTHON:-python3}" python3; do
  if "$python" -c 'import tensorboard' 2>/dev/null; then python_with_tensorboard=$python; break; fi
done

# told NAME: the tables and event files of a run say what its metrics.jsonl says.
told() {
  "${python_with_tensorboard:-python3}" "$check_table" "$scratch/$1"
  if [[ -n $python_with_tensorboard ]]; then "$python_with_tensorboard" "$check_events" "$scratch/$1"; fi
}
event_files() { find "$scratch/$1" -name 'events.out.tfevents.*' | wc -l; }

short=(--train-samples 1300 --test-samples 300 --validation-fraction 0.1 --epochs 3 --log-every 4 --checkpoint-every 1)
told_whole() {
  rm -rf "$scratch/told"
  train_run told "$1" "${short[@]}" --experts 4
  told told
  equal "event files" "$(event_files told)" 1
}
told_layers() {
  train_run told-layers "$1" "${short[@]}" --model mlp --layers 2
  told told-layers
}
told_single() {
  train_run told-single 1 "${short[@]}" --gate none
  told told-single
}
# Of many experts the smallest and the largest share alone.
told_many() {
  train_run told-many 1 "${short[@]}" --epochs 1 --experts 70 --combine top-k
  told told-many
}
# Stopped at a checkpoint, killed behind one, finished and gone on with: every step once.
told_resumed() {
  local ranks=$1 file
  rm -rf "$scratch/told-on"
  train_run told-on "$ranks" "${short[@]}" --max-steps 5
  told told-on
  # As a process leaves it that was killed behind the checkpoint while it wrote.
  file=$(find "$scratch/told-on" -name 'events.out.tfevents.*')
  head -c 100 "$file" | tail -c 60 >"$scratch/torn"
  cat "$scratch/torn" >>"$file"
  printf '{"epoch":1,"st' >>"$scratch/told-on/metrics.jsonl"
  printf '1,2' >>"$scratch/told-on/metrics.csv"
  train_run told-on "$ranks" "${short[@]}" --epochs 2 --max-steps 9007199254740992 --resume auto
  told told-on
  train_run told-on "$ranks" "${short[@]}" --max-steps 9007199254740992 --resume auto
  told told-on
  equal "event files" "$(event_files told-on)" 3
  train_run told-at-once 1 "${short[@]}"
  cut -d, -f1-3 "$scratch/told-on/metrics.csv" >"$scratch/told-on.lines"
  cut -d, -f1-3 "$scratch/told-at-once/metrics.csv" >"$scratch/told-at-once.lines"
  same "lines" "$scratch/told-on.lines" "$scratch/told-at-once.lines"
}
told_crashed() {
  local run=$scratch/told-crashed pid n step
  "$moe_dist" train "${small[@]}" "${short[@]}" --epochs 1000 --log-every 1 --checkpoint-every 2 --run-dir "$run" </dev/null &
  pid=$!
  for ((n = 0; n < 600; n++)); do
    [[ -e $run/latest && $(wc -l <"$run/metrics.jsonl") -gt 40 ]] && break
    sleep 0.05
  done
  kill -9 "$pid" && { wait "$pid" || true; }
  step=$(sed -E 's/.*-0*([0-9]+)\.safetensors/\1/' "$run/latest")
  run_alone "$moe_dist" train --run-dir "$run" --resume auto --max-steps $((step + 11)) --progress none --quiet
  told told-crashed
}
no_events() {
  train_run no-events 1 --max-steps 2 --no-tensorboard
  equal "event files" "$(event_files no-events)" 0
  python3 "$check_table" "$scratch/no-events"
}
special_events() {
  train_run special-events 1 --max-steps 2
  ln -s /dev/zero "$scratch/special-events/events.out.tfevents.0000000000.a"
  exits_with 65 run_alone "$moe_dist" train --run-dir "$scratch/special-events" --resume auto --max-steps 3
  says 'events.out.tfevents.0000000000.a: expected a plain file'
}
[[ -n $python_with_tensorboard ]] || skip "event files by TensorBoard" "the package tensorboard is not installed"
check "metrics.csv and event files are metrics.jsonl" told_whole 1
if ! $local_only; then check "metrics.csv and event files, 3 ranks" told_whole 3; fi
check "metrics.csv and event files of two layers" told_layers 1
check "metrics.csv and event files of a single model" told_single
check "metrics.csv and event files of 70 experts" told_many
check "metrics.csv and event files of a run that goes on" told_resumed 1
check "metrics.csv and event files after a kill" told_crashed
check "--no-tensorboard" no_events
check "65: an event file that is no plain file" special_events

# ---- Traces --------------------------------------------------------------------------------------------------

check_trace=$root/Tests/Reference/trace_check.py
# traced NAME N EXPERTS STEPS CHECK-OPTIONS OPTION...: a run with a trace has the bytes of one without.
traced() {
  local name=$1 ranks=$2 experts=$3 steps=$4 how=$5
  shift 5
  train_run "$name" "$ranks" --experts "$experts" --max-steps 9 "$@" --trace "$scratch/$name.json" --trace-steps 3:8
  # shellcheck disable=SC2086  # options
  python3 "$check_trace" "$scratch/$name.json" "$ranks" "$experts" "$steps" $how
  train_run "$name-plain" 1 --experts "$experts" --max-steps 9 "$@"
  equal_bytes "$name" "$name-plain"
}
# An evaluation in the midst, and an end before that of the window.
traced_to_the_end() {
  train_run trace-end "$1" "${short[@]}" --epochs 1 --checkpoint-every 0 --trace "$scratch/trace-end.json" --trace-steps 7:500
  python3 "$check_trace" "$scratch/trace-end.json" "$1" 5 8:9 --all-experts
}
traced_nothing() {
  exits_with 0 train_run trace-none 1 --max-steps 3 --trace "$scratch/trace-none.json"
  grep -q 'the trace is empty: none of the steps after 10 up to 30 was done; choose others with --trace-steps' "$scratch/err"
  python3 "$check_trace" "$scratch/trace-none.json" 1 5 none
}
# Steps are those of the run, also where it goes on; a trace of before is replaced, and nothing else.
traced_resumed() {
  local file=$scratch/trace-on.json
  train_run trace-on 1 --max-steps 4 --trace "$file" --trace-steps 2:6
  python3 "$check_trace" "$file" 1 5 3:4 --all-experts
  train_run trace-on 1 --max-steps 7 --resume auto --trace "$file" --trace-steps 2:6
  python3 "$check_trace" "$file" 1 5 5:6 --all-experts
  echo other >"$file"
  exits_with 73 train_run trace-other 1 --max-steps 1 --trace "$file"
  says "--trace $file: exists already; choose another path$"
  equal "the file" "$(cat "$file")" other
  [[ ! -e $scratch/trace-other ]]
  exits_with 73 train_run trace-other 1 --max-steps 1 --trace "$scratch/nowhere/trace.json"
  exits_with 64 train_run trace-other 1 --max-steps 1 --trace "$scratch/t.json" --trace-steps 5:5
  exits_with 64 train_run trace-other 1 --max-steps 1 --trace "$scratch/t.json" --trace-steps 0:1001
}
check "a trace of one rank, two threads" traced trace-1 1 5 4:8 --all-experts --threads 2
check "a trace to the end of a run" traced_to_the_end 1
check "a trace of nothing" traced_nothing
check "a trace of a run that goes on" traced_resumed
if ! $local_only; then
  check "a trace of 3 ranks" traced trace-3 3 4 4:8 "" --combine top-k --top-k 2
  check "a trace of 2 ranks, two layers" traced trace-layers 2 3 4:8 "--layers 2" --model mlp --layers 2
fi
finish
