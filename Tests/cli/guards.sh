#!/usr/bin/env bash
# What stands outside and must not come in: sizes that no memory holds, numbers that single precision does not, control
# characters in names, launchers of another MPI library, ranks that may not read each other's memory.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

never() { [[ ! -e $scratch/never ]] || { echo "a run was made"; return 1; }; }
try() { train_run never 1 --max-steps 2 "$@"; }

# ---- Sizes ---------------------------------------------------------------------------------------------------

# too_large OPTION...: refused before anything is allocated or written.
too_large() {
  exits_with 64 "${@}"
  says 'about .*B of memory are needed.*, and .*B are left \(.*\); take a smaller --'
  never
}
largest() {
  too_large try --experts 65536 --model cifar --dataset synthetic-rgb --batch-size 16777216 --block-rows 1048576
  too_large try --model mlp --experts 65536 --layers 64
  too_large try --model mlp --experts 65536 --layers 64 --dry-run
  too_large run_alone "$moe_dist" bench --dataset synthetic --model mnist --experts 65536 --batch-size 16777216
}
# Under a limit a run ends well or is refused in one line, whatever the limit is; below a gigabyte the libraries that are
# loaded with the program may have no room themselves.
limits() {
  local limit status options
  for options in "--experts 4096 --batch-size 4096" "--threads 512" "--experts 1024 --threads 64"; do
    for limit in 1000000 1500000 2000000 3000000 5000000 6500000; do
      rm -rf "$scratch/never"
      status=0
      # shellcheck disable=SC2086  # options and their values
      (ulimit -v $limit; try $options --top-k 1 --combine top-k) >"$scratch/out" 2>"$scratch/err" || status=$?
      case $status in
        0) ;;
        64) says 'memory are needed|the system gives' ;;
        *) echo "exit code $status for $options below $limit kB"; tail -n 5 "$scratch/err"; return 1 ;;
      esac
    done
  done
  rm -rf "$scratch/never"
}
address_space() {
  rm -rf "$scratch/never"
  (ulimit -v 1200000; exits_with 64 try --threads 1024)
  says 'ulimit -v'
  never
}
check "64: sizes that no memory holds" largest
check "64: more threads than the address space has stacks for" address_space
check "64 or 0, never a crash, below a limit of memory" limits
libraries() {
  (ulimit -v 150000; OPENBLAS_NUM_THREADS=1 exits_with 64 try)
  says 'libraries alone.*ulimit -v.*OPENBLAS_NUM_THREADS=1'
  never
}
check "64: no room for the libraries alone" libraries
large_batch() { rm -rf "$scratch/never"; try --batch-size 16777216; rm -rf "$scratch/never"; }
check "a batch has no more rows than there are samples" large_batch

numbers() {
  local option
  for option in "--learning-rate 1e39" "--learning-rate 1e-46" "--temperature 1e-50" "--weight-decay 1e39" \
    "--importance 1e40" "--clip-norm 1e-50"; do
    # shellcheck disable=SC2086
    exits_with 64 try $option || { echo "for $option"; return 1; }
    says 'single precision' || { echo "for $option"; return 1; }
  done
  never
}
check "64: numbers that single precision does not hold" numbers

# ---- Control characters --------------------------------------------------------------------------------------

# clean FILE...: nothing but newlines and tabs below the space, no DEL, no C1, no override of direction.
clean() {
  python3 - "$@" <<'PYTHON'
import sys
for name in sys.argv[1:]:
    text = open(name, encoding="utf-8").read()
    for c in text:
        bad = (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        assert not bad, f"{name} has U+{ord(c):04X}: {text!r}"
PYTHON
}
escapes() {
  local words=$'x\x1b]0;title\x07\x1b[31m\xc2\x9b2J\xe2\x80\xae\rmoe-dist: all is well\nmoe-dist: forged' option
  for option in --gate --dataset --model --experts --placement --config --resume --init-from; do
    exits_with 64 try "$option" "$words" || exits_with 66 try "$option" "$words" || exits_with 65 try "$option" "$words"
    clean "$scratch/err" "$scratch/out"
    says 'x\\u\{1B\}' || { echo "for $option"; return 1; }
  done
  exits_with 64 run_alone "$moe_dist" $'--\x1b[31m'
  clean "$scratch/err"
  printf 'gate: "a\\e[31mb"\n' >"$scratch/steering.yaml"
  exits_with 64 try --config "$scratch/steering.yaml"
  clean "$scratch/err"
  printf '"a\\e[31mb": 1\n' >"$scratch/steering.yaml"
  exits_with 64 try --config "$scratch/steering.yaml"
  clean "$scratch/err"
  never
}
check "names do not steer the terminal" escapes

directory_names() {
  local name=$'run\x1b[31m\xe2\x80\xaename'
  run_alone "$moe_dist" train "${small[@]}" --max-steps 2 --run-dir "$scratch/$name" >"$scratch/out" 2>"$scratch/err"
  clean "$scratch/out" "$scratch/err"
  # Without --quiet the directory is told.
  run_alone "$moe_dist" train --dataset synthetic --model mnist --max-steps 2 --progress plain \
    --run-dir "$scratch/$name-2" >"$scratch/out" 2>"$scratch/err"
  clean "$scratch/out" "$scratch/err"
  grep -q 'run\\u{1B}\[31m\\u{202E}name' "$scratch/out" "$scratch/err"
}
check "a run in a directory with such a name" directory_names

not_text() {
  exits_with 64 run_alone "$moe_dist" train "${small[@]}" --run-dir "$scratch/"$'a\xff'
  says 'argument [0-9]+ is not UTF-8'
  train_run named 1 --max-steps 2
  : >"$scratch/named/"$'checkpoint-\xff.safetensors'
  : >"$scratch/named/"$'\xc0\xaf'
  run_alone "$moe_dist" evaluate "$scratch/named" >/dev/null
  train_run named 1 --max-steps 4 --resume auto
  run_alone "$moe_dist" report "$scratch/named" >/dev/null
}
check "names that are not UTF-8" not_text

# ---- Launchers -----------------------------------------------------------------------------------------------

other_launcher() {
  local variables
  for variables in "PMI_RANK=0 PMI_SIZE=4" "SLURM_STEP_NUM_TASKS=4" "MV2_COMM_WORLD_SIZE=4"; do
    # shellcheck disable=SC2086
    exits_with 64 run_alone env $variables "$moe_dist" train "${small[@]}" --run-dir "$scratch/never"
    says 'started 4 times as 4 separate jobs of one rank'
    never
  done
  exits_with 64 run_alone env PMI_RANK=1 PMI_SIZE=4 "$moe_dist" train "${small[@]}" --run-dir "$scratch/never"
  equal "words of rank 1" "$(cat "$scratch/err")" ""
  never
}
check "64: the launcher of another MPI library" other_launcher

namespaces() {
  train_run together 2 --max-steps 4 --batch-size 512
  run_ranks 2 unshare --user --map-root-user "$moe_dist" train "${small[@]}" --batch-size 512 --seed 3 --max-steps 4 \
    --stall-abort 20 --run-dir "$scratch/apart"
  equal_bytes apart together
}
bound() {
  [[ $(core_count) -ge 2 ]] || return 0
  mpirun_options=(--bind-to core)
  run_ranks 2 "$moe_dist" train --dataset synthetic --model mnist --max-steps 2 --progress none --threads 2 \
    --run-dir "$scratch/bound" 2>"$scratch/err" >/dev/null
  grep -q 'bound to 1 core .*--map-by slot:PE=2' "$scratch/err"
}
if $local_only; then
  skip "ranks in user namespaces of their own" "no mpirun with --local"
  skip "threads above the cores that mpirun bound" "no mpirun with --local"
else
  if unshare --user --map-root-user true 2>/dev/null; then
    check "ranks in user namespaces of their own" namespaces
  else
    skip "ranks in user namespaces of their own" "unshare is not allowed"
  fi
  check "threads above the cores that mpirun bound" bound
fi

finish
