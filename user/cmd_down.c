// SPDX-License-Identifier: GPL-2.0
/* tunfence down: the only way to open a fence. Says what is open again. */
#include <net/if.h>

#include "command.h"
#include "config.h"
#include "hosts.h"
#include "loader.h"
#include "pin.h"
#include "state.h"

static void say_what_is_open(const char *name, const struct links *links)
{
	size_t i, shown = 0;

	printf("fence '%s' is down: everything may leave by ", name);
	for (i = 0; i < links->count; i++) {
		if (!(links->links[i].flags & IFF_LOOPBACK) && links->links[i].flags & IFF_UP)
			printf("%s%s", shown++ ? ", " : "", links->links[i].name.text);
	}
	printf("%s again, as far as other fences and firewalls let it\n",
	       shown ? "" : "every interface");
}

int cmd_down(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct links links = {};
	struct pins pins;
	int r;

	(void)argc;
	r = config_check_name(argv[0], e);
	if (!r)
		r = pins_init(&pins, o->bpffs, o->run_dir, argv[0], e);
	if (!r)
		r = pins_make_roots(&pins, e);
	if (r)
		return r;
	lock = pins_lock(&pins, e);
	if (lock < 0)
		return lock;
	r = links_read(&links, e);
	if (!r)
		r = loader_down(&pins, argv[0], &links, e);
	if (!r) {
		state_remove(o->run_dir, argv[0]);
		hosts_withdraw(o->run_dir, argv[0]);
		say_what_is_open(argv[0], &links);
	}
	links_free(&links);
	return r;
}
