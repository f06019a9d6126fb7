#!/usr/bin/env bash
# systemd 252 takes a unit with Type=notify-reload for Type=simple, and its verification succeeds.
#
# Guess: a type that a version of systemd does not know is an error of the unit, or at least one of `systemd-analyze verify`.
# Seen: 252 (Debian 12) says `Failed to parse service type, ignoring` and goes on; the exit code is 0. The default type is
# `simple`, so nobody waits for READY=1, and a process that hands over to another (MAINPID=) ends the service.
set -euo pipefail
suite=bookworm

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/lists/partial" "$folder/archives/partial"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main" >"$folder/sources.list"
options=(-qq -o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$folder"
  -o Dir::State::status=/dev/null -o "Dir::Cache=$folder" -o APT::Sandbox::User=root -o Acquire::Languages=none)
cd "$folder"
apt-get "${options[@]}" update
apt-get "${options[@]}" download systemd libsystemd-shared
for package in ./*.deb; do dpkg-deb --extract "$package" root; done
analyze() { LD_LIBRARY_PATH=$(echo root/usr/lib/*/systemd) root/usr/bin/systemd-analyze "$@"; }
analyze --version | grep '^systemd 252 '

printf '[Service]\nType=notify-reload\nExecStart=/bin/true\n' >a.service
analyze verify --man=no ./a.service 2>said
grep --fixed-strings 'Failed to parse service type, ignoring: notify-reload' said
echo "seen: the verification succeeds"
