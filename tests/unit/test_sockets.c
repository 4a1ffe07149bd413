// SPDX-License-Identifier: GPL-2.0
/* Lines of /proc/net/tcp, tcp6, udp and udp6 as kernels print them, and as they never should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "sockets.h"
#include "util.h"

#define REST " 00000000:00000000 00:00000000 00000000     0        0 4026 1 0000000000000000\n"
#define V6(address, port) address ":" port " 00000000000000000000000000000000:0000"

static const struct {
	const char *line;
	__u8 protocol;
	__u16 port;
} lines[] = {
	{ "   0: 00000000:1F90 00000000:0000 0A" REST, IPPROTO_TCP, 8080 },
	{ "  10: 024DA8C0:0016 00000000:0000 0A" REST, IPPROTO_TCP, 22 },
	{ " 100: 00000000:FFFF 00000000:0000 0A" REST, IPPROTO_TCP, 65535 },
	{ "1234: 00000000:007B 00000000:0000 07" REST, IPPROTO_UDP, 123 },
	{ "   1: " V6("00000000000000000000000000000000", "0050") " 0A" REST, IPPROTO_TCP, 80 },
	{ "   1: " V6("0000000000000000FFFF0000024DA8C0", "0050") " 0A" REST, IPPROTO_TCP, 80 },
	/* Loopback. */
	{ "   0: 0100007F:1F90 00000000:0000 0A" REST, IPPROTO_TCP, 0 },
	{ "   0: 3500007F:0035 00000000:0000 07" REST, IPPROTO_UDP, 0 },
	{ "   1: " V6("00000000000000000000000001000000", "0050") " 0A" REST, IPPROTO_TCP, 0 },
	{ "   1: " V6("0000000000000000FFFF00000100007F", "0050") " 0A" REST, IPPROTO_TCP, 0 },
	/* No loopback, though it looks a little like one. */
	{ "   0: 7F000001:1F90 00000000:0000 0A" REST, IPPROTO_TCP, 8080 },
	{ "   1: " V6("00000000000000000000000002000000", "0050") " 0A" REST, IPPROTO_TCP, 80 },
	/* Not listening, or not to everybody. */
	{ "   0: 024DA8C0:8235 0100A8C0:01BB 01" REST, IPPROTO_TCP, 0 },
	{ "   0: 024DA8C0:8235 0100A8C0:01BB 06" REST, IPPROTO_TCP, 0 },
	{ "   0: 024DA8C0:8235 0100A8C0:0035 01" REST, IPPROTO_UDP, 0 },
	{ "   0: 024DA8C0:8235 0100A8C0:0035 07" REST, IPPROTO_UDP, 0 },
	{ "   0: 00000000:1F90 00000000:0000 07" REST, IPPROTO_TCP, 0 },
	{ "   0: 00000000:1F90 00000000:0000 0A" REST, IPPROTO_UDP, 0 },
	/* No sockets. */
	{ "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt", IPPROTO_TCP,
	  0 },
	{ "", IPPROTO_TCP, 0 },
	{ "   0: 00000000:1F90", IPPROTO_TCP, 0 },
	{ "   0: 00000000:1F90 00000000:0000", IPPROTO_TCP, 0 },
	{ "   0: 0000000x:1F90 00000000:0000 0A" REST, IPPROTO_TCP, 0 },
};

static void a_line_gives_its_port(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		__u16 port = socket_port_parse(lines[i].line, lines[i].protocol);

		if (port != lines[i].port)
			fail_msg("'%s': %u instead of %u", lines[i].line, port, lines[i].port);
	}
}

static void ports_are_in_order_and_each_once(void **state)
{
	struct socket_ports ports;

	(void)state;
	assert_int_equal(sockets_find_open(IPPROTO_TCP, &ports, NULL), 0);
	for (size_t i = 1; i < ports.count && i < SOCKETS_MAX_LISTED; i++)
		assert_true(ports.list[i - 1] < ports.list[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_gives_its_port),
		cmocka_unit_test(ports_are_in_order_and_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
