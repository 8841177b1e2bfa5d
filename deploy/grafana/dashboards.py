#!/usr/bin/env python3
"""The dashboards as code: writes dashboards/*.json. A panel is a title, a query or several, a unit and one sentence on what it tells.

Run it after a change; the tests check that the JSON is what this file makes, that Grafana's schema takes it, and that every query has
data while a job runs. Metrics that every coordinator reports alike (they read the shared truth) are taken by `max`, never summed.
"""

import json
import pathlib
import sys

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
JOB = 'job_id="$job"'

# Grafana's grid is 24 wide; a row of panels shares it.
WIDTH = 24


def target(expr, legend="", instant=False):
    return {"expr": expr, "legendFormat": legend or "__auto", "instant": instant, "range": not instant}


def panel(kind, title, description, targets, unit="short", height=8, options=None, custom=None, **defaults):
    if isinstance(targets, str):
        targets = [target(targets, instant=kind != "timeseries")]
    targets = [
        {"refId": chr(ord("A") + at), "datasource": DATASOURCE, **one} for at, one in enumerate(targets)
    ]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": targets,
        "options": options or {},
        "fieldConfig": {"defaults": {"unit": unit, **({"custom": custom} if custom else {}), **defaults}, "overrides": []},
        "height": height,
    }


def stat(title, description, expr, unit="short", **more):
    options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area", "textMode": "auto"}
    return panel("stat", title, description, expr, unit, height=4, options=options, **more)


def lines(title, description, targets, unit="short", stacked=False, **more):
    custom = {"fillOpacity": 40 if stacked else 0, "stacking": {"mode": "normal" if stacked else "none"}, "showPoints": "never"}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return panel("timeseries", title, description, targets, unit, options=options, custom=custom, **more)


def bars(title, description, targets, unit="short", **more):
    options = {
        "orientation": "horizontal",
        "displayMode": "gradient",
        "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "valueMode": "color",
    }
    return panel("bargauge", title, description, targets, unit, options=options, min=0, **more)


def funnel(title, description, expr, **more):
    """Bars in the order of the label `place`: Prometheus gives them in any."""
    made = bars(title, description, [{**target(expr, instant=True), "format": "table"}], **more)
    made["options"]["reduceOptions"] = {"calcs": [], "values": True, "limit": 100}
    made["transformations"] = [
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": {"place": 0, "step": 1, "Value": 2}}},
        {"id": "sortBy", "options": {"sort": [{"field": "place"}]}},
    ]
    return made


def table(title, description, targets, unit="short", hide=(), names=None, **more):
    made = panel("table", title, description, [{**one, "format": "table"} for one in targets], unit, **more)
    # One line for what all queries say of the same labels.
    made["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True, **{name: True for name in hide}}, "renameByName": names or {}}},
    ]
    return made


def variable(name, label, query, multi=False):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 2,
        "multi": multi,
        "includeAll": multi,
        "options": [],
        "current": {},
    }


def dashboard(uid, title, description, rows, variables=()):
    panels, y = [], 0
    for row in rows:
        # A row of panels may have a heading.
        if isinstance(row[0], str):
            heading = {"type": "row", "title": row[0], "collapsed": False, "panels": []}
            panels.append({**heading, "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y}})
            row, y = row[1:], y + 1
        width, height = WIDTH // len(row), max(one["height"] for one in row)
        for at, one in enumerate(row):
            one = dict(one)
            one.pop("height")
            panels.append({**one, "gridPos": {"h": height, "w": width, "x": at * width, "y": y}})
        y += height
    for number, one in enumerate(panels, 1):
        one["id"] = number
    source = {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "current": {}, "options": []}
    links = [{"title": "gristmill", "type": "dashboards", "tags": ["gristmill"], "asDropdown": True, "includeVars": False, "keepTime": True}]
    return {
        "uid": f"gristmill-{uid}",
        "title": title,
        "description": description,
        "tags": ["gristmill"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "links": links,
        "templating": {"list": [source, *variables]},
        "annotations": {"list": []},
        "panels": panels,
    }


def quantiles(metric, by="", **labels):
    where = ",".join(f'{name}="{value}"' for name, value in labels.items())
    group = f"le,{by}" if by else "le"
    return [
        target(f"histogram_quantile({q}, sum by ({group}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))", f"{{{{{by}}}}} p{int(q * 100)}" if by else f"p{int(q * 100)}")
        for q in (0.5, 0.95)
    ]


JOBS = dashboard(
    "jobs",
    "gristmill · Jobs",
    "What became of every document of a job, how far it is, and when it will be done.",
    [
        [
            "All jobs",
            table(
                "Jobs",
                "Active and paused jobs, and those that ended within a quarter of an hour.",
                [
                    target("max by (job_id, name, priority) (gristmill_job_info)", instant=True),
                    target("max by (job_id, state) (gristmill_job_state == 1)", instant=True),
                    target("max by (job_id) (gristmill_job_progress_ratio)", instant=True),
                ],
                unit="percentunit",
                hide=["Value #A", "Value #B"],
                names={"job_id": "Job", "name": "Name", "priority": "Priority", "state": "State", "Value #C": "Progress"},
            ),
        ],
        [
            "$job",
            stat("Progress", "Tasks done of all tasks, over all stages.", f"max(gristmill_job_progress_ratio{{{JOB}}})", "percentunit", min=0, max=1),
            stat("Stage is done in", "At the present rate; the later stages are not in it.", f"max(gristmill_job_stage_remaining_seconds{{{JOB}}})", "s"),
            stat("Documents/s", "Of the stage that runs, over 90 s.", f"max(gristmill_job_documents_per_second{{{JOB}}})", "short"),
            stat("Documents read", "By the first pass.", f'max(gristmill_job_documents_in_total{{{JOB}, stage="0"}})'),
            stat("Documents dropped", "By all steps so far.", f"sum(max by (stage, step, reason) (gristmill_job_documents_dropped_total{{{JOB}}}))"),
            stat("Documents broken", "That could not be dealt with: bombs, bad bytes, hangs.", f"sum(max by (stage, reason) (gristmill_job_documents_broken_total{{{JOB}}})) or vector(0)"),
        ],
        [
            "Funnel",
            funnel(
                "Documents after each step",
                "What is left of the corpus after each step, in the order of the recipe.",
                f"sum by (place, step) (max by (stage, place, step) (gristmill_job_step_documents_out_total{{{JOB}}}))",
                height=12,
            ),
            bars(
                "Why documents were dropped",
                "The twenty commonest reasons.",
                [target(f"topk(20, sum by (step, reason) (max by (stage, step, reason) (gristmill_job_documents_dropped_total{{{JOB}}})))", "{{step}}: {{reason}}", instant=True)],
                height=12,
            ),
        ],
        [
            "Work",
            lines(
                "Tasks of the stages",
                "Every task of every stage, by what it is doing.",
                [target(f"sum by (state) (max by (stage, state) (gristmill_job_stage_tasks{{{JOB}}}))", "{{state}}")],
                stacked=True,
            ),
            lines(
                "Documents/s",
                "Read by tasks that are done, by stage.",
                [target(f"sum by (stage) (max by (stage) (rate(gristmill_job_documents_in_total{{{JOB}}}[$__rate_interval])))", "stage {{stage}}")],
            ),
            lines(
                "Bytes/s",
                "Stored bytes that done tasks read and wrote.",
                [
                    target(f"sum(max by (stage) (rate(gristmill_job_read_bytes_total{{{JOB}}}[$__rate_interval])))", "read"),
                    target(f"sum(max by (stage) (rate(gristmill_job_written_bytes_total{{{JOB}}}[$__rate_interval])))", "written"),
                ],
                "Bps",
            ),
        ],
        [
            "Trouble",
            lines(
                "Broken documents",
                "By reason. `_problems.jsonl` beside the manifest names the first of them.",
                [target(f"sum by (reason) (max by (stage, reason) (gristmill_job_documents_broken_total{{{JOB}}}))", "{{reason}}")],
            ),
            lines(
                "Failed tasks",
                "That have used up their attempts. `gristmill tasks JOB --state failed` says why; `gristmill retry JOB` tries again.",
                [target(f'sum by (stage) (max by (stage) (gristmill_job_stage_tasks{{{JOB}, state="failed"}}))', "stage {{stage}}")],
            ),
        ],
    ],
    [variable("job", "Job", "label_values(gristmill_job_info, job_id)")],
)

FLEET = dashboard(
    "fleet",
    "gristmill · Fleet",
    "The workers: how many there are and should be, what their lanes do, where their time goes.",
    [
        [
            "Now",
            stat("Workers", "That are scraped.", "count(gristmill_worker_lanes)"),
            stat("Workers wanted", "What the autoscaler is told.", "max(gristmill_workers_wanted)"),
            stat("Lanes busy", "Of all lanes.", "sum(gristmill_worker_lanes_busy) / sum(gristmill_worker_lanes)", "percentunit", min=0, max=1),
            stat("Documents/s/lane", "Read by a busy lane.", "sum(rate(gristmill_worker_documents_in_total[$__rate_interval])) / sum(gristmill_worker_lanes_busy > 0)"),
            stat("Oldest ready task", "How long the first in line has waited.", "max(gristmill_queue_oldest_ready_seconds)", "s"),
        ],
        [
            "Scaling",
            lines(
                "Workers",
                "There, and wanted.",
                [target("count(gristmill_worker_lanes)", "there"), target("max(gristmill_workers_wanted)", "wanted")],
            ),
            lines(
                "Lanes",
                "There, and with a task.",
                [target("sum(gristmill_worker_lanes)", "there"), target("sum(gristmill_worker_lanes_busy)", "busy")],
            ),
            lines(
                "Work that waits",
                "Lane seconds of it, by what a task took lately.",
                [target("max(gristmill_autoscaler_backlog_seconds)", "backlog"), target("max(gristmill_autoscaler_task_seconds)", "a task")],
                "s",
            ),
        ],
        [
            "Work",
            lines("Documents/s", "Read, and kept to the end of the pass.", [
                target("sum(rate(gristmill_worker_documents_in_total[$__rate_interval]))", "read"),
                target("sum(rate(gristmill_worker_documents_kept_total[$__rate_interval]))", "kept"),
            ]),
            lines(
                "Lanes in each step",
                "How many lanes are in a step, on average: where the processor time goes.",
                [target("topk(15, sum by (step) (rate(gristmill_worker_step_seconds_total[$__rate_interval])))", "{{step}}")],
                stacked=True,
            ),
            lines(
                "Time a document spends in a step",
                "The slowest ten steps.",
                [target("topk(10, sum by (step) (rate(gristmill_worker_step_seconds_total[$__rate_interval])) / sum by (step) (rate(gristmill_worker_step_documents_total[$__rate_interval]) > 0))", "{{step}}")],
                "s",
            ),
        ],
        [
            "Tasks",
            lines("Attempts that ended", "By outcome. `lost`: the lease ran out; `released`: the worker was told to go.", [
                target("sum by (outcome) (rate(gristmill_worker_attempts_total[$__rate_interval]))", "{{outcome}}"),
            ], "ops"),
            lines("How long a task takes", "Claim to commit, by kind.", quantiles("gristmill_worker_task_duration_seconds", "kind"), "s"),
            lines("Hang, death, isolation", "Documents found to hang or kill the program, and attempts made in a process of their own.", [
                target("sum by (cause) (rate(gristmill_worker_poison_documents_total[$__rate_interval]))", "poison: {{cause}}"),
                target("sum(rate(gristmill_worker_isolated_attempts_total[$__rate_interval]))", "isolated attempts"),
                target("sum(gristmill_worker_threads_abandoned)", "threads left behind"),
            ]),
        ],
        [
            "Machines",
            lines("Memory", "Of a worker, as a share of its limit.", [
                target('process_resident_memory_bytes{job="gristmill-worker"} / gristmill_memory_limit_bytes', "{{instance}}"),
            ], "percentunit", min=0),
            lines("Processor", "Cores used by a worker.", [
                target('rate(process_cpu_seconds_total{job="gristmill-worker"}[$__rate_interval])', "{{instance}}"),
            ]),
            lines("Models", "Bytes of the models and lists of open jobs, and how often a job had to be opened.", [
                target("sum(gristmill_worker_model_bytes)", "bytes"),
            ], "bytes"),
            lines("Jobs opened", "From memory, or from the object store.", [
                target("sum by (outcome) (rate(gristmill_worker_job_opens_total[$__rate_interval]))", "{{outcome}}"),
            ], "ops"),
        ],
    ],
)

STORAGE = dashboard(
    "storage",
    "gristmill · Storage & queue",
    "Object storage and Redis, as gristmill meets them.",
    [
        [
            "Object storage",
            lines("Requests", "Every try, by operation.", [target("sum by (operation) (rate(gristmill_storage_requests_total[$__rate_interval]))", "{{operation}}")], "reqps"),
            lines("What came of them", "All but `ok`. Some not_found are normal: whether a record is there is asked before it is made.", [
                target('sum by (outcome) (rate(gristmill_storage_requests_total{outcome!="ok"}[$__rate_interval]))', "{{outcome}}"),
            ], "reqps"),
            lines("Tried again", "By reason. `throttled`: the store asks for fewer requests.", [
                target("sum by (reason) (rate(gristmill_storage_retries_total[$__rate_interval]))", "{{reason}}"),
            ], "reqps"),
        ],
        [
            lines("Bytes", "Read and written.", [
                target("sum(rate(gristmill_storage_read_bytes_total[$__rate_interval]))", "read"),
                target("sum(rate(gristmill_storage_written_bytes_total[$__rate_interval]))", "written"),
            ], "Bps"),
            lines("How long a request takes", "Reads to their first byte.", quantiles("gristmill_storage_request_duration_seconds", "operation"), "s"),
            lines("Waiting to try again", "Requests that wait, on average.", [
                target("sum(rate(gristmill_storage_retry_wait_seconds_total[$__rate_interval]))", "waiting"),
            ]),
        ],
        [
            "Queue",
            lines("Tasks", "By state. The queue holds a window of all tasks only.", [target("sum by (state) (max by (priority, state) (gristmill_queue_tasks))", "{{state}}")], stacked=True),
            lines("Ready tasks", "By priority.", [target('max by (priority) (gristmill_queue_tasks{state="ready"})', "{{priority}}")]),
            lines("Oldest ready task", "By priority.", [target("max by (priority) (gristmill_queue_oldest_ready_seconds)", "{{priority}}")], "s"),
        ],
        [
            lines("Tasks that ended", "As the coordinators heard.", [target("max by (outcome) (rate(gristmill_queue_tasks_ended_total[$__rate_interval]))", "{{outcome}}")], "ops"),
            lines("Leases that ran out", "Their workers were not heard of in time.", [target("sum by (fate) (rate(gristmill_queue_leases_expired_total[$__rate_interval]))", "{{fate}}")], "ops"),
            lines("Calls that failed", "Redis did not answer, or badly.", [
                target("sum(rate(gristmill_queue_errors_total[$__rate_interval]))", "coordinators"),
                target("sum by (call) (rate(gristmill_worker_queue_errors_total[$__rate_interval]))", "workers: {{call}}"),
            ], "ops"),
        ],
    ],
)

COORDINATOR = dashboard(
    "coordinator",
    "gristmill · Coordinator",
    "Those that take in jobs and hand out their tasks.",
    [
        [
            "Now",
            stat("Coordinators", "That are scraped.", 'count(gristmill_build_info{role="coordinator"})'),
            stat("Active jobs", "", 'max(gristmill_jobs{state="active"})'),
            stat("Failed jobs", "`gristmill retry JOB` gives their tasks new attempts.", 'max(gristmill_jobs{state="failed"})'),
            stat("Queue measured", "How long ago the queue was last measured.", "time() - max(gristmill_queue_measured_timestamp_seconds)", "s"),
        ],
        [
            "Requests",
            lines("Calls", "By method.", [target("sum by (method) (rate(gristmill_coordinator_requests_total[$__rate_interval]))", "{{method}}")], "reqps"),
            lines("Calls that were refused or failed", "By code.", [
                target('sum by (method, code) (rate(gristmill_coordinator_requests_total{code!="OK"}[$__rate_interval]))', "{{method}} {{code}}"),
            ], "reqps"),
            lines("How long a call takes", "Streams to their beginning.", quantiles("gristmill_coordinator_request_duration_seconds", "method"), "s"),
        ],
        [
            "Jobs",
            lines("Jobs", "By state.", [target("max by (state) (gristmill_jobs)", "{{state}}")], stacked=True),
            lines("Planning", "Checking, listing and planning a job.", quantiles("gristmill_coordinator_plan_duration_seconds"), "s"),
            lines("Waits", "How often a job was put off because store or queue did not answer.", [
                target("sum(rate(gristmill_coordinator_job_waits_total[$__rate_interval]))", "waits"),
            ], "ops"),
        ],
        [
            "Processes",
            lines("Memory", "Of a coordinator.", [target('process_resident_memory_bytes{job="gristmill-coordinator"}', "{{instance}}")], "bytes"),
            lines("Processor", "Cores used.", [target('rate(process_cpu_seconds_total{job="gristmill-coordinator"}[$__rate_interval])', "{{instance}}")]),
            lines("Open files", "", [target('process_open_fds{job="gristmill-coordinator"}', "{{instance}}")]),
        ],
    ],
)

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "dashboards")
    folder.mkdir(exist_ok=True)
    for made in (JOBS, FLEET, STORAGE, COORDINATOR):
        name = made["uid"].removeprefix("gristmill-")
        (folder / f"{name}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
