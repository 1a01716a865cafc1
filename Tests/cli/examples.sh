#!/usr/bin/env bash
# Packages of their own that depend on this one by path, with public names alone: they build, and their output is the same
# on any number of ranks.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

# In the build folder of the root, so that a second run compiles nothing; a folder of its own, because a build plan holds
# for one root package.
build=$root/.build/examples/dist
counts=$build/release/ClassCounts

builds() { swift build -c release --package-path "$root/Examples/dist" --scratch-path "$build"; }
check "Examples/dist builds on the product Dist" builds

counts_are_right() {
  run_alone "$counts" 1000 >"$scratch/counts-1"
  # Squares modulo 11 are 0 once in eleven samples, and 1, 3, 4, 5, 9 twice. 1000 = 90 · 11 + 10, and the sample that is
  # missing, 10, has the square 1.
  awk 'NR > 1 { print $1 ":" $2 }' "$scratch/counts-1" | paste -sd ' ' >"$scratch/found"
  equal "counts" "$(cat "$scratch/found")" "0:91 1:181 2:0 3:182 4:182 5:182 6:0 7:0 8:0 9:182 all:1000"
}
check "Examples/dist counts" counts_are_right

same_on() {
  run_ranks "$1" "$counts" 1000 >"$scratch/counts-$1"
  same "counts of 1 and $1 ranks" "$scratch/counts-1" "$scratch/counts-$1"
}
refuses_on() {
  exits_with 64 on "$1" "$counts" many
  equal "lines" "$(grep -c '^ClassCounts: ' "$scratch/err")" 1
  grep -q "^ClassCounts: 'many' is no number of samples" "$scratch/err"
}
check "Examples/dist refuses what is no number on 1 rank" refuses_on 1
if $local_only; then
  skip "Examples/dist on 2 and 3 ranks" "needs mpirun"
else
  for ranks in 2 3; do
    check "Examples/dist gives the same on $ranks ranks" same_on "$ranks"
    check "Examples/dist refuses what is no number on $ranks ranks" refuses_on "$ranks"
  done
fi

# An expert, a gate and a loss of the client's own, in a mixture layer over ranks.
own_build=$root/.build/examples/own-expert
own=$own_build/release/OwnExpert

builds_own() { swift build -c release --package-path "$root/Examples/own-expert" --scratch-path "$own_build"; }
check "Examples/own-expert builds on the product MoE" builds_own

trains() {
  run_alone "$own" >"$scratch/own-1"
  cat "$scratch/own-1"
  # Trunk 8·12 + 12, gate 12·4 + 4, four experts of 12·16 + 16 + 16·12 + 12, head 12·3 + 3: all of them are trained.
  equal "parameters" "$(awk '/^parameters/ { print $2, $4 }' "$scratch/own-1")" "1847 1847"
  # Who knows nothing of three classes has a loss of ln 3; the example's is far below in the end.
  awk '/^step/ { last = $4; n++ } END { exit !(n == 6 && last < 0.5 * log(3)) }' "$scratch/own-1"
}
check "Examples/own-expert trains" trains

# same_own NAME N OPTION...: the output, and so loss and checksum of all parameters, is that of one rank.
same_own() {
  local name=$1 ranks=$2
  shift 2
  on "$ranks" "$own" "$@" >"$scratch/own-$name"
  same "output of 1 rank and of $name" "$scratch/own-1" "$scratch/own-$name"
}
check "Examples/own-expert gives the same with a replicated gate on 1 rank" same_own replicated-1 1 replicated
if $local_only; then
  skip "Examples/own-expert on 2 and 3 ranks" "needs mpirun"
else
  for ranks in 2 3; do
    check "Examples/own-expert gives the same on $ranks ranks" same_own "$ranks" "$ranks"
    check "Examples/own-expert gives the same with a replicated gate on $ranks ranks" \
      same_own "replicated-$ranks" "$ranks" replicated
  done
fi
finish
