// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence admit: answers one request of 'tunfence run' by a user who is not root. For
 * tunfence-run@.service, which has the connection as its standard input. What was done, and for
 * whom, goes to standard error, that is to the journal.
 */
#include <stdio.h>
#include <unistd.h>

#include "admission.h"
#include "command.h"

int cmd_admit(const struct options *o, int argc, char *argv[], struct err *e)
{
	const struct admission_place place = { .bpffs = o->bpffs, .run_dir = o->run_dir,
					       .state_dir = o->state_dir, .strict = true };
	struct admission_peer peer = {};
	int r = admission_serve(STDIN_FILENO, &place, &peer, e);

	(void)argc, (void)argv;
	if (r)
		return err_prefix(e, "user %u, process %d is refused", peer.uid, peer.pid);
	fprintf(stderr, "user %u, process %d is %s fence '%s'\n", peer.uid, peer.pid,
		peer.exempt ? "exempt of" : "put into", peer.name);
	return EXIT_DONE;
}
