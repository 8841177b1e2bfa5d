"""Reads the dashboards with Grafana's own schema. Usage: dashboards.py FOLDER. Prints a JSON list of
{"file", "uid", "panels": [{"title", "type", "exprs": [...]}], "variables": [queries]}; what the schema does not take is an error."""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog import encoder
from grafana_foundation_sdk.models.dashboard import Dashboard

# What the panels are made of, by Grafana 12; a type that is not here would show nothing.
KINDS = {"row", "stat", "timeseries", "bargauge", "table"}


def unknown(given, known, path):
    """Keys that the schema does not keep."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key in known:
                yield from unknown(value, known[key], f"{path}.{key}")
            elif value not in (None, "", [], {}, False):
                yield f"{path}.{key}"
    elif isinstance(given, list) and isinstance(known, list):
        for at, (one, other) in enumerate(zip(given, known)):
            yield from unknown(one, other, f"{path}[{at}]")


answer = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    given = json.loads(path.read_text())
    kept = json.loads(encoder.JSONEncoder(sort_keys=True).encode(Dashboard.from_json(given)))
    lost = list(unknown(given, kept, path.stem))
    assert not lost, f"Grafana's schema does not know {lost}"
    cells = set()
    panels = []
    for panel in given["panels"]:
        assert panel["type"] in KINDS, panel
        place = panel["gridPos"]
        mine = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not mine & cells and place["x"] + place["w"] <= 24, f"{path.stem}: {panel['title']} lies over another"
        cells |= mine
        if panel["type"] != "row":
            assert panel["targets"], panel["title"]
            panels.append({"title": panel["title"], "type": panel["type"], "exprs": [target["expr"] for target in panel["targets"]]})
    variables = [one["query"]["query"] for one in given["templating"]["list"] if one["type"] == "query"]
    answer.append({"file": path.name, "uid": given["uid"], "panels": panels, "variables": variables})
print(json.dumps(answer))
