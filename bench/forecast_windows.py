#!/usr/bin/env python3
"""How well a short measurement foretells the step of a whole run, on this machine: for every window of nine
neighbouring steps of a run (what `lyceum train` measures before it starts), is its fastest, its third fastest
or its median within 15 % of the run's median?

    bench/forecast_windows.py runs/quickstart [RUN...]
"""
import json
import statistics
import sys

WINDOW = 9

if len(sys.argv) < 2:
    sys.exit("forecast_windows: wanted run folders, found none: bench/forecast_windows.py runs/quickstart")
for run in sys.argv[1:]:
    try:
        with open(run + "/metrics.jsonl") as file:
            rows = [json.loads(line) for line in file]
    except OSError as error:
        sys.exit(f"forecast_windows: wanted the folder of a run, found none: {error}")
    rates = [row["tokens_per_second"] for row in rows if row.get("tokens_per_second")]
    times = [1 / rate for rate in rates]  # equal tokens a step: seconds up to a factor
    if len(times) < 2 * WINDOW:
        sys.exit(f"forecast_windows: {run}: wanted {2 * WINDOW} steps or more, found {len(times)}")
    whole = statistics.median(times)
    windows = [sorted(times[i:i + WINDOW]) for i in range(len(times) - WINDOW)]
    for name, at in (("fastest", 0), ("third fastest", 2), ("median", WINDOW // 2)):
        hits = sum(abs(w[at] / whole - 1) <= 0.15 for w in windows)
        print(f"{run}: {name} of {WINDOW} within 15 % in {100 * hits / len(windows):.0f} % of {len(windows)} places")
