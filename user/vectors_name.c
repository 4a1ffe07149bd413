// SPDX-License-Identifier: GPL-2.0
/*
 * Names: every way to ask for one outside the tunnel, and the protocols that look for neighbours by
 * shouting. A resolver on loopback is a way too: it asks on behalf of others.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "util.h"
#include "vectors_craft.h"
#include "vectors_letter.h"
#include "verify.h"

#define SUBNET "192.168.77.255"
#define STUB "127.0.0.53"

enum {
	QUESTION = 12 + 10 + 4, /* header, a label of the token's length, type and class */
	STUB_MS = 500,
};

/* RFC 1035, 4.1: "what is the address of TOKEN?" */
static size_t question(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	memset(to, 0, QUESTION);
	put16(to, s->port);
	to[2] = 1; /* recursion desired */
	to[5] = 1; /* one question */
	to[12] = VERIFY_TOKEN;
	memcpy(to + 13, s->token, VERIFY_TOKEN);
	to[QUESTION - 3] = 1;
	to[QUESTION - 1] = 1;
	return QUESTION;
}

/* A resolver on loopback: sends on what it is asked by the link's resolver, as systemd-resolved
 * would, and answers with what it was told then (an errno). Ends with its parent. */
static void __attribute__((noreturn)) serve_stub(int fd)
{
	_cleanup_close_ int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage router, from;
	socklen_t router_length = verify_sockaddr(VERIFY_ROUTER4, 53, &router), length;
	__u8 packet[512];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		ssize_t n;
		int told;

		length = sizeof(from);
		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &length);
		if (n < 0)
			_exit(1);
		told = sendto(out, packet, (size_t)n, 0, (struct sockaddr *)&router,
			      router_length) < 0 ? errno : 0;
		(void)sendto(fd, &told, sizeof(told), 0, (struct sockaddr *)&from, length);
	}
}

static int start_stub(struct shot *s)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage at;
	socklen_t length = verify_sockaddr(STUB, 53, &at);
	pid_t child;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, length) < 0)
		return -errno;
	verify_touched(s);
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		serve_stub(fd);
	return 0;
}

/* Returns when the stub has done its part. */
static int ask_stub(struct shot *s)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd answer = { .fd = fd, .events = POLLIN };
	struct sockaddr_storage at;
	socklen_t length = verify_sockaddr(STUB, 53, &at);
	__u8 packet[QUESTION];
	int told;

	if (fd < 0)
		return -errno;
	if (sendto(fd, packet, question(s, packet, 0), 0, (struct sockaddr *)&at, length) < 0)
		return -errno;
	if (poll(&answer, 1, STUB_MS) != 1)
		return -ETIMEDOUT;
	return recv(fd, &told, sizeof(told), 0) == sizeof(told) ? -told : -EIO;
}

#define ASK .body = question
#define TO(address, number) .to = (address), .port = (number)
#define ON_LINK(address, number) TO(address, number), .device = "eth0"

#define RESOLVERS(X)                                                                               \
	X("dns-router", dns_router, 0, "DNS: the link's own resolver",                             \
	  TO(VERIFY_ROUTER4, 53), ASK)                                                             \
	X("dns-router-tunnel-up", dns_router_up, VERIFY_TUNNEL_UP,                                 \
	  "DNS: the link's own resolver, while the tunnel is up", TO(VERIFY_ROUTER4, 53), ASK)     \
	X("dns-router6", dns_router6, 0, "DNS: the link's own resolver by IPv6",                   \
	  TO(VERIFY_ROUTER6, 53), ASK)                                                             \
	X("dns-link-local", dns_link_local, 0, "DNS: the resolver that a router advertised",       \
	  ON_LINK(VERIFY_ROUTER_LINK, 53), ASK)                                                    \
	X("dns-public", dns_public, 0, "DNS: a public resolver", TO(VERIFY_WEB4, 53), ASK)         \
	X("dns-public6", dns_public6, 0, "DNS: a public resolver by IPv6",                         \
	  TO(VERIFY_WEB6, 53), ASK)                                                                \
	X("dns-tunnel-address", dns_tunnel_address, VERIFY_TUNNEL_UP,                              \
	  "DNS: from the tunnel's address, bound to the uplink",                                   \
	  ON_LINK(VERIFY_WEB4, 53), .from = VERIFY_TUNNEL4, ASK)                                   \
	X("dns-tcp", dns_tcp, 0, "DNS over TCP", TO(VERIFY_WEB4, 53), .kind = LETTER_TCP)          \
	X("dns-tcp-router6", dns_tcp_router6, 0, "DNS over TCP to the link's resolver",            \
	  TO(VERIFY_ROUTER6, 53), .kind = LETTER_TCP)                                              \
	X("dns-over-tls", dns_over_tls, 0, "DNS over TLS, port 853", TO(VERIFY_WEB4, 853),         \
	  .kind = LETTER_TCP)                                                                      \
	X("dns-over-quic", dns_over_quic, 0, "DNS over QUIC, port 853", TO(VERIFY_WEB4, 853))      \
	X("dns-over-https", dns_over_https, 0, "DNS over HTTPS", TO(VERIFY_WEB4, 443),             \
	  .kind = LETTER_TCP)                                                                      \
	X("mdns", mdns, 0, "multicast DNS", ON_LINK("224.0.0.251", 5353), .from_port = 5353, ASK)  \
	X("mdns6", mdns6, 0, "multicast DNS by IPv6", ON_LINK("ff02::fb", 5353), ASK)              \
	X("llmnr", llmnr, 0, "LLMNR", ON_LINK("224.0.0.252", 5355), ASK)                           \
	X("llmnr6", llmnr6, 0, "LLMNR by IPv6", ON_LINK("ff02::1:3", 5355), ASK)                   \
	X("llmnr-tcp", llmnr_tcp, 0, "LLMNR over TCP", TO(VERIFY_LAN4, 5355), .kind = LETTER_TCP)  \
	X("netbios-name", netbios_name, 0, "NetBIOS name query to the subnet",                     \
	  ON_LINK(SUBNET, 137), .from_port = 137, ASK)                                             \
	X("netbios-datagram", netbios_datagram, 0, "NetBIOS datagram to the subnet",               \
	  ON_LINK(SUBNET, 138))                                                                    \
	X("ssdp", ssdp, 0, "UPnP's search (SSDP)", ON_LINK("239.255.255.250", 1900))               \
	X("ssdp6", ssdp6, 0, "UPnP's search by IPv6", ON_LINK("ff02::c", 1900))                    \
	X("ws-discovery", ws_discovery, 0, "WS-Discovery", ON_LINK("239.255.255.250", 3702))       \
	X("ws-discovery6", ws_discovery6, 0, "WS-Discovery by IPv6", ON_LINK("ff02::c", 3702))     \
	X("ntp", ntp, 0, "the time from a stranger", TO(VERIFY_WEB4, 123), .from_port = 123)

RESOLVERS(LETTER_FUNCTION)

static const struct vector vectors[] = {
	RESOLVERS(LETTER_ROW)
	{
		.name = "dns-stub",
		.summary = "DNS: a stub resolver on loopback, which sends it on",
		.prepare = start_stub,
		.fire = ask_stub,
	},
	{
		.name = "dns-stub-before",
		.summary = "DNS: a stub resolver that was there before the fence",
		.flags = VERIFY_BEFORE,
		.prepare = start_stub,
		.fire = ask_stub,
	},
};

const struct vector_group vectors_name = { "name", vectors, ARRAY_SIZE(vectors) };
