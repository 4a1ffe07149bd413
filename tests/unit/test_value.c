// SPDX-License-Identifier: GPL-2.0
/* Single values of a configuration: each accepted form and what it becomes, each refused one and
 * what is said of it. Every refusal must leave the output alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "util.h"
#include "value.h"

#define RESULT_LEN 512

/* Parses text and, on success, writes what became of it to result. */
typedef int (*value_fn)(const char *text, char result[RESULT_LEN], struct err *e);

/* An output that a failing parser must not have touched. */
#define UNTOUCHED 0x5a
#define assert_untouched(value)                                                                    \
	do {                                                                                       \
		unsigned char untouched_[sizeof(value)];                                           \
		memset(untouched_, UNTOUCHED, sizeof(untouched_));                                 \
		assert_memory_equal(&(value), untouched_, sizeof(value));                          \
	} while (0)

static int yes_no(const char *text, char result[RESULT_LEN], struct err *e)
{
	bool value = true, before = value;
	int r = value_yes_no(text, &value, e);

	if (r < 0)
		assert_int_equal(value, before);
	else
		strcpy(result, value ? "yes" : "no");
	return r;
}

static int interface(const char *text, char result[RESULT_LEN], struct err *e)
{
	struct tf_name name;
	int r;

	memset(&name, UNTOUCHED, sizeof(name));
	r = value_interface(text, &name, e);
	if (r < 0)
		assert_untouched(name);
	else
		snprintf(result, RESULT_LEN, "%s", name.text);
	return r;
}

static int kind(const char *text, char result[RESULT_LEN], struct err *e)
{
	struct tf_name name;
	int r;

	memset(&name, UNTOUCHED, sizeof(name));
	r = value_kind(text, &name, e);
	if (r < 0)
		assert_untouched(name);
	else
		snprintf(result, RESULT_LEN, "%s", name.text);
	return r;
}

static int mark(const char *text, char result[RESULT_LEN], struct err *e)
{
	__u32 value;
	int r;

	memset(&value, UNTOUCHED, sizeof(value));
	r = value_mark(text, &value, e);
	if (r < 0)
		assert_untouched(value);
	else
		snprintf(result, RESULT_LEN, "%u", value);
	return r;
}

static int cgroup(const char *text, char result[RESULT_LEN], struct err *e)
{
	int r = value_cgroup(text, e);

	if (!r)
		snprintf(result, RESULT_LEN, "%s", text);
	return r;
}

#define NO_UNIT(text)                                                                              \
	"'" text "' names no unit that has programs; write NAME.service, NAME.scope or NAME.slice"
#define BAD_UNIT(text)                                                                             \
	"'" text "' is not the name of a unit; write it as 'systemctl status' does, or a path as " \
	"Cgroup="

static int unit(const char *text, char result[RESULT_LEN], struct err *e)
{
	int r = value_unit(text, e);

	if (!r)
		snprintf(result, RESULT_LEN, "%s", text);
	return r;
}

static int endpoint(const char *text, char result[RESULT_LEN], struct err *e)
{
	struct config_endpoint value;
	char buf[ADDR_TEXT_LEN];
	int r;

	memset(&value, UNTOUCHED, sizeof(value));
	r = value_endpoint(text, IPPROTO_UDP, &value, e);
	if (r < 0) {
		assert_untouched(value);
		return r;
	}
	assert_int_equal(value.protocol, IPPROTO_UDP);
	assert_int_equal(value.line, 0);
	if (value.literal)
		snprintf(result, RESULT_LEN, "literal %s",
			 addr_port_format(&value.addr, tf_htons(value.port), buf));
	else
		snprintf(result, RESULT_LEN, "name %s port %u", value.host, value.port);
	return r;
}

static int name_server(const char *text, char result[RESULT_LEN], struct err *e)
{
	char buf[ADDR_TEXT_LEN];
	struct tf_addr addr;
	__u16 port;
	int r;

	memset(&addr, UNTOUCHED, sizeof(addr));
	memset(&port, UNTOUCHED, sizeof(port));
	r = value_name_server(text, &addr, &port, e);
	if (r < 0) {
		assert_untouched(addr);
		assert_untouched(port);
		return r;
	}
	snprintf(result, RESULT_LEN, "%s", addr_port_format(&addr, tf_htons(port), buf));
	return r;
}

static int inside(const char *text, char result[RESULT_LEN], struct err *e)
{
	char buf[VALUE_INSIDE_LEN];
	struct tf_inside_key key;
	int r;

	memset(&key, UNTOUCHED, sizeof(key));
	r = value_inside(text, &key, e);
	if (r < 0)
		assert_untouched(key);
	else
		snprintf(result, RESULT_LEN, "%s %u", value_inside_format(&key, buf), key.bits);
	return r;
}

static int lan(const char *text, char result[RESULT_LEN], struct err *e)
{
	char buf[ADDR_TEXT_LEN];
	struct prefix prefix;
	int r;

	memset(&prefix, UNTOUCHED, sizeof(prefix));
	r = value_lan(text, &prefix, e);
	if (r < 0)
		assert_untouched(prefix);
	else
		snprintf(result, RESULT_LEN, "%s", prefix_format(&prefix, buf));
	return r;
}

static int destination(const char *text, char result[RESULT_LEN], struct err *e)
{
	struct config_destination d;
	char buf[ADDR_TEXT_LEN];
	int r;

	memset(&d, UNTOUCHED, sizeof(d));
	r = value_destination(text, &d, e);
	if (r < 0) {
		assert_untouched(d);
		return r;
	}
	assert_int_equal(d.line, 0);
	snprintf(result, RESULT_LEN, "%s %u%s %u-%u %s", prefix_format(&d.prefix, buf), d.protocol,
		 d.any_protocol ? " any" : "", d.from, d.to, d.uplink.text);
	return r;
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The ends of errors that recur. */
#define NOT_A_NAME                                                                                 \
	" is not an interface name; write 1 to 15 characters without spaces, quotes, '/', ':' and " \
	"'*'"
#define NOT_A_KIND                                                                                 \
	" is not a kind of interface; write what 'ip -d link' shows, such as 'wireguard' or 'tun'"
#define NOT_PRIVATE                                                                                \
	" is not a private range, and a hostile network chooses its own prefix; use Destination= " \
	"for a public one"
#define OPTIONS "[udp|tcp|icmp|any] PREFIX [port N|N-M] [uplink NAME]"
#define ONLY_TUNNEL " resolves names, which is only ever done through the tunnel; remove the line"
#define NOT_A_PORT " is not a port or a range of ports; write 1 to 65535, or FROM-TO"
#define THIS_MACHINE "this machine itself; name where the relay on it sends to"
#define NOT_A_SERVER                                                                               \
	" is not the address of a name server; write ADDRESS, IPv4:PORT or [IPv6]:PORT, and no "   \
	"name: nobody could resolve it"
#define NOT_A_HOST " is neither an address nor a host name"

static const struct {
	value_fn parse;
	const char *text;
	const char *result; /* NULL: refused */
	const char *error;
} cases[] = {
	{ yes_no, "yes", "yes", NULL },
	{ yes_no, "no", "no", NULL },
	{ yes_no, "Yes", NULL, "'Yes' is neither 'yes' nor 'no'" },
	{ yes_no, "true", NULL, "'true' is neither 'yes' nor 'no'" },
	{ yes_no, "1", NULL, "'1' is neither 'yes' nor 'no'" },
	{ yes_no, "yes no", NULL, "'yes no' is neither 'yes' nor 'no'" },
	{ interface, "wg0", "wg0", NULL },
	{ interface, "a", "a", NULL },
	{ interface, "abcdefghijklmno", "abcdefghijklmno", NULL },
	{ interface, "eth0.100", "eth0.100", NULL },
	{ interface, "wg-home_2", "wg-home_2", NULL },
	{ interface, "wé", "wé", NULL },
	{ interface, "abcdefghijklmnop", NULL, "'abcdefghijklmnop'" NOT_A_NAME },
	{ interface, "", NULL, "''" NOT_A_NAME },
	{ interface, ".", NULL, "'.'" NOT_A_NAME },
	{ interface, "..", NULL, "'..'" NOT_A_NAME },
	{ interface, "a b", NULL, "'a b'" NOT_A_NAME },
	{ interface, "a/b", NULL, "'a/b'" NOT_A_NAME },
	{ interface, "a:b", NULL, "'a:b'" NOT_A_NAME },
	{ interface, "wg*", NULL, "'wg*'" NOT_A_NAME },
	{ interface, "\"wg0\"", NULL, "'\"wg0\"'" NOT_A_NAME },
	{ interface, "'wg0'", NULL, "''wg0''" NOT_A_NAME },
	{ interface, "lo", NULL, "'lo' is the loopback interface; it leads nowhere" },
	{ interface, "lo0", "lo0", NULL },
	{ interface, "a\tb", NULL, "'a\tb'" NOT_A_NAME },
	{ interface, "a\x7f", NULL, "'a\x7f'" NOT_A_NAME },
	{ kind, "wireguard", "wireguard", NULL },
	{ kind, "tun", "tun", NULL },
	{ kind, "ip6_gre", "ip6_gre", NULL },
	{ kind, "abcdefghijklmno", "abcdefghijklmno", NULL },
	{ kind, "abcdefghijklmnop", NULL, "'abcdefghijklmnop'" NOT_A_KIND },
	{ kind, "", NULL, "''" NOT_A_KIND },
	{ kind, "Tun", NULL, "'Tun'" NOT_A_KIND },
	{ kind, "t n", NULL, "'t n'" NOT_A_KIND },
	{ mark, "0", "0", NULL },
	{ mark, "51820", "51820", NULL },
	{ mark, "4294967295", "4294967295", NULL },
	{ mark, "0xca6c", "51820", NULL },
	{ mark, "0XCA6C", "51820", NULL },
	{ mark, "0xffffffff", "4294967295", NULL },
	{ mark, "4294967296", NULL,
	  "'4294967296' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "0x", NULL, "'0x' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "0x100000000", NULL,
	  "'0x100000000' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "0xg", NULL, "'0xg' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "off", NULL, "'off' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "010", NULL, "'010' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "-1", NULL, "'-1' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ mark, "", NULL, "'' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ name_server, "9.9.9.9", "9.9.9.9:53", NULL },
	{ name_server, "9.9.9.9:5353", "9.9.9.9:5353", NULL },
	{ name_server, "2620:fe::fe", "[2620:fe::fe]:53", NULL },
	{ name_server, "[2620:fe::fe]:8053", "[2620:fe::fe]:8053", NULL },
	{ name_server, "192.168.1.1", "192.168.1.1:53", NULL },
	{ name_server, "fd00::1", "[fd00::1]:53", NULL },
	{ name_server, "[2620:fe::fe]", NULL, "'[2620:fe::fe]'" NOT_A_SERVER },
	{ name_server, "[9.9.9.9", NULL, "'[9.9.9.9'" NOT_A_SERVER },
	{ name_server, "", NULL, "''" NOT_A_SERVER },
	{ name_server, ":53", NULL, "':53'" NOT_A_SERVER },
	{ name_server, "[]:53", NULL, "'[]:53'" NOT_A_SERVER },
	{ name_server, "dns.example", NULL, "'dns.example'" NOT_A_SERVER },
	{ name_server, "9.9.9.9 1.1.1.1", NULL, "'9.9.9.9 1.1.1.1'" NOT_A_SERVER },
	{ name_server, "9.9.9.0/24", NULL, "'9.9.9.0/24'" NOT_A_SERVER },
	{ name_server, "::ffff:9.9.9.9", NULL, "'::ffff:9.9.9.9'" NOT_A_SERVER },
	{ name_server, "fe80::1%eth0", NULL, "'fe80::1%eth0'" NOT_A_SERVER },
	{ name_server, L63 L63, NULL, "'" L63 L63 "'" NOT_A_SERVER },
	{ name_server, "9.9.9.9:0", NULL,
	  "'9.9.9.9:0' has a bad port; write 1 to 65535 after the last ':'" },
	{ name_server, "9.9.9.9:", NULL,
	  "'9.9.9.9:' has a bad port; write 1 to 65535 after the last ':'" },
	{ name_server, "[2620:fe::fe]:65536", NULL,
	  "'[2620:fe::fe]:65536' has a bad port; write 1 to 65535 after the last ':'" },
	{ name_server, "127.0.0.53", NULL,
	  "'127.0.0.53' cannot be the bootstrap name server: it is " THIS_MACHINE },
	{ name_server, "[::1]:53", NULL,
	  "'::1' cannot be the bootstrap name server: it is " THIS_MACHINE },
	{ name_server, "0.0.0.0", NULL,
	  "'0.0.0.0' cannot be the bootstrap name server: it means no address at all" },
	{ name_server, "::", NULL,
	  "'::' cannot be the bootstrap name server: it means no address at all" },
	{ name_server, "224.0.0.251:5353", NULL,
	  "'224.0.0.251' cannot be the bootstrap name server: it is a multicast group" },
	{ name_server, "ff02::fb", NULL,
	  "'ff02::fb' cannot be the bootstrap name server: it is a multicast group" },
	{ name_server, "255.255.255.255", NULL,
	  "'255.255.255.255' cannot be the bootstrap name server: it is the broadcast address" },
	{ name_server, "fe80::1", NULL,
	  "'fe80::1' is another host on each link; write a global address" },
	{ cgroup, "system.slice/a.service", "system.slice/a.service", NULL },
	{ cgroup, "/sys/fs/cgroup/a", "/sys/fs/cgroup/a", NULL },
	{ cgroup, "a/.../b", "a/.../b", NULL },
	{ cgroup, "..a", "..a", NULL },
	{ cgroup, "", "", NULL },
	{ cgroup, "..", NULL, "'..' has '.' or '..' in it; write the path out" },
	{ cgroup, "a/../b", NULL, "'a/../b' has '.' or '..' in it; write the path out" },
	{ cgroup, "a/..", NULL, "'a/..' has '.' or '..' in it; write the path out" },
	{ cgroup, "./a", NULL, "'./a' has '.' or '..' in it; write the path out" },
	{ cgroup, "a//.", NULL, "'a//.' has '.' or '..' in it; write the path out" },
	{ cgroup, "/..", NULL, "'/..' has '.' or '..' in it; write the path out" },

	{ unit, "transmission-daemon.service", "transmission-daemon.service", NULL },
	{ unit, "wg-quick@wg0.service", "wg-quick@wg0.service", NULL },
	{ unit, "a@.b.service", "a@.b.service", NULL },
	{ unit, "docker-0123abc.scope", "docker-0123abc.scope", NULL },
	{ unit, "a\\x2db:c_d.slice", "a\\x2db:c_d.slice", NULL },
	{ unit, "a", NULL, NO_UNIT("a") },
	{ unit, "a.socket", NULL, NO_UNIT("a.socket") },
	{ unit, "a.Service", NULL, NO_UNIT("a.Service") },
	{ unit, "a.service.", NULL, NO_UNIT("a.service.") },
	{ unit, ".service", NULL, NO_UNIT(".service") },
	{ unit, "..", NULL, NO_UNIT("..") },
	{ unit, "a/b.service", NULL, BAD_UNIT("a/b.service") },
	{ unit, "*.service", NULL, BAD_UNIT("*.service") },
	{ unit, "a b.service", NULL, BAD_UNIT("a b.service") },
	{ unit, "\xc3\xa4.service", NULL, BAD_UNIT("\xc3\xa4.service") },
	{ unit, "@a.service", NULL, BAD_UNIT("@a.service") },
	{ unit, "a@.service", NULL,
	  "'a@.service' is a template; name an instance of it: 'a@NAME.service'" },
	{ unit, "-.slice", NULL, "'-.slice' is the whole machine; write Scope=system" },
	{ endpoint, "192.0.2.1:51820", "literal 192.0.2.1:51820", NULL },
	{ endpoint, "[2001:db8::1]:51820", "literal [2001:db8::1]:51820", NULL },
	{ endpoint, "vpn.example.org:443", "name vpn.example.org port 443", NULL },
	{ endpoint, "a:1", "name a port 1", NULL },
	{ endpoint, "vpn.example.org.:443", "name vpn.example.org. port 443", NULL },
	{ endpoint, "3com.com:1", "name 3com.com port 1", NULL },
	{ endpoint, "localhost:51820", "name localhost port 51820", NULL },
	{ endpoint, "192.0.2.1:65535", "literal 192.0.2.1:65535", NULL },
	{ endpoint, "1e100.net:1", "name 1e100.net port 1", NULL },
	{ endpoint, "a.0x1g:1", "name a.0x1g port 1", NULL },
	{ endpoint, "xn--bcher-kva.example:1", "name xn--bcher-kva.example port 1", NULL },
	{ endpoint, L63 ".b:1", "name " L63 ".b port 1", NULL },
	{ endpoint, L63 "a.b:1", NULL, "'" L63 "a.b'" NOT_A_HOST },
	{ endpoint, L63 "." L63 "." L63 "." L61 ":1", "name " L63 "." L63 "." L63 "." L61 " port 1",
	  NULL },
	{ endpoint, L63 "." L63 "." L63 "." L61 "a:1", NULL,
	  "'" L63 "." L63 "." L63 "." L61 "a'" NOT_A_HOST },
	{ endpoint, L63 "." L63 "." L63 "." L63 "." L63 ":1", NULL,
	  "the host name is longer than 253 characters" },
	{ endpoint, "192.0.2.1", NULL,
	  "'192.0.2.1' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "192.0.2.1:", NULL,
	  "'192.0.2.1:' has a bad port; write 1 to 65535 after the last ':'" },
	{ endpoint, "192.0.2.1:0", NULL,
	  "'192.0.2.1:0' has a bad port; write 1 to 65535 after the last ':'" },
	{ endpoint, "192.0.2.1:65536", NULL,
	  "'192.0.2.1:65536' has a bad port; write 1 to 65535 after the last ':'" },
	{ endpoint, "192.0.2.1:http", NULL,
	  "'192.0.2.1:http' has a bad port; write 1 to 65535 after the last ':'" },
	{ endpoint, "192.0.2.1: 1", NULL,
	  "'192.0.2.1: 1' has a bad port; write 1 to 65535 after the last ':'" },
	{ endpoint, ":51820", NULL, "':51820' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "", NULL, "'' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "2001:db8::1:51820", NULL,
	  "'2001:db8::1:51820' has too many colons; write an IPv6 endpoint as [ADDRESS]:PORT" },
	{ endpoint, "2001:db8::1", NULL,
	  "'2001:db8::1' has too many colons; write an IPv6 endpoint as [ADDRESS]:PORT" },
	{ endpoint, "[2001:db8::1]", NULL,
	  "'[2001:db8::1]' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "[2001:db8::1]51820", NULL,
	  "'[2001:db8::1]51820' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "[2001:db8::1", NULL,
	  "'[2001:db8::1' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "[]:1", NULL, "'[]:1' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ endpoint, "[192.0.2.1]:1", NULL,
	  "'[192.0.2.1]' is not an IPv6 address; write '192.0.2.1' without brackets" },
	{ endpoint, "[vpn.example]:1", NULL,
	  "'[vpn.example]' is not an IPv6 address; write 'vpn.example' without brackets" },
	{ endpoint, "[fe80::1%eth0]:1", NULL,
	  "'fe80::1%eth0' has a scope id; write the address without '%...'" },
	{ endpoint, "[::ffff:192.0.2.1]:1", NULL,
	  "'::ffff:192.0.2.1' is an IPv4 address in IPv6 dress; write '192.0.2.1'" },
	{ endpoint, "[2001:db8::1]:x", NULL,
	  "'[2001:db8::1]:x' has a bad port; write 1 to 65535 after the last ':'" },
	{ endpoint, "192.0.2:1", NULL, "'192.0.2'" NOT_A_HOST },
	{ endpoint, "192.0.2.256:1", NULL, "'192.0.2.256'" NOT_A_HOST },
	{ endpoint, "0x7f000001:1", NULL, "'0x7f000001'" NOT_A_HOST },
	{ endpoint, "1.0x7f:1", NULL, "'1.0x7f'" NOT_A_HOST },
	{ endpoint, "2130706433:1", NULL, "'2130706433'" NOT_A_HOST },
	{ endpoint, "a.1:1", NULL, "'a.1'" NOT_A_HOST },
	{ endpoint, "a.1.:1", NULL, "'a.1.'" NOT_A_HOST },
	{ endpoint, ".:1", NULL, "'.'" NOT_A_HOST },
	{ endpoint, "a..b:1", NULL, "'a..b'" NOT_A_HOST },
	{ endpoint, ".a:1", NULL, "'.a'" NOT_A_HOST },
	{ endpoint, "-a:1", NULL, "'-a'" NOT_A_HOST },
	{ endpoint, "a-:1", NULL, "'a-'" NOT_A_HOST },
	{ endpoint, "a_b:1", NULL, "'a_b'" NOT_A_HOST },
	{ endpoint, "a b:1", NULL, "'a b'" NOT_A_HOST },
	{ endpoint, "vé:1", NULL, "'vé'" NOT_A_HOST },
	{ endpoint, "0.0.0.0:1", NULL,
	  "'0.0.0.0' can never be an endpoint: it means no address at all" },
	{ endpoint, "127.0.0.1:1", NULL,
	  "'127.0.0.1' can never be an endpoint: it is " THIS_MACHINE },
	{ endpoint, "127.255.0.1:1", NULL,
	  "'127.255.0.1' can never be an endpoint: it is " THIS_MACHINE },
	{ endpoint, "224.0.0.1:1", NULL,
	  "'224.0.0.1' can never be an endpoint: it is a multicast group" },
	{ endpoint, "239.1.2.3:1", NULL,
	  "'239.1.2.3' can never be an endpoint: it is a multicast group" },
	{ endpoint, "255.255.255.255:1", NULL,
	  "'255.255.255.255' can never be an endpoint: it is the broadcast address" },
	{ endpoint, "[::]:1", NULL, "'::' can never be an endpoint: it means no address at all" },
	{ endpoint, "[::1]:1", NULL, "'::1' can never be an endpoint: it is " THIS_MACHINE },
	{ endpoint, "[ff02::1]:1", NULL,
	  "'ff02::1' can never be an endpoint: it is a multicast group" },
	{ endpoint, "126.255.255.255:1", "literal 126.255.255.255:1", NULL },
	{ endpoint, "128.0.0.1:1", "literal 128.0.0.1:1", NULL },
	{ endpoint, "223.255.255.255:1", "literal 223.255.255.255:1", NULL },
	{ endpoint, "240.0.0.1:1", "literal 240.0.0.1:1", NULL },
	{ endpoint, "[fe80::1]:1", "literal [fe80::1]:1", NULL },
	{ inside, "docker0", "docker0 64", NULL },
	{ inside, "br-*", "br-* 24", NULL },
	{ inside, "veth*", "veth* 32", NULL },
	{ inside, "abcdefghijklmno", "abcdefghijklmno 128", NULL },
	{ inside, "abcdefghijklmno*", "abcdefghijklmno* 120", NULL },
	{ inside, "a", "a 16", NULL },
	{ inside, "abcdefghijklmnop", NULL,
	  "'abcdefghijklmnop' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "abcdefghijklmnop*", NULL,
	  "'abcdefghijklmnop*' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "", NULL, "'' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "*", NULL,
	  "'*' would open every interface; name those whose far side is trusted, such as "
	  "'docker0' or 'br-*'" },
	{ inside, "**", NULL,
	  "'**' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "a*b", NULL,
	  "'a*b' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "*a", NULL,
	  "'*a' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "a/b", NULL,
	  "'a/b' is neither an interface name nor the beginning of one and '*'" },
	{ inside, "a:b", NULL,
	  "'a:b' is neither an interface name nor the beginning of one and '*'" },
	{ lan, "10.0.0.0/8", "10.0.0.0/8", NULL },
	{ lan, "10.1.0.0/16", "10.1.0.0/16", NULL },
	{ lan, "192.168.1.0/24", "192.168.1.0/24", NULL },
	{ lan, "172.31.0.0/16", "172.31.0.0/16", NULL },
	{ lan, "169.254.0.0/16", "169.254.0.0/16", NULL },
	{ lan, "fe80::/10", "fe80::/10", NULL },
	{ lan, "fe80::/64", "fe80::/64", NULL },
	{ lan, "fd00::/8", "fd00::/8", NULL },
	{ lan, "fc00::/7", "fc00::/7", NULL },
	{ lan, "192.168.1.1", "192.168.1.1/32", NULL },
	{ lan, "0.0.0.0/0", NULL, "'0.0.0.0/0'" NOT_PRIVATE },
	{ lan, "11.0.0.0/8", NULL, "'11.0.0.0/8'" NOT_PRIVATE },
	{ lan, "10.0.0.0/7", NULL, "'10.0.0.0/7'" NOT_PRIVATE },
	{ lan, "172.32.0.0/16", NULL, "'172.32.0.0/16'" NOT_PRIVATE },
	{ lan, "192.0.2.0/24", NULL, "'192.0.2.0/24'" NOT_PRIVATE },
	{ lan, "::/0", NULL, "'::/0'" NOT_PRIVATE },
	{ lan, "2001:db8::/32", NULL, "'2001:db8::/32'" NOT_PRIVATE },
	{ lan, "fec0::/10", NULL, "'fec0::/10'" NOT_PRIVATE },
	{ lan, "10.0.0.1/8", NULL,
	  "'10.0.0.1/8' has bits set after its length; did you mean '10.0.0.0/8'?" },
	{ lan, "maybe", NULL, "'maybe' is neither 'no', 'yes' nor a prefix" },
	{ lan, "127.0.0.0/8", NULL, "'127.0.0.0/8'" NOT_PRIVATE },
	{ destination, "192.0.2.0/24", "192.0.2.0/24 0 any 0-65535 ", NULL },
	{ destination, "any 192.0.2.0/24", "192.0.2.0/24 0 any 0-65535 ", NULL },
	{ destination, "udp 192.0.2.123 port 123", "192.0.2.123/32 17 123-123 ", NULL },
	{ destination, "tcp 192.0.2.0/24 port 8000-8100", "192.0.2.0/24 6 8000-8100 ", NULL },
	{ destination, "icmp 192.0.2.1", "192.0.2.1/32 1 0-65535 ", NULL },
	{ destination, "icmp 2001:db8::/32", "2001:db8::/32 58 0-65535 ", NULL },
	{ destination, "tcp 2001:db8::1 port 443", "2001:db8::1/128 6 443-443 ", NULL },
	{ destination, "udp 192.0.2.0/24", "192.0.2.0/24 17 0-65535 ", NULL },
	{ destination, "192.0.2.0/24 uplink eth0", "192.0.2.0/24 0 any 0-65535 eth0", NULL },
	{ destination, "udp 192.0.2.1 port 123 uplink eth0", "192.0.2.1/32 17 123-123 eth0", NULL },
	{ destination, "udp 192.0.2.1 uplink eth0 port 123", "192.0.2.1/32 17 123-123 eth0", NULL },
	{ destination, "udp\t192.0.2.1\tport\t1", "192.0.2.1/32 17 1-1 ", NULL },
	{ destination, "udp 0.0.0.0/0 port 123", "0.0.0.0/0 17 123-123 ", NULL },
	{ destination, "icmp ::/0", "::/0 58 0-65535 ", NULL },
	{ destination, "udp ::/0", "::/0 17 0-65535 ", NULL },
	{ destination, "udp 192.0.2.1 port 53-54", "192.0.2.1/32 17 53-54 ", NULL },
	{ destination, "tcp 192.0.2.1 port 852-853", "192.0.2.1/32 6 852-853 ", NULL },
	{ destination, "224.0.0.251", "224.0.0.251/32 0 any 0-65535 ", NULL },
	{ destination, "0.0.0.0/1", "0.0.0.0/1 0 any 0-65535 ", NULL },
	{ destination, "", NULL, "no prefix; write " OPTIONS },
	{ destination, "udp", NULL, "no prefix; write " OPTIONS },
	{ destination, "sctp 192.0.2.1", NULL,
	  "'sctp' is neither a protocol (udp, tcp, icmp, any) nor a prefix" },
	{ destination, "UDP 192.0.2.1", NULL,
	  "'UDP' is neither a protocol (udp, tcp, icmp, any) nor a prefix" },
	{ destination, "udp example.org", NULL, "'example.org' is not an IPv4 or IPv6 address" },
	{ destination, "192.0.2.1/24", NULL,
	  "'192.0.2.1/24' has bits set after its length; did you mean '192.0.2.0/24'?" },
	{ destination, "udp 192.0.2.1:123", NULL, "'192.0.2.1:123' is not an IPv6 address" },
	{ destination, "192.0.2.1 port 80", NULL,
	  "only udp and tcp have ports; write 'udp' or 'tcp' before the prefix" },
	{ destination, "any 192.0.2.1 port 80", NULL,
	  "only udp and tcp have ports; write 'udp' or 'tcp' before the prefix" },
	{ destination, "icmp 192.0.2.1 port 8", NULL,
	  "only udp and tcp have ports; write 'udp' or 'tcp' before the prefix" },
	{ destination, "udp 192.0.2.1 port", NULL,
	  "nothing follows 'port'; write 'port N' or 'port N-M'" },
	{ destination, "udp 192.0.2.1 port x", NULL, "'x'" NOT_A_PORT },
	{ destination, "udp 192.0.2.1 port 0", NULL, "'0'" NOT_A_PORT },
	{ destination, "udp 192.0.2.1 port 20-10", NULL,
	  "'20-10' is a range of no ports; did you mean '10-20'?" },
	{ destination, "udp 192.0.2.1 port 1 port 2", NULL,
	  "'port' is said twice; write a line for each" },
	{ destination, "192.0.2.1 uplink", NULL,
	  "nothing follows 'uplink'; write an interface name" },
	{ destination, "192.0.2.1 uplink lo", NULL,
	  "'lo' is the loopback interface; it leads nowhere" },
	{ destination, "192.0.2.1 uplink a uplink b", NULL,
	  "'uplink' is said twice; write a line for each" },
	{ destination, "192.0.2.1 uplink a/b", NULL, "'a/b'" NOT_A_NAME },
	{ destination, "192.0.2.1 via eth0", NULL, "'via' is not understood; write " OPTIONS },
	{ destination, "192.0.2.1 192.0.2.2", NULL,
	  "'192.0.2.2' is not understood; write " OPTIONS },
	{ destination, "udp 192.0.2.1 123", NULL, "'123' is not understood; write " OPTIONS },
	{ destination, "udp 192.0.2.1 port 53", NULL, "port 53" ONLY_TUNNEL },
	{ destination, "tcp 192.0.2.1 port 53", NULL, "port 53" ONLY_TUNNEL },
	{ destination, "tcp 192.0.2.1 port 853", NULL, "port 853" ONLY_TUNNEL },
	{ destination, "udp 192.0.2.1 port 5353", NULL, "port 5353" ONLY_TUNNEL },
	{ destination, "udp 192.0.2.1 port 5355", NULL, "port 5355" ONLY_TUNNEL },
	{ destination, "udp 192.0.2.1 port 137", NULL, "port 137" ONLY_TUNNEL },
	{ destination, "udp 192.0.2.1 port 53-53", NULL, "port 53-53" ONLY_TUNNEL },
	{ destination, "127.0.0.1", NULL,
	  "'127.0.0.1/32' stays on this machine, which is always allowed; remove the line" },
	{ destination, "127.0.0.0/8", NULL,
	  "'127.0.0.0/8' stays on this machine, which is always allowed; remove the line" },
	{ destination, "tcp ::1 port 80", NULL,
	  "'::1/128' stays on this machine, which is always allowed; remove the line" },
	{ destination, "0.0.0.0/0", NULL,
	  "'0.0.0.0/0' would allow everything, which is no fence; to open it, run 'tunfence "
	  "down'" },
	{ destination, "any ::/0", NULL,
	  "'::/0' would allow everything, which is no fence; to open it, run 'tunfence down'" },
	{ destination, "0.0.0.0/0 uplink eth0", NULL,
	  "'0.0.0.0/0' would allow everything, which is no fence; to open it, run 'tunfence "
	  "down'" },
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char result[RESULT_LEN] = "";
		struct err e = { 0 };
		int r = cases[i].parse(cases[i].text, result, &e);

		if (cases[i].result) {
			assert_string_equal(e.text, "");
			assert_string_equal(result, cases[i].result);
			assert_int_equal(r, 0);
			continue;
		}
		assert_string_equal(e.text, cases[i].error);
		assert_true(r < 0);
		assert_int_equal(e.code, r);
		assert_int_equal(cases[i].parse(cases[i].text, result, NULL), r);
	}
}

static void test_long_cgroup(void **state)
{
	char path[PATH_MAX + 1];
	struct err e;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[PATH_MAX] = '\0';
	assert_int_equal(value_cgroup(path, &e), -ENAMETOOLONG);
	assert_string_equal(e.text, "the path is longer than 4095 characters");
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(value_cgroup(path, &e), 0);
}

static void test_long_unit(void **state)
{
	char name[257] = "";
	struct err e;

	(void)state;
	memset(name, 'a', 248);
	strcat(name, ".service");
	assert_int_equal(value_unit(name, &e), -ENAMETOOLONG);
	assert_string_equal(e.text, "the name is longer than 255 characters");
	assert_int_equal(value_unit(name + 1, &e), 0);
}

static void test_endpoint_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool yes;
	} pairs[] = {
		{ "192.0.2.1:1", "192.0.2.1:1", true },
		{ "192.0.2.1:1", "192.0.2.1:2", false },
		{ "192.0.2.1:1", "192.0.2.2:1", false },
		{ "[2001:db8::1]:1", "[2001:db8:0::1]:1", true },
		{ "vpn.example:1", "VPN.Example.:1", true },
		{ "vpn.example:1", "vpn.example:2", false },
		{ "vpn.example:1", "vpn.example2:1", false },
		{ "vpn.example:1", "192.0.2.1:1", false },
	};
	struct config_endpoint a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		assert_int_equal(value_endpoint(pairs[i].a, IPPROTO_UDP, &a, NULL), 0);
		assert_int_equal(value_endpoint(pairs[i].b, IPPROTO_UDP, &b, NULL), 0);
		assert_int_equal(value_endpoint_equal(&a, &b), pairs[i].yes);
		b.protocol = IPPROTO_TCP;
		assert_false(value_endpoint_equal(&a, &b));
	}
}

static void test_inside_matches(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool yes;
	} pairs[] = {
		{ "docker0", "docker0", true },
		{ "docker0", "docker01", false },
		{ "docker0", "docker", false },
		{ "br-*", "br-1234", true },
		{ "br-*", "br-", true },
		{ "br-*", "br", false },
		{ "abcdefghijklmno", "abcdefghijklmno", true },
		{ "abcdefghijklmno*", "abcdefghijklmno", true },
		{ "abcdefghijklmn*", "abcdefghijklmno", true },
	};
	struct tf_inside_key key;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct tf_name name = { 0 };

		memcpy(name.text, pairs[i].name, strlen(pairs[i].name));
		assert_int_equal(value_inside(pairs[i].pattern, &key, NULL), 0);
		assert_int_equal(value_inside_matches(&key, &name), pairs[i].yes);
	}
}

/* Each differs from the first in one thing only; a difference that did not count would make a
 * duplicate of two rules. */
static void test_destination_compare(void **state)
{
	static const char *const rules[] = {
		"udp 192.0.2.0/24 port 10-20 uplink eth0",
		"udp 192.0.3.0/24 port 10-20 uplink eth0",
		"udp 192.0.2.0/25 port 10-20 uplink eth0",
		"tcp 192.0.2.0/24 port 10-20 uplink eth0",
		"udp 192.0.2.0/24 port 11-20 uplink eth0",
		"udp 192.0.2.0/24 port 10-21 uplink eth0",
		"udp 192.0.2.0/24 port 10-20 uplink eth1",
		"udp 192.0.2.0/24 port 10-20",
		"udp 192.0.2.0/24",
		"any 192.0.2.0/24",
		"icmp 192.0.2.0/24",
	};
	struct config_destination a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(rules); j++) {
			assert_int_equal(value_destination(rules[i], &a, NULL), 0);
			assert_int_equal(value_destination(rules[j], &b, NULL), 0);
			a.line = 1;
			assert_int_equal(!value_destination_compare(&a, &b), i == j);
			assert_int_equal(value_destination_compare(&a, &b) < 0,
					 value_destination_compare(&b, &a) > 0);
		}
	}
}

static void test_lan_ranges(void **state)
{
	static const char *const expected[] = { "10.0.0.0/8",	  "172.16.0.0/12", "192.168.0.0/16",
						"169.254.0.0/16", "fe80::/10",	   "fc00::/7" };
	char buf[ADDR_TEXT_LEN];

	(void)state;
	assert_int_equal(value_lan_range_count, ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_string_equal(prefix_format(&value_lan_ranges[i], buf), expected[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_long_cgroup),
		cmocka_unit_test(test_long_unit),
		cmocka_unit_test(test_endpoint_equal),
		cmocka_unit_test(test_inside_matches),
		cmocka_unit_test(test_destination_compare),
		cmocka_unit_test(test_lan_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
