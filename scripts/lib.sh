# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What every script here shares: places, messages, logged steps, pins.
# Sourced, never run; the caller has set -eu.

TOP=$(cd "$(dirname "$0")/.." && pwd)
BUILD=${HLU_BUILD:-$TOP/build}
CACHE=${HLU_CACHE:-$HOME/.cache/hlu}
# Debian's own tools, with the modules that scripts/setup installs for them
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
# The trees and their .git live under build/: never let a surrounding git
# environment (a hook, a rebase) lead git into this repository instead.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

say()
{
	echo "hlu: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# step NAME COMMAND...: run it with its output in build/log/NAME.log, show how
# far it is, and the last lines of the log when it fails.
step()
{
	_name=$1
	_log=$BUILD/log/$1.log
	shift
	mkdir -p "$BUILD/log"
	say "$_name ..."
	_start=$(date +%s)
	"$@" >"$_log" 2>&1 </dev/null &
	_pid=$!
	trap 'kill "$_pid" 2>/dev/null || :; exit 130' INT TERM
	_beat=0
	while kill -0 "$_pid" 2>/dev/null; do
		sleep 1
		_beat=$((_beat + 1))
		[ $((_beat % 30)) -eq 0 ] || continue
		say "$_name: $((_beat))s, $(wc -l <"$_log") lines: $(tail -n 1 "$_log" | cut -c 1-60)"
	done
	trap - INT TERM
	if ! wait "$_pid"; then
		tail -n 30 "$_log" >&2
		die "$_name failed; whole log: ${_log#"$TOP"/}"
	fi
	say "$_name: done in $(($(date +%s) - _start))s"
}

# pins TREE: the lines of UPSTREAM for TREE, "version role file sha256 place"
pins()
{
	awk -v t="$1" '$1 == t { print $2, $3, $4, $5, $6 }' "$TOP/UPSTREAM" |
		grep . || die "UPSTREAM does not know a tree named '$1'"
}

# new_files: paths of this repository that are new files of the Linux tree
new_files()
{
	(cd "$TOP" && git ls-files -co --exclude-standard -- \
		arch Documentation drivers include kernel lib mm tools virt)
}

# tree NAME: sets NAME, TREE and PATCHES, the places of one patched tree
tree()
{
	NAME=$1
	# shellcheck disable=SC2034 # for the caller
	TREE=$BUILD/$NAME
	PATCHES=$TOP/$NAME-patches
	[ "$NAME" != linux ] || PATCHES=$TOP/kernel-patches
	[ -f "$PATCHES/series" ] || die "no ${PATCHES#"$TOP"/}/series"
}

# wanted: a hash over all that build/NAME is made of
wanted()
{
	{
		pins "$NAME"
		cat "$PATCHES/series"
		sed -e 's|^|'"$PATCHES"'/|' "$PATCHES/series" | xargs -r cat
		[ "$NAME" != linux ] || (cd "$TOP" && new_files | xargs -r sha256sum)
	} | sha256sum | cut -d ' ' -f 1
}

# ccache with a cache of our own; quiet and without it where it is missing
compiler()
{
	CCACHE_DIR=$CACHE/ccache
	CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-10G}
	# a clone elsewhere must hit the same entries
	CCACHE_BASEDIR=$TOP
	CCACHE_NOHASHDIR=1
	export CCACHE_DIR CCACHE_MAXSIZE CCACHE_BASEDIR CCACHE_NOHASHDIR
	if command -v ccache >/dev/null; then echo "ccache gcc"; else echo gcc; fi
}
