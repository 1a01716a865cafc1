#!/usr/bin/env bash
# README and docs: their commands run, and what they name is there. A document's blocks of commands (fenced as sh) are run
# in order in a folder of their own, those behind a comment <!-- not run: REASON --> excepted. The program that they call
# is the real one behind a wrapper that makes it quick: data sets that need files become the built-in ones under the same
# networks, and a run takes a few steps of a few samples.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

check_docs() { python3 "$root/Tests/cli/docs_check.py" "$@"; }

check "documents: links, headings and files are there" check_docs links

options_exist() {
  local command
  {
    "$moe_dist" --help
    for command in train launch distill evaluate predict report reproduce sweep bench plan doctor data checkpoint \
      "data list" "data fetch" "data verify" "data export" "checkpoint verify" "checkpoint list" "checkpoint diff"; do
      # shellcheck disable=SC2086  # two words are two arguments
      "$moe_dist" help $command
    done
    # The scripts say their options in usage texts or to argparse; the program its own for completions.
    find "$root/scripts" "$root/Tests" -type f -not -name "*.pyc" -exec cat {} +
    echo "--generate-completion-script"
  } >"$scratch/help"
  check_docs options "$scratch/help"
}
check "documents: every option is known" options_exist
check "documents: the messages are the program's" check_docs messages

# ---- The wrapper -----------------------------------------------------------------------------------------------

mkdir -p "$scratch/bin"
cat >"$scratch/bin/moe-dist" <<'WRAPPER'
#!/usr/bin/env bash
set -euo pipefail
words=() command=${1:-} short=()
names_model=false
for word in "$@"; do [[ $word == --model || $word == --config ]] && names_model=true; done
previous=""
for word in "$@"; do
  case $previous:$word in
    --dataset:mnist | --dataset:fashion-mnist)
      words+=(synthetic)
      $names_model || words+=(--model "$word")
      ;;
    --set:dataset=*) words+=("dataset=synthetic" --set model="${word#*=}" --set max-steps=4) ;;
    --set:epochs=*) words+=(epochs=1) ;;
    --seeds:*) words+=(1) ;;
    *) words+=("$word") ;;
  esac
  previous=$word
done
case $command in
  train | distill) short=(--max-steps 6 --train-samples 500 --test-samples 200) ;;
esac
# A help text, a plan and a launcher take no more options.
for word in "$@"; do [[ $word == --help || $word == --max-steps ]] && short=(); done
[[ $command == distill ]] && short=(--max-steps 6)
exec "$MOE_DIST_REAL" "${words[@]}" "${short[@]}"
WRAPPER
chmod +x "$scratch/bin/moe-dist"

# run_commands DOCUMENT: its blocks in a folder that looks like the repository after a build.
run_commands() {
  local place=$scratch/place-${1//\//-}
  mkdir -p "$place/.build/release"
  ln -s "$scratch/bin/moe-dist" "$place/.build/release/moe-dist"
  ln -s "$root/scripts" "$root/hostfiles" "$place/"
  python3 "$root/Tests/cli/make_idx.py" "$place/data" --train 20 --test 20
  cp "$place/data/t10k-images-idx3-ubyte" "$place/t10k-images-idx3-ubyte.gz"
  check_docs commands "$1" >"$place/commands.sh"
  [[ $(wc -l <"$place/commands.sh") -gt 1 ]] || { echo "no command to run"; return 1; }
  (
    cd "$place"
    export MOE_DIST_REAL=$moe_dist PATH=$scratch/bin:$PATH
    # What run_ranks gives to mpirun: root in a container, and more ranks than cores of a small machine.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    timeout -k 5 60 bash commands.sh </dev/null
  )
}

for document in README.md docs/tutorial.md docs/options.md docs/files.md docs/cluster.md; do
  if $local_only; then skip "commands of $document" "needs mpirun"; else check "commands of $document" run_commands "$document"; fi
done
# Whoever adds a document with commands adds it above, or says in each block why it is not run.
others_say_why() {
  local document
  for document in "$root"/docs/*.md; do
    document=docs/$(basename "$document")
    case $document in docs/tutorial.md | docs/options.md | docs/files.md | docs/cluster.md) continue ;; esac
    equal "lines of commands in $document" "$(check_docs commands "$document" | wc -l)" 1
  done
}
check "documents: blocks that are not run say why" others_say_why
finish
