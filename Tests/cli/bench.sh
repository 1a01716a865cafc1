#!/usr/bin/env bash
# bench and plan: the shape of what they say, the same plan from the same costs, refusals.
set -euo pipefail
# shellcheck source=Tests/cli/support.sh
source "$(dirname -- "$0")/support.sh"

# The smallest networks and few steps: seconds.
tiny=(--dataset synthetic --model mnist --experts 4 --batch-size 256)

# assert_json FILE EXPRESSION: a Python expression over the document d.
assert_json() { python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert eval(sys.argv[2]), sys.argv[2]' "$1" "$2"; }

measured_alone() {
  run_alone "$moe_dist" bench "${tiny[@]}" --steps 3 --json --save "$scratch/costs.json" >"$scratch/bench.json"
  local file=$scratch/bench.json
  assert_json "$file" 'd["peak_flops_per_second"] > 1e9'
  assert_json "$file" '{r["network"] for r in d["products"]} == {"gate", "expert"}'
  assert_json "$file" 'all(0 < r["share_of_peak"] < 1.2 for r in d["products"])'
  assert_json "$file" 'd["step"]["seconds"]["p10"] <= d["step"]["seconds"]["median"] <= d["step"]["seconds"]["p90"]'
  assert_json "$file" 'abs(sum(p["share"] for p in d["step"]["phases"]) - 1) < 0.02'
  assert_json "$file" '[w["workload"] for w in d["workloads"]] == ["balanced", "hot-expert", "idle-expert", "rotating"]'
  assert_json "$file" 'any("two ranks" in n for n in d["notes"]) and not d["oversubscribed"]'
  python3 -c 'import json, sys
pairs = lambda p: [k for k, _ in p]
def check(p):
  keys = [k for k, _ in p]
  assert keys == sorted(keys), keys
  return dict(p)
json.load(open(sys.argv[1]), object_pairs_hook=check)' "$file"
}
check "bench: one document with sorted keys" measured_alone

measured_together() {
  on 2 "$moe_dist" bench "${tiny[@]}" --steps 3 --json --save "$scratch/costs2.json" >"$scratch/bench2.json"
  local file=$scratch/bench2.json
  assert_json "$file" 'len(d["all_to_all"]) >= 8 and all(r["bytes_per_second"] > 0 for r in d["all_to_all"])'
  assert_json "$file" '[p["up_to_bytes"] for p in d["message_cost"]] == [4096, 32768, None]'
  assert_json "$file" 'd["exchange"]["ratio"] > 0 and d["exchange"]["bytes"] > 0'
  assert_json "$file" 'len(d["workloads"]) == 7 and d["place"]["ranks"] == 2'
  # Block placement: 4 experts on 2 ranks; three quarters and an eighth of the rows on one.
  assert_json "$file" '[w["imbalance"] for w in d["workloads"] if w["workload"] == "hot-rank"] == [1.75]'
  assert_json "$scratch/costs2.json" 'd["ranks"] == 2 and len(d["messages"]) == 3'
}
oversubscribed() {
  local ranks=$(($(nproc) + 1))
  on "$ranks" "$moe_dist" bench "${tiny[@]}" --steps 1 --untimed-steps 0 --sections step >"$scratch/over.txt"
  grep -q '^OVERSUBSCRIBED' "$scratch/over.txt" || { cat "$scratch/over.txt"; return 1; }
}
if $local_only; then
  skip "bench: exchange and workloads of two ranks" "--local"
  skip "bench: more ranks than cores are called so" "--local"
else
  check "bench: exchange and workloads of two ranks" measured_together
  check "bench: more ranks than cores are called so" oversubscribed
fi

planned() {
  local since=$EPOCHREALTIME
  "$moe_dist" plan "${tiny[@]}" --costs "$scratch/costs.json" --ranks 100000 --ranks-per-node 64 --json >"$scratch/a.json"
  took_less_than 1 "$since"
  "$moe_dist" plan "${tiny[@]}" --costs "$scratch/costs.json" --ranks 100000 --ranks-per-node 64 --json >"$scratch/b.json"
  same "plans" "$scratch/a.json" "$scratch/b.json"
  assert_json "$scratch/a.json" '[p["gate_placement"] for p in d["plans"]] == ["root", "replicated"]'
  assert_json "$scratch/a.json" 'all(sum(g["ranks"] for g in p["groups"]) == 100000 for p in d["plans"])'
  assert_json "$scratch/a.json" 'all(sum(g["ranks"] * g["experts"] for g in p["groups"]) == 4 for p in d["plans"])'
  assert_json "$scratch/a.json" 'd["blocks"] == 2 and d["plans"][1]["gate_ranks"] == 2'
  "$moe_dist" plan "${tiny[@]}" --costs "$scratch/costs.json" --ranks 4 >"$scratch/plan.txt"
  grep -q '^recommended: ' "$scratch/plan.txt"
}
check "plan: 100000 ranks within a second, the same twice" planned

compared() {
  run_alone "$moe_dist" train "${small[@]}" --max-steps 20 --run-dir "$scratch/run"
  "$moe_dist" plan --against "$scratch/run" --json >"$scratch/against.json"
  assert_json "$scratch/against.json" 'd["ranks"] == 1 and d["predicted_step_seconds"] > 0 and d["measured_step_seconds"] > 0'
}
check "plan: beside a run" compared

predicted_in_a_run() {
  on 2 "$moe_dist" train "${small[@]}" --max-steps 20 --run-dir "$scratch/two"
  assert_json "$scratch/two/summary.json" '(d["timing"]["predicted_step_seconds"] is None) == ('"$(nproc)"' < 2)'
}
# The gate of FashionMNIST's model is 39 times an expert: half of it on each rank is much faster than all of it on one.
advises_a_replicated_gate() {
  (($(nproc) > 1)) || return 0
  local advice='--gate-placement replicated should make a step 1\.[0-9] times as fast'
  on 2 "$moe_dist" train --dataset synthetic --model fashion-mnist --batch-size 512 --dry-run >"$scratch/root" 2>&1
  grep -qE -- "$advice" "$scratch/root"
  on 2 "$moe_dist" train --dataset synthetic --model fashion-mnist --batch-size 512 --dry-run --gate-placement replicated \
    >"$scratch/replicated" 2>&1
  ! grep -qE -- "$advice" "$scratch/replicated"
}
if $local_only; then
  skip "train: placed by measured costs, predicted beside measured" "--local"
  skip "train: advises a replicated gate" "--local"
else
  check "train: placed by measured costs, predicted beside measured" predicted_in_a_run
  check "train: advises a replicated gate" advises_a_replicated_gate
fi

refuses() {
  local code=$1 pattern=$2
  shift 2
  exits_with "$code" run_alone "$moe_dist" "$@"
  says "$pattern"
}
bad_requests() {
  refuses 64 "did you mean 'step'" bench "${tiny[@]}" --sections steps
  refuses 64 "did you mean 'ragged'" bench "${tiny[@]}" --workloads raged
  refuses 64 "from 1 to 100000" bench "${tiny[@]}" --steps 0
  refuses 64 "from 1 to 1000000" plan "${tiny[@]}" --costs "$scratch/costs.json" --ranks 0
  refuses 64 "ranks-per-node" plan "${tiny[@]}" --ranks-per-node 0
  refuses 64 "GB/s above 0" plan "${tiny[@]}" --bandwidth 0
  refuses 64 "not of model fashion-mnist" plan --dataset fashion-mnist --costs "$scratch/costs.json"
  refuses 64 "auto, block or round-robin" plan "${tiny[@]}" --costs "$scratch/costs.json" --placement 0,0,1,1
  refuses 66 "bench --save" plan "${tiny[@]}" --costs "$scratch/none.json"
  echo '{}' >"$scratch/wrong.json"
  refuses 65 "not a file of costs" plan "${tiny[@]}" --costs "$scratch/wrong.json"
  refuses 66 "config.yaml" plan --against "$scratch"
}
check "64, 65, 66: requests that cannot be" bad_requests

finish
