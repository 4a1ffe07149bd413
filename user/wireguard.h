/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A live WireGuard device: where its peers are now, and telling one of them a new place. In-kernel
 * devices answer on generic netlink (linux/wireguard.h), user-space ones on a UNIX socket,
 * /var/run/wireguard/NAME.sock (the cross-platform interface, wireguard.com/xplatform). Buffers that
 * held secret keys are wiped.
 */
#ifndef TUNFENCE_WIREGUARD_H
#define TUNFENCE_WIREGUARD_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

#include "err.h"
#include "key.h"

struct wireguard_endpoint {
	struct tf_addr addr;
	__be16 port;
};

struct wireguard_peer {
	struct key key;
	bool has_endpoint;
	struct wireguard_endpoint endpoint;
	long long last_handshake; /* seconds since 1970; 0: never */
};

struct wireguard_device {
	__u16 listen_port; /* host byte order; 0: none */
	__u32 mark;
	struct wireguard_endpoint *endpoints; /* of peers that have one */
	size_t endpoint_count;
	struct wireguard_peer *peers;
	size_t peer_count;
	long long last_handshake; /* the newest of all peers; seconds since 1970; 0: never */
};

void wireguard_device_free(struct wireguard_device *d); /* what it points to, not d itself */

/* kind is the live link's: "wireguard" asks the kernel, anything else the socket in socket_dir.
 * The socket is only believed if it was made in network namespace netns (inode), which must be the
 * caller's own: the socket directory is shared between namespaces, interface names are not.
 * -ENODEV: no such WireGuard device; -EXDEV: the socket is another namespace's. */
int wireguard_read(const char *interface, const char *kind, const char *socket_dir, __u32 netns,
		   struct wireguard_device *ret, struct err *e);

/* Tells the device where this peer of its is now. Nothing else is touched: neither keys nor allowed
 * IPs, and a peer that was removed meanwhile does not come back. As wireguard_read. */
int wireguard_set_endpoint(const char *interface, const char *kind, const char *socket_dir,
			   __u32 netns, const struct wireguard_peer *peer, struct err *e);

/* Whether this kernel can make WireGuard devices (tries; may load the module). */
bool wireguard_in_kernel(void);

/* For tests and fuzzing. A whole answer to "get=1", up to and with its empty line; ret is untouched
 * on failure (-EPROTO, -ENOMEM). */
int wireguard_parse_uapi(const char *text, size_t len, struct wireguard_device *ret);

/* One message of the answer to WG_CMD_GET_DEVICE, added to d; the caller frees d in any case. */
int wireguard_parse_netlink(const struct nlmsghdr *message, struct wireguard_device *d);

enum { WIREGUARD_SET_SIZE = 256 }; /* room for either of these */

/* What wireguard_set_endpoint says, behind the header that request begins with, and as text. */
void wireguard_put_set(struct nlmsghdr *request, const char *interface,
		       const struct wireguard_peer *peer);
void wireguard_format_set(const struct wireguard_peer *peer, char text[WIREGUARD_SET_SIZE]);

#endif
