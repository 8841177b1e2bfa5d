#!/usr/bin/env bash
# A whole cluster as plain processes, without Docker: Redis, an S3 server (SeaweedFS), a coordinator, two workers, and Prometheus where
# it is installed.
#
#   cluster.sh up     starts it and keeps it up until Ctrl-C; logs and data are in FOLDER
#   cluster.sh demo   packs the pages of examples/, submits the quickstart to the running cluster, watches it and checks what came out
#
# By variables: GRISTMILL (the binary), FOLDER, MODELS, LANES (of a worker), and the ports below.
set -euo pipefail
cd "$(dirname "$0")/.."

GRISTMILL=${GRISTMILL:-target/release/gristmill}
FOLDER=${FOLDER:-target/cluster}
GRPC_PORT=${GRPC_PORT:-7070}
REDIS_PORT=${REDIS_PORT:-16379}
S3_PORT=${S3_PORT:-18333}
METRICS_PORT=${METRICS_PORT:-19100}        # the coordinator's; the workers have the two that follow
PROMETHEUS_PORT=${PROMETHEUS_PORT:-19090}
BUCKET=gristmill
mkdir -p "$FOLDER"
FOLDER=$(cd "$FOLDER" && pwd)

pids=()
s3_pid=

# start NAME COMMAND…: in the background, with a log of its own.
start() {
  local name=$1
  shift
  "$@" >"$FOLDER/$name.log" 2>&1 &
  pids+=($!)
  echo "  $name (process $!, log $FOLDER/$name.log)" >&2
}

# The last started goes first. Workers may take their 25 seconds to take checkpoints and give their tasks back.
stop() {
  trap - EXIT INT TERM
  echo "stopping" >&2
  local pid at began
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    pid=${pids[at]} began=$SECONDS
    kill -"$([ "$pid" = "$s3_pid" ] && echo KILL || echo TERM)" "$pid" 2>/dev/null || continue
    while kill -0 "$pid" 2>/dev/null && ((SECONDS - began < 28)); do sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    { wait "$pid" || true; } 2>/dev/null
  done
}

# await NAME COMMAND…: until the command succeeds, or what was started last has ended, or a minute is over.
await() {
  local name=$1 began=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "${pids[-1]}" 2>/dev/null || ((SECONDS - began > 60)); then
      echo "$name does not start. Its log says:" >&2
      tail -n 20 "$FOLDER/$name.log" >&2
      exit 1
    fi
    sleep 0.2
  done
}

answers() { curl --silent --fail --max-time 2 "$1"; }

up() {
  for program in redis-server redis-cli weed curl; do
    command -v "$program" >/dev/null || { echo "$program is not installed: \`make cluster\` sets it up" >&2; exit 1; }
  done
  mkdir -p "$FOLDER"/{s3,scratch}
  export AWS_ENDPOINT_URL=http://127.0.0.1:$S3_PORT AWS_REGION=us-east-1
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local-secret
  {
    echo "export GRISTMILL_SERVER=127.0.0.1:$GRPC_PORT"
    echo "export AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL AWS_REGION=$AWS_REGION"
    echo "export AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY"
  } >"$FOLDER/env"
  cat >"$FOLDER/s3.json" <<JSON
{"identities": [{"name": "local", "credentials": [{"accessKey": "$AWS_ACCESS_KEY_ID", "secretKey": "$AWS_SECRET_ACCESS_KEY"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON

  trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  echo "starting" >&2
  start redis redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --save "" --dir "$FOLDER"
  await redis redis-cli -p "$REDIS_PORT" ping
  # Its own gRPC ports follow from these by 10000, which the usual range of outgoing connections may hold: so they are named.
  # (SeaweedFS is killed in the end: it takes no notice of less, and all it holds is on disk.)
  start s3 weed server -dir="$FOLDER/s3" -ip=127.0.0.1 -volume.max=100 -master.volumeSizeLimitMB=256 \
    -master.port=$((S3_PORT + 1)) -master.port.grpc=$((S3_PORT + 2)) -volume.port=$((S3_PORT + 3)) -volume.port.grpc=$((S3_PORT + 4)) \
    -filer -filer.port=$((S3_PORT + 5)) -filer.port.grpc=$((S3_PORT + 6)) -volume.preStopSeconds=0 -volume.minFreeSpace=1MiB \
    -s3 -s3.port="$S3_PORT" -s3.port.grpc=$((S3_PORT + 7)) -s3.port.iceberg=0 -s3.port.lance=0 -s3.config="$FOLDER/s3.json" \
    -s3.autoCreateBucket=true
  s3_pid=${pids[-1]}
  await s3 answers "http://127.0.0.1:$S3_PORT/healthz"

  local shared=(--workspace "s3://$BUCKET/workspace" --redis "redis://127.0.0.1:$REDIS_PORT" --scratch "$FOLDER/scratch")
  start coordinator "$GRISTMILL" coordinator "${shared[@]}" --listen "127.0.0.1:$GRPC_PORT" \
    --metrics "127.0.0.1:$METRICS_PORT" --models "${MODELS:-models}" --allow "s3://$BUCKET/" --allow "$PWD/" --allow "$FOLDER/" --allow https://data.commoncrawl.org/
  await coordinator answers "http://127.0.0.1:$METRICS_PORT/readyz"
  for worker in 1 2; do
    start "worker-$worker" "$GRISTMILL" worker "${shared[@]}" --lanes "${LANES:-1}" --metrics "127.0.0.1:$((METRICS_PORT + worker))"
    await "worker-$worker" answers "http://127.0.0.1:$((METRICS_PORT + worker))/readyz"
  done
  if command -v prometheus >/dev/null; then
    cat >"$FOLDER/prometheus.yml" <<YAML
global: {scrape_interval: 5s, evaluation_interval: 5s}
rule_files: ["$PWD/deploy/prometheus/*.rules.yaml"]
scrape_configs:
  - job_name: gristmill-coordinator
    static_configs: [{targets: ["127.0.0.1:$METRICS_PORT"]}]
  - job_name: gristmill-worker
    static_configs: [{targets: ["127.0.0.1:$((METRICS_PORT + 1))", "127.0.0.1:$((METRICS_PORT + 2))"]}]
YAML
    start prometheus prometheus --config.file="$FOLDER/prometheus.yml" --storage.tsdb.path="$FOLDER/prometheus" \
      --web.listen-address="127.0.0.1:$PROMETHEUS_PORT"
    await prometheus answers "http://127.0.0.1:$PROMETHEUS_PORT/-/ready"
    echo "Prometheus: http://127.0.0.1:$PROMETHEUS_PORT" >&2
  fi
  cat >&2 <<TEXT
The cluster is up. In another terminal:

  make cluster-demo            # submits the quickstart to it
  . $FOLDER/env && $GRISTMILL jobs

Ctrl-C stops it; what it holds stays in $FOLDER.
TEXT
  # A part that ends by itself is an error.
  wait -n "${pids[@]}" || true
  echo "one of the processes has ended; see the logs in $FOLDER" >&2
  exit 1
}

demo() {
  [ -f "$FOLDER/env" ] || { echo "no cluster in $FOLDER: \`make cluster\` starts one" >&2; exit 1; }
  # shellcheck disable=SC1091
  . "$FOLDER/env"
  local output="s3://$BUCKET/demo/${NAME:-$(date +%Y%m%d-%H%M%S)}"
  "$GRISTMILL" pack examples --output "$FOLDER/examples.warc.gz"
  "$GRISTMILL" submit recipes/quickstart.yaml --input "$FOLDER/examples.warc.gz" --output "$output" --watch
  "$GRISTMILL" verify "$output"
}

case "${1:-}" in
  up) up ;;
  demo) demo ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
