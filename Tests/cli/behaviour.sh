#!/usr/bin/env bash
# What the program does when the world goes wrong, and what it promises to scripts: exit codes, one line of error, no
# hang, nothing half written, resumable stops, configurations that repeat a run.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"
here=$(cd -- "$(dirname -- "$0")" && pwd)

train() { run_alone "$moe_dist" train "${small[@]}" "$@"; }

# ---- 64: usage and configuration -----------------------------------------------------------------------------

# An argument parser's own words may surround the message, so these look for the text alone.
mentions() { grep -qE -- "$1" "$scratch/err" || { echo "no '$1' in:"; tail -n 20 "$scratch/err"; return 1; }; }

unknown_option() { exits_with 64 train --exprts 3 --run-dir "$scratch/never" && mentions '--experts'; }
check "64: an unknown option names its neighbour" unknown_option

foreign_names() {
  exits_with 64 train --lr 0.1 --run-dir "$scratch/never"
  says "^moe-dist: unknown option '--lr'; it is '--learning-rate' here$"
  exits_with 64 run_alone "$moe_dist" bench --bs 4
  says "unknown option '--bs'; it is '--batch-size' here$"
  exits_with 64 train -k 2 --run-dir "$scratch/never"
  says "unknown option '-k'; it is '--top-k' here$"
  exits_with 64 train --num-workers=2 --run-dir "$scratch/never"
  says "unknown option '--num-workers'; it has no counterpart: "
  printf 'max_grad_norm: 1\n' >"$scratch/foreign.yaml"
  exits_with 64 run_alone "$moe_dist" train --config "$scratch/foreign.yaml" --run-dir "$scratch/never"
  says "foreign\.yaml:1:1: unknown key 'max_grad_norm'; it is 'clip-norm' here$"
  exits_with 64 run_alone "$moe_dist" reproduce mnist --set lr=1
  says "unknown setting 'lr'; it is 'learning-rate' here$"
}
check "64: a name of other trainers is answered with ours" foreign_names

mistyped_commands() {
  local words
  while IFS='|' read -r words expected; do
    # shellcheck disable=SC2086  # words of a command line
    exits_with 64 run_alone "$moe_dist" $words || { echo "for $words"; return 1; }
    says "unknown command $expected"
    equal "output of $words" "$(cat "$scratch/out")" ""
  done <<TEXT
trian --dataset mnist|'trian'; did you mean 'train'\? See 'moe-dist --help'\\.\$
trian --help|'trian'; did you mean 'train'
help tran|'tran'; did you mean 'train'
checkpoint verfy runs/a|'checkpoint verfy'; did you mean 'checkpoint verify'
data lsit|'data lsit'; did you mean 'data list'
launch -np 2 -- trian|'trian'; did you mean 'train'
serve|'serve'; known are train, launch, .*, help; See
TEXT
  exits_with 64 run_alone "$moe_dist" train --exprts 3
  says "Unknown option '--exprts'. Did you mean '--experts'\?"
  exits_with 64 run_alone "$moe_dist" evaluate runs/a --combin top-k
  says "Unknown option '--combin'. Did you mean '--combine'\?"
  exits_with 64 run_alone "$moe_dist" launch -np -1 -- train
  says "-np is a number of ranks from 1"
}
check "64: a mistyped command or option is answered with the nearest" mistyped_commands

unknown_key() {
  printf 'epochs: 1\nexprts: 3\n' >"$scratch/wrong.yaml"
  exits_with 64 run_alone "$moe_dist" train --config "$scratch/wrong.yaml" --run-dir "$scratch/never"
  says "wrong\.yaml:2:1.*exprts.*did you mean.*experts"
}
check "64: an unknown key names its neighbour and its place" unknown_key

bad_value() {
  printf 'experts: many\n' >"$scratch/value.yaml"
  exits_with 64 run_alone "$moe_dist" train --config "$scratch/value.yaml" --run-dir "$scratch/never"
  says "value\.yaml:1:[0-9]+"
}
check "64: a value of the wrong type names its place" bad_value

yaml_anchor() {
  printf 'experts: &e 3\nepochs: *e\n' >"$scratch/anchor.yaml"
  exits_with 64 run_alone "$moe_dist" train --config "$scratch/anchor.yaml" --run-dir "$scratch/never"
}
check "64: YAML anchors are refused" yaml_anchor

too_many_choices() {
  exits_with 64 train --combine top-k --top-k 6 --run-dir "$scratch/never"
  mentions 'top-k|top_k'
}
check "64: more choices than experts" too_many_choices

bad_numbers() {
  local option
  for option in "--experts 0" "--batch-size 0" "--batch-size -1" "--learning-rate nan" "--epochs -1" \
    "--validation-fraction 1" "--temperature 0" "--block-rows 0" "--placement 0,9" "--payload bits"; do
    # shellcheck disable=SC2086  # an option and its value
    exits_with 64 train $option --run-dir "$scratch/never" || { echo "for $option"; return 1; }
  done
}
check "64: numbers out of range" bad_numbers
nothing_was_made() { [[ ! -e $scratch/never ]] || { echo "a refused run left its directory"; return 1; }; }
check "64: a refused run leaves no directory" nothing_was_made

usage_error_is_said_once() {
  exits_with 64 run_ranks 3 "$moe_dist" train --combine top-k --top-k 6 "${small[@]}" --run-dir "$scratch/never"
  equal "lines with the error" "$(grep -ciE 'error|moe-dist: ' "$scratch/err")" 1
}
$local_only || check "64: only one of three ranks speaks" usage_error_is_said_once

help_everywhere() {
  local command
  for command in "" train evaluate predict doctor data "data list" "data verify" "data export"; do
    # shellcheck disable=SC2086
    exits_with 0 run_alone "$moe_dist" $command --help
    [[ -s $scratch/out ]] || { echo "no help for '$command'"; return 1; }
  done
}
check "every command has a help text" help_everywhere

# ---- Data sets -----------------------------------------------------------------------------------------------

export_and_verify() {
  local to=$scratch/cifar-100 sum
  exits_with 0 run_alone "$moe_dist" data export --to "$to" --train-samples 200 --test-samples 100
  equal "bytes of train.bin" "$(stat -c %s "$to/train.bin")" $((200 * 3074))
  equal "bytes of test.bin" "$(stat -c %s "$to/test.bin")" $((100 * 3074))
  exits_with 73 run_alone "$moe_dist" data export --to "$to"
  says "train\.bin.*exists"
  gzip -k "$to/test.bin" && mv "$to/test.bin" "$scratch/plain.bin"
  exits_with 0 run_alone "$moe_dist" data verify cifar-100 --data-dir "$scratch"
  grep -qF "cifar-100: 200 + 100 images, 100 classes, $to" "$scratch/out"
  for part in train:"$to/train.bin" test:"$scratch/plain.bin"; do
    sum=$(sha256sum <"${part#*:}")
    grep -qF "${sum%% *}  ${part%%:*}" "$scratch/out" || { echo "no sum of $part in:"; cat "$scratch/out"; return 1; }
  done
  exits_with 0 run_alone "$moe_dist" data list --data-dir "$scratch"
  grep -qF "cifar-100	$to	" "$scratch/out"
}
check "data: an exported set is found, verified and not overwritten" export_and_verify

malformed_cifar() {
  local to=$scratch/bad/cifar-100
  exits_with 0 run_alone "$moe_dist" data export --to "$scratch/whole" --train-samples 100 --test-samples 100
  mkdir -p "$to" && cp "$scratch"/whole/* "$to"
  truncate -s -1 "$to/train.bin"
  exits_with 65 run_alone "$moe_dist" data verify cifar-100 --data-dir "$scratch/bad"
  says "train\.bin: at byte $((99 * 3074)): expected .* found 99 records and 3073 bytes more"
  exits_with 66 run_alone "$moe_dist" data verify cifar-10 --data-dir "$scratch/bad"
  exits_with 64 run_alone "$moe_dist" data verify cifar-11
  mentions 'cifar-10'
  exits_with 64 run_alone "$moe_dist" data export --dataset synthetic --to "$scratch/never"
  exits_with 64 run_alone "$moe_dist" data export --to "$scratch/never" --train-samples 20000
  mentions 'train-samples 20000.*class 0'
}
check "data: 64, 65, 66 and a sentence each" malformed_cifar

subset_in_run() {
  exits_with 64 train --train-samples 100000 --max-steps 1 --run-dir "$scratch/never"
  says "train-samples 100000: needs .* of class 0"
  exits_with 0 train --train-samples 100 --test-samples 40 --epochs 1 --run-dir "$scratch/subset" --json
  equal "steps of 100 samples" "$(grep -c '"split":"train"' "$scratch/subset/metrics.jsonl")" 1
  grep -q '^train-samples: 100$' "$scratch/subset/config.yaml"
  exits_with 64 run_alone "$moe_dist" train --resume auto --run-dir "$scratch/subset" --train-samples 200
  says "train-samples 200 differs"
}
check "data: a run on the first samples of every class" subset_in_run

few_samples() {
  exits_with 0 run_alone "$moe_dist" train --dataset synthetic --model mnist --train-samples 7 --test-samples 10 \
    --validation-fraction 0 --max-steps 1 --progress none --run-dir "$scratch/few"
  mentions 'train-samples 7 leaves classes 7 to 9 of synthetic without a sample'
  if mentions 'test-samples 10 leaves'; then return 1; fi
}
check "data: fewer samples than classes are said" few_samples
check "64: a refused export or run leaves no directory" nothing_was_made

# ---- 65: malformed data --------------------------------------------------------------------------------------

# malformed FAULT DATASET: refused within two seconds by one line, in little memory.
malformed() {
  local fault=$1 dataset=$2
  python3 "$here/make_idx.py" "$scratch/idx-$fault" --fault "$fault"
  exits_with 65 python3 "$here/measured.py" 2 200 timeout -k 5 30 "$moe_dist" train "${small[@]}" \
    --dataset "$dataset" --data-dir "$scratch/idx-$fault" --max-steps 1 --run-dir "$scratch/run-$fault"
  says "$scratch/idx-$fault"
}
for fault in wrong-magic truncated-images truncated-header empty trailing-bytes huge-count huge-label-count \
  wrong-label-magic truncated-labels fewer-labels truncated-gzip damaged-gzip gzip-bomb; do
  check "65: IDX data, $fault" malformed "$fault" idx
done
check "65: IDX data, label-out-of-range" malformed label-out-of-range mnist

malformed_on_ranks() {
  local began=$EPOCHREALTIME
  python3 "$here/make_idx.py" "$scratch/idx-ranks" --fault truncated-images
  exits_with 65 run_ranks 3 "$moe_dist" train "${small[@]}" --dataset idx --data-dir "$scratch/idx-ranks" \
    --run-dir "$scratch/run-idx-ranks"
  says truncated\|expected
  took_less_than 5 "$began"
}
$local_only || check "65: malformed data on three ranks is one line" malformed_on_ranks

# ---- 65: damaged checkpoints ---------------------------------------------------------------------------------

train_run base 1 --max-steps 5 >"$scratch/base.log" 2>&1 || { cat "$scratch/base.log"; die "a first run failed"; }

# damaged HOW: evaluates and resumes a copy of the run whose checkpoint was damaged.
damaged() {
  local copy=$scratch/damaged-$1 file
  cp -r "$scratch/base" "$copy"
  file=$(checkpoint_of "$copy")
  case $1 in
    flipped-byte) python3 "$here/flip_byte.py" "$file" ;;
    truncated) truncate -s -1 "$file" ;;
    trailing) printf 'x' >>"$file" ;;
    empty) : >"$file" ;;
    huge-header) printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | dd of="$file" conv=notrunc status=none ;;
  esac
  exits_with 65 run_alone "$moe_dist" evaluate "$copy"
  says "checkpoint"
  exits_with 65 run_alone "$moe_dist" train --resume "$file" --max-steps 9 --run-dir "$scratch/resumed-damaged-$1"
}
for damage in flipped-byte truncated trailing empty huge-header; do
  check "65: a checkpoint, $damage" damaged "$damage"
done

init_from_nonsense() {
  head -c 4096 /dev/urandom >"$scratch/nonsense.safetensors"
  exits_with 65 train --init-from "$scratch/nonsense.safetensors" --run-dir "$scratch/run-nonsense"
}
check "65: --init-from a file of noise" init_from_nonsense

# ---- 66: missing files ---------------------------------------------------------------------------------------

missing_data() {
  mkdir -p "$scratch/no-data"
  exits_with 66 train --dataset idx --data-dir "$scratch/no-data" --run-dir "$scratch/run-no-data"
  says "$scratch/no-data"
}
check "66: missing data" missing_data

# A directory that is not there is no reason to take the data from elsewhere, or to train on a built-in task.
missing_data_directory() {
  local options
  for options in "" "--dataset fashion-mnist" "--dataset mnist" "--dataset idx"; do
    # shellcheck disable=SC2086  # an option and its value
    exits_with 66 run_alone "$moe_dist" train --max-steps 1 $options --data-dir "$scratch/nowhere" --run-dir "$scratch/never"
    says "--data-dir $scratch/nowhere: there is no such directory"
  done
  exits_with 66 run_alone "$moe_dist" data verify mnist --data-dir "$scratch/nowhere"
  says "nowhere"
  # What a built-in task is trained on lies nowhere.
  exits_with 0 train --data-dir "$scratch/nowhere" --max-steps 0 --run-dir "$scratch/built-in"
  nothing_was_made
}
check "66: a data directory that is not there" missing_data_directory

moved_data() {
  python3 "$here/make_idx.py" "$scratch/idx-moved"
  train --dataset idx --data-dir "$scratch/idx-moved" --max-steps 1 --run-dir "$scratch/run-moved"
  mkdir "$scratch/elsewhere"
  mv "$scratch/idx-moved" "$scratch/elsewhere/idx"
  MOE_DIST_DATA=$scratch/elsewhere exits_with 0 run_alone "$moe_dist" evaluate "$scratch/run-moved"
}
check "evaluate finds data that were moved to a usual place" moved_data
# Kaggle's archive, torchvision's root, and forms that are named and not read.
layouts() {
  local part data=$scratch/layouts name
  python3 "$here/make_idx.py" "$scratch/idx-layouts"
  for part in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
    mkdir -p "$data/kaggle/$part-ubyte" "$data/root/MNIST/raw"
    cp "$scratch/idx-layouts/$part-ubyte" "$data/kaggle/$part-ubyte"
    gzip -c "$scratch/idx-layouts/$part-ubyte" >"$data/root/MNIST/raw/$part-ubyte.gz"
  done
  train --dataset mnist --data-dir "$data/kaggle" --max-steps 2 --run-dir "$scratch/from-kaggle"
  train --dataset mnist --data-dir "$data/root" --max-steps 2 --run-dir "$scratch/from-root"
  equal_bytes from-kaggle from-root
  for part in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
    cp "$scratch/idx-layouts/$part-ubyte" "$data/kaggle/${part%-*}.${part##*-}-ubyte"
  done
  run_alone "$moe_dist" data verify mnist --data-dir "$data/kaggle" >"$scratch/out"
  for name in mnist.npz train-images-idx3-ubyte.xz mnist_train.csv cifar-10-batches-py; do
    rm -rf "$data/other" && mkdir -p "$data/other" && : >"$data/other/$name"
    exits_with 65 train --dataset mnist --data-dir "$data/other" --run-dir "$scratch/never"
    says "other has $name"
  done
  printf '\x89PNG\r\n\x1a\n' >"$scratch/digit.png"
  exits_with 65 run_alone "$moe_dist" predict "$scratch/from-root" --images "$scratch/digit.png"
  says 'a PNG picture; write the pixels as an IDX file'
  nothing_was_made
}
check "files as Kaggle and torchvision have them, and other forms" layouts

# A run on named files, from another directory; and its checkpoint alone, with images and nothing else.
moved_run() {
  local run=$scratch/run-named files file ranks
  mkdir "$scratch/named" "$scratch/away"
  python3 "$here/make_idx.py" "$scratch/named"
  for file in images-idx3 labels-idx1; do
    mv "$scratch/named/train-$file-ubyte" "$scratch/named/my-${file%-*}"
    mv "$scratch/named/t10k-$file-ubyte" "$scratch/named/test-${file%-*}"
  done
  (
    cd "$scratch"
    train --dataset idx --train-images named/my-images --train-labels named/my-labels --test-images named/test-images \
      --test-labels named/test-labels --max-steps 4 --run-dir run-named
    run_alone "$moe_dist" evaluate run-named >"$scratch/at-home"
    run_alone "$moe_dist" predict run-named --images named/test-images >"$scratch/answers-at-home"
  )
  cd "$scratch/away"
  exits_with 66 run_alone "$moe_dist" evaluate "$run"
  says 'named/my-images: No such file.*--data-dir.*--train-images'
  run_alone "$moe_dist" evaluate "$run" --data-dir ../named >"$scratch/by-directory"
  files=(--train-images ../named/my-images --train-labels ../named/my-labels --test-images ../named/test-images
    --test-labels ../named/test-labels)
  run_alone "$moe_dist" evaluate "$run" "${files[@]}" >"$scratch/by-files"
  exits_with 64 run_alone "$moe_dist" evaluate "$run" --test-images ../named/test-images
  exits_with 64 run_alone "$moe_dist" evaluate "$scratch/base" "${files[@]}"
  says 'is a run on synthetic'
  for file in by-directory by-files; do
    equal "the figures $file" "$(head -n 4 "$scratch/$file")" "$(head -n 4 "$scratch/at-home")"
  done
  mv "$scratch/named/test-images" images
  rm -r "$scratch/named"
  cp "$(checkpoint_of "$run")" model.safetensors
  for ranks in 1 2 3; do
    ((ranks > 1)) && $local_only && continue
    on "$ranks" "$moe_dist" predict model.safetensors --images images >answers
    same "answers of a checkpoint alone on $ranks ranks" answers "$scratch/answers-at-home"
    on "$ranks" "$moe_dist" predict "$run" --images images >answers
    same "answers of a run without its data on $ranks ranks" answers "$scratch/answers-at-home"
  done
  exits_with 64 run_alone "$moe_dist" predict model.safetensors --checkpoint best --images images
  # A checkpoint of an earlier version says nothing of its data, which are then needed.
  python3 "$here/rewrite_checkpoint.py" model.safetensors data_description -
  exits_with 66 run_alone "$moe_dist" predict model.safetensors --images images
  cp "$(checkpoint_of "$scratch/run-moved")" older.safetensors
  python3 "$here/rewrite_checkpoint.py" older.safetensors data_description -
  exits_with 0 run_alone "$moe_dist" predict older.safetensors --data-dir "$scratch/elsewhere" --images images
  python3 "$here/rewrite_checkpoint.py" older.safetensors data_description '{}'
  exits_with 65 run_alone "$moe_dist" predict older.safetensors --images images
}
check "runs and checkpoints that were moved" moved_run
missing_run() { exits_with 66 run_alone "$moe_dist" evaluate "$scratch/no-such-run" && says no-such-run; }
check "66: evaluate a run that is not there" missing_run
missing_config() {
  exits_with 66 run_alone "$moe_dist" train --config "$scratch/no-such.yaml" && says no-such
}
check "66: a configuration that is not there" missing_config
missing_weights() {
  exits_with 66 train --init-from "$scratch/no-such.safetensors" --run-dir "$scratch/run-no-weights"
}
check "66: weights that are not there" missing_weights

# ---- 73 and 74: the run directory ----------------------------------------------------------------------------

existing_run() {
  local before
  before=$(hash_of base)
  exits_with 73 train_run base 1 --max-steps 5
  says "$scratch/base"
  equal "the existing checkpoint" "$(hash_of base)" "$before"
}
check "73: an existing run is not overwritten" existing_run

# Root may write anywhere, so the parent is a file.
impossible_run() {
  : >"$scratch/a-file"
  exits_with 73 train --max-steps 1 --run-dir "$scratch/a-file/run"
  says a-file
}
check "73: a run directory that cannot be made" impossible_run

# 33 000 parameters with two moments each are 400 KB, more than the file system holds.
disk_full() {
  local ranks=$1 run=$scratch/small-disk/run
  rm -rf "$run"
  exits_with 74 on "$ranks" "$moe_dist" train "${small[@]}" --max-steps 3 --run-dir "$run"
  says 'space|full'
  ! ls "$run"/checkpoint-*.safetensors >/dev/null 2>&1 || { echo "a checkpoint was left"; return 1; }
}
mkdir "$scratch/small-disk"
if mount -t tmpfs -o size=300k tmpfs "$scratch/small-disk" 2>/dev/null; then
  cleanup=(unmount_and_remove)
  # shellcheck disable=SC2317
  unmount_and_remove() { umount "$scratch/small-disk"; rm -rf "$scratch"; }
  check "74: a full disk" disk_full 1
  $local_only || check "74: a full disk, two ranks" disk_full 2
else
  skip "74: a full disk" "mounting a small file system is not allowed here"
fi

# ---- 80: a loss that is not a number -------------------------------------------------------------------------

diverging() {
  exits_with 80 train_run diverged 1 --learning-rate 1e30 --max-steps 30
  says 'loss|finite|diverged'
  equal "state" "$(state "$scratch/diverged")" diverged
}
check "80: a diverging run stops" diverging

# ---- 75: stopping and going on -------------------------------------------------------------------------------

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

# start N NAME OPTION...: a long run in the background. Sets job (timeout), launcher (what signals go to) and run.
start() {
  local ranks=$1
  run=$scratch/$2
  shift 2
  on "$ranks" "$moe_dist" train "${small[@]}" --seed 3 --epochs 100000 --log-every 1 --run-dir "$run" "$@" \
    >"$scratch/job.out" 2>"$scratch/err" &
  local shell=$! tries=0
  # The shell's descendants: (env becomes) timeout, then mpirun or the program itself.
  while ((tries++ < 200)); do
    job=$shell
    [[ $(cat "/proc/$job/comm" 2>/dev/null) == timeout ]] || job=$(children_of "$shell" | cut -d' ' -f1)
    launcher=$(children_of "${job:-0}" | cut -d' ' -f1)
    # A few lines in metrics.jsonl: the run is in its steps.
    if [[ -n $launcher && -s $run/metrics.jsonl ]] && (($(wc -l <"$run/metrics.jsonl") > 3)); then
      background=$shell
      # If the check fails before the run has ended, the run ends with the check.
      trap 'kill "$job" 2>/dev/null || true' EXIT
      return 0
    fi
    sleep 0.1
  done
  kill "$job" 2>/dev/null || true
  echo "the run did not reach its first steps:"
  cat "$scratch/err"
  return 1
}

# ends_with CODE SECONDS SINCE: the background run.
ends_with() {
  local status=0
  wait "$background" || status=$?
  took_less_than "$2" "$3"
  [[ $1 == any-failure && $status != 0 ]] || equal "exit code" "$status" "$1" || { cat "$scratch/err"; return 1; }
}

# stopped_and_resumed N SIGNAL NAME: a signal stops the run resumably; resumed, it gives the bytes of one that ran through.
stopped_and_resumed() {
  local ranks=$1 name=$3 step began
  start "$ranks" "$name"
  began=$EPOCHREALTIME
  kill "-$2" "$launcher"
  ends_with 75 10 "$began"
  equal "state" "$(state "$run")" stopped
  equal "reason" "$(json_field "$run/status.json" reason)" "asked to stop by a signal; continue with --resume auto"
  step=$(json_field "$run/status.json" step)
  ((step > 0)) || { echo "stopped at step $step"; return 1; }
  train_run "$name" 1 --epochs 100000 --log-every 1 --resume auto --max-steps $((step + 7))
  equal "steps executed after the resume" "$(steps_executed "$name")" 7
  train_run "$name-through" 1 --epochs 100000 --max-steps $((step + 7))
  equal_bytes "$name" "$name-through"
}
check "75: SIGUSR1 to one rank" stopped_and_resumed 1 USR1 usr1-1
check "75: SIGTERM to one rank" stopped_and_resumed 1 TERM term-1
$local_only || check "75: SIGUSR1 to mpirun, three ranks" stopped_and_resumed 3 USR1 usr1-3

# A killed process cannot say so; the lock that it no longer holds does.
killed_alone() {
  local tries=0
  start 1 killed-alone --checkpoint-every-steps 5
  until [[ -s $run/latest ]]; do ((tries++ < 100)) || { echo "no checkpoint"; return 1; }; sleep 0.1; done
  exits_with 0 run_alone "$moe_dist" evaluate "$run"
  if mentions interrupted; then return 1; fi
  kill -9 "$launcher"
  wait "$background" || true
  equal "state in the file" "$(state "$run")" running
  exits_with 0 run_alone "$moe_dist" evaluate "$run"
  mentions "NOTE: .*/killed-alone was interrupted: .*checkpoint-"
  exits_with 0 run_alone "$moe_dist" checkpoint list "$run"
  mentions "NOTE: .*/killed-alone was interrupted"
  mkdir -p "$scratch/here" && ln -sfn "$scratch" "$scratch/here/runs"
  (cd "$scratch/here" && run_alone "$moe_dist" doctor) >"$scratch/out"
  grep -q '\[warn\].*runs/killed-alone: interrupted' "$scratch/out"
  exits_with 0 run_alone "$moe_dist" report "$run"
  grep -q "Interrupted: its process was killed" "$run/report.html"
  exits_with 0 run_alone "$moe_dist" train --resume auto --run-dir "$run" --progress none \
    --max-steps $(($(json_field "$run/status.json" step) + 1))
  mentions "NOTE: .*/killed-alone was interrupted: .*goes on from checkpoint-"
  equal "state after the resume" "$(state "$run")" finished
}
check "a killed run is called interrupted" killed_alone

out_of_patience() {
  local options=(--epochs 9 --learning-rate 0 --validation-fraction 0.1 --train-samples 390 --patience 2)
  exits_with 64 train_run impatient 1 "${options[@]}" --validation-fraction 0
  says "--patience 2 watches the validation error"
  exits_with 0 train_run impatient 1 "${options[@]}"
  equal "state" "$(state "$scratch/impatient")" finished
  equal "epochs" "$(json_field "$scratch/impatient/status.json" epoch)" 3
  json_field "$scratch/impatient/status.json" reason | grep -qE "^no smaller validation error in 2 epochs; .* of epoch 1$"
}
check "0: a run out of patience is finished and says which epoch was best" out_of_patience

max_time() {
  local began=$EPOCHREALTIME
  exits_with 75 train_run in-time 1 --epochs 100000 --max-time 2
  took_less_than 8 "$began"
  equal "state" "$(state "$scratch/in-time")" stopped
  equal "reason" "$(json_field "$scratch/in-time/status.json" reason)" \
    "the time given by --max-time is over; continue with --resume auto"
}
check "75: --max-time" max_time

resume_auto_first() {
  train_run first-auto 1 --max-steps 5 --resume auto
  equal_bytes first-auto base
  train_run first-auto 1 --max-steps 5 --resume auto
  equal "steps executed when there is nothing left" "$(steps_executed first-auto)" 0
  equal_bytes first-auto base
}
check "--resume auto starts a first run and leaves a finished one alone" resume_auto_first

resume_conflict() {
  exits_with 64 train_run base 1 --resume auto --max-steps 9 --learning-rate 0.5
  says '0\.5'
}
check "64: a resume with another learning rate" resume_conflict

# ---- Ranks that fail -----------------------------------------------------------------------------------------

killed_rank() {
  local began victim
  start 3 killed
  # The last of mpirun's children is the last rank.
  victim=$(children_of "$launcher" | tr ' ' '\n' | sed '/^$/d' | tail -n 1)
  began=$EPOCHREALTIME
  kill -9 "$victim"
  ends_with any-failure 5 "$began"
}

if $local_only; then
  skip "failing ranks" "no mpirun with --local"
else
  check "a killed rank ends the job" killed_rank
fi

init_from_directory() {
  local file
  file=$(checkpoint_of "$scratch/base")
  train_run from-file 1 --init-from "$file" --max-steps 3
  train_run from-run 1 --init-from "$scratch/base" --max-steps 3
  equal_bytes from-file from-run
  grep -qx "init-from: $file" "$scratch/from-run/config.yaml"
  mkdir "$scratch/no-run"
  exits_with 66 train --init-from "$scratch/no-run" --run-dir "$scratch/never"
  says "$scratch/no-run has no checkpoint"
  nothing_was_made
}
check "--init-from takes a run directory" init_from_directory

# The checkpoint whose epoch has the smallest validation error gives that error again.
best_checkpoint() {
  local least
  train_run epochs 1 --epochs 4 --checkpoint-every 1 --keep 0 --validation-fraction 0.2 --learning-rate 0.02
  least=$(grep '"split":"validation"' "$scratch/epochs/metrics.jsonl" \
    | python3 -c 'import json, sys; print(min(json.loads(line)["error"] for line in sys.stdin))')
  exits_with 0 run_alone "$moe_dist" evaluate "$scratch/epochs" --checkpoint best --split validation --json
  equal "validation error" "$(json_field "$scratch/out" error)" "$least"
  mentions "^checkpoint-.* has the smallest validation error of 4: $least"
  exits_with 66 run_alone "$moe_dist" evaluate "$scratch/base" --checkpoint best
  says "no validation error by which"
}
check "evaluate --checkpoint best" best_checkpoint

# ---- Configuration -------------------------------------------------------------------------------------------

config_round_trip() {
  train --learning-rate 0.0125 --combine top-k --top-k 2 --seed 9 --print-config >"$scratch/a.yaml"
  [[ -s $scratch/a.yaml ]]
  run_alone "$moe_dist" train --config "$scratch/a.yaml" --print-config >"$scratch/b.yaml"
  same configurations "$scratch/a.yaml" "$scratch/b.yaml"
}
check "--print-config reads what it wrote" config_round_trip

config_repeats() {
  train_run once 1 --max-steps 8 --combine top-k --top-k 2
  run_alone "$moe_dist" train --config "$scratch/once/config.yaml" --run-dir "$scratch/twice"
  equal_bytes once twice
}
check "a run's config.yaml repeats the run" config_repeats

command_line_wins() {
  printf 'experts: 3\n' >"$scratch/three.yaml"
  run_alone "$moe_dist" train --config "$scratch/three.yaml" --experts 4 --print-config >"$scratch/four.yaml"
  grep -qx 'experts: 4' "$scratch/four.yaml"
}
check "the command line wins over the file" command_line_wins

run_files() {
  local file
  for file in config.yaml run.json metrics.jsonl latest expert_class.csv expert_class_soft.csv expert_class_correct.csv \
    confusion.csv status.json summary.json report.html figures/expert-class-hard.svg; do
    [[ -s $scratch/base/$file ]] || { echo "no $file"; return 1; }
  done
  for file in run.json status.json summary.json; do python3 -m json.tool "$scratch/base/$file" >/dev/null; done
  equal state "$(state "$scratch/base")" finished
  ! find "$scratch/base" -name '*.tmp*' | grep . || { echo "a temporary file was left"; return 1; }
}
check "a run directory is complete" run_files

python_with_safetensors=${MOE_DIST_PYTHON:-python3}
loads_in_python() {
  "$python_with_safetensors" - "$(checkpoint_of "$scratch/base")" <<'PYTHON'
import sys
from safetensors.numpy import load_file
tensors = load_file(sys.argv[1])
assert tensors["experts.4.out.weight"].shape == (10, 32), tensors["experts.4.out.weight"].shape
weights = {n: t for n, t in tensors.items() if not n.startswith("optimizer.")}
# Method, section 6: an MNIST mixture of five experts has 32 973 parameters.
assert sum(t.size for t in weights.values()) == 32973, sum(t.size for t in weights.values())
for name, tensor in weights.items():
    assert tensors[f"optimizer.{name}.m"].shape == tensors[f"optimizer.{name}.v"].shape == tensor.shape
PYTHON
}
if "$python_with_safetensors" -c 'import safetensors.numpy' 2>/dev/null; then
  check "the checkpoint loads with Python's safetensors" loads_in_python
else
  skip "the checkpoint loads with Python's safetensors" "Python has no safetensors (MOE_DIST_PYTHON names another Python)"
fi

doctor() { exits_with 0 run_alone "$moe_dist" doctor && grep -qi openblas "$scratch/out"; }
check "doctor speaks" doctor

# ---- Nothing is left -----------------------------------------------------------------------------------------

no_leftovers() {
  local link left="" own
  own=$(readlink -f "$moe_dist")
  sleep 1
  for link in /proc/[0-9]*/exe; do [[ $(readlink "$link" 2>/dev/null) == "$own" ]] && left+=" $link"; done
  [[ -z $left ]] || { echo "still running:$left"; return 1; }
}
check "no process is left" no_leftovers

finish
