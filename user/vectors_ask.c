// SPDX-License-Identifier: GPL-2.0
/*
 * What strangers on the link ask, and the programs that would answer: see vectors_ask.h. Knows no
 * vector.
 */
#include "vectors_ask.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "vectors_scene.h"

enum {
	ANSWER_MS = 100, /* how long a program waits for a question */
	FIRST_SEQUENCE = 1000,
	ICMP_ECHO_REQUEST = 8,
	ICMP6_ECHO_REQUEST = 128,
};

int ask_packet(const __u8 *packet, size_t bytes)
{
	return scene_send_ip(SCENE_ROUTER_DEVICE, VERIFY_CLIENT_MAC, VERIFY_ROUTER_MAC, packet,
			     bytes);
}

int ask_udp4(const struct shot *s, const char *from, const char *to)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];

	verify_payload(s, payload, sizeof(payload));
	return ask_packet(packet, verify_udp4(packet, from, to, s->port, s->port, payload,
				       sizeof(payload)));
}

int ask_udp6(const struct shot *s, const char *from, const char *to)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];

	verify_payload(s, payload, sizeof(payload));
	return ask_packet(packet, verify_udp6(packet, from, to, s->port, s->port, payload,
				       sizeof(payload)));
}

int ask_echo4(const struct shot *s, const char *from, const char *to)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	struct scene_icmp echo = { .type = ICMP_ECHO_REQUEST, .payload = payload,
				   .bytes = sizeof(payload) };

	verify_payload(s, payload, sizeof(payload));
	return ask_packet(packet, scene_icmp4(packet, from, to, &echo));
}

int ask_echo6(const struct shot *s, const char *from, const char *to)
{
	__u8 packet[ASK_ROOM], payload[ASK_PAYLOAD];
	struct scene_icmp echo = { .type = ICMP6_ECHO_REQUEST, .payload = payload,
				   .bytes = sizeof(payload) };

	verify_payload(s, payload, sizeof(payload));
	return ask_packet(packet, scene_icmp6(packet, from, to, &echo));
}

/* What the answer to a segment begins with, if that acknowledged as much as the token says: ports
 * and sequence number of a reset. */
static __u32 token_sequence(const struct shot *s)
{
	__be32 word;

	memcpy(&word, s->token, sizeof(word));
	return tf_ntohl(word);
}

int ask_tcp4(const struct shot *s, const char *from, const char *to, __u8 flags)
{
	__u8 packet[ASK_ROOM];
	__u32 acknowledged = flags & ASK_ACK ? token_sequence(s) : 0;

	return ask_packet(packet, verify_tcp4(packet, from, to, s->port, s->port, flags,
					      FIRST_SEQUENCE, acknowledged, NULL, 0));
}

static bool is_tcp(const struct shot *s, const __u8 *frame, size_t bytes, __u8 flags)
{
	struct verify_frame f;

	return verify_parse(frame, bytes, &f) && f.protocol == IPPROTO_TCP &&
	       (f.tcp_flags & flags) == flags && f.sport == s->port;
}

bool ask_is_accepted(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_tcp(s, frame, bytes, ASK_SYN | ASK_ACK);
}

bool ask_is_reset(const struct shot *s, const __u8 *frame, size_t bytes)
{
	return is_tcp(s, frame, bytes, ASK_RST);
}

/* A program that answers whoever asks: this very process, which holds the client's socket. */
int ask_answer_one(struct shot *s)
{
	struct pollfd ready = { .fd = s->fd, .events = POLLIN };
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	__u8 payload[ASK_PAYLOAD];

	if (poll(&ready, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	if (recvfrom(s->fd, payload, sizeof(payload), 0, (struct sockaddr *)&from, &length) < 0)
		return -errno;
	verify_payload(s, payload, sizeof(payload));
	if (sendto(s->fd, payload, sizeof(payload), 0, (struct sockaddr *)&from, length) < 0)
		return -errno;
	return 0;
}

/* A socket at the shot's port, of every address. */
static int open_socket(struct shot *s, const char *any, int type)
{
	struct sockaddr_storage own;
	socklen_t length = verify_sockaddr(any, s->port, &own);

	s->fd = socket(own.ss_family, type | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&own, length) < 0)
		return -errno;
	return type == SOCK_STREAM && listen(s->fd, 1) < 0 ? -errno : 0;
}

int ask_listen4(struct shot *s)
{
	return open_socket(s, "0.0.0.0", SOCK_STREAM);
}

int ask_listen6(struct shot *s)
{
	return open_socket(s, "::", SOCK_STREAM);
}

int ask_listen_udp4(struct shot *s)
{
	return open_socket(s, "0.0.0.0", SOCK_DGRAM);
}
