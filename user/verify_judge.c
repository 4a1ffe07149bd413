// SPDX-License-Identifier: GPL-2.0
/*
 * The judge: a sniffer on the far side of every wire that leads from the client to the router. It
 * counts a vector's frames, and knows by order, not by time, when there are no more to come.
 */
#define _GNU_SOURCE /* sched_setaffinity */

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "verify_world.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* include/uapi/linux/if_packet.h */
#endif

enum {
	ROOM = 32 << 20,      /* for what comes between two looks */
	FRAME = 65536 + 256,
	TAG = 4,              /* bytes of a VLAN tag */
	BEACON_TYPE = 0x88b5, /* IEEE 802: for local experiments */
	BEACON_TOKEN = 16,
	BEACON_WAIT_MS = 15000,
	ROUNDS = 4,           /* as many queues as a frame may pass on its way through the client */
};

int verify_sniffer_open(struct err *e)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_ll all = { .sll_family = AF_PACKET, .sll_protocol = tf_htons(ETH_P_ALL) };
	int on = 1, room = ROOM;

	if (fd < 0)
		return err_set(e, -errno, "cannot sniff: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&all, sizeof(all)) < 0)
		return err_set(e, -errno, "cannot sniff: %s", strerror(errno));
	return TAKE_FD(fd);
}

int verify_beacon_open(struct err *e)
{
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sockaddr_ll to = { .sll_family = AF_PACKET };

	to.sll_ifindex = (int)if_nametoindex(VERIFY_DEVICE);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(e, -errno, "cannot send frames from the server: %s",
			       strerror(errno));
	return TAKE_FD(fd);
}

/* A VLAN tag that the kernel took off is put back. Returns the frame's new length. */
static size_t put_tag_back(struct msghdr *message, __u8 *frame, size_t bytes)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	struct tpacket_auxdata aux;
	__be16 tag[2];

	if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
		return bytes;
	memcpy(&aux, CMSG_DATA(c), sizeof(aux));
	if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || bytes < 2 * ETH_ALEN)
		return bytes;
	tag[0] = tf_htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid :
								      ETH_P_8021Q);
	tag[1] = tf_htons(aux.tp_vlan_tci);
	memmove(frame + 2 * ETH_ALEN + TAG, frame + 2 * ETH_ALEN, bytes - 2 * ETH_ALEN);
	memcpy(frame + 2 * ETH_ALEN, tag, TAG);
	return bytes + TAG;
}

/* The next frame: its length, 0 if there is none. */
static size_t next_frame(int fd, __u8 frame[FRAME + TAG], struct sockaddr_ll *from)
{
	char control[256];
	struct iovec part = { .iov_base = frame, .iov_len = FRAME };
	struct msghdr message = { .msg_name = from, .msg_namelen = sizeof(*from),
				  .msg_iov = &part, .msg_iovlen = 1,
				  .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(fd, &message, 0);
	while (n < 0 && (errno == EINTR || errno == ENETDOWN)); /* a device went */
	return n <= 0 ? 0 : put_tag_back(&message, frame, (size_t)n);
}

static void count_frame(struct verify_count *c, const __u8 *frame, size_t bytes)
{
	bool is_it = c->vector->is_it ? c->vector->is_it(c->shot, frame, bytes) :
					verify_has(frame, bytes, c->shot->token, VERIFY_TOKEN);

	if (is_it)
		c->frames++;
}

/* Takes what is there. Returns how many beacons with this token were among it. */
static unsigned int take(const struct verify_world *w, struct verify_count *count,
			 const __u8 *beacon)
{
	static __u8 frame[FRAME + TAG];
	struct sockaddr_ll from;
	unsigned int beacons = 0;
	size_t bytes;

	while ((bytes = next_frame(w->sniffer, frame, &from))) {
		if ((unsigned int)from.sll_ifindex != w->far_side && count)
			count_frame(count, frame, bytes);
		else if (beacon && verify_has(frame, bytes, beacon, BEACON_TOKEN))
			beacons++;
	}
	return beacons;
}

void verify_sniffer_drain(const struct verify_world *w)
{
	take(w, NULL, NULL);
}

/* A frame from the server's side on each processor. A veth hands frames to the queue of the processor
 * that sends: whatever left the client on this processor before is ahead of it. */
static int send_beacons(int fd, const __u8 *token, unsigned int *ret_sent)
{
	__u8 frame[ETH_HLEN + BEACON_TOKEN];
	cpu_set_t before, one;
	size_t cpu;
	int r = 0;

	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return -errno;
	verify_ethernet(frame, "ff:ff:ff:ff:ff:ff", "02:00:00:00:77:03", BEACON_TYPE);
	memcpy(frame + ETH_HLEN, token, BEACON_TOKEN);
	*ret_sent = 0;
	for (cpu = 0; cpu < CPU_SETSIZE && !r; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0 ||
		    send(fd, frame, sizeof(frame), 0) < 0)
			r = -errno;
		*ret_sent += !r;
	}
	sched_setaffinity(0, sizeof(before), &before);
	return r;
}

static int lost_frames(const struct verify_world *w, struct err *e)
{
	struct tpacket_stats stats = {};
	socklen_t length = sizeof(stats);

	if (getsockopt(w->sniffer, SOL_PACKET, PACKET_STATISTICS, &stats, &length) < 0)
		return err_set(e, -errno, "cannot ask the sniffer: %s", strerror(errno));
	if (stats.tp_drops)
		return err_set(e, -ENOBUFS, "the judge lost %u frames: no verdict is possible",
			       stats.tp_drops);
	return 0;
}

static int settle_once(const struct verify_world *w, struct verify_count *count, struct err *e)
{
	struct pollfd ready = { .fd = w->sniffer, .events = POLLIN };
	__u8 beacon[BEACON_TOKEN];
	unsigned int sent = 0, seen;
	int r;

	if (getrandom(beacon, sizeof(beacon), 0) != sizeof(beacon))
		return err_set(e, -EIO, "no random bytes: %s", strerror(errno));
	r = send_beacons(w->beacon, beacon, &sent);
	if (r)
		return err_set(e, r, "cannot send the frames that end a silence: %s",
			       strerror(-r));
	for (seen = 0; seen < sent; seen += take(w, count, beacon)) {
		if (poll(&ready, 1, BEACON_WAIT_MS) == 0)
			return err_set(e, -ETIMEDOUT,
				       "the frames that end a silence do not come: no verdict is "
				       "possible");
	}
	return 0;
}

int verify_settle(const struct verify_world *w, struct verify_count *count, struct err *e)
{
	int round, r = 0;

	for (round = 0; round < ROUNDS && !r; round++)
		r = settle_once(w, count, e);
	return r ? r : lost_frames(w, e);
}
