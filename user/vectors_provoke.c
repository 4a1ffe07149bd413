// SPDX-License-Identifier: GPL-2.0
/*
 * Packets from outside that make the client's kernel speak: see vectors_provoke.h. They come by the
 * wire, or by a side door: a device plugged in a moment ago, where nobody judges what arrives.
 */
#include "vectors_provoke.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "util.h"
#include "vectors_craft.h"

#define SIDE_MAC "02:00:00:00:88:01"
#define STRANGER4 "198.51.100.81"
#define STRANGER6 "2001:db8:51::81"

enum {
	SYN = 0x02,
	ACK = 0x10,
	ECHO4 = 8,
	TIMESTAMP4 = 13,
	ECHO6 = 128,
	MEMBERSHIP_QUERY = 0x11,
	CONTENT = 64,
	OLD_SEQUENCE = 0x5eed,
	CLOSED_PORT = 19,
	UNKNOWN_PROTOCOL = 253, /* RFC 3692: for experiments */
	MAC_TEXT = 18,
};

static size_t incoming4(__u8 *to, __u8 protocol, const void *payload, size_t bytes)
{
	const struct craft_ip ip = { .src = VERIFY_WEB4, .dst = VERIFY_CLIENT4,
				     .protocol = protocol };

	return craft_ip(to, &ip, payload, bytes);
}

static size_t incoming6(__u8 *to, __u8 protocol, const void *payload, size_t bytes)
{
	const struct craft_ip ip = { .src = VERIFY_WEB6, .dst = VERIFY_CLIENT6,
				     .protocol = protocol };

	return craft_ip(to, &ip, payload, bytes);
}

static __u16 flow_port(const struct shot *s)
{
	const struct provoke_flow *flow = s->data;

	return flow ? flow->port : 0;
}

/* The stranger's port is the shot's own: by it the answer is known. */
size_t provoke_stray4(const struct shot *s, __u8 *to)
{
	__u8 tcp[CRAFT_TCP_HEADER];

	craft_tcp(tcp, s->port, CLOSED_PORT, ACK, OLD_SEQUENCE, OLD_SEQUENCE);
	return incoming4(to, IPPROTO_TCP, tcp, sizeof(tcp));
}

size_t provoke_stray6(const struct shot *s, __u8 *to)
{
	__u8 tcp[CRAFT_TCP_HEADER];

	craft_tcp(tcp, s->port, CLOSED_PORT, ACK, OLD_SEQUENCE, OLD_SEQUENCE);
	return incoming6(to, IPPROTO_TCP, tcp, sizeof(tcp));
}

/* Here it is the listener's port. */
size_t provoke_opening4(const struct shot *s, __u8 *to)
{
	__u8 tcp[CRAFT_TCP_HEADER];

	craft_tcp(tcp, s->port, s->port, SYN, OLD_SEQUENCE, 0);
	return incoming4(to, IPPROTO_TCP, tcp, sizeof(tcp));
}

size_t provoke_opening6(const struct shot *s, __u8 *to)
{
	__u8 tcp[CRAFT_TCP_HEADER];

	craft_tcp(tcp, s->port, s->port, SYN, OLD_SEQUENCE, 0);
	return incoming6(to, IPPROTO_TCP, tcp, sizeof(tcp));
}

/* In no window, so that whoever knows the flow answers with an ACK: TIME_WAIT (RFC 793) ... */
size_t provoke_old_segment(const struct shot *s, __u8 *to)
{
	__u8 tcp[CRAFT_TCP_HEADER];

	craft_tcp(tcp, s->port, flow_port(s), ACK, OLD_SEQUENCE, OLD_SEQUENCE);
	return incoming4(to, IPPROTO_TCP, tcp, sizeof(tcp));
}

/* ... and an open connection that is asked to begin anew (RFC 5961, 4). */
size_t provoke_second_opening(const struct shot *s, __u8 *to)
{
	__u8 tcp[CRAFT_TCP_HEADER];

	craft_tcp(tcp, s->port, flow_port(s), SYN, OLD_SEQUENCE, 0);
	return incoming4(to, IPPROTO_TCP, tcp, sizeof(tcp));
}

size_t provoke_closed_udp4(const struct shot *s, __u8 *to)
{
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return verify_udp4(to, VERIFY_WEB4, VERIFY_CLIENT4, s->port, CLOSED_PORT, payload,
			   sizeof(payload));
}

size_t provoke_closed_udp6(const struct shot *s, __u8 *to)
{
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return verify_udp6(to, VERIFY_WEB6, VERIFY_CLIENT6, s->port, CLOSED_PORT, payload,
			   sizeof(payload));
}

size_t provoke_echo4(const struct shot *s, __u8 *to)
{
	__u8 icmp[8 + CONTENT] = { ECHO4 };

	verify_payload(s, icmp + 8, CONTENT);
	return incoming4(to, IPPROTO_ICMP, icmp, sizeof(icmp));
}

size_t provoke_echo6(const struct shot *s, __u8 *to)
{
	__u8 icmp[8 + CONTENT] = { ECHO6 };

	verify_payload(s, icmp + 8, CONTENT);
	return incoming6(to, IPPROTO_ICMPV6, icmp, sizeof(icmp));
}

size_t provoke_echo6_to_all(const struct shot *s, __u8 *to)
{
	const struct craft_ip ip = { .src = VERIFY_ROUTER6, .dst = "ff02::1",
				     .protocol = IPPROTO_ICMPV6 };
	__u8 icmp[8 + CONTENT] = { ECHO6 };

	verify_payload(s, icmp + 8, CONTENT);
	return craft_ip(to, &ip, icmp, sizeof(icmp));
}

/* RFC 792: the answer has the same identifier, sequence number and time of origin, which are the
 * token's eight bytes. */
size_t provoke_timestamp4(const struct shot *s, __u8 *to)
{
	__u8 icmp[20] = { TIMESTAMP4 };

	memcpy(icmp + 4, s->token, VERIFY_TOKEN);
	return incoming4(to, IPPROTO_ICMP, icmp, sizeof(icmp));
}

size_t provoke_unknown4(const struct shot *s, __u8 *to)
{
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return incoming4(to, UNKNOWN_PROTOCOL, payload, sizeof(payload));
}

size_t provoke_unknown6(const struct shot *s, __u8 *to)
{
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return incoming6(to, UNKNOWN_PROTOCOL, payload, sizeof(payload));
}

/* A timestamp option whose pointer points before itself (RFC 791). The header grows by four bytes:
 * made of a packet whose payload begins with the option. */
size_t provoke_bad_option4(const struct shot *s, __u8 *to)
{
	static const __u8 option[4] = { 68, 4, 1, 0 };
	__u8 payload[sizeof(option) + CONTENT];
	__u32 check;
	size_t bytes;

	memcpy(payload, option, sizeof(option));
	verify_payload(s, payload + sizeof(option), CONTENT);
	bytes = incoming4(to, UNKNOWN_PROTOCOL, payload, sizeof(payload));
	to[0]++;
	/* The sum grows by the new length and the option: one's complement, so it is taken off. */
	check = get16(to + 10) + (0xffff - 0x0100U) + (0xffff - get16(option)) +
		(0xffff - get16(option + 2));
	while (check >> 16)
		check = (check & 0xffff) + (check >> 16);
	put16(to + 10, check);
	return bytes;
}

/* To be forwarded, and at its last hop. */
size_t provoke_dying4(const struct shot *s, __u8 *to)
{
	const struct craft_ip ip = { .src = VERIFY_WEB4, .dst = STRANGER4, .hops = 1,
				     .protocol = UNKNOWN_PROTOCOL };
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return craft_ip(to, &ip, payload, sizeof(payload));
}

size_t provoke_dying6(const struct shot *s, __u8 *to)
{
	const struct craft_ip ip = { .src = VERIFY_WEB6, .dst = STRANGER6, .hops = 1,
				     .protocol = UNKNOWN_PROTOCOL };
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return craft_ip(to, &ip, payload, sizeof(payload));
}

/* From a neighbour by this machine to the router: the neighbour is told of the shorter way. */
size_t provoke_detour4(const struct shot *s, __u8 *to)
{
	const struct craft_ip ip = { .src = VERIFY_LAN4, .dst = STRANGER4,
				     .protocol = UNKNOWN_PROTOCOL };
	__u8 payload[CONTENT];

	verify_payload(s, payload, sizeof(payload));
	return craft_ip(to, &ip, payload, sizeof(payload));
}

/* RFC 2236, 2: a query for the one group, to be answered within a tenth of a second. */
size_t provoke_group_query(const struct shot *s, __u8 *to)
{
	const struct craft_ip ip = { .src = VERIFY_ROUTER4, .dst = "224.0.0.1", .hops = 1,
				     .protocol = IPPROTO_IGMP };
	__u8 igmp[8] = { MEMBERSHIP_QUERY, 1 };

	(void)s;
	return craft_ip(to, &ip, igmp, sizeof(igmp));
}

/* Where a packet's frame goes: to the device, or to the group's MAC (RFC 1112, RFC 2464). */
static void mac_of(const __u8 *packet, const char *device, char to[MAC_TEXT])
{
	const __u8 *dst = packet + (packet[0] >> 4 == 6 ? 24 : 16);

	if (packet[0] >> 4 == 6 && dst[0] == 0xff)
		snprintf(to, MAC_TEXT, "33:33:%02x:%02x:%02x:%02x", dst[12], dst[13], dst[14],
			 dst[15]);
	else if (packet[0] >> 4 == 4 && dst[0] >> 4 == 14)
		snprintf(to, MAC_TEXT, "01:00:5e:%02x:%02x:%02x", dst[1] & 0x7f, dst[2], dst[3]);
	else
		snprintf(to, MAC_TEXT, "%s", device);
}

static size_t frame_of(const struct shot *s, provoke_maker *make, const char *device, __u8 *to)
{
	size_t bytes = make(s, to + ETH_HLEN);
	__u16 type = to[ETH_HLEN] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	char mac[MAC_TEXT];

	mac_of(to + ETH_HLEN, device, mac);
	return verify_ethernet(to, mac, VERIFY_ROUTER_MAC, type) + bytes;
}

int provoke_by_router(const struct shot *s, provoke_maker *make)
{
	__u8 frame[CRAFT_MAX] = {};
	size_t bytes = frame_of(s, make, VERIFY_CLIENT_MAC, frame);

	return verify_send_frame(PROVOKE_DEVICE, frame, bytes);
}

/* What comes by another way than it would go is not taken in, unless the check is off. */
int provoke_by_side_door(const struct shot *s, provoke_maker *make)
{
	__u8 frame[CRAFT_MAX] = {};
	size_t bytes = frame_of(s, make, SIDE_MAC, frame);
	int r = verify_ip(s, VERIFY_CLIENT,
			  "link add side0 address " SIDE_MAC " type veth peer name side1");

	if (!r)
		r = verify_ip(s, VERIFY_CLIENT, "link set side0 up");
	if (!r)
		r = verify_ip(s, VERIFY_CLIENT, "link set side1 up");
	if (!r)
		r = verify_sysctl(s, VERIFY_CLIENT, "net/ipv4/conf/all/rp_filter", "0");
	if (!r)
		r = verify_sysctl(s, VERIFY_CLIENT, "net/ipv4/conf/side0/rp_filter", "0");
	return r ? r : verify_send_frame("side1", frame, bytes);
}
