// SPDX-License-Identifier: GPL-2.0
/*
 * Single values: see value.h. Never does I/O, never knows a file or a line.
 * Refused here is also what could be written but would never work, or would make the fence
 * meaningless: whoever writes such a thing believes something that is not so.
 */
#include "value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "util.h"

/* RFC 1918, RFC 3927, RFC 4291 2.5.6, RFC 4193. */
const struct prefix value_lan_ranges[] = {
	VALUE_V4(10, 0, 0, 0, 8),     VALUE_V4(172, 16, 0, 0, 12), VALUE_V4(192, 168, 0, 0, 16),
	VALUE_V4(169, 254, 0, 0, 16), VALUE_V6(0xfe, 0x80, 0, 10), VALUE_V6(0xfc, 0, 0, 7),
};
const size_t value_lan_range_count = ARRAY_SIZE(value_lan_ranges);

static const struct never_endpoint {
	struct prefix prefix;
	const char *why;
} never_endpoint[] = {
	{ VALUE_V4(0, 0, 0, 0, 32), "means no address at all" },
	{ VALUE_V4(127, 0, 0, 0, 8),
	  "is this machine itself; name where the relay on it sends to" },
	{ VALUE_V4(224, 0, 0, 0, 4), "is a multicast group" },
	{ VALUE_V4(255, 255, 255, 255, 32), "is the broadcast address" },
	{ VALUE_V6(0, 0, 0, 128), "means no address at all" },
	{ VALUE_V6(0, 0, 1, 128), "is this machine itself; name where the relay on it sends to" },
	{ VALUE_V6(0xff, 0, 0, 8), "is a multicast group" },
};

int value_yes_no(const char *text, bool *ret, struct err *e)
{
	if (!streq(text, "yes") && !streq(text, "no"))
		return err_set(e, -EINVAL, "'%s' is neither 'yes' nor 'no'", text);

	*ret = streq(text, "yes");
	return 0;
}

/* dev_valid_name() of the kernel, and none of what is a pattern or a quote to whoever wrote it. */
static bool interface_char(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr("/:*\"'", c);
}

static bool interface_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!interface_char(text[i]))
			return false;
	return length > 0 && length < TF_NAME_LEN;
}

int value_interface(const char *text, struct tf_name *ret, struct err *e)
{
	struct tf_name name = { 0 };
	size_t length = strlen(text);

	if (!interface_text(text, length) || streq(text, ".") || streq(text, ".."))
		return err_set(e, -EINVAL,
			       "'%s' is not an interface name; write 1 to 15 characters without "
			       "spaces, quotes, '/', ':' and '*'",
			       text);
	if (streq(text, "lo"))
		return err_set(e, -EINVAL, "'lo' is the loopback interface; it leads nowhere");

	memcpy(name.text, text, length);
	*ret = name;
	return 0;
}

int value_kind(const char *text, struct tf_name *ret, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	struct tf_name kind = { 0 };
	size_t length = strlen(text);

	if (!length || length >= TF_NAME_LEN || strspn(text, chars) != length)
		return err_set(e, -EINVAL,
			       "'%s' is not a kind of interface; write what 'ip -d link' shows, "
			       "such as 'wireguard' or 'tun'",
			       text);

	memcpy(kind.text, text, length);
	*ret = kind;
	return 0;
}

static int hex_u32(const char *digits, __u32 *ret)
{
	__u32 value = 0;

	if (!*digits || strlen(digits) > 8)
		return -EINVAL;
	for (const char *c = digits; *c; c++) {
		if (!isxdigit((unsigned char)*c))
			return -EINVAL;
		value = value << 4 | (__u32)(*c <= '9' ? *c - '0' : (*c | 0x20) - 'a' + 10);
	}

	*ret = value;
	return 0;
}

int value_mark(const char *text, __u32 *ret, struct err *e)
{
	bool hex = text[0] == '0' && (text[1] | 0x20) == 'x';
	int r = hex ? hex_u32(text + 2, ret) : parse_u32(text, 0, UINT32_MAX, ret);

	if (r < 0)
		return err_set(e, -EINVAL,
			       "'%s' is not a mark; write a number below 2^32, decimal or 0x...",
			       text);
	return 0;
}

int value_cgroup(const char *text, struct err *e)
{
	const char *part = text;

	if (strlen(text) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "the path is longer than %d characters",
			       PATH_MAX - 1);

	while (*part) {
		size_t length = strcspn(part, "/");

		if ((length == 1 && part[0] == '.') || (length == 2 && !strncmp(part, "..", 2)))
			return err_set(e, -EINVAL, "'%s' has '.' or '..' in it; write the path out",
				       text);
		part += length;
		part += strspn(part, "/");
	}
	return 0;
}

enum {
	UNIT_NAME_MAX = 255, /* of systemd, and of a directory's name */
	USER_NAME_MAX = 255, /* LOGIN_NAME_MAX, less its NUL */
};

/* Of those that have processes; others only start or order them. */
static bool is_unit_with_cgroup(const char *suffix)
{
	return streq(suffix, ".service") || streq(suffix, ".scope") || streq(suffix, ".slice");
}

/* unit_name_is_valid() of systemd, for the kinds that have a cgroup. */
int value_unit(const char *text, struct err *e)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				    ":-_.\\@";
	const char *suffix = strrchr(text, '.');
	const char *at = strchr(text, '@');

	if (strspn(text, chars) != strlen(text) || text[0] == '@')
		return err_set(e, -EINVAL,
			       "'%s' is not the name of a unit; write it as 'systemctl status' does, or "
			       "a path as Cgroup=",
			       text);
	if (strlen(text) > UNIT_NAME_MAX)
		return err_set(e, -ENAMETOOLONG, "the name is longer than %d characters",
			       UNIT_NAME_MAX);
	if (!suffix || suffix == text || !is_unit_with_cgroup(suffix))
		return err_set(e, -EINVAL,
			       "'%s' names no unit that has programs; write NAME.service, NAME.scope or "
			       "NAME.slice",
			       text);
	if (at && at + 1 == suffix)
		return err_set(e, -EINVAL, "'%s' is a template; name an instance of it: '%.*sNAME%s'",
			       text, (int)(at + 1 - text), text, suffix);
	if (streq(text, "-.slice"))
		return err_set(e, -EINVAL, "'%s' is the whole machine; write Scope=system", text);
	return 0;
}

int value_user(const char *text, struct err *e)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	bool digit = isdigit((unsigned char)text[0]);
	__u32 number;

	if (!*text || strlen(text) > USER_NAME_MAX || strspn(text, chars) != strlen(text) ||
	    strchr(".-", text[0]) || (digit && parse_u32(text, 0, UINT32_MAX - 1, &number) < 0))
		return err_set(e, -EINVAL, "'%s' is not a user; write a name or a number", text);
	return 0;
}

/* getaddrinfo() takes "1.2", "0x7f000001" and the like for addresses: such a name is a typing
 * error that would be obeyed. */
static bool numeric_label(const char *label, size_t length)
{
	if (length >= 2 && label[0] == '0' && (label[1] | 0x20) == 'x')
		return strspn(label + 2, "0123456789abcdefABCDEF") >= length - 2;
	return strspn(label, "0123456789") >= length;
}

static bool host_label(const char *label, size_t length)
{
	if (!length || length > 63 || label[0] == '-' || label[length - 1] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii(label[i]) || (!isalnum((unsigned char)label[i]) && label[i] != '-'))
			return false;
	return true;
}

/* RFC 1123, 2.1; at most 253 characters, a dot at the end is allowed. */
static bool host_name(const char *text)
{
	const char *label = text;

	if (strlen(text) > 253)
		return false;
	for (;;) {
		size_t length = strcspn(label, ".");
		const char *next = label + length;

		if (!host_label(label, length))
			return false;
		if (!next[0] || !next[1])
			return !numeric_label(label, length);
		label = next + 1;
	}
}

static int host_parse(const char *host, bool bracketed, struct config_endpoint *ret, struct err *e)
{
	int r;

	if (bracketed && !strchr(host, ':'))
		return err_set(e, -EINVAL,
			       "'[%s]' is not an IPv6 address; write '%s' without "
			       "brackets",
			       host, host);
	r = addr_parse(host, &ret->addr, bracketed ? e : NULL);
	if (r < 0 && bracketed)
		return r;

	ret->literal = r == 0;
	if (!ret->literal && !host_name(host))
		return err_set(e, -EINVAL, "'%s' is neither an address nor a host name", host);

	for (size_t i = 0; ret->literal && i < ARRAY_SIZE(never_endpoint); i++)
		if (prefix_contains(&never_endpoint[i].prefix, &ret->addr))
			return err_set(e, -EINVAL, "'%s' can never be an endpoint: it %s", host,
				       never_endpoint[i].why);
	return 0;
}

int value_endpoint(const char *text, __u8 protocol, struct config_endpoint *ret, struct err *e)
{
	bool bracketed = text[0] == '[';
	const char *host = text + (bracketed ? 1 : 0);
	const char *end = bracketed ? strchr(host, ']') : strrchr(host, ':');
	struct config_endpoint endpoint = { .protocol = protocol };
	const char *port;
	__u32 number;
	int r;

	if (!end || end == host || (bracketed && end[1] != ':'))
		return err_set(e, -EINVAL,
			       "'%s' is not an endpoint; write HOST:PORT or [IPv6]:PORT", text);
	if (!bracketed && strchr(host, ':') != end)
		return err_set(e, -EINVAL,
			       "'%s' has too many colons; write an IPv6 endpoint as "
			       "[ADDRESS]:PORT",
			       text);
	if ((size_t)(end - host) >= sizeof(endpoint.host))
		return err_set(e, -EINVAL, "the host name is longer than 253 characters");

	memcpy(endpoint.host, host, (size_t)(end - host));
	port = end + (bracketed ? 2 : 1);
	if (parse_u32(port, 1, 65535, &number) < 0)
		return err_set(e, -EINVAL,
			       "'%s' has a bad port; write 1 to 65535 after the last ':'", text);
	endpoint.port = (__u16)number;

	r = host_parse(endpoint.host, bracketed, &endpoint, e);
	if (r < 0)
		return r;

	*ret = endpoint;
	return 0;
}

/* Where the port begins: behind the address, or NULL. */
static const char *name_server_port(const char *text)
{
	const char *colon = strrchr(text, ':');

	if (text[0] == '[')
		return strstr(text, "]:") ? strstr(text, "]:") + 2 : NULL;
	return colon && strchr(text, ':') == colon ? colon + 1 : NULL;
}

static int name_server_check(const char *text, const struct tf_addr *addr, struct err *e)
{
	static const struct prefix link_local = VALUE_V6(0xfe, 0x80, 0, 10);

	for (size_t i = 0; i < ARRAY_SIZE(never_endpoint); i++)
		if (prefix_contains(&never_endpoint[i].prefix, addr))
			return err_set(e, -EINVAL,
				       "'%s' cannot be the bootstrap name server: it %s", text,
				       never_endpoint[i].why);
	if (prefix_contains(&link_local, addr))
		return err_set(e, -EINVAL,
			       "'%s' is another host on each link; write a global address", text);
	return 0;
}

int value_name_server(const char *text, struct tf_addr *ret, __u16 *ret_port, struct err *e)
{
	const char *port = name_server_port(text), *host = text + (text[0] == '[');
	size_t length = port ? (size_t)(port - host) - 1 : strlen(host);
	char copy[ADDR_TEXT_LEN] = "";
	struct tf_addr addr;
	__u32 number = 53;
	int r;

	length -= text[0] == '[' && length && host[length - 1] == ']';
	if (length < sizeof(copy))
		memcpy(copy, host, length);
	if (addr_parse(copy, &addr, NULL) || (text[0] == '[' && !port))
		return err_set(e, -EINVAL,
			       "'%s' is not the address of a name server; write ADDRESS, IPv4:PORT or "
			       "[IPv6]:PORT, and no name: nobody could resolve it", text);
	if (port && parse_u32(port, 1, 65535, &number) < 0)
		return err_set(e, -EINVAL, "'%s' has a bad port; write 1 to 65535 after the last ':'",
			       text);
	r = name_server_check(copy, &addr, e);
	if (r < 0)
		return r;

	*ret = addr;
	*ret_port = (__u16)number;
	return 0;
}

static bool host_equal(const char *a, const char *b)
{
	size_t a_length = strlen(a), b_length = strlen(b);

	a_length -= a_length && a[a_length - 1] == '.';
	b_length -= b_length && b[b_length - 1] == '.';
	return a_length == b_length && !strncasecmp(a, b, a_length);
}

bool value_endpoint_equal(const struct config_endpoint *a, const struct config_endpoint *b)
{
	if (a->protocol != b->protocol || a->port != b->port || a->literal != b->literal)
		return false;
	if (a->literal)
		return !memcmp(&a->addr, &b->addr, sizeof(a->addr));
	return host_equal(a->host, b->host) && key_equal(&a->peer, &b->peer);
}

int value_inside(const char *text, struct tf_inside_key *ret, struct err *e)
{
	struct tf_inside_key key = { 0 };
	size_t length = strlen(text);
	bool prefix = length && text[length - 1] == '*';

	if (streq(text, "*"))
		return err_set(e, -EINVAL,
			       "'*' would open every interface; name those whose far side "
			       "is trusted, such as 'docker0' or 'br-*'");
	length -= prefix;
	if (!interface_text(text, length))
		return err_set(e, -EINVAL,
			       "'%s' is neither an interface name nor the beginning of one and '*'",
			       text);

	memcpy(key.name, text, length);
	key.bits = (__u32)(prefix ? length : length + 1) * 8;
	*ret = key;
	return 0;
}

const char *value_inside_format(const struct tf_inside_key *inside, char buf[VALUE_INSIDE_LEN])
{
	size_t length = strnlen(inside->name, TF_NAME_LEN);

	memcpy(buf, inside->name, length);
	strcpy(buf + length, inside->bits == 8 * length ? "*" : "");
	return buf;
}

bool value_inside_matches(const struct tf_inside_key *inside, const struct tf_name *name)
{
	return !memcmp(inside->name, name->text, inside->bits / 8);
}

int value_prefix(const char *word, const char *or_what, struct prefix *ret, struct err *e)
{
	if (!strpbrk(word, ".:"))
		return err_set(e, -EINVAL, "'%s' is neither %s nor a prefix", word, or_what);
	return prefix_parse(word, ret, e);
}

int value_lan(const char *text, struct prefix *ret, struct err *e)
{
	struct prefix prefix;
	int r;

	r = value_prefix(text, "'no', 'yes'", &prefix, e);
	if (r < 0)
		return r;

	for (size_t i = 0; i < value_lan_range_count; i++) {
		if (!prefix_covers(&value_lan_ranges[i], &prefix))
			continue;
		*ret = prefix;
		return 0;
	}
	return err_set(e, -EINVAL,
		       "'%s' is not a private range, and a hostile network chooses its own prefix; "
		       "use Destination= for a public one",
		       text);
}
