// SPDX-License-Identifier: GPL-2.0
/*
 * Asks a live WireGuard device for its endpoints, and tells it one: see wireguard.h. Here: which way
 * to ask, and the way of the kernel's own devices. Never keeps a secret key. An answer is taken whole
 * or not at all: half a list would cut a working tunnel.
 */
#include "wireguard.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "addr.h"
#include "netlink.h"
#include "util.h"
#include "wireguard_uapi.h"

enum diag {
	DIAG_MINOR_BITS = 20, /* of a device number as the kernel holds it */
	DIAG_LISTEN = 10,     /* TCP_LISTEN of net/tcp_states.h */
};

void wireguard_device_free(struct wireguard_device *d)
{
	if (!d)
		return;

	free(d->endpoints);
	free(d->peers);
	*d = (struct wireguard_device){ 0 };
}

int wireguard_add_peer(struct wireguard_device *d, const struct key *key)
{
	struct wireguard_peer *more;

	if (d->peer_count && key_equal(&d->peers[d->peer_count - 1].key, key))
		return 0;

	more = reallocarray(d->peers, d->peer_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;

	d->peers = more;
	d->peers[d->peer_count++] = (struct wireguard_peer){ .key = *key };
	return 0;
}

int wireguard_add_handshake(struct wireguard_device *d, long long seconds)
{
	if (!d->peer_count)
		return -EPROTO;

	if (seconds > d->last_handshake)
		d->last_handshake = seconds;
	d->peers[d->peer_count - 1].last_handshake = seconds;
	return 0;
}

int wireguard_add_endpoint(struct wireguard_device *d, const struct sockaddr *sa)
{
	struct wireguard_endpoint endpoint = { 0 }, *more;

	if (!d->peer_count || addr_from_sockaddr(sa, &endpoint.addr, &endpoint.port) < 0)
		return -EPROTO;
	if (!endpoint.port || (sa->sa_family == AF_INET6 && tf_addr_is_v4(&endpoint.addr)))
		return 0;

	more = reallocarray(d->endpoints, d->endpoint_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;

	d->endpoints = more;
	d->endpoints[d->endpoint_count++] = endpoint;
	d->peers[d->peer_count - 1].has_endpoint = true;
	d->peers[d->peer_count - 1].endpoint = endpoint;
	return 0;
}

static int parse_peer_endpoint(const struct nlattr *attribute, struct wireguard_device *d)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in6 in6;
	} u = { 0 };
	size_t len = mnl_attr_get_payload_len(attribute);

	memcpy(&u, mnl_attr_get_payload(attribute), len); /* at most an in6, by the rules */
	if ((u.sa.sa_family == AF_INET && len == sizeof(struct sockaddr_in)) ||
	    (u.sa.sa_family == AF_INET6 && len == sizeof(struct sockaddr_in6)))
		return wireguard_add_endpoint(d, &u.sa);
	return -EPROTO;
}

/* A peer whose allowed IPs fill more than one message comes again in the next, with its key and the
 * rest of them but nothing else. */
static int parse_peer(const struct nlattr *peer, void *data)
{
	enum { KEY, ENDPOINT, HANDSHAKE };
	static const struct netlink_rule rules[] = {
		[KEY] = { WGPEER_A_PUBLIC_KEY, KEY_BYTES, KEY_BYTES },
		[ENDPOINT] = { WGPEER_A_ENDPOINT, sizeof(struct sockaddr_in),
			       sizeof(struct sockaddr_in6) },
		/* struct __kernel_timespec: two 64-bit numbers */
		[HANDSHAKE] = { WGPEER_A_LAST_HANDSHAKE_TIME, 16, 16 },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)];
	struct wireguard_device *d = data;
	long long seconds;
	struct key key;
	int r;

	r = netlink_nested(peer, rules, ARRAY_SIZE(rules), found);
	if (r < 0)
		return r;
	if (!found[KEY])
		return -EPROTO;

	memcpy(&key, mnl_attr_get_payload(found[KEY]), sizeof(key));
	r = wireguard_add_peer(d, &key);
	if (r < 0)
		return r;
	if (found[HANDSHAKE]) {
		memcpy(&seconds, mnl_attr_get_payload(found[HANDSHAKE]), sizeof(seconds));
		r = wireguard_add_handshake(d, seconds);
		if (r < 0)
			return r;
	}
	return found[ENDPOINT] ? parse_peer_endpoint(found[ENDPOINT], d) : 0;
}

int wireguard_parse_netlink(const struct nlmsghdr *message, struct wireguard_device *d)
{
	enum { PORT, MARK, PEERS };
	static const struct netlink_rule rules[] = {
		[PORT] = { WGDEVICE_A_LISTEN_PORT, sizeof(__u16), sizeof(__u16) },
		[MARK] = { WGDEVICE_A_FWMARK, sizeof(__u32), sizeof(__u32) },
		[PEERS] = { WGDEVICE_A_PEERS, 0, UINT16_MAX },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)];
	int r;

	r = netlink_attributes(message, sizeof(struct genlmsghdr), rules, ARRAY_SIZE(rules), found);
	if (r < 0)
		return r;

	if (found[PORT])
		d->listen_port = mnl_attr_get_u16(found[PORT]);
	if (found[MARK])
		d->mark = mnl_attr_get_u32(found[MARK]);
	return found[PEERS] ? netlink_each(found[PEERS], parse_peer, d) : 0;
}

struct netlink_answer {
	struct wireguard_device device;
	bool any; /* message at all */
};

static int take_device(const struct nlmsghdr *message, void *data)
{
	struct netlink_answer *answer = data;

	answer->any = true;
	return wireguard_parse_netlink(message, &answer->device);
}

static void forget_device(void *data)
{
	struct netlink_answer *answer = data;

	wireguard_device_free(&answer->device);
	answer->any = false;
}

static void put_command(struct nlmsghdr *request, int family, __u8 command)
{
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	request->nlmsg_type = (__u16)family;
	header->cmd = command;
	header->version = WG_GENL_VERSION;
}

static int exchange_device(int family, const char *interface, struct netlink_answer *answer)
{
	_Alignas(struct nlmsghdr) char buffer[128] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	int r;

	put_command(request, family, WG_CMD_GET_DEVICE);
	request->nlmsg_flags = NLM_F_DUMP;
	mnl_attr_put_strz(request, WGDEVICE_A_IFNAME, interface); /* 15 characters at most */

	r = netlink_exchange(NETLINK_GENERIC, request, true, take_device, forget_device, answer);
	if (r < 0)
		return r;
	return answer->any ? 0 : -EPROTO;
}

static int no_device(const char *interface, int code, struct err *e)
{
	if (code == -ENOENT || code == -ENODEV || code == -EOPNOTSUPP)
		return err_set(e, -ENODEV, "there is no WireGuard device '%s' in the kernel",
			       interface);
	return err_set(e, code, "cannot ask WireGuard device '%s': %s; try again as root",
		       interface, strerror(-code));
}

static int read_netlink(const char *interface, struct wireguard_device *ret, struct err *e)
{
	struct netlink_answer answer = { 0 };
	int family, r;

	family = netlink_family(WG_GENL_NAME);
	r = family < 0 ? family : exchange_device(family, interface, &answer);
	if (!r) {
		*ret = answer.device;
		return 0;
	}

	wireguard_device_free(&answer.device);
	return no_device(interface, r, e);
}

static void put_endpoint(struct nlmsghdr *request, const struct wireguard_endpoint *endpoint)
{
	const in_port_t port = (TF_FORCE in_port_t)endpoint->port;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = port };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = port };

	if (tf_addr_is_v4(&endpoint->addr)) {
		memcpy(&in.sin_addr, &endpoint->addr.byte[12], sizeof(in.sin_addr));
		mnl_attr_put(request, WGPEER_A_ENDPOINT, sizeof(in), &in);
		return;
	}
	memcpy(&in6.sin6_addr, &endpoint->addr, sizeof(in6.sin6_addr));
	mnl_attr_put(request, WGPEER_A_ENDPOINT, sizeof(in6), &in6);
}

void wireguard_put_set(struct nlmsghdr *request, const char *interface,
		       const struct wireguard_peer *peer)
{
	struct nlattr *list, *one;

	mnl_attr_put_strz(request, WGDEVICE_A_IFNAME, interface); /* 15 characters at most */
	list = mnl_attr_nest_start(request, WGDEVICE_A_PEERS);
	one = mnl_attr_nest_start(request, 0);
	mnl_attr_put(request, WGPEER_A_PUBLIC_KEY, sizeof(peer->key), &peer->key);
	mnl_attr_put_u32(request, WGPEER_A_FLAGS, WGPEER_F_UPDATE_ONLY);
	put_endpoint(request, &peer->endpoint);
	mnl_attr_nest_end(request, one);
	mnl_attr_nest_end(request, list);
}

static int take_nothing(const struct nlmsghdr *message, void *data)
{
	(void)message, (void)data;
	return -EPROTO;
}

static int set_netlink(const char *interface, const struct wireguard_peer *peer, struct err *e)
{
	_Alignas(struct nlmsghdr) char buffer[WIREGUARD_SET_SIZE] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	int family = netlink_family(WG_GENL_NAME), r;

	if (family < 0)
		return no_device(interface, family, e);
	put_command(request, family, WG_CMD_SET_DEVICE);
	wireguard_put_set(request, interface, peer);
	r = netlink_exchange(NETLINK_GENERIC, request, false, take_nothing, NULL, NULL);
	return r < 0 ? no_device(interface, r, e) : 0;
}

bool wireguard_in_kernel(void)
{
	return netlink_family(WG_GENL_NAME) >= 0;
}

static int take_socket(const struct nlmsghdr *message, void *data)
{
	static const struct netlink_rule rules[] = {
		{ UNIX_DIAG_VFS, sizeof(struct unix_diag_vfs), sizeof(struct unix_diag_vfs) },
	};
	const struct nlattr *found[ARRAY_SIZE(rules)];
	const struct stat *st = data;
	struct unix_diag_vfs vfs;
	int r;

	r = netlink_attributes(message, sizeof(struct unix_diag_msg), rules, ARRAY_SIZE(rules),
			       found);
	if (r < 0 || !found[0])
		return r;

	memcpy(&vfs, mnl_attr_get_payload(found[0]), sizeof(vfs));
	if (vfs.udiag_vfs_ino == (__u32)st->st_ino &&
	    vfs.udiag_vfs_dev >> DIAG_MINOR_BITS == major(st->st_dev) &&
	    (vfs.udiag_vfs_dev & ((1U << DIAG_MINOR_BITS) - 1)) == minor(st->st_dev))
		return -EEXIST; /* ends the search */
	return 0;
}

int wireguard_socket_is_here(const char *path)
{
	_Alignas(struct nlmsghdr) char buffer[128] = { 0 };
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct unix_diag_req *ask;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return -errno;

	request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->nlmsg_flags = NLM_F_DUMP;
	ask = mnl_nlmsg_put_extra_header(request, sizeof(*ask));
	ask->sdiag_family = AF_UNIX;
	ask->udiag_states = 1U << DIAG_LISTEN;
	ask->udiag_show = UDIAG_SHOW_VFS;
	r = netlink_exchange(NETLINK_SOCK_DIAG, request, false, take_socket, NULL, &st);
	return r == -EEXIST ? 1 : r;
}

static int check_name(const char *interface, struct err *e)
{
	if (!*interface || strlen(interface) >= TF_NAME_LEN || strchr(interface, '/'))
		return err_set(e, -EINVAL, "'%s' is not an interface name; it has 1 to %d characters "
			       "and no '/'", interface, TF_NAME_LEN - 1);
	return 0;
}

int wireguard_read(const char *interface, const char *kind, const char *socket_dir, __u32 netns,
		   struct wireguard_device *ret, struct err *e)
{
	int r = check_name(interface, e);

	if (r < 0)
		return r;
	if (streq(kind, "wireguard"))
		return read_netlink(interface, ret, e);
	return wireguard_read_uapi(interface, socket_dir, netns, ret, e);
}

int wireguard_set_endpoint(const char *interface, const char *kind, const char *socket_dir,
			   __u32 netns, const struct wireguard_peer *peer, struct err *e)
{
	int r = check_name(interface, e);

	if (r < 0)
		return r;
	if (streq(kind, "wireguard"))
		return set_netlink(interface, peer, e);
	return wireguard_set_uapi(interface, socket_dir, netns, peer, e);
}
