// SPDX-License-Identifier: GPL-2.0
/*
 * Builds scenes from their text: see vectors_scene.h. Runs in a firing's own process, which is
 * thrown away with all it opened; never prints, never judges, and knows no vector.
 */
#include "vectors_scene.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bytes.h"
#include "util.h"

enum {
	LINE = 1024,
	FRAME = 1514,
	PAYLOAD = 64,
	IP4_HEADER = 20,
	IP6_HEADER = 40,
	ICMP_HEADER = 8,
	ND_HOPS = 255,
};

/* Where a line is run: one of the world's places, or a namespace that the scene made. */
static const char *const world_places[VERIFY_PLACES] = {
	[VERIFY_CLIENT] = "client",
	[VERIFY_ROUTER] = "router",
	[VERIFY_SERVER] = "server",
};

static const char *const own_places[SCENE_PLACES] = {
	[SCENE_GUEST] = "guest",
	[SCENE_INNER] = "inner",
};

struct own_namespaces {
	int fd[SCENE_PLACES]; /* -1: not yet */
};

static int index_of(const char *name, const char *const names[], int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (names[i] && streq(names[i], name))
			return i;
	}
	return -EINVAL;
}

/* The descriptor of a namespace that the scene names; made at the first time. */
static int own_namespace(const struct shot *s, const char *name)
{
	struct own_namespaces *own = s->data;
	int place = index_of(name, own_places, SCENE_PLACES);

	if (place < 0)
		return place;
	if (own->fd[place] < 0)
		own->fd[place] = verify_new_namespace(s);
	return own->fd[place];
}

/* The path of a namespace, for tools; -ENOENT: there is no such place. */
static int namespace_path(const struct shot *s, const char *name, char to[VERIFY_PATH])
{
	int place = index_of(name, world_places, VERIFY_PLACES), fd;

	if (place >= 0) {
		verify_place_path(s, (enum verify_place)place, to);
		return 0;
	}
	if (index_of(name, own_places, SCENE_PLACES) < 0)
		return -ENOENT;
	fd = own_namespace(s, name);
	if (fd < 0)
		return fd;
	verify_namespace_path(fd, to);
	return 0;
}

/* The rest of a line, with "@guest" and the like made a path. Tools have an '@' of their own. */
static int expand(const struct shot *s, const char *line, char to[LINE])
{
	char path[VERIFY_PATH] = "", name[LINE];
	const char *at = strchr(line, '@');
	int n, used = 0, r = -ENOENT;

	if (at && sscanf(at, "@%1023[a-z]%n", name, &used) == 1)
		r = namespace_path(s, name, path);
	if (r == -ENOENT)
		n = snprintf(to, LINE, "%s", line);
	else if (r < 0)
		return r;
	else
		n = snprintf(to, LINE, "%.*s%s%s", (int)(at - line), line, path, at + used);
	return n >= 0 && n < LINE ? 0 : -E2BIG;
}

static int run_command(const struct shot *s, const char *place_name, const char *command)
{
	int place = index_of(place_name, world_places, VERIFY_PLACES), fd;
	char name[LINE], value[LINE];
	bool set = sscanf(command, "set %1023s %1023[^\n]", name, value) == 2;

	if (sscanf(command, "plug %1023s", name) == 1)
		return verify_new_uplink(s, name);
	if (place == VERIFY_CLIENT && sscanf(command, "await %1023s", name) == 1)
		return verify_await_device(name); /* scenes are built in the client */
	if (place >= 0)
		return set ? verify_sysctl(s, (enum verify_place)place, name, value)
			   : verify_run(s, (enum verify_place)place, "%s", command);
	fd = own_namespace(s, place_name);
	if (fd < 0)
		return fd;
	return set ? verify_sysctl_fd(fd, name, value) : verify_run_fd(fd, "%s", command);
}

static int run_line(const struct shot *s, const char *line)
{
	bool may_fail = line[0] == '?';
	char place[LINE], command[LINE];
	int start = 0, r;

	if (sscanf(line + may_fail, "%1023s %n", place, &start) != 1 || !start)
		return -EINVAL;
	r = expand(s, line + may_fail + start, command);
	if (!r)
		r = run_command(s, place, command);
	return r == -EIO && may_fail ? -EOPNOTSUPP : r; /* anything else is no tool's answer */
}

int scene_run(const struct shot *s, const char *text)
{
	char line[LINE];
	size_t bytes;
	int r = 0;

	for (; !r && *text; text += bytes + (text[bytes] == '\n')) {
		bytes = strcspn(text, "\n");
		if (bytes >= sizeof(line))
			return -E2BIG;
		memcpy(line, text, bytes);
		line[bytes] = '\0';
		r = run_line(s, line);
	}
	return r;
}

int scene_build(struct shot *s, const struct scene *scenes, size_t count)
{
	struct own_namespaces *own = malloc(sizeof(*own));
	size_t i;

	if (!own)
		return -ENOMEM;
	memset(own, 0xff, sizeof(*own)); /* -1 */
	s->data = own;
	for (i = 0; i < count; i++) {
		if (streq(scenes[i].vector, s->name))
			return scenes[i].text ? scene_run(s, scenes[i].text) : 0;
	}
	return -EINVAL;
}

int scene_enter(const struct shot *s, enum scene_place place)
{
	const struct own_namespaces *own = s->data;

	return own->fd[place] < 0 ? -EINVAL : verify_enter_fd(own->fd[place]);
}

int scene_udp(const struct shot *s, const char *to)
{
	struct sockaddr_storage address;
	socklen_t length = verify_sockaddr(to, s->port, &address);
	_cleanup_close_ int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u8 payload[PAYLOAD];

	if (fd < 0)
		return -errno;
	verify_payload(s, payload, sizeof(payload));
	if (sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&address, length) < 0)
		return -errno;
	return 0;
}

int scene_udp_from(const struct shot *s, const char *source, const char *device, __u16 port)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage from, to;
	socklen_t from_length = source ? verify_sockaddr(source, 0, &from) : 0;
	socklen_t length = verify_sockaddr(VERIFY_WEB4, port, &to);
	__u8 payload[PAYLOAD];

	if (fd < 0)
		return -errno;
	if (source && bind(fd, (struct sockaddr *)&from, from_length) < 0)
		return -errno;
	if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
				 (socklen_t)strlen(device)) < 0)
		return -errno;
	verify_payload(s, payload, sizeof(payload));
	if (sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to, length) < 0)
		return -errno;
	return 0;
}

int scene_udp4(struct shot *s)
{
	return scene_udp(s, VERIFY_WEB4);
}

int scene_udp6(struct shot *s)
{
	return scene_udp(s, VERIFY_WEB6);
}

int scene_guest_udp4(struct shot *s)
{
	int r = scene_enter(s, SCENE_GUEST);

	return r ? r : scene_udp(s, VERIFY_WEB4);
}

int scene_guest_udp6(struct shot *s)
{
	int r = scene_enter(s, SCENE_GUEST);

	return r ? r : scene_udp(s, VERIFY_WEB6);
}

int scene_send_ip(const char *device, const char *to_mac, const char *from_mac, const __u8 *packet,
		  size_t bytes)
{
	__u16 type = packet[0] >> 4 == 4 ? ETH_P_IP : ETH_P_IPV6;
	__u8 frame[FRAME];
	size_t at = verify_ethernet(frame, to_mac, from_mac, type);

	if (bytes > sizeof(frame) - at)
		return -E2BIG;
	memcpy(frame + at, packet, bytes);
	return verify_send_frame(device, frame, at + bytes);
}

void scene_set_protocol4(__u8 *ip, __u8 protocol)
{
	ip[9] = protocol;
	ip[10] = ip[11] = 0;
	put16(ip + 10, fold16(sum16(ip, IP4_HEADER, 0)));
}

/* An IP packet of any protocol is made from a UDP one: the length is right, and eight bytes of it
 * are the header's to overwrite. */
size_t scene_icmp4(__u8 *to, const char *src, const char *dst, const struct scene_icmp *icmp)
{
	size_t all = verify_udp4(to, src, dst, 0, 0, icmp->payload, icmp->bytes);
	__u8 *at = to + IP4_HEADER;

	memset(at, 0, ICMP_HEADER);
	at[0] = icmp->type;
	at[1] = icmp->code;
	memcpy(at + 4, icmp->rest, sizeof(icmp->rest));
	put16(at + 2, fold16(sum16(at, all - IP4_HEADER, 0)));
	scene_set_protocol4(to, IPPROTO_ICMP);
	return all;
}

size_t scene_icmp6(__u8 *to, const char *src, const char *dst, const struct scene_icmp *icmp)
{
	size_t all = verify_udp6(to, src, dst, 0, 0, icmp->payload, icmp->bytes);
	size_t length = all - IP6_HEADER;
	__u8 *at = to + IP6_HEADER;
	__u32 pseudo;

	memset(at, 0, ICMP_HEADER);
	at[0] = icmp->type;
	at[1] = icmp->code;
	memcpy(at + 4, icmp->rest, sizeof(icmp->rest));
	to[6] = IPPROTO_ICMPV6;
	to[7] = ND_HOPS; /* what neighbour discovery asks for; others do not mind */
	pseudo = sum16(to + 8, 32, (__u32)length + IPPROTO_ICMPV6);
	put16(at + 2, fold16(sum16(at, length, pseudo)));
	return all;
}
