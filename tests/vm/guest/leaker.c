// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's leaker: from early boot until the power is gone it sends, five times a second and as
 * fast as it can while the last process takes the mounts down, one of each kind of packet that a
 * fenced machine must not: names, time, pings, connections, datagrams, frames from packet sockets;
 * from sockets made each time, and from sockets that it has held since before there was a fence. It
 * never gives up, and what the kernel answers is of no interest: the capture outside is the judge.
 * Each payload says "leak:KIND;"; a TCP SYN is known by its port.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ETHERTYPE_EXPERIMENT 0x88b5
#define ETHERTYPE_IP4 0x0800
#define ROUNDS_PER_SECOND 5

struct datagram {
	const char *name;
	const char *address;
	int type;
	int protocol;
	int port;
	int held; /* -1: a socket for each packet */
};

static struct datagram datagrams[] = {
	{ "dns4", "198.51.100.53", SOCK_DGRAM, 0, 53, -1 },
	{ "dns6", "2001:db8:51::53", SOCK_DGRAM, 0, 53, -1 },
	{ "ntp4", "198.51.100.123", SOCK_DGRAM, 0, 123, -1 },
	{ "ntp6", "2001:db8:51::123", SOCK_DGRAM, 0, 123, -1 },
	{ "udp4", "198.51.100.9", SOCK_DGRAM, 0, 7, -1 },
	{ "udp6", "2001:db8:51::9", SOCK_DGRAM, 0, 7, -1 },
	{ "ping4", "198.51.100.9", SOCK_RAW, IPPROTO_ICMP, 0, -1 },
	{ "ping6", "2001:db8:51::9", SOCK_RAW, IPPROTO_ICMPV6, 0, -1 },
	{ "held-udp4", "198.51.100.9", SOCK_DGRAM, 0, 7, 0 },
	{ "held-udp6", "2001:db8:51::9", SOCK_DGRAM, 0, 7, 0 },
	{ "held-ping4", "198.51.100.9", SOCK_RAW, IPPROTO_ICMP, 0, 0 },
};

/* Connections stay open for a round, long enough for a SYN to wait for its neighbour's address. */
static struct {
	const char *address;
	int socket;
} connections[] = { { "198.51.100.80", -1 }, { "2001:db8:51::80", -1 } };

static unsigned short checksum(const void *data, size_t size)
{
	const unsigned char *bytes = data;
	unsigned int sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += (unsigned int)bytes[i] << (i & 1 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((unsigned short)~sum);
}

static socklen_t resolve(const char *text, int port, struct sockaddr_storage *to)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((unsigned short)port);
		return sizeof(*in4);
	}
	inet_pton(AF_INET6, text, &in6->sin6_addr);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((unsigned short)port);
	return sizeof(*in6);
}

/* An ICMP echo request's header, where one is needed, and the marker. */
static size_t fill(unsigned char *packet, size_t size, const char *name, int protocol)
{
	struct icmphdr echo = { .type = protocol == IPPROTO_ICMP ? ICMP_ECHO : 128 };
	size_t header = protocol ? sizeof(echo) : 0;
	size_t length;

	memset(packet, 0, size);
	length = header + (size_t)snprintf((char *)packet + header, size - header, "leak:%s;", name);
	memcpy(packet, &echo, header);
	if (protocol == IPPROTO_ICMP) {
		echo.checksum = checksum(packet, length);
		memcpy(packet, &echo, header);
	}
	return length;
}

static void send_datagram(struct datagram *d)
{
	unsigned char packet[128];
	struct sockaddr_storage to;
	socklen_t length = resolve(d->address, d->port, &to);
	int fd = d->held > 0 ? d->held : socket(to.ss_family, d->type | SOCK_NONBLOCK | SOCK_CLOEXEC,
						 d->protocol);

	if (fd < 0)
		return;
	(void)sendto(fd, packet, fill(packet, sizeof(packet), d->name, d->protocol), 0,
		     (struct sockaddr *)&to, length);
	if (d->held < 0)
		close(fd);
	else
		d->held = fd;
}

static void connect_again(size_t i)
{
	struct sockaddr_storage to;
	socklen_t length = resolve(connections[i].address, 80, &to);

	if (connections[i].socket >= 0)
		close(connections[i].socket);
	connections[i].socket = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connections[i].socket >= 0)
		(void)connect(connections[i].socket, (struct sockaddr *)&to, length);
}

static size_t ip_packet(unsigned char *packet, const char *name)
{
	size_t length = (size_t)sprintf((char *)packet + 28, "leak:%s;", name);
	struct udphdr udp = { .source = htons(9999), .dest = htons(9999),
			      .len = htons((unsigned short)(8 + length)) };
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
			    .tot_len = htons((unsigned short)(28 + length)) };

	ip.saddr = inet_addr("192.168.77.2");
	ip.daddr = inet_addr("198.51.100.9");
	ip.check = checksum(&ip, sizeof(ip));
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &udp, sizeof(udp));
	return 28 + length;
}

/* To the link's broadcast address, from whatever the device's own is. */
static void send_frame(int fd, unsigned int device, int ethertype, const char *name)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)device,
				  .sll_protocol = htons((unsigned short)ethertype), .sll_halen = 6,
				  .sll_addr = { 255, 255, 255, 255, 255, 255 } };
	unsigned char packet[128] = { 0 };
	size_t length;

	if (ethertype == ETHERTYPE_IP4)
		length = ip_packet(packet, name);
	else
		length = (size_t)snprintf((char *)packet, sizeof(packet), "leak:%s;", name);
	(void)sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof(to));
}

static void send_frames(int held)
{
	struct if_nameindex *devices = if_nameindex();
	int fresh = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	for (struct if_nameindex *d = devices; d && d->if_index; d++) {
		if (!strcmp(d->if_name, "lo"))
			continue;
		send_frame(fresh, d->if_index, ETHERTYPE_EXPERIMENT, "packet");
		send_frame(fresh, d->if_index, ETHERTYPE_IP4, "packet-ip");
		send_frame(held, d->if_index, ETHERTYPE_EXPERIMENT, "held-packet");
	}
	if (devices)
		if_freenameindex(devices);
	close(fresh);
}

/* How often everything was tried: the process's name says so to whoever waits for it. */
static void say_round(unsigned int round)
{
	char name[16];

	snprintf(name, sizeof(name), "leaker-%u", round);
	prctl(PR_SET_NAME, name);
}

/* Whether process 1 is systemd-shutdown by now: what is left of the machine is a matter of tenths of
 * a second. */
static int is_last_moment(void)
{
	char name[16] = "";
	int fd = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = 0;
	close(fd);
	return !strncmp(name, "systemd-shutdow", 15);
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 1000000000 / ROUNDS_PER_SECOND };
	const struct timespec breath = { .tv_nsec = 5000000 };
	int held = -1;

	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (unsigned int round = 0;; round++) {
		say_round(round);
		if (held < 0)
			held = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		for (size_t i = 0; i < sizeof(datagrams) / sizeof(datagrams[0]); i++)
			send_datagram(&datagrams[i]);
		for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++)
			connect_again(i);
		send_frames(held);
		nanosleep(is_last_moment() ? &breath : &pause, NULL);
	}
}
