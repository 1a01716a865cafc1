#!/usr/bin/env bash
# The measuring scripts: what they refuse before they build or measure anything, and what their reports compute.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

# ---- Options -------------------------------------------------------------------------------------------------

help_of() { exits_with 0 "$root/scripts/$1" --help && grep -q '^usage: ' "$scratch/out"; }

# refused SCRIPT OPTION...: exit code 64 and one sentence.
refused() {
  exits_with 64 "$root/scripts/$1" "${@:2}"
  equal "lines of the error of $*" "$(wc -l <"$scratch/err")" 1
}

more_than_cores=$(($(core_count) + 1))
compare_refuses() {
  refused compare-pytorch --ranks "$more_than_cores"
  grep -q oversubscription "$scratch/err"
  refused compare-pytorch --ranks 0
  refused compare-pytorch --rows mnist,imagenet
  refused compare-pytorch --level 'v3;true'
  refused compare-pytorch --gate-placement nowhere
  refused compare-pytorch --steps
  refused compare-pytorch --stpes 3
}
scaling_refuses() {
  refused scaling-benchmark --ranks "1,$more_than_cores"
  grep -q oversubscription "$scratch/err"
  refused scaling-benchmark --ranks 1,two
  refused scaling-benchmark --models mnist,imagenet
  refused scaling-benchmark --gate-placement nowhere
  refused scaling-benchmark --combine all
  refused scaling-benchmark --hostfile "$scratch/none"
  refused scaling-benchmark --repeats -1
  refused scaling-benchmark --launcher aprun
}
scaling_in_slurm() {
  (unset SLURM_JOB_ID; refused scaling-benchmark --launcher srun)
  SLURM_JOB_ID=1 SLURM_NTASKS=3 refused scaling-benchmark --ranks 4
  grep -q '4 ranks on 3 cores' "$scratch/err"
  (unset SLURM_NTASKS; SLURM_JOB_ID=1 refused scaling-benchmark)
}
scaling_with_hostfile() {
  printf '# two hosts\none slots=2\ntwo\n' >"$scratch/hosts"
  refused scaling-benchmark --hostfile "$scratch/hosts" --ranks 4
  grep -q '4 ranks on 3 cores' "$scratch/err"
}

docs_refuses() {
  refused docs --outptu "$scratch/docs"
  refused docs --output
}
docs_without_swift() {
  mkdir "$scratch/bin"
  ln -s "$(command -v bash)" "$(command -v dirname)" "$(command -v basename)" "$scratch/bin"
  exits_with 1 env PATH="$scratch/bin" "$root/scripts/docs"
  equal "lines" "$(wc -l <"$scratch/err")" 1
  grep -q '^docs: Swift 6.2 or newer is needed' "$scratch/err"
}

for script in compare-pytorch docs scaling-benchmark similarity-cost; do check "$script has a help text" help_of "$script"; done
check "compare-pytorch refuses wrong options" compare_refuses
check "docs refuses wrong options" docs_refuses
check "docs needs Swift" docs_without_swift
check "scaling-benchmark refuses wrong options" scaling_refuses
check "scaling-benchmark counts the tasks of a Slurm job" scaling_in_slurm
check "scaling-benchmark counts the slots of a hostfile" scaling_with_hostfile

# ---- Reports -------------------------------------------------------------------------------------------------

# made_runs DIR: steps of 1 s on one rank and 0.5 s on two, of models with the FLOPs per sample of the paper's networks
# (forward, in millions; 5 equal experts, CIFAR-100 20).
made_runs() {
  python3 "$root/scripts/scaling_report.py" begin "$1"
  local repeat model gate expert experts
  for repeat in 1 2 3; do
    while read -r model gate expert experts; do
      experts=$(for ((; experts > 0; experts--)); do printf '%s ' "$expert"; done)
      echo "$model,root,strong,1,$repeat,512,1,$gate,$experts"
      echo "$model,root,strong,2,$repeat,512,0.5,$gate,$experts"
      echo "$model,replicated,weak,2,$repeat,1024,0.8,$gate,$experts"
    done <<TEXT
mnist 0.064 0.0148 5
fashion-mnist 1.51 0.0385 5
cifar 121.5 9.59 20
TEXT
  done >>"$1/runs.csv"
  echo '{"plans": [{"gate_placement": "root", "step_seconds": 2}]}' >"$1/alone.json"
  echo '{"plans": [{"gate_placement": "replicated", "step_seconds": 1}, {"gate_placement": "root", "step_seconds": 1.6}]}' \
    >"$1/two.json"
  local predictions=(python3 "$root/scripts/scaling_report.py" prediction "$1/predictions.csv")
  "${predictions[@]}" "$1/alone.json" mnist root strong 1 512
  "${predictions[@]}" "$1/two.json" mnist root strong 2 512
  "${predictions[@]}" "$1/two.json" mnist replicated weak 2 1024
}

# column MODEL GATE MODE RANKS NAME: a figure of scaling.csv with two decimals.
column() {
  python3 - "$scratch/scaling/scaling.csv" "$@" <<'PYTHON'
import csv, sys
path, *key, name = sys.argv[1:]
for line in csv.DictReader(open(path)):
    if [line["model"], line["gate"], line["mode"], line["ranks"]] == key:
        print(f"{float(line[name]):.2f}" if line[name] else "none")
PYTHON
}

# The bounds of the paper's networks on two ranks, with the gate on rank 0, by hand: MNIST (0.064 + 5·0.0148)/(5·0.0148),
# FashionMNIST (1.51 + 5·0.0385)/1.51, CIFAR-100 (121.5 + 20·9.59)/(121.5 + 4·9.59). Replicated, MNIST, 2 and 3 experts:
# (0.064 + 5·0.0148)/(0.032 + 3·0.0148).
scaling_report() {
  mkdir -p "$scratch/scaling"
  made_runs "$scratch/scaling"
  python3 "$root/scripts/scaling_report.py" table "$scratch/scaling"
  equal "bound of MNIST" "$(column mnist root strong 2 bound)" 1.86
  equal "bound of FashionMNIST" "$(column fashion-mnist root strong 2 bound)" 1.13
  equal "bound of CIFAR-100" "$(column cifar root strong 2 bound)" 1.96
  equal "bound of MNIST, replicated" "$(column mnist replicated weak 2 bound)" 1.81
  equal "speed-up, strong" "$(column mnist root strong 2 speedup)" 2.00
  equal "speed-up, weak" "$(column mnist replicated weak 2 speedup)" 2.50
  equal "predicted, strong" "$(column mnist root strong 2 predicted)" 1.25
  equal "predicted, weak" "$(column mnist replicated weak 2 predicted)" 4.00
  equal "not predicted" "$(column cifar root strong 2 predicted)" none
}
well_formed_plot() {
  python3 - "$scratch/scaling/scaling.svg" <<'PYTHON'
import sys, xml.etree.ElementTree as tree
picture = tree.parse(sys.argv[1]).getroot()
marks = picture.iter("{http://www.w3.org/2000/svg}circle")
# One mark per model and placement on two ranks.
sys.exit(0 if len(list(marks)) == 6 else "the plot does not have 6 marks")
PYTHON
}
check "scaling_report: speed-up, bound and prediction" scaling_report
check "scaling_report: the plot is well-formed and shows every measurement" well_formed_plot

# Rounds of 2, 4, 3 s against 1, 1, 1 s: the ratio is 3. Measuring a row again replaces its lines at that level only.
compare_report() {
  local table=$scratch/compare.csv columns report=$root/scripts/compare_report.py
  python3 "$report" begin "$table" 2 highest mnist
  columns=$(head -n 1 "$table" | tr -d '\r')
  equal "columns" "$columns" "row,ranks,batch,round,side,level,gate_placement,kernels,step_seconds,step_p10,step_p90,\
peak_memory_bytes,parameters,experts_used"
  local round=0 seconds
  for seconds in 2 4 3; do
    round=$((round + 1))
    echo "mnist,2,512,$round,ours,highest,root,v4,1,1,1,100000000,32973,5"
    echo "mnist,2,512,$round,plain,highest,,,$seconds,1,1,200000000,32973,5"
    echo "fashion,2,512,$round,ours,highest,root,v4,1,1,1,100000000,775913,5"
    echo "fashion,2,512,$round,plain,highest,,,1,1,1,200000000,775913,5"
  done >>"$table"
  python3 "$report" table "$table" "$scratch/compare.md" >"$scratch/compare.txt"
  grep -qF '| MNIST, 5 experts | 2, root | v4 | 512 | 171 | 3.0 (2.2 … 3.8) |' "$scratch/compare.md" \
    || { cat "$scratch/compare.md"; return 1; }
  equal "notes of disturbed rows" "$(grep '^NOTE' "$scratch/compare.txt" | cut -d: -f2)" " mnist, highest"
  # A round at another level is compared with PyTorch's run at that level alone.
  echo "mnist,2,512,1,ours,v3,root,v3,1,1,1,100000000,32973,5
mnist,2,512,1,plain,v3,,,8,1,1,200000000,32973,5" >>"$table"
  python3 "$report" table "$table" "$scratch/compare.md" >"$scratch/compare.txt"
  grep -qF '| v3 | 512 | 64 | 8.0 (8.0 … 8.0) |' "$scratch/compare.md" || { cat "$scratch/compare.md"; return 1; }
  grep -qF '| 512 | 171 | 3.0 (2.2 … 3.8) |' "$scratch/compare.md" || { cat "$scratch/compare.md"; return 1; }
  python3 "$report" begin "$table" 2 highest mnist
  equal "lines left" "$(grep -c '^fashion,' "$table") $(grep -c '^mnist,' "$table" || true)" "6 2"
}
unequal_models_are_seen() {
  echo "fashion,2,512,1,stronger,highest,,,1,1,1,200000000,775914,5" >>"$scratch/compare.csv"
  exits_with 1 python3 "$root/scripts/compare_report.py" table "$scratch/compare.csv" "$scratch/compare.md"
}
check "compare_report: ratios of paired rounds" compare_report
check "compare_report: sides with other numbers of parameters are refused" unequal_models_are_seen

# ---- The PyTorch programs ------------------------------------------------------------------------------------

python=${MOE_DIST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/moe-dist/pytorch}/bin/python
peers="the PyTorch programs compute their definitions, the fused ones the same"
if "$python" -c 'import torch' 2>/dev/null; then
  check "$peers" "$python" "$root/scripts/pytorch_step.py" --check
else
  skip "$peers" "there is no torch in MOE_DIST_VENV"
fi

finish
