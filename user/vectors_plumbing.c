// SPDX-License-Identifier: GPL-2.0
/*
 * Look-alikes of what a link needs to exist (DHCP, neighbour discovery, MLD, ARP, EAPOL), made to
 * carry data. The exact shape of such plumbing may pass a fence and is no vector: what is here
 * departs from it in one thing each.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>

#include "util.h"
#include "vectors_craft.h"
#include "vectors_letter.h"
#include "verify.h"

#define ALL_NODES "ff02::1"
#define ALL_ROUTERS "ff02::2"
#define ALL_LISTENERS "ff02::16" /* RFC 3810: where MLDv2 reports go */
#define ALL_DHCP6 "ff02::1:2"
#define EVERYBODY "255.255.255.255"
#define SUBNET "192.168.77.255"
#define STRANGER_MAC "02:00:00:00:99:99"
#define NEAREST_BRIDGE "01:80:c2:00:00:0e" /* LLDP */
#define BROADCAST_MAC "ff:ff:ff:ff:ff:ff"

enum {
	BOOTP = 300,    /* RFC 951: no smaller */
	ND_HEADER = 24, /* solicitation, advertisement: with a target */
	MLD2_HEADER = 8,
	MLD2_RECORD = 20,
};

/* RFC 2131, 2: the token is the server's name, which no client fills in. */
static size_t put_bootp(const struct shot *s, __u8 *to, __u8 operation, size_t bytes)
{
	static const __u8 cookie[] = { 99, 130, 83, 99, 53, 1, 1, 255 }; /* and DISCOVER */

	memset(to, 0, CRAFT_MAX);
	to[0] = operation;
	to[1] = 1;
	to[2] = ETH_ALEN;
	memcpy(to + 44, s->token, VERIFY_TOKEN);
	memcpy(to + 236, cookie, sizeof(cookie));
	return bytes ? bytes : BOOTP;
}

static size_t bootp_request(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_bootp(s, to, 1, bytes);
}

static size_t bootp_reply(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_bootp(s, to, 2, bytes);
}

static size_t bootp_without_cookie(const struct shot *s, __u8 *to, size_t bytes)
{
	bytes = put_bootp(s, to, 1, bytes);
	to[236] = 'x';
	return bytes;
}

/* RFC 8415, 8: the token is in the client's identifier. */
static size_t put_dhcp6(const struct shot *s, __u8 *to, __u8 type)
{
	static const __u8 head[] = { 0, 1, 2, 3, 0, 1, 0, 12, 0, 2, 0, 0 };

	memcpy(to, head, sizeof(head));
	to[0] = type;
	memcpy(to + sizeof(head), s->token, VERIFY_TOKEN);
	return sizeof(head) + VERIFY_TOKEN;
}

static size_t dhcp6_solicit(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return put_dhcp6(s, to, 1);
}

static size_t dhcp6_reply(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return put_dhcp6(s, to, 7);
}

/* An ICMPv6 message of RFC 4861: header bytes, then options that hold the token. option_bytes is a
 * multiple of 8; the first option is a link-layer address (1) or a nonce (14) of at most 16. */
static size_t put_nd(const struct shot *s, __u8 *to, __u8 type, size_t header, size_t option_bytes)
{
	memset(to, 0, header + option_bytes);
	to[0] = type;
	if (header >= ND_HEADER)
		inet_pton(AF_INET6, VERIFY_ROUTER_LINK, to + 8);
	to[header] = header >= ND_HEADER ? 14 : 1;
	to[header + 1] = (__u8)(option_bytes / 8);
	memcpy(to + header + 2, s->token, VERIFY_TOKEN);
	return header + option_bytes;
}

/* As a link would have it. */
static size_t neighbour_solicitation(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_nd(s, to, 135, ND_HEADER, bytes ? bytes : 16);
}

static size_t neighbour_advertisement(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_nd(s, to, 136, ND_HEADER, bytes ? bytes : 16);
}

static size_t neighbour_code(const struct shot *s, __u8 *to, size_t bytes)
{
	bytes = neighbour_solicitation(s, to, bytes);
	to[1] = 1;
	return bytes;
}

static size_t router_solicitation(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_nd(s, to, 133, 8, bytes ? bytes : 16);
}

static size_t router_advertisement(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_nd(s, to, 134, 16, bytes ? bytes : 16);
}

static size_t redirect(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_nd(s, to, 137, 40, bytes ? bytes : 16);
}

/* RFC 3810, 5.2: one group, whose address holds the token, and room for more. */
static size_t listener_report(const struct shot *s, __u8 *to, size_t bytes)
{
	if (!bytes)
		bytes = MLD2_HEADER + MLD2_RECORD;
	memset(to, 0, bytes);
	to[0] = 143;
	to[7] = 1;
	to[MLD2_HEADER] = 4; /* its mode is now: exclude nobody */
	to[MLD2_HEADER + 4] = 0xff;
	to[MLD2_HEADER + 5] = 0x05;
	memcpy(to + MLD2_HEADER + 12, s->token, VERIFY_TOKEN);
	return bytes;
}

/* RFC 2710, 3. */
static size_t put_mld1(const struct shot *s, __u8 *to, __u8 type, size_t bytes)
{
	if (!bytes)
		bytes = ND_HEADER;
	memset(to, 0, bytes);
	to[0] = type;
	to[8] = 0xff;
	to[9] = 0x05;
	memcpy(to + 16, s->token, VERIFY_TOKEN);
	return bytes;
}

static size_t listener_report1(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_mld1(s, to, 131, bytes);
}

static size_t listener_query(const struct shot *s, __u8 *to, size_t bytes)
{
	return put_mld1(s, to, 130, bytes);
}

/* What stands behind an Ethernet header is the same for all: something small, then the token. */
static size_t with_token(const struct shot *s, __u8 *to, size_t at, size_t more)
{
	verify_payload(s, to + at, more);
	return at + more;
}

static size_t arp_with_trailer(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, BROADCAST_MAC, VERIFY_CLIENT_MAC, ETH_P_ARP);

	(void)bytes;
	at += craft_arp(to + at, 1, VERIFY_CLIENT_MAC, VERIFY_CLIENT4, VERIFY_ROUTER4);
	return with_token(s, to, at, 200);
}

static size_t arp_of_long_addresses(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_ARP);

	(void)bytes;
	craft_arp(to + at, 1, VERIFY_CLIENT_MAC, VERIFY_CLIENT4, VERIFY_ROUTER4);
	to[at + 5] = sizeof(struct in6_addr);
	return with_token(s, to, at + 14, 2 * (size_t)(ETH_ALEN + sizeof(struct in6_addr)) - 6);
}

static size_t arp_of_other_operation(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_ARP);

	(void)bytes;
	craft_arp(to + at, 9, VERIFY_CLIENT_MAC, VERIFY_CLIENT4, VERIFY_ROUTER4);
	memcpy(to + at + 18, s->token, VERIFY_TOKEN); /* in the target's place */
	return at + CRAFT_ARP;
}

/* IEEE 802.1X-2010, 11.3. */
static size_t put_eapol(const struct shot *s, __u8 *to, const char *mac, __u8 version)
{
	size_t at = verify_ethernet(to, mac, VERIFY_CLIENT_MAC, ETH_P_PAE);

	memset(to + at, 0, 4); /* with no body of its own */
	to[at] = version;
	to[at + 1] = 3;
	return with_token(s, to, at + 4, 200);
}

static size_t eapol_to_stranger(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return put_eapol(s, to, STRANGER_MAC, 2);
}

static size_t eapol_to_router(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return put_eapol(s, to, VERIFY_ROUTER_MAC, 2);
}

static size_t eapol_of_no_version(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	put_eapol(s, to, VERIFY_ROUTER_MAC, 9);
	to[ETH_HLEN + 3] = VERIFY_TOKEN;
	return ETH_HLEN + 4 + VERIFY_TOKEN;
}

static size_t eapol_tagged(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, VERIFY_ROUTER_MAC, VERIFY_CLIENT_MAC, ETH_P_8021Q);
	static const __u8 tag[] = { 0, 7, 0x88, 0x8e, 2, 3, 0, VERIFY_TOKEN };

	(void)bytes;
	memcpy(to + at, tag, sizeof(tag));
	return with_token(s, to, at + sizeof(tag), VERIFY_TOKEN);
}

static size_t lldp(const struct shot *s, __u8 *to, size_t bytes)
{
	(void)bytes;
	return with_token(s, to,
			  verify_ethernet(to, NEAREST_BRIDGE, VERIFY_CLIENT_MAC, ETH_P_LLDP), 100);
}

static size_t rarp(const struct shot *s, __u8 *to, size_t bytes)
{
	size_t at = verify_ethernet(to, BROADCAST_MAC, VERIFY_CLIENT_MAC, ETH_P_RARP);

	(void)bytes;
	craft_arp(to + at, 3, VERIFY_CLIENT_MAC, VERIFY_CLIENT4, VERIFY_ROUTER4);
	memcpy(to + at + 18, s->token, VERIFY_TOKEN);
	return at + CRAFT_ARP;
}

#define TO(address, number) .to = (address), .port = (number)
#define ON_LINK(address, number) TO(address, number), .device = "eth0"
#define CLIENT .from_port = 68
#define CLIENT6 .from_port = 546, .body = dhcp6_solicit

#define DHCP_LIKE(X)                                                                               \
	X("dhcp-to-stranger", dhcp_to_stranger, 0, "DHCP's shape to a stranger",                   \
	  TO(VERIFY_WEB4, 67), CLIENT, .body = bootp_request)                                      \
	X("dhcp-to-router", dhcp_to_router, 0, "DHCP's shape to the router alone",                 \
	  TO(VERIFY_ROUTER4, 67), CLIENT, .body = bootp_request)                                   \
	X("dhcp-to-subnet", dhcp_to_subnet, 0, "DHCP's shape to the subnet's broadcast address",   \
	  ON_LINK(SUBNET, 67), CLIENT, .body = bootp_request)                                      \
	X("dhcp-from-port", dhcp_from_port, 0, "DHCP's shape from another port",                   \
	  ON_LINK(EVERYBODY, 67), .from_port = 1068, .body = bootp_request)                        \
	X("dhcp-to-port", dhcp_to_port, 0, "DHCP's shape to another port",                         \
	  ON_LINK(EVERYBODY, 69), CLIENT, .body = bootp_request)                                   \
	X("dhcp-no-cookie", dhcp_no_cookie, 0, "DHCP's ports and size without its cookie",         \
	  ON_LINK(EVERYBODY, 67), CLIENT, .body = bootp_without_cookie)                            \
	X("dhcp-short", dhcp_short, 0, "DHCP's ports with less than its size",                     \
	  ON_LINK(EVERYBODY, 67), CLIENT, .body = bootp_request, .bytes = 200)                     \
	X("dhcp-fragments", dhcp_fragments, 0, "DHCP's shape with data for several frames",        \
	  ON_LINK(EVERYBODY, 67), CLIENT, .body = bootp_request, .bytes = 4000)                    \
	X("dhcp-reply", dhcp_reply, 0, "a server's message in a client's direction",               \
	  ON_LINK(EVERYBODY, 67), CLIENT, .body = bootp_reply)                                     \
	X("dhcp-server", dhcp_server, 0, "DHCP's shape as its server sends it",                    \
	  ON_LINK(EVERYBODY, 68), .from_port = 67, .body = bootp_reply)                            \
	X("dhcp6-to-stranger", dhcp6_to_stranger, 0, "DHCPv6's shape to a stranger",               \
	  TO(VERIFY_WEB6, 547), CLIENT6)                                                           \
	X("dhcp6-to-router", dhcp6_to_router, 0, "DHCPv6's shape to the router alone",             \
	  ON_LINK(VERIFY_ROUTER_LINK, 547), CLIENT6)                                               \
	X("dhcp6-from-global", dhcp6_from_global, 0, "DHCPv6's shape from a global address",       \
	  ON_LINK(ALL_DHCP6, 547), .from = VERIFY_CLIENT6, CLIENT6)                                \
	X("dhcp6-reply", dhcp6_as_reply, 0, "a DHCPv6 server's message in a client's direction",   \
	  ON_LINK(ALL_DHCP6, 547), .from_port = 546, .body = dhcp6_reply)

#define ICMP6 .kind = LETTER_ICMP6
#define NEAR .device = "eth0", .hops = 255
#define ALERT .alert = true, .hops = 1

#define NEIGHBOUR_LIKE(X)                                                                          \
	X("nd-to-stranger", nd_to_stranger, 0, "neighbour solicitation to a stranger",             \
	  ICMP6, .to = VERIFY_WEB6, .hops = 255, .body = neighbour_solicitation)                   \
	X("na-to-stranger", na_to_stranger, 0, "neighbour advertisement to a stranger",            \
	  ICMP6, .to = VERIFY_WEB6, .hops = 255, .body = neighbour_advertisement)                  \
	X("nd-to-global", nd_to_global, 0,                                                         \
	  "neighbour solicitation to a global address on the link",                                \
	  ICMP6, .to = VERIFY_ROUTER6, .hops = 255, .body = neighbour_solicitation)                \
	X("nd-hops", nd_hops, 0, "neighbour solicitation that may be forwarded",                   \
	  ICMP6, .to = VERIFY_ROUTER_LINK, .device = "eth0", .hops = 64,                           \
	  .body = neighbour_solicitation)                                                          \
	X("nd-long", nd_long, 0, "neighbour solicitation with long options",                       \
	  ICMP6, .to = VERIFY_ROUTER_LINK, NEAR, .body = neighbour_solicitation, .bytes = 400)     \
	X("na-long", na_long, 0, "neighbour advertisement with long options",                      \
	  ICMP6, .to = ALL_NODES, NEAR, .body = neighbour_advertisement, .bytes = 40)              \
	X("nd-code", nd_code, 0, "neighbour solicitation of no known code",                        \
	  ICMP6, .to = VERIFY_ROUTER_LINK, NEAR, .body = neighbour_code)                           \
	X("nd-extended", nd_extended, 0, "neighbour solicitation behind an extension header",      \
	  ICMP6, .to = VERIFY_ROUTER_LINK, NEAR, .alert = true, .body = neighbour_solicitation)    \
	X("nd-fragments", nd_fragments, 0, "neighbour solicitation with data for several frames",  \
	  ICMP6, .to = VERIFY_ROUTER_LINK, NEAR, .body = neighbour_solicitation, .bytes = 2000)    \
	X("rs-to-stranger", rs_to_stranger, 0, "router solicitation to a stranger",                \
	  ICMP6, .to = VERIFY_WEB6, .hops = 255, .body = router_solicitation)                      \
	X("rs-long", rs_long, 0, "router solicitation with long options",                          \
	  ICMP6, .to = ALL_ROUTERS, NEAR, .body = router_solicitation, .bytes = 40)                \
	X("ra", ra, 0, "router advertisement, which only a router sends",                          \
	  ICMP6, .to = ALL_NODES, NEAR, .body = router_advertisement)                              \
	X("nd-redirect", nd_redirect, 0, "ICMPv6 redirect, which only a router sends",             \
	  ICMP6, .to = VERIFY_ROUTER_LINK, NEAR, .body = redirect)                                 \
	X("mld-to-stranger", mld_to_stranger, 0, "listener report to a stranger",                  \
	  ICMP6, .to = VERIFY_WEB6, ALERT, .body = listener_report)                                \
	X("mld-no-alert", mld_no_alert, 0, "listener report without its router alert",             \
	  ICMP6, .to = ALL_LISTENERS, .device = "eth0", .hops = 1, .body = listener_report)        \
	X("mld-hops", mld_hops, 0, "listener report that may be forwarded",                        \
	  ICMP6, .to = ALL_LISTENERS, .device = "eth0", .alert = true, .hops = 64,                 \
	  .body = listener_report)                                                                 \
	X("mld-global", mld_global, 0, "listener report from a global address",                    \
	  ICMP6, .to = ALL_LISTENERS, .device = "eth0", .from = VERIFY_CLIENT6, ALERT,             \
	  .body = listener_report)                                                                 \
	X("mld-long", mld_long, 0, "listener report with room for data",                           \
	  ICMP6, .to = ALL_LISTENERS, .device = "eth0", ALERT, .body = listener_report,            \
	  .bytes = 1000)                                                                           \
	X("mld1-long", mld1_long, 0, "old listener report with data behind it",                    \
	  ICMP6, .to = ALL_NODES, .device = "eth0", ALERT, .body = listener_report1, .bytes = 64)  \
	X("mld-query", mld_query, 0, "listener query, which only a router sends",                  \
	  ICMP6, .to = ALL_NODES, .device = "eth0", ALERT, .body = listener_query)

#define FRAME .kind = LETTER_FRAME

#define LINK_LIKE(X)                                                                               \
	X("arp-trailer", arp_trailer, 0, "ARP with data behind it", FRAME,                         \
	  .body = arp_with_trailer)                                                                \
	X("arp-long", arp_long, 0, "ARP with addresses of another length", FRAME,                  \
	  .body = arp_of_long_addresses)                                                           \
	X("arp-operation", arp_operation, 0, "ARP of another operation", FRAME,                    \
	  .body = arp_of_other_operation)                                                          \
	X("rarp", rarp_frame, 0, "reverse ARP", FRAME, .body = rarp)                               \
	X("eapol-trailer", eapol_trailer, 0, "EAPOL with data behind it", FRAME,                   \
	  .body = eapol_to_router)                                                                 \
	X("eapol-to-stranger", eapol_stranger, 0, "EAPOL with data behind it to a strange MAC",    \
	  FRAME, .body = eapol_to_stranger)                                                        \
	X("eapol-version", eapol_version, 0, "EAPOL of no known version", FRAME,                   \
	  .body = eapol_of_no_version)                                                             \
	X("eapol-tagged", eapol_in_vlan, 0, "EAPOL behind a VLAN tag", FRAME,                      \
	  .body = eapol_tagged)                                                                    \
	X("lldp", lldp_frame, 0, "LLDP, by which a machine describes itself", FRAME, .body = lldp)

#define LETTERS(X) DHCP_LIKE(X) NEIGHBOUR_LIKE(X) LINK_LIKE(X)

LETTERS(LETTER_FUNCTION)

static const struct vector vectors[] = { LETTERS(LETTER_ROW) };

const struct vector_group vectors_plumbing = { "plumbing", vectors, ARRAY_SIZE(vectors) };
