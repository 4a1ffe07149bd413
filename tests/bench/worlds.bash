# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Worlds for the bench: a client and a server namespace, a veth pair between them and a real tunnel
# over it. Each way to filter has one of its own and stays in it, so that they can be measured in
# turn without anything being set up in between. Sourced by tests/bench/run, in whose namespaces and
# cgroup all of it is.
#
#   client 203.0.113.2 eth0 ---- veth ---- eth0 203.0.113.7 server
#          10.64.0.2   wgN  ==== tunnel === vpnN 10.64.0.1

SERVER=203.0.113.7 CLIENT=203.0.113.2
SERVER_MAC=02:00:00:00:00:07 CLIENT_MAC=02:00:00:00:00:02
TUNNEL_SERVER=10.64.0.1 TUNNEL_CLIENT=10.64.0.2
VPN_PORT=51820
# As in tests/bench/traffic.h.
PORT_UDP=51830 PORT_STREAM=51831 PORT_ECHO=51832 PORT_OTHER=51833
MARK=51820

TOOL=(--config-dir /run/bench --state-dir /run/bench)

declare -A world_number world_serve world_children world_tunnels
worlds=0

# in_client WORLD COMMAND...: in its namespace and cgroup.
in_client() {
	local name=$1
	shift
	(
		echo "$BASHPID" >"$cgroup/$name/cgroup.procs"
		exec nsenter --net="/run/netns/c-$name" "$@"
	)
}

in_server() {
	local name=$1
	shift
	nsenter --net="/run/netns/s-$name" "$@"
}

# quiet COMMAND...: says something only if it fails.
quiet() {
	local said
	said=$("$@" 2>&1) || {
		printf '%s\n' "failed: $*" "$said" >&2
		return 1
	}
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || {
			echo "tests/bench/run: waited in vain for: $*" >&2
			return 1
		}
		sleep 0.02
	done
}

# Holds a process that ends when this shell does, since its standard input is a pipe of ours. Its
# first line of output is $held.
hold() {
	local fifo
	fifo=$(mktemp -u /run/bench/hold-XXXXXX)
	mkfifo "$fifo.in" "$fifo.out"
	"$@" <"$fifo.in" >"$fifo.out" &
	exec {held_in}>"$fifo.in" {held_out}<"$fifo.out"
	rm "$fifo.in" "$fifo.out"
	read -r -t 20 held <&"$held_out" || {
		echo "tests/bench/run: not ready: $*" >&2
		return 1
	}
}

# The kernel's device where it has one, else wireguard-go's, whose process is $tunnel_pid.
wireguard() {
	local where=$1 name=$2
	tunnel_pid=
	"$where" "$3" ip link add "$name" type wireguard 2>/dev/null && return 0
	WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 \
		"$where" "$3" wireguard-go --foreground "$name" >/dev/null 2>&1 &
	wait_for 10 wg show "$name"
	tunnel_pid=$(pgrep -xf "wireguard-go --foreground $name")
}

tunnel() {
	local name=$1 n=${world_number[$1]} keys=/run/bench/$1
	wg genkey | tee "$keys.c" | wg pubkey >"$keys.C"
	wg genkey | tee "$keys.s" | wg pubkey >"$keys.S"
	wireguard in_server "vpn$n" "$name"
	world_tunnels[$name]=$tunnel_pid
	wireguard in_client "wg$n" "$name"
	world_tunnels[$name]+=" $tunnel_pid"
	in_server "$name" wg set "vpn$n" private-key "$keys.s" listen-port "$VPN_PORT" \
		peer "$(<"$keys.C")" allowed-ips "$TUNNEL_CLIENT/32"
	in_client "$name" wg set "wg$n" private-key "$keys.c" fwmark "$MARK" \
		peer "$(<"$keys.S")" allowed-ips 10.64.0.0/24 endpoint "$SERVER:$VPN_PORT"
	in_server "$name" ip addr add "$TUNNEL_SERVER/24" dev "vpn$n"
	in_client "$name" ip addr add "$TUNNEL_CLIENT/24" dev "wg$n"
	in_server "$name" ip link set "vpn$n" mtu 1420 up
	in_client "$name" ip link set "wg$n" mtu 1420 up
}

# world NAME: makes one, without the tunnel.
world() {
	local name=$1
	world_number[$name]=$((++worlds))
	mkdir "$cgroup/$name"
	ip netns add "c-$name"
	ip netns add "s-$name"
	ip link add eth0 netns "c-$name" address "$CLIENT_MAC" type veth \
		peer name eth0 netns "s-$name" address "$SERVER_MAC"
	in_server "$name" ip addr add "$SERVER/24" dev eth0
	in_client "$name" ip addr add "$CLIENT/24" dev eth0
	in_server "$name" ip link set eth0 up
	in_client "$name" ip link set eth0 up
	in_client "$name" ip link set lo up
	# So that nothing is asked while something is measured.
	in_client "$name" ip neigh replace "$SERVER" dev eth0 nud permanent lladdr "$SERVER_MAC"
	in_server "$name" ip neigh replace "$CLIENT" dev eth0 nud permanent lladdr "$CLIENT_MAC"
	hold in_server "$name" "$bench" serve
	read -r _ world_serve["$name"] world_children["$name"] <<<"$held"
}

# A tunnel's device, which leads nowhere: a fence whose tunnel is not up refuses most of what is
# sent before there is a packet.
idle_tunnel() {
	local device=wg${world_number[$1]}
	in_client "$1" ip tuntap add "$device" mode tun
	in_client "$1" ip addr add "$TUNNEL_CLIENT/24" dev "$device"
	in_client "$1" ip link set "$device" up
}

# ---- what filters -------------------------------------------------------------------------------

filter_none() {
	:
}

# Empty programs where a fence has its own.
filter_floor() {
	hold in_client "$1" "$bench" floor "$cgroup/$1" eth0
}

# One program that drops all that leaves the cgroup, and nothing else.
filter_wall() {
	hold in_client "$1" "$bench" wall "$cgroup/$1"
}

# A fence of the whole machine, which here is the world's cgroup.
fence() {
	cat >"/run/bench/$1.conf"
	quiet in_client "$1" "$TUNFENCE" up "$1" "${TOOL[@]}" --cgroup "$cgroup/$1"
}

# The tunnel, and what stands for another one: a program's, over UDP and TCP.
fence_config() {
	local n=${world_number[$1]} port
	printf '%s\n' '[Tunnel]' "Interface=wg$n" "Endpoint=udp $SERVER:$VPN_PORT" \
		'[Tunnel]' Interface=tun9 Kind=tun Protocol=any "Endpoint=udp $SERVER:$PORT_UDP"
	for port in "$PORT_STREAM" "$PORT_ECHO"; do
		echo "Endpoint=tcp $SERVER:$port"
	done
}

filter_tunfence() {
	fence_config "$1" | fence "$1"
}

# Article 1: in PostUp of the tunnel's configuration.
filter_postup() {
	local n=${world_number[$1]} command
	for command in iptables ip6tables; do
		in_client "$1" "$command" -I OUTPUT ! -o "wg$n" -m mark ! --mark "$MARK" \
			-m addrtype ! --dst-type LOCAL -j REJECT
	done
}

# The articles' holes for the tunnel, one rule for each port there is here.
holes() {
	local port
	for port in "$VPN_PORT" "$PORT_UDP"; do
		echo "-A OUTPUT -p udp -d $SERVER --dport $port $*"
	done
	for port in "$PORT_STREAM" "$PORT_ECHO"; do
		echo "-A OUTPUT -p tcp -d $SERVER --dport $port $*"
	done
}

# Article 2: rules.v4 and rules.v6, loaded at boot.
filter_rules() {
	local n=${world_number[$1]}
	in_client "$1" iptables-restore <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD DROP [0:0]
		:OUTPUT DROP [0:0]
		-A INPUT -i lo -j ACCEPT
		-A OUTPUT -o lo -j ACCEPT
		-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
		-A OUTPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
		-A INPUT -p tcp --dport 22 -m state --state NEW -j ACCEPT
		$(holes -j ACCEPT)
		-A OUTPUT -d 192.168.1.0/24 -j ACCEPT
		-A OUTPUT -o wg$n -j ACCEPT
		-A INPUT -i wg$n -j ACCEPT
		COMMIT
	RULES
	in_client "$1" ip6tables-restore <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD DROP [0:0]
		:OUTPUT DROP [0:0]
		-A INPUT -i lo -j ACCEPT
		-A OUTPUT -o lo -j ACCEPT
		-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
		-A OUTPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
		COMMIT
	RULES
}

# Article 3: vpn-killswitch.sh, and IPv6 switched off. As the script leaves them, in its order.
filter_script() {
	local n=${world_number[$1]}
	in_client "$1" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 \
		net.ipv6.conf.default.disable_ipv6=1
	in_client "$1" iptables-restore <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD DROP [0:0]
		:OUTPUT DROP [0:0]
		-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
		-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
		-A INPUT -i lo -j ACCEPT
		-A OUTPUT -o lo -j ACCEPT
		-A INPUT -p tcp --dport 22 -j ACCEPT
		-A OUTPUT -p tcp --sport 22 -j ACCEPT
		$(holes -o eth0 -j ACCEPT)
		-A OUTPUT -o wg$n -j ACCEPT
		-A INPUT -i wg$n -j ACCEPT
		COMMIT
	RULES
}

# The same promise as article 2's without a memory of connections: the hole, both ways.
filter_stateless_iptables() {
	local n=${world_number[$1]}
	in_client "$1" iptables-restore <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD DROP [0:0]
		:OUTPUT DROP [0:0]
		-A INPUT -i lo -j ACCEPT
		-A INPUT -i wg$n -j ACCEPT
		-A INPUT -s $SERVER -p udp -m multiport --sports $VPN_PORT,$PORT_UDP -j ACCEPT
		-A INPUT -s $SERVER -p tcp -m multiport --sports $PORT_STREAM,$PORT_ECHO -j ACCEPT
		-A OUTPUT -o lo -j ACCEPT
		-A OUTPUT -o wg$n -j ACCEPT
		$(holes -j ACCEPT)
		COMMIT
	RULES
	in_client "$1" ip6tables-restore <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD DROP [0:0]
		:OUTPUT DROP [0:0]
		-A OUTPUT -o lo -j ACCEPT
		COMMIT
	RULES
}

# nft_rules WORLD RULES SETS: they and no more may leave, beside what the tunnel needs.
nft_rules() {
	local n=${world_number[$1]}
	cat <<-RULES
		table inet fence {
			$3
			chain in {
				type filter hook input priority 0; policy drop;
				iif lo accept
				iifname wg$n accept
				ip saddr $SERVER udp sport { $VPN_PORT, $PORT_UDP } accept
				ip saddr $SERVER tcp sport { $PORT_STREAM, $PORT_ECHO } accept
			}
			chain forward {
				type filter hook forward priority 0; policy drop;
			}
			chain out {
				type filter hook output priority 0; policy drop;
				oif lo accept
				oifname wg$n accept
				ip daddr $SERVER udp dport { $VPN_PORT, $PORT_UDP } accept
				ip daddr $SERVER tcp dport { $PORT_STREAM, $PORT_ECHO } accept
				$2
			}
		}
	RULES
}

filter_stateless_nft() {
	nft_rules "$1" '' '' | in_client "$1" nft -f -
}

# ---- long lists: the server is the last of so many that may be spoken to -------------------------

# listed COUNT FORMAT: a line for each address but the server's; FORMAT has one %s.
listed() {
	local i
	for ((i = 1; i < $1; i++)); do
		# shellcheck disable=SC2059 # it is ours
		printf -- "$2\n" "100.$((64 + i / 65536)).$((i / 256 % 256)).$((i % 256))"
	done
}

# list_config WORLD COUNT, list_nft, list_iptables: the text of each.
list_config() {
	fence_config "$1"
	echo '[Allow]'
	listed "$2" "Destination=udp %s port $PORT_OTHER"
	echo "Destination=udp $SERVER port $PORT_OTHER"
}

list_nft() {
	nft_rules "$1" "ip daddr @allowed udp dport $PORT_OTHER accept" \
		"set allowed { type ipv4_addr; flags interval; elements = { $(listed "$2" '%s,') $SERVER } }"
}

list_iptables() {
	cat <<-RULES
		*filter
		:INPUT DROP [0:0]
		:FORWARD DROP [0:0]
		:OUTPUT DROP [0:0]
		-A OUTPUT -o lo -j ACCEPT
		-A OUTPUT -o wg${world_number[$1]} -j ACCEPT
		$(holes -j ACCEPT)
		$(listed "$2" "-A OUTPUT -p udp -d %s --dport $PORT_OTHER -j ACCEPT")
		-A OUTPUT -p udp -d $SERVER --dport $PORT_OTHER -j ACCEPT
		COMMIT
	RULES
}

# filter_list_*  WORLD [COUNT]
filter_list_tunfence() {
	list_config "$1" "${2-$LIST}" | fence "$1"
}

filter_list_nft() {
	list_nft "$1" "${2-$LIST}" | in_client "$1" nft -f -
}

filter_list_iptables() {
	list_iptables "$1" "${2-$LIST}" | in_client "$1" iptables-restore
}

# ---- traffic ------------------------------------------------------------------------------------

# check_filter WORLD: something must be kept in.
check_filter() {
	in_client "$1" "$bench" blocked "$SERVER" eth0 "${world_serve[$1]}"
}

# over_veth WORLD PART WHAT WHO BASE ROUND KIND PORT
# What could not be measured says so and is left out: others can be.
over_veth() {
	local name=$1
	in_client "$name" "$bench" traffic "$2" "$3" "$4" "$5" "$6" "$7" "$SERVER" "$8" eth0 \
		"${world_serve[$name]}" "$MILLISECONDS" ${world_children[$name]} || :
}

# The same by the tunnel: whoever encrypts costs, too.
over_tunnel() {
	local name=$1
	in_client "$name" "$bench" traffic "$2" "$3" "$4" "$5" "$6" "$7" "$TUNNEL_SERVER" "$8" \
		"vpn${world_number[$name]}" "${world_serve[$name]}" "$MILLISECONDS" \
		${world_children[$name]} ${world_tunnels[$name]} || :
}
