// SPDX-License-Identifier: GPL-2.0
/*
 * Writes every packet vector as an input of the packet target, each on each of its planes: what the
 * fuzzer begins with.
 *
 *     build-san/fuzz/seeds DIRECTORY
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fuzz/packet_input.h"
#include "reason.h"
#include "util.h"

enum {
	INPUT_MAX = 1 << 16
};

static int write_seed(const char *directory, const struct vectors *all, const struct vector *v,
		      enum tf_plane plane)
{
	static __u8 input[INPUT_MAX];
	_cleanup_fclose_ FILE *stream = NULL;
	char path[512];
	size_t bytes;

	bytes = packet_input_write(all, v, plane, input, sizeof(input));
	if (!bytes)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s-%s", directory, v->name, plane_name(plane));
	stream = fopen(path, "we");
	if (!stream || fwrite(input, 1, bytes, stream) != bytes)
		return -errno;
	return 0;
}

static int write_vector(const char *directory, const struct vectors *all, const struct vector *v)
{
	int plane, r = 0;

	for (plane = 0; !r && plane < TF_PLANES; plane++) {
		if (v->plane[plane])
			r = write_seed(directory, all, v, (enum tf_plane)plane);
	}
	if (r)
		fprintf(stderr, "seeds: '%s': %s; is '%s' in packet_policies?\n", v->name,
			strerror(-r), v->policy);
	return r;
}

int main(int argc, char *argv[])
{
	struct vectors all = {};
	struct err e = {};
	size_t i;
	int r = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: seeds DIRECTORY\n");
		return 2;
	}
	if (vectors_read(VECTOR_DIRECTORY, &all, &e)) {
		fprintf(stderr, "seeds: %s\n", e.text);
		return 1;
	}
	for (i = 0; !r && i < all.count; i++)
		r = write_vector(argv[1], &all, &all.items[i]);
	vectors_free(&all);
	return r != 0;
}
