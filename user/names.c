// SPDX-License-Identifier: GPL-2.0
/* Who resolves names for others: see names.h. Reads what libc reads; asks nobody anything. */
#include "names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define NSSWITCH    "/etc/nsswitch.conf"
#define RESOLV_CONF "/etc/resolv.conf"
#define NSCD_SOCKET "/run/nscd/socket"

#define BLANK " \t\r\n"

/* Without its comment. */
static char *next_line(FILE *stream, char **line, size_t *size)
{
	if (getline(line, size, stream) < 0)
		return NULL;
	(*line)[strcspn(*line, "#;")] = '\0';
	return *line;
}

bool names_ask_resolved(FILE *nsswitch)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char *at, *word;

	while ((at = next_line(nsswitch, &line, &size))) {
		word = strtok_r(at, BLANK, &at);
		if (!word || !streq(word, "hosts:"))
			continue;
		while ((word = strtok_r(NULL, BLANK, &at))) {
			if (streq(word, "resolve"))
				return true;
		}
	}
	return false;
}

static bool is_local(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || streq(address, "::1") ||
	       streq(address, "0.0.0.0") || streq(address, "::");
}

bool names_first_is_local(FILE *resolv_conf, char ret[64])
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	char *at, *word;

	while ((at = next_line(resolv_conf, &line, &size))) {
		word = strtok_r(at, BLANK, &at);
		if (!word || !streq(word, "nameserver"))
			continue;
		word = strtok_r(NULL, BLANK, &at);
		if (!word || !is_local(word))
			return false;
		snprintf(ret, 64, "%s", word);
		return true;
	}
	return false;
}

bool names_find_proxy(struct names_proxy *ret)
{
	_cleanup_fclose_ FILE *nsswitch = fopen(NSSWITCH, "re");
	_cleanup_fclose_ FILE *resolv_conf = fopen(RESOLV_CONF, "re");

	if (access(NSCD_SOCKET, F_OK) == 0) {
		*ret = (struct names_proxy){.who = "nscd", .where = NSCD_SOCKET};
		return true;
	}
	if (nsswitch && names_ask_resolved(nsswitch)) {
		*ret = (struct names_proxy){.who = "systemd-resolved", .where = NSSWITCH};
		return true;
	}
	ret->where = RESOLV_CONF;
	return resolv_conf && names_first_is_local(resolv_conf, ret->who);
}
