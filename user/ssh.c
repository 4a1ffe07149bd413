// SPDX-License-Identifier: GPL-2.0
/* The caller's SSH session: see ssh.h. Asks the verdict itself, so it cannot be wrong about it. */
#include "ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "fence.h"
#include "native.h"
#include "probe.h"
#include "util.h"

#define VARIABLE "SSH_CONNECTION="
#define MAX_ANCESTORS 64
#define MAX_ENVIRON (1 << 20)

bool ssh_parse(const char *text, struct ssh_session *ret)
{
	char client[64], server[64], cport[8], sport[8];
	struct ssh_session s;
	__u32 from, to;

	if (sscanf(text, "%63s %7s %63s %7s", client, cport, server, sport) != 4)
		return false;
	/* A link-local address comes with its scope, which says nothing to a policy. */
	client[strcspn(client, "%")] = '\0';
	server[strcspn(server, "%")] = '\0';
	if (addr_parse(client, &s.client, NULL) || addr_parse(server, &s.server, NULL) ||
	    parse_u32(cport, 1, 65535, &from) || parse_u32(sport, 1, 65535, &to))
		return false;
	s.client_port = (__u16)from;
	s.server_port = (__u16)to;
	*ret = s;
	return true;
}

/* Looks for the variable in NUL-separated text of bytes; text[bytes] is NUL. */
static bool find_variable(const char *text, size_t bytes, struct ssh_session *ret)
{
	const char *at = text, *end = text + bytes;

	for (; at < end; at += strlen(at) + 1) {
		if (strncmp(at, VARIABLE, strlen(VARIABLE)) == 0)
			return ssh_parse(at + strlen(VARIABLE), ret);
	}
	return false;
}

static bool find_in_process(long pid, struct ssh_session *ret)
{
	_cleanup_free_ char *text = malloc(MAX_ENVIRON + 1);
	_cleanup_fclose_ FILE *f = NULL;
	char path[64];
	size_t bytes;

	snprintf(path, sizeof(path), "/proc/%ld/environ", pid);
	f = fopen(path, "re");
	if (!f || !text)
		return false;
	bytes = fread(text, 1, MAX_ENVIRON, f);
	text[bytes] = '\0';
	return find_variable(text, bytes, ret);
}

/* Field 4 of /proc/PID/stat, behind the command's closing parenthesis. 0: none. */
static long parent_of(long pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], text[512];
	const char *behind;
	size_t bytes;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	bytes = fread(text, 1, sizeof(text) - 1, f);
	text[bytes] = '\0';
	behind = strrchr(text, ')');
	return behind && strlen(behind) > 4 ? strtol(behind + 4, NULL, 10) : 0; /* ") S PPID" */
}

bool ssh_find(struct ssh_session *ret)
{
	long pid = getpid();
	int i;

	for (i = 0; i < MAX_ANCESTORS && pid > 0; i++) {
		if (find_in_process(pid, ret))
			return true;
		pid = parent_of(pid);
	}
	return false;
}

/* The interface that has the session's local address: the way its answers leave. */
static const struct link *link_of(const struct ssh_session *s, const struct links *links)
{
	size_t i;

	for (i = 0; i < links->addr_count; i++) {
		if (memcmp(&links->addrs[i].addr, &s->server, sizeof(s->server)) == 0)
			return links_find_index(links, links->addrs[i].ifindex);
	}
	return NULL;
}

/* Whether a packet of the session, one way, would be stopped. */
static int check_way(const struct probe *probe, const struct policy *p, bool *ret_cut, struct err *e)
{
	struct tf_decision d;
	int r = probe_judge(probe, &p->rodata, &policy_tables, p, &d, e);

	if (!r && d.verdict == TF_DROP)
		*ret_cut = true;
	return r;
}

int ssh_check(const struct ssh_session *s, const struct policy *p, const struct links *links,
	      struct err *e)
{
	const struct native_address own = { .addr = s->server, .whose = TF_WHOSE_OWN };
	const struct probe out = {
		.protocol = IPPROTO_TCP,
		.src = s->server,
		.dst = s->client,
		.sport = s->server_port,
		.dport = s->client_port,
		.plane = TF_PLANE_SOCKET,
		.link = link_of(s, links),
	};
	const struct probe in = {
		.protocol = IPPROTO_TCP,
		.src = s->client,
		.dst = s->server,
		.sport = s->client_port,
		.dport = s->server_port,
		.plane = TF_PLANE_INGRESS,
		.link = out.link,
		.addresses = &own,
		.address_count = 1,
	};
	char client[ADDR_TEXT_LEN];
	bool cut = false;
	int r = check_way(&out, p, &cut, e);

	if (!r)
		r = check_way(&in, p, &cut, e);
	if (r || !cut)
		return r;
	return err_set(e, -EBUSY,
		       "this would cut the SSH session you sit in (from %s); keep it with "
		       "'InboundTCP=%u' in [Allow], or say --force",
		       addr_format(&s->client, client), s->server_port);
}
