"""Renders the Helm chart with Helm's own code and holds what comes out against the schemas of Kubernetes, KEDA and the Prometheus operator.

Usage: chart.py CHART WRONG. WRONG is a file with a JSON list of values that the chart must refuse. Prints one JSON object:
{"lint": [messages], "cases": {values file: {"documents": [...], "problems": [...]}}, "refused": [error or null, ...]}.
"""

import json
import pathlib
import sys

import cloudcoil.models.keda.v1alpha1 as keda
import cloudcoil.models.prometheus_operator.v1 as operator
import kubernetes_validate
import yaml
from helm_python import chart as helm

CHART, WRONG = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# The oldest that Chart.yaml allows, and the newest that the package knows.
VERSIONS = ["1.27", kubernetes_validate.latest_version()]
OPERATORS = {
    "ScaledObject": keda.ScaledObject,
    "PodMonitor": operator.PodMonitor,
    "PrometheusRule": operator.PrometheusRule,
}


def unknown(given, known, path):
    """What was given and the model does not know: it ignores such keys without a word."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key in known:
                yield from unknown(value, known[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown"
    elif isinstance(given, list) and isinstance(known, list):
        for at, (one, other) in enumerate(zip(given, known)):
            yield from unknown(one, other, f"{path}[{at}]")


def problems(document):
    kind = document["kind"]
    try:
        if kind in OPERATORS:
            model = OPERATORS[kind].model_validate(document)
            yield from unknown(document, model.model_dump(by_alias=True, exclude_unset=True, mode="json"), kind)
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
    except Exception as error:  # Whatever the validators raise is what we want to know.
        yield f"{kind} {document['metadata']['name']}: {error}"


def case(path):
    values = yaml.safe_load(path.read_text())
    chart = helm.Chart.load(CHART)
    chart.validate_schema(values)
    documents, found = [], []
    for template, text in chart.render(values, name="test", namespace="data").items():
        if template.endswith("NOTES.txt"):
            documents.append({"kind": "NOTES", "text": text})
            continue
        for document in yaml.safe_load_all(text):
            if document:
                documents.append(document)
                found += problems(document)
    lint = helm.lint(CHART, values, strict=True)
    return {"documents": documents, "problems": found + [str(error) for error in lint["errors"]]}


def refused(values):
    try:
        helm.Chart.load(CHART).render(values)
    except Exception as error:
        return str(error)
    return None


lint = helm.lint(CHART)
print(
    json.dumps(
        {
            "lint": [message["error"] for message in lint["messages"] if message["severity"] > 1],
            "cases": {path.name: case(path) for path in sorted((CHART / "ci").glob("*-values.yaml"))},
            "refused": [refused(values) for values in json.loads(WRONG.read_text())],
        }
    )
)
