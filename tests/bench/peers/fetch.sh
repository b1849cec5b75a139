#!/usr/bin/env bash
# fetch.sh debezium|redpanda: fetches a peer of the benchmark in a pinned version into the cache that
# all clones share, and prints its folder. Repeating it is cheap. Nothing of a peer is in this project.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}

kafka=4.3.1 log4j=2.25.5 avro=1.12.0 debezium=3.6.0.Final
redpanda=v4.105.0 benthos=v4.78.0

maven() { mvn -B -q -C "org.apache.maven.plugins:maven-dependency-plugin:$1" "${@:2}"; }

build_debezium() {
  local work=$1
  maven 3.8.1:copy-dependencies -f "$here/connect.pom.xml" -Dkafka.version=$kafka \
    -Davro.version=$avro -Dlog4j.version=$log4j -DincludeScope=runtime -DoutputDirectory="$work/libs"
  mkdir -p "$work/plugins" "$work/classes"
  (cd "$work" && maven 2.8:unpack -DoutputDirectory="$work/plugins" \
    -Dartifact=io.debezium:debezium-connector-jdbc:$debezium:tar.gz:plugin)
  javac -cp "$work/libs/*" -d "$work/classes" "$here/FlatAvroConverter.java"
}

build_redpanda() {
  cp "$here/redpanda/main.go" "$1"
  (cd "$1" && go mod init bench && export CGO_ENABLED=0 GOFLAGS=-mod=mod &&
    go get github.com/redpanda-data/connect/v4@$redpanda github.com/redpanda-data/benthos/v4@$benthos &&
    go get . && go build -ldflags '-s -w' -o redpanda-connect .)
}

case ${1:-} in
debezium) folder=$cache/debezium-$debezium-kafka-$kafka-$(cksum <"$here/FlatAvroConverter.java" | cut -d ' ' -f 1) ;;
redpanda) folder=$cache/redpanda-connect-$redpanda ;;
*) echo "which peer? debezium or redpanda" >&2 && exit 64 ;;
esac
mkdir -p "$cache"
exec 9>"$cache/peers.lock"
flock 9
if [ ! -d "$folder" ]; then
  work=$(mktemp -d "$cache/peer-XXXXXX")
  if ! "build_$1" "$work" >"$folder.log" 2>&1; then
    tail -n 15 "$folder.log" >&2
    rm -rf "$work"
    exit 1
  fi
  mv -T "$work" "$folder"
fi
echo "$folder"
