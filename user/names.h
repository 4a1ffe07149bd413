/* SPDX-License-Identifier: GPL-2.0 */
/* Who asks name servers on behalf of this machine's programs, if they do not do so themselves. */
#ifndef TUNFENCE_NAMES_H
#define TUNFENCE_NAMES_H

#include <stdbool.h>
#include <stdio.h>

struct names_proxy {
	char who[64]; /* an address of this machine, "systemd-resolved" or "nscd" */
	const char *where; /* the file that says so */
};

/* The one that programs ask first, by /etc/nsswitch.conf, /etc/resolv.conf and nscd's socket. False:
 * they ask for themselves, as far as could be found out. */
bool names_find_proxy(struct names_proxy *ret);

/* For tests: from the text of nsswitch.conf(5), whether hosts are asked of systemd-resolved. */
bool names_ask_resolved(FILE *nsswitch);

/* For tests: from the text of resolv.conf(5), the first name server if it is this machine. */
bool names_first_is_local(FILE *resolv_conf, char ret[64]);

#endif
