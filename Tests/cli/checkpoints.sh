#!/usr/bin/env bash
# What a user sees of checkpoints: which there are, whether they are valid, in what they differ, and which of them stay.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"
here=$(cd -- "$(dirname -- "$0")" && pwd)

rewrite() { python3 "$here/rewrite_checkpoint.py" "$@"; }
checkpoint() { run_alone "$moe_dist" checkpoint "$@"; }
# step NAME N: the checkpoint of a run after N steps of its first epoch.
step() { printf '%s/%s/checkpoint-0000-%08d.safetensors\n' "$scratch" "$1" "$2"; }
copy() { rm -rf "${scratch:?}/$2" && cp -r "$scratch/$1" "$scratch/$2"; }
lines() { equal "lines" "$(wc -l <"$scratch/out")" "$1" || { cat "$scratch/out"; return 1; }; }
prints() { grep -qE -- "$1" "$scratch/out" || { echo "no '$1' in:"; cat "$scratch/out"; return 1; }; }
# found EXPRESSION: of the last output, as JSON.
found() { python3 -c 'import json, sys; out = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$scratch/out" "$1"; }
sums() { (cd "$scratch" && find "$@" -type f -exec sha256sum {} + | sort); }

every=(--checkpoint-every-steps 2 --keep 0)
train_run base 1 --max-steps 8 "${every[@]}"

# ---- verify --------------------------------------------------------------------------------------------------

valid_run() {
  local before
  before=$(sums base)
  exits_with 0 checkpoint verify "$scratch/base"
  lines 4
  prints "^valid: $(step base 2): epoch 0, step 2, [0-9]+ bytes, SHA-256 [0-9a-f]{64}$"
  exits_with 0 checkpoint verify "$(step base 4)" "$(step base 8)"
  lines 2
  # A run or a file that a user names may be a link.
  ln -s base "$scratch/run-link"
  ln -s "$(step base 6)" "$scratch/file-link.safetensors"
  exits_with 0 checkpoint verify "$scratch/run-link" "$scratch/file-link.safetensors"
  lines 5
  equal "the run's files" "$(sums base)" "$before"
}
check "verify: a valid run, a line per checkpoint" valid_run

invalid_kinds() {
  local kind file
  train_run foreign 1 --max-steps 8 "${every[@]}" --learning-rate 0.5
  for kind in byte short nan bare step older foreign link directory fifo; do
    copy base "$kind-case"
    file=$(step "$kind-case" 6)
    case $kind in
      byte) python3 "$here/flip_byte.py" "$file" ;;
      short) truncate -s -1 "$file" ;;
      nan) rewrite "$file" nan experts.3.fc1.weight ;;
      bare) rewrite "$file" configuration - ;;
      step) rewrite "$file" step 7 ;;
      older) cp "$(step base 4)" "$file" ;;
      foreign) cp "$(step foreign 6)" "$file" ;;
      link) rm "$file" && ln -s "$(step base 6)" "$file" ;;
      directory) rm "$file" && mkdir "$file" ;;
      fifo) rm "$file" && mkfifo "$file" ;;
    esac
    exits_with 65 checkpoint verify "$scratch/$kind-case" || { echo "for $kind"; return 1; }
    says "^moe-dist: not valid: 1 of 4 checkpoints"
    lines 4
    equal "valid ones beside $kind" "$(grep -c '^valid: ' "$scratch/out")" 3
    prints "^not valid: $file: " || { echo "for $kind"; return 1; }
  done
  exits_with 65 checkpoint verify "$(step nan-case 6)"
  prints "tensor 'experts.3.fc1.weight': element 1 is nan"
}
check "65: verify names every kind of invalid file" invalid_kinds

verify_none() {
  mkdir "$scratch/empty"
  exits_with 66 checkpoint verify "$scratch/empty"
  says "run directory $scratch/empty has no checkpoint"
  exits_with 66 checkpoint verify "$scratch/nowhere"
  says "$scratch/nowhere"
  exits_with 66 checkpoint list "$scratch/empty"
  exits_with 66 checkpoint list "$scratch/nowhere"
  exits_with 66 checkpoint diff "$scratch/base" "$scratch/empty"
  exits_with 66 checkpoint diff "$scratch/base" "$scratch/nowhere"
  exits_with 64 checkpoint verify
  head -c 4096 /dev/urandom >"$scratch/nonsense.safetensors"
  exits_with 65 checkpoint verify "$scratch/nonsense.safetensors"
  exits_with 65 checkpoint diff "$scratch/nonsense.safetensors" "$scratch/base"
}
check "66: no checkpoint, 65: no safetensors file" verify_none

# ---- list ----------------------------------------------------------------------------------------------------

# Six epochs of three steps. With a learning rate of 0 their errors are equal, and the first is the best.
flat=(--learning-rate 0 --validation-fraction 0.1 --train-samples 390 --checkpoint-every 1)
train_run flat 1 "${flat[@]}" --epochs 6

listed() {
  exits_with 0 checkpoint list "$scratch/flat"
  lines 5
  prints '^checkpoint-0001-00000003.safetensors +1 +3 .* best$'
  prints '^checkpoint-0006-00000018.safetensors +6 +18 .* latest$'
  exits_with 0 checkpoint list "$scratch/flat" --json
  equal "steps" "$(found '[c["step"] for c in out]')" "[3, 12, 15, 18]"
  equal "best" "$(found '[c["epoch"] for c in out if c["best"]]')" "[1]"
  equal "latest" "$(found '[c["epoch"] for c in out if c["latest"]]')" "[6]"
  equal "size" "$(found 'out[0]["bytes"]')" "$(stat -c %s "$scratch/flat/checkpoint-0001-00000003.safetensors")"
  equal "errors" "$(found 'len({c["validation_error"] for c in out})')" 1
}
check "list: epoch, step, size, latest, best" listed

# ---- diff ----------------------------------------------------------------------------------------------------

tensor=experts.3.fc1.weight

two_files() {
  copy base changed
  rewrite "$(step changed 4)" quarter $tensor
  exits_with 0 checkpoint diff "$(step base 4)" "$(step base 4)"
  lines 1
  exits_with 1 checkpoint diff "$(step base 4)" "$(step changed 4)"
  lines 2
  prints "^$tensor F32 .*: 1 of [0-9]+ elements differ, by at most [0-9.e-]+; first \[.*1\]: .* and 0.25 \(0x3e800000\)$"
  exits_with 1 checkpoint diff --json "$(step base 4)" "$(step changed 4)"
  equal "tensors" "$(found '[t["name"] for t in out["tensors"]]')" "['$tensor']"
  equal "element" "$(found '[(t["differing"], t["element"]["index"]) for t in out["tensors"]]')" "[(1, 1)]"
  equal "the largest is that element's" "$(found 'out["tensors"][0]["largest_difference"] == abs(
    out["tensors"][0]["element"]["first"]["value"] - 0.25)')" True
  # Of another step everything differs that is trained; a run beside a file means its newest.
  exits_with 1 checkpoint diff --json "$(step base 4)" "$scratch/base"
  equal "second" "$(found 'out["second"]')" "$(step base 8)"
  equal "steps" "$(found '[(t["first"], t["second"]) for t in out["metadata"] if t["key"] == "step"]')" "[('4', '8')]"
}
check "1: diff of two files names tensor and element" two_files

settings_differ() {
  exits_with 1 checkpoint diff --json "$(step base 4)" "$(step foreign 4)"
  equal "setting" "$(found '[t["second"] for t in out["metadata"] if t["key"] == "configuration.learning-rate"]')" "['0.5']"
  exits_with 1 checkpoint diff --json "$scratch/base" "$scratch/foreign"
  equal "setting" "$(found '[t["key"] for t in out["settings"]]')" "['configuration.learning-rate']"
  equal "step" "$(found '(out["parting"]["step"], out["equal_before"])')" "(2, None)"
}
check "1: diff says which settings differ" settings_differ

# A run that was resumed from a checkpoint in which one element was changed.
runs_part() {
  train_run parted 1 --max-steps 4 "${every[@]}"
  cp "$(step parted 4)" "$scratch/unchanged"
  rewrite "$(step parted 4)" quarter $tensor
  train_run parted 1 --resume auto --max-steps 8 "${every[@]}"
  exits_with 1 checkpoint diff "$scratch/base" "$scratch/parted"
  prints "part at checkpoint-0000-00000004.safetensors: epoch 0, step 4, first in $tensor \[.*1\]: .* and 0.25 \(0x3e800000\); checkpoint-0000-00000002.safetensors, before it, is equal$"
  exits_with 1 checkpoint diff --json "$scratch/base" "$scratch/parted"
  equal "step" "$(found '(out["parting"]["step"], out["compared"], len(out["parting"]["tensors"]))')" "(4, 2, 1)"
  # With the changed one gone, the runs part where it was first felt.
  mv "$scratch/unchanged" "$(step parted 4)"
  exits_with 1 checkpoint diff --json "$scratch/base" "$scratch/parted"
  equal "step" "$(found '(out["parting"]["step"], out["equal_before"][-16:-12])')" "(6, '0004')"
}
check "1: diff of two runs names step, tensor and element" runs_part

runs_equal() {
  train_run twin 1 --max-steps 8 --checkpoint-every-steps 4 --threads 2
  exits_with 0 checkpoint diff "$scratch/base" "$scratch/twin"
  prints "^equal: .*, 2 checkpoints of both$"
}
check "0: diff of equal runs" runs_equal

under_mpirun() {
  exits_with 0 run_ranks 2 "$moe_dist" checkpoint verify "$scratch/base"
  lines 4
  exits_with 0 run_ranks 2 "$moe_dist" checkpoint diff "$scratch/base" "$scratch/base"
  lines 1
}
if $local_only; then
  skip "under mpirun rank 0 does the work" "no mpirun with --local"
else
  check "under mpirun rank 0 does the work" under_mpirun
fi

# ---- Where a run starts ---------------------------------------------------------------------------------------

retyped() { python3 "$here/retype_checkpoint.py" "$scratch/start.safetensors" "$1" "$scratch/$1.safetensors"; }
other_types() {
  local type
  cp "$(step base 8)" "$scratch/start.safetensors"
  for type in F64 BF16 F16; do
    retyped $type
    train_run from-$type 1 --max-steps 0 --init-from "$scratch/$type.safetensors"
    # The values of the types are exact in F32, and so are those that come back.
    python3 "$here/retype_checkpoint.py" "$scratch/$type.safetensors" F32 "$scratch/back-$type.safetensors"
    train_run back-$type 1 --max-steps 0 --init-from "$scratch/back-$type.safetensors"
    equal_bytes from-$type back-$type
  done
  train_run from-F32 1 --max-steps 0 --init-from "$scratch/start.safetensors"
  equal_bytes from-F64 from-F32
  different_bytes from-BF16 from-F32
}
check "--init-from takes float64, bfloat16 and float16" other_types

foreign_weights() {
  local text words
  for text in 'version https://git-lfs.github.com/spec/v1\noid:a Git LFS pointer.*git lfs pull' \
    '\x80\x02\x8a\x0a:a pickle.*save_file' 'PK\x03\x04\0\0\0\0:a zip archive' '\x89HDF\r\n\x1a\n:an HDF5 file'; do
    words=${text##*:}
    # shellcheck disable=SC2059  # the text is a format
    printf "${text%:*}" >"$scratch/foreign.bin"
    exits_with 65 train_run never 1 --max-steps 1 --init-from "$scratch/foreign.bin"
    says "found $words"
  done
}
check "65: --init-from names what a file is instead" foreign_weights

upcycled() {
  local ranks
  train_run single 1 --gate none --max-steps 4
  for ranks in 1 2 3; do
    ((ranks > 1)) && $local_only && continue
    train_run "copied-$ranks" "$ranks" --experts 4 --max-steps 4 --init-experts-from "$scratch/single" \
      2>"$scratch/notes-$ranks"
    grep -q 'single is\|is a single model: each of 4 experts starts as a copy of it; the gate starts at random' \
      "$scratch/notes-$ranks" || { cat "$scratch/notes-$ranks"; return 1; }
    equal_bytes copied-1 "copied-$ranks"
  done
  grep -qx "init-experts-from: $(checkpoint_of "$scratch/single")" "$scratch/copied-1/config.yaml"
  # A resume goes on, and has no use for it.
  train_run copied-1 1 --experts 4 --max-steps 6 --resume auto
  train_run whole 1 --experts 4 --max-steps 6 --init-experts-from "$scratch/single"
  equal_bytes copied-1 whole
  exits_with 65 train_run never 1 --init-experts-from "$scratch/base"
  says 'expected a single model, the tensors of expert 0 and no gate, found a mixture'
  exits_with 64 train_run never 1 --init-experts-from "$scratch/single" --init-from "$scratch/base"
  exits_with 65 train_run never 1 --experts 4 --init-from "$scratch/single"
  says 'it is a single model: --init-experts-from copies it into every expert'
  exits_with 0 train_run partial 1 --experts 4 --max-steps 0 --init-from "$scratch/single" --init-partial
  grep -q 'but at random: gate.\*, experts.1.\*, experts.2.\*, experts.3.\*$' "$scratch/err"
  grep -q 'which became expert 0 alone; --init-experts-from copies it' "$scratch/err"
}
check "--init-experts-from: every expert is the single model's" upcycled

# ---- Which stay ----------------------------------------------------------------------------------------------

epochs_of() { (cd "$scratch/$1" && printf '%s\n' checkpoint-*.safetensors | cut -d- -f2 | sed 's/^0*//' | tr '\n' ' '); }
steps_of() { (cd "$scratch/$1" && printf '%s\n' checkpoint-*.safetensors | sed 's/.*-0*//; s/\..*//' | tr '\n' ' '); }

newest_and_best() {
  equal "by default" "$(epochs_of flat)" "1 4 5 6 "
  exits_with 0 run_alone "$moe_dist" evaluate "$scratch/flat" --checkpoint best
  grep -q '^checkpoint-0001-00000003.safetensors has the smallest validation error of 4' "$scratch/err"
  # A resume knows the best of before.
  train_run flat 1 "${flat[@]}" --epochs 8 --keep 1 --resume auto
  equal "after a resume" "$(epochs_of flat)" "1 8 "
  exits_with 0 checkpoint verify "$scratch/flat"
  lines 2
  train_run last 1 --max-steps 6 --checkpoint-every-steps 1 --keep 2
  equal "without a validation" "$(steps_of last)" "5 6 "
  train_run all 1 --max-steps 6 --checkpoint-every-steps 1 --keep 0
  equal "all" "$(steps_of all)" "1 2 3 4 5 6 "
  equal_bytes last all
  equal "what the run says" "$(sed -n 's/^keep: //p' "$scratch/last/config.yaml")" 2
}
check "--keep: the newest, and the best by validation error" newest_and_best

# Eight steps are an epoch.
at_the_end_of_an_epoch() {
  train_run epochs 1 --train-samples 1000 --epochs 3 --max-steps 18 --checkpoint-every-steps 4 --keep 0
  equal "with epochs' ends" "$(steps_of epochs)" "4 8 12 16 18 "
}
check "--checkpoint-every-steps counts an epoch's last step, too" at_the_end_of_an_epoch

# What a killed process was writing goes with the next start; what is not the run's stays.
unfinished() {
  local name
  train_run parts 1 --max-steps 4 --checkpoint-every-steps 2
  mkdir -p "$scratch/parts/errors" "$scratch/elsewhere"
  touch "$scratch/elsewhere/loss.svg.part-a"
  for name in latest.part-a report.html.part-b figures/loss.svg.part-c errors/rank-001.json.part-d \
    checkpoint-0000-00000004.safetensors.tmp notes.part-e figures/notes.part-f; do
    echo x >"$scratch/parts/$name"
  done
  train_run parts 1 --max-steps 6 --resume auto
  equal "unfinished files" "$(cd "$scratch/parts" && find . -name '*.part-*' -o -name '*.tmp' | sort | tr '\n' ' ')" \
    "./figures/notes.part-f ./notes.part-e "
  rm -r "$scratch/parts/figures"
  ln -s "$scratch/elsewhere" "$scratch/parts/figures"
  exits_with 65 train_run parts 1 --max-steps 8 --resume auto
  says 'figures: expected a directory, found a symbolic link'
  [[ -e $scratch/elsewhere/loss.svg.part-a ]] || { echo "a file outside the run was removed"; return 1; }
}
check "what a killed process was writing goes with the next start" unfinished

keep_refused() {
  exits_with 64 train_run never 1 --max-steps 2 --keep -1
  says '--keep'
  exits_with 64 train_run never 1 --max-steps 2 --save-total-limit 2
  says "it is '--keep' here"
  exits_with 64 run_alone "$moe_dist" sweep --grid keep=1,2 --out "$scratch/never"
  [[ ! -e $scratch/never ]]
}
check "64: --keep" keep_refused

# Who reads a run that removes its checkpoints loses none.
read_while_written() {
  local process i status=0
  "$moe_dist" train "${small[@]}" --seed 3 --epochs 100000 --checkpoint-every-steps 1 --keep 1 \
    --run-dir "$scratch/going" >/dev/null 2>&1 </dev/null &
  process=$!
  # shellcheck disable=SC2064  # the process of now
  trap "kill $process 2>/dev/null || true" EXIT
  until [[ -s $scratch/going/latest ]]; do sleep 0.1; done
  for i in 1 2 3 4 5 6; do
    exits_with 0 run_alone "$moe_dist" evaluate "$scratch/going" || { echo "evaluation $i"; return 1; }
    exits_with 0 checkpoint list "$scratch/going" || { echo "list $i"; return 1; }
    exits_with 1 checkpoint diff "$scratch/going" "$(step base 2)" || { echo "diff $i"; return 1; }
  done
  exits_with 0 train_run from-going 1 --max-steps 2 --init-from "$scratch/going"
  kill -TERM $process
  wait $process || status=$?
  equal "exit code" "$status" 75
  exits_with 0 checkpoint verify "$scratch/going"
  lines 1
}
check "a run that removes checkpoints may be read" read_while_written

finish
