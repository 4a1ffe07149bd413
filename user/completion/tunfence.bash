# SPDX-License-Identifier: GPL-2.0
#
# What bash completes after "tunfence". Its words are compared with the program's by
# tests/check-words; where names come from is told by the same options as the program is.

# The value of an option on the command line, or what it is without.
_tunfence_value() {
	local i
	for ((i = 1; i < COMP_CWORD - 1; i++)); do
		if [[ ${COMP_WORDS[i]} == "$1" ]]; then
			printf '%s\n' "${COMP_WORDS[i + 1]}"
			return
		fi
	done
	printf '%s\n' "$2"
}

# Names of fences: those that could be raised, and those that are.
_tunfence_names() {
	local file config wireguard pins
	config=$(_tunfence_value --config-dir /etc/tunfence)
	wireguard=$(_tunfence_value --wireguard-dir /etc/wireguard)
	pins=$(_tunfence_value --bpffs /sys/fs/bpf)/tunfence
	for file in "$config"/*.conf "$wireguard"/*.conf "$pins"/[!~]*/; do
		[[ -e $file ]] || continue
		file=${file%/}
		file=${file##*/}
		printf '%s\n' "${file%.conf}"
	done | sort -u
}

# The command on the command line, and in "before" the words between it and the cursor.
_tunfence_command() {
	local i
	command='' before=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--top | --since | --app | --only | --by | --output | --pcap | --cgroup | --bpffs | --*-dir) ((i++)) ;;
		-*) ;;
		*) before+=("${COMP_WORDS[i]}") ;;
		esac
	done
	command=${before[0]-}
	before=("${before[@]:1}")
}

# What may follow the words of explain.
_tunfence_explain() {
	local previous=${COMP_WORDS[COMP_CWORD - 1]} in=0
	[[ ${before[0]-} != in ]] || in=1
	case $previous in
	explain)
		echo in udp tcp icmp wireguard
		return
		;;
	in)
		echo udp tcp icmp wireguard
		return
		;;
	dev)
		ls /sys/class/net 2>/dev/null
		return
		;;
	plane)
		((in)) && echo ingress || echo socket wire namespace
		return
		;;
	fence)
		_tunfence_names
		return
		;;
	cgroup)
		compgen -d -- "${COMP_WORDS[COMP_CWORD]}"
		return
		;;
	esac
	# A word and its value by turns, after a protocol and an address.
	(((${#before[@]} - in) >= 2 && (${#before[@]} - in) % 2 == 0)) || return
	((in)) && echo to dev plane fence cgroup || echo from dev mark plane fence cgroup
}

_tunfence() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands='up down status blocked watch metrics sync check explain run verify prepare gate
		admit version help'
	local options='--force --json --verbose --follow --exempt --top --since --app --clear --only --by --output
		--journal --pcap --config-dir --wireguard-dir --socket-dir --cgroup --bpffs --run-dir --state-dir
		--help --version'
	local groups='socket tcp uring raw packet ring xdp kernel name plumbing forward side route
		tunnel impostor inbound spoof'
	local command before words='' files='' i

	_tunfence_command
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- && $command == run ]]; then
			_command_offset "$((i + 1))" 2>/dev/null
			return
		fi
	done
	case $previous in
	--by | --output | --pcap) files='file' ;;
	--cgroup | --bpffs | --*-dir) files='directory' ;;
	--only) words=$groups ;;
	--since) words='10min 1h today' ;;
	--top | --app) ;;
	*)
		case $current,$command,${#before[@]} in
		-*) words=$options ;;
		*,,*) words=$commands ;;
		*,up,0)
			words=$(_tunfence_names)
			[[ $current != */* ]] || files='file'
			;;
		*,down,0 | *,status,0 | *,blocked,0 | *,watch,0 | *,metrics,0 | *,sync,0 | *,run,0 | *,gate,0)
			words=$(_tunfence_names)
			;;
		*,run,1) words=-- ;;
		*,check,0) files='file' ;;
		*,help,0) words=$commands ;;
		*,explain,*) words=$(_tunfence_explain) ;;
		esac
		;;
	esac

	mapfile -t COMPREPLY < <(
		compgen -W "$words" -- "$current"
		[[ -z $files ]] || compgen -A "$files" -- "$current"
	)
	if [[ -n $files ]]; then
		compopt -o filenames 2>/dev/null
	fi
}

complete -F _tunfence tunfence
