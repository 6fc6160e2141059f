# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Other suites of Debian's archive, without touching the system's sources:
# lists and cache of our own below the download cache. Sourced after lib.sh.

APT=$CACHE/apt

# The machine's own Debian entry with another suite, in lists of our own.
apt_sources()	# TYPE SUITE
{
	_uri=$(sed -n -e 's/^URIs: *\([^ ]*\/debian\)\/\{0,1\}$/\1/p' \
		-e 's/^deb *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\/debian\)\/\{0,1\} .*/\2/p' \
		/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
	[ -n "$_uri" ] || return 1
	mkdir -p "$APT/$2/lists/partial" "$APT/$2/cache/archives/partial" "$APT/get"
	echo "$1 $_uri $2 main" >"$APT/$2/$1.list"
}

# A mirror that lags behind will do: signatures and, for sources, our own
# hashes decide what is accepted.
apt_in()	# TYPE SUITE COMMAND...
{
	_type=$1 _suite=$2
	shift 2
	"$@" -q -o Dir::Etc::sourcelist="$APT/$_suite/$_type.list" \
		-o Dir::Etc::sourceparts=- -o Dir::State::lists="$APT/$_suite/lists" \
		-o Dir::Cache="$APT/$_suite/cache" -o APT::Sandbox::User=root \
		-o Acquire::Check-Valid-Until=false
}

# apt_unpack SUITE PACKAGE DIR: the package's files below DIR, not installed
apt_unpack()
{
	apt_sources deb "$1" || return 1
	apt_in deb "$1" apt-get update &&
	(cd "$APT/get" && apt_in deb "$1" apt-get download "$2") || return 1
	for _deb in "$APT/get/$2"_*.deb; do
		dpkg-deb -x "$_deb" "$3"
		rm -f "$_deb"
	done
}
