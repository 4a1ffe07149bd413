// SPDX-License-Identifier: GPL-2.0
/* Whole configurations: lines, sections, repetitions, contradictions, limits, and what is said of
 * each mistake with its line. Single values are test_value.c's. */
#define _GNU_SOURCE /* asprintf */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "util.h"

#define A60 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define T "[Tunnel]\nInterface=wg0\n" /* the shortest file there can be: two lines */

/* A directory of our own for WireGuardConfig=. */
static char dir[] = "/tmp/tunfence-test-XXXXXX";

static void write_file(const char *name, const char *text, size_t size)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static int set_up(void **state)
{
	static const char wg0[] =
		"[Interface]\nPrivateKey = k\nListenPort = 51820\nFwMark = 0xca6c\n"
		"[Peer]\nEndpoint = 203.0.113.7:51820\n";
	static const char bad[] = "[Interface]\nListenPort = x\n";

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	write_file("wg0.conf", wg0, strlen(wg0));
	write_file("bad.conf", bad, strlen(bad));
	return 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = { "wg0.conf", "bad.conf", "f.conf", "many.conf" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static int parse(const char *text, size_t size, struct config **ret, struct err *e)
{
	_cleanup_fclose_ FILE *stream = fmemopen((void *)(uintptr_t)text, size ? size : 1, "r");

	assert_non_null(stream);
	if (!size)
		getc(stream);
	return config_parse(stream, "f.conf", "fence", dir, ret, e);
}

/* Without the random part of our directory's name. */
static void hide_dir(char *text)
{
	for (char *at = strstr(text, dir); at; at = strstr(at, dir))
		memmove(at, at + strlen(dir), strlen(at + strlen(dir)) + 1);
}

static const struct {
	const char *name, *text, *error;
} errors[] = {
	{ "empty file", "", "f.conf: no [Tunnel] section; add one with Interface=" },
	{ "only comments", "# a\n; b\n\n", "f.conf: no [Tunnel] section; add one with Interface=" },
	{ "no tunnel", "[Fence]\nMode=enforce\n",
	  "f.conf: no [Tunnel] section; add one with Interface=" },
	{ "key before section", "Interface=wg0\n",
	  "f.conf:1: 'Interface' stands before any section; begin with [Tunnel]" },
	{ "unknown section", T "[Alow]\n",
	  "f.conf:3: unknown section '[Alow]'; did you mean '[Allow]'?" },
	{ "unknown section, nothing near", T "[Interface]\n",
	  "f.conf:3: unknown section '[Interface]'; there are [Fence], [Tunnel], [Allow] and "
	  "[Exempt]" },
	{ "section in other case", T "[allow]\n",
	  "f.conf:3: unknown section '[allow]'; did you mean '[Allow]'?" },
	{ "section not closed", T "[Allow\n",
	  "f.conf:3: '[Allow' is no section; write it as [Name]" },
	{ "text after section", T "[Allow] LAN=yes\n",
	  "f.conf:3: '[Allow] LAN=yes' is no section; write it as [Name]" },
	{ "empty section name", T "[]\n",
	  "f.conf:3: unknown section '[]'; there are [Fence], [Tunnel], [Allow] and "
	  "[Exempt]" },
	{ "blanks in section", T "[ Allow ]\n",
	  "f.conf:3: unknown section '[ Allow ]'; did you mean '[Allow]'?" },
	{ "long section name", T "[" A60 "]\n",
	  "f.conf:3: unknown section '[" A60 "]'; there are [Fence], [Tunnel], [Allow] and "
	  "[Exempt]" },
	{ "section twice", T "[Allow]\n[Fence]\n[Allow]\n",
	  "f.conf:5: [Allow] begins in line 3 already; put its keys there" },
	{ "fence twice", "[Fence]\n[Fence]\n" T,
	  "f.conf:2: [Fence] begins in line 1 already; put its keys there" },
	{ "tunnel without interface", T "[Tunnel]\n[Allow]\n",
	  "f.conf:3: [Tunnel] has no Interface=; add the name of the tunnel's interface" },
	{ "last tunnel without interface", T "[Tunnel]\nKind=tun\n",
	  "f.conf:3: [Tunnel] has no Interface=; add the name of the tunnel's interface" },
	{ "bare tunnel", "[Tunnel]",
	  "f.conf:1: [Tunnel] has no Interface=; add the name of the tunnel's interface" },
	{ "no equals sign", T "[Allow]\nLAN yes\n",
	  "f.conf:4: 'LAN yes' is not understood; write KEY=VALUE" },
	{ "colon for equals sign", T "[Allow]\nLAN: no\n",
	  "f.conf:4: 'LAN: no' is not understood; write KEY=VALUE" },
	{ "colon before equals sign", T "Endpoint:udp=192.0.2.1:1\n",
	  "f.conf:3: 'Endpoint:udp=192.0.2.1:1' is not understood; write KEY=VALUE" },
	{ "no key", T "[Allow]\n=yes\n",
	  "f.conf:4: unknown key '' in [Allow]; see tunfence.conf(5) for those there are" },
	{ "continued line", T "[Allow]\nInside=a\n  b\n",
	  "f.conf:5: 'b' is not understood; write KEY=VALUE" },
	{ "bell", T "[Allow]\nLAN=\ano\n",
	  "f.conf:4: there is a control character (byte 0x07) in the line; remove it" },
	{ "escape in comment", T "# \033[2J\n",
	  "f.conf:3: there is a control character (byte 0x1b) in the line; remove it" },
	{ "carriage return in line", T "Kind=tun\rKind=x\n",
	  "f.conf:3: there is a control character (byte 0x0d) in the line; remove it" },
	{ "misspelt key", T "[Allow]\nInbondTCP=22\n",
	  "f.conf:4: unknown key 'InbondTCP' in [Allow]; did you mean 'InboundTCP'?" },
	{ "key in other case", T "[Allow]\nlan=no\n",
	  "f.conf:4: unknown key 'lan' in [Allow]; did you mean 'LAN'?" },
	{ "misspelt short key", T "[Allow]\nLNA=no\n",
	  "f.conf:4: unknown key 'LNA' in [Allow]; did you mean 'LAN'?" },
	{ "key of another section", T "[Allow]\nEndpoint=192.0.2.1:1\n",
	  "f.conf:4: unknown key 'Endpoint' in [Allow]; 'Endpoint' belongs in [Tunnel]" },
	{ "key of another section, other case", T "[Allow]\nfwmark=1\n",
	  "f.conf:4: unknown key 'fwmark' in [Allow]; 'FwMark' belongs in [Tunnel]" },
	{ "unknown key", T "[Allow]\nFrobnicate=1\n",
	  "f.conf:4: unknown key 'Frobnicate' in [Allow]; see tunfence.conf(5) for those there "
	  "are" },
	{ "very long key", T "[Allow]\n" A60 "=1\n",
	  "f.conf:4: unknown key '" A60 "' in [Allow]; see tunfence.conf(5) for those there are" },
	{ "key of wg", T "PrivateKey=x\n",
	  "f.conf:3: unknown key 'PrivateKey' in [Tunnel]; see tunfence.conf(5) for those there "
	  "are" },
	{ "empty value", T "[Allow]\nLAN=\n",
	  "f.conf:4: 'LAN' has no value; write LAN=no|yes|PREFIX..." },
	{ "value is a comment", T "[Allow]\nLAN= # no\n",
	  "f.conf:4: 'LAN' has no value; write LAN=no|yes|PREFIX..." },
	{ "bad scope", "[Fence]\nScope=user\n" T,
	  "f.conf:2: 'user' is no scope; write 'system' or 'cgroup'" },
	{ "bad mode", "[Fence]\nMode=off\n" T,
	  "f.conf:2: 'off' is no mode; write 'enforce' or 'observe'" },
	{ "bad cgroup", "[Fence]\nCgroup=../a\n" T,
	  "f.conf:2: '../a' has '.' or '..' in it; write the path out" },
	{ "unit contradicts", "[Fence]\nUnit=a.service b.service\nScope=system\n" T,
	  "f.conf:2: Unit= contradicts Scope=system in line 3; remove one of the two" },
	{ "second of two cgroups is bad", "[Fence]\nCgroup=a b/../c\n" T,
	  "f.conf:2: 'b/../c' has '.' or '..' in it; write the path out" },
	{ "cgroup twice", "[Fence]\nCgroup=a.slice\n\nCgroup=b /a.slice\n" T,
	  "f.conf:4: '/a.slice' is in line 2 already; say each once" },
	{ "unit twice in a line", "[Fence]\nUnit=a.service a.service\n" T,
	  "f.conf:2: 'a.service' is in line 2 already; say each once" },
	{ "unit without suffix", "[Fence]\nUnit=transmission-daemon\n" T,
	  "f.conf:2: 'transmission-daemon' names no unit that has programs; write NAME.service, "
	  "NAME.scope or NAME.slice" },
	{ "unit misspelled", "[Fence]\nUnits=a.service\n" T,
	  "f.conf:2: unknown key 'Units' in [Fence]; did you mean 'Unit'?" },
	{ "exempt twice", T "[Exempt]\n[Allow]\n[Exempt]\n",
	  "f.conf:5: [Exempt] begins in line 3 already; put its keys there" },
	{ "exempt unit twice", T "[Exempt]\nUnit=a.service\nUnit=b.service a.service\n",
	  "f.conf:5: 'a.service' is in line 4 already; say each once" },
	{ "exempt and fenced unit", "[Fence]\nUnit=a.service\n" T "[Exempt]\nUnit=a.service\n",
	  "f.conf:6: 'a.service' is in line 2 already; say each once" },
	{ "fenced and exempt group", "[Exempt]\nCgroup=/a\n[Fence]\nCgroup=a\n" T,
	  "f.conf:4: 'a' is in line 2 already; say each once" },
	{ "exempt root", T "[Exempt]\nCgroup=//\n",
	  "f.conf:4: '//' holds every cgroup there is: nothing would be fenced; name the groups that "
	  "are to be exempt" },
	{ "exempt root slice", T "[Exempt]\nUnit=-.slice\n",
	  "f.conf:4: '-.slice' holds every unit there is: nothing would be fenced; name the units that "
	  "are to be exempt" },
	{ "exempt path upwards", T "[Exempt]\nCgroup=a/..\n",
	  "f.conf:4: 'a/..' has '.' or '..' in it; write the path out" },
	{ "exempt names", T "[Exempt]\nDNS=yes\n",
	  "f.conf:4: 'yes' is not where names can be resolved; write 'tunnel' or 'uplink'" },
	{ "exempt names twice", T "[Exempt]\nDNS=tunnel\nDNS=uplink\n",
	  "f.conf:5: 'DNS' is in line 4 already; keep one of the two" },
	{ "exempt mark", T "[Exempt]\nMark=0\n",
	  "f.conf:4: '0' is the mark of unmarked packets; remove the line if there is no mark" },
	{ "exempt mark is a tunnel's", T "FwMark=0x17\n[Exempt]\nDNS=uplink\nMark=23\n",
	  "f.conf:6: 0x17 is the mark of the outer packets of 'wg0' already; write another, or remove "
	  "the line" },
	{ "exempt user", T "[Exempt]\nUsers=alice bob!\n",
	  "f.conf:4: 'bob!' is not a user; write a name or a number" },
	{ "exempt user's number", T "[Exempt]\nUsers=4294967295\n",
	  "f.conf:4: '4294967295' is not a user; write a name or a number" },
	{ "exempt user twice", T "[Exempt]\nUsers=alice\nUsers=bob alice\n",
	  "f.conf:5: 'alice' is said twice; remove one of the two" },
	{ "exempt key elsewhere", T "Users=alice\n",
	  "f.conf:3: unknown key 'Users' in [Tunnel]; 'Users' belongs in [Exempt]" },
	{ "unit elsewhere", T "Unit=a.service\n",
	  "f.conf:3: unknown key 'Unit' in [Tunnel]; 'Unit' belongs in [Fence]" },
	{ "scope contradicts", "[Fence]\nScope=system\nCgroup=a.slice\n" T,
	  "f.conf:3: Cgroup= contradicts Scope=system in line 2; remove one of the two" },
	{ "scope contradicts, other order", "[Fence]\nCgroup=a.slice\nScope=system\n" T,
	  "f.conf:2: Cgroup= contradicts Scope=system in line 3; remove one of the two" },
	{ "scope twice", "[Fence]\nScope=system\n# c\nScope=system\n" T,
	  "f.conf:4: 'Scope' is in line 2 already; keep one of the two" },
	{ "bad interface", "[Tunnel]\nInterface=a/b\n",
	  "f.conf:2: 'a/b' is not an interface name; write 1 to 15 characters without spaces, "
	  "quotes, '/', ':' and '*'" },
	{ "interface lo", "[Tunnel]\nInterface=lo\n",
	  "f.conf:2: 'lo' is the loopback interface; it leads nowhere" },
	{ "interface twice", T "Interface=wg1\n",
	  "f.conf:3: 'Interface' is in line 2 already; keep one of the two" },
	{ "same interface twice", T "[Tunnel]\nInterface=wg1\n[Tunnel]\nInterface=wg0\n",
	  "f.conf:6: 'wg0' has a [Tunnel] in line 1; keep one of the two" },
	{ "bad kind", T "Kind=WireGuard\n",
	  "f.conf:3: 'WireGuard' is not a kind of interface; write what 'ip -d link' shows, such "
	  "as 'wireguard' or 'tun'" },
	{ "bad protocol", T "Protocol=udp\n",
	  "f.conf:3: 'udp' is no protocol of a tunnel; write 'wireguard' or 'any'" },
	{ "endpoint without port", T "Endpoint=192.0.2.1\n",
	  "f.conf:3: '192.0.2.1' is not an endpoint; write HOST:PORT or [IPv6]:PORT" },
	{ "endpoint with bad protocol", T "Endpoint=sctp 192.0.2.1:1\n",
	  "f.conf:3: 'sctp 192.0.2.1:1' is not an endpoint; write [udp|tcp] HOST:PORT" },
	{ "endpoint protocol alone", T "Endpoint=udp\n",
	  "f.conf:3: 'udp' is not an endpoint; write [udp|tcp] HOST:PORT" },
	{ "endpoint of three words", T "Endpoint=udp 192.0.2.1:1 eth0\n",
	  "f.conf:3: 'udp 192.0.2.1:1 eth0' is not an endpoint; write [udp|tcp] HOST:PORT" },
	{ "endpoint never", T "Endpoint=udp 127.0.0.1:1\n",
	  "f.conf:3: '127.0.0.1' can never be an endpoint: it is this machine itself; name where "
	  "the relay on it sends to" },
	{ "endpoint tcp for WireGuard", T "Endpoint=tcp 192.0.2.1:1\n",
	  "f.conf:3: WireGuard speaks UDP only; write 'udp', or add Protocol=any if 'wg0' is no "
	  "WireGuard tunnel" },
	{ "endpoint tcp after others",
	  T "Endpoint=192.0.2.1:1\nEndpoint=tcp 192.0.2.1:1\n[Allow]\n",
	  "f.conf:4: WireGuard speaks UDP only; write 'udp', or add Protocol=any if 'wg0' is no "
	  "WireGuard tunnel" },
	{ "endpoint twice",
	  T "Endpoint=192.0.2.1:1\nEndpoint=192.0.2.2:1\nEndpoint=udp 192.0.2.1:1\n",
	  "f.conf:5: 'udp 192.0.2.1:1' is in line 3 already; remove one of the two" },
	{ "endpoint name twice", T "Endpoint=vpn.example:1\nEndpoint=VPN.example.:1\n",
	  "f.conf:4: 'VPN.example.:1' is in line 3 already; remove one of the two" },
	{ "no endpoint, not WireGuard", T "Kind=tun\nProtocol=any\n",
	  "f.conf:1: 'wg0' has no endpoint: nothing could ever connect; add Endpoint=" },
	{ "WireGuardConfig relative", T "WireGuardConfig=a/b.conf\n",
	  "f.conf:3: 'a/b.conf' is neither an absolute path nor the name of a file in ''" },
	{ "WireGuardConfig missing", T "WireGuardConfig=none\n",
	  "f.conf:3: cannot read '/none.conf': No such file or directory" },
	{ "WireGuardConfig bad", T "WireGuardConfig=bad.conf\nKind=tun\n",
	  "f.conf:3: /bad.conf:2: ListenPort 'x' is not a port; write 1 to 65535" },
	{ "ListenPort contradicts", T "ListenPort=1\nWireGuardConfig=wg0\n",
	  "f.conf:3: ListenPort=1 contradicts '/wg0.conf', where it is 51820; remove the line" },
	{ "FwMark contradicts", T "WireGuardConfig=wg0\nFwMark=1\n",
	  "f.conf:4: FwMark=0x1 contradicts '/wg0.conf', where it is 0xca6c; remove the line" },
	{ "bad ListenPort", T "ListenPort=0\n", "f.conf:3: '0' is not a port; write 1 to 65535" },
	{ "big ListenPort", T "ListenPort=65536\n",
	  "f.conf:3: '65536' is not a port; write 1 to 65535" },
	{ "zero FwMark", T "FwMark=0x0\n",
	  "f.conf:3: '0x0' is the mark of unmarked packets; remove the line if there is no mark" },
	{ "bad FwMark", T "FwMark=off\n",
	  "f.conf:3: 'off' is not a mark; write a number below 2^32, decimal or 0x..." },
	{ "bad uplink", T "Uplink=eth*\n",
	  "f.conf:3: 'eth*' is not an interface name; write 1 to 15 characters without spaces, "
	  "quotes, '/', ':' and '*'" },
	{ "uplink is the tunnel", T "Uplink=wg0\n",
	  "f.conf:3: 'wg0' cannot be its own uplink; name the interface its outer packets leave "
	  "by" },
	{ "uplink is the tunnel, other order", "[Tunnel]\nUplink=wg0\nInterface=wg0\n",
	  "f.conf:2: 'wg0' cannot be its own uplink; name the interface its outer packets leave "
	  "by" },
	{ "keys of an earlier tunnel do not count",
	  "[Tunnel]\nInterface=wg0\nKind=tun\n[Tunnel]\nKind=tun\nInterface=wg1\nKind=tun\n",
	  "f.conf:7: 'Kind' is in line 5 already; keep one of the two" },
	{ "LAN bad", T "[Allow]\nLAN=maybe\n",
	  "f.conf:4: 'maybe' is neither 'no', 'yes' nor a prefix" },
	{ "LAN public", T "[Allow]\nLAN=10.0.0.0/8 192.0.2.0/24\n",
	  "f.conf:4: '192.0.2.0/24' is not a private range, and a hostile network chooses its own "
	  "prefix; use Destination= for a public one" },
	{ "LAN mixed", T "[Allow]\nLAN=10.0.0.0/8 yes\n",
	  "f.conf:4: 'yes' stands alone; write 'no', 'yes' or prefixes" },
	{ "LAN yes and prefix", T "[Allow]\nLAN=yes 10.0.0.0/8\n",
	  "f.conf:4: 'yes' stands alone; write 'no', 'yes' or prefixes" },
	{ "LAN prefix twice", T "[Allow]\nLAN=10.0.0.0/8 10.0.0.0/8\n",
	  "f.conf:4: '10.0.0.0/8' is said twice; remove one of the two" },
	{ "LAN twice", T "[Allow]\nLAN=no\nLAN=yes\n",
	  "f.conf:5: 'LAN' is in line 4 already; keep one of the two" },
	{ "DHCP bad", T "[Allow]\nDHCP=maybe\n", "f.conf:4: 'maybe' is neither 'yes' nor 'no'" },
	{ "way in bad", T "[Allow]\nInbound=no\n",
	  "f.conf:4: 'no' is not what can be done with what comes in; write 'drop' or 'accept'" },
	{ "way in twice", T "[Allow]\nInbound=drop\nInbound=accept\n",
	  "f.conf:5: 'Inbound' is in line 4 already; keep one of the two" },
	{ "way in of a cgroup", "[Allow]\nInbound=drop\n" T "[Fence]\nCgroup=a.slice\n",
	  "f.conf:2: Inbound=drop does not go with a cgroup: what comes in is not yet anybody's "
	  "where it could be dropped; remove the line, or use Scope=system" },
	{ "name server bad", "[Fence]\nBootstrapDNS=dns.example\n" T,
	  "f.conf:2: 'dns.example' is not the address of a name server; write ADDRESS, IPv4:PORT or "
	  "[IPv6]:PORT, and no name: nobody could resolve it" },
	{ "name server twice", "[Fence]\nBootstrapDNS=9.9.9.9\nBootstrapDNS=1.1.1.1\n" T,
	  "f.conf:3: 'BootstrapDNS' is in line 2 already; keep one of the two" },
	{ "name server of a cgroup", "[Fence]\nBootstrapDNS=9.9.9.9\nCgroup=a.slice\n" T,
	  "f.conf:2: BootstrapDNS= does not go with a cgroup: tunfence is not in it, and asks the "
	  "machine's resolver; remove the line, or use Scope=system" },
	{ "inbound bad", T "[Allow]\nInboundTCP=22 ssh\n",
	  "f.conf:4: 'ssh' is not a port or a range of ports; write 1 to 65535, or FROM-TO" },
	{ "inbound twice", T "[Allow]\nInboundTCP=22\nInboundTCP=80 22\n",
	  "f.conf:5: port 22 is in line 4 already; say each port once" },
	{ "inbound overlap", T "[Allow]\nInboundUDP=8000-8100\nInboundUDP=8100\n",
	  "f.conf:5: port 8100 is in line 4 already; say each port once" },
	{ "inbound overlap in line", T "[Allow]\nInboundUDP=8000 7000-9000\n",
	  "f.conf:4: port 8000 is in line 4 already; say each port once" },
	{ "inside all", T "[Allow]\nInside=docker0 *\n",
	  "f.conf:4: '*' would open every interface; name those whose far side is trusted, such "
	  "as 'docker0' or 'br-*'" },
	{ "inside lo", T "[Allow]\nInside=lo\n",
	  "f.conf:4: 'lo' matches 'lo', which is always allowed; write a pattern that does not" },
	{ "inside matches lo", T "[Allow]\nInside=l*\n",
	  "f.conf:4: 'l*' matches 'lo', which is always allowed; write a pattern that does not" },
	{ "inside twice", T "[Allow]\nInside=a b\nInside=c a\n",
	  "f.conf:5: 'a' is in line 4 already; say each pattern once" },
	{ "inside is tunnel", T "[Allow]\nInside=a wg0\n",
	  "f.conf:4: 'wg0' matches the tunnel 'wg0', which is not inside; write a pattern that "
	  "does not" },
	{ "inside matches tunnel, other order", "[Allow]\nInside=a b\nInside=w*\n" T,
	  "f.conf:3: 'w*' matches the tunnel 'wg0', which is not inside; write a pattern that "
	  "does not" },
	{ "inside matches uplink", T "Uplink=eth0\n[Allow]\nInside=eth*\n",
	  "f.conf:5: 'eth*' matches the uplink 'eth0', which is not inside; write a pattern that "
	  "does not" },
	{ "inside matches uplink of a rule",
	  T "[Allow]\nDestination=192.0.2.1 uplink eth0\nInside=eth0\n",
	  "f.conf:5: 'eth0' matches the uplink 'eth0', which is not inside; write a pattern that "
	  "does not" },
	{ "destination bad", T "[Allow]\nDestination=192.0.2.1/24\n",
	  "f.conf:4: '192.0.2.1/24' has bits set after its length; did you mean '192.0.2.0/24'?" },
	{ "destination twice",
	  T "[Allow]\nDestination=192.0.2.1\nDestination=192.0.2.2\nDestination=any 192.0.2.1/32\n",
	  "f.conf:6: the same destination is in line 4 already; remove one of the two" },
	{ "earlier error wins", T "[Allow]\nLAN=x\nDHCP=x\n",
	  "f.conf:4: 'x' is neither 'no', 'yes' nor a prefix" },
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct config untouched, *c = &untouched;
		struct err e = { 0 };
		int r = parse(errors[i].text, strlen(errors[i].text), &c, &e);

		hide_dir(e.text);
		if (r >= 0 || strcmp(e.text, errors[i].error))
			print_message("case '%s'\n", errors[i].name);
		assert_string_equal(e.text, errors[i].error);
		assert_true(r < 0);
		assert_int_equal(e.code, r);
		assert_ptr_equal(c, &untouched);
		assert_int_equal(parse(errors[i].text, strlen(errors[i].text), &c, NULL), r);
	}
}

/* What was read, in words: one item a line. */
static void dump_tunnel(FILE *out, const struct config_tunnel *t)
{
	char buf[ADDR_TEXT_LEN];

	fprintf(out, "tunnel %s line %u", t->interface.text, t->line);
	if (t->kind.text[0])
		fprintf(out, " kind %s", t->kind.text);
	if (t->any_protocol)
		fprintf(out, " any");
	if (t->wireguard_config)
		fprintf(out, " from %s", t->wireguard_config);
	if (t->listen_port)
		fprintf(out, " port %u", t->listen_port);
	if (t->mark)
		fprintf(out, " mark %#x", t->mark);
	if (t->uplink.text[0])
		fprintf(out, " uplink %s", t->uplink.text);
	fprintf(out, "\n");
	for (size_t i = 0; i < t->endpoint_count; i++) {
		const struct config_endpoint *p = &t->endpoints[i];

		fprintf(out, "endpoint %u %s line %u\n", p->protocol,
			p->literal ? addr_port_format(&p->addr, tf_htons(p->port), buf) : p->host,
			p->line);
	}
}

static void dump_allow(FILE *out, const struct config *c)
{
	char buf[ADDR_TEXT_LEN];

	for (size_t i = 0; i < c->lan_count; i++)
		fprintf(out, "lan %s\n", prefix_format(&c->lan[i], buf));
	for (size_t i = 0; i < c->inbound_count; i++)
		fprintf(out, "inbound %u %u-%u\n", c->inbound[i].protocol, c->inbound[i].from,
			c->inbound[i].to);
	for (size_t i = 0; i < c->inside_count; i++)
		fprintf(out, "inside %.16s %u\n", c->inside[i].name, c->inside[i].bits);
	for (size_t i = 0; i < c->destination_count; i++) {
		const struct config_destination *d = &c->destinations[i];

		fprintf(out, "destination %s %d %u-%u %s line %u\n", prefix_format(&d->prefix, buf),
			d->any_protocol ? -1 : d->protocol, d->from, d->to, d->uplink.text,
			d->line);
	}
}

static void dump_exempt(FILE *out, const struct config_exempt *x)
{
	if (!x->any)
		return;
	fprintf(out, "exempt");
	for (size_t i = 0; i < x->group_count; i++)
		fprintf(out, " %s%s", x->groups[i].unit ? "unit " : "",
			x->groups[i].unit ? x->groups[i].unit : x->groups[i].cgroup);
	fprintf(out, "%s", x->names ? " names" : "");
	if (x->mark)
		fprintf(out, " mark %u", x->mark);
	for (size_t i = 0; i < x->user_count; i++)
		fprintf(out, "%s%s", i ? " " : " users ", x->users[i]);
	fprintf(out, "\n");
}

static void dump(const struct config *c, char *text, size_t size)
{
	_cleanup_fclose_ FILE *out = fmemopen(text, size, "w");

	assert_non_null(out);
	fprintf(out, "%s %s %s", c->name, c->path ? c->path : "-", c->origin);
	if (c->scope == TF_SCOPE_SYSTEM)
		fprintf(out, " system");
	else if (!c->group_count)
		fprintf(out, " own");
	for (size_t i = 0; i < c->group_count; i++)
		fprintf(out, " %s%s", c->groups[i].unit ? "unit " : "",
			c->groups[i].unit ? c->groups[i].unit : c->groups[i].cgroup);
	fprintf(out, " %s%s\n", c->mode == TF_MODE_OBSERVE ? "observe" : "enforce",
		c->dhcp ? " dhcp" : "");
	if (c->inbound_accept)
		fprintf(out, "accepts\n");
	for (size_t i = 0; i < c->tunnel_count; i++)
		dump_tunnel(out, &c->tunnels[i]);
	dump_allow(out, c);
	dump_exempt(out, &c->exempt);
}

#define HEAD "fence f.conf tunfence.conf "
#define DEFAULT HEAD "system enforce dhcp\n"

static const struct {
	const char *name, *text, *dump;
} good[] = {
	{ "shortest", T, DEFAULT "tunnel wg0 line 1\n" },
	{ "no newline at the end", "[Tunnel]\nInterface=wg0", DEFAULT "tunnel wg0 line 1\n" },
	{ "CRLF", "[Tunnel]\r\nInterface=wg0\r\n[Allow]\r\nLAN=no\r\n",
	  DEFAULT "tunnel wg0 line 1\n" },
	{ "CR at the end", "[Tunnel]\r\nInterface=wg0\r", DEFAULT "tunnel wg0 line 1\n" },
	{ "byte order mark",
	  "\xef\xbb\xbf"
	  "[Tunnel]\nInterface=wg0\n",
	  DEFAULT "tunnel wg0 line 1\n" },
	{ "byte order mark and comment",
	  "\xef\xbb\xbf"
	  "# a\n" T,
	  DEFAULT "tunnel wg0 line 2\n" },
	{ "blanks everywhere", "  \t[Tunnel]  \n\t Interface \t=  wg0\t\n\n   \n",
	  DEFAULT "tunnel wg0 line 1\n" },
	{ "indented after a key", T "  Kind=tun\n\tFwMark=1\n",
	  DEFAULT "tunnel wg0 line 1 kind tun mark 0x1\n" },
	{ "comments", "# a\n; b\n[Tunnel] # c\nInterface=wg0 ; d\nKind=tun\t# e = f\n  # g\n",
	  DEFAULT "tunnel wg0 line 3 kind tun\n" },
	{ "hash without blank is text", "[Fence]\nCgroup=a#b;c\n" T,
	  HEAD "a#b;c enforce dhcp\ntunnel wg0 line 3\n" },
	{ "empty sections", "[Fence]\n[Allow]\n" T, DEFAULT "tunnel wg0 line 3\n" },
	{ "every default said",
	  "[Fence]\nScope=system\nMode=enforce\n" T
	  "Protocol=wireguard\n[Allow]\nLAN=no\nDHCP=yes\nInbound=drop\n",
	  DEFAULT "tunnel wg0 line 4\n" },
	{ "observe a cgroup", "[Fence]\nMode=observe\nCgroup=system.slice/a-b.service\n" T,
	  HEAD "system.slice/a-b.service observe dhcp\ntunnel wg0 line 4\n" },
	{ "cgroups and units", "[Fence]\nUnit=a@b.service c.slice\nCgroup= d\t/e \nUnit=f.scope\n" T,
	  HEAD "unit a@b.service unit c.slice d /e unit f.scope enforce dhcp\ntunnel wg0 line 5\n" },
	{ "exempt by itself", T "[Exempt]\n", DEFAULT "tunnel wg0 line 1\nexempt\n" },
	{ "exempt", "[Exempt]\nUnit=a@b.service c.slice\nMark=0x17\nCgroup=/d e\nDNS=uplink\n"
	  "Users=alice 1000 b.c-d_e\n" T,
	  DEFAULT "tunnel wg0 line 7\nexempt unit a@b.service unit c.slice /d e names mark 23 users alice 1000 "
	  "b.c-d_e\n" },
	{ "exempt, names by the tunnel", T "[Exempt]\nDNS=tunnel\n",
	  DEFAULT "tunnel wg0 line 1\nexempt\n" },
	{ "a unit and a cgroup of one name", "[Fence]\nUnit=a.slice\nCgroup=a.slice\n" T,
	  HEAD "unit a.slice a.slice enforce dhcp\ntunnel wg0 line 4\n" },
	{ "scope without cgroup", "[Fence]\nScope=cgroup\n" T,
	  HEAD "own enforce dhcp\ntunnel wg0 line 3\n" },
	{ "scope and cgroup", "[Fence]\nScope=cgroup\nCgroup=/sys/fs/cgroup/a\n" T,
	  HEAD "/sys/fs/cgroup/a enforce dhcp\ntunnel wg0 line 4\n" },
	{ "a whole tunnel",
	  T
	  "Kind=tun\nProtocol=any\nEndpoint=192.0.2.1:1\nEndpoint=tcp 192.0.2.1:1\nEndpoint=udp "
	  "[2001:db8::1]:51820\nEndpoint=tcp\t vpn.example:443\nListenPort=51821\nFwMark=0xca6c\n"
	  "Uplink=eth0\n",
	  DEFAULT
	  "tunnel wg0 line 1 kind tun any port 51821 mark 0xca6c uplink eth0\nendpoint 17 "
	  "192.0.2.1:1 line 5\nendpoint 6 192.0.2.1:1 line 6\nendpoint 17 [2001:db8::1]:51820 "
	  "line 7\nendpoint 6 vpn.example line 8\n" },
	{ "tcp before Protocol", T "Endpoint=tcp 192.0.2.1:1\nProtocol=any\n",
	  DEFAULT "tunnel wg0 line 1 any\nendpoint 6 192.0.2.1:1 line 3\n" },
	{ "two tunnels",
	  T
	  "Endpoint=192.0.2.1:1\nKind=tun\n[Allow]\n[Tunnel]\nInterface=wg1\n"
	  "Endpoint=192.0.2.1:1\nKind=wireguard\n",
	  DEFAULT
	  "tunnel wg0 line 1 kind tun\nendpoint 17 192.0.2.1:1 line 3\ntunnel wg1 line 6 kind "
	  "wireguard\nendpoint 17 192.0.2.1:1 line 8\n" },
	{ "no endpoint, kind unknown", T "Protocol=any\n", DEFAULT "tunnel wg0 line 1 any\n" },
	{ "no endpoint, WireGuard in user space", T "Kind=tun\n",
	  DEFAULT "tunnel wg0 line 1 kind tun\n" },
	{ "WireGuardConfig by name", T "WireGuardConfig=wg0\n",
	  DEFAULT
	  "tunnel wg0 line 1 from /wg0.conf port 51820 mark 0xca6c\nendpoint 17 203.0.113.7:51820 "
	  "line 6\n" },
	{ "WireGuardConfig by file name", T "WireGuardConfig=wg0.conf\n",
	  DEFAULT
	  "tunnel wg0 line 1 from /wg0.conf port 51820 mark 0xca6c\nendpoint 17 203.0.113.7:51820 "
	  "line 6\n" },
	{ "WireGuardConfig says the same",
	  T
	  "ListenPort=51820\nFwMark=51820\nWireGuardConfig=wg0\nEndpoint=203.0.113.7:51820\n"
	  "Endpoint=203.0.113.7:51821\n",
	  DEFAULT
	  "tunnel wg0 line 1 from /wg0.conf port 51820 mark 0xca6c\nendpoint 17 203.0.113.7:51820 "
	  "line 6\nendpoint 17 203.0.113.7:51821 line 7\n" },
	{ "WireGuardConfig for Protocol=any", T "WireGuardConfig=wg0\nProtocol=any\nKind=tun\n",
	  DEFAULT
	  "tunnel wg0 line 1 kind tun any from /wg0.conf port 51820 mark 0xca6c\nendpoint 17 "
	  "203.0.113.7:51820 line 6\n" },
	{ "LAN yes", T "[Allow]\nLAN=yes\n",
	  DEFAULT
	  "tunnel wg0 line 1\nlan 10.0.0.0/8\nlan 172.16.0.0/12\nlan 192.168.0.0/16\nlan "
	  "169.254.0.0/16\nlan fe80::/10\nlan fc00::/7\n" },
	{ "LAN prefixes", T "[Allow]\nLAN=192.168.1.0/24\t10.0.0.0/8  fe80::/10\n",
	  DEFAULT "tunnel wg0 line 1\nlan 192.168.1.0/24\nlan 10.0.0.0/8\nlan fe80::/10\n" },
	{ "DHCP no", T "[Allow]\nDHCP=no\n", HEAD "system enforce\ntunnel wg0 line 1\n" },
	{ "way in open", T "[Allow]\nInbound=accept\nInboundTCP=22\n",
	  DEFAULT "accepts\ntunnel wg0 line 1\ninbound 6 22-22\n" },
	{ "way in of a cgroup said", "[Fence]\nCgroup=a.slice\n" T "[Allow]\nInbound=accept\n",
	  HEAD "a.slice enforce dhcp\naccepts\ntunnel wg0 line 3\n" },
	{ "inbound", T "[Allow]\nInboundTCP=22 8000-8100\nInboundUDP=22\nInboundTCP=443\n",
	  DEFAULT
	  "tunnel wg0 line 1\ninbound 6 22-22\ninbound 6 8000-8100\ninbound 17 22-22\ninbound 6 "
	  "443-443\n" },
	{ "inside", "[Allow]\nInside=docker0 br-*\nInside=veth*\n" T,
	  DEFAULT "tunnel wg0 line 4\ninside docker0 64\ninside br- 24\ninside veth 32\n" },
	{ "inside begins like a tunnel", T "[Allow]\nInside=wg wg1* wg00\n",
	  DEFAULT "tunnel wg0 line 1\ninside wg 24\ninside wg1 24\ninside wg00 40\n" },
	{ "destinations",
	  T
	  "[Allow]\nDestination=udp 192.0.2.123 port 123\nDestination=2001:db8::/32 uplink eth0\n"
	  "Destination=icmp 2001:db8::/32\nDestination=udp 192.0.2.123\nDestination=tcp "
	  "192.0.2.123 port 123\n",
	  DEFAULT
	  "tunnel wg0 line 1\ndestination 192.0.2.123/32 17 123-123  line 4\ndestination "
	  "2001:db8::/32 -1 0-65535 eth0 line 5\ndestination 2001:db8::/32 58 0-65535  line 6\n"
	  "destination 192.0.2.123/32 17 0-65535  line 7\ndestination 192.0.2.123/32 6 123-123  "
	  "line 8\n" },
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_config_ struct config *c = NULL;
		char said[4096] = "";
		struct err e = { 0 };
		int r = parse(good[i].text, strlen(good[i].text), &c, &e);

		if (r < 0)
			print_message("case '%s'\n", good[i].name);
		assert_string_equal(e.text, "");
		assert_int_equal(r, 0);
		dump(c, said, sizeof(said));
		hide_dir(said);
		if (strcmp(said, good[i].dump))
			print_message("case '%s'\n", good[i].name);
		assert_string_equal(said, good[i].dump);
	}
}

/* A NUL byte ends no line in silence, wherever it is. */
static void test_nul(void **state)
{
	static const char text[] = T "[Allow]\nLAN=no\0 yes\n";
	static const char comment[] = T "#\0\n";
	struct config untouched, *c = &untouched;
	struct err e;

	(void)state;
	assert_int_equal(parse(text, sizeof(text) - 1, &c, &e), -EINVAL);
	assert_string_equal(e.text,
			    "f.conf:4: there is a control character (byte 0x00) in the line; "
			    "remove it");
	assert_int_equal(parse(comment, sizeof(comment) - 1, &c, &e), -EINVAL);
	assert_string_equal(e.text,
			    "f.conf:3: there is a control character (byte 0x00) in the line; "
			    "remove it");
	assert_ptr_equal(c, &untouched);
}

/* The longest line is read whole, one more character is an error; nothing in between. */
static void test_long_lines(void **state)
{
	static const char prefix[] = T "[Allow]\nInside=a\n#";
	char text[4096];
	struct config *c = NULL;
	struct err e;

	(void)state;
	for (size_t length = 190; length < 2000; length++) {
		size_t size = sizeof(prefix) - 1 + length - 1;

		memset(text, 'x', sizeof(text));
		memcpy(text, prefix, sizeof(prefix) - 1);
		strcpy(text + size, "\nInside=b\n");
		if (parse(text, strlen(text), &c, &e) < 0) {
			assert_true(length > 1024);
			assert_string_equal(e.text, "f.conf:5: the line is longer than 1024 "
						    "characters; make several of it, or a shorter "
						    "comment");
			continue;
		}
		assert_true(length <= 1024);
		assert_int_equal(c->inside_count, 2);
		config_free(c);
	}
}

/* A value of any length up to the line's arrives whole. */
static void test_long_values(void **state)
{
	char text[4096] = T "Endpoint=";
	struct config *c = NULL;
	size_t start = strlen(text);
	struct err e;

	(void)state;
	for (size_t length = 1; length <= 253; length++) {
		memset(text + start, 'a', length);
		for (size_t i = 60; i + 1 < length; i += 60)
			text[start + i] = '.';
		strcpy(text + start + length, ":51820\n");
		assert_int_equal(parse(text, strlen(text), &c, &e), 0);
		assert_int_equal(strlen(c->tunnels[0].endpoints[0].host), length);
		config_free(c);
	}
}

/* Of our own: others use this machine too. */
static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* head, and line(0) to line(count - 1). */
static char *repeat(const char *head, size_t count, void (*line)(FILE *out, size_t i))
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	fputs(head, out);
	for (size_t i = 0; i < count; i++)
		line(out, i);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void destination_line(FILE *out, size_t i)
{
	fprintf(out, "Destination=udp 10.%zu.%zu.0/24 port 123\n", i / 256 % 256, i % 256);
}

static void many_destinations_line(FILE *out, size_t i)
{
	fprintf(out, "Destination=udp 10.%zu.%zu.%zu port 123\n", i >> 16, i >> 8 & 255, i & 255);
}

static void test_most_destinations(void **state)
{
	_cleanup_free_ char *text = repeat(T "[Allow]\n", TF_MAX_DESTINATIONS, destination_line);
	_cleanup_free_ char *more =
		repeat(T "[Allow]\n", TF_MAX_DESTINATIONS + 1, many_destinations_line);
	double before = seconds();
	struct config *c = NULL;
	struct err e;

	(void)state;
	assert_int_equal(parse(text, strlen(text), &c, &e), 0);
	assert_true(seconds() - before < 5); /* with sanitizers; a quadratic search takes minutes */
	assert_int_equal(c->destination_count, TF_MAX_DESTINATIONS);
	for (size_t i = 0; i < c->destination_count; i++)
		assert_int_equal(c->destinations[i].line, i + 4);
	config_free(c);

	assert_int_equal(parse(more, strlen(more), &c, &e), -E2BIG);
	assert_string_equal(e.text,
			    "f.conf:65540: more than 65536 destinations; use shorter prefixes");
}

/* Of many repeated lines the first repetition is named, with what it repeats. */
static void test_repeated_destination(void **state)
{
	_cleanup_free_ char *text = repeat(T "[Allow]\n", 1000, destination_line);
	_cleanup_free_ char *twice = NULL;
	struct config *c = NULL;
	struct err e;

	(void)state;
	assert_true(asprintf(&twice, "%s%s%s%s", text, "Destination=udp 10.0.9.0/24 port 123\n",
			     "Destination=udp 10.0.5.0/24 port 123\n",
			     "Destination=udp 10.0.9.0/24 port 123-123\n") > 0);
	assert_int_equal(parse(twice, strlen(twice), &c, &e), -EEXIST);
	assert_string_equal(e.text,
			    "f.conf:1004: the same destination is in line 13 already; remove "
			    "one of the two");
}

static void inside_line(FILE *out, size_t i)
{
	fprintf(out, "Inside=if%zu if%zu\n", 2 * i, 2 * i + 1);
}

static void endpoint_line(FILE *out, size_t i)
{
	fprintf(out, "Endpoint=192.0.%zu.%zu:51820\n", i / 256, i % 256);
}

static void tunnel_line(FILE *out, size_t i)
{
	fprintf(out, "[Tunnel]\nInterface=wg%zu\n", i);
}

static void port_line(FILE *out, size_t i)
{
	fprintf(out, "InboundTCP=%zu\nInboundUDP=%zu\n", i + 1, i + 1);
}

static void group_line(FILE *out, size_t i)
{
	fprintf(out, i % 2 ? "Unit=a%zu.slice\n" : "Cgroup=a%zu\n", i);
}

static void service_line(FILE *out, size_t i)
{
	fprintf(out, i % 2 ? "Unit=a%zu.service\n" : "Cgroup=a%zu\n", i);
}

static void lan_word(FILE *out, size_t i)
{
	fprintf(out, " 10.%zu.0.0/16", i);
}

/* As many as may be, then one more. */
static void test_limits(void **state)
{
	static const struct {
		const char *head;
		void (*line)(FILE *out, size_t i);
		size_t most;
		const char *error; /* NULL: more cannot be said */
	} limits[] = {
		{ T "[Allow]\n", inside_line, TF_MAX_INSIDE / 2,
		  "f.conf:132: more than 256 patterns; use shorter ones with '*'" },
		{ T, endpoint_line, TF_MAX_ENDPOINTS,
		  "f.conf:1027: more than 1024 endpoints; split the fence" },
		{ "", tunnel_line, TF_MAX_TUNNELS,
		  "f.conf:33: more than 16 tunnels; split the fence" },
		{ T "[Fence]\n", group_line, TF_MAX_GROUPS,
		  "f.conf:20: more than 16 groups; name a slice that holds several of them, or make a "
		  "second fence" },
		{ T "[Fence]\n", service_line, TF_MAX_GROUPS - 1,
		  "f.conf:19: more than 16 groups, with the slice in which services are started; name "
		  "a slice that holds several of them, or make a second fence" },
		{ T "[Allow]\nLAN=", lan_word, 16,
		  "f.conf:4: more than 16 prefixes; use shorter ones" },
		{ T "[Allow]\n", port_line, 65535,
		  "f.conf:131074: '65536' is not a port or a range of ports; write 1 to 65535, or "
		  "FROM-TO" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		_cleanup_free_ char *most = repeat(limits[i].head, limits[i].most, limits[i].line);
		_cleanup_free_ char *more =
			repeat(limits[i].head, limits[i].most + 1, limits[i].line);
		struct config *c = NULL;
		struct err e = { 0 };

		assert_int_equal(parse(most, strlen(most), &c, &e), 0);
		config_free(c);
		assert_true(parse(more, strlen(more), &c, &e) < 0);
		assert_string_equal(e.text, limits[i].error);
	}
}

/* The limit counts all tunnels, and the endpoints of a WireGuardConfig= with them. */
static void test_endpoint_limit_of_all(void **state)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *endpoints = repeat("", TF_MAX_ENDPOINTS, endpoint_line);
	struct config *c = NULL;
	struct err e;

	(void)state;
	assert_true(asprintf(&text, "%s%s[Tunnel]\nInterface=wg1\nWireGuardConfig=wg0\n", T,
			     endpoints) > 0);
	assert_int_equal(parse(text, strlen(text), &c, &e), -E2BIG);
	assert_string_equal(e.text, "f.conf:1029: more than 1024 endpoints; split the fence");
}

static void test_size_limit(void **state)
{
	size_t size = 16 * 1024 * 1024;
	_cleanup_free_ char *text = malloc(size + 1);
	struct config *c = NULL;
	struct err e;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', size + 1);
	memcpy(text, T, strlen(T));
	assert_int_equal(parse(text, size, &c, &e), 0);
	config_free(c);
	assert_int_equal(parse(text, size + 1, &c, &e), -EFBIG);
	assert_non_null(strstr(e.text, ": the file is larger than 16 MiB; use shorter prefixes"));
}

static void test_names(void **state)
{
	static const char *const good_names[] = {
		"a",
		"wg0",
		"Ab_c@d-e",
		"0",
		"_",
		"@",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	static const char *const bad_names[] = {
		"",
		".",
		"..",
		".a",
		"-a",
		"a.b",
		"a/b",
		"a b",
		"a\n",
		"\xc3\xa9",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct config *c = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good_names); i++)
		assert_int_equal(config_check_name(good_names[i], &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++) {
		assert_int_equal(config_check_name(bad_names[i], &e), -EINVAL);
		assert_non_null(strstr(e.text,
				       "' is not a name for a fence; write 1 to 63 letters, "
				       "digits, '_', '@' and '-', the first being no '-' "
				       "(the BPF file system takes no '.')"));
		assert_int_equal(config_read("/dev/null", bad_names[i], dir, &c, &e), -EINVAL);
		assert_int_equal(config_from_interface(bad_names[i], &c, &e), -EINVAL);
	}
	assert_null(c);
}

static void test_read(void **state)
{
	_cleanup_config_ struct config *c = NULL;
	struct config *none = NULL;
	char path[256], missing[256], expected[1024];
	struct err e;

	(void)state;
	snprintf(path, sizeof(path), "%s/f.conf", dir);
	snprintf(missing, sizeof(missing), "%s/none.conf", dir);
	write_file("f.conf", T, strlen(T));

	assert_int_equal(config_read(path, "fence", dir, &c, &e), 0);
	assert_string_equal(c->path, path);
	assert_string_equal(c->tunnels[0].interface.text, "wg0");

	assert_int_equal(config_read(missing, "fence", dir, &none, &e), -ENOENT);
	snprintf(expected, sizeof(expected), "cannot read '%s': No such file or directory",
		 missing);
	assert_string_equal(e.text, expected);

	assert_int_equal(config_read(dir, "fence", dir, &none, &e), -EINVAL);
	snprintf(expected, sizeof(expected), "'%s' is not a regular file", dir);
	assert_string_equal(e.text, expected);
	assert_int_equal(config_read("/dev/zero", "fence", dir, &none, &e), -EINVAL);

	assert_int_equal(truncate(path, 16 * 1024 * 1024 + 1), 0);
	assert_int_equal(config_read(path, "fence", dir, &none, &e), -EFBIG);
	snprintf(expected, sizeof(expected), "'%s' is larger than 16 MiB; use shorter prefixes",
		 path);
	assert_string_equal(e.text, expected);
	assert_null(none);
}

/* Only root is told: others check files that are none of a running fence's. */
static void test_read_writable(void **state)
{
	static const mode_t modes[] = { 0620, 0602, 0666, 0664 };
	struct config *c = NULL;
	char path[256], expected[1024];
	struct err e;

	(void)state;
	snprintf(path, sizeof(path), "%s/f.conf", dir);
	snprintf(expected, sizeof(expected),
		 "'%s' can be written by others than its owner; run 'chmod go-w %s'", path, path);
	write_file("f.conf", T, strlen(T));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		if (geteuid() != 0) {
			assert_int_equal(config_read(path, "fence", dir, &c, &e), 0);
			config_free(c);
			continue;
		}
		assert_int_equal(config_read(path, "fence", dir, &c, &e), -EPERM);
		assert_string_equal(e.text, expected);
		assert_null(c);
	}
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(config_read(path, "fence", dir, &c, &e), 0);
	config_free(c);
}

static void test_read_error_names_line(void **state)
{
	struct config *c = NULL;
	char path[256], expected[1024];
	struct err e;

	(void)state;
	write_file("f.conf", T "x\n", strlen(T "x\n"));
	snprintf(path, sizeof(path), "%s/f.conf", dir);
	snprintf(expected, sizeof(expected), "%s:3: 'x' is not understood; write KEY=VALUE", path);
	assert_int_equal(config_read(path, "fence", dir, &c, &e), -EINVAL);
	assert_string_equal(e.text, expected);
	assert_null(c);
}

static void test_from_wireguard(void **state)
{
	_cleanup_config_ struct config *c = NULL;
	struct config *none = NULL;
	char path[256], said[1024], expected[1024];
	struct err e;

	(void)state;
	snprintf(path, sizeof(path), "%s/wg0.conf", dir);
	assert_int_equal(config_from_wireguard(path, "wg7", &c, &e), 0);
	dump(c, said, sizeof(said));
	snprintf(expected, sizeof(expected),
		 "wg7 %s WireGuard configuration system enforce dhcp\n"
		 "tunnel wg7 line 0 from %s port 51820 mark 0xca6c\n"
		 "endpoint 17 203.0.113.7:51820 line 6\n",
		 path, path);
	assert_string_equal(said, expected);

	snprintf(path, sizeof(path), "%s/bad.conf", dir);
	assert_int_equal(config_from_wireguard(path, "wg7", &none, &e), -EINVAL);
	snprintf(expected, sizeof(expected), "%s:2: ListenPort 'x' is not a port; write 1 to 65535",
		 path);
	assert_string_equal(e.text, expected);
	assert_int_equal(config_from_wireguard(path, "lo", &none, &e), -EINVAL);
	assert_string_equal(e.text, "'lo' is the loopback interface; it leads nowhere");
	assert_null(none);
}

static void test_from_interface(void **state)
{
	_cleanup_config_ struct config *c = NULL;
	struct config *none = NULL;
	char said[1024];
	struct err e;

	(void)state;
	assert_int_equal(config_from_interface("tailscale0", &c, &e), 0);
	dump(c, said, sizeof(said));
	assert_string_equal(said, "tailscale0 - live interface system enforce dhcp\n"
				  "tunnel tailscale0 line 0\n");
	assert_int_equal(config_from_interface("abcdefghijklmnop", &none, &e), -EINVAL);
	assert_int_equal(config_from_interface("lo", &none, &e), -EINVAL);
	assert_null(none);
	config_free(NULL);
}

static void test_key_table(void **state)
{
	(void)state;
	assert_true(config_key_count > 0);
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];

		assert_true(k->section[0] && k->name[0] && k->value[0] && k->summary[0]);
		for (size_t j = 0; j < i; j++) {
			/* Keys of a section stand together, and each once. */
			assert_false(streq(config_keys[j].name, k->name) &&
				     streq(config_keys[j].section, k->section));
			if (streq(config_keys[j].section, k->section))
				assert_string_equal(config_keys[i - 1].section, k->section);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_most_destinations),
		cmocka_unit_test(test_repeated_destination),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_endpoint_limit_of_all),
		cmocka_unit_test(test_size_limit),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_writable),
		cmocka_unit_test(test_read_error_names_line),
		cmocka_unit_test(test_from_wireguard),
		cmocka_unit_test(test_from_interface),
		cmocka_unit_test(test_key_table),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
