# shellcheck shell=bash
# How the command-line tests run the program and count their checks. Sourced by laws.sh and behaviour.sh.

# shellcheck source=scripts/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
# Another build of the program may be tested.
moe_dist=${MOE_DIST_BINARY:-$moe_dist}
# The same program with the fault that MOE_DIST_FAULT describes, see Tests/FaultyRank; it is built beside it.
# shellcheck disable=SC2034
faulty_rank=$(dirname -- "$moe_dist")/faulty-rank

# ---- Options: --local (no mpirun), --long (what does not fit CI), --filter TEXT (names of checks) -------------

local_only=false long=false filter=""
# Read by the scripts that source this.
export local_only long
while (($#)); do
  case $1 in
    --local) local_only=true ;;
    --long) long=true ;;
    --filter) filter=${2:?--filter needs a text}; shift ;;
    *) die "unknown option $1" ;;
  esac
  shift
done

[[ -x $moe_dist ]] || die "there is no $moe_dist; build with scripts/test or swift build -c release"

scratch=$(mktemp -d "${TMPDIR:-/tmp}/moe-dist-test.XXXXXX")
cleanup=(rm -rf "$scratch")
# shellcheck disable=SC2317
leave() { "${cleanup[@]}"; }
trap leave EXIT

# ---- Counting ------------------------------------------------------------------------------------------------

passed=0 failed=0 skipped=0

wanted() { [[ -z $filter || $1 == *"$filter"* ]]; }
skip() { wanted "$1" || return 0; skipped=$((skipped + 1)); echo "  skip  $1: $2"; }

# check NAME COMMAND...: one check. The command runs in a subshell under `set -e`; what it printed is shown if it fails.
check() {
  local name=$1 began=$EPOCHREALTIME status
  shift
  wanted "$name" || return 0
  # errexit is ignored inside a condition, so the status is fetched with errexit off.
  set +e
  (set -e; "$@") >"$scratch/check.out" 2>&1
  status=$?
  set -e
  if ((status == 0)); then
    passed=$((passed + 1))
    printf '  ok    %s (%s s)\n' "$name" "$(seconds_since "$began")"
  else
    failed=$((failed + 1))
    printf '  FAIL  %s (%s s)\n' "$name" "$(seconds_since "$began")"
    tail -n 25 "$scratch/check.out" | sed 's/^/        | /'
  fi
}

# The last line of a test script; the caller adds it to its own counts.
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  ((failed == 0))
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# took_less_than LIMIT SINCE
took_less_than() {
  awk -v a="$2" -v b="$EPOCHREALTIME" -v limit="$1" \
    'BEGIN { printf "took %.2f s, limit %s s\n", b - a, limit; exit !(b - a < limit) }'
}

# equal WHAT FOUND EXPECTED
equal() { [[ $2 == "$3" ]] || { echo "$1: found '$2', expected '$3'"; return 1; }; }

# same WHAT FILE FILE
same() { cmp -s "$2" "$3" || { echo "$1 differ: $2 $3"; diff "$2" "$3" | head -n 10; return 1; }; }

# ---- Running -------------------------------------------------------------------------------------------------

# on N COMMAND...: N ranks; one rank runs without mpirun, so that --local covers it.
on() {
  local ranks=$1
  shift
  if ((ranks == 1)); then run_alone "$@"; else run_ranks "$ranks" "$@"; fi
}

# exits_with CODE COMMAND...: runs it, keeping its output in $scratch/out and $scratch/err.
exits_with() {
  local expected=$1 status=0
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  if ((status != expected)); then
    echo "exit code $status, expected $expected: $*"
    tail -n 20 "$scratch/err"
    return 1
  fi
}

# says PATTERN: the last exits_with wrote one error line, and it matches.
says() {
  local lines
  lines=$(grep -c '^moe-dist: ' "$scratch/err" || true)
  equal "error lines" "$lines" 1 || { tail -n 20 "$scratch/err"; return 1; }
  grep -qE -- "$1" "$scratch/err" || { echo "no '$1' in:"; tail -n 20 "$scratch/err"; return 1; }
}

# ---- Runs ----------------------------------------------------------------------------------------------------

# The smallest networks of the program, and a batch that is neither a multiple of the block nor of the lanes.
small=(--dataset synthetic --model mnist --experts 5 --batch-size 130 --validation-fraction 0
  --checkpoint-every 0 --progress none --quiet)

# train_run NAME N OPTION...: trains into $scratch/NAME. Repeating an option overrides it.
train_run() {
  local name=$1 ranks=$2
  shift 2
  on "$ranks" "$moe_dist" train "${small[@]}" --seed 3 --run-dir "$scratch/$name" "$@"
}

checkpoint_of() { printf '%s/%s\n' "$1" "$(cat "$1/latest")"; }
hash_of() { sha256sum "$(checkpoint_of "$scratch/$1")" | cut -d' ' -f1; }

# equal_bytes NAME NAME: the newest checkpoints of two runs.
equal_bytes() { equal "checkpoint of $1 against $2" "$(hash_of "$1")" "$(hash_of "$2")"; }
different_bytes() {
  [[ $(hash_of "$1") != "$(hash_of "$2")" ]] || { echo "$1 and $2 have the same bytes"; return 1; }
}

# The facts of a run, each with its place in the files.
steps_executed() { json_field "$scratch/$1/summary.json" steps_executed; }
bytes_dispatched() { json_field "$scratch/$1/summary.json" account.bytes_dispatched; }
# The ranks of the experts, as a JSON list.
owners() {
  json_field "$scratch/$1/summary.json" account.experts \
    | python3 -c 'import json, sys; print(json.dumps([expert["rank"] for expert in json.load(sys.stdin)]))'
}
state() { json_field "$1/status.json" state; }
