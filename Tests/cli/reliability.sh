#!/usr/bin/env bash
# Nothing is lost, nothing hangs, nothing is overwritten: outputs, ranks that were not started alike, resuming, numbers,
# signals at any moment, standard output that fails, jobs that sleep, file systems without locks.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"
here=$(cd -- "$(dirname -- "$0")" && pwd)

# ---- Output destroys nothing ---------------------------------------------------------------------------------

train_run base 1 --max-steps 6 --checkpoint-every-steps 2
python3 "$here/make_idx.py" "$scratch/idx" --train 40 --test 20
images=$scratch/idx/t10k-images-idx3-ubyte
[[ -e $images ]] || images=$(find "$scratch/idx" -name 't10k-images*' | head -n 1)

predict() { run_alone "$moe_dist" predict "$scratch/base" --images "$images" "$@"; }

existing_output() {
  predict --output "$scratch/answers.csv"
  cp "$scratch/answers.csv" "$scratch/answers.before"
  exits_with 73 predict --output "$scratch/answers.csv"
  says "--output $scratch/answers.csv: exists already; choose another path, or replace it with --force"
  printf 'old\n' >"$scratch/answers.csv"
  exits_with 73 predict --output "$scratch/answers.csv"
  equal "the file" "$(cat "$scratch/answers.csv")" old
  predict --output "$scratch/answers.csv" --force
  same "answers" "$scratch/answers.csv" "$scratch/answers.before"
  exits_with 73 predict --output "$scratch"
  exits_with 73 predict --output "$scratch/nowhere/a.csv"
  equal "leftovers" "$(find "$scratch" -name '*.part*' | wc -l)" 0
}
check "73: a file that is there stays without --force" existing_output

own_files() {
  local name sums
  sums=$(cd "$scratch/base" && find . -type f -exec sha256sum {} + | sort)
  for name in config.yaml run.json status.json metrics.jsonl summary.json latest lock \
    "$(cat "$scratch/base/latest")" checkpoint-0009-00000009.safetensors; do
    exits_with 73 predict --output "$scratch/base/$name" --force || { echo "for $name"; return 1; }
    exits_with 73 run_alone "$moe_dist" evaluate "$scratch/base" --per-sample "$scratch/base/$name" --force
    exits_with 73 run_alone "$moe_dist" report "$scratch/base" --output "$scratch/base/$name" --force
  done
  ln -s base/config.yaml "$scratch/link.yaml"
  exits_with 73 predict --output "$scratch/link.yaml" --force
  exits_with 73 run_alone "$moe_dist" bench --dataset synthetic --model mnist --save "$scratch/base/config.yaml"
  equal "the run's files" "$(cd "$scratch/base" && find . -type f -exec sha256sum {} + | sort)" "$sums"
}
check "73: a run's own files are never an output" own_files

devices() {
  local kind
  predict --output /dev/null
  [[ -c /dev/null ]] || { echo "/dev/null was replaced"; return 1; }
  exits_with 74 predict --output /dev/full
  [[ -c /dev/full ]] || { echo "/dev/full was replaced"; return 1; }
  says 'cannot write /dev/full: No space left on device'
  mkfifo "$scratch/pipe"
  cat "$scratch/pipe" >"$scratch/through" &
  predict --output "$scratch/pipe"
  wait $!
  [[ -p $scratch/pipe ]] || { echo "the pipe was replaced"; return 1; }
  same "answers through a pipe" "$scratch/through" "$scratch/answers.before"
  predict --output /dev/stdout | cat >"$scratch/through"
  same "answers through /dev/stdout" "$scratch/through" "$scratch/answers.before"
  for kind in evaluate report; do
    exits_with 74 run_alone "$moe_dist" "$kind" "$scratch/base" \
      "$([[ $kind == report ]] && echo --output || echo --per-sample)" /dev/full
  done
}
check "devices and pipes are written through" devices

# ---- Ranks that were not started alike -----------------------------------------------------------------------

# unlike OPTION...: rank 1 has further options.
unlike() {
  exits_with 64 run_ranks 1 "$moe_dist" train "${small[@]}" --max-steps 4 --run-dir "$scratch/unlike" \
    : -np 1 "$moe_dist" train "${small[@]}" --max-steps 4 --run-dir "$scratch/unlike" "$@"
}
ranks_unlike() {
  local option
  for option in "--learning-rate 0.5" "--seed 9" "--experts 4" "--batch-size 64" "--block-rows 16" \
    "--gate-placement replicated" "--max-steps 3" "--combine top-k" "--epochs 2" "--checkpoint-every-steps 1" \
    "--train-samples 300" "--payload index" "--run-dir $scratch/other"; do
    # shellcheck disable=SC2086  # an option and its value
    unlike $option || { echo "for $option"; return 1; }
    says "rank 1 on host .* was started with" || { echo "for $option"; return 1; }
    [[ ! -e $scratch/unlike && ! -e $scratch/other ]] || { echo "a run was made for $option"; return 1; }
  done
  unlike --seed 9
  says "rank 1 on host .* was started with --seed 9, rank 0 with --seed 0; start all ranks with the same"
}
other_command() {
  local words
  for words in "evaluate $scratch/base" "doctor"; do
    # shellcheck disable=SC2086
    exits_with 64 run_ranks 1 "$moe_dist" train "${small[@]}" --max-steps 4 --run-dir "$scratch/unlike" \
      : -np 1 "$moe_dist" $words || { echo "for $words"; return 1; }
    says "rank 1 on host .* was started with command"
  done
}
of_each_host() {
  run_ranks 1 "$moe_dist" train "${small[@]}" --seed 3 --max-steps 6 --run-dir "$scratch/threads" \
    : -np 1 "$moe_dist" train "${small[@]}" --seed 3 --max-steps 6 --run-dir "$scratch/threads" --threads 2
  equal_bytes threads base
}
never_arrives() {
  local began=$EPOCHREALTIME status=0
  run_ranks 1 "$moe_dist" train "${small[@]}" --start-limit 3 --run-dir "$scratch/unlike" \
    : -np 1 "$moe_dist" train --help >"$scratch/out" 2>"$scratch/err" || status=$?
  ((status != 0)) || { echo "the job ended well"; return 1; }
  took_less_than 12 "$began"
  # mpirun may notice that a rank ended without MPI before the limit is over.
  ((status != 81)) || grep -q 'not all ranks have arrived within 3' "$scratch/err"
}
# A rank that is stopped before it has entered MPI.
stopped_at_start() {
  local began=$EPOCHREALTIME status=0
  # shellcheck disable=SC2016  # for the rank's shell
  run_ranks 2 bash -c '[[ $OMPI_COMM_WORLD_RANK == 1 ]] && kill -STOP $$; exec "$@"' _ \
    "$moe_dist" train "${small[@]}" --start-limit 3 --run-dir "$scratch/unlike" >"$scratch/out" 2>"$scratch/err" \
    || status=$?
  equal "exit code" "$status" 81
  took_less_than 15 "$began"
  says 'rank 1 on host .*: stalled: not all ranks have arrived within 3 s, and it has not begun; .* --start-limit'
}
if $local_only; then
  skip "ranks that are not alike" "no mpirun with --local"
else
  check "64: ranks with other settings" ranks_unlike
  check "64: ranks with another command" other_command
  check "threads may differ from rank to rank" of_each_host
  check "a rank that only prints its help ends the others" never_arrives
  check "81: a rank that is stopped before MPI is up" stopped_at_start
fi

# ---- Resuming never begins again inside a run ----------------------------------------------------------------

# copy NAME: a run of six steps with checkpoints after two, four and six, to be damaged.
copy() { rm -rf "${scratch:?}/$1" && cp -r "$scratch/base" "$scratch/$1"; }
newest() { printf '%s/%s/checkpoint-0000-00000006.safetensors\n' "$scratch" "$1"; }

# rewrite FILE KEY VALUE: replaces an entry of the metadata, or of the configuration in it, with right checksums after it.
rewrite() { python3 "$here/rewrite_checkpoint.py" "$@"; }

all_damaged() {
  local file
  copy damaged
  for file in "$scratch"/damaged/checkpoint-*; do printf 'x' | dd of="$file" bs=1 seek=3000 conv=notrunc 2>/dev/null; done
  cp "$scratch/damaged/config.yaml" "$scratch/config.before"
  exits_with 65 train_run damaged 1 --resume auto --max-steps 8
  says 'no checkpoint of .*damaged is valid'
  exits_with 65 run_alone "$moe_dist" train --run-dir "$scratch/damaged" --resume auto
  same "config.yaml" "$scratch/damaged/config.yaml" "$scratch/config.before"
  same "metrics" "$scratch/damaged/metrics.jsonl" "$scratch/base/metrics.jsonl"
}
check "65: a run whose checkpoints are all damaged" all_damaged

# falls_back NAME: the newest checkpoint is invalid; the run goes on from the one before it and ends as if nothing were.
falls_back() {
  exits_with 0 train_run "$1" 1 --resume auto || return 1
  grep -q 'trying the checkpoint before it' "$scratch/err" || { echo "no warning:"; cat "$scratch/err"; return 1; }
  equal "steps executed" "$(steps_executed "$1")" 2
  equal_bytes "$1" base
}
invalid_kinds() {
  copy other && train_run foreign 1 --max-steps 6 --checkpoint-every-steps 2 --learning-rate 0.5
  for kind in bare configuration step foreign older nan directory link fifo; do
    copy "$kind-case"
    case $kind in
      bare) rewrite "$(newest bare-case)" configuration - ;;
      configuration) rewrite "$(newest configuration-case)" configuration '{"experts":"many"}' ;;
      step) rewrite "$(newest step-case)" step 9223372036854775807 ;;
      foreign) cp "$(newest foreign)" "$(newest foreign-case)" ;;
      older) cp "$scratch/base/checkpoint-0000-00000004.safetensors" "$(newest older-case)" ;;
      nan) rewrite "$(newest nan-case)" nan experts.3.fc1.weight ;;
      directory) rm "$(newest directory-case)" && mkdir "$(newest directory-case)" ;;
      link) mv "$(newest link-case)" "$scratch/elsewhere" && ln -s "$scratch/elsewhere" "$(newest link-case)" ;;
      fifo) rm "$(newest fifo-case)" && mkfifo "$(newest fifo-case)" ;;
    esac
    case $kind in
      directory | link | fifo)
        # It is passed by, but stands where the run's next checkpoint has to go, and is not ours to remove.
        exits_with 73 train_run "$kind-case" 1 --resume auto || { echo "for $kind"; return 1; }
        grep -q 'trying the checkpoint before it' "$scratch/err" || { echo "no warning for $kind"; return 1; }
        grep -qE 'expected no file or a checkpoint, found a .* of that name; remove it' "$scratch/err" || { echo "for $kind"; return 1; }
        ;;
      *) falls_back "$kind-case" || { echo "for $kind"; return 1; } ;;
    esac
  done
}
check "a resume falls back past every kind of invalid file" invalid_kinds

far_step() {
  copy far
  rewrite "$(newest far)" step 9223372036854775807
  mv "$(newest far)" "$scratch/far/checkpoint-0000-9223372036854775807.safetensors"
  exits_with 65 train_run far 1 --resume "$scratch/far/checkpoint-0000-9223372036854775807.safetensors"
  says 'steps cannot be 0 epochs'
}
check "65: a step that cannot be" far_step

before_first_save() {
  local name=unsaved
  train_run $name 1 --max-steps 6 --experts 4
  rm "$scratch/$name"/checkpoint-* "$scratch/$name/latest"
  hash_before=$(sha256sum <"$scratch/$name/config.yaml")
  exits_with 64 train_run $name 1 --resume auto --learning-rate 0.5 --experts 4
  says 'learning-rate 0.5 differs from .*unsaved/config.yaml'
  equal "config.yaml" "$(sha256sum <"$scratch/$name/config.yaml")" "$hash_before"
  # With no option at all: its own configuration, not the default data set.
  run_alone "$moe_dist" train --run-dir "$scratch/$name" --resume auto --quiet --progress none
  equal "experts" "$(sed -n 's/^experts: //p' "$scratch/$name/config.yaml")" 4
  train_run whole 1 --max-steps 6 --experts 4
  equal_bytes $name whole
}
check "a run without a checkpoint begins again with its own configuration" before_first_save

# ---- Numbers -------------------------------------------------------------------------------------------------

not_finite() {
  copy numbers
  rewrite "$(newest numbers)" nan experts.3.fc1.weight
  for command in "evaluate $scratch/numbers" "predict $scratch/numbers --images $images" \
    "train ${small[*]} --run-dir $scratch/never --init-from $scratch/numbers"; do
    # shellcheck disable=SC2086
    exits_with 65 run_alone "$moe_dist" $command || { echo "for $command"; return 1; }
    says "tensor 'experts.3.fc1.weight': element [0-9]+ is nan"
  done
}
check "65: weights that are not finite" not_finite

overflow() {
  copy large
  rewrite "$(newest large)" huge experts.
  exits_with 65 run_alone "$moe_dist" predict "$scratch/large" --images "$images" --format jsonl
  says 'what the model says of these samples is not finite; its weights are too large'
  equal "answers" "$(wc -c <"$scratch/out")" 0
}
check "65: answers that overflow are no class" overflow

# ---- Signals -------------------------------------------------------------------------------------------------

# Waits until a process has a handler for SIGHUP, signal 1: the program's first line.
begun() {
  local process=$1
  while kill -0 "$process" 2>/dev/null; do
    (($((16#$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$process/status"))) & 1)) && return 0
  done
  return 1
}

# signalled NUMBER DELAY: a run of one rank that gets a signal so many seconds after its first line.
signalled() {
  local number=$1 delay=$2 status=0 process
  rm -rf "$scratch/signalled"
  # A shell starts background jobs with SIGINT ignored, which would hold.
  env --default-signal=INT "$moe_dist" train "${small[@]}" --seed 3 --epochs 100000 \
    --run-dir "$scratch/signalled" >/dev/null 2>&1 </dev/null &
  process=$!
  begun $process
  sleep "$delay"
  kill -s "$number" $process
  wait $process || status=$?
  equal "exit code after $number at $delay s" "$status" 75
  equal "state" "$(state "$scratch/signalled")" stopped
}
early_signals() {
  local number
  for number in USR1 TERM INT HUP; do
    for delay in 0 0.1 0.3 0.7; do signalled $number $delay; done
  done
}
check "75: signals at any moment of the start" early_signals

under_nohup() {
  local process
  rm -rf "$scratch/nohup"
  (trap '' HUP; exec "$moe_dist" train "${small[@]}" --epochs 100000 --run-dir "$scratch/nohup" \
    >/dev/null 2>&1 </dev/null) &
  process=$!
  sleep 1
  kill -HUP $process
  sleep 0.5
  kill -0 $process || { echo "SIGHUP ended a run that ignores it"; return 1; }
  kill -TERM $process
  wait $process || true
  equal "state" "$(state "$scratch/nohup")" stopped
}
check "an inherited nohup holds" under_nohup

save_on_demand() {
  local process count status=0
  rm -rf "$scratch/demand"
  "$moe_dist" train "${small[@]}" --seed 3 --epochs 100000 --run-dir "$scratch/demand" >/dev/null 2>&1 </dev/null &
  process=$!
  sleep 1
  kill -USR2 $process
  sleep 1
  count=$(find "$scratch/demand" -name 'checkpoint-*.safetensors' | wc -l)
  equal "checkpoints after SIGUSR2" "$count" 1
  echo checkpoint >"$scratch/demand/control"
  sleep 2.5
  count=$(find "$scratch/demand" -name 'checkpoint-*.safetensors' | wc -l)
  equal "checkpoints after the control file" "$count" 2
  echo stop >"$scratch/demand/control"
  wait $process || status=$?
  equal "exit code" "$status" 75
  [[ ! -e $scratch/demand/control ]]
}
check "SIGUSR2 and the file control: a checkpoint, and a stop" save_on_demand

# ---- Standard output that fails ------------------------------------------------------------------------------

full_output() {
  local status
  for command in "evaluate $scratch/base" "predict $scratch/base --images $images" "doctor" "--help" "plan --dataset synthetic"; do
    status=0
    # shellcheck disable=SC2086
    run_alone "$moe_dist" $command >/dev/full 2>"$scratch/err" || status=$?
    equal "exit code of $command" "$status" 74
    says 'cannot write standard output: No space left on device'
  done
  status=0
  train_run full-output 1 --max-steps 6 --json >/dev/full 2>"$scratch/err" || status=$?
  equal "exit code of train" "$status" 74
  equal_bytes full-output base
}
check "74: standard output on a full device" full_output

no_reader() {
  local status
  run_alone "$moe_dist" predict "$scratch/base" --images "$images" | head -n 1 >/dev/null
  equal "exit codes" "${PIPESTATUS[*]}" "0 0"
  # Progress that nobody reads.
  set +o pipefail
  "$moe_dist" train --dataset synthetic --model mnist --max-steps 20 --progress plain --run-dir "$scratch/no-reader" 2>&1 \
    | true
  status=${PIPESTATUS[0]}
  equal "exit code" "$status" 0
  equal "state" "$(state "$scratch/no-reader")" finished
}
check "a reader that is gone ends nothing" no_reader

file_limit() {
  local status=0
  (ulimit -f 8; train_run limit 1 --max-steps 6) >"$scratch/out" 2>"$scratch/err" || status=$?
  equal "exit code" "$status" 74
}
check "74: a file size limit is an error, not a signal" file_limit

# ---- Jobs that sleep, and ranks that do ----------------------------------------------------------------------

asleep() {
  local process ranks status=0
  rm -rf "$scratch/asleep" "$scratch/awake"
  train_run awake 1 --max-steps 400
  train_run asleep 2 --max-steps 400 --stall-abort 3 >/dev/null 2>"$scratch/err" &
  process=$!
  while [[ ! -e $scratch/asleep/status.json ]]; do sleep 0.1; done
  ranks=$(pgrep -f "run-dir $scratch/asleep" | tr '\n' ' ')
  # shellcheck disable=SC2086
  kill -STOP $ranks
  sleep 6
  # shellcheck disable=SC2086
  kill -CONT $ranks
  wait $process || status=$?
  equal "exit code" "$status" 0
  equal_bytes asleep awake
}
if $local_only; then
  skip "a job that sleeps" "no mpirun with --local"
else
  check "a job suspended as a whole goes on with the same bytes" asleep
fi

# ---- File systems without locks, and files that are links ----------------------------------------------------

without_locks() {
  local error
  for error in ENOSYS ENOLCK EOPNOTSUPP; do
    rm -rf "$scratch/unlocked"
    strace -f -o /dev/null -e trace=flock,fcntl -e inject=flock:error=$error \
      "$moe_dist" train "${small[@]}" --seed 3 --max-steps 6 --run-dir "$scratch/unlocked" 2>"$scratch/err" </dev/null
    equal_bytes unlocked base
    [[ ! -e $scratch/unlocked/owner ]] || { echo "the file owner was left"; return 1; }
  done
  # Somebody else's.
  echo "elsewhere 1" >"$scratch/unlocked/owner"
  exits_with 73 strace -f -o /dev/null -e trace=flock -e inject=flock:error=ENOSYS \
    "$moe_dist" train "${small[@]}" --seed 3 --max-steps 8 --run-dir "$scratch/unlocked" --resume auto
  says 'process 1 on host elsewhere is writing this run'
}
if strace -o /dev/null true 2>/dev/null; then
  check "a file system without locks" without_locks
else
  skip "a file system without locks" "no strace"
fi

special_files() {
  local began=$EPOCHREALTIME
  copy special
  rm "$scratch/special/run.json" && mkfifo "$scratch/special/run.json"
  exits_with 65 run_alone "$moe_dist" report "$scratch/special" --output "$scratch/special.html"
  mkfifo "$scratch/config-pipe"
  exits_with 65 run_alone "$moe_dist" train --config "$scratch/config-pipe" --run-dir "$scratch/never"
  ln -s base "$scratch/run-link"
  run_alone "$moe_dist" evaluate "$scratch/run-link" >/dev/null
  took_less_than 10 "$began"
}
check "special files are refused, a run may be a link" special_files

little_environment() {
  A_SECRET_OF_THE_USER=jcvi4o train_run told 1 --max-steps 2
  if grep -rq jcvi4o "$scratch/told"; then echo "a variable of the user was kept"; return 1; fi
}
check "a run keeps no variable of the user" little_environment

finish
