/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words that the tables of verify's vectors share: what a sender was told, sockets that are made
 * ready to send a shot's payload, and routes by the uplink for senders that ask for it. Like a
 * vector it never prints and never judges.
 */
#ifndef TUNFENCE_VECTORS_SEND_H
#define TUNFENCE_VECTORS_SEND_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "verify.h"

#define SEND_UPLINK "eth0"
#define SEND_MAX_BYTES 4000
#define SEND_CONTROL_BYTES 20 /* struct in6_pktinfo */

/* A message of the shot's payload and where it goes; "message" may be changed and sent. */
struct send_out {
	int fd;
	struct sockaddr_storage to;
	socklen_t to_bytes;
	struct iovec data;
	struct msghdr message;
	__u8 payload[SEND_MAX_BYTES];
	union { /* room for one control message */
		struct cmsghdr first;
		__u8 bytes[CMSG_SPACE(SEND_CONTROL_BYTES)];
	} control;
};

/* Which row of its group the shot is: tables of our own have the same order. */
size_t send_row(const struct vector_group *group, const struct shot *s);

/* What the sender was told first; it goes on all the same. result: of a system call just made. */
int send_told(int so_far, long result);

/* A socket for the family of the address, or -errno. */
int send_socket(const char *address, int type, int protocol);

/* The message to address and the shot's port. */
void send_prepare(struct send_out *to, const struct shot *s, int fd, const char *address,
		  size_t bytes);

/* Puts one control message into out->message. */
void send_control(struct send_out *out, int level, int type, const void *data, size_t bytes);

int send_option(int fd, int level, int option, int value); /* 0 or -errno */
int send_bind_device(int fd);                              /* SO_BINDTODEVICE to the uplink */

/* connect(), or at most this long. 0, -EINPROGRESS, or -errno. */
int send_connect(int fd, const char *address, __u16 port, int milliseconds);

/* Ways to send the message. The last three ask for a connected socket. */
int send_message(struct send_out *out);
int send_zerocopy(struct send_out *out); /* wants SO_ZEROCOPY */
int send_write(struct send_out *out);
int send_sendfile(struct send_out *out);
int send_splice(struct send_out *out);

/* While the tunnel is up: who asks for the uplink, by its name or by the tunnel's mark, finds a
 * route there, as beside wg-quick's rules. */
int send_steer(const struct shot *s);

/* A frame with a neighbour solicitation in the shape that a fence lets pass. But for the first two
 * bytes of its destination, ff02 for 2001, it would go to the web server; the token is in an
 * option. Returns its length. */
size_t send_solicitation(const struct shot *s, __u8 *to);

/* Only the frame's place tells: TCP's SYN to the shot's port. */
bool send_is_syn(const struct shot *s, const __u8 *frame, size_t bytes);

#endif
