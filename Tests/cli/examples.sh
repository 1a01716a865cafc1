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
finish
