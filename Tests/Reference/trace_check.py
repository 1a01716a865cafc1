"""Checks a trace of `moe-dist train --trace` in the Trace Event Format: every begin has its end, clocks of a track only move
forward, every arrow leads from a dispatch over an expert to a combine of the same rank as the dispatch, and the rows of
arrows, experts and counters are the same.

    trace_check.py FILE RANKS EXPERTS STEPS [--layers N] [--all-experts]

STEPS are those that must be there, such as 11:30, or `none`. With --all-experts every expert has every row.
"""

import argparse
import json
import sys
from collections import defaultdict


def spans_of(events):
    """(pid, tid, name, begin, end, args) of every pair, and the spans that are open when an arrow is drawn."""
    open_spans, spans, arrows, last = defaultdict(list), [], defaultdict(dict), {}
    for event in events:
        if event["ph"] in "MC":
            continue
        track = event["pid"], event["tid"]
        assert event["ts"] >= last.get(track, 0.0), f"{track}: {event} after {last[track]}"
        last[track] = event["ts"]
        stack = open_spans[track]
        if event["ph"] == "B":
            stack.append(dict(event, begin=event["ts"]))
        elif event["ph"] == "E":
            assert stack, f"an end without a begin: {event}"
            spans.append(dict(stack.pop(), end=event["ts"]))
        else:
            assert event["ph"] in "stf" and stack, f"an arrow that touches nothing: {event}"
            assert event["ph"] != "f" or event.get("bp") == "e", "an arrow's end binds to what encloses it"
            arrows[event["id"]].setdefault(event["ph"], []).append((event, stack[-1]))
    for track, stack in open_spans.items():
        assert not stack, f"{track}: begins without an end: {stack}"
    return spans, arrows


def check_arrows(arrows, names):
    """Returns the rows' sources: how many arrows each expert's span has."""
    touched = defaultdict(int)
    for number, parts in arrows.items():
        assert {part: len(list_) for part, list_ in parts.items()} == {"s": 1, "t": 1, "f": 1}, (number, parts)
        (start, dispatch), (step, expert), (finish, combine) = (parts[part][0] for part in "stf")
        assert dispatch["name"] == "dispatch" and combine["name"] == "combine", number
        assert expert["name"] == "forward" and "expert" in names[expert["pid"], expert["tid"]], number
        assert dispatch["pid"] == combine["pid"], number
        assert len({span["args"]["step"] for span in (dispatch, expert, combine)}) == 1, number
        assert start["ts"] <= step["ts"] <= finish["ts"], (number, start["ts"], step["ts"], finish["ts"])
        touched[expert["pid"], expert["tid"], expert["begin"]] += 1
    return touched


def main():
    parser = argparse.ArgumentParser()
    for name, kind in (("file", str), ("ranks", int), ("experts", int), ("steps", str)):
        parser.add_argument(name, type=kind)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--all-experts", action="store_true")
    options = parser.parse_args()
    with open(options.file, encoding="utf-8") as file:
        trace = json.load(file)
    events = trace["traceEvents"]
    assert trace["otherData"]["ranks"] == options.ranks
    processes = {e["pid"]: e["args"]["name"] for e in events if e.get("name") == "process_name"}
    assert sorted(processes) == list(range(options.ranks)), processes
    assert all(name.startswith(f"rank {rank} (") for rank, name in processes.items())
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e.get("name") == "thread_name"}
    spans, arrows = spans_of(events)
    if options.steps == "none":
        assert not spans and not arrows, "there are steps"
        print("an empty trace")
        return
    first, last = map(int, options.steps.split(":"))
    expected = [(rank, f"step {step}") for rank in processes for step in range(first, last + 1)]
    found = [(s["pid"], s["name"]) for s in spans if names[s["pid"], s["tid"]] == "steps"]
    assert sorted(found) == sorted(expected), found
    # One track per expert, on one rank.
    tracks = sorted(name for name in names.values() if "expert" in name)
    prefixes = [f"layer {n + 1} " for n in range(options.layers)] if options.layers > 1 else [""]
    everyone = [f"{p}expert {e}" for p in prefixes for e in range(options.experts)]
    assert set(tracks) <= set(everyone) and len(set(tracks)) == len(tracks), tracks
    assert not options.all_experts or tracks == sorted(everyone), tracks
    for rank in processes:
        assert {"steps", "exchange", "other phases"} <= {n for (p, _), n in names.items() if p == rank}, rank
    assert "gate" in {n for (p, _), n in names.items() if p == 0}
    touched = check_arrows(arrows, names)
    forward = [s for s in spans if s["name"] == "forward"]
    assert forward and {(s["pid"], s["tid"], s["begin"]) for s in forward} == set(touched), "an expert without an arrow"
    assert all(s["args"]["rows"] > 0 for s in forward)
    # Counters say how many rows an expert had, also that it had none.
    counted = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            counted[event["pid"], event["name"].removeprefix("rows of ")].append(event)
    for (rank, expert), values in counted.items():
        times = [value["ts"] for value in values]
        assert times == sorted(times), expert
        tid = next(t for (p, t), name in names.items() if p == rank and name == expert)
        rows = [s["args"]["rows"] for s in sorted(forward, key=lambda s: s["begin"]) if (s["pid"], s["tid"]) == (rank, tid)]
        assert [v["args"]["rows"] for v in values if v["args"]["rows"] > 0] == rows, expert
    assert len(counted) == len(tracks), counted.keys()
    print(f"{len(spans)} pairs, {len(arrows)} arrows, {len(counted)} counters on {options.ranks} ranks")


if __name__ == "__main__":
    sys.exit(main())
