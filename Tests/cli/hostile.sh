#!/usr/bin/env bash
# Nothing gets in: what is no plain file is refused by every command alike, and damaged files are refused in one line, in
# under a second and in little memory. The readers themselves are tested in HostileFileTests and by scripts/fuzz.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"
here=$(cd -- "$(dirname -- "$0")" && pwd)

train_run base 1 --max-steps 6 --checkpoint-every-steps 2 --validation-fraction 0.1
python3 "$here/make_idx.py" "$scratch/idx" --train 20 --test 10
images=$scratch/idx/t10k-images-idx3-ubyte
small_run=(--dataset synthetic --model mnist --train-samples 100)

# copy NAME: the run, to be spoilt.
copy() { rm -rf "${scratch:?}/$1" && cp -r "$scratch/base" "$scratch/$1"; }

# Which kinds can be made here; a device needs root.
kinds=(fifo directory socket link)
mknod "$scratch/device" c 1 3 2>/dev/null && kinds+=(device)
# A FIFO is waited for, and a link is followed, by an opener that does not look.
some_kinds=(fifo link)
if $long; then some_kinds=("${kinds[@]}"); fi

# put KIND PATH: something that is no plain file, in place of what is there.
put() {
  case $1 in
    link) cp "$2" "$scratch/target" && rm "$2" && ln -s "$scratch/target" "$2" ;;
    fifo) rm -rf "$2" && mkfifo "$2" ;;
    directory) rm -rf "$2" && mkdir "$2" ;;
    device) rm -rf "$2" && mknod "$2" c 1 3 ;;
    socket) rm -rf "$2" && (cd "$(dirname "$2")" && python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$(basename "$2")") ;;
  esac
}
# What a message calls it.
kind_words() { if [[ $1 == link ]]; then echo "a symbolic link"; elif [[ $1 == fifo ]]; then echo "a FIFO"; else echo "a $1"; fi; }

# refused CODE PATTERN COMMAND...: in one line, in under a second, in less than 100 MB.
refused() {
  local code=$1 pattern=$2
  shift 2
  exits_with "$code" timeout -k 5 30 python3 "$here/measured.py" 1 100 "$moe_dist" "$@" || return 1
  says "$pattern"
}

# ---- Special files in a run ----------------------------------------------------------------------------------

# by_every_command RUN PATTERN: every command that takes a run refuses it, alike.
by_every_command() {
  local run=$1 pattern=$2 command
  for command in "evaluate $run" "evaluate $run --checkpoint best" "predict $run --images $images" \
    "report $run --output $scratch/page.html" "checkpoint verify $run" "checkpoint list $run" \
    "checkpoint diff $run $scratch/base" "distill $run --run-dir $scratch/never" \
    "train --run-dir $run --resume auto" "train ${small_run[*]} --init-from $run --run-dir $scratch/never" \
    "launch -np 1 -- train --run-dir $run --resume auto"; do
    # shellcheck disable=SC2086
    refused 65 "$pattern" $command || { echo "for $command"; return 1; }
  done
  [[ ! -e $scratch/never && ! -e $scratch/page.html ]]
}

special_in_run() {
  local name=$1 kind
  for kind in "${some_kinds[@]}"; do
    copy special
    [[ -e $scratch/special/$name ]] || echo 1 >"$scratch/special/$name"
    put "$kind" "$scratch/special/$name"
    if [[ $name == run.json ]] || { $long && [[ $kind == fifo ]]; }; then
      by_every_command "$scratch/special" "special/$name: expected a plain file, found $(kind_words "$kind"); remove it" \
        || { echo "for $kind"; return 1; }
    else
      refused 65 "special/$name: expected a plain file" evaluate "$scratch/special" || { echo "for $kind"; return 1; }
      refused 65 "special/$name: expected a plain file" train --run-dir "$scratch/special" --resume auto \
        || { echo "train, for $kind"; return 1; }
    fi
    [[ $kind == link || ! -f $scratch/special/$name ]] || { echo "$name was replaced"; return 1; }
  done
}
for name in run.json config.yaml metrics.jsonl status.json summary.json expert_class.csv latest control lock owner \
  report.html; do
  check "65: $name that is no plain file" special_in_run "$name"
done

special_directory() {
  local kind
  for kind in fifo socket; do
    put $kind "$scratch/no-run"
    # Where a file may be meant as well, a file was expected.
    by_every_command "$scratch/no-run" \
      "no-run: expected a (run directory|plain file), found $(kind_words $kind); name |not valid: 1 of 1" || return 1
  done
  copy special
  rm -rf "$scratch/special/errors" && ln -s "$scratch/idx" "$scratch/special/errors"
  by_every_command "$scratch/special" 'special/errors: expected a directory, found a symbolic link; remove it' || return 1
  equal "files beside the link" "$(find "$scratch/idx" -name 'rank-*' | wc -l)" 0
}
check "65: a run that is no directory, and one whose errors are elsewhere" special_directory

special_newest() {
  local kind newest
  for kind in "${some_kinds[@]}"; do
    copy special
    newest=$(checkpoint_of "$scratch/special")
    put "$kind" "$newest"
    for command in "evaluate" "predict --images $images" "checkpoint list" "checkpoint diff $scratch/base" \
      "train ${small_run[*]} --run-dir $scratch/never --init-from"; do
      # shellcheck disable=SC2086
      refused 65 "$(basename "$newest"): expected a plain file, found $(kind_words "$kind"); remove it" \
        $command "$scratch/special" || { echo "for $command, $kind"; return 1; }
    done
    exits_with 65 run_alone "$moe_dist" checkpoint verify "$scratch/special"
    grep -q "^not valid: .*$(basename "$newest"): expected a plain file" "$scratch/out"
    equal "valid ones" "$(grep -c '^valid: ' "$scratch/out")" 2
    # A resume passes it by, but will not remove what stands where its next checkpoint goes.
    exits_with 73 train_run special 1 --validation-fraction 0.1 --resume auto
    grep -q "$(basename "$newest"): expected a plain file.*trying the checkpoint before it" "$scratch/err" \
      || { cat "$scratch/err"; return 1; }
  done
}
check "the newest checkpoint is no plain file" special_newest

links_of_users() {
  ln -s base "$scratch/link-run"
  ln -s "$images" "$scratch/link-images"
  ln -s idx "$scratch/link-data"
  ln -s base/config.yaml "$scratch/link.yaml"
  exits_with 0 run_alone "$moe_dist" evaluate "$scratch/link-run"
  exits_with 0 run_alone "$moe_dist" predict "$scratch/link-run" --images "$scratch/link-images"
  exits_with 0 run_alone "$moe_dist" train --config "$scratch/link.yaml" --print-config
  exits_with 0 run_alone "$moe_dist" data verify idx --data-dir "$scratch/link-data"
  exits_with 0 run_alone "$moe_dist" checkpoint verify "$scratch/link-run"
}
check "what a user names may be a link" links_of_users

special_inputs() {
  local kind
  for kind in "${some_kinds[@]}" directory; do
    [[ $kind == link ]] && continue
    put "$kind" "$scratch/input"
    pattern="input: expected a plain file, found $(kind_words "$kind"); name a file"
    refused 65 "$pattern" train --config "$scratch/input" --run-dir "$scratch/never"
    refused 65 "$pattern" sweep --config "$scratch/input" --grid seed=1,2 --out "$scratch/never"
    refused 65 "$pattern" predict "$scratch/base" --images "$scratch/input"
    refused 65 "$pattern" plan --dataset synthetic --costs "$scratch/input"
    refused 65 "$pattern" evaluate "$scratch/base" --checkpoint "$scratch/input" || [[ $kind == directory ]]
    refused 65 "$pattern" launch --hostfile "$scratch/input" -np 1 -- train --run-dir "$scratch/never"
    cp -r "$scratch/idx" "$scratch/special-data"
    put "$kind" "$scratch/special-data/train-images-idx3-ubyte"
    refused 65 "train-images-idx3-ubyte: expected a plain file" train --dataset idx --data-dir "$scratch/special-data" \
      --run-dir "$scratch/never"
    rm -rf "$scratch/special-data" "$scratch/input"
    [[ ! -e $scratch/never ]]
  done
}
check "65: what a user names is a FIFO, a directory, a socket, a device" special_inputs

special_study() {
  local study=("$moe_dist" sweep --set dataset=synthetic --set model=mnist --set epochs=1 --set train-samples=200
    --set batch-size=100 --progress none --quiet --seeds 1 --grid gate=softmax --out "$scratch/study") run name
  run_alone "${study[@]}"
  run=$(find "$scratch/study/runs" -mindepth 1 -maxdepth 1)
  for name in status.json study.json metrics.jsonl; do
    cp "$run/$name" "$scratch/kept"
    put fifo "$run/$name"
    exits_with 65 python3 "$here/measured.py" 1 100 timeout -k 5 30 "${study[@]}" || { echo "for $name"; return 1; }
    says "$name: expected a plain file, found a FIFO"
    rm "$run/$name" && mv "$scratch/kept" "$run/$name"
  done
  run_alone "${study[@]}"
}
check "65: a study whose files are no plain files" special_study

# ---- Damaged files -------------------------------------------------------------------------------------------

# damaged CODES FILE COMMAND...
damaged() {
  local codes=$1 file=$2 flips=12 cuts=8
  shift 2
  if $long; then flips=200 cuts=100; fi
  python3 "$here/damaged.py" "$codes" "$flips" "$cuts" "$file" "$moe_dist" "$@"
}
copy damaged
checkpoint=$(checkpoint_of "$scratch/damaged")
python3 - "$scratch/cifar" "$scratch/idx" <<'PYTHON'
import gzip, os, sys
os.makedirs(sys.argv[1])
for name in ("train", "test"):
    with open(f"{sys.argv[1]}/{name}.bin", "wb") as file:
        for number in range(20):
            file.write(bytes([number % 20, number * 5]) + bytes((number * 31 + i * i // 7) % 256 for i in range(3072)))
packed = sys.argv[2] + "-gz"
os.makedirs(packed)
for name in os.listdir(sys.argv[2]):
    open(f"{packed}/{name}.gz", "wb").write(gzip.compress(open(f"{sys.argv[2]}/{name}", "rb").read(), mtime=0))
PYTHON
run_alone "$moe_dist" bench --dataset synthetic --model mnist --save "$scratch/costs.json" >/dev/null 2>&1

# A checksum finds every damage of a checkpoint, and what is cut off is always missed in binary files.
check "65: damaged checkpoints" damaged 65 "$checkpoint" checkpoint verify "$checkpoint"
# Pixels and labels have none, but for those of gzip.
check "damaged IDX images" damaged 0,65 "$scratch/idx/train-images-idx3-ubyte" data verify idx --data-dir "$scratch/idx"
check "damaged IDX labels" damaged 0,65 "$scratch/idx/train-labels-idx1-ubyte" data verify idx --data-dir "$scratch/idx"
check "damaged gzip" damaged 0,65 "$scratch/idx-gz/train-images-idx3-ubyte.gz" data verify idx --data-dir "$scratch/idx-gz"
check "damaged CIFAR" damaged 0,65 "$scratch/cifar/train.bin" data verify cifar-100 --data-dir "$scratch/cifar"
# Of a text a beginning may be whole, and another letter or digit may be valid, or be a name that is not there.
for name in run.json metrics.jsonl summary.json status.json expert_class.csv expert_class_soft.csv expert_class_correct.csv \
  confusion.csv config.yaml; do
  check "damaged $name" damaged 0,65 "$scratch/damaged/$name" report "$scratch/damaged" --output "$scratch/page.html" --force
done
check "damaged metrics.jsonl, list" damaged 0,65 "$scratch/damaged/metrics.jsonl" checkpoint list "$scratch/damaged"
cp "$scratch/base/config.yaml" "$scratch/settings.yaml"
check "damaged --config" damaged 0,64,65,66 "$scratch/settings.yaml" train --config "$scratch/settings.yaml" --print-config
check "damaged costs" damaged 0,64,65 "$scratch/costs.json" plan --dataset synthetic --model mnist --costs "$scratch/costs.json"

finish
