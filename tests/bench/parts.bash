# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The parts of the bench: each prints its samples (bench.h). Sourced by tests/bench/run, which runs
# each in namespaces of its own.

# How long traffic is measured at a time.
: "${MILLISECONDS:=250}"
# Entries of the lists that are compared with each other's.
LIST=1000
# What takes seconds each time is not done more often than this.
LONG_ROUNDS=3

part_programs() {
	"$bench" programs "$ROUNDS"
}

# ---- traffic ------------------------------------------------------------------------------------

# Who filters, by the name of filter_*, and what people call it. The first is what all others are a
# ratio to.
FILTERS=(none floor tunfence postup rules script stateless_nft stateless_iptables)
LISTS=(list_tunfence list_nft list_iptables)
declare -A LABEL=(
	[none]="no filter" [floor]="empty programs" [tunfence]="tunfence"
	[postup]="article 1: PostUp" [rules]="article 2: rules.v4" [script]="article 3: script"
	[stateless_nft]="nft, stateless" [stateless_iptables]="iptables, stateless"
	[wall]="a program that drops"
	[list_tunfence]="tunfence" [list_nft]="nft set" [list_iptables]="iptables list"
)
KINDS=("UDP 64 bytes:$PORT_UDP" "UDP 1400 bytes:$PORT_UDP" "TCP stream:$PORT_STREAM"
	"TCP questions:$PORT_ECHO")

# raise WORLD: its filter, which is seen to keep something in.
raise() {
	"filter_$1" "$1"
	[[ $1 == none || $1 == floor ]] || check_filter "$1"
}

# in_turn ROUND WORLD...: one a line, in an order of each round's own: none is always the first.
in_turn() {
	local shift=$(($1 % ($# - 1)))
	shift
	printf '%s\n' "${@:shift + 1}" "${@:1:shift}"
}

# traffic_round ROUND PATH KIND PORT: by all in turn, within so short a time that who shares the
# machine is in each.
traffic_round() {
	local name
	for name in $(in_turn "$1" "${FILTERS[@]}"); do
		"over_$2" "$name" traffic "$2: $3" "${LABEL[$name]}" "${LABEL[none]}" "$1" "$3" "$4"
	done
}

list_round() {
	local name
	for name in $(in_turn "$1" none "${LISTS[@]}"); do
		over_veth "$name" traffic "veth: UDP 64 bytes, one of $LIST" "${LABEL[$name]}" \
			"${LABEL[none]}" "$1" "UDP 64 bytes" "$PORT_OTHER"
	done
}

part_traffic() {
	local name kind round
	for name in "${FILTERS[@]}"; do
		world "$name"
		tunnel "$name"
		raise "$name"
	done
	for name in "${LISTS[@]}"; do
		world "$name"
		raise "$name"
	done
	for ((round = 0; round < ROUNDS; round++)); do
		for kind in "${KINDS[@]}"; do
			traffic_round "$round" veth "${kind%:*}" "${kind#*:}"
			traffic_round "$round" tunnel "${kind%:*}" "${kind#*:}"
		done
		list_round "$round"
	done
}

# ---- drops --------------------------------------------------------------------------------------

DROPPERS=(wall tunfence stateless_nft stateless_iptables)

# counted WORLD: what its fence has dropped, wherever: what is dropped once comes to no other plane.
counted() {
	in_client "$1" "$TUNFENCE" metrics "${TOOL[@]}" | awk '
		/^tunfence_packets_total/ && /verdict="drop"/ { sum += $NF } END { print sum + 0 }'
}

# flood_beside WORLD ROUND: what is allowed goes on beside a flood of what is not. Of that every
# packet must be counted.
flood_beside() {
	local name=$1 before=0 after=0 packets rate
	[[ $name != tunfence ]] || before=$(counted "$name")
	in_client "$name" "$bench" flood "$SERVER" "$((MILLISECONDS + 200))" >"/run/bench/flood" &
	over_veth "$name" drops "beside a flood: UDP 64 bytes" "${LABEL[$name]}" "${LABEL[wall]}" \
		"$2" "UDP 64 bytes" "$PORT_UDP"
	wait $!
	read -r packets rate <"/run/bench/flood"
	echo "drops,flood of blocked packets,\"${LABEL[$name]}\",\"${LABEL[wall]}\",packet/s,$2,$rate"
	[[ $name == tunfence ]] || return 0
	after=$(counted "$name")
	echo "drops,flood: counted of those sent,tunfence,-,packets,$2,$(awk -v "a=$after" \
		-v "b=$before" -v "n=$packets" 'BEGIN { print (a - b) / n }')"
}

part_drops() {
	local name round
	for name in "${DROPPERS[@]}"; do
		world "$name"
		idle_tunnel "$name"
		raise "$name"
	done
	for ((round = 0; round < ROUNDS; round++)); do
		for name in $(in_turn "$round" "${DROPPERS[@]}"); do
			in_client "$name" "$bench" refused drops "UDP 64 bytes, refused" "${LABEL[$name]}" \
				"${LABEL[wall]}" "$round" "$SERVER" "$MILLISECONDS"
		done
		for name in $(in_turn "$round" "${DROPPERS[@]}"); do
			flood_beside "$name" "$round"
		done
	done
}

# ---- raising and replacing ----------------------------------------------------------------------

SIZES=(1 10 1000 65536)
RAISERS=(list_tunfence list_nft list_iptables)
declare -A TEXT=([list_tunfence]=list_config [list_nft]=list_nft [list_iptables]=list_iptables)

# The command that loads each text, which for nft and iptables replaces what there is.
declare -A LOAD=(
	[list_nft]="nft -f" [list_iptables]="iptables-restore" [list_tunfence]="$TUNFENCE up"
)

# load_command WORLD COUNT: into the array $load.
load_command() {
	read -r -a load <<<"${LOAD[$1]}"
	if [[ $1 == list_tunfence ]]; then
		cp "/run/bench/$1-$2" "/run/bench/$1.conf"
		load+=("$1" "${TOOL[@]}" --cgroup "$cgroup/$1")
	else
		load+=("/run/bench/$1-$2")
	fi
}

lower() {
	case $1 in
	list_tunfence) quiet in_client "$1" "$TUNFENCE" down "$1" "${TOOL[@]}" ;;
	list_nft) in_client "$1" nft flush ruleset ;;
	list_iptables)
		in_client "$1" iptables-restore <<<$'*filter\n:OUTPUT ACCEPT [0:0]\nCOMMIT'
		;;
	esac
}

# raise_once WORLD COUNT ROUND: raises and replaces, while packets of both kinds are sent.
raise_once() {
	local name=$1 sent leaked allowed arrived load what
	load_command "$name" "$2"
	in_client "$name" "$bench" run raise "raise with so many rules=$2" "${LABEL[$name]}" \
		"${LABEL[list_iptables]}" "$3" "${load[@]}" 2>/dev/null
	hold in_client "$name" "$bench" watch "$SERVER" eth0 "${world_serve[$name]}"
	in_client "$name" "$bench" run raise "replace with so many rules=$2" "${LABEL[$name]}" \
		"${LABEL[list_iptables]}" "$3" "${load[@]}" 2>/dev/null
	exec {held_in}>&-
	read -r -t 20 sent leaked allowed arrived <&"$held_out"
	exec {held_out}<&-
	((sent && allowed)) || echo "tests/bench/run: nothing was sent during a replace" >&2
	what="during a replace with so many rules=$2,\"${LABEL[$name]}\",-,packets,$3"
	echo "raise,leaked $what,$leaked"
	echo "raise,lost $what,$((allowed - arrived))"
	lower "$name"
}

# raise_floor COUNT ROUND: what is left of that if the kernel has nothing to check: an empty program
# at each of a fence's hooks, put there by the same calls.
raise_floor() {
	in_client floor "$bench" run raise "raise with so many rules=$1" "${LABEL[floor]}" \
		"${LABEL[list_iptables]}" "$2" "$bench" floor "$cgroup/floor" eth0 </dev/null 2>/dev/null
}

part_raise() {
	local name size round
	world floor
	for name in "${RAISERS[@]}"; do
		world "$name"
		idle_tunnel "$name"
		for size in "${SIZES[@]}"; do
			"${TEXT[$name]}" "$name" "$size" >"/run/bench/$name-$size"
		done
	done
	# In one step, whoever holds a table now.
	for size in "${SIZES[@]}"; do
		sed -i '1i flush ruleset' "/run/bench/list_nft-$size"
	done
	for ((round = 0; round < ROUNDS; round++)); do
		for size in "${SIZES[@]}"; do
			((size < 10000 || round < LONG_ROUNDS)) || continue
			for name in $(in_turn "$round" "${RAISERS[@]}"); do
				raise_once "$name" "$size" "$round"
			done
			raise_floor "$size" "$round"
		done
	done
}

# ---- memory -------------------------------------------------------------------------------------

part_memory() {
	local size name=list_tunfence
	world "$name"
	idle_tunnel "$name"
	for size in 1 10 1000 65536; do
		list_config "$name" "$size" | fence "$name"
		in_client "$name" "$bench" memory memory "in the kernel, so many rules=$size" tunfence - 0 \
			/sys/fs/bpf/tunfence/$name/progs
		in_client "$name" "$bench" run memory "up with so many rules=$size" tunfence - 0 \
			"$TUNFENCE" up "$name" "${TOOL[@]}" --cgroup "$cgroup/$name" 2>/dev/null |
			grep 'peak memory'
	done
	echo "memory,size of the program,tunfence,-,KiB,0,$(($(stat -L -c %s "$TUNFENCE") / 1024))"
}

# ---- growth -------------------------------------------------------------------------------------

# Fences of cgroups, one beside the other.
FENCES=(1 10 63 200)
# Lists end to end, each length in worlds of its own.
LENGTHS=(10 100 1000 10000)

lists_grow() {
	local name length round
	for name in none "${LISTS[@]}"; do
		for length in "${LENGTHS[@]}"; do
			LABEL[$name$length]=${LABEL[$name]}
			world "$name$length"
			[[ $name == none ]] || "filter_$name" "$name$length" "$length"
		done
	done
	for ((round = 0; round < ROUNDS; round++)); do
		for length in "${LENGTHS[@]}"; do
			for name in $(in_turn "$round" none "${LISTS[@]}"); do
				over_veth "$name$length" growth "UDP 64 bytes to one of so many=$length" \
					"${LABEL[$name]}" "${LABEL[none]}" "$round" "UDP 64 bytes" "$PORT_OTHER"
			done
		done
	done
}

# A machine with many uplinks: each gets the planes of devices.
uplinks_grow() {
	local name=uplinks have=1 count i round
	world "$name"
	idle_tunnel "$name"
	fence_config "$name" >"/run/bench/$name.conf"
	for count in 1 4 16 64; do
		for ((i = have; i < count; i++)); do
			in_client "$name" ip link add "up$i" up type veth peer name "up$i" netns "s-$name"
		done
		have=$count
		for ((round = 0; round < LONG_ROUNDS; round++)); do
			in_client "$name" "$bench" run growth "raise with so many uplinks=$count" tunfence - \
				"$round" "$TUNFENCE" up "$name" "${TOOL[@]}" --cgroup "$cgroup/$name" 2>/dev/null
			over_veth "$name" growth "UDP 64 bytes beside so many uplinks=$count" tunfence - "$round" \
				"UDP 64 bytes" "$PORT_UDP"
			quiet in_client "$name" "$TUNFENCE" down "$name" "${TOOL[@]}"
		done
	done
}

# So many processors send at a time.
processors_grow() {
	local name count round what
	for name in none floor tunfence; do
		world "$name"
		idle_tunnel "$name"
		raise "$name"
	done
	for ((round = 0; round < ROUNDS; round++)); do
		for ((count = 1; count <= $(nproc); count *= 2)); do
			what="UDP 64 bytes by so many processors=$count"
			for name in $(in_turn "$round" none floor tunfence); do
				SENDERS=$count over_veth "$name" growth "$what" "${LABEL[$name]}" "${LABEL[none]}" \
					"$round" "UDP 64 bytes" "$PORT_UDP"
			done
		done
	done
}

# Rules by single programs are measured by part_programs.
part_growth() {
	processors_grow
	lists_grow
	uplinks_grow
	tests/bench/fences --samples "${FENCES[@]}"
}
