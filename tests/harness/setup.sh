#!/usr/bin/env bash
# Makes this machine ready for `make`: checks every toolchain at once, lets apt install what it can,
# fetches the pinned parts of the local stack into a cache that all clones share, and links them
# into .stack/cache. Repeating it is cheap; runs side by side wait for each other.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}

kafka=4.3.1 log4j=2.25.5 apicurio=3.0.9 govmomi=v0.46.3

say() { printf 'setup: %s\n' "$*"; }

# --- What must be on the machine -----------------------------------------------------------------

toolchains=() packages=() contents=()

at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }
first_version() { grep -oE '[0-9]+(\.[0-9]+)+|[0-9]+' | head -n 1; }

# toolchain NAME NEEDED REMEDY VERSION-COMMAND...: apt has it too old or not at all.
toolchain() {
  local name=$1 needed=$2 remedy=$3 found=
  shift 3
  if command -v "$1" >/dev/null; then found=$("$@" | first_version || true); fi
  at_least "${found:-0}" "$needed" ||
    toolchains+=("$name >= $needed (found: ${found:-none}): $remedy")
}

# package NAME CONTENTS CHECK...: apt has it, and what is lacking is told by its contents.
package() {
  "${@:3}" >/dev/null 2>&1 || { packages+=("$1") && contents+=("$2"); }
}

java_version() { if command -v java >/dev/null; then java -version 2>&1 | first_version; fi; }
java_17() { at_least "$(java_version)" 17; }
compilers() { command -v cc && command -v c++ && command -v make; }
flock_and_setpriv() { command -v flock && command -v setpriv; }
python_with_venv() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))'; }
postgres_15() { [ -n "$(postgres_folder)" ]; }

# The folder of the newest PostgreSQL server, 15 or later; nothing where there is none.
postgres_folder() {
  local folder
  for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
    "$(pg_config --bindir 2>/dev/null)" "$(dirname "$(command -v postgres)")"; do
    [ -x "$folder/initdb" ] && at_least "$("$folder/postgres" --version | first_version)" 15 &&
      echo "$folder" && return
  done
}

check_machine() {
  toolchains=() packages=() contents=()
  # rustup brings the pinned Rust by itself, but not within this check: that takes half a minute.
  command -v rustup >/dev/null ||
    toolchain Rust 1.94 'run: curl -sSf https://sh.rustup.rs | sh; then open a new shell' \
      cargo --version
  toolchain Go 1.22 'unpack a release of https://go.dev/dl and put its bin folder on PATH' go version
  package default-jre-headless 'Java >= 17' java_17
  package maven Maven command -v mvn
  package python3-venv 'Python >= 3.9 with venv' python_with_venv
  package build-essential 'C and C++ compilers and make' compilers
  package pkg-config pkg-config command -v pkg-config
  package libssl-dev "OpenSSL's headers" pkg-config --exists openssl
  package zlib1g-dev "zlib's headers" pkg-config --exists zlib
  package openssl openssl command -v openssl
  package util-linux 'flock and setpriv' flock_and_setpriv
  package postgresql 'a PostgreSQL server >= 15' postgres_15
}

# Debian starts a server of its own with the package; this stack has its own, so none is wanted.
install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  local settings=/etc/postgresql-common/createcluster.conf
  apt-get -qq update
  if [[ " ${packages[*]} " == *' postgresql '* ]]; then
    apt-get -qq install -y --no-install-recommends postgresql-common
    sed -i 's/^#create_main_cluster = true/create_main_cluster = false/' "$settings"
  fi
  apt-get -qq install -y --no-install-recommends "${packages[@]}"
}

# refuse REMEDY: ends; the remedy is what to do about the packages.
refuse() {
  say 'this machine lacks:'
  [ ${#toolchains[@]} = 0 ] || printf '  %s\n' "${toolchains[@]}"
  [ ${#packages[@]} = 0 ] ||
    printf '  %s: %s\n' "$(printf '%s, ' "${contents[@]}" | sed 's/, $//')" "$1 ${packages[*]}"
  exit 1
}

prepare_machine() {
  check_machine
  [ $((${#toolchains[@]} + ${#packages[@]})) = 0 ] && return
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    refuse 'run: sudo apt-get update && sudo apt-get install -y'
  [ ${#toolchains[@]} = 0 ] || refuse 'once the above is there, set-up installs'
  say "apt-get installs ${packages[*]}"
  install_packages >"$cache/apt.log" 2>&1 || tail -n 15 "$cache/apt.log" | sed 's/^/  /'
  check_machine
  [ ${#packages[@]} = 0 ] || refuse "still not there or not first on PATH (log: $cache/apt.log):"
}

# --- What is fetched -----------------------------------------------------------------------------

maven() { mvn -B -q -C "org.apache.maven.plugins:maven-dependency-plugin:$1" "${@:2}"; }

build_kafka() {
  maven 3.8.1:copy-dependencies -f "$here/config/kafka.pom.xml" -Dkafka.version=$kafka \
    -Dlog4j.version=$log4j -DincludeScope=runtime -DoutputDirectory="$1"
}
# Plugin 2.8, because later ones insist on the registry's parent POM, which is not published.
build_registry() {
  (cd "$1" && maven 2.8:unpack -DoutputDirectory="$1" \
    -Dartifact=io.apicurio:apicurio-registry-app:$apicurio:tar.gz:all) &&
    rm -rf "$1/\${project.basedir}" # markers that the plugin writes where it was called
}
build_vcenter() {
  local module=github.com/vmware/govmomi
  GOBIN=$1 CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
    go install -ldflags '-s -w' $module/vcsim@$govmomi $module/govc@$govmomi
}
build_python() {
  python3 -m venv --copies "$1" && "$1/bin/python" -m pip install -q -r "$here/config/python.txt"
}

# Java starts these servers in half the time with an archive of the classes that an earlier start
# has loaded. Without one they start as well, so what fails here is no failure.
build_classes() {
  local work=$1 port=$((15000 + RANDOM % 8000)) libs="$cache/kafka-$kafka/*"
  local controller=$((port + 8000)) properties=$1/kafka.properties
  cp "$here/config/kafka.properties" "$properties"
  printf '%s\n' "log.dirs=$work/kafka" "controller.quorum.voters=1@127.0.0.1:$controller" \
    "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller" >>"$properties"
  java -cp "$libs" kafka.tools.StorageTool format -t "$(printf 'A%.0s' {1..22})" -c "$properties"
  record_classes "$work/kafka.jsa" $port -cp "$libs" kafka.Kafka "$properties"
  record_classes "$work/registry.jsa" $port -Dquarkus.http.host=127.0.0.1 \
    -Dquarkus.http.port=$port -Dapicurio.storage.kind=sql -Dapicurio.storage.sql.kind=h2 \
    -jar "$cache/apicurio-$apicurio/apicurio-registry-app-$apicurio-runner.jar"
  rm -rf "$work/kafka" "$properties"
}

# record_classes ARCHIVE PORT ARGUMENTS...: runs a server until it listens; its end writes the file.
record_classes() {
  local archive=$1 port=$2 server
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit="$archive" "${@:3}" &
  server=$!
  for _ in {1..600}; do
    (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null && break
    sleep 0.1
  done
  kill $server
  wait $server || true
}

# part LINK FOLDER BUILDER REMEDY: built in a temporary folder and renamed, so never half there.
part() {
  local link=$1 folder=$cache/$2 started=$SECONDS work
  if [ ! -d "$folder" ]; then
    say "fetching $2"
    work=$(mktemp -d "$cache/fetching-XXXXXX")
    if ! "$3" "$work" >"$folder.log" 2>&1; then
      tail -n 15 "$folder.log" | sed 's/^/  /'
      say "$2 could not be fetched: $4; the whole log: $folder.log"
      rm -rf "$work"
      return 1
    fi
    chmod 755 "$work"
    mv -T "$work" "$folder"
    say "$2 is there after $((SECONDS - started)) s"
  fi
  link "$folder" "$link"
}

link() {
  local place=$project/.stack/cache/$2
  [ "$(readlink "$place" || true)" = "$1" ] && return
  ln -sfn "$1" "$place.new" && mv -T "$place.new" "$place"
}

# Maven's local repository is not safe for two at a time: its two parts are fetched one by one.
maven_parts() {
  local remedy='is the Maven repository reachable? a proxy or mirror goes into ~/.m2/settings.xml'
  part kafka "kafka-$kafka" build_kafka "$remedy" &&
    part registry "apicurio-$apicurio" build_registry "$remedy" &&
    part classes "classes-kafka-$kafka-apicurio-$apicurio-java-$(java_version)" build_classes ''
}

fetch_parts() {
  local python failed=0 job
  python=python-$(cksum <"$here/config/python.txt" | cut -d ' ' -f 1)
  rm -rf "$cache"/fetching-*
  maven_parts &
  part vcenter "govmomi-$govmomi" build_vcenter 'is the Go module proxy reachable? see go env GOPROXY' &
  part python "$python" build_python 'is the Python package index reachable? see pip config list' &
  for job in $(jobs -p); do wait "$job" || failed=1; done
  link "$(postgres_folder)" postgres
  return $failed
}

mkdir -p "$cache" "$project/.stack/cache"
exec 9>"$cache/lock"
flock -n 9 || { say 'waiting for another set-up to end' && flock 9; }
prepare_machine
(cd "$project" && cargo --version >/dev/null) # rustup fetches what rust-toolchain.toml names
fetch_parts
say "everything is there (cache: $cache)"
