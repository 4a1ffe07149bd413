// SPDX-License-Identifier: GPL-2.0
/*
 * pcapng: see pcapng.h. Written in this machine's byte order, as the format has it
 * (draft-ietf-opsawg-pcapng); what stands before each packet is big-endian
 * (LINKTYPE_LINUX_SLL2 of tcpdump.org).
 */
#include "pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util.h"

enum {
	SECTION = 0x0a0d0d0a,
	INTERFACE = 1,
	PACKET = 6,
	ORDER_MAGIC = 0x1a2b3c4d,
	LINKTYPE_SLL2 = 276,
	OPT_COMMENT = 1,
	OPT_TSRESOL = 9,     /* of an interface: digits behind the second */
	OPT_USERAPPL = 4,    /* of a section */
	TYPE_ETHERNET = 1,   /* ARPHRD_* of include/uapi/linux/if_arp.h */
	TYPE_NONE = 0xfffe,
	TO_US = 0,           /* PACKET_* of include/uapi/linux/if_packet.h */
	OUTGOING = 4,
	ETH_IPV4 = 0x0800,
	ETH_IPV6 = 0x86dd,
};

struct sll2 {
	__be16 protocol;
	__be16 zero;
	__be32 ifindex;
	__be16 type;
	__u8 kind;
	__u8 address_length;
	__u8 address[8];
};

_Static_assert(sizeof(struct sll2) == 20, "as it is written");

static void put_u16(__u16 value, FILE *out)
{
	fwrite(&value, sizeof(value), 1, out);
}

static void put_u32(__u32 value, FILE *out)
{
	fwrite(&value, sizeof(value), 1, out);
}

static __u32 padded(__u32 bytes)
{
	return (bytes + 3) & ~3U;
}

static void put_padded(const void *data, __u32 bytes, FILE *out)
{
	static const __u8 zeroes[4];

	fwrite(data, 1, bytes, out);
	fwrite(zeroes, 1, padded(bytes) - bytes, out);
}

/* An option, and the end of options behind it. */
static void put_option(__u16 code, const void *value, __u16 bytes, FILE *out)
{
	put_u16(code, out);
	put_u16(bytes, out);
	put_padded(value, bytes, out);
	put_u32(0, out);
}

static __u32 option_bytes(__u32 bytes)
{
	return 4 + padded(bytes) + 4;
}

static void put_section(FILE *out)
{
	static const char who[] = "tunfence";
	const __u32 bytes = 28 + option_bytes(sizeof(who) - 1);

	put_u32(SECTION, out);
	put_u32(bytes, out);
	put_u32(ORDER_MAGIC, out);
	put_u16(1, out); /* version 1.0 */
	put_u16(0, out);
	put_u32(0xffffffff, out); /* as long as it is */
	put_u32(0xffffffff, out);
	put_option(OPT_USERAPPL, who, sizeof(who) - 1, out);
	put_u32(bytes, out);
}

static void put_interface(FILE *out)
{
	const __u8 nanoseconds = 9;
	const __u32 bytes = 20 + option_bytes(sizeof(nanoseconds));

	put_u32(INTERFACE, out);
	put_u32(bytes, out);
	put_u16(LINKTYPE_SLL2, out);
	put_u16(0, out);
	put_u32(0, out); /* no limit */
	put_option(OPT_TSRESOL, &nanoseconds, sizeof(nanoseconds), out);
	put_u32(bytes, out);
}

int pcapng_create(const char *path, FILE **ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				      0600);

	if (fd < 0 && errno == EEXIST)
		return err_set(e, -EEXIST,
			       "'%s' is there already and would be lost; give another name, or "
			       "remove it", path);
	if (fd < 0)
		return err_set(e, -errno, "'%s' cannot be made: %s", path, strerror(errno));
	*ret = fdopen(fd, "w");
	if (!*ret)
		return err_set(e, -errno, "'%s' cannot be written: %s", path, strerror(errno));
	TAKE_FD(fd);
	put_section(*ret);
	put_interface(*ret);
	fflush(*ret);
	return 0;
}

static __u16 ethertype_of(const struct pcapng_packet *p)
{
	if (p->ethertype)
		return tf_ntohs(p->ethertype);
	return p->bytes[0] >> 4 == 6 ? ETH_IPV6 : ETH_IPV4;
}

void pcapng_write(const struct pcapng_packet *p, FILE *out)
{
	const struct sll2 head = {
		.protocol = tf_htons(ethertype_of(p)),
		.ifindex = tf_htonl(p->ifindex),
		.type = tf_htons(p->ethertype ? TYPE_ETHERNET : TYPE_NONE),
		.kind = p->arrived ? TO_US : OUTGOING,
	};
	const __u16 comment = (__u16)strlen(p->comment);
	const __u32 captured = (__u32)sizeof(head) + p->captured;
	const __u32 bytes = 32 + padded(captured) + option_bytes(comment);

	put_u32(PACKET, out);
	put_u32(bytes, out);
	put_u32(0, out); /* of the one interface */
	put_u32((__u32)(p->time >> 32), out);
	put_u32((__u32)p->time, out);
	put_u32(captured, out);
	put_u32((__u32)sizeof(head) + p->length, out);
	fwrite(&head, sizeof(head), 1, out);
	put_padded(p->bytes, p->captured, out);
	put_option(OPT_COMMENT, p->comment, comment, out);
	put_u32(bytes, out);
	fflush(out);
}
