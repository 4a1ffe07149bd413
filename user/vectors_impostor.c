// SPDX-License-Identifier: GPL-2.0
/*
 * Who else can pass for the tunnel: other devices with its name, its number or its address, another
 * tunnel; and what happens to a program when the tunnel goes away under it. A tun device of the
 * tunnel's name made by root is the tunnel by definition, and no vector.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"
#include "vectors_craft.h"
#include "vectors_letter.h"
#include "verify.h"

#define OTHER4 "192.168.77.60" /* an impostor's address on the link, with a MAC of its own */
#define OTHER_MAC "02:00:00:00:77:06"

#define ARP_LIKE4 "8.6.0.1" /* 0x0806 ... */

enum { TUN_MS = 200 };

/* What gives wg0 an address on the link and the route to the server. */
#define ON_LINK                                                                                    \
	"link set wg0 address " OTHER_MAC, "addr add " OTHER4 "/24 dev wg0 noprefixroute",         \
	"link set wg0 up",                                                                         \
	"neigh replace " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC " dev wg0 nud permanent",     \
	"route add " VERIFY_WEB4 " via " VERIFY_ROUTER4 " dev wg0 onlink src " OTHER4

/* X(name, function, kind, lines). The first line makes what a kernel may not have. */
#define IMPOSTORS(X)                                                                               \
	X("impostor-macvlan", macvlan, "a macvlan device",                                         \
	  "link add link eth0 name wg0 type macvlan mode bridge", ON_LINK)                         \
	X("impostor-ipvlan", ipvlan, "an IPvlan device, which shares its parent's MAC",            \
	  "link add link eth0 name wg0 type ipvlan mode l3", "addr add " OTHER4 "/32 dev wg0",     \
	  "link set wg0 up", "route add " VERIFY_WEB4 " dev wg0 src " OTHER4)                      \
	X("impostor-vlan", vlan, "a VLAN device", "link add link eth0 name wg0 type vlan id 7",    \
	  ON_LINK)                                                                                 \
	X("impostor-bridge", bridge, "a bridge with the uplink in it", "link add wg0 type bridge", \
	  "link set eth0 master wg0", ON_LINK)                                                     \
	X("impostor-veth", veth, "a virtual cable into a bridge with the uplink",                  \
	  "link add bridge0 type bridge", "link add wg0 type veth peer name cable0",               \
	  "link set cable0 master bridge0", "link set eth0 master bridge0", "link set cable0 up",  \
	  "link set bridge0 up", ON_LINK, "await cable0")                                            \
	X("impostor-vxlan", vxlan, "a VXLAN tunnel to a neighbour",                                \
	  "link add wg0 type vxlan id 7 local " VERIFY_CLIENT4 " remote " VERIFY_LAN4              \
	  " dstport 4789 dev eth0", ON_LINK)                                                       \
	X("impostor-ipip", ipip, "an IPIP tunnel to a neighbour",                                  \
	  "link add wg0 type ipip local " VERIFY_CLIENT4 " remote " VERIFY_LAN4,                   \
	  "link set wg0 up", "route add " VERIFY_WEB4 " dev wg0")

/* A kind of device that this kernel does not have is no failure of the fence. */
static int can(int r)
{
	return r == -EIO ? -EOPNOTSUPP : r;
}

/* For ip, or "await DEVICE". */
static int run_line(struct shot *s, const char *line)
{
	const char *device = strchr(line, ' ') + 1;

	return strncmp(line, "await ", 6) == 0 ? verify_await_device(device) :
						 verify_ip(s, VERIFY_CLIENT, "%s", line);
}

static int run_lines(struct shot *s, const char *const *lines, size_t count)
{
	size_t i;
	int r = 0;

	for (i = 0; i < count && !r; i++)
		r = run_line(s, lines[i]);
	return r;
}

static int make_device(struct shot *s, const char *const *lines, size_t count)
{
	int r = can(run_lines(s, lines, 1));

	return r ? r : run_lines(s, lines + 1, count - 1);
}

#define X(text, function, kind, ...)                                                               \
	static int make_##function(struct shot *s)                                                 \
	{                                                                                          \
		static const char *const lines[] = { __VA_ARGS__ };                                \
		return make_device(s, lines, ARRAY_SIZE(lines));                                   \
	}
IMPOSTORS(X)
#undef X

static int send_plain(struct shot *s)
{
	static const struct letter letter = { .to = VERIFY_WEB4 };

	return letter_send(s, &letter);
}

/* The tunnel's name and its number, which programs that look at numbers would believe. */
static int make_same_index(struct shot *s)
{
	static const char *const lines[] = { ON_LINK };
	int index = verify_ifindex("wg0"), r;

	if (index < 0)
		return index;
	r = verify_ip(s, VERIFY_CLIENT, "link del wg0");
	if (!r)
		r = can(verify_ip(s, VERIFY_CLIENT,
				  "link add link eth0 name wg0 index %d type macvlan mode bridge",
				  index));
	return r ? r : run_lines(s, lines, ARRAY_SIZE(lines));
}

/* A container with a wg0 of its own, on the client's uplink. */
static int make_elsewhere(struct shot *s)
{
	char path[VERIFY_PATH];
	int r;

	s->fd = verify_new_namespace(s);
	if (s->fd < 0)
		return s->fd;
	r = can(verify_ip(s, VERIFY_CLIENT,
			  "link add link eth0 name wg0 netns %s type macvlan mode bridge",
			  verify_namespace_path(s->fd, path)));
	if (!r)
		r = verify_ip_fd(s->fd, "addr add " OTHER4 "/24 dev wg0");
	if (!r)
		r = verify_ip_fd(s->fd, "link set wg0 up");
	if (!r)
		r = verify_ip_fd(s->fd, "route add default via " VERIFY_ROUTER4);
	if (!r)
		r = verify_ip_fd(s->fd, "neigh replace " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC
				 " dev wg0 nud permanent");
	return r;
}

static int send_elsewhere(struct shot *s)
{
	return verify_in(s->fd, send_plain, s);
}

/* What the kernel drops with a device that goes down comes back. */
static int take_name(struct shot *s)
{
	static const char *const lines[] = {
		"link set wg0 down",
		"link set wg0 name gone0",
		"link set eth0 down",
		"link set eth0 name wg0",
		"link set wg0 up",
		"neigh replace " VERIFY_ROUTER4 " lladdr " VERIFY_ROUTER_MAC
		" dev wg0 nud permanent",
		"route replace default via " VERIFY_ROUTER4 " dev wg0",
	};

	return run_lines(s, lines, ARRAY_SIZE(lines));
}

/* A tunnel that is not the fence's, whose server's side is this process. */
static int make_second_tunnel(struct shot *s)
{
	struct ifreq request = { .ifr_name = "tun1", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int r;

	s->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (s->fd < 0 || ioctl(s->fd, TUNSETIFF, &request) < 0)
		return -errno;
	r = verify_ip(s, VERIFY_CLIENT, "addr add 10.99.0.2/24 dev tun1");
	if (!r)
		r = verify_ip(s, VERIFY_CLIENT, "link set tun1 up");
	return r;
}

/* Sends what comes out of the second tunnel to a stranger, as it is. */
static int send_through_second_tunnel(struct shot *s)
{
	static const struct letter inner = { .to = "10.99.0.1" };
	_cleanup_close_ int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd tun = { .fd = s->fd, .events = POLLIN };
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, s->port, &to);
	__u8 packet[CRAFT_MAX];
	int told = letter_send(s, &inner);
	ssize_t n;

	if (out < 0)
		return -errno;
	while (poll(&tun, 1, told ? 0 : TUN_MS) == 1) {
		n = read(s->fd, packet, sizeof(packet));
		if (n > 0 &&
		    sendto(out, packet, (size_t)n, 0, (struct sockaddr *)&to, length) < 0)
			return -errno;
		if (n <= 0 || verify_has(packet, (size_t)n, s->token, sizeof(s->token)))
			break;
	}
	return told;
}

/* A socket that has been speaking through the tunnel, with the tunnel's address. */
static int speak_through_tunnel(struct shot *s)
{
	struct sockaddr_storage to;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, s->port, &to);

	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, length) < 0)
		return -errno;
	return send(s->fd, "before", 6, 0) < 0 ? -errno : 0;
}

static int go_on(struct shot *s)
{
	__u8 payload[64];

	verify_payload(s, payload, sizeof(payload));
	return send(s->fd, payload, sizeof(payload), 0) < 0 ? -errno : 0;
}

/* The ways by which a tunnel goes away under a program that goes on. */
static int go_on_down(struct shot *s)
{
	int r = verify_ip(s, VERIFY_CLIENT, "link set wg0 down");

	return r ? r : go_on(s);
}

static int go_on_renamed(struct shot *s)
{
	int r = verify_ip(s, VERIFY_CLIENT, "link set wg0 down");

	if (!r)
		r = verify_ip(s, VERIFY_CLIENT, "link set wg0 name gone0");
	return r ? r : go_on(s);
}

static int go_on_moved_address(struct shot *s)
{
	int r = verify_ip(s, VERIFY_CLIENT, "link del wg0");

	if (!r)
		r = verify_ip(s, VERIFY_CLIENT, "addr add " VERIFY_TUNNEL4 "/32 dev eth0");
	return r ? r : go_on(s);
}

static int send_moved_away(struct shot *s)
{
	int container = verify_new_namespace(s), r;
	char path[VERIFY_PATH];

	if (container < 0)
		return container;
	r = verify_ip(s, VERIFY_CLIENT, "link set wg0 netns %s",
		      verify_namespace_path(container, path));
	return r ? r : send_plain(s);
}

/* By traffic control, behind the place where the tunnel's own packets are judged. */
static int redirect_tunnel(struct shot *s)
{
	int r = can(verify_run(s, VERIFY_CLIENT, "tc qdisc add dev wg0 clsact"));

	return r ? r : can(verify_run(s, VERIFY_CLIENT,
				      "tc filter add dev wg0 egress protocol all u32 match u32 0 0 "
				      "action mirred egress redirect dev eth0"));
}

/* They have no Ethernet header: on the uplink, their source address is read as an ethertype. */
static int redirect_as_arp(struct shot *s)
{
	int r = verify_ip(s, VERIFY_CLIENT, "addr add " ARP_LIKE4 "/32 dev wg0");

	return r ? r : redirect_tunnel(s);
}

static int send_as_arp(struct shot *s)
{
	static const struct letter letter = { .to = VERIFY_WEB4, .from = ARP_LIKE4 };

	return letter_send(s, &letter);
}

static int send_routed_past(struct shot *s)
{
	int r = verify_ip(s, VERIFY_CLIENT, "link set wg0 down");

	return r ? r : send_plain(s);
}

static const struct vector vectors[] = {
#define X(text, function, kind, ...)                                                               \
	{ text, "the tunnel's name on " kind, 0, 0, make_##function, send_plain, NULL },
	IMPOSTORS(X)
#undef X
	{ "impostor-index", "the tunnel's name and number on a macvlan device", VERIFY_TUNNEL_UP, 0,
	  make_same_index, send_plain, NULL },
	{ "impostor-container", "the tunnel's name on a macvlan device of a container", 0, 0,
	  make_elsewhere, send_elsewhere, NULL },
	{ "impostor-uplink", "the tunnel's name on the uplink itself", VERIFY_TUNNEL_UP, 0,
	  take_name, send_plain, NULL },
	{ "second-tunnel", "another tunnel, whose program sends in the clear", 0, 0,
	  make_second_tunnel, send_through_second_tunnel, NULL },
	{ "tunnel-redirected", "the tunnel's packets are redirected to the uplink (tc)",
	  VERIFY_TUNNEL_UP, 0, redirect_tunnel, send_plain, NULL },
	{ "tunnel-redirected-arp", "the tunnel's packets are redirected and look like ARP",
	  VERIFY_TUNNEL_UP, 0, redirect_as_arp, send_as_arp, NULL },
	{ "tunnel-down", "the tunnel is set down, and a program sends", VERIFY_TUNNEL_UP, 0, NULL,
	  send_routed_past, NULL },
	{ "tunnel-down-socket", "the tunnel is set down under a socket that used it",
	  VERIFY_TUNNEL_UP, 0, speak_through_tunnel, go_on_down, NULL },
	{ "tunnel-renamed", "the tunnel is renamed under a socket that used it",
	  VERIFY_TUNNEL_UP, 0, speak_through_tunnel, go_on_renamed, NULL },
	{ "tunnel-moved-away", "the tunnel is moved into a container", VERIFY_TUNNEL_UP, 0, NULL,
	  send_moved_away, NULL },
	{ "tunnel-address-moved", "the tunnel's address moves to the uplink, its socket goes on",
	  VERIFY_TUNNEL_UP, 0, speak_through_tunnel, go_on_moved_address, NULL },
};

const struct vector_group vectors_impostor = { "impostor", vectors, ARRAY_SIZE(vectors) };
