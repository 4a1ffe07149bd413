// SPDX-License-Identifier: GPL-2.0
/*
 * Destination=: a rule that opens something. Refused is also a rule that would never be asked, or
 * that would leave no fence. Never does I/O, never knows a file or a line.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "util.h"
#include "value.h"

static const struct prefix loopback[] = { VALUE_V4(127, 0, 0, 0, 8), VALUE_V6(0, 0, 1, 128) };

/* Never judged by a rule: see "name lookup" in the verdict. */
static const __u16 name_ports[] = { 53, 137, 853, 5353, 5355 };

/* The words before a prefix. v4 and v6: the IP protocol for a prefix of that family. */
static const struct transport {
	const char *word;
	__u8 v4, v6;
	bool any;
	bool ports;
} transports[] = {
	{ "udp", IPPROTO_UDP, IPPROTO_UDP, false, true },
	{ "tcp", IPPROTO_TCP, IPPROTO_TCP, false, true },
	{ "icmp", IPPROTO_ICMP, IPPROTO_ICMPV6, false, false },
	{ "any", 0, 0, true, false },
};
#define ANY_TRANSPORT (&transports[ARRAY_SIZE(transports) - 1])

static const struct transport *transport_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		if (streq(transports[i].word, word))
			return &transports[i];
	return NULL;
}

static bool all_name_ports(__u16 from, __u16 to)
{
	for (__u32 port = from; port <= to; port++) {
		bool found = false;

		for (size_t i = 0; i < ARRAY_SIZE(name_ports); i++)
			found |= name_ports[i] == port;
		if (!found)
			return false;
	}
	return true;
}

static int destination_port(const char *text, const struct transport *transport,
			    struct config_destination *d, struct err *e)
{
	int r;

	if (!text)
		return err_set(e, -EINVAL, "nothing follows 'port'; write 'port N' or 'port N-M'");
	if (!transport->ports)
		return err_set(e, -EINVAL,
			       "only udp and tcp have ports; write 'udp' or 'tcp' before "
			       "the prefix");
	r = port_range_parse(text, &d->from, &d->to, e);
	if (r < 0)
		return r;
	if (all_name_ports(d->from, d->to))
		return err_set(
			e, -EINVAL,
			"port %s resolves names, which is only ever done through the tunnel; "
			"remove the line",
			text);
	return 0;
}

/* The words after the prefix, each option at most once. */
static int destination_options(char **save, const struct transport *transport,
			       struct config_destination *d, struct err *e)
{
	bool port = false, uplink = false;
	const char *word, *argument;
	int r;

	while ((word = strtok_r(NULL, VALUE_BLANKS, save))) {
		argument = strtok_r(NULL, VALUE_BLANKS, save);
		if (streq(word, "port") && !port) {
			r = destination_port(argument, transport, d, e);
			port = true;
		} else if (streq(word, "uplink") && !uplink && argument) {
			r = value_interface(argument, &d->uplink, e);
			uplink = true;
		} else if (streq(word, "uplink") && !argument) {
			r = err_set(e, -EINVAL,
				    "nothing follows 'uplink'; write an interface name");
		} else if (streq(word, "uplink") || streq(word, "port")) {
			r = err_set(e, -EINVAL, "'%s' is said twice; write a line for each", word);
		} else {
			r = err_set(e, -EINVAL,
				    "'%s' is not understood; write [udp|tcp|icmp|any] "
				    "PREFIX [port N|N-M] [uplink NAME]",
				    word);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int destination_check(const struct config_destination *d, struct err *e)
{
	char buf[ADDR_TEXT_LEN];
	bool everything = d->prefix.bits == (prefix_is_v4(&d->prefix) ? TF_V4_MAPPED_PREFIX : 0);

	for (size_t i = 0; i < ARRAY_SIZE(loopback); i++)
		if (prefix_covers(&loopback[i], &d->prefix))
			return err_set(e, -EINVAL,
				       "'%s' stays on this machine, which is always "
				       "allowed; remove the line",
				       prefix_format(&d->prefix, buf));
	if (everything && d->any_protocol)
		return err_set(e, -EINVAL,
			       "'%s' would allow everything, which is no fence; to open "
			       "it, run 'tunfence down'",
			       prefix_format(&d->prefix, buf));
	return 0;
}

int value_destination(const char *text, struct config_destination *ret, struct err *e)
{
	struct config_destination d = { .from = 0, .to = UINT16_MAX };
	_cleanup_free_ char *copy = strdup(text);
	const struct transport *transport;
	char *save = NULL;
	const char *word;
	int r;

	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");

	word = strtok_r(copy, VALUE_BLANKS, &save);
	transport = word ? transport_find(word) : NULL;
	if (transport)
		word = strtok_r(NULL, VALUE_BLANKS, &save);
	else
		transport = ANY_TRANSPORT;
	if (!word)
		return err_set(e, -EINVAL,
			       "no prefix; write [udp|tcp|icmp|any] PREFIX [port N|N-M] "
			       "[uplink NAME]");

	r = value_prefix(word, "a protocol (udp, tcp, icmp, any)", &d.prefix, e);
	if (r < 0)
		return r;
	d.any_protocol = transport->any;
	d.protocol = prefix_is_v4(&d.prefix) ? transport->v4 : transport->v6;

	r = destination_options(&save, transport, &d, e);
	if (r < 0)
		return r;
	r = destination_check(&d, e);
	if (r < 0)
		return r;

	*ret = d;
	return 0;
}

static int compare_u32(__u32 a, __u32 b)
{
	return (a > b) - (a < b);
}

int value_destination_compare(const struct config_destination *a,
			      const struct config_destination *b)
{
	int r = memcmp(&a->prefix.addr, &b->prefix.addr, sizeof(a->prefix.addr));

	if (!r)
		r = compare_u32(a->prefix.bits, b->prefix.bits);
	if (!r)
		r = compare_u32(a->any_protocol, b->any_protocol);
	if (!r)
		r = compare_u32(a->protocol, b->protocol);
	if (!r)
		r = compare_u32(a->from, b->from);
	if (!r)
		r = compare_u32(a->to, b->to);
	if (!r)
		r = memcmp(&a->uplink, &b->uplink, sizeof(a->uplink));
	return r;
}
